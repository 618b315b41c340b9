//! A status as clients are shown it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::api::{
    Configuration, CurrentStatus, InputState, InputStatus, OutputStatus, PastStatus,
};
use shared::id::OutputUid;
use shared::link::OutputState;
use shared::time::Timestamp;

use super::book::StatusBook;
use super::facts::Acknowledged;
use super::words;
use crate::node_link::Sight;

/// What the object of a live input says when it is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct View {
    /// The input's status; none before the first encoder.
    pub input: Option<InputStatus>,
    /// Whether what was configured is what is done, all of it.
    pub configuration: Configuration,
    /// The newest `rev` that the node which has the input on air has carried out.
    #[serde(default)]
    pub applied: Option<u64>,
    /// Whether a node has the input on air.
    pub on_air: bool,
    /// Whether nobody knows: the node, or the object, is silent.
    pub silent: bool,
    /// The outputs that something is known of.
    pub outputs: BTreeMap<OutputUid, OutputStatus>,
}

impl View {
    /// The view of an input that has never been on air.
    pub fn empty() -> Self {
        Self {
            input: None,
            configuration: Configuration::Applied,
            applied: None,
            on_air: false,
            silent: false,
            outputs: BTreeMap::new(),
        }
    }

    /// Adds what the object of the node has seen.
    pub fn see(&mut self, sight: Sight) {
        let Some(status) = &mut self.input else {
            return;
        };
        let current = &mut status.current;
        current.base.status_last_seen = sight.heard.max(current.base.status_last_seen);
        let Some(figures) = sight.figures else {
            return;
        };
        let ingest = figures.ingest;
        current.bitrate = Some(ingest.bitrate);
        current.idle_ms = Some(ingest.idle_ms);
        current.video = ingest.video.map(Into::into);
        current.audio = ingest.audio.map(Into::into);
        current.audio_ahead_ms = ingest.audio_ahead_ms;
        current.warnings = ingest.warnings;
        for figures in figures.outputs {
            if let Some(status) = self.outputs.get_mut(&figures.output) {
                status.bytes = Some(figures.bytes);
                status.bitrate = Some(figures.bitrate);
                status.skipped_ms = Some(figures.skipped_ms);
                let reconnects = figures.connects.saturating_sub(1);
                status.reconnects = reconnects.max(status.reconnects);
            }
        }
    }

    /// Whether an output is what was configured, where `rev` is the change that last touched it.
    pub fn output_configuration(&self, rev: u64) -> Configuration {
        match self.configuration {
            Configuration::Pending if self.applied.is_some_and(|applied| applied >= rev) => {
                Configuration::Applied
            }
            all => all,
        }
    }

    /// The status of an output, which may be newer than all that the node has said. `rev` is the
    /// change that last touched it.
    pub fn output(&self, output: OutputUid, enabled: bool, rev: u64) -> OutputStatus {
        let told = self.outputs.get(&output);
        let is_pending = self.on_air && self.output_configuration(rev) == Configuration::Pending;
        match told {
            // Until the node has switched it, it does what it did.
            Some(told) if is_pending => told.clone(),
            Some(told) if enabled == (told.state != OutputState::Disabled) => told.clone(),
            _ if !enabled => plain(OutputState::Disabled),
            _ if self.silent => plain(OutputState::Unknown),
            _ => plain(OutputState::Idle),
        }
    }
}

impl StatusBook {
    /// What there is to say, where the newest snapshot is `rev`, and a node has the input on air
    /// or not.
    pub fn view(&self, rev: u64, on_air: bool) -> View {
        let applied = self.facts.applied.as_ref().and_then(Acknowledged::done);
        let is_applied = applied.is_some_and(|applied| applied >= rev);
        View {
            input: self.current().map(|current| InputStatus {
                current,
                history: self.facts.history.iter().cloned().collect(),
            }),
            configuration: match on_air && !is_applied {
                true => Configuration::Pending,
                false => Configuration::Applied,
            },
            applied,
            on_air,
            silent: self.is_silent(),
            outputs: self
                .outputs
                .keys()
                .filter_map(|&output| Some((output, self.output_status(output)?)))
                .collect(),
        }
    }
}

/// What there is to say where the object does not answer: nobody knows.
pub fn unavailable(now: Timestamp) -> View {
    View {
        input: Some(InputStatus {
            current: CurrentStatus {
                base: PastStatus {
                    state: InputState::Unknown,
                    reason: words::UNAVAILABLE.to_owned(),
                    ingest_protocol: None,
                    status_entered_at: now,
                    status_last_seen: now,
                },
                connected_since: None,
                encoder: None,
                bitrate: None,
                idle_ms: None,
                video: None,
                audio: None,
                audio_ahead_ms: None,
                warnings: Vec::new(),
                last_error: None,
            },
            history: Vec::new(),
        }),
        configuration: Configuration::Pending,
        applied: None,
        on_air: false,
        silent: true,
        outputs: BTreeMap::new(),
    }
}

fn plain(state: OutputState) -> OutputStatus {
    OutputStatus {
        state,
        reason: None,
        message: None,
        since: None,
        attempts: 0,
        next_retry_at: None,
        bytes: None,
        bitrate: None,
        skipped_ms: None,
        reconnects: 0,
        warnings: Vec::new(),
    }
}
