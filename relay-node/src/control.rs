//! Who decides what the node relays: the control plane, or a file.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use shared::id::InputUid;
use shared::link::{Applied, PublishRefusal, Snapshot, What};
use shared::secret::Secret;
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::{static_control, uplink};

/// The decider, asked for each publisher. What it decides later comes through the channel of
/// [`Snapshot`]s that the node was given together with it.
pub enum Control {
    /// A file read at start.
    Static(static_control::Handle),
    /// The control plane.
    Uplink(uplink::Handle),
}

impl Control {
    /// May an encoder publish with this key? The answer is everything the node must know of the
    /// input, under the epoch that makes this node its owner.
    pub async fn authorise(&self, key: &Secret) -> Result<Accepted, Refused> {
        match self {
            Self::Static(handle) => handle.authorise(key),
            Self::Uplink(handle) => handle.authorise(key).await,
        }
    }

    /// The input that a key is for, if it is genuine: what is said of it to whoever has the key must
    /// not depend on whether it is.
    pub fn input_of(&self, key: &Secret) -> Option<InputUid> {
        match self {
            Self::Static(handle) => handle.input_of(key),
            Self::Uplink(_) => {
                let key: StreamKey = key.expose().parse().ok()?;
                Some(key.input())
            }
        }
    }

    /// Asks anew about a key that publishes by an earlier answer; what is remembered is none.
    pub async fn confirm(&self, key: &Secret) -> Result<Accepted, Refused> {
        match self {
            Self::Static(handle) => handle.authorise(key),
            Self::Uplink(handle) => handle.confirm(key).await,
        }
    }

    /// Waits until the decider can be asked again, as far as that is seen.
    pub async fn reached(&self) {
        match self {
            Self::Static(_) => {}
            Self::Uplink(handle) => handle.reached().await,
        }
    }

    /// Tells that a snapshot took effect, or that nothing of its input is on air here.
    pub fn applied(&self, applied: Applied) {
        match self {
            Self::Static(_) => {}
            Self::Uplink(handle) => handle.applied(applied),
        }
    }

    /// Tells that something happened `at` that time to `input` under `epoch`.
    pub fn tell(&self, input: InputUid, epoch: u64, at: Timestamp, what: What) {
        match self {
            Self::Static(_) => {}
            Self::Uplink(handle) => handle.tell(input, epoch, at, what),
        }
    }

    /// How changes reach the node at this moment.
    pub fn state(&self) -> LinkState {
        match self {
            Self::Static(_) => LinkState::Static,
            Self::Uplink(handle) => handle.state(),
        }
    }
}

/// How changes reach the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Over the socket.
    Connected,
    /// Not at all: neither the socket nor a poll gets through.
    Down,
    /// By polls: the socket is down.
    Polling,
    /// There are none: the node runs from a file.
    Static,
}

/// A key that may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Everything the node must know of its input.
    pub snapshot: Snapshot,
    /// The key's number, to be compared with [`Snapshot::oldest_key`].
    pub key: u64,
    /// Whether it is an earlier answer, since nobody can be asked: it must be
    /// [confirmed](Control::confirm), and makes nobody an owner.
    pub cached: bool,
}

/// Why a key may not publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The control plane says no.
    #[error(transparent)]
    Denied(PublishRefusal),
    /// The control plane could not be asked, or gave no usable answer in time.
    #[error("the service cannot check stream keys at this moment: try again in a minute")]
    Unavailable,
}

/// The inputs on air here and the `rev` applied of each: written by the node, read by the uplink
/// for its reports.
#[derive(Debug, Default)]
pub struct Revs(Mutex<BTreeMap<InputUid, u64>>);

impl Revs {
    /// Notes that `rev` of `input` is applied.
    pub fn set(&self, input: InputUid, rev: u64) {
        self.lock().insert(input, rev);
    }

    /// Notes that nothing of `input` is on air.
    pub fn remove(&self, input: InputUid) {
        self.lock().remove(&input);
    }

    /// All of them, as a report carries them.
    pub fn all(&self) -> BTreeMap<InputUid, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InputUid, u64>> {
        // Each change is one map operation, so a poisoned map is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
