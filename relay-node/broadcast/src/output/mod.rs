//! The state machine of one output.

mod reason;
mod warning;

use std::fmt;
use std::time::{Duration, Instant};

pub use reason::Reason;
pub use warning::OutputWarning;

use crate::backoff::Backoff;
use crate::cursor::StartPolicy;

/// How long one attempt may take from its beginning to the destination's *publish started*. The
/// steps on the way have shorter limits of their own; this one ends an attempt that each of them
/// let live. Two dead addresses, TLS over a bad line and the 5 s grace for servers that never
/// answer a publish fit in.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// How long an output must have been live before its failures are forgotten. Resetting at the
/// connect would let a destination that takes the stream and drops it be retried without pause.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);

/// How long a live output may go without an acknowledgement, having something unacknowledged,
/// before its state says so. TCP's own retransmissions heal within this on any usable line.
pub const STALL_SHOWN: Duration = Duration::from_secs(3);

/// The same before the connection is given up. TCP itself would hold a half-open connection for a
/// quarter of an hour.
pub const STALL_MAX: Duration = Duration::from_secs(10);

/// How many characters of a destination's own words are kept; what real servers say fits.
pub const WORDS_MAX: usize = 300;

/// One output of one broadcast: decides when to connect, when to give an attempt up, and when to
/// try again.
///
/// It owns no socket. The shell tells it what happens ([`Event`]), does what it answers
/// ([`Action`]), and calls [`OutputMachine::handle_timeout`] at [`OutputMachine::next_timeout`].
#[derive(Clone, Debug)]
pub struct OutputMachine {
    stage: Stage,
    since: Instant,
    start: StartPolicy,
    backoff: Backoff,
    connects: u64,
    last_failure: Option<Failure>,
}

/// What happened to an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The output is wanted and its input is on air.
    Start,
    /// The output is no longer wanted, or its input is off air.
    Stop,
    /// The user switched the output off.
    Disable,
    /// Somebody asks to try again now: there is something new at the destination, or no patience.
    Retry,
    /// The attempt has come to this step.
    Reached(Step),
    /// The destination takes the stream.
    Published,
    /// The connection or the attempt has ended, and its socket is gone.
    Failed {
        /// Why.
        reason: Reason,
        /// The destination's own words, without the stream key.
        words: Option<String>,
    },
    /// The connection was ended cleanly, because what comes next is of another format.
    Renewed,
    /// A look at the socket, at least once a second while live.
    Traffic {
        /// Bytes that the peer's kernel has acknowledged since the connection was made.
        acknowledged: u64,
        /// Bytes written to the socket and not acknowledged.
        outstanding: u64,
    },
}

/// What the shell must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Begin an attempt, with a fresh look-up of the name.
    Connect,
    /// End the connection or the attempt cleanly, as far as it has come: finish the message begun,
    /// unpublish, close TLS and TCP.
    Stop,
    /// Drop the connection or the attempt: nobody listens at the other end.
    Abort,
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Looking up the name.
    Resolving,
    /// Opening the TCP connection.
    Connecting,
    /// Opening the TLS session.
    Securing,
    /// Exchanging the RTMP handshake.
    Handshaking,
    /// Asking to publish.
    Publishing,
}

/// An output's state, as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Switched off by the user.
    Disabled,
    /// Nothing to send.
    Idle,
    /// On the way to the destination.
    Connecting,
    /// The destination takes the stream.
    Live,
    /// Live, but nothing has been acknowledged for [`STALL_SHOWN`].
    Stalled,
    /// Waiting to try again after a failure.
    Backoff,
    /// Refused: a person has to change something. Tried again slowly nevertheless.
    Failed,
}

/// What there is to know of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// How far the attempt has come, while connecting.
    pub step: Option<Step>,
    /// The last failure, of a connection that ended or of an attempt.
    pub last_failure: Option<&'a Failure>,
    /// Failures in a row; forgotten after [`STABLE_AFTER`] live.
    pub attempts: u32,
    /// How often the destination has taken the stream.
    pub connects: u64,
    /// When the next attempt begins, while waiting for it.
    pub next_retry: Option<Instant>,
}

