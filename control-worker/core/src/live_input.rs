//! The rules of the object that every change of a live input goes through.
//!
//! It is the only one to write the input's rows and to issue its `rev`s. Each operation here runs
//! from its first step to its last under one lock of the caller's, taken before the state is read:
//! one change at a time. All effects go through [`Host`]; if the object dies between two of them,
//! what it stored before is enough for [`alarm`] to finish the work:
//!
//! 1. A `rev` is issued and stored as the *intent*, with an alarm, before the database is asked.
//! 2. The database makes the change and writes the `rev` in one batch, or does nothing.
//! 3. If it does not answer, its state is read back with a *fence*: the transaction that reads also
//!    writes a higher `rev`, so that the batch cannot take effect later. What is read is the truth.
//! 4. The intent goes, and the nodes that must know are stored with it, in one write. Each leaves
//!    that list when its object has taken the snapshot over, which then answers for delivery.
//!
//! What goes on meanwhile stands in a [`StatusBook`], which is stored with the state, in one write.

mod telling;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::{InputUid, NodeName};
use shared::link::{Owner, PublishAnswer, PublishRefusal, Snapshot};
use shared::time::{Timestamp, optional_micros};

use crate::auth::TokenId;
use crate::change::{ChangeAnswer, ChangeRequest, Outcome};
use crate::keys::{Keyring, Unsealable};
use crate::node_link::{Handed, Via};
use crate::snapshot;
use crate::sql::{self, InputRow, Param, PublishCheck, Statement, Wanted};
use crate::status::{Kept, StatusBook};
use crate::trouble::Trouble;

/// What the object must be able to do. Each effect is complete when it returns.
#[allow(
    async_fn_in_trait,
    reason = "objects are single-threaded, futures need not be Send"
)]
pub trait Host {
    /// Why an effect failed.
    type Error;

    /// What the database answers.
    type Results: sql::Results;

    /// Sets the alarm to ring after `alarm`, or takes it away if none; then stores `state`, and
    /// what changed of the status, in one write.
    async fn store(
        &self,
        state: &LiveInputState,
        status: Kept,
        alarm: Option<Duration>,
    ) -> Result<(), Self::Error>;

    /// Deletes all that is stored, and the alarm.
    async fn forget(&self) -> Result<(), Self::Error>;

    /// Runs a batch, one transaction. Any error, a time-out included, means that it may or may not
    /// have taken effect.
    async fn run(&self, batch: Vec<Statement>) -> Result<Self::Results, Self::Error>;

    /// Gives a snapshot to the object of a node. Returns once that object has stored it.
    async fn hand(&self, node: &NodeName, handed: Handed) -> Result<(), Self::Error>;
}

/// What the object stores. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct LiveInputState {
    /// The live input.
    input: InputUid,
    /// The highest `rev` issued.
    rev: u64,
    /// Rises with each owner.
    epoch: u64,
    /// Who holds the broadcast.
    owner: Option<Owner>,
    /// The `rev` of a change that the database was asked for and whose end was not seen.
    intent: Option<u64>,
    /// Nodes whose objects must still be given the newest snapshot.
    handover: BTreeSet<NodeName>,
    /// Alarms that rang in vain since the last success.
    tries: u32,
    /// Until when a key that was replaced is honoured.
    #[serde(default, with = "optional_micros")]
    overlap: Option<Timestamp>,
    /// The `rev` of the last change whose end was seen.
    #[serde(default)]
    configured: u64,
    /// When the alarm must ring for this work, if any is left.
    #[serde(default, with = "optional_micros")]
    due: Option<Timestamp>,
}

/// A node asks for a live input on behalf of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Publish {
    /// The relay token that asks; the statements check it again.
    pub token: TokenId,
    /// Who would hold the broadcast.
    pub owner: Owner,
    /// The number of the key that was checked.
    #[serde(default)]
    pub key: u64,
}

/// The answer to [`Publish`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishOutcome {
    /// What the node is told.
    Answer(PublishAnswer),
    /// The relay token was revoked after it was looked up.
    TokenRevoked,
}

/// A node's object asks about an input that the node has on air.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ask {
    /// The live input.
    pub input: InputUid,
    /// Who has it on air.
    pub holder: Owner,
    /// The `rev` that it has applied.
    pub rev: u64,
}

