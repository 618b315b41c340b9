//! What a client reads about webhooks, destinations and policies.

use shared::api::{
    ALERT_TYPE, Destination, DestinationKind, Mechanism, Mechanisms, Policy, StreamWebhook,
};
use shared::envelope::{Notice, code};
use shared::hex;
use shared::id::{AccountId, DestinationId};
use shared::secret::Secret;

use crate::failure::Failure;
use crate::keys::{Keyring, Place};
use crate::sql::{DestinationRow, NotificationRefusal, PolicyRow, StreamWebhookRow};
use crate::webhook::{LastAttempts, Target};

/// A secret to sign with: 32 hexadecimal digits, as Cloudflare's are.
pub fn signing_secret(random: [u8; 16]) -> Secret {
    Secret::new(hex::text(&random))
}

/// The account's webhook.
///
/// # Errors
///
/// 500 where its secret does not open.
pub fn stream_webhook(
    row: StreamWebhookRow,
    account: AccountId,
    keyring: &Keyring,
) -> Result<StreamWebhook, Failure> {
    let secret = keyring.open(&Place::webhook_secret(account), &row.secret_sealed);
    Ok(StreamWebhook {
        notification_url: row.url,
        modified: row.modified,
        secret: secret.map_err(|_| Failure::internal())?,
    })
}

/// A destination, `attempts` being those of all receivers.
///
/// # Errors
///
/// 500 where its secret does not open.
pub fn destination(
    row: DestinationRow,
    attempts: &[LastAttempts],
    account: AccountId,
    keyring: &Keyring,
) -> Result<Destination, Failure> {
    let place = Place::destination_signing(account, row.id);
    let signing = keyring.open(&place, &row.signing_sealed);
    let target = Target::Destination(row.id);
    let last = attempts.iter().find(|last| last.target == target);
    Ok(Destination {
        id: row.id,
        name: row.name,
        url: row.url,
        kind: DestinationKind::Generic,
        created_at: row.created,
        last_success: last.and_then(|last| last.last_success),
        last_failure: last.and_then(|last| last.last_failure),
        signing_secret: signing.map_err(|_| Failure::internal())?,
    })
}

/// A policy.
///
/// # Errors
///
/// 500 where the row is damaged.
pub fn policy(row: PolicyRow) -> Result<Policy, Failure> {
    let ids: Vec<DestinationId> =
        serde_json::from_str(&row.destinations).map_err(|_| Failure::internal())?;
    Ok(Policy {
        id: row.id,
        name: row.name,
        description: row.description,
        enabled: row.enabled,
        alert_type: ALERT_TYPE,
        filters: serde_json::from_str(&row.filters).map_err(|_| Failure::internal())?,
        mechanisms: Mechanisms {
            webhooks: ids.into_iter().map(|id| Mechanism { id }).collect(),
        },
        created: row.created,
        modified: row.modified,
    })
}

/// The account has set no webhook.
pub fn no_webhook() -> Failure {
    not_found("This account has no webhook: set one by PUT.")
}

/// No such destination in this account.
pub fn no_such_destination() -> Failure {
    not_found("This account has no such destination: check its id against the list of them.")
}

/// No such policy in this account.
pub fn no_such_policy() -> Failure {
    not_found("This account has no such policy: check its id against the list of them.")
}

/// What a client reads where nothing was changed; `missing` is what was not found.
pub fn refused(refusal: NotificationRefusal, missing: fn() -> Failure) -> Failure {
    match refusal {
        NotificationRefusal::NotFound => missing(),
        NotificationRefusal::TokenRevoked => Failure::invalid_token(),
        NotificationRefusal::TooMany(limit) => Failure::new(
            403,
            Notice::new(
                code::LIMIT_REACHED,
                format!(
                    "This account has {limit} of these, as many as it may: delete one, then try \
                     again."
                ),
            ),
        ),
        NotificationRefusal::UnknownDestination => Failure::new(
            404,
            Notice::new(
                code::NOT_FOUND,
                "This account has no such destination: make it first, then name it by its id.",
            )
            .at("/mechanisms/webhooks"),
        ),
    }
}

fn not_found(message: &str) -> Failure {
    Failure::new(404, Notice::new(code::NOT_FOUND, message))
}
