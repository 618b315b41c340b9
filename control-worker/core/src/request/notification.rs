//! Bodies about webhooks, destinations and policies.

use serde_json::{Map, Value, json};
use shared::api::{ALERT_TYPE, Filters, Mechanisms};
use shared::id::InputUid;
use shared::secret::Secret;

use super::Fields;
use crate::failure::Failure;
use crate::sql::{NewPolicyValues, PolicyChange};
use crate::webhook::{ReceiverPolicy, is_event_type};

/// The body that sets the account's webhook.
#[derive(Debug)]
pub struct WebhookUpdate {
    /// Where to send.
    pub url: String,
}

impl WebhookUpdate {
    /// Reads the body: `notificationUrl` or, as older clients write it, `notification_url`.
    ///
    /// # Errors
    ///
    /// Names the field at fault.
    pub fn parse(body: &[u8], policy: &ReceiverPolicy) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let older = fields.raw("notification_url");
        let older = older.map(|_| receiver_url(&fields, "notification_url", policy));
        let url = match (fields.raw("notificationUrl"), older.transpose()?) {
            (None, Some(url)) => url,
            _ => receiver_url(&fields, "notificationUrl", policy)?,
        };
        Ok(Self { url })
    }
}

/// The body of a new destination, or of all settings of one.
#[derive(Debug)]
pub struct DestinationBody {
    /// The user's name for it.
    pub name: String,
    /// Where to send.
    pub url: String,
    /// What `cf-webhook-auth` shall carry: none where it stays as it is, the empty text for
    /// nothing.
    pub secret: Option<Secret>,
}

impl DestinationBody {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Names the field at fault.
    pub fn parse(body: &[u8], policy: &ReceiverPolicy) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let name = text(&fields, "name", MAX_NAME_BYTES)?;
        let url = receiver_url(&fields, "url", policy)?;
        let secret: Option<Option<Secret>> = fields.optional("secret", "a text or null")?;
        let secret = secret.flatten();
        // It stands in a header, where control characters and blanks at its ends would not arrive.
        let fits = |secret: &Secret| {
            let text = secret.expose();
            text.len() <= MAX_SECRET_BYTES
                && text.trim_ascii() == text
                && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        if !secret.as_ref().is_none_or(fits) {
            return Err(Failure::field(
                "/secret",
                format!(
                    "The field secret stands in a header: use at most {MAX_SECRET_BYTES} printable \
                     ASCII characters, without blanks at its ends."
                ),
            ));
        }
        Ok(Self { name, url, secret })
    }
}

/// The body of a new policy.
#[derive(Debug)]
pub struct NewPolicy(pub NewPolicyValues);

impl NewPolicy {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Names the field at fault.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        fields.required::<String>("alert_type", ALERT_TYPE)?;
        fields.required::<String>("name", "a text")?;
        fields.required::<Map<String, Value>>("mechanisms", MECHANISMS_FORM)?;
        let change = policy(&fields)?;
        Ok(Self(NewPolicyValues {
            name: change.name.unwrap_or_default(),
            description: change.description.unwrap_or_default(),
            enabled: change.enabled.unwrap_or(true),
            filters: change.filters.unwrap_or_else(|| "{}".to_owned()),
            destinations: change.destinations.unwrap_or_else(|| "[]".to_owned()),
        }))
    }
}

/// The body that changes a policy.
#[derive(Debug)]
pub struct PolicyUpdate(pub PolicyChange);

impl PolicyUpdate {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Names the field at fault.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        policy(&Fields::parse(body)?).map(Self)
    }
}

fn policy(fields: &Fields<'_>) -> Result<PolicyChange, Failure> {
    let alert_type: Option<String> = fields.optional("alert_type", "a text")?;
    if alert_type.is_some_and(|kind| kind != ALERT_TYPE) {
        return Err(Failure::field(
            "/alert_type",
            format!("There are no alerts of this type here: use {ALERT_TYPE}."),
        ));
    }
    // Of alerts that last; ours are of moments.
    fields.optional::<Option<String>>("alert_interval", "a text or null")?;
    let name = fields
        .raw("name")
        .map(|_| text(fields, "name", MAX_NAME_BYTES));
    let description: Option<Option<String>> = fields.optional("description", "a text or null")?;
    let description = description.map(Option::unwrap_or_default);
    if description
        .as_ref()
        .is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES)
    {
        return Err(Failure::field(
            "/description",
            format!(
                "The field description is too long: use at most {MAX_DESCRIPTION_BYTES} bytes."
            ),
        ));
    }
    Ok(PolicyChange {
        name: name.transpose()?,
        description,
        enabled: fields.enabled()?,
        filters: filters(fields)?,
        destinations: destinations(fields)?,
    })
}

