//! One live input on air, sans-IO.
//!
//! A publisher's messages go once onto a [`Log`]; each output is a [`Cursor`] into it, and an
//! [`OutputMachine`] that says when to connect, when to give up and when to try again. Snapshots of
//! what is wanted pass a [`RevisionGuard`] and are [`reconcile`]d with what runs. Nothing here has
//! a socket, reads a clock or draws a random number.
//!
//! # How a shell drives it
//!
//! The publisher's task appends, and wakes the outputs; each output's task takes the lock once per
//! wake, and writes all that it was given in one vectored write:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Instant;
//!
//! use broadcast::{Backlog, Cursor, Log, Read, Room, StartPolicy};
//! use bytes::Bytes;
//! use rtmp::{Message, MessageType};
//!
//! let log = Arc::new(Mutex::new(Log::default()));
//!
//! // The publisher's task, for each message of its session; then it wakes the outputs.
//! let keyframe = Bytes::from_static(&[0x17, 1, 0, 0, 0, 0xff]);
//! log.lock().unwrap().append(
//!     Instant::now(),
//!     Message { kind: MessageType::VIDEO, timestamp: 90_000, stream_id: 1, payload: keyframe },
//! );
//!
//! // An output's task, once its destination takes the stream.
//! let mut cursor = Cursor::new(StartPolicy::FirstKeyframe);
//! let mut batch = Vec::new();
//! loop {
//!     // What the socket says of itself (TCP_INFO): written, not acknowledged.
//!     let backlog = Backlog::default();
//!     let read = {
//!         let log = log.lock().unwrap();
//!         cursor.read(&log, Instant::now(), backlog, Room::default(), &mut batch)
//!     };
//!     for item in batch.drain(..) {
//!         // Put the client's chunk headers round it, and write all in one go.
//!         assert_eq!((item.kind, item.timestamp), (MessageType::VIDEO, 0));
//!     }
//!     match read {
//!         Read::Full => continue,
//!         Read::CaughtUp => break, // here: wait until the publisher's task wakes us
//!         Read::TooSlow => break,  // here: close, and tell the output's machine
//!         Read::FormatChanged => break, // the same, and it connects anew
//!         Read::Unsure => break,        // only where a backlog may be less than it says
//!     }
//! }
//! assert!(cursor.has_started());
//! ```
//!
//! The output's machine is told what happens, and says what to do:
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use broadcast::{Action, Event, OutputMachine, Reason, StartPolicy, State};
//!
//! let now = Instant::now();
//! let random = 1 << 63; // a fresh draw for every call
//! let mut output = OutputMachine::new(now, StartPolicy::FirstKeyframe);
//! assert_eq!(output.handle(now, Event::Start, random), Some(Action::Connect));
//! let refused = Event::Failed { reason: Reason::ConnectRefused, words: None };
//! assert_eq!(output.handle(now, refused, random), None);
//! assert_eq!(output.status().state, State::Backoff);
//!
//! let retry = output.next_timeout().unwrap();
//! assert_eq!(retry, now + Duration::from_millis(750));
//! assert_eq!(output.handle_timeout(retry, random), Some(Action::Connect));
//! ```

mod backoff;
mod budget;
mod cursor;
mod gate;
mod ingest;
mod lag;
mod log;
mod meter;
mod output;
mod quota;
mod reconcile;
mod revision;
mod seat;
#[cfg(test)]
mod testing;
mod timeline;

pub use backoff::{Backoff, Pace};
pub use budget::{Budget, DEFAULT_BUDGET};
pub use cursor::{
    AUDIO_ALONE, Backlog, CACHED_GOP_AGE, CATCH_UP_MAX, Cursor, FIRST_KEYFRAME_LAG, Need,
    RESUME_LAG, Read, Room, SendItem, Skipped, StartPolicy, Stride,
};
pub use gate::{GATE_BURST, GATE_INTERVAL, GATE_WAIT_MAX, Gate};
pub use ingest::{
    AudioFacts, BITRATE_RECOMMENDED, DRIFT_MAX_MS, FRAME_RATE_LOW, Ingest, IngestFacts,
    KEYFRAMES_RARE, KEYFRAMES_TOO_RARE, MISSING_AFTER, NEWS_AFTER, Onsets, SILENT_AFTER,
    VideoFacts, Warning,
};
pub use lag::{LAG_MAX, LAG_MAX_BYTES, Lag};
pub use log::{
    ENTRY_COST, Entry, HEADER_MAX_BYTES, HEADERS_MAX, Header, Headers, LOG_MAX_AGE, LOG_MAX_BYTES,
    Log, METADATA_MAX_BYTES, SEAM_MAX, SEAM_MAX_BYTES,
};
pub use meter::{METER_WINDOW, Meter};
pub use output::{
    ATTEMPT_MAX, Action, Event, Failure, OutputMachine, OutputWarning, Reason, STABLE_AFTER,
    STALL_MAX, STALL_SHOWN, State, Status, Step, WORDS_MAX,
};
pub use quota::{
    DEFAULT_ACCOUNT_INPUTS, DEFAULT_ACCOUNT_MBPS, DEFAULT_ACCOUNT_OUTPUTS, EXCESS_MAX, Excess,
    Quota, Usage,
};
pub use reconcile::{Change, Wanted, reconcile};
pub use revision::{Revision, RevisionGuard, Verdict};
pub use seat::{Claim, Left, Rules, SENDING_WITHIN, Seat, Seated, TAKEOVER_INTERVAL, Taken};
pub use timeline::{
    BEGIN_MAX, Frame, JUMP, Media, Placed, SLIP_MAX, STRAY_MAX, TIMELINE_START, Timeline,
};
