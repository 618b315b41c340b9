//! What is stored of a status.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use shared::api::{InputError, InputState, OutputStatus, PastStatus};
use shared::id::{AccountId, Instance, OutputUid};
use shared::link::{OutputChange, OutputState, Warning};
use shared::time::{Timestamp, micros};

/// All but the outputs and the events. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Facts {
    /// Whose the input is, once it was on air.
    pub(super) account: Option<AccountId>,
    /// Who speaks for the input.
    pub(super) holder: Option<Holder>,
    /// The highest epoch that the holder has said something of the input under.
    pub(super) epoch: u64,
    /// How the input stands; none before the first encoder.
    pub(super) current: Option<PastStatus>,
    /// How it stood when its node fell silent, while it is.
    pub(super) before_silence: Option<(InputState, String)>,
    /// How it stood before, newest first.
    pub(super) history: VecDeque<PastStatus>,
    pub(super) connected_since: Option<Timestamp>,
    pub(super) encoder: Option<String>,
    pub(super) last_error: Option<InputError>,
    /// What the holder has acknowledged.
    pub(super) applied: Option<Acknowledged>,
    /// Whether the input is gone: nothing more happens to it.
    pub(super) closed: bool,
    /// The number of the newest event.
    pub(super) last_event: u64,
    /// Up to which event the account's object has them.
    pub(super) handed_through: u64,
    /// Attempts in vain to hand events over.
    pub(super) tries: u32,
    /// Not before then is it tried again.
    #[serde(with = "micros")]
    pub(super) retry_at: Timestamp,
    /// What the database has.
    pub(super) mirrored: Option<Mirror>,
    /// When it was last written there, or tried to be.
    #[serde(with = "micros")]
    pub(super) mirrored_at: Timestamp,
}

/// What the row of a live input says of its status, so that lists ask nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Mirror {
    pub(super) state: InputState,
    pub(super) since: Timestamp,
    pub(super) outputs_up: u32,
}

/// A process of a node, and how much of what it says is known.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Holder {
    pub(super) instance: Instance,
    /// The epoch under which it holds the input.
    pub(super) epoch: u64,
    /// The last of its events.
    pub(super) sequence: u64,
    /// The last piece of news of its node's object.
    pub(super) number: u64,
    /// Whether anything happened under it yet.
    pub(super) spoke: bool,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Acknowledged {
    pub(super) rev: u64,
    pub(super) unknown_wish: bool,
    /// The one before that was carried out, if any was.
    #[serde(default)]
    pub(super) before: Option<u64>,
}

impl Acknowledged {
    /// The newest `rev` that is carried out, if any is.
    pub(super) fn done(&self) -> Option<u64> {
        match self.unknown_wish {
            true => self.before,
            false => Some(self.rev),
        }
    }
}

/// What is stored of an output.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct OutputFacts {
    pub(super) output: OutputUid,
    pub(super) state: OutputState,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) since: Timestamp,
    pub(super) attempts: u32,
    pub(super) connects: u64,
    pub(super) next_retry: Option<Timestamp>,
    #[serde(default)]
    pub(super) warnings: Vec<Warning>,
}

impl OutputFacts {
    pub(super) fn new(change: OutputChange, since: Timestamp) -> Self {
        Self {
            output: change.output,
            state: change.state,
            reason: change.reason,
            message: change.message,
            since,
            attempts: change.attempts,
            connects: change.connects,
            next_retry: change.next_retry,
            warnings: change.warnings,
        }
    }

    /// Nothing to send.
    pub(super) fn idle(output: OutputUid, since: Timestamp) -> Self {
        Self {
            output,
            state: OutputState::Idle,
            reason: None,
            message: None,
            since,
            attempts: 0,
            connects: 0,
            next_retry: None,
            warnings: Vec::new(),
        }
    }

    /// Whether it has anything to do with a destination.
    pub(super) fn is_active(&self) -> bool {
        !matches!(self.state, OutputState::Idle | OutputState::Disabled)
    }

    pub(super) fn status(&self) -> OutputStatus {
        OutputStatus {
            state: self.state,
            reason: self.reason.clone(),
            message: self.message.clone(),
            since: Some(self.since),
            attempts: self.attempts,
            next_retry_at: self.next_retry,
            bytes: None,
            bitrate: None,
            skipped_ms: None,
            reconnects: self.connects.saturating_sub(1),
            warnings: self.warnings.clone(),
        }
    }

    /// What there is to say while the node that serves it is silent.
    pub(super) fn unknown(&self, since: Timestamp) -> OutputStatus {
        OutputStatus {
            state: OutputState::Unknown,
            reason: Some(super::words::NODE_SILENT.to_owned()),
            message: None,
            since: Some(since),
            next_retry_at: None,
            warnings: Vec::new(),
            ..self.status()
        }
    }
}