/// How an attempt or a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// The destination's own words: at most [`WORDS_MAX`] characters, none of them a control
    /// character.
    pub words: Option<String>,
    /// When.
    pub at: Instant,
}

#[derive(Clone, Debug)]
enum Stage {
    Disabled,
    Idle,
    Connecting { began: Instant, step: Step },
    Live(Live),
    Waiting { until: Instant, reason: Reason },
}

#[derive(Clone, Debug)]
struct Live {
    began: Instant,
    acknowledged: u64,
    /// When the socket was last seen with nothing outstanding or with something newly acknowledged.
    progress: Instant,
    outstanding: bool,
    stalled: bool,
}

impl OutputMachine {
    /// An output that has nothing to send yet. `start` says where its first connection begins:
    /// [`StartPolicy::FirstKeyframe`] if it was wanted when the publisher came.
    pub fn new(now: Instant, start: StartPolicy) -> Self {
        Self {
            stage: Stage::Idle,
            since: now,
            start,
            backoff: Backoff::default(),
            connects: 0,
            last_failure: None,
        }
    }

    /// Takes in what happened. `random` is a fresh even draw; it spreads the retries.
    pub fn handle(&mut self, now: Instant, event: Event, random: u64) -> Option<Action> {
        self.forget_old_failures(now);
        match (event, &mut self.stage) {
            (Event::Start, Stage::Disabled | Stage::Idle) => {
                self.backoff.reset();
                Some(self.connect(now))
            }
            (Event::Stop, _) => self.stop(now, Stage::Idle),
            (Event::Disable, _) => self.stop(now, Stage::Disabled),
            // The failures still count: whoever asks in vain has asked for one attempt.
            (Event::Retry, Stage::Waiting { .. }) => Some(self.connect(now)),
            (Event::Reached(reached), Stage::Connecting { step, .. }) => {
                *step = reached;
                None
            }
            (Event::Published, Stage::Connecting { .. }) => {
                self.connects += 1;
                self.start = StartPolicy::CachedGop;
                self.enter(now, Stage::Live(Live::new(now)));
                None
            }
            (Event::Failed { reason, words }, Stage::Connecting { .. } | Stage::Live(_)) => {
                self.fail(now, reason, words, random);
                None
            }
            (Event::Renewed, Stage::Live(_)) => {
                // The whole of what is new, however long the destination takes.
                self.start = StartPolicy::FirstKeyframe;
                Some(self.connect(now))
            }
            (
                Event::Traffic {
                    acknowledged,
                    outstanding,
                },
                Stage::Live(live),
            ) => {
                live.traffic(now, acknowledged, outstanding);
                self.check_stall(now, random)
            }
            // What comes late from an attempt that is over, and what is so already.
            (
                Event::Start
                | Event::Retry
                | Event::Reached(_)
                | Event::Published
                | Event::Failed { .. }
                | Event::Renewed
                | Event::Traffic { .. },
                _,
            ) => None,
        }
    }

    /// Does what is due; harmless when called early.
    pub fn handle_timeout(&mut self, now: Instant, random: u64) -> Option<Action> {
        self.forget_old_failures(now);
        match self.stage {
            Stage::Waiting { until, .. } if now >= until => Some(self.connect(now)),
            Stage::Connecting { began, step } if now >= began + ATTEMPT_MAX => {
                self.fail(now, step.timeout(), None, random);
                Some(Action::Abort)
            }
            Stage::Live(_) => self.check_stall(now, random),
            Stage::Disabled | Stage::Idle | Stage::Connecting { .. } | Stage::Waiting { .. } => {
                None
            }
        }
    }

