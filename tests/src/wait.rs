//! Waiting for something that this process is not told about.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks `found` until it has something, and fails when that takes longer than `limit`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut found: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = found()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {} ms", limit.as_millis());
        }
        thread::sleep(INTERVAL);
    }
}

/// How often to ask: small beside the second in which most things must happen.
const INTERVAL: Duration = Duration::from_millis(20);
