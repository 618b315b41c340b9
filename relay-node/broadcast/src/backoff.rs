//! How long a failed output waits before it tries again.

use std::time::Duration;

/// How slowly a kind of failure is retried: between `floor` and a ceiling that starts at
/// `first_ceiling` and doubles with every attempt up to `last_ceiling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// No wait is shorter.
    pub floor: Duration,
    /// The first wait is not longer.
    pub first_ceiling: Duration,
    /// No wait is longer.
    pub last_ceiling: Duration,
}

impl Pace {
    /// Failures of network and server: half a second is soon enough for a viewer not to leave, 30 s
    /// keeps a dead destination cheap and stays well under Twitch's disconnect protection (90 s).
    pub const FAILURE: Self = Self {
        floor: Duration::from_millis(500),
        first_ceiling: Duration::from_secs(1),
        last_ceiling: Duration::from_secs(30),
    };

    /// The destination says that the stream is already being published: mostly our own last
    /// session, which it has yet to notice is gone.
    pub const NAME_IN_USE: Self = Self {
        floor: Duration::from_secs(2),
        first_ceiling: Duration::from_secs(5),
        last_ceiling: Duration::from_secs(30),
    };

    /// The destination refused us. A person has to change something, so haste serves nobody, and
    /// platforms block those who hammer; a minute is how long that person waits to see it work.
    pub const REFUSAL: Self = Self {
        floor: Duration::from_secs(10),
        first_ceiling: Duration::from_secs(20),
        last_ceiling: Duration::from_secs(60),
    };
}

/// Exponential backoff with full jitter: fifty outputs that lost one destination come back spread
/// over the whole of each wait, not together.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Counts a failure and gives the wait that follows it. `random` is drawn evenly from all
    /// `u64`s, and so is the wait from the range of its pace.
    pub fn next(&mut self, pace: Pace, random: u64) -> Duration {
        let ceiling = 2_u32
            .checked_pow(self.attempts)
            .and_then(|doubled| pace.first_ceiling.checked_mul(doubled))
            .unwrap_or(pace.last_ceiling)
            .clamp(pace.floor, pace.last_ceiling);
        self.attempts = self.attempts.saturating_add(1);

        let range = (ceiling - pace.floor).as_nanos();
        // A share of `random` / 2^64 of the range; what comes out is less than the range, and
        // ranges are far below 2^64 ns (584 years).
        let drawn = range.saturating_mul(u128::from(random)) >> 64;
        pace.floor + Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX))
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Failures since the start or the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn longest_waits(pace: Pace, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..count)
            .map(|_| backoff.next(pace, u64::MAX).as_millis())
            .collect()
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_last() {
        // The greatest draw stays a hair under the ceiling.
        assert_eq!(
            longest_waits(Pace::FAILURE, 7),
            [999, 1_999, 3_999, 7_999, 15_999, 29_999, 29_999]
        );
        assert_eq!(
            longest_waits(Pace::NAME_IN_USE, 4),
            [4_999, 9_999, 19_999, 29_999]
        );
        assert_eq!(longest_waits(Pace::REFUSAL, 3), [19_999, 39_999, 59_999]);
    }

    #[test]
    fn the_smallest_draw_is_the_floor_however_often() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert_eq!(backoff.next(Pace::FAILURE, 0), Pace::FAILURE.floor);
        }
        assert_eq!(backoff.attempts(), 100);
    }

    #[test]
    fn a_middle_draw_is_the_middle_of_the_range() {
        let mut backoff = Backoff::default();
        assert_eq!(
            backoff.next(Pace::FAILURE, 1 << 63),
            Duration::from_millis(750)
        );
        assert_eq!(
            backoff.next(Pace::FAILURE, 1 << 63),
            Duration::from_millis(1_250)
        );
    }

    #[test]
    fn reset_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next(Pace::FAILURE, 7);
        }
        backoff.reset();
        assert_eq!(backoff.attempts(), 0);
        assert!(backoff.next(Pace::FAILURE, u64::MAX) < Pace::FAILURE.first_ceiling);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_pace(draws in prop::collection::vec(any::<u64>(), 1..80)) {
            for pace in [Pace::FAILURE, Pace::NAME_IN_USE, Pace::REFUSAL] {
                let mut backoff = Backoff::default();
                for random in &draws {
                    let wait = backoff.next(pace, *random);
                    prop_assert!(pace.floor <= wait && wait < pace.last_ceiling);
                }
            }
        }
    }
}
