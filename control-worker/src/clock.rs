//! The time of the runtime, which stands still while a request computes.

use shared::time::Timestamp;
use worker::Date;

/// Now, to the millisecond.
pub(crate) fn now() -> Timestamp {
    let millis = i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_micros(millis.saturating_mul(1000))
}
