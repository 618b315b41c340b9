//! The broadcasts on air at this node.

mod on_air;
mod publisher;
mod status;
mod teller;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broadcast::{Revision, RevisionGuard, Verdict};
use rtmp::server::Refusal;
use shared::id::{InputUid, Instance, NodeName, OutputUid};
use shared::link::{Applied, Departure, Owner, PublishRefusal, Snapshot, WantedOutput, Wish};
use shared::secret::Secret;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use publisher::{Publisher, departure};
pub use status::{BroadcastStatus, OutputStatus, Totals};

use crate::control::{Accepted, Control, LinkState, Refused, Revs};
use crate::egress::Dialler;
use crate::feed::{Encoder, Feed};
use on_air::{Ending, OnAir};
use teller::Teller;

/// The meeting place: publishers come in, snapshots say what is wanted of them, outputs follow.
///
/// Everything here is decided under one lock that is never held across a wait; media does not pass
/// through it.
pub struct Registry {
    identity: Owner,
    control: Arc<Control>,
    revs: Arc<Revs>,
    dialler: Dialler,
    broadcasts: Mutex<Broadcasts>,
    /// What is still to be done for broadcasts that have ended.
    endings: TaskTracker,
}

#[derive(Default)]
struct Broadcasts {
    on_air: BTreeMap<InputUid, OnAir>,
    /// Publishers whose key is being checked.
    asking: usize,
    /// The newest snapshots that came while keys were being checked: an answer that was given
    /// before a change may arrive after it.
    early: BTreeMap<InputUid, Snapshot>,
    /// Outputs on their way out; whoever takes the place of one waits for it.
    leaving: BTreeMap<OutputUid, CancellationToken>,
    sessions: u64,
    totals: Totals,
}

impl Registry {
    /// A registry without a broadcast, for one run of this node.
    pub fn new(
        node: NodeName,
        instance: Instance,
        control: Control,
        revs: Arc<Revs>,
        dialler: Dialler,
    ) -> Self {
        Self {
            identity: Owner { node, instance },
            control: Arc::new(control),
            revs,
            dialler,
            broadcasts: Mutex::default(),
            endings: TaskTracker::new(),
        }
    }

    /// Puts an encoder on air, if its key may publish: the newest publisher of an input wins.
    pub async fn publish(
        self: &Arc<Self>,
        key: Secret,
        encoder: Encoder,
    ) -> Result<Publisher, Refusal> {
        let asking = Asking::begin(self);
        let Accepted { mut snapshot, key } = match self.control.authorise(&key).await {
            Ok(accepted) => accepted,
            Err(refused) => return Err(refusal(refused)),
        };
        let mut broadcasts = self.lock();
        if let Some(early) = broadcasts.early.get(&snapshot.input) {
            match RevisionGuard::new(revision(&snapshot)).admit(revision(early)) {
                Verdict::Apply => snapshot = early.clone(),
                Verdict::Fenced => return Err(Refusal::Replaced),
                Verdict::Acknowledge | Verdict::Overtaken => {}
            }
        }
        let publisher = self.go_on_air(&mut broadcasts, snapshot, key, encoder);
        drop(broadcasts);
        drop(asking);
        publisher
    }

    /// Applies a snapshot that came from the control plane.
    pub fn apply(&self, snapshot: Snapshot) {
        let mut broadcasts = self.lock();
        if broadcasts.asking > 0 {
            broadcasts.note_early(&snapshot);
        }
        let input = snapshot.input;
        let Some(on_air) = broadcasts.on_air.get_mut(&input) else {
            self.control.applied(nothing_on_air(&snapshot));
            return;
        };
        match on_air.guard.admit(revision(&snapshot)) {
            Verdict::Fenced => self.end(&mut broadcasts, input, Ending::Cut(Refusal::Replaced)),
            Verdict::Acknowledge | Verdict::Overtaken => {
                self.control.applied(on_air.acknowledgement())
            }
            Verdict::Apply => {
                tracing::debug!(%input, rev = snapshot.rev, "snapshot");
                match self.verdict_on(&snapshot, on_air.key) {
                    Err(refusal) => {
                        self.end(&mut broadcasts, input, Ending::Cut(refusal));
                        self.control.applied(nothing_on_air(&snapshot));
                    }
                    Ok(wanted) => {
                        let Broadcasts {
                            on_air, leaving, ..
                        } = &mut *broadcasts;
                        if let Some(on_air) = on_air.get_mut(&input) {
                            on_air.unknown_wish = wanted.is_none();
                            match wanted {
                                Some(outputs) => {
                                    on_air.reconcile(outputs, &self.dialler, leaving, OnAir::LATER);
                                }
                                None => tracing::warn!(
                                    %input,
                                    rev = snapshot.rev,
                                    "wish of a newer control plane: all goes on as before"
                                ),
                            }
                            self.revs.set(input, snapshot.rev);
                            self.control.applied(on_air.acknowledgement());
                        }
                    }
                }
            }
        }
    }

    /// Ends every broadcast, cleanly, and waits until nothing is left of them.
    pub async fn shut_down(&self) {
        {
            let mut broadcasts = self.lock();
            let inputs: Vec<_> = broadcasts.on_air.keys().copied().collect();
            for input in inputs {
                self.end(&mut broadcasts, input, Ending::Cut(Refusal::ShuttingDown));
            }
        }
        self.endings.close();
        self.endings.wait().await;
    }

    /// How changes reach this node.
    pub fn link(&self) -> LinkState {
        self.control.state()
    }

    /// Every broadcast on air, in the order of the inputs.
    pub fn status(&self) -> Vec<BroadcastStatus> {
        let broadcasts = self.lock();
        broadcasts
            .on_air
            .iter()
            .map(|(input, on_air)| status::of(*input, on_air))
            .collect()
    }

