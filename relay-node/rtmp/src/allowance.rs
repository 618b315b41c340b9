//! How much in a time, and how much at once.

use std::time::{Duration, Instant};

/// So many at once, and after that as many as the time gives back: a bucket of tokens, kept as the
/// one moment at which it is full again.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// How long one takes to come back.
    every: Duration,
    /// How long all of them take.
    all: Duration,
    full_at: Instant,
}

impl Allowance {
    /// A full one at `now`: `burst` at once, and one more after `every`.
    pub fn new(burst: u32, every: Duration, now: Instant) -> Self {
        Self {
            every,
            all: every.saturating_mul(burst),
            full_at: now,
        }
    }

    /// Takes one at `now`; `false` if there is none, and then nothing is taken.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.every;
        let fits = full_at.saturating_duration_since(now) <= self.all;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// Gives one back that was taken.
    pub fn give_back(&mut self) {
        self.full_at = self.full_at.checked_sub(self.every).unwrap_or(self.full_at);
    }

    /// Whether all of it is there at `now`, as if nothing had ever been taken.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(3, EVERY, start);
        let mut take = |after: u32| allowance.take(start + EVERY * after);
        assert_eq!([0; 4].map(&mut take), [true, true, true, false]);
        // What was refused has cost nothing.
        assert!(take(1) && !take(1));
        assert!(take(3) && take(3) && !take(3));
        // It does not fill beyond itself.
        assert_eq!([100; 4].map(&mut take), [true, true, true, false]);
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let start = Instant::now();
        let mut allowance = Allowance::new(1, EVERY, start);
        assert!(allowance.is_full(start) && allowance.take(start));
        assert!(!allowance.is_full(start + EVERY - Duration::from_nanos(1)));
        assert!(allowance.is_full(start + EVERY));
        assert!(!allowance.take(start));
        allowance.give_back();
        assert!(allowance.is_full(start) && allowance.take(start));
    }

    #[test]
    fn none_at_all() {
        let now = Instant::now();
        assert!(!Allowance::new(0, EVERY, now).take(now));
    }
}
