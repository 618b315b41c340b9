//! One live input on air, sans-IO.

mod backoff;
mod cursor;
mod lag;
mod log;
mod reconcile;
mod revision;
#[cfg(test)]
mod testing;
mod timeline;

pub use backoff::{Backoff, Pace};
pub use cursor::{
    AUDIO_ALONE, Backlog, CACHED_GOP_AGE, CATCH_UP_MAX, Cursor, FIRST_KEYFRAME_LAG, RESUME_LAG,
    Read, Room, SendItem, Skipped, StartPolicy,
};
pub use lag::{LAG_MAX, LAG_MAX_BYTES, Lag};
pub use log::{
    ENTRY_COST, Entry, HEADER_MAX_BYTES, HEADERS_MAX, Header, Headers, JUMP, LOG_MAX_AGE,
    LOG_MAX_BYTES, Log, METADATA_MAX_BYTES,
};
pub use reconcile::{Change, Wanted, reconcile};
pub use revision::{Revision, RevisionGuard, Verdict};
pub use timeline::{STRAY_MAX, TIMELINE_START, Timeline};
