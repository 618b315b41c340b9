//! The time, as the state machines take it.

use std::time::Instant;

/// Now, by the clock of the runtime: tests hold that one.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