    /// What this node has done since it started.
    pub fn totals(&self) -> Totals {
        let broadcasts = self.lock();
        let mut totals = broadcasts.totals;
        for on_air in broadcasts.on_air.values() {
            totals.add(on_air);
        }
        totals
    }

    /// The publisher of that session is gone.
    fn publisher_left(&self, input: InputUid, session: u64, why: Departure) {
        let mut broadcasts = self.lock();
        let on_air = broadcasts.on_air.get(&input);
        if on_air.is_some_and(|on_air| on_air.session == session) {
            // The reconnect window, in which a broadcast outlives its publisher, begins here.
            self.end(&mut broadcasts, input, Ending::Left(why));
        }
    }

    fn go_on_air(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        snapshot: Snapshot,
        key: u64,
        encoder: Encoder,
    ) -> Result<Publisher, Refusal> {
        let wanted = self.verdict_on(&snapshot, key)?.ok_or(Refusal::TryAgain)?;
        let input = snapshot.input;
        if let Some(other) = broadcasts.on_air.get(&input) {
            if other.guard.applied().epoch > snapshot.epoch {
                return Err(Refusal::Replaced);
            }
            self.end(broadcasts, input, Ending::Cut(Refusal::Replaced));
        }
        broadcasts.sessions += 1;
        broadcasts.totals.broadcasts += 1;
        let session = broadcasts.sessions;
        let feed = Arc::new(Feed::new(encoder));
        let (cut, cut_by) = oneshot::channel();
        let guard = RevisionGuard::new(revision(&snapshot));
        let teller = Teller::new(Arc::clone(&self.control), input, snapshot.epoch);
        teller.connected(feed.encoder(), false);
        let mut on_air = OnAir::new(input, teller, (session, key), guard, Arc::clone(&feed), cut);
        on_air.reconcile(
            wanted,
            &self.dialler,
            &mut broadcasts.leaving,
            OnAir::FROM_THE_START,
        );
        tracing::info!(%input, epoch = snapshot.epoch, rev = snapshot.rev, "broadcast begins");
        self.revs.set(input, snapshot.rev);
        self.control.applied(on_air.acknowledgement());
        broadcasts.on_air.insert(input, on_air);
        let registry = Arc::clone(self);
        Ok(Publisher::new(feed, cut_by, move |why| {
            registry.publisher_left(input, session, why);
        }))
    }

    /// What a snapshot wants of this node, if the node knows this kind of wish; or why it wants
    /// nothing of it or of a publisher with that `key`.
    fn verdict_on<'s>(
        &self,
        snapshot: &'s Snapshot,
        key: u64,
    ) -> Result<Option<&'s [WantedOutput]>, Refusal> {
        if snapshot
            .owner
            .as_ref()
            .is_some_and(|owner| *owner != self.identity)
        {
            return Err(Refusal::Replaced);
        }
        match &snapshot.wish {
            Wish::Deleted => Err(Refusal::Deleted),
            Wish::Disabled => Err(Refusal::Disabled),
            Wish::Relay { .. } | Wish::Unknown if key < snapshot.oldest_key => {
                Err(Refusal::KeyReplaced)
            }
            Wish::Relay { outputs, .. } => Ok(Some(outputs)),
            Wish::Unknown => Ok(None),
        }
    }

    fn end(&self, broadcasts: &mut Broadcasts, input: InputUid, why: Ending) {
        let Some(on_air) = broadcasts.on_air.remove(&input) else {
            return;
        };
        self.revs.remove(input);
        broadcasts.totals.add(&on_air);
        let epoch = on_air.guard.applied().epoch;
        tracing::info!(%input, epoch, "broadcast ends");
        let teller = on_air.teller().clone();
        let gone = on_air.end(why, &mut broadcasts.leaving);
        self.endings.spawn(async move {
            for output in gone {
                output.cancelled().await;
            }
            teller.ended(why.departure());
        });
    }

    fn lock(&self) -> MutexGuard<'_, Broadcasts> {
        // Every change leaves the maps whole even if it is cut short.
        self.broadcasts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broadcasts {
    fn note_early(&mut self, snapshot: &Snapshot) {
        let newer = self
            .early
            .get(&snapshot.input)
            .is_none_or(|noted| noted.rev < snapshot.rev);
        if newer {
            self.early.insert(snapshot.input, snapshot.clone());
        }
    }
}

/// A key is being checked.
struct Asking<'r>(&'r Registry);

impl<'r> Asking<'r> {
    fn begin(registry: &'r Registry) -> Self {
        registry.lock().asking += 1;
        Self(registry)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut broadcasts = self.0.lock();
        broadcasts.asking -= 1;
        if broadcasts.asking == 0 {
            broadcasts.early.clear();
        }
    }
}

/// The acknowledgement of a snapshot whose input is not on air here, now or any more.
fn nothing_on_air(snapshot: &Snapshot) -> Applied {
    Applied {
        input: snapshot.input,
        rev: snapshot.rev,
        unsupported: Vec::new(),
        unknown_wish: snapshot.wish == Wish::Unknown,
    }
}

fn revision(snapshot: &Snapshot) -> Revision {
    Revision {
        epoch: snapshot.epoch,
        rev: snapshot.rev,
    }
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Denied(PublishRefusal::Disabled) => Refusal::Disabled,
        Refused::Denied(PublishRefusal::UnknownKey | PublishRefusal::Unknown) => {
            Refusal::UnknownKey
        }
        Refused::Unavailable => Refusal::TryAgain,
    }
}

#[cfg(test)]
mod tests;
