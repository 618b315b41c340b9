//! One live input on air.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broadcast::{Change, Excess, RevisionGuard, Rules, Seat, StartPolicy, Wanted, reconcile};
use rtmp::server::Refusal;
use shared::id::{InputUid, OutputUid};
use shared::limits::MAX_RECONNECT_WINDOW_SECONDS;
use shared::link::{
    Applied, Departure, InputSettings, OnFormatChange, OnStop, Takeover, WantedOutput,
};
use shared::secret::Secret;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::publisher::departure;
use super::status::Totals;
use super::teller::Teller;
use crate::account::{Account, Part};
use crate::clock;
use crate::egress::{Destination, Dialler, Output};
use crate::feed::Feed;

/// A broadcast: its publisher's feed, and what is wanted of it.
pub(super) struct OnAir {
    input: InputUid,
    teller: Teller,
    /// Who feeds it.
    pub(super) seat: Seat,
    /// The number of the last publisher's key.
    pub(super) key: u64,
    /// The last publisher's key, while the broadcast is on air by an earlier answer of the control
    /// plane: nobody has made this node its owner yet.
    pub(super) unconfirmed: Option<Secret>,
    /// Why the last publisher that left did so.
    pub(super) departed: Departure,
    pub(super) guard: RevisionGuard,
    /// Whether the newest snapshot wants what this node does not know: what runs is what the last
    /// one before it wanted.
    pub(super) unknown_wish: bool,
    pub(super) since: Instant,
    pub(super) feed: Arc<Feed>,
    dialler: Dialler,
    /// Whose it is, if that counts.
    pub(super) membership: Option<Membership>,
    pub(super) outputs: BTreeMap<OutputUid, Output>,
    /// The outputs that are wanted and not sent to.
    pub(super) idle: BTreeMap<OutputUid, Idle>,
    /// How often somebody asked to try each output again, as far as it was obeyed.
    retries: BTreeMap<OutputUid, u64>,
    /// What outputs did that were stopped since.
    pub(super) past: Totals,
    /// Reaches the last publisher, if it was not told to go yet.
    pub(super) cut: Option<oneshot::Sender<Refusal>>,
}

/// Whose a broadcast is.
pub(super) struct Membership {
    pub(super) account: Account,
    /// Counts it as one of the account's that are on air.
    _part: Part,
}

impl Membership {
    /// One more of the account's live inputs is on air.
    ///
    /// # Errors
    ///
    /// It may not be.
    pub(super) fn begin(account: Account) -> Result<Self, Excess> {
        let part = account.begin()?;
        Ok(Self {
            account,
            _part: part,
        })
    }
}

/// Why an output that exists is not sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// The user switched it off.
    Disabled,
    /// This node cannot serve its target.
    Unsupported,
}

/// How a broadcast ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its publisher must go.
    Cut(Refusal),
    /// Its publisher has gone.
    Left(Departure),
    /// It goes on in another process of this node.
    Moved,
}

impl Ending {
    /// Why the publisher is gone.
    pub(super) fn departure(self) -> Departure {
        match self {
            Self::Cut(why) => departure(why),
            Self::Left(why) => why,
            Self::Moved => Departure::Replaced,
        }
    }
}

impl OnAir {
    /// For outputs that are wanted when the publisher comes.
    pub(super) const FROM_THE_START: StartPolicy = StartPolicy::FirstKeyframe;

    /// For outputs that are added on air.
    pub(super) const LATER: StartPolicy = StartPolicy::CachedGop;

    pub(super) fn new(
        input: InputUid,
        teller: Teller,
        (seat, key): (Seat, u64),
        guard: RevisionGuard,
        feed: Arc<Feed>,
        (dialler, membership): (Dialler, Option<Membership>),
        cut: oneshot::Sender<Refusal>,
    ) -> Self {
        Self {
            input,
            teller,
            seat,
            key,
            unconfirmed: None,
            departed: Departure::Unknown,
            guard,
            unknown_wish: false,
            since: clock::now(),
            feed,
            dialler: dialler.of(membership.as_ref().map(|of| of.account.clone())),
            membership,
            outputs: BTreeMap::new(),
            idle: BTreeMap::new(),
            retries: BTreeMap::new(),
            past: Totals::default(),
            cut: Some(cut),
        }
    }

    /// Treats its publishers as the input says.
    pub(super) fn treat(&mut self, settings: &InputSettings) {
        self.seat.set_rules(rules(settings));
        let goes_on = settings.on_format_change == OnFormatChange::Continue;
        self.feed.let_format_change(goes_on);
    }

    /// Tells the publisher, if there is one, that it must go.
    pub(super) fn cut(&mut self, why: Refusal) {
        if let Some(cut) = self.cut.take() {
            // It may be leaving by itself in this moment.
            let _ = cut.send(why);
        }
    }

