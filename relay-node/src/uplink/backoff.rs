//! When to try again.

use std::time::Duration;

/// Full jitter between a floor and a ceiling that doubles with every failure: after a deployment
/// of the control plane all nodes lose their sockets in the same instant, and must not come back
/// in the same instant.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let ceiling = FIRST
            .saturating_mul(2_u32.saturating_pow(self.failures))
            .min(LONGEST);
        between(FIRST, ceiling, random)
    }

    /// Forgets all failures.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A point in `low..=high`, picked evenly by `random`.
pub(super) fn between(low: Duration, high: Duration, random: u64) -> Duration {
    let width = high.saturating_sub(low);
    low + width.mul_f64(random as f64 / u64::MAX as f64)
}

/// The shortest wait. A control plane that accepts and drops at once costs two attempts a second.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait. A change reaches the node over the socket again at most this long after the
/// control plane is back.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_over() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<_> = (0..6).map(|_| backoff.next(u64::MAX).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 10, 10]);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX), Duration::from_secs(1));
    }

    #[test]
    fn never_waits_less_than_its_floor() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert_eq!(backoff.next(0), FIRST);
        }
    }

    /// A thousand nodes lose their sockets in the same instant, and the control plane is away for a
    /// minute.
    #[test]
    fn many_come_back_spread_out() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let tick = Duration::from_millis(100);
        let mut attempts = vec![0; 600];
        for _ in 0..1000 {
            let mut backoff = Backoff::default();
            let mut at = Duration::ZERO;
            loop {
                at += backoff.next(random());
                let tick = at.as_millis() / tick.as_millis();
                match attempts.get_mut(tick as usize) {
                    Some(count) => *count += 1,
                    None => break,
                }
            }
        }
        // The first ones come within half a second, a fifth of them in a tenth of one.
        assert!(attempts.iter().all(|count| *count <= 260), "{attempts:?}");
        // Later, each waits five seconds on average.
        let late = &attempts[200..];
        assert!(late.iter().all(|count| *count <= 45), "{late:?}");
        let total: u32 = late.iter().sum();
        assert!((7000..9000).contains(&total), "{total}");
    }

    #[test]
    fn picks_evenly() {
        let (low, high) = (Duration::from_secs(10), Duration::from_secs(20));
        assert_eq!(between(low, high, 0), low);
        assert_eq!(between(low, high, u64::MAX / 2).as_secs(), 15);
        assert_eq!(between(low, high, u64::MAX), high);
    }
}
