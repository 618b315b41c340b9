//! What happens, and what the book makes of it: how the input and its outputs stand, and events.

use shared::api::{
    ApiEvent, Audio, CurrentStatus, EventId, EventKind, InputError, InputState, OutputInEvent,
    PastStatus, Video,
};
use shared::id::OutputUid;
use shared::limits::MAX_STATUS_HISTORY;
use shared::link::{Event, OutputState, Protocol, Publisher, What};
use shared::time::Timestamp;

use super::book::StatusBook;
use super::facts::{Acknowledged, OutputFacts};
use super::words;

impl StatusBook {
    pub(super) fn happen(&mut self, event: &Event, now: Timestamp) {
        // A node's clock may be wrong: what it tells is not of the future.
        let at = match event.at {
            at if at == Timestamp::default() || at > now => now,
            at => at,
        };
        if let Some(holder) = &mut self.facts.holder
            && !std::mem::replace(&mut holder.spoke, true)
        {
            // What another process served is served no more.
            self.idle_outputs(at);
        }
        match &event.what {
            What::Away { .. } => {
                if self.begin(event.epoch) && self.is_on_air() {
                    self.enter(InputState::Reconnecting, words::RECONNECTING, None, at);
                }
            }
            What::Connected(publisher) => {
                if self.begin(event.epoch) {
                    self.connected(publisher, at);
                }
            }
            What::Ended { reason } => {
                let waited = self.stands() == Some(InputState::Reconnecting);
                self.end(words::disconnected(*reason, waited), event.epoch, at);
            }
            What::Faulted(fault) => {
                let error = InputError {
                    code: fault.code.clone(),
                    message: fault.message.clone(),
                    at,
                };
                self.facts.last_error = Some(error.clone());
                let status = self.current().map(|status| CurrentStatus {
                    video: named(&fault.video_codec).map(|codec| Video {
                        codec,
                        ..Video::default()
                    }),
                    audio: named(&fault.audio_codec).map(|codec| Audio {
                        codec,
                        ..Audio::default()
                    }),
                    ..status
                });
                self.say(EventKind::Errored, at, |event| {
                    event.status = status;
                    event.error = Some(error);
                });
            }
            What::Output(change) => {
                let since = match self.outputs.get(&change.output) {
                    Some(known) if known.state == change.state => known.since,
                    _ => at,
                };
                self.set_output(OutputFacts::new(change.clone(), since), at);
            }
            What::Unknown => {}
        }
    }

    /// Something is told of the input under that epoch. Returns false if it is over already.
    fn begin(&mut self, epoch: u64) -> bool {
        let begins = epoch >= self.facts.epoch;
        self.facts.epoch = self.facts.epoch.max(epoch);
        begins
    }

    fn connected(&mut self, publisher: &Publisher, at: Timestamp) {
        self.facts.connected_since = Some(at);
        self.facts.encoder = Some(publisher.encoder.clone()).filter(|name| !name.is_empty());
        let reason = match publisher.returned {
            true => words::RECONNECTED,
            false => words::CONNECTED,
        };
        let protocol = Some(publisher.protocol);
        self.enter(InputState::Connected, reason, protocol, at);
    }

    /// The broadcast of that epoch is over.
    pub(super) fn end(&mut self, reason: &str, epoch: u64, at: Timestamp) {
        if epoch < self.facts.epoch {
            return;
        }
        // Nobody knew how they stood: they are told of after the input, as they are then.
        let unknown = match self.is_silent() {
            true => self.active_outputs(),
            false => Vec::new(),
        };
        for &output in &unknown {
            self.set_output(OutputFacts::idle(output, at), at);
        }
        if self.is_on_air() {
            self.facts.connected_since = None;
            self.facts.encoder = None;
            self.enter(InputState::Disconnected, reason, None, at);
        }
        for output in unknown {
            self.say_output(output, at);
        }
        self.idle_outputs(at);
    }

