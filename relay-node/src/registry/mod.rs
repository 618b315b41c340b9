//! The broadcasts on air at this node.

mod confirming;
mod figures;
mod on_air;
mod publisher;
mod publishing;
mod status;
mod teller;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use broadcast::{Budget, Quota, Revision, RevisionGuard, Usage, Verdict};
use rtmp::server::Refusal;
use shared::id::{AccountId, InputUid, Instance, NodeName, OutputUid};
use shared::link::{Applied, InputSettings, Owner, PublishRefusal, Snapshot, WantedOutput, Wish};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use publisher::{Publisher, departure};
pub use status::{BroadcastStatus, OutputStatus, Totals};

use crate::account::Account;
use crate::clock;
use crate::control::{Control, LinkState, Refused, Revs};
use crate::egress::Dialler;
use crate::hand_over::{Claimed, Rivals};
use crate::shards::Shards;
use on_air::{Ending, OnAir};

/// The meeting place: publishers come in, snapshots say what is wanted of them, outputs follow.
///
/// Everything here is decided under one lock that is never held across a wait; media does not pass
/// through it.
pub struct Registry {
    identity: Owner,
    control: Arc<Control>,
    revs: Arc<Revs>,
    dialler: Dialler,
    media: MediaRules,
    broadcasts: Mutex<Broadcasts>,
    /// What is still to be done for broadcasts that have ended.
    endings: TaskTracker,
    /// A broadcast has begun by an earlier answer of the control plane.
    unconfirmed: Notify,
    /// A broadcast has ended.
    ended: Notify,
    /// Other processes of this node.
    rivals: Arc<Rivals>,
    /// Another process takes encoders in in place of this one.
    handed_over: CancellationToken,
    /// When it was made.
    since: Instant,
}

/// What another process of this node hears that begins a broadcast.
#[derive(Debug)]
pub enum Release {
    /// The input is on air here under a higher epoch.
    Kept,
    /// From then on nothing of the input is sent from here.
    When(CancellationToken),
}

/// How the media of every broadcast is treated.
#[derive(Clone, Debug)]
pub struct MediaRules {
    /// The most bits a second that an encoder may send, if there is a bound.
    pub max_bitrate: Option<u64>,
    /// How long messages may wait to be written together.
    pub gather: Duration,
    /// What all broadcasts may hold together.
    pub budget: Budget,
    /// Where they are sent from.
    pub shards: Shards,
    /// What each account may do.
    pub quota: Quota,
}

