//! Where an account's events are sent: its webhooks, and what became of the deliveries.

use serde::{Deserialize, Serialize};

use super::EventId;
use crate::id::{DestinationId, PolicyId};
use crate::secret::{self, Secret};
use crate::time::Timestamp;

/// `/stream/webhook`: one for the account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamWebhook {
    /// Where notifications are sent.
    pub notification_url: String,
    /// When it was last set.
    pub modified: Timestamp,
    /// What notifications are signed with, in clear: showing it is this field's purpose.
    #[serde(serialize_with = "secret::exposed")]
    pub secret: Secret,
}

/// A destination of notifications. Its `cf-webhook-auth` secret is never shown.
#[derive(Debug, Serialize)]
pub struct Destination {
    /// Its id.
    pub id: DestinationId,
    /// The user's name for it.
    pub name: String,
    /// Where notifications are sent.
    pub url: String,
    /// Cloudflare's word for a receiver of its own form of notifications.
    #[serde(rename = "type")]
    pub kind: DestinationKind,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last took a notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Timestamp>,
    /// What notifications are signed with, in clear: showing it is this field's purpose.
    #[serde(serialize_with = "secret::exposed")]
    pub signing_secret: Secret,
}

/// The form of notifications that a destination takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationKind {
    /// That of Cloudflare's own.
    Generic,
}

/// Which events go to which destinations.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// The user's name for it, which notifications carry.
    pub name: String,
    /// The user's words on it.
    pub description: String,
    /// Whether it sends anything.
    pub enabled: bool,
    /// What it is about: [`ALERT_TYPE`], the only one there is.
    pub alert_type: &'static str,
    /// Which events it is about.
    pub filters: Filters,
    /// Where they go.
    pub mechanisms: Mechanisms,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// The alert type of live inputs.
pub const ALERT_TYPE: &str = "stream_live_notifications";

/// Which events a policy is about; none of a list means no restriction by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Filters {
    /// Live inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_id: Vec<String>,
    /// Types of events, in full or as `live_input.output.*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_type: Vec<String>,
}

/// Where a policy's events go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Mechanisms {
    /// Destinations.
    pub webhooks: Vec<Mechanism>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Mechanism {
    /// The destination.
    pub id: DestinationId,
}

/// What became of a notification for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Delivery {
    /// The event; none for a test message.
    pub id: Option<EventId>,
    /// The event's type, or `test`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was queued.
    pub created: Timestamp,
    /// When it was last tried.
    pub attempted: Option<Timestamp>,
    /// When it will be tried again.
    pub next: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Why the last attempt failed, a sentence for a person.
    pub error: Option<String>,
}

/// How a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits to be sent, or to be sent again.
    Pending,
    /// The receiver answered that it has it.
    Delivered,
    /// Given up.
    Failed,
}
