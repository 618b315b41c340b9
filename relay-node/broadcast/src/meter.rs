//! How fast bytes come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is meant by *lately*: long enough to even out a group of pictures.
pub const METER_WINDOW: Duration = Duration::from_secs(5);

/// How finely the window moves.
const STEP: Duration = Duration::from_millis(250);

/// Counts bytes, and tells how many came lately.
#[derive(Debug, Default)]
pub struct Meter {
    total: u64,
    /// When a step began, and the total at that time.
    steps: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Counts bytes that came at `now`, or from then on.
    pub fn count(&mut self, now: Instant, bytes: u64) {
        let step_is_over = self
            .steps
            .back()
            .is_none_or(|(began, _)| now.saturating_duration_since(*began) >= STEP);
        if step_is_over {
            while let Some((began, _)) = self.steps.front()
                && now.saturating_duration_since(*began) > METER_WINDOW
            {
                self.steps.pop_front();
            }
            self.steps.push_back((now, self.total));
        }
        self.total += bytes;
    }

    /// All bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bits a second over the last seconds.
    pub fn bits_per_second(&self, now: Instant) -> u64 {
        let oldest = self
            .steps
            .iter()
            .find(|(began, _)| now.saturating_duration_since(*began) <= METER_WINDOW);
        let Some((began, before)) = oldest else {
            return 0;
        };
        let millis = now.saturating_duration_since(*began).max(STEP).as_millis();
        let bits = u128::from(self.total - before) * 8;
        u64::try_from(bits * 1000 / millis).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_and_the_total_stays() {
        let mut meter = Meter::default();
        let start = Instant::now();
        assert_eq!(meter.bits_per_second(start), 0);
        let mut now = start;
        for _ in 0..1000 {
            now += Duration::from_millis(10);
            meter.count(now, 1000);
        }
        let rate = meter.bits_per_second(now);
        assert!((790_000..=820_000).contains(&rate), "{rate}");
        assert!(meter.steps.len() <= 21, "{}", meter.steps.len());
        assert_eq!(meter.bits_per_second(now + 2 * METER_WINDOW), 0);
        assert_eq!(meter.total(), 1_000_000);
    }
}
