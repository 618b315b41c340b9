//! Which event goes to which receivers.

use shared::api::{ApiEvent, EventKind, Filters};
use shared::id::DestinationId;

use super::Target;
use crate::sql::{AnyRow, PolicyRow, Results, RowError};

/// What the database says of who receives what.
pub(super) struct Routing {
    policies: Vec<Policy>,
    has_stream_webhook: bool,
}

struct Policy {
    name: String,
    filters: Filters,
    destinations: Vec<DestinationId>,
}

impl Routing {
    pub(super) fn read(results: &impl Results) -> Result<Self, RowError> {
        let error = RowError { statement: 0 };
        let rows: Vec<PolicyRow> = results.rows(0)?;
        let policies = rows.into_iter().map(|row| {
            Ok(Policy {
                name: row.name,
                filters: serde_json::from_str(&row.filters).map_err(|_| error)?,
                destinations: serde_json::from_str(&row.destinations).map_err(|_| error)?,
            })
        });
        Ok(Self {
            policies: policies.collect::<Result<_, _>>()?,
            has_stream_webhook: results.first::<AnyRow>(1)?.is_some(),
        })
    }

    /// The receivers of an event, each once, with the name of the policy that asks for it: of
    /// several, the oldest.
    pub(super) fn receivers(&self, event: &ApiEvent) -> Vec<(Target, String)> {
        let mut receivers: Vec<(Target, String)> = Vec::new();
        for policy in &self.policies {
            if !asks_for(&policy.filters, event) {
                continue;
            }
            for &destination in &policy.destinations {
                let target = Target::Destination(destination);
                if !receivers.iter().any(|(one, _)| *one == target) {
                    receivers.push((target, policy.name.clone()));
                }
            }
        }
        if self.has_stream_webhook && event.kind.is_cloudflares() {
            receivers.push((Target::Stream, STREAM_NAME.to_owned()));
        }
        receivers
    }
}

/// Whether a text is one that [`Filters::event_type`] may have.
pub fn is_event_type(text: &str) -> bool {
    text == EVERY_OUTPUT_EVENT || EventKind::ALL.iter().any(|kind| kind.as_str() == text)
}

/// Without a filter, a policy is about the events that Cloudflare has: a receiver written for it
/// gets no other.
fn asks_for(filters: &Filters, event: &ApiEvent) -> bool {
    let input = event.input.to_string();
    let kind = event.kind.as_str();
    let is_named =
        |text: &String| text == kind || (text == EVERY_OUTPUT_EVENT && event.output.is_some());
    (filters.input_id.is_empty() || filters.input_id.contains(&input))
        && match filters.event_type.as_slice() {
            [] => event.kind.is_cloudflares(),
            types => types.iter().any(is_named),
        }
}

/// All events of outputs.
pub const EVERY_OUTPUT_EVENT: &str = "live_input.output.*";

/// What stands for a policy's name in what `/stream/webhook` receives.
const STREAM_NAME: &str = "Stream webhook";