    pub(super) fn applied(
        &mut self,
        rev: u64,
        unsupported: Option<&[OutputUid]>,
        unknown_wish: bool,
        now: Timestamp,
    ) {
        let known = self.facts.applied.as_ref();
        if known.is_some_and(|known| known.rev > rev) {
            return;
        }
        // That it was acknowledged is said by a report too, which says nothing more.
        let is_same = known.is_some_and(|known| known.rev == rev);
        let was_unknown = is_same && known.is_some_and(|it| it.unknown_wish);
        let unknown_wish = unknown_wish || was_unknown;
        let before = known.and_then(|known| match is_same {
            true => known.before,
            false => known.done(),
        });
        self.facts.applied = Some(Acknowledged {
            rev,
            unknown_wish,
            before,
        });
        if unknown_wish && !was_unknown {
            self.facts.last_error = Some(InputError {
                code: words::NODE_OUTDATED.to_owned(),
                message: "The relay node does not know what is configured, and goes on as before: \
                    update the node."
                    .to_owned(),
                at: now,
            });
        }
        let Some(unsupported) = unsupported else {
            return;
        };
        let is_refused = |facts: &OutputFacts| facts.reason.as_deref() == Some(words::UNSUPPORTED);
        let served: Vec<OutputUid> = self
            .outputs
            .values()
            .filter(|facts| is_refused(facts) && !unsupported.contains(&facts.output))
            .map(|facts| facts.output)
            .collect();
        for output in served {
            self.set_output(OutputFacts::idle(output, now), now);
        }
        for &output in unsupported {
            if self.outputs.get(&output).is_some_and(is_refused) {
                continue;
            }
            let facts = OutputFacts {
                state: OutputState::Failed,
                reason: Some(words::UNSUPPORTED.to_owned()),
                message: Some(
                    "The relay node does not know this kind of output: update the node.".to_owned(),
                ),
                ..OutputFacts::idle(output, now)
            };
            self.set_output(facts, now);
        }
    }

    pub(super) fn silent(&mut self, since: Timestamp, now: Timestamp) {
        if !self.is_on_air() || self.is_silent() {
            return;
        }
        let Some(current) = &mut self.facts.current else {
            return;
        };
        current.status_last_seen = since.max(current.status_entered_at);
        let before = (current.state, current.reason.clone());
        self.enter(InputState::Unknown, words::NODE_SILENT, None, now);
        self.facts.before_silence = Some(before);
        self.say_outputs(now);
    }

    pub(super) fn heard(&mut self, now: Timestamp) {
        if let Some((state, reason)) = self.facts.before_silence.clone() {
            self.enter(state, &reason, None, now);
        }
    }

    /// The input stands otherwise from `at` on. Whatever is told of it ends a silence.
    fn enter(
        &mut self,
        state: InputState,
        reason: &str,
        protocol: Option<Protocol>,
        at: Timestamp,
    ) {
        let was_silent = self.facts.before_silence.take().is_some();
        let mut protocol = protocol;
        if let Some(mut past) = self.facts.current.take() {
            protocol = protocol.or(past.ingest_protocol);
            if state != InputState::Unknown {
                past.status_last_seen = at.max(past.status_entered_at);
            }
            self.facts.history.push_front(past);
            self.facts.history.truncate(MAX_STATUS_HISTORY);
        }
        self.facts.current = Some(PastStatus {
            state,
            reason: reason.to_owned(),
            ingest_protocol: protocol,
            status_entered_at: at,
            status_last_seen: at,
        });
        self.facts_changed = true;
        let status = self.current();
        self.say(words::input_event(state), at, |event| event.status = status);
        if was_silent {
            self.say_outputs(at);
        }
    }

    fn set_output(&mut self, facts: OutputFacts, at: Timestamp) {
        let output = facts.output;
        if self.outputs.get(&output) == Some(&facts) {
            return;
        }
        self.outputs.insert(output, facts);
        self.outputs_changed.insert(output);
        // While nobody knows how it stands, nothing is said of it.
        if !self.is_silent() {
            self.say_output(output, at);
        }
    }

    fn active_outputs(&self) -> Vec<OutputUid> {
        let active = self.outputs.values().filter(|facts| facts.is_active());
        active.map(|facts| facts.output).collect()
    }

    fn idle_outputs(&mut self, at: Timestamp) {
        for output in self.active_outputs() {
            self.set_output(OutputFacts::idle(output, at), at);
        }
    }

    fn say_outputs(&mut self, at: Timestamp) {
        for output in self.active_outputs() {
            self.say_output(output, at);
        }
    }

    fn say_output(&mut self, output: OutputUid, at: Timestamp) {
        let Some(status) = self.output_status(output) else {
            return;
        };
        self.say(words::output_event(status.state), at, |event| {
            event.output = Some(OutputInEvent {
                uid: output,
                status,
            });
        });
    }

    fn say(&mut self, kind: EventKind, at: Timestamp, more: impl FnOnce(&mut ApiEvent)) {
        self.facts.last_event += 1;
        self.facts_changed = true;
        let mut event = ApiEvent {
            id: EventId {
                input: self.input,
                number: self.facts.last_event,
            },
            kind,
            at,
            input: self.input,
            status: None,
            output: None,
            error: None,
        };
        more(&mut event);
        self.happened.push(event);
    }
}

/// A codec, unless the node knew none.
fn named(codec: &str) -> Option<String> {
    (!codec.is_empty()).then(|| codec.to_owned())
}
