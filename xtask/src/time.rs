//! Durations as a person reads them, and the time now as D1 keeps it.

#![expect(
    clippy::disallowed_methods,
    reason = "what is stored is dated by the time of day"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn readable(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..100 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Microseconds since the epoch, the unit of the control plane's tables.
pub(crate) fn now_micros() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable() {
        assert_eq!(readable(Duration::from_millis(430)), "0.4 s");
        assert_eq!(readable(Duration::from_secs(12)), "12 s");
        assert_eq!(readable(Duration::from_secs(200)), "3 min 20 s");
    }
}
