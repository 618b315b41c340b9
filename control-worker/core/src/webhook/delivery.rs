//! One notification for one receiver: when it is tried, and when it is given up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared::id::{DestinationId, InvalidId};
use shared::secret::Secret;
use shared::time::Timestamp;

/// A receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A destination of `/alerting/v3`.
    Destination(DestinationId),
    /// What `/stream/webhook` set.
    Stream,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(id) => id.fmt(f),
            Self::Stream => f.write_str(STREAM),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            STREAM => Ok(Self::Stream),
            id => id.parse().map(Self::Destination),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const STREAM: &str = "stream";

/// A request to a receiver. No redirect is followed, and no more is read of the answer than its
/// status. Not printable: its headers and its URL may hold secrets.
pub struct Outgoing {
    /// Where it is posted.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, Secret)>,
    /// JSON.
    pub body: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver answered with this status.
    Answered(u16),
    /// It did not answer within [`ATTEMPT_TIMEOUT`].
    TimedOut,
    /// It could not be connected to, or hung up.
    Unreachable,
}

impl Sent {
    /// Whether the receiver has it.
    pub(super) fn is_taken(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    pub(super) fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(status),
            Self::TimedOut | Self::Unreachable => None,
        }
    }

    /// What is wrong and what to change, unless it was taken.
    pub(super) fn error(self) -> Option<String> {
        Some(match self {
            Self::Answered(200..=299) => return None,
            Self::Answered(status @ 300..=399) => format!(
                "The receiver answered {status}: redirects are not followed, so give the final URL."
            ),
            Self::Answered(status) => {
                format!("The receiver answered {status}: it must answer 200 to 299.")
            }
            Self::TimedOut => format!(
                "The receiver did not answer within {} s: it must answer first and work afterwards.",
                ATTEMPT_TIMEOUT.as_secs()
            ),
            Self::Unreachable => {
                "The receiver cannot be reached, or hung up: check its name, port and certificate."
                    .to_owned()
            }
        })
    }
}

/// How long after its `attempts`-th failed attempt a notification that was queued at `created` is
/// tried again, `chance` being random; none where it is given up.
pub(super) fn retry(
    created: Timestamp,
    attempts: u32,
    chance: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    let doublings = attempts.saturating_sub(1).min(MAX_DOUBLINGS);
    let longest = (FIRST_RETRY * (1 << doublings)).min(LONGEST_RETRY);
    // Between half of it and all of it, so that what failed together does not come together.
    let jittered = longest.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX));
    let next = after(now, jittered);
    (next <= after(created, RETRY_FOR)).then_some(next)
}

pub(super) fn after(time: Timestamp, delay: Duration) -> Timestamp {
    let micros = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_add(micros))
}

/// A receiver that has not answered by then has too much to do before it answers.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who has an attempt in flight has no other until it ended, or until then: longer than any
/// attempt lasts, so that only one whose object lost its memory is repeated.
pub const LEASE: Duration = Duration::from_secs(30);

/// Before the second attempt: a receiver that was just restarted is there again.
pub const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Between attempts at most: what is mended is found to be so within the hour.
pub const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// 5 s doubled ten times is over [`LONGEST_RETRY`].
const MAX_DOUBLINGS: u32 = 10;

/// From when it was queued, a notification is tried: who does not repair a receiver within a day
/// learns from the API what happened.
pub const RETRY_FOR: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_back_off_for_a_day() {
        let created = Timestamp::default();
        let (mut now, mut delays) = (created, Vec::new());
        for attempt in 1.. {
            let Some(next) = retry(created, attempt, u32::MAX, now) else {
                break;
            };
            delays.push((next.as_micros() - now.as_micros()) / 1_000_000);
            now = next;
        }
        assert_eq!(
            delays.get(..12),
            Some([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600].as_slice())
        );
        let last = now.as_micros() / 1_000_000;
        assert!((23 * 3600..=24 * 3600).contains(&last), "{last}");
    }

    #[test]
    fn a_delay_is_jittered_by_half() {
        let delay = |chance| retry(Timestamp::default(), 1, chance, Timestamp::default()).unwrap();
        assert_eq!(delay(0).as_micros(), 2_500_000);
        assert_eq!(delay(u32::MAX).as_micros(), 5_000_000);
    }

    #[test]
    fn the_day_ends_to_the_microsecond() {
        let created = Timestamp::default();
        let last = after(created, RETRY_FOR - FIRST_RETRY);
        assert!(retry(created, 1, u32::MAX, last).is_some());
        assert!(retry(created, 1, u32::MAX, after(last, Duration::from_micros(1))).is_none());
    }

    #[test]
    fn only_2xx_is_taken() {
        for (sent, taken) in [
            (Sent::Answered(199), false),
            (Sent::Answered(200), true),
            (Sent::Answered(299), true),
            (Sent::Answered(300), false),
            (Sent::Answered(404), false),
            (Sent::TimedOut, false),
            (Sent::Unreachable, false),
        ] {
            assert_eq!(sent.is_taken(), taken, "{sent:?}");
            assert_eq!(sent.error().is_none(), taken, "{sent:?}");
        }
        assert!(Sent::Answered(308).error().unwrap().contains("redirects"));
    }
}
