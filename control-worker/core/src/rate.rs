//! How many requests there may be in a minute.
//!
//! Windows are the minutes of the clock, as in the runtime's own limiter: what is counted is
//! forgotten all at once, and no timer is needed.

use std::collections::HashMap;

use shared::time::Timestamp;

/// Requests of a token in a minute, unless the operator says otherwise: Cloudflare's 1200 in five
/// minutes.
pub const DEFAULT_REQUESTS_PER_MINUTE: u32 = 240;

/// Seconds of a window.
const WINDOW_SECONDS: u32 = 60;

/// Cloudflare's Go client takes no longer `retry-after` than this.
const MAX_RETRY_SECONDS: u32 = 59;

/// Keys that are counted in a window, each some 100 bytes: in one isolate, more than honest tokens
/// are. Whoever comes later in that minute shares one count.
const MAX_KEYS: usize = 10_000;

/// Counts requests by key: of a token, or of who asks.
#[derive(Debug, Default)]
pub struct Limiter {
    window: i64,
    counts: HashMap<String, u32>,
    others: u32,
}

impl Limiter {
    /// What a request of `key` would find. Counts nothing.
    pub fn look(&self, key: &str, limit: u32, now: Timestamp) -> Allowance {
        let count = match self.counts.get(key) {
            _ if window_of(now) != self.window => 0,
            Some(count) => *count,
            None if self.counts.len() < MAX_KEYS => 0,
            None => self.others,
        };
        Allowance::after(count.saturating_add(1), limit, now)
    }

    /// Counts a request of `key`, of which a minute may hold `limit`.
    pub fn count(&mut self, key: &str, limit: u32, now: Timestamp) -> Allowance {
        let window = window_of(now);
        if window != self.window {
            self.window = window;
            self.counts.clear();
            self.others = 0;
        }
        let has_room = self.counts.len() < MAX_KEYS || self.counts.contains_key(key);
        let count = if has_room {
            self.counts.entry(key.to_owned()).or_default()
        } else {
            &mut self.others
        };
        *count = count.saturating_add(1);
        Allowance::after(*count, limit, now)
    }
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    limit: u32,
    /// Requests that the window still takes, where that is known.
    remaining: Option<u32>,
    /// Seconds until the next window.
    seconds: u32,
    exceeded: bool,
}

impl Allowance {
    fn after(count: u32, limit: u32, now: Timestamp) -> Self {
        Self {
            limit,
            remaining: Some(limit.saturating_sub(count)),
            seconds: seconds_left(now),
            exceeded: count > limit,
        }
    }

    /// What the runtime's limiter says, which is yes or no.
    pub fn of_runtime(limit: u32, success: bool, now: Timestamp) -> Self {
        Self {
            limit,
            remaining: (!success).then_some(0),
            seconds: seconds_left(now),
            exceeded: !success,
        }
    }

    /// Whether the request is one too many.
    pub fn is_exceeded(self) -> bool {
        self.exceeded
    }

    /// The headers that tell, names in lower case.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        let Self { limit, seconds, .. } = self;
        let policy = format!("\"default\";q={limit};w={WINDOW_SECONDS}");
        let mut headers = vec![("ratelimit-policy", policy)];
        if let Some(remaining) = self.remaining {
            let state = format!("\"default\";r={remaining};t={seconds}");
            headers.push(("ratelimit", state));
        }
        if self.exceeded {
            headers.push(("retry-after", seconds.min(MAX_RETRY_SECONDS).to_string()));
        }
        headers
    }
}

fn window_of(now: Timestamp) -> i64 {
    now.as_micros()
        .div_euclid(i64::from(WINDOW_SECONDS) * MICROS)
}

/// Rounded up: who waits so long is in the next window.
fn seconds_left(now: Timestamp) -> u32 {
    let into = now
        .as_micros()
        .rem_euclid(i64::from(WINDOW_SECONDS) * MICROS);
    let into = u32::try_from(into.div_euclid(MICROS)).unwrap_or_default();
    WINDOW_SECONDS.saturating_sub(into)
}

const MICROS: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute's beginning.
    const START: i64 = 1_764_551_280 * MICROS;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(START + micros)
    }

    #[test]
    fn a_minute_holds_the_limit_and_no_more() {
        let mut limiter = Limiter::default();
        for n in 1..=240 {
            let allowance = limiter.count("a", 240, at(n));
            assert!(!allowance.is_exceeded(), "{n}");
        }
        assert!(limiter.count("a", 240, at(60 * MICROS - 1)).is_exceeded());
        assert!(!limiter.count("b", 240, at(60 * MICROS - 1)).is_exceeded());
        assert!(!limiter.count("a", 240, at(60 * MICROS)).is_exceeded());
    }

    #[test]
    fn to_look_is_not_to_count() {
        let mut limiter = Limiter::default();
        for n in 0..2 {
            assert!(!limiter.look("a", 2, at(n)).is_exceeded());
            assert_eq!(limiter.look("a", 2, at(n)), limiter.count("a", 2, at(n)));
        }
        assert!(limiter.look("a", 2, at(2)).is_exceeded());
        assert!(!limiter.look("b", 2, at(2)).is_exceeded());
        assert!(!limiter.look("a", 2, at(60 * MICROS)).is_exceeded());
    }

    #[test]
    fn the_headers_say_what_is_left() {
        let mut limiter = Limiter::default();
        assert_eq!(
            limiter.count("a", 2, at(0)).headers(),
            [
                ("ratelimit-policy", "\"default\";q=2;w=60".to_owned()),
                ("ratelimit", "\"default\";r=1;t=60".to_owned()),
            ]
        );
        limiter.count("a", 2, at(0));
        let headers = limiter.count("a", 2, at(0)).headers();
        assert_eq!(headers[1].1, "\"default\";r=0;t=60");
        assert_eq!(headers[2], ("retry-after", "59".to_owned()));
        for (micros, seconds) in [
            (MICROS - 1, "59"),
            (30 * MICROS, "30"),
            (59 * MICROS, "1"),
            (60 * MICROS - 1, "1"),
        ] {
            let headers = limiter.count("a", 2, at(micros)).headers();
            assert_eq!(headers[2], ("retry-after", seconds.to_owned()), "{micros}");
        }
    }

    #[test]
    fn the_runtime_says_yes_or_no() {
        let yes = Allowance::of_runtime(240, true, at(0));
        assert!(!yes.is_exceeded());
        assert_eq!(yes.headers().len(), 1);
        let no = Allowance::of_runtime(240, false, at(20 * MICROS));
        assert!(no.is_exceeded());
        assert_eq!(no.headers()[1].1, "\"default\";r=0;t=40");
        assert_eq!(no.headers()[2].1, "40");
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_memory() {
        let mut limiter = Limiter::default();
        for n in 0..MAX_KEYS {
            limiter.count(&n.to_string(), 2, at(0));
        }
        for n in 0..5 {
            let allowance = limiter.count(&format!("late {n}"), 2, at(0));
            assert_eq!(allowance.is_exceeded(), n >= 2, "they share one count");
        }
        assert_eq!(limiter.counts.len(), MAX_KEYS);
        assert!(
            !limiter.count("0", 2, at(0)).is_exceeded(),
            "who was there before does not"
        );
        assert!(!limiter.count("late", 2, at(60 * MICROS)).is_exceeded());
        assert_eq!(limiter.counts.len(), 1);
    }
}
