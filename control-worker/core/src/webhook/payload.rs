//! What a receiver reads: Cloudflare's form of notifications, and ours in the same.

use serde::Serialize;
use serde_json::json;
use shared::api::{ApiEvent, EventKind, OutputInEvent};
use shared::id::InputUid;
use shared::time::Timestamp;

/// The notification of an event, `name` being that of the policy that asked for it.
///
/// Cloudflare's types have exactly Cloudflare's fields. Ours have `live_input_output`, the output
/// and how it stands after the event.
pub(super) fn notification(event: &ApiEvent, name: &str) -> String {
    let updated_at = nanoseconds(event.at);
    let errored = (event.kind == EventKind::Errored).then(|| Errored::of(event));
    let mut text = format!(
        "Notification type: {NOTIFICATION}\nInput ID: {}\nEvent type: {}\nUpdated at: {updated_at}",
        event.input,
        event.kind.as_str(),
    );
    if let Some(errored) = &errored {
        text.push_str(&format!(
            "\nError Code: {}\nError Message: {}\nVideo Codec: {}\nAudio Codec: {}",
            errored.error.code, errored.error.message, errored.video_codec, errored.audio_codec
        ));
    }
    if let Some(output) = &event.output {
        text.push_str(&format!("\nOutput ID: {}", output.uid));
    }
    let notification = Notification {
        name,
        text,
        data: Data {
            notification_name: NOTIFICATION,
            input_id: event.input,
            event_type: event.kind,
            updated_at,
            live_input_errored: errored,
            live_input_output: event.output.as_ref(),
        },
        ts: event.at.as_micros().div_euclid(1_000_000),
    };
    json!(notification).to_string()
}

/// What a receiver is sent to show that it can be reached.
pub(super) fn test_message() -> String {
    json!({
        "text": "Hello World! This is a test message sent from Stream Connect. If you can see \
                 this, your webhook is configured properly."
    })
    .to_string()
}

#[derive(Serialize)]
struct Notification<'a> {
    name: &'a str,
    text: String,
    data: Data<'a>,
    ts: i64,
}

#[derive(Serialize)]
struct Data<'a> {
    notification_name: &'static str,
    input_id: InputUid,
    event_type: EventKind,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_input_errored: Option<Errored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_input_output: Option<&'a OutputInEvent>,
}

#[derive(Serialize)]
struct Errored {
    error: CodedError,
    video_codec: String,
    audio_codec: String,
}

#[derive(Serialize)]
struct CodedError {
    code: String,
    message: String,
}

impl Errored {
    fn of(event: &ApiEvent) -> Self {
        let status = event.status.as_ref();
        let video = status.and_then(|status| status.video.as_ref());
        let audio = status.and_then(|status| status.audio.as_ref());
        let error = event.error.as_ref();
        Self {
            error: CodedError {
                code: error.map_or_else(String::new, |error| cloudflares_code(&error.code)),
                message: error.map_or_else(String::new, |error| error.message.clone()),
            },
            video_codec: video.map_or_else(String::new, |video| video.codec.clone()),
            audio_codec: audio.map_or_else(String::new, |audio| audio.codec.clone()),
        }
    }
}

/// Cloudflare's code for one of ours, the warnings of relay nodes; what it has no code for is written
/// in the same way. Its codes for unsupported codecs have no occasion: outputs get any codec.
fn cloudflares_code(code: &str) -> String {
    match code {
        "keyframes_rare" | "keyframes_too_rare" | "no_keyframe" => {
            "ERR_GOP_OUT_OF_RANGE".to_owned()
        }
        other => format!("ERR_{}", other.to_ascii_uppercase()),
    }
}

/// RFC 3339 with nine digits of fraction, as Cloudflare's notifications have them.
fn nanoseconds(time: Timestamp) -> String {
    let text = time.to_string();
    let text = text.trim_end_matches('Z');
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{seconds}.{fraction:0<9}Z")
}

const NOTIFICATION: &str = "Stream Live Input";
