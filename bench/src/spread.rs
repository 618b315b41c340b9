//! How measured times are spread.

use std::time::Instant;

/// Times in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// Takes the time from `start` to `end`; less than zero where `end` came first.
    pub(crate) fn add(&mut self, start: Instant, end: Instant) {
        let after = end.saturating_duration_since(start).as_secs_f64();
        let before = start.saturating_duration_since(end).as_secs_f64();
        self.0.push((after - before) * 1e3);
    }

    /// Takes what another one has.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Least, median, 90th and 99th percentile (nearest rank), most; zeros if nothing was measured.
    pub(crate) fn figures(mut self) -> [f64; 5] {
        self.0.sort_by(f64::total_cmp);
        [0, 50, 90, 99, 100].map(|percent| {
            let rank = (self.0.len() * percent).div_ceil(100).max(1);
            self.0.get(rank - 1).copied().unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_nearest_ranks() {
        let figures = |times: &[f64]| Spread(times.to_vec()).figures();
        assert_eq!(figures(&[]), [0.0; 5]);
        assert_eq!(figures(&[7.0]), [7.0; 5]);
        let hundred: Vec<_> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(figures(&hundred), [1.0, 50.0, 90.0, 99.0, 100.0]);
        assert_eq!(figures(&[3.0, -1.0]), [-1.0, -1.0, 3.0, 3.0, 3.0]);
    }
}