fn text(fields: &Fields<'_>, name: &str, bound: usize) -> Result<String, Failure> {
    let text: String = fields.required(name, "a text")?;
    if text.is_empty() || text.len() > bound {
        return Err(Failure::field(
            format!("/{name}"),
            format!("The field {name} must have 1 to {bound} bytes."),
        ));
    }
    Ok(text)
}

fn receiver_url(
    fields: &Fields<'_>,
    name: &str,
    policy: &ReceiverPolicy,
) -> Result<String, Failure> {
    let url: String = fields.required(name, "a URL")?;
    policy
        .judge(&url)
        .map_err(|error| Failure::field(format!("/{name}"), sentence(&error.to_string())))?;
    Ok(url)
}

fn filters(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let form = r#"an object of lists of texts, or null"#;
    let given: Option<Option<Map<String, Value>>> = fields.optional("filters", form)?;
    let Some(given) = given else { return Ok(None) };
    let mut filters = Filters::default();
    for (name, value) in given.unwrap_or_default() {
        let pointer = format!("/filters/{}", name.replace('~', "~0").replace('/', "~1"));
        let list: Option<Vec<String>> = serde_json::from_value(value).map_err(|_| {
            Failure::field(pointer.as_str(), "This filter must be a list of texts.")
        })?;
        let list = list.unwrap_or_default();
        let wrong = |message: String| Err(Failure::field(pointer.as_str(), message));
        if list.len() > MAX_FILTER_VALUES {
            return wrong(format!(
                "This filter has too many values: use at most {MAX_FILTER_VALUES}."
            ));
        }
        match name.as_str() {
            "input_id" if list.iter().all(|uid| uid.parse::<InputUid>().is_ok()) => {
                filters.input_id = list;
            }
            "input_id" => return wrong("This filter must list uids of live inputs.".to_owned()),
            "event_type" if list.iter().all(|kind| is_event_type(kind)) => {
                filters.event_type = list;
            }
            "event_type" => {
                return wrong(
                    "This filter must list types of events, as live_input.connected or \
                     live_input.output.*."
                        .to_owned(),
                );
            }
            _ => {
                return wrong(
                    "There is no such filter for live inputs: use input_id and event_type."
                        .to_owned(),
                );
            }
        }
    }
    Ok(Some(json!(filters).to_string()))
}

/// The ids as a JSON array.
fn destinations(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let Some(given) = fields.optional::<Map<String, Value>>("mechanisms", MECHANISMS_FORM)? else {
        return Ok(None);
    };
    for (name, value) in &given {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        let is_other = matches!(name.as_str(), "email" | "pagerduty");
        if name != "webhooks" && !(is_other && is_empty) {
            return Err(Failure::field(
                format!("/mechanisms/{}", name.replace('~', "~0").replace('/', "~1")),
                "Notifications go to webhooks only: make a destination and name it in webhooks.",
            ));
        }
    }
    let wrong = |message: String| Err(Failure::field("/mechanisms/webhooks", message));
    let webhooks = json!({"webhooks": given.get("webhooks").cloned().unwrap_or_default()});
    let Ok(Mechanisms { webhooks }) = serde_json::from_value(webhooks) else {
        return wrong("This must be a list of destinations, each as {\"id\": \"…\"}.".to_owned());
    };
    if webhooks.is_empty() || webhooks.len() > MAX_POLICY_DESTINATIONS {
        return wrong(format!(
            "A policy needs 1 to {MAX_POLICY_DESTINATIONS} destinations."
        ));
    }
    let ids: Vec<_> = webhooks.into_iter().map(|webhook| webhook.id).collect();
    Ok(Some(json!(ids).to_string()))
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(characters)
        .chain(['.'])
        .collect()
}

const MECHANISMS_FORM: &str = r#"an object like {"webhooks": [{"id": "…"}]}"#;

/// Bytes of a name: a line on a page.
const MAX_NAME_BYTES: usize = 256;

/// Bytes of a description: a paragraph.
const MAX_DESCRIPTION_BYTES: usize = 1024;

/// Bytes of a `cf-webhook-auth` secret: receivers' servers take headers of 8 KiB and less.
const MAX_SECRET_BYTES: usize = 1024;

/// Values of a filter: they are read with each event.
const MAX_FILTER_VALUES: usize = 100;

/// Destinations of a policy: as many as an account may have.
const MAX_POLICY_DESTINATIONS: usize = crate::sql::MAX_DESTINATIONS as usize;
