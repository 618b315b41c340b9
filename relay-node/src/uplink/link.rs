//! What to say to the control plane, and when: the uplink without its sockets.

mod open;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use shared::id::{self, InputUid};
use shared::link::{
    self, Applied, LINK_VERSION, PONG, Reconciliation, Report, Snapshot, ToControl, ToNode, What,
};
use shared::time::Timestamp;
use tracing::{debug, error, info, warn};

use super::backoff::{Backoff, between};
use super::events::Events;
use super::failure::{Failure, Unreadable};
use crate::control::{LinkState, Revs};
use open::{Open, PING_EVERY};

/// The state machine of the link. The caller tells it what happened, then performs every
/// [`Action`] that [`Self::poll_action`] yields, then waits until [`Self::poll_timeout`] or until
/// something else happens.
pub(super) struct Link {
    instance: id::Instance,
    random: Box<dyn FnMut() -> u64 + Send>,
    phase: Phase,
    backoff: Backoff,
    polls: Polls,
    events: Events,
    /// Acknowledgements not yet sent, the latest of each input.
    applied: BTreeMap<InputUid, Applied>,
    inbox: VecDeque<Snapshot>,
    state: LinkState,
    other_version_noted: bool,
    /// Whether the operator has been told that the token is refused.
    refusal_noted: bool,
    /// Whether a report was answered since that was asked last.
    reconciled: bool,
}

/// What the caller shall do.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Open the socket; the outcome goes to [`Link::opened`] or [`Link::open_failed`].
    Connect,
    /// Give a snapshot to the node.
    Deliver(Snapshot),
    /// Drop the socket.
    Drop,
    /// Send over the socket how the broadcasts are doing.
    Figures,
    /// Send [`PING`](shared::link::PING) over the socket.
    Ping,
    /// Poll with this report; the outcome goes to [`Link::polled`].
    Poll(Report),
    /// Send a frame over the socket.
    Send(ToControl),
}

impl Link {
    /// A link of the process `instance` that wants its socket opened `now`.
    pub(super) fn new(
        instance: id::Instance,
        random: impl FnMut() -> u64 + Send + 'static,
        now: Instant,
    ) -> Self {
        Self {
            instance,
            random: Box::new(random),
            phase: Phase::Waiting { until: now },
            backoff: Backoff::default(),
            polls: Polls::new(now),
            events: Events::default(),
            applied: BTreeMap::new(),
            inbox: VecDeque::new(),
            state: LinkState::Down,
            other_version_noted: false,
            refusal_noted: false,
            reconciled: false,
        }
    }

    /// The socket is open.
    pub(super) fn opened(&mut self, now: Instant) {
        self.phase = Phase::Open(Open::new(now));
    }

    /// The socket could not be opened.
    pub(super) fn open_failed(&mut self, failure: &Failure, now: Instant) {
        self.wait(failure, now);
        self.update_state();
    }

    /// The socket ended.
    pub(super) fn closed(&mut self, failure: &Failure, now: Instant) {
        let Phase::Open(open) = &self.phase else {
            return;
        };
        if open
            .established
            .is_some_and(|at| now.duration_since(at) >= STABLE_AFTER)
        {
            self.backoff.reset();
        }
        self.wait(failure, now);
        self.polls.start(now);
        self.update_state();
    }

