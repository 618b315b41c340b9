//! The time, as the state machines take it, and as people read it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use shared::time::Timestamp;

/// Now, by the clock of the runtime: tests hold that one.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Moments at equal distances: what need not be exact falls on one together, and costs one wake-up.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// One of them.
    pub origin: Instant,
    /// From one to the next.
    pub length: Duration,
}

impl Beat {
    /// The first after `now`.
    pub fn after(self, now: Instant) -> Instant {
        let length = self.length.as_nanos().max(1);
        let passed = now.saturating_duration_since(self.origin).as_nanos();
        now + Duration::from_nanos(u64::try_from(length - passed % length).unwrap_or_default())
    }
}

/// One moment by both clocks: from it the time of day of any other can be told.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    instant: Instant,
    time: Timestamp,
}

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "for people, and across processes"
        )]
        let today = SystemTime::now();
        // A clock that stands before 1970 shows times of 1970.
        let since = today.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            instant: now(),
            time: Timestamp::from_micros(micros(since)),
        }
    }

    /// Its time of day.
    pub fn time(self) -> Timestamp {
        self.time
    }

    /// The time of day at `instant`.
    pub fn time_at(self, instant: Instant) -> Timestamp {
        let ahead = micros(instant.saturating_duration_since(self.instant));
        let behind = micros(self.instant.saturating_duration_since(instant));
        let time = self.time.as_micros().saturating_add(ahead);
        Timestamp::from_micros(time.saturating_sub(behind))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_equally_far_apart_and_later_than_now() {
        let origin = Instant::now();
        let length = Duration::from_millis(250);
        let beat = Beat { origin, length };
        let nanosecond = Duration::from_nanos(1);
        for (passed, next) in [
            (Duration::ZERO, length),
            (nanosecond, length),
            (length - nanosecond, length),
            (length, 2 * length),
            (7 * length + nanosecond, 8 * length),
        ] {
            assert_eq!(beat.after(origin + passed), origin + next, "{passed:?}");
        }
    }

    #[test]
    fn the_time_of_day_follows_the_instant_both_ways() {
        let now = Instant::now();
        let moment = Moment {
            instant: now,
            time: Timestamp::from_micros(1_000_000),
        };
        let step = Duration::from_micros(250);
        for (instant, micros) in [
            (now, 1_000_000),
            (now + step, 1_000_250),
            (now - step, 999_750),
        ] {
            assert_eq!(moment.time_at(instant), Timestamp::from_micros(micros));
        }
    }
}
