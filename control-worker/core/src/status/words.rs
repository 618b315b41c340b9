//! The words of a status: stable codes, Cloudflare's where it has one.

use shared::api::{EventKind, InputState};
use shared::link::{Departure, OutputState};

/// An encoder has begun. Cloudflare's.
pub const CONNECTED: &str = "connected";

/// The encoder is back, and the broadcast went on. Cloudflare's.
pub const RECONNECTED: &str = "reconnected";

/// The encoder has vanished, and the broadcast waits for it. Cloudflare's.
pub const RECONNECTING: &str = "reconnecting";

/// The node that has the input on air is silent.
pub const NODE_SILENT: &str = "node_silent";

/// The node that had the input on air has it no more, and nobody said why.
pub const NODE_LOST: &str = "node_lost";

/// The input's object does not answer.
pub const UNAVAILABLE: &str = "status_unavailable";

/// The live input was deleted.
pub const DELETED: &str = "deleted";

/// The node does not know this kind of output.
pub const UNSUPPORTED: &str = "unsupported";

/// The node does not know what is wanted of it.
pub const NODE_OUTDATED: &str = "node_outdated";

/// Why an input is disconnected. `waited` tells whether the broadcast was waiting for the encoder.
pub fn disconnected(departure: Departure, waited: bool) -> &'static str {
    match departure {
        // Cloudflare's, as is `failed_to_reconnect`.
        Departure::Goodbye => "client_disconnect",
        Departure::Lost if waited => "failed_to_reconnect",
        Departure::Lost => "connection_lost",
        Departure::Misbehaved => "protocol_error",
        Departure::Deleted => DELETED,
        Departure::Disabled => "disabled",
        Departure::KeyRotated => "key_rotated",
        Departure::Replaced => "replaced",
        Departure::ShuttingDown => "node_shutdown",
        Departure::Unknown => "unknown",
    }
}

/// A state, as the API and the database write it.
pub(super) fn input_state(state: InputState) -> &'static str {
    match state {
        InputState::Connected => "connected",
        InputState::Reconnecting => "reconnecting",
        InputState::Disconnected => "disconnected",
        InputState::Unknown => "unknown",
    }
}

/// The event of an input that enters a state.
pub(super) fn input_event(state: InputState) -> EventKind {
    match state {
        InputState::Connected => EventKind::Connected,
        InputState::Reconnecting => EventKind::Reconnecting,
        InputState::Disconnected => EventKind::Disconnected,
        InputState::Unknown => EventKind::Unknown,
    }
}

/// The event of an output that enters a state.
pub(super) fn output_event(state: OutputState) -> EventKind {
    match state {
        OutputState::Disabled => EventKind::OutputDisabled,
        OutputState::Idle => EventKind::OutputIdle,
        OutputState::Connecting => EventKind::OutputConnecting,
        OutputState::Live => EventKind::OutputLive,
        OutputState::Stalled => EventKind::OutputStalled,
        OutputState::Backoff => EventKind::OutputBackoff,
        OutputState::Failed => EventKind::OutputFailed,
        OutputState::Unknown => EventKind::OutputUnknown,
    }
}
