//! How far an output may fall behind.

use std::time::Duration;

/// How far an output may lag, in media time, before it skips: what a viewer forgives once, and what
/// the memory of the log is paid for.
pub const LAG_MAX: Duration = Duration::from_secs(8);

/// The same in bytes: [`LAG_MAX`] at 16 Mbit/s, for streams above the recommended 12 Mbit/s.
pub const LAG_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How far an output is behind the newest message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// In media time.
    pub media: Duration,
    /// In bytes of payload.
    pub bytes: u64,
}

impl Lag {
    /// Whether it is past `media_max`, which is [`LAG_MAX`] where memory is plenty, or past
    /// [`LAG_MAX_BYTES`].
    pub fn is_over(self, media_max: Duration) -> bool {
        self.media > media_max || self.bytes > LAG_MAX_BYTES
    }
}