    /// A text frame came over the socket.
    pub(super) fn received(&mut self, text: &str, now: Instant) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        open.heard = now;
        if text == PONG {
            return;
        }
        match serde_json::from_str(text) {
            Ok(ToNode::Reconciliation(reconciliation)) => {
                open.answered(now);
                self.reconcile(reconciliation);
                self.update_state();
            }
            Ok(ToNode::Snapshot(snapshot)) => self.inbox.push_back(snapshot),
            Ok(ToNode::EventsTaken { through }) => self.acknowledge(through),
            Ok(ToNode::Watch(watch)) => open.watched(watch, now),
            Ok(ToNode::Unknown) => debug!("a frame of a kind that this version does not know"),
            Err(error) => {
                let place = Unreadable::from(error);
                warn!(%place, "a frame from the control plane cannot be read");
            }
        }
    }

    /// A poll has its outcome.
    pub(super) fn polled(&mut self, outcome: Result<Reconciliation, Failure>, now: Instant) {
        self.polls.in_flight = false;
        match outcome {
            Ok(reconciliation) => {
                self.polls.succeeded = true;
                self.reconcile(reconciliation);
            }
            Err(failure) => {
                self.polls.succeeded = false;
                if self.is_refusal(&failure) {
                    self.polls.next = now + self.slow_retry();
                } else {
                    debug!(%failure, "a poll failed");
                }
            }
        }
        self.update_state();
    }

    /// The node has applied a snapshot.
    pub(super) fn applied(&mut self, applied: Applied) {
        if self.applied.len() < MAX_WAITING_ACKNOWLEDGEMENTS
            || self.applied.contains_key(&applied.input)
        {
            self.applied.insert(applied.input, applied);
        }
    }

    /// Something happened `at` that time to `input` under `epoch`.
    pub(super) fn happened(&mut self, input: InputUid, epoch: u64, at: Timestamp, what: What) {
        self.events.push(input, epoch, at, what);
    }

    /// The next thing to do; `on_air` is what reports tell.
    pub(super) fn poll_action(&mut self, on_air: &Revs, now: Instant) -> Option<Action> {
        if let Some(snapshot) = self.inbox.pop_front() {
            return Some(Action::Deliver(snapshot));
        }
        let action = match &self.phase {
            Phase::Waiting { until } if now >= *until => {
                self.phase = Phase::Connecting;
                Some(Action::Connect)
            }
            Phase::Waiting { .. } | Phase::Connecting => None,
            Phase::Open(_) => self.socket_action(on_air, now),
        };
        action.or_else(|| self.polling_action(on_air, now))
    }

    /// When to call [`Self::poll_action`] again at the latest, if nothing else happens. `None`
    /// means that the outcome of an action is awaited.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let socket = match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting => None,
            Phase::Open(open) => Some(open.timeout(&self.events)),
        };
        let poll = (!self.is_established() && !self.polls.in_flight).then_some(self.polls.next);
        [socket, poll].into_iter().flatten().min()
    }

    /// How changes reach the node.
    pub(super) fn state(&self) -> LinkState {
        self.state
    }

    /// Whether the control plane has, since this was asked last, said all that it wants of the
    /// inputs on air: all of it was yielded for delivery.
    pub(super) fn take_reconciled(&mut self) -> bool {
        std::mem::take(&mut self.reconciled)
    }

    /// Whether the control plane has taken care of every event.
    pub(super) fn is_drained(&self) -> bool {
        self.events.is_empty()
    }

    fn socket_action(&mut self, on_air: &Revs, now: Instant) -> Option<Action> {
        let Phase::Open(open) = &mut self.phase else {
            return None;
        };
        if let Some(failure) = open.failure(now) {
            self.closed(&failure, now);
            return Some(Action::Drop);
        }
        if open.report_is_due(&self.events, now) {
            let interval = between(REPORT_EVERY * 9 / 10, REPORT_EVERY, (self.random)());
            open.reported(&self.events, now, interval);
            return Some(Action::Send(ToControl::Report(self.report(on_air))));
        }
        if let Some(events) = open.events(&self.events, now) {
            let instance = self.instance;
            let events = link::Events { instance, events };
            return Some(Action::Send(ToControl::Events(events)));
        }
        if let Some((_, applied)) = self.applied.pop_first() {
            return Some(Action::Send(ToControl::Applied(applied)));
        }
        if open.figures_are_due(now) {
            return Some(Action::Figures);
        }
        if now >= open.next_ping {
            open.next_ping = now + PING_EVERY;
            return Some(Action::Ping);
        }
        None
    }

    fn polling_action(&mut self, on_air: &Revs, now: Instant) -> Option<Action> {
        if self.is_established() || self.polls.in_flight || now < self.polls.next {
            return None;
        }
        self.polls.next = now + between(POLL_EVERY, POLL_EVERY_AT_MOST, (self.random)());
        let report = self.report(on_air);
        if report.revs.is_empty() && report.events.is_empty() {
            self.polls.succeeded = false;
            self.update_state();
            return None;
        }
        self.polls.in_flight = true;
        self.polls.last = Some(now);
        Some(Action::Poll(report))
    }

    fn report(&self, on_air: &Revs) -> Report {
        Report {
            version: LINK_VERSION,
            instance: self.instance,
            revs: on_air.all(),
            events: self.events.oldest(),
            figures: Vec::new(),
        }
    }

    fn acknowledge(&mut self, through: u64) {
        self.events.acknowledge(through);
        if let Phase::Open(open) = &mut self.phase {
            open.taken(through);
        }
    }

    fn reconcile(&mut self, reconciliation: Reconciliation) {
        self.refusal_noted = false;
        self.reconciled = true;
        if reconciliation.version != LINK_VERSION && !self.other_version_noted {
            self.other_version_noted = true;
            warn!(
                ours = LINK_VERSION,
                theirs = reconciliation.version,
                "the control plane speaks another version of the link: versions one apart work together"
            );
        }
        self.acknowledge(reconciliation.events_through);
        self.inbox.extend(reconciliation.snapshots);
    }

    fn wait(&mut self, failure: &Failure, now: Instant) {
        let delay = if self.is_refusal(failure) {
            self.slow_retry()
        } else {
            let delay = self.backoff.next((self.random)());
            let retry_ms = delay.as_millis() as u64;
            if self.is_established() {
                warn!(%failure, retry_ms, "the link to the control plane is lost");
            } else {
                debug!(%failure, retry_ms, "the link to the control plane cannot be opened");
            }
            delay
        };
        self.phase = Phase::Waiting { until: now + delay };
    }

    /// Whether trying again soon is pointless; tells the operator so, once.
    fn is_refusal(&mut self, failure: &Failure) -> bool {
        if !matches!(failure, Failure::Unauthorised(_)) {
            return false;
        }
        if !self.refusal_noted {
            self.refusal_noted = true;
            error!(%failure, "{TOKEN_ADVICE}");
        }
        true
    }

    fn slow_retry(&mut self) -> Duration {
        between(REFUSED_RETRY / 2, REFUSED_RETRY, (self.random)())
    }

    fn is_established(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.established.is_some())
    }

    fn update_state(&mut self) {
        let state = if self.is_established() {
            LinkState::Connected
        } else if self.polls.succeeded {
            LinkState::Polling
        } else {
            LinkState::Down
        };
        if state == self.state {
            return;
        }
        info!(from = ?self.state, to = ?state, "the link to the control plane changes its state");
        self.state = state;
    }
}