/// The object of one live input, while an operation runs.
pub struct LiveInput<'a, H> {
    /// What is stored, read under the lock; [`LiveInputState::new`] if nothing is.
    pub state: LiveInputState,
    /// What is known of what goes on, read with it; [`StatusBook::new`] if nothing is.
    pub status: StatusBook,
    /// The way to everything outside.
    pub host: &'a H,
    /// The operator's keys.
    pub keyring: &'a Keyring,
    /// When the operation runs.
    pub now: Timestamp,
}

impl LiveInputState {
    /// The state of an object that has stored nothing.
    pub fn new(input: InputUid) -> Self {
        Self {
            input,
            rev: 0,
            epoch: 0,
            owner: None,
            intent: None,
            handover: BTreeSet::new(),
            tries: 0,
            overlap: None,
            configured: 0,
            due: None,
        }
    }

    /// Who holds the broadcast, if the input is on air.
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// The `rev` of the last change of what is configured.
    pub fn configured(&self) -> u64 {
        self.configured
    }

    /// In how long the alarm must ring, if work is left or will come.
    fn again(&self) -> Option<Duration> {
        self.work_left().then(|| {
            let factor = 1 << self.tries.min(MAX_ALARM_DOUBLINGS);
            FIRST_ALARM * factor
        })
    }

    fn work_left(&self) -> bool {
        self.intent.is_some() || !self.handover.is_empty()
    }

    /// When a publisher may have to be cut, because it may have come with a key that was replaced.
    fn overlap_on_air(&self) -> Option<Timestamp> {
        self.overlap.filter(|_| self.owner.is_some())
    }

    fn issue(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    /// The owner's node must be given the newest snapshot.
    fn tell_owner(&mut self) {
        let node = self.owner.as_ref().map(|owner| owner.node.clone());
        self.handover.extend(node);
    }
}

impl<H: Host> LiveInput<'_, H> {
    /// Makes a change, or says why not.
    ///
    /// # Errors
    ///
    /// Only where the object cannot store: then nothing was asked of the database, or the alarm
    /// resolves it.
    pub async fn change(
        mut self,
        request: &ChangeRequest,
    ) -> Result<ChangeAnswer, Trouble<H::Error>> {
        if self.state.intent.is_some() {
            // An earlier change may still arrive at the database. Until that is ruled out, no
            // answer of it is the last word.
            let Ok(wanted) = self.read_back().await else {
                return Ok(ChangeAnswer::NotMade);
            };
            self.settle(&wanted, true).await?;
        }
        let mut rev = self.begin().await?;
        let mut outcome = self.run_change(request, rev).await;
        if let Ok(Outcome::Behind(current)) = outcome {
            // The object has lost its memory, the database has not: go on from there.
            self.state.rev = current;
            rev = self.begin().await?;
            outcome = self.run_change(request, rev).await;
        }
        let (answer, wanted, changed) = match outcome {
            Ok(Outcome::Changed(wanted)) => (request.answer(&wanted), wanted, true),
            Ok(Outcome::Refused(refusal, wanted)) => {
                (ChangeAnswer::Refused(refusal), wanted, false)
            }
            Ok(Outcome::Repeated(made, wanted)) => (ChangeAnswer::Repeated(made), wanted, false),
            Ok(Outcome::Behind(_)) | Err(_) => {
                let Ok(wanted) = self.read_back().await else {
                    return Ok(ChangeAnswer::Undecided);
                };
                let answer = if request.was_made(rev, &wanted) {
                    request.answer(&wanted)
                } else {
                    ChangeAnswer::NotMade
                };
                (answer, wanted, true)
            }
        };
        self.settle(&wanted, changed).await?;
        // The change is made whatever becomes of this; the alarm tells whom it leaves untold.
        let _ = self.tell_nodes(&wanted).await;
        Ok(answer)
    }

