//! Who was turned away, and why: counted always, logged now and then.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::admission::Origin;

/// How often the log tells of the same origin: often enough for whoever looks at it while somebody
/// tries to connect, too seldom to be filled by a stranger.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Origins of which it is known when they were logged. With more than that within
/// [`LOG_INTERVAL`], one line a [`LOG_INTERVAL`] stands for all the others.
pub(super) const ORIGINS_MAX: usize = 1024;

/// How often those are looked for that may be forgotten, while there are too many: a flood does not
/// cost a search for each.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What there is to count.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: BTreeMap<&'static str, u64>,
    logged: HashMap<Origin, Said>,
    swept: Option<Instant>,
    others: Option<Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at: Instant,
    /// Refusals since then.
    since: u64,
}

impl Refusals {
    /// Counts one. Where it is to be logged, says how many of that origin were not since the last
    /// time.
    pub(super) fn note(
        &mut self,
        now: Instant,
        origin: Origin,
        reason: &'static str,
    ) -> Option<u64> {
        *self.counts.entry(reason).or_default() += 1;
        if !self.logged.contains_key(&origin) {
            if self.logged.len() >= ORIGINS_MAX {
                self.sweep(now);
            }
            if self.logged.len() < ORIGINS_MAX {
                self.logged.insert(origin, Said { at: now, since: 0 });
                return Some(0);
            }
        }
        let said = match self.logged.get_mut(&origin) {
            Some(said) => said,
            None => match &mut self.others {
                Some(said) => said,
                nobody => {
                    *nobody = Some(Said { at: now, since: 0 });
                    return Some(0);
                }
            },
        };
        if now.saturating_duration_since(said.at) < LOG_INTERVAL {
            said.since += 1;
            return None;
        }
        let since = said.since;
        *said = Said { at: now, since: 0 };
        Some(since)
    }

    fn sweep(&mut self, now: Instant) {
        let since = |then: Instant| now.saturating_duration_since(then);
        if self
            .swept
            .is_none_or(|swept| since(swept) >= SWEEP_INTERVAL)
        {
            self.logged.retain(|_, said| since(said.at) < LOG_INTERVAL);
            self.swept = Some(now);
        }
    }

    /// How many there were for each reason.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn origin(number: usize) -> Origin {
        Origin::of(Some(Ipv4Addr::from_bits(number as u32).into()))
    }

    #[test]
    fn an_origin_is_logged_once_in_a_while_and_counted_always() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let just_before = now + LOG_INTERVAL - Duration::from_nanos(1);
        assert_eq!(refusals.note(now, origin(1), "unknown_key"), Some(0));
        assert_eq!(refusals.note(now, origin(2), "unknown_key"), Some(0));
        assert_eq!(refusals.note(now, origin(1), "tls"), None);
        assert_eq!(refusals.note(just_before, origin(1), "tls"), None);
        assert_eq!(refusals.note(now + LOG_INTERVAL, origin(1), "tls"), Some(2));
        let counts: Vec<_> = refusals.counts().collect();
        assert_eq!(counts, [("tls", 3), ("unknown_key", 2)]);
    }

    #[test]
    fn a_line_stands_for_all_that_are_too_many() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..ORIGINS_MAX {
            assert_eq!(refusals.note(now, origin(number), "tls"), Some(0));
        }
        assert_eq!(refusals.note(now, origin(ORIGINS_MAX), "tls"), Some(0));
        assert_eq!(refusals.note(now, origin(ORIGINS_MAX + 1), "tls"), None);
        assert_eq!(refusals.logged.len(), ORIGINS_MAX);
        // Those of the last interval make room.
        let later = now + LOG_INTERVAL;
        assert_eq!(refusals.note(later, origin(ORIGINS_MAX), "tls"), Some(0));
        assert_eq!(refusals.logged.len(), 1);
    }
}
