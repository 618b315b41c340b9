//! Media time, as lag is counted in it.

use std::time::Duration;

use crate::timeline::JUMP;

/// How much of the time between two frames counts. An encoder that sends none for longer is silent,
/// and nobody lags by that: the kernel's count of what is on its way has the framing in it, so that
/// the frame before the silence seems to be on its way for as long as the one after it is.
const STEP_MAX: Duration = Duration::from_secs(1);

/// Media time that has passed, whatever the encoder's clock jumps to.
#[derive(Debug, Default)]
pub(super) struct MediaClock {
    newest: Option<u64>,
    elapsed: Duration,
}

impl MediaClock {
    /// What has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Goes on at `timestamp`: nobody lags by the time in which nothing came.
    pub(super) fn pass_over(&mut self, timestamp: u64) {
        self.newest = Some(timestamp);
    }

    /// Goes on to `timestamp`.
    pub(super) fn advance(&mut self, timestamp: u64) {
        let newest = *self.newest.get_or_insert(timestamp);
        let step = Duration::from_millis(timestamp.saturating_sub(newest));
        // The first session's kinds may begin further apart.
        if step > JUMP {
            self.newest = Some(timestamp);
        } else if timestamp > newest {
            self.newest = Some(timestamp);
            self.elapsed += step.min(STEP_MAX);
        }
    }
}