    /// Makes a node the owner of the broadcast, under a new epoch.
    ///
    /// The key was checked before the object was reached; what may have changed since is read
    /// again.
    ///
    /// # Errors
    ///
    /// Where the encoder must be told to try again.
    pub async fn publish(mut self, request: &Publish) -> Result<PublishOutcome, Trouble<H::Error>> {
        let check = PublishCheck {
            token: request.token.clone(),
            input: self.state.input,
        };
        let results = self.run(check.batch()).await?;
        let Ok(wanted) = check.outcome(&results)? else {
            return Ok(PublishOutcome::TokenRevoked);
        };
        let refused = |reason| Ok(PublishOutcome::Answer(PublishAnswer::Refused { reason }));
        let Some(row) = &wanted.input else {
            return refused(PublishRefusal::UnknownKey);
        };
        if request.key < row.oldest_key(self.now) {
            return refused(PublishRefusal::UnknownKey);
        }
        if !row.enabled {
            return refused(PublishRefusal::Disabled);
        }
        self.state.rev = self.state.rev.max(row.rev);
        self.state.overlap = row.overlap(self.now);
        self.state.tell_owner();
        self.own(request.owner.clone(), row);
        let snapshot = self.snapshot(&wanted)?;
        self.store().await?;
        self.hand_over(&snapshot, |node| match node == &request.owner.node {
            true => Via::PublishAnswer,
            false => Via::Push,
        })
        .await;
        self.store().await?;
        Ok(PublishOutcome::Answer(PublishAnswer::Accepted {
            snapshot,
            key: request.key,
        }))
    }

    /// Answers a node's object about an input that the node has on air.
    ///
    /// An input that nobody owns is on air there all the same: the holder is made its owner, so
    /// that nothing that runs is cut because something was forgotten.
    ///
    /// # Errors
    ///
    /// Where the node's object must ask again.
    pub async fn ask(mut self, ask: &Ask) -> Result<Snapshot, Trouble<H::Error>> {
        let before = self.state.clone();
        let results = self.run(Wanted::batch(self.state.input).into()).await?;
        let wanted = Wanted::read(&results, 0)?;
        let known = ask.rev.min(MAX_TOLD_REV);
        if known > self.state.rev {
            // The node has seen what this object does not remember: go beyond it.
            self.state.rev = known;
            self.state.issue();
            self.state.tell_owner();
        }
        match &wanted.input {
            Some(row) => {
                self.state.rev = self.state.rev.max(row.rev);
                self.state.overlap = row.overlap(self.now);
                if row.enabled && self.state.owner.is_none() {
                    self.own(ask.holder.clone(), row);
                }
            }
            None => {
                self.state.rev = self.state.rev.max(known);
                self.state.issue();
                self.gone();
            }
        }
        // The answer reaches the asking node's object: no need to hand it over as well.
        self.state.handover.remove(&ask.holder.node);
        let snapshot = self.snapshot(&wanted)?;
        if wanted.input.is_none() && self.is_done() {
            self.forget().await?;
        } else if self.state != before {
            self.store().await?;
            self.tell_nodes(&wanted).await?;
        }
        Ok(snapshot)
    }

    /// Finishes what was left: the alarm rang.
    ///
    /// # Errors
    ///
    /// Where it could not; the alarm is set again.
    pub async fn alarm(mut self) -> Result<(), Trouble<H::Error>> {
        if self
            .state
            .overlap_on_air()
            .is_some_and(|until| until <= self.now)
        {
            self.state.overlap = None;
            self.state.issue();
            self.state.tell_owner();
        }
        if !self.state.work_left() {
            // It rang for the status, or too early: what is due there is asked for next.
            return self.store().await;
        }
        self.state.tries = self.state.tries.saturating_add(1);
        let (wanted, changed) = if self.state.intent.is_some() {
            (self.read_back().await?, true)
        } else {
            self.store().await?;
            let results = self.run(Wanted::batch(self.state.input).into()).await?;
            (Wanted::read(&results, 0)?, false)
        };
        self.settle(&wanted, changed).await?;
        self.tell_nodes(&wanted).await
    }

    async fn begin(&mut self) -> Result<u64, Trouble<H::Error>> {
        let rev = self.state.issue();
        self.state.intent = Some(rev);
        self.store().await?;
        Ok(rev)
    }

    async fn run_change(
        &self,
        request: &ChangeRequest,
        rev: u64,
    ) -> Result<Outcome, Trouble<H::Error>> {
        let results = self.run(request.batch(rev)).await?;
        Ok(request.outcome(rev, &results)?)
    }