    /// Starts what is wanted and missing, stops what runs unwanted, and leaves the rest alone.
    pub(super) fn reconcile(
        &mut self,
        outputs: &[WantedOutput],
        leaving: &mut BTreeMap<OutputUid, CancellationToken>,
        policy: StartPolicy,
    ) {
        let _span = tracing::info_span!("broadcast", input = %self.input).entered();
        let before = std::mem::take(&mut self.idle);
        let mut wanted = Vec::with_capacity(outputs.len());
        for output in outputs {
            let id = output.uid;
            match Destination::new(&output.target) {
                Ok(destination) => wanted.push(Wanted {
                    id,
                    enabled: output.enabled,
                    spec: Arc::new(destination),
                }),
                Err(why) => {
                    tracing::warn!(output = %id, %why, "output not served");
                    self.idle.insert(id, Idle::Unsupported);
                }
            }
            if !output.enabled {
                self.idle.insert(id, Idle::Disabled);
            }
        }
        let running = self
            .outputs
            .iter()
            .map(|(id, output)| (*id, Arc::clone(output.destination())))
            .collect();
        leaving.retain(|_, gone| !gone.is_cancelled());
        for change in reconcile(&running, &wanted) {
            match change {
                Change::Start { id, spec } => self.start(id, spec, leaving, policy),
                Change::Stop { id, .. } => self.stop(id, leaving),
                Change::Restart { id, spec } => {
                    self.stop(id, leaving);
                    self.start(id, spec, leaving, Self::LATER);
                }
            }
        }
        self.retry(outputs);
        // After what was stopped for it: from there on this is the last word.
        for (id, idle) in &self.idle {
            if before.get(id) != Some(idle) {
                self.teller.idle(*id, *idle);
            }
        }
    }

    /// Whether the control plane has not been asked about it yet.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// What it tells of itself goes this way.
    pub(super) fn teller(&self) -> &Teller {
        &self.teller
    }

    /// What to tell the control plane of the newest snapshot.
    pub(super) fn acknowledgement(&self) -> Applied {
        Applied {
            input: self.input,
            rev: self.guard.applied().rev,
            unsupported: self
                .idle
                .iter()
                .filter(|(_, idle)| **idle == Idle::Unsupported)
                .map(|(id, _)| *id)
                .collect(),
            unknown_wish: self.unknown_wish,
        }
    }

    /// Tells the publisher why, and ends the outputs: after the rest of the stream if the stream
    /// came to its end, at once if somebody ended it. The tokens are cancelled when they are gone.
    pub(super) fn end(
        mut self,
        why: Ending,
        leaving: &mut BTreeMap<OutputUid, CancellationToken>,
    ) -> Vec<CancellationToken> {
        let finish = match why {
            Ending::Left(_) => true,
            Ending::Moved => {
                self.cut(Refusal::Replaced);
                true
            }
            Ending::Cut(why) => {
                self.cut(why);
                why == Refusal::ShuttingDown
            }
        };
        leaving.retain(|_, gone| !gone.is_cancelled());
        self.outputs
            .into_iter()
            .map(|(id, output)| {
                let gone = match finish {
                    true => output.finish(),
                    false => output.stop(),
                };
                leaving.insert(id, gone.clone());
                gone
            })
            .collect()
    }

    /// Lets those connect at once that somebody asks for; who is live does not mind.
    fn retry(&mut self, outputs: &[WantedOutput]) {
        let asked = outputs.iter().map(|output| (output.uid, output.retry));
        let before = std::mem::replace(&mut self.retries, asked.collect());
        for (id, retry) in &self.retries {
            // One that is new connects by itself.
            if before.get(id).is_some_and(|before| before < retry)
                && let Some(output) = self.outputs.get(id)
            {
                tracing::debug!(output = %id, "output is to try again");
                output.retry();
            }
        }
    }

    fn start(
        &mut self,
        id: OutputUid,
        destination: Arc<Destination>,
        leaving: &mut BTreeMap<OutputUid, CancellationToken>,
        policy: StartPolicy,
    ) {
        tracing::debug!(output = %id, server = %destination.server(), "output starts");
        let teller = self.teller.clone();
        let output = Output::start(
            (self.input, id),
            destination,
            Arc::clone(&self.feed),
            self.dialler.clone(),
            policy,
            leaving.remove(&id),
            move |figures| teller.output(id, figures),
        );
        self.outputs.insert(id, output);
    }

    fn stop(&mut self, id: OutputUid, leaving: &mut BTreeMap<OutputUid, CancellationToken>) {
        if let Some(output) = self.outputs.remove(&id) {
            tracing::debug!(output = %id, "output stops");
            self.past.add_output(&output.figures());
            leaving.insert(id, output.stop());
        }
    }
}

/// How publishers are treated, in the terms of the broadcast.
pub(super) fn rules(settings: &InputSettings) -> Rules {
    let window = settings.reconnect_window.min(MAX_RECONNECT_WINDOW_SECONDS);
    Rules {
        window: Duration::from_secs(window.into()),
        hold: settings.on_stop == OnStop::Hold,
        takeover: settings.takeover == Takeover::Newest,
    }
}
