//! How a connection to a destination, or an attempt at one, can end.

use std::io;

use broadcast::Reason;
use rtmp::ProtocolError;
use rtmp::client::{ClientError, Words};
use rtmp::server::LOOP;

use super::DialError;

/// How a connection or an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The output's state machine ended it.
    Aborted,
    /// By the destination or on the way to it.
    Failed {
        reason: Reason,
        /// The destination's own, if it said any.
        words: Option<String>,
    },
    /// By ourselves, because what comes next is of another format.
    Renewed,
    /// By our own wish.
    Stopped,
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self::Failed {
            reason,
            words: None,
        }
    }
}

impl From<DialError> for End {
    fn from(DialError { reason, words }: DialError) -> Self {
        Self::Failed { reason, words }
    }
}

impl End {
    /// The destination does not let the output publish.
    pub(super) fn refused(words: Words) -> Self {
        let reason = match words.code.as_str() {
            LOOP => Reason::Loop,
            code if code.contains("BadName") => Reason::BadName,
            _ => Reason::Rejected,
        };
        Self::Failed {
            reason,
            words: text(words),
        }
    }

    /// The destination has ended the stream.
    pub(super) fn closed(words: Words) -> Self {
        Self::Failed {
            reason: Reason::ClosedByPeer,
            words: text(words),
        }
    }

    /// The connection broke.
    pub(super) fn lost(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Reason::Stalled.into(),
            kind => Self::Failed {
                reason: Reason::ClosedByPeer,
                words: Some(kind.to_string()),
            },
        }
    }

    /// The destination does not speak RTMP as it should, or not in time.
    pub(super) fn misbehaved(error: &ClientError) -> Self {
        let reason = match error {
            ClientError::HandshakeTimeout => Reason::HandshakeTimeout,
            ClientError::AnswerTimeout { .. } => Reason::PublishTimeout,
            ClientError::Protocol(ProtocolError::Handshake(_)) => Reason::HandshakeFailed,
            _ => Reason::ProtocolError,
        };
        Self::Failed {
            reason,
            words: Some(error.to_string()),
        }
    }
}

/// What the destination said, on one line.
fn text(words: Words) -> Option<String> {
    let Words {
        code, description, ..
    } = words;
    match (code.is_empty(), description.is_empty()) {
        (true, true) => None,
        (false, true) => Some(code),
        (true, false) => Some(description),
        (false, false) => Some(format!("{code}: {description}")),
    }
}