    /// Reads what the database has, and makes sure that no earlier batch can change it any more.
    async fn read_back(&mut self) -> Result<Wanted, Trouble<H::Error>> {
        let fence = self.begin().await?;
        let mut batch = Vec::from(Wanted::batch(self.state.input));
        batch.push(Statement::new(
            sql::FENCE,
            [Param::text(self.state.input), Param::rev(fence)],
        ));
        let results = self.run(batch).await?;
        Ok(Wanted::read(&results, 0)?)
    }

    /// The database has answered: forgets the intent, and notes whom to tell if anything changed.
    async fn settle(&mut self, wanted: &Wanted, changed: bool) -> Result<(), Trouble<H::Error>> {
        self.state.intent = None;
        let row = wanted.input.as_ref();
        self.state.overlap = row.and_then(|row| row.overlap(self.now));
        if changed {
            self.state.configured = self.state.rev;
            self.state.tell_owner();
        }
        self.status.keep_outputs(&wanted.outputs);
        if wanted.input.is_none() {
            self.gone();
            if self.is_done() {
                return self.forget().await;
            }
        }
        self.store().await
    }

    async fn tell_nodes(&mut self, wanted: &Wanted) -> Result<(), Trouble<H::Error>> {
        if self.state.handover.is_empty() {
            return Ok(());
        }
        let snapshot = self.snapshot(wanted)?;
        self.hand_over(&snapshot, |_| Via::Push).await;
        if wanted.input.is_none() && self.is_done() {
            return self.forget().await;
        }
        self.store().await
    }

    /// Hands `snapshot` to all who wait for it. Who could not be reached waits on.
    async fn hand_over(&mut self, snapshot: &Snapshot, via: impl Fn(&NodeName) -> Via) {
        for node in self.state.handover.clone() {
            let handed = Handed {
                snapshot: snapshot.clone(),
                via: via(&node),
            };
            if self.host.hand(&node, handed).await.is_ok() {
                self.state.handover.remove(&node);
            }
        }
    }

    fn own(&mut self, owner: Owner, row: &InputRow) {
        self.state.issue();
        self.state.epoch += 1;
        self.status.held_by(&owner, self.state.epoch, row.account);
        self.state.owner = Some(owner);
        self.state.tell_owner();
    }

    /// The input does not exist any more.
    fn gone(&mut self) {
        self.state.owner = None;
        self.status.close(self.now);
    }

    /// Whether nothing is left to do for an input that is gone.
    fn is_done(&self) -> bool {
        !self.state.work_left() && !self.status.has_news()
    }

    fn snapshot(&self, wanted: &Wanted) -> Result<Snapshot, Unsealable> {
        snapshot::build(
            self.state.input,
            self.state.rev,
            self.state.epoch,
            self.state.owner.as_ref(),
            wanted,
            self.now,
            self.keyring,
        )
    }

    async fn store(&mut self) -> Result<(), Trouble<H::Error>> {
        if !self.state.work_left() {
            self.state.tries = 0;
        }
        let again = self.state.again();
        self.state.due = again.map(|delay| self.now.after(delay));
        self.store_status().await
    }

    /// Stores without putting off what is due.
    async fn store_status(&mut self) -> Result<(), Trouble<H::Error>> {
        let due = self.state.due.into_iter();
        let due = due.chain(self.state.overlap_on_air());
        let due = due.chain(self.status.alarm()).min();
        let alarm = due.map(|due| due.since(self.now));
        let kept = self.status.take_changes();
        let stored = self.host.store(&self.state, kept, alarm).await;
        stored.map_err(Trouble::Host)
    }

    async fn forget(&self) -> Result<(), Trouble<H::Error>> {
        self.host.forget().await.map_err(Trouble::Host)
    }

    async fn run(&self, batch: Vec<Statement>) -> Result<H::Results, Trouble<H::Error>> {
        self.host.run(batch).await.map_err(Trouble::Host)
    }
}

/// Before the first repetition: a crash is mended soon, and a healthy change is long over.
const FIRST_ALARM: Duration = Duration::from_secs(2);

/// The alarm's delay doubles up to 64 s: what fails so long needs a person, not more tries.
const MAX_ALARM_DOUBLINGS: u32 = 5;

/// A node may lift the `rev` so far and no further; 2^53 is where JavaScript's numbers end.
const MAX_TOLD_REV: u64 = 1 << 52;