    /// When to call [`OutputMachine::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Disabled | Stage::Idle => None,
            Stage::Connecting { began, .. } => Some(*began + ATTEMPT_MAX),
            Stage::Waiting { until, .. } => Some(*until),
            Stage::Live(live) => {
                let stable = (self.backoff.attempts() > 0).then_some(live.began + STABLE_AFTER);
                [live.stall_deadline(), stable].into_iter().flatten().min()
            }
        }
    }

    /// Where the next connection begins: after the first one, where viewers left off waiting, at
    /// the newest picture.
    pub fn start_policy(&self) -> StartPolicy {
        self.start
    }

    /// What there is to know.
    pub fn status(&self) -> Status<'_> {
        let (step, next_retry) = match self.stage {
            Stage::Connecting { step, .. } => (Some(step), None),
            Stage::Waiting { until, .. } => (None, Some(until)),
            Stage::Disabled | Stage::Idle | Stage::Live(_) => (None, None),
        };
        Status {
            state: self.stage.state(),
            since: self.since,
            step,
            last_failure: self.last_failure.as_ref(),
            attempts: self.backoff.attempts(),
            connects: self.connects,
            next_retry,
        }
    }

    fn connect(&mut self, now: Instant) -> Action {
        self.enter(
            now,
            Stage::Connecting {
                began: now,
                step: Step::Resolving,
            },
        );
        Action::Connect
    }

    fn stop(&mut self, now: Instant, stage: Stage) -> Option<Action> {
        let connected = matches!(self.stage, Stage::Connecting { .. } | Stage::Live(_));
        self.enter(now, stage);
        connected.then_some(Action::Stop)
    }

    fn fail(&mut self, now: Instant, reason: Reason, words: Option<String>, random: u64) {
        self.last_failure = Some(Failure {
            reason,
            words: words.map(tidy),
            at: now,
        });
        let until = now + self.backoff.next(reason.pace(), random);
        self.enter(now, Stage::Waiting { until, reason });
    }

    fn check_stall(&mut self, now: Instant, random: u64) -> Option<Action> {
        let Stage::Live(live) = &mut self.stage else {
            return None;
        };
        let quiet = match live.outstanding {
            true => now.saturating_duration_since(live.progress),
            false => Duration::ZERO,
        };
        if quiet >= STALL_MAX {
            self.fail(now, Reason::Stalled, None, random);
            return Some(Action::Abort);
        }
        let stalled = quiet >= STALL_SHOWN;
        if live.stalled != stalled {
            live.stalled = stalled;
            self.since = now;
        }
        None
    }

    fn forget_old_failures(&mut self, now: Instant) {
        if let Stage::Live(live) = &self.stage
            && now >= live.began + STABLE_AFTER
        {
            self.backoff.reset();
        }
    }

    fn enter(&mut self, now: Instant, stage: Stage) {
        if self.stage.state() != stage.state() {
            self.since = now;
        }
        self.stage = stage;
    }
}

impl Stage {
    fn state(&self) -> State {
        match self {
            Self::Disabled => State::Disabled,
            Self::Idle => State::Idle,
            Self::Connecting { .. } => State::Connecting,
            Self::Live(live) if live.stalled => State::Stalled,
            Self::Live(_) => State::Live,
            Self::Waiting { reason, .. } if reason.needs_a_person() => State::Failed,
            Self::Waiting { .. } => State::Backoff,
        }
    }
}

impl Live {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            acknowledged: 0,
            progress: now,
            outstanding: false,
            stalled: false,
        }
    }

    fn traffic(&mut self, now: Instant, acknowledged: u64, outstanding: u64) {
        if outstanding == 0 || !self.outstanding || acknowledged > self.acknowledged {
            self.progress = now;
        }
        self.acknowledged = acknowledged;
        self.outstanding = outstanding > 0;
    }

    fn stall_deadline(&self) -> Option<Instant> {
        let limit = if self.stalled { STALL_MAX } else { STALL_SHOWN };
        self.outstanding.then_some(self.progress + limit)
    }
}

impl Step {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Securing => "securing",
            Self::Handshaking => "handshaking",
            Self::Publishing => "publishing",
        }
    }

    fn timeout(self) -> Reason {
        match self {
            Self::Resolving => Reason::DnsTimeout,
            Self::Connecting => Reason::ConnectTimeout,
            Self::Securing => Reason::TlsTimeout,
            Self::Handshaking => Reason::HandshakeTimeout,
            Self::Publishing => Reason::PublishTimeout,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl State {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A foreign text made safe to show in one line.
fn tidy(words: String) -> String {
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(WORDS_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
