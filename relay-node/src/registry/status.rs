//! What the node shows of its broadcasts: ids, states, figures; no key, and of a URL the server.

use std::time::{Duration, Instant};

use broadcast::{Failure, IngestFacts, OutputWarning, Reason, State};
use serde::Serialize;
use shared::id::{InputUid, OutputUid};
use shared::link::{IngestFigures, Protocol, Warning};

use super::figures;
use super::on_air::{Idle, OnAir};
use crate::clock;
use crate::egress::Figures;

/// A broadcast on air.
#[derive(Clone, Debug, Serialize)]
pub struct BroadcastStatus {
    /// The live input.
    pub input: InputUid,
    /// The epoch under which this node holds it.
    pub epoch: u64,
    /// The snapshot applied.
    pub rev: u64,
    /// Whether the control plane knows of it: it may have begun by an earlier answer, while that
    /// could not be asked.
    pub confirmed: bool,
    /// For how long it has been on air.
    pub since_ms: u64,
    /// Bytes of payload received.
    pub bytes: u64,
    /// Bits a second received lately.
    pub bitrate_bps: u64,
    /// The encoder's name and version, as it gives them; the last one's while there is none.
    pub encoder: String,
    /// For how long it has been waiting for a publisher, if it is.
    pub away_ms: Option<u64>,
    /// How it is connected.
    pub protocol: Protocol,
    /// What it sends.
    pub ingest: IngestFigures,
    /// Its outputs, in the order of their ids.
    pub outputs: Vec<OutputStatus>,
    /// What `ingest` shows, as it was measured.
    #[serde(skip)]
    pub facts: IngestFacts,
}

/// An output.
#[derive(Clone, Debug, Serialize)]
pub struct OutputStatus {
    /// The output.
    pub output: OutputUid,
    /// The destination's server, as `scheme://host:port`.
    pub server: Option<String>,
    /// Its state: `disabled`, `idle`, `connecting`, `live`, `stalled`, `backoff` or `failed`.
    pub state: &'static str,
    /// How far it has come, while connecting.
    pub step: Option<&'static str>,
    /// Why it last failed, as a stable code.
    pub reason: Option<&'static str>,
    /// The same for a person: the destination's own words, or else ours.
    pub message: Option<String>,
    /// For how long it has been in its state.
    pub since_ms: u64,
    /// Failures in a row.
    pub attempts: u32,
    /// In how long the next attempt begins, while waiting for it.
    pub next_retry_ms: Option<u64>,
    /// How often the destination has taken the stream.
    pub connects: u64,
    /// Bytes written to the destination, headers included.
    pub bytes: u64,
    /// Bits a second written lately.
    pub bitrate_bps: u64,
    /// For how much media it had no picture, because it lagged.
    pub skipped_ms: u64,
    /// What may be wrong at the destination, while it takes the stream.
    pub warnings: Vec<Warning>,
}

/// What the node has done since it started, broadcasts on air included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Broadcasts begun.
    pub broadcasts: u64,
    /// Bytes of payload received.
    pub received: u64,
    /// Bytes written to destinations.
    pub sent: u64,
    /// How often destinations have taken a stream.
    pub connects: u64,
    /// Bytes of media held at this moment.
    pub held: u64,
}

impl Totals {
    pub(super) fn add(&mut self, on_air: &OnAir) {
        self.received += on_air.feed.received(clock::now()).0;
        self.sent += on_air.past.sent;
        self.connects += on_air.past.connects;
        for output in on_air.outputs.values() {
            self.add_output(&output.figures());
        }
    }

    pub(super) fn add_output(&mut self, figures: &Figures) {
        self.sent += figures.sent;
        self.connects += figures.connects;
    }
}

pub(super) fn of(input: InputUid, on_air: &OnAir) -> BroadcastStatus {
    let now = clock::now();
    let applied = on_air.guard.applied();
    let facts = figures::facts(on_air, now);
    let encoder = on_air.feed.encoder();
    let running = on_air.outputs.iter().map(|(output, running)| {
        of_output(*output, running.destination().server(), running.figures())
    });
    let idle = on_air
        .idle
        .iter()
        .map(|(output, idle)| of_idle(*output, *idle, since(on_air.since)));
    let mut outputs: Vec<_> = running.chain(idle).collect();
    outputs.sort_by_key(|status| status.output);
    BroadcastStatus {
        input,
        epoch: applied.epoch,
        rev: applied.rev,
        confirmed: !on_air.is_unconfirmed(),
        since_ms: since(on_air.since),
        away_ms: on_air.seat.empty_since().map(since),
        bytes: facts.bytes,
        bitrate_bps: facts.bitrate,
        encoder: encoder.name,
        protocol: encoder.protocol,
        ingest: figures::ingest(&facts),
        outputs,
        facts,
    }
}

fn of_output(output: OutputUid, server: String, figures: Figures) -> OutputStatus {
    let failure = figures.last_failure;
    let reason = failure.as_ref().map(|failure| failure.reason);
    OutputStatus {
        output,
        server: Some(server),
        state: figures.state.as_str(),
        step: figures.step.map(|step| step.as_str()),
        reason: reason.map(|reason| reason.as_str()),
        message: failure.as_ref().map(message),
        since_ms: since(figures.since),
        attempts: figures.attempts,
        next_retry_ms: figures.next_retry.map(until),
        connects: figures.connects,
        bytes: figures.sent,
        bitrate_bps: figures.bitrate,
        skipped_ms: millis(figures.skipped.media),
        warnings: warnings(&figures.warnings),
    }
}

pub(super) fn warnings(warnings: &[OutputWarning]) -> Vec<Warning> {
    let said = |warning: &OutputWarning| Warning {
        code: warning.code().to_owned(),
        message: warning.to_string(),
    };
    warnings.iter().map(said).collect()
}

/// The destination's own words, or else ours.
pub(super) fn message(failure: &Failure) -> String {
    match &failure.words {
        Some(words) => words.clone(),
        None => failure.reason.sentence().to_owned(),
    }
}

fn of_idle(output: OutputUid, idle: Idle, since_ms: u64) -> OutputStatus {
    let (state, reason) = match idle {
        Idle::Disabled => (State::Disabled, None),
        Idle::Unsupported => (State::Failed, Some(Reason::Unsupported)),
    };
    OutputStatus {
        output,
        server: None,
        state: state.as_str(),
        step: None,
        reason: reason.map(|reason| reason.as_str()),
        message: reason.map(|reason| reason.sentence().to_owned()),
        since_ms,
        attempts: 0,
        next_retry_ms: None,
        connects: 0,
        bytes: 0,
        bitrate_bps: 0,
        skipped_ms: 0,
        warnings: Vec::new(),
    }
}

fn since(then: Instant) -> u64 {
    millis(clock::now().saturating_duration_since(then))
}

fn until(then: Instant) -> u64 {
    millis(then.saturating_duration_since(clock::now()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
