//! Why an exchange with the control plane failed.

use std::error::Error;
use std::time::Duration;

/// Why an exchange with the control plane failed. The texts name no URL, and nothing that was sent
/// or received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The socket ended, with or without a goodbye.
    #[error("the connection was closed")]
    Closed,
    /// A report on the socket was not answered.
    #[error("no answer to a report for {} s", .0.as_secs())]
    Mute(Duration),
    /// Nothing at all came from the socket, not even answers to pings.
    #[error("not a sign of life for {} s", .0.as_secs())]
    Silent(Duration),
    /// An HTTP status that none of the others explains.
    #[error("the control plane answered with HTTP status {0}")]
    Status(u16),
    /// An exchange over HTTP or the opening of the socket took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// An answer over its bound.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The token is wrong, or not this node's.
    #[error("the control plane refuses this node's token (HTTP status {0})")]
    Unauthorised(u16),
    /// No connection, or none that lasted.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is not what the link speaks of.
    #[error("the answer cannot be read: {0}")]
    Unreadable(Unreadable),
}

impl Failure {
    /// What an HTTP status other than the hoped-for one means.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::Unauthorised(status),
            _ => Self::Status(status),
        }
    }

    /// What an error of the network means: the innermost reason, which says most.
    pub(super) fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let mut innermost = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        Self::Unreachable(innermost.to_string())
    }
}

/// The place where a text stops to be what was expected. `serde_json`'s own words quote the text,
/// and the texts of the link hold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}")]
pub(super) struct Unreadable {
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::link::Snapshot;

    use super::*;

    #[test]
    fn an_unreadable_text_is_not_quoted() {
        let error = serde_json::from_str::<Snapshot>(r#"{"input": "hunter2"}"#).unwrap_err();
        assert!(error.to_string().contains("32 lowercase"), "{error}");
        let error =
            serde_json::from_str::<Snapshot>(r#"{"input": 1, "rev": "hunter2"}"#).unwrap_err();
        let failure = Failure::Unreadable(error.into());
        assert!(!failure.to_string().contains("hunter2"));
        assert!(failure.to_string().contains("line 1"));
    }

    #[test]
    fn the_token_is_blamed_for_its_own_statuses_only() {
        assert_eq!(Failure::of_status(401), Failure::Unauthorised(401));
        assert_eq!(Failure::of_status(403), Failure::Unauthorised(403));
        assert_eq!(Failure::of_status(404), Failure::Status(404));
        assert_eq!(Failure::of_status(503), Failure::Status(503));
    }
}
