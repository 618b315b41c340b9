//! What a broadcast tells the control plane of itself, as it happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broadcast::{Reason, State};
use shared::id::{InputUid, OutputUid};
use shared::link::{self, Departure, Fault, OutputChange, OutputState, What};

use super::on_air::Idle;
use super::status;
use crate::clock::Moment;
use crate::control::Control;
use crate::egress::Figures;
use crate::feed::Encoder;
use crate::uplink::events::Events;

/// Tells what happens to the broadcast of `input` under its epoch.
#[derive(Clone)]
pub(super) struct Teller {
    control: Arc<Control>,
    input: InputUid,
    /// All that tell of one broadcast share it.
    standing: Arc<Mutex<Standing>>,
}

enum Standing {
    /// Told under this epoch.
    Known(u64),
    /// Told once there is an epoch. If the broadcast ends before, nobody hears of it: to the
    /// control plane it has never been.
    Held(Events),
}

impl Teller {
    /// One that tells under `epoch`, or keeps to itself what happens until it knows that.
    pub(super) fn new(control: Arc<Control>, input: InputUid, epoch: Option<u64>) -> Self {
        let standing = match epoch {
            Some(epoch) => Standing::Known(epoch),
            None => Standing::Held(Events::bounded(MAX_HELD_EVENTS)),
        };
        Self {
            control,
            input,
            standing: Arc::new(Mutex::new(standing)),
        }
    }

    /// Tells under another epoch from here on: a publisher has come to a broadcast that is on air.
    /// What was kept until now is told first, in its order.
    pub(super) fn under(&self, epoch: u64) {
        let mut standing = self.standing();
        if let Standing::Held(held) = std::mem::replace(&mut *standing, Standing::Known(epoch)) {
            for event in held.into_all() {
                self.control.tell(self.input, epoch, event.at, event.what);
            }
        }
    }

    /// An encoder feeds the broadcast.
    pub(super) fn connected(&self, encoder: &Encoder, returned: bool) {
        self.tell(What::Connected(link::Publisher {
            protocol: encoder.protocol,
            encoder: encoder.name.clone(),
            returned,
        }));
    }

    /// The encoder is gone, and the broadcast waits for it.
    pub(super) fn away(&self, reason: Departure) {
        self.tell(What::Away { reason });
    }

    /// Something is wrong with what the encoder sends.
    pub(super) fn faulted(&self, fault: Fault) {
        self.tell(What::Faulted(fault));
    }

    /// The broadcast is over, and nothing is left of it.
    pub(super) fn ended(&self, reason: Departure) {
        self.tell(What::Ended { reason });
    }

    /// An output has changed its state.
    pub(super) fn output(&self, output: OutputUid, figures: &Figures) {
        let moment = Moment::now();
        let what = What::Output(change(output, figures, moment));
        self.tell_at(moment, what);
    }

    /// An output is not sent to.
    pub(super) fn idle(&self, output: OutputUid, idle: Idle) {
        let (state, reason) = match idle {
            Idle::Disabled => (OutputState::Disabled, None),
            Idle::Unsupported => (OutputState::Failed, Some(Reason::Unsupported)),
        };
        self.tell(What::Output(OutputChange {
            output,
            state,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            message: reason.map(|reason| reason.sentence().to_owned()),
            attempts: 0,
            connects: 0,
            next_retry: None,
            warnings: Vec::new(),
        }));
    }

    fn tell(&self, what: What) {
        self.tell_at(Moment::now(), what);
    }

    fn tell_at(&self, moment: Moment, what: What) {
        // Held to the end, so that nothing overtakes what is told on release.
        match &mut *self.standing() {
            Standing::Known(epoch) => self.control.tell(self.input, *epoch, moment.time(), what),
            Standing::Held(held) => held.push(self.input, 0, moment.time(), what),
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Either state is whole, and stays so.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events of one broadcast that wait for its epoch: with fifty outputs, ten of each.
const MAX_HELD_EVENTS: usize = 512;

fn change(output: OutputUid, figures: &Figures, moment: Moment) -> OutputChange {
    let state = match figures.state {
        State::Disabled => OutputState::Disabled,
        State::Idle => OutputState::Idle,
        State::Connecting => OutputState::Connecting,
        State::Live => OutputState::Live,
        State::Stalled => OutputState::Stalled,
        State::Backoff => OutputState::Backoff,
        State::Failed => OutputState::Failed,
        _ => OutputState::Unknown,
    };
    // While it is live, its last failure is past.
    let failure = figures.last_failure.as_ref().filter(|_| {
        matches!(
            state,
            OutputState::Connecting | OutputState::Backoff | OutputState::Failed
        )
    });
    OutputChange {
        output,
        state,
        reason: failure.map(|failure| failure.reason.as_str().to_owned()),
        message: failure.map(status::message),
        attempts: figures.attempts,
        connects: figures.connects,
        next_retry: figures.next_retry.map(|when| moment.time_at(when)),
        warnings: status::warnings(&figures.warnings),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use broadcast::{Failure, Skipped};

    use super::*;

    fn figures(state: State) -> Figures {
        let now = Instant::now();
        Figures {
            state,
            since: now,
            step: None,
            last_failure: Some(Failure {
                reason: Reason::Rejected,
                words: Some("no such stream".to_owned()),
                at: now,
            }),
            attempts: 2,
            connects: 1,
            next_retry: None,
            sent: 0,
            bitrate: 0,
            skipped: Skipped::default(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_failure_is_told_until_the_output_is_live_again() {
        let output = OutputUid::from_random([1; 16]);
        let moment = Moment::now();
        for (state, told) in [
            (State::Connecting, true),
            (State::Backoff, true),
            (State::Failed, true),
            (State::Live, false),
            (State::Stalled, false),
            (State::Idle, false),
        ] {
            let change = change(output, &figures(state), moment);
            assert_eq!(change.reason.as_deref(), told.then_some("rejected"));
            assert_eq!(change.message.as_deref(), told.then_some("no such stream"));
            assert_eq!((change.attempts, change.connects), (2, 1));
        }
    }

    #[test]
    fn without_words_of_its_own_a_reason_has_ours() {
        let mut figures = figures(State::Backoff);
        if let Some(failure) = &mut figures.last_failure {
            failure.words = None;
        }
        let change = change(OutputUid::from_random([1; 16]), &figures, Moment::now());
        assert_eq!(change.message.as_deref(), Some(Reason::Rejected.sentence()));
    }

    #[test]
    fn the_next_retry_is_told_by_the_time_of_day() {
        let mut figures = figures(State::Backoff);
        let moment = Moment::now();
        let told = |figures: &Figures| {
            let change = change(OutputUid::from_random([1; 16]), figures, moment);
            change.next_retry
        };
        assert_eq!(told(&figures), None);
        let retry = figures.since + Duration::from_secs(30);
        figures.next_retry = Some(retry);
        assert_eq!(told(&figures), Some(moment.time_at(retry)));
    }
}
