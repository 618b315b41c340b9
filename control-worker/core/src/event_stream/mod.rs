//! The event streams: what the WebSockets of an input's object and of an account's are told, and when
//! they are closed.
//!
//! A socket survives the memory of its object. So all that is known of it is a [`Client`], which is
//! kept with the socket; whatever it is told can be read again from the object's own database, where
//! the number of the last event that it was sent says what comes next. What a client has not read
//! waits there and not in memory: see [`WINDOW`].

mod client;
mod frame;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::api::EventId;
use shared::id::{AccountId, InputUid};

pub use self::client::{Client, Heard, Start, StoredEvent, alarm, displaced, is_full};
pub use self::frame::{PING, PONG, account_change, deleted, state};
use crate::auth::TokenId;

/// What the Worker tells an object of a socket that it opens there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Opening {
    /// Whose the stream is.
    pub account: AccountId,
    /// The token that opens it, which the database found good; none where the first frame is to
    /// bring one.
    pub token: Option<TokenId>,
    /// The last event that the client has seen.
    pub since: Option<EventId>,
}

/// What was done to a live input, as the account's stream tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputChange {
    /// It is new.
    Created,
    /// It is gone.
    Deleted,
    /// It or its outputs are configured anew.
    Updated,
}

/// A live input was changed, on the way to the object of its account (`POST /changed`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AccountChange {
    /// The live input.
    pub input: InputUid,
    /// What was done to it.
    pub change: InputChange,
}

/// Why a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The live input is gone.
    Deleted,
    /// Nobody can say whether the token is still good.
    Failed,
    /// The client sent what is not understood.
    NotUnderstood,
    /// The client does not read what it is sent.
    TooSlow,
    /// The object has as many sockets as it may.
    TooMany,
    /// No token came, or it may not see the stream, or no longer.
    Unauthorised,
}

impl Close {
    /// The code of the close frame.
    pub fn code(self) -> u16 {
        match self {
            Self::Deleted => 1000,
            Self::NotUnderstood => 1008,
            Self::Failed => 1011,
            Self::TooMany | Self::TooSlow => 1013,
            Self::Unauthorised => 4401,
        }
    }

    /// Its reason, a sentence for a person, of at most 123 bytes.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Deleted => "The live input was deleted.",
            Self::Failed => "The token cannot be checked now: connect again.",
            Self::NotUnderstood => "This frame is not understood: send what docs/api.md names.",
            Self::TooMany => "There are as many event streams here as there may be: close one.",
            Self::TooSlow => {
                "What was sent is not confirmed: answer `echo` frames, and resume with `since`."
            }
            Self::Unauthorised => {
                "Not authorised: send a good token that has Stream Read within 5 s."
            }
        }
    }
}

/// How long a client has to say who it is: a round trip to anywhere, and a slow phone.
pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the database is asked whether tokens are still good: twice within what is promised.
pub const CHECK_EVERY: Duration = Duration::from_secs(30);

/// A socket whose token was not found good for so long is closed: what is promised of a token that
/// is taken away.
pub const CHECKED_WITHIN: Duration = Duration::from_secs(60);

/// Before the database is asked again that did not answer, and between alarms that found something
/// overdue.
pub const RETRY: Duration = Duration::from_secs(5);

/// Clients of an object, each with a token that was found good. More are refused: with the most
/// that each may leave unread, they are an eighth of an object's memory.
pub const MAX_CLIENTS: usize = 64;

/// Sockets of an object that have not said who they are. One more closes the oldest of them: whoever
/// opens many and says nothing keeps nobody out who speaks at once.
pub const MAX_WAITING: usize = 16;

/// Bytes that a client may be sent and have not confirmed. Then it is sent no more until it has: the
/// platform keeps in memory whatever a connection does not take.
pub const WINDOW: u32 = 256 * 1024;

/// Bytes after which a client is asked to confirm: often enough that one which does never waits.
const ECHO_AFTER: u32 = WINDOW / 4;

/// A client whose window is full and that has not confirmed anything for so long does not read.
pub const ECHO_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a frame of a client. A token and an event's id are a tenth of it.
pub const MAX_CLIENT_FRAME: usize = 2048;

/// Events that are read at once for a client: some fifty kilobytes.
pub const EVENTS_AT_ONCE: u32 = 100;
