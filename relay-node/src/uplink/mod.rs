//! The node's side of the link to the control plane.

use shared::id::InputUid;
use shared::link::{Applied, Snapshot};
use shared::secret::Secret;

use crate::control::{LinkState, Refused};

/// The running uplink, as the node sees it.
pub struct Handle(());

impl Handle {
    /// Asks the control plane whether `key` may publish.
    pub async fn authorise(&self, _key: &Secret) -> Result<Snapshot, Refused> {
        Err(Refused::Unavailable)
    }

    /// Acknowledges a snapshot.
    pub fn applied(&self, _applied: Applied) {}

    /// Reports that a broadcast is over.
    pub fn ended(&self, _input: InputUid, _epoch: u64) {}

    /// How changes reach the node at this moment.
    pub fn state(&self) -> LinkState {
        LinkState::Down
    }
}
