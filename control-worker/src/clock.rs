//! The time of the runtime, which stands still while a request computes.

use shared::time::Timestamp;
use worker::js_sys::Date;

/// Now, to the millisecond.
pub(crate) fn now() -> Timestamp {
    // A whole number, far below 2^53.
    #[expect(clippy::cast_possible_truncation)]
    let millis = Date::now() as i64;
    Timestamp::from_micros(millis.saturating_mul(1000))
}
