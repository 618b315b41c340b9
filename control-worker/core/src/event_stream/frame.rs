//! The frames, as JSON.

use serde::{Deserialize, Serialize};
use shared::api::{Configuration, EventId, InputStatus, OutputStatus};
use shared::id::OutputUid;
use shared::secret::Secret;

use super::AccountChange;
use crate::sql::OutputRow;
use crate::status::View;

/// What a client sends to see whether the connection lives. The platform answers it for a sleeping
/// object.
pub const PING: &str = r#"{"type":"ping"}"#;

/// The answer to [`PING`].
pub const PONG: &str = r#"{"type":"pong"}"#;

/// What a client sends first where the upgrade had no credentials.
#[derive(Deserialize)]
pub(super) struct FirstFrame {
    pub(super) token: Secret,
    /// Of another form than an event's id it is as good as unknown.
    #[serde(default)]
    pub(super) since: Option<String>,
}

/// What a client sends afterwards.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientFrame {
    /// Confirms what came before the same frame of ours.
    Echo { echo: String },
    /// Of another spelling than the one that the platform answers.
    Ping,
}

pub(super) fn ready(last: Option<EventId>, resumed: bool) -> String {
    let last = last.map_or_else(|| "null".to_owned(), |id| format!(r#""{id}""#));
    format!(r#"{{"type":"ready","lastEventId":{last},"resumed":{resumed}}}"#)
}

pub(super) fn event(id: &str, json: &str) -> String {
    format!(r#"{{"type":"event","id":"{id}","event":{json}}}"#)
}

pub(super) fn echo(echo: &str) -> String {
    format!(r#"{{"type":"echo","echo":"{echo}"}}"#)
}

pub(super) fn changed(rev: u64) -> String {
    format!(r#"{{"type":"changed","rev":{rev}}}"#)
}

/// The live input is gone.
pub fn deleted() -> &'static str {
    r#"{"type":"deleted"}"#
}

/// A live input of the account was changed.
pub fn account_change(change: &AccountChange) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        change: &'a AccountChange,
    }
    text(&Frame {
        r#type: "changed",
        change,
    })
}

/// How a live input and its outputs stand; `outputs` are those that are configured.
pub fn state(view: &View, outputs: &[OutputRow]) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: &'a Option<InputStatus>,
        configuration: Configuration,
        outputs: Vec<Output>,
    }
    #[derive(Serialize)]
    struct Output {
        uid: OutputUid,
        enabled: bool,
        status: OutputStatus,
        configuration: Configuration,
    }
    let outputs = outputs.iter().map(|row| Output {
        uid: row.uid,
        enabled: row.enabled,
        status: view.output(row.uid, row.enabled, row.rev),
        configuration: view.output_configuration(row.rev),
    });
    text(&Frame {
        r#type: "state",
        status: &view.input,
        configuration: view.configuration,
        outputs: outputs.collect(),
    })
}

/// What is written here has nothing that JSON cannot say.
fn text(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}