#[derive(Default)]
struct Broadcasts {
    on_air: BTreeMap<InputUid, OnAir>,
    /// Those that have something on air, and some that had until a second ago.
    accounts: BTreeMap<AccountId, Account>,
    /// Publishers whose key is being checked.
    asking: usize,
    /// The newest snapshots that came while keys were being checked: an answer that was given
    /// before a change may arrive after it.
    early: BTreeMap<InputUid, Snapshot>,
    /// Outputs on their way out; whoever takes the place of one waits for it.
    leaving: BTreeMap<OutputUid, CancellationToken>,
    /// Broadcasts that have ended and whose outputs are not all gone yet.
    ending: BTreeMap<InputUid, CancellationToken>,
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
        media: MediaRules,
    ) -> Self {
        Self {
            identity: Owner { node, instance },
            control: Arc::new(control),
            revs,
            dialler,
            media,
            broadcasts: Mutex::default(),
            endings: TaskTracker::new(),
            unconfirmed: Notify::new(),
            ended: Notify::new(),
            rivals: Arc::default(),
            handed_over: CancellationToken::new(),
            since: clock::now(),
        }
    }

    /// The system whose own outputs are refused as encoders.
    pub(crate) fn system(&self) -> Option<Arc<str>> {
        self.dialler.system().cloned()
    }

    /// Applies a snapshot that came from the control plane.
    pub fn apply(self: &Arc<Self>, snapshot: Snapshot) {
        let mut broadcasts = self.lock();
        if broadcasts.asking > 0 {
            broadcasts.note_early(&snapshot);
        }
        let input = snapshot.input;
        let Some(on_air) = broadcasts.on_air.get_mut(&input) else {
            self.control.applied(nothing_on_air(&snapshot));
            return;
        };
        if on_air.is_unconfirmed() {
            // Whose it is will be asked; what nobody may publish need not wait for that.
            if let Err(refusal) = wish_for(&snapshot, on_air.key)
                && snapshot.rev >= on_air.guard.applied().rev
            {
                self.end(&mut broadcasts, input, Ending::Cut(refusal));
                self.control.applied(nothing_on_air(&snapshot));
            }
            return;
        }
        match on_air
            .guard
            .admit(revision(&snapshot), self.owns(&snapshot))
        {
            Verdict::Fenced => {
                // Another process of this node waits until the outputs have sent the rest.
                let is_here = snapshot
                    .owner
                    .as_ref()
                    .is_some_and(|owner| owner.node == self.identity.node);
                let why = match is_here {
                    true => Ending::Moved,
                    false => Ending::Cut(Refusal::Replaced),
                };
                self.end(&mut broadcasts, input, why);
            }
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
                    Ok(wanted) => self.obey(&mut broadcasts, &snapshot, wanted),
                }
            }
        }
    }

    /// Brings a broadcast to what a snapshot, already admitted, wants of it.
    fn obey(
        self: &Arc<Self>,
        broadcasts: &mut Broadcasts,
        snapshot: &Snapshot,
        wanted: Option<Relay<'_>>,
    ) {
        let input = snapshot.input;
        let Broadcasts {
            on_air, leaving, ..
        } = broadcasts;
        let Some(on_air) = on_air.get_mut(&input) else {
            return;
        };
        on_air.teller().under(snapshot.epoch);
        on_air.unknown_wish = wanted.is_none();
        match wanted {
            Some(Relay { outputs, settings }) => {
                on_air.treat(settings);
                on_air.reconcile(outputs, leaving, OnAir::LATER);
            }
            None => tracing::warn!(
                %input,
                rev = snapshot.rev,
                "wish of a newer control plane: all goes on as before"
            ),
        }
        self.revs.set(input, snapshot.rev);
        self.control.applied(on_air.acknowledgement());
        self.watch_window(input, on_air);
    }

    /// The other processes of this node.
    pub fn rivals(&self) -> &Arc<Rivals> {
        &self.rivals
    }

    /// Cancelled when another process takes encoders in in place of this one.
    pub fn handed_over(&self) -> &CancellationToken {
        &self.handed_over
    }

    /// Which process of the node this is.
    pub fn instance(&self) -> Instance {
        self.identity.instance
    }

    /// Lets go of an input that another process of this node begins to send, under `epoch`.
    pub fn release(&self, input: InputUid, epoch: u64) -> Release {
        let mut broadcasts = self.lock();
        if let Some(on_air) = broadcasts.on_air.get(&input) {
            // A file's epochs belong to the process that counts them: there the newest word counts.
            let is_static = self.link() == LinkState::Static;
            if !is_static && on_air.guard.applied().epoch > epoch {
                return Release::Kept;
            }
            self.end(&mut broadcasts, input, Ending::Moved);
        }
        let gone = broadcasts.ending.get(&input).cloned();
        Release::When(gone.unwrap_or_else(|| {
            let gone = CancellationToken::new();
            gone.cancel();
            gone
        }))
    }

    /// Makes the outputs of a broadcast that is about to begin wait until no other process of this
    /// node sends the input.
    fn claim(
        self: &Arc<Self>,
        input: InputUid,
        epoch: u64,
        outputs: &[WantedOutput],
        leaving: &mut BTreeMap<OutputUid, CancellationToken>,
    ) {
        let Some(claimed) = self.rivals.claim(input, epoch) else {
            return;
        };
        let mut places = Vec::with_capacity(outputs.len());
        for output in outputs {
            let free = CancellationToken::new();
            let before = leaving.insert(output.uid, free.clone());
            places.push((before, free.drop_guard()));
        }
        let registry = Arc::clone(self);
        tokio::spawn(async move {
            if claimed.await == Claimed::Kept {
                let mut broadcasts = registry.lock();
                let is_it = |on_air: &OnAir| on_air.guard.applied().epoch <= epoch;
                if broadcasts.on_air.get(&input).is_some_and(is_it) {
                    registry.end(&mut broadcasts, input, Ending::Cut(Refusal::Replaced));
                }
            }
            for (before, free) in places {
                if let Some(before) = before {
                    before.cancelled().await;
                }
                drop(free);
            }
        });
    }

    /// Waits until nothing is on air.
    pub async fn silence(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().on_air.is_empty() {
                return;
            }
            ended.await;
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

    /// Waits until everything that carries broadcasts has shown that it is not stuck.
    pub async fn respond(&self) {
        drop(self.lock());
        self.media.shards.respond().await;
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

    /// Every account with something on air, and what it does.
    pub fn accounts(&self) -> Vec<(AccountId, Usage)> {
        let broadcasts = self.lock();
        let accounts = broadcasts.accounts.values();
        accounts
            .map(|account| (account.id(), account.usage()))
            .collect()
    }

    /// What this node has done since it started.
    pub fn totals(&self) -> Totals {
        let broadcasts = self.lock();
        let mut totals = broadcasts.totals;
        totals.held = self.media.budget.used() as u64;
        for on_air in broadcasts.on_air.values() {
            totals.add(on_air);
        }
        totals
    }

    /// What a snapshot wants of this node, if the node knows this kind of wish; or why it wants
    /// nothing of it or of a publisher with that `key`.
    fn verdict_on<'s>(
        &self,
        snapshot: &'s Snapshot,
        key: u64,
    ) -> Result<Option<Relay<'s>>, Refusal> {
        if snapshot
            .owner
            .as_ref()
            .is_some_and(|owner| *owner != self.identity)
        {
            return Err(Refusal::Replaced);
        }
        wish_for(snapshot, key)
    }

    fn owns(&self, snapshot: &Snapshot) -> bool {
        snapshot.owner.as_ref() == Some(&self.identity)
    }

    fn end(&self, broadcasts: &mut Broadcasts, input: InputUid, why: Ending) {
        let Some(on_air) = broadcasts.on_air.remove(&input) else {
            return;
        };
        self.revs.remove(input);
        broadcasts.totals.add(&on_air);
        let epoch = on_air.guard.applied().epoch;
        tracing::info!(
            %input,
            epoch,
            reason = publisher::reason(why.departure()),
            seconds = on_air.since.elapsed().as_secs(),
            received_bytes = on_air.feed.received(clock::now()).0,
            "broadcast ends",
        );
        let teller = on_air.teller().clone();
        let gone = on_air.end(why, &mut broadcasts.leaving);
        let all_gone = CancellationToken::new();
        broadcasts.ending.retain(|_, gone| !gone.is_cancelled());
        broadcasts.ending.insert(input, all_gone.clone());
        let all_gone = all_gone.drop_guard();
        self.ended.notify_waiters();
        self.endings.spawn(async move {
            for output in gone {
                output.cancelled().await;
            }
            drop(all_gone);
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
    /// A snapshot of an answer, or what overtook it while the key was being checked.
    fn newest(
        &self,
        answered: Snapshot,
        owns: impl Fn(&Snapshot) -> bool,
    ) -> Result<Snapshot, Refusal> {
        let Some(early) = self.early.get(&answered.input) else {
            return Ok(answered);
        };
        let guard = &mut RevisionGuard::new(revision(&answered));
        match guard.admit(revision(early), owns(early)) {
            Verdict::Apply => Ok(early.clone()),
            Verdict::Fenced => Err(Refusal::Replaced),
            Verdict::Acknowledge | Verdict::Overtaken => Ok(answered),
        }
    }

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

/// What a snapshot wants that wants the input relayed.
struct Relay<'s> {
    outputs: &'s [WantedOutput],
    settings: &'s InputSettings,
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

/// What a snapshot wants of a publisher with that `key`, whoever owns the broadcast.
fn wish_for(snapshot: &Snapshot, key: u64) -> Result<Option<Relay<'_>>, Refusal> {
    match &snapshot.wish {
        Wish::Deleted => Err(Refusal::Deleted),
        Wish::Disabled => Err(Refusal::Disabled),
        Wish::Relay { .. } | Wish::Unknown if key < snapshot.oldest_key => {
            Err(Refusal::KeyReplaced)
        }
        Wish::Relay { outputs, settings } => Ok(Some(Relay { outputs, settings })),
        Wish::Unknown => Ok(None),
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
        Refused::Unavailable => Refusal::ControlUnreachable,
    }
}

#[cfg(test)]
pub(crate) mod tests;