/// What an operator does about a refused token.
pub(super) const TOKEN_ADVICE: &str = "the control plane refuses this node: check that `token` is the relay token that was made for this node's name, and that `control` is the right control plane";

/// Where the socket stands.
enum Phase {
    /// Being opened.
    Connecting,
    /// Open.
    Open(Open),
    /// To be opened.
    Waiting { until: Instant },
}

/// The polls that stand in for the socket.
struct Polls {
    in_flight: bool,
    /// When the last one was sent.
    last: Option<Instant>,
    next: Instant,
    /// Whether the last one was answered.
    succeeded: bool,
}

impl Polls {
    fn new(now: Instant) -> Self {
        Self {
            in_flight: false,
            last: None,
            next: now,
            succeeded: false,
        }
    }

    /// Takes over from the socket, at once unless that would be more than one poll in
    /// [`POLL_EVERY`].
    fn start(&mut self, now: Instant) {
        self.succeeded = false;
        self.next = self.last.map_or(now, |last| now.max(last + POLL_EVERY));
    }
}

/// The interval of reports over the socket, at most: what was lost in any way heals with them.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The least time between two polls: a control plane in trouble is not hurried.
const POLL_EVERY: Duration = Duration::from_secs(10);

/// The most time between two polls. Twice this, and the time-out of the poll between, stay within
/// the 30 s in which a change must arrive.
const POLL_EVERY_AT_MOST: Duration = Duration::from_millis(12_500);

/// A socket that worked for so long was good: the next attempt follows soon.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// The longest wait after a refusal, which only a person ends.
const REFUSED_RETRY: Duration = Duration::from_secs(60);

/// Acknowledgements kept while the socket is down. One over the bound is not sent; the control
/// plane then repeats the snapshot, which is harmless.
const MAX_WAITING_ACKNOWLEDGEMENTS: usize = 4096;

#[cfg(test)]
mod tests;
