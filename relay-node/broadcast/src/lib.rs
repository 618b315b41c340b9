//! One live input on air, sans-IO.

mod backoff;
mod reconcile;
mod revision;
mod timeline;

pub use backoff::{Backoff, Pace};
pub use reconcile::{Change, Wanted, reconcile};
pub use revision::{Revision, RevisionGuard, Verdict};
pub use timeline::{STRAY_MAX, TIMELINE_START, Timeline};
