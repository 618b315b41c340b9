//! Webhooks, destinations and policies of an account.
//!
//! As everywhere, `?1` is who asks and `?2` the account. The first statement of a change answers a
//! row exactly when it was made, the second says why not.

use serde::{Deserialize, Serialize};
use shared::id::{AccountId, DestinationId, PolicyId};
use shared::time::Timestamp;

use super::rows::boolean;
use super::{API_GUARD, GuardRow, Param, Results, RowError, Statement, asker};
use crate::auth::TokenId;
use crate::permission::Permission;

macro_rules! destination {
    () => {
        "id, name, url, secret_sealed, signing_sealed, created"
    };
}

/// A policy `p`, with those of its destinations that are there.
macro_rules! policy {
    () => {
        "id, name, description, enabled, filters, created, modified,
            (SELECT json_group_array(d.id) FROM json_each(p.destinations) AS named
                JOIN webhook_destinations AS d
                    ON d.id = named.value AND d.account_id = p.account_id) AS destinations"
    };
}

macro_rules! destinations_exist {
    ($ids:literal, $account:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM json_each(",
            $ids,
            ") AS named WHERE NOT EXISTS (SELECT 1 FROM webhook_destinations
                WHERE id = named.value AND account_id = ",
            $account,
            "))"
        )
    };
}

/// Who asks for or about an account's webhooks, destinations or policies, and when.
#[derive(Clone, Debug)]
pub struct NotificationAsk {
    /// The token that asks; the statements check it again.
    pub token: TokenId,
    /// What it needs.
    pub permission: Permission,
    /// The account that it speaks for.
    pub account: AccountId,
    /// When.
    pub now: Timestamp,
}

/// What `/stream/webhook` set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StreamWebhookRow {
    /// Where to send.
    pub url: String,
    /// What signs, sealed.
    pub secret_sealed: String,
    /// When it was last set.
    #[serde(with = "super::micros")]
    pub modified: Timestamp,
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DestinationRow {
    /// Its id.
    pub id: DestinationId,
    /// The user's name for it.
    pub name: String,
    /// Where to send.
    pub url: String,
    /// What `cf-webhook-auth` carries, sealed, if anything.
    pub secret_sealed: Option<String>,
    /// What signs, sealed.
    pub signing_sealed: String,
    /// When it was made.
    #[serde(with = "super::micros")]
    pub created: Timestamp,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PolicyRow {
    /// Its id.
    pub id: PolicyId,
    /// The user's name for it.
    pub name: String,
    /// The user's words on it.
    pub description: String,
    /// Whether it sends anything.
    #[serde(deserialize_with = "boolean")]
    pub enabled: bool,
    /// JSON of [`Filters`](shared::api::Filters).
    pub filters: String,
    /// JSON array of the ids of its destinations that are there.
    pub destinations: String,
    /// When it was made.
    #[serde(with = "super::micros")]
    pub created: Timestamp,
    /// When it last changed.
    #[serde(with = "super::micros")]
    pub modified: Timestamp,
}

/// A new destination, or all settings of one; `secret` is none where it stays as it is.
#[derive(Clone, Debug)]
pub struct DestinationValues {
    /// The user's name for it.
    pub name: String,
    /// Where to send.
    pub url: String,
    /// What `cf-webhook-auth` shall carry, sealed, or nothing.
    pub secret_sealed: Option<Option<String>>,
}

/// A new policy.
#[derive(Clone, Debug)]
pub struct NewPolicyValues {
    /// The user's name for it.
    pub name: String,
    /// The user's words on it.
    pub description: String,
    /// Whether it sends anything.
    pub enabled: bool,
    /// JSON of [`Filters`](shared::api::Filters).
    pub filters: String,
    /// JSON array of the ids of its destinations.
    pub destinations: String,
}

/// Other settings of a policy; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    /// The user's name for it.
    pub name: Option<String>,
    /// The user's words on it.
    pub description: Option<String>,
    /// Whether it sends anything.
    pub enabled: Option<bool>,
    /// JSON of [`Filters`](shared::api::Filters).
    pub filters: Option<String>,
    /// JSON array of the ids of its destinations.
    pub destinations: Option<String>,
}

/// Why nothing was changed or is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationRefusal {
    /// The account has no such webhook, destination or policy.
    NotFound,
    /// The token was revoked after it was looked up.
    TokenRevoked,
    /// The account has as many as it may.
    TooMany(u32),
    /// The policy names a destination that the account does not have.
    UnknownDestination,
}

/// Destinations of an account: each is a queue, and a policy seldom names more than one.
pub const MAX_DESTINATIONS: u32 = 20;

/// Policies of an account: all of them are read with each event.
pub const MAX_POLICIES: u32 = 50;

impl NotificationAsk {
    /// Reads what `/stream/webhook` set, as [`StreamWebhookRow`].
    pub fn webhook(&self) -> Vec<Statement> {
        self.read("SELECT url, secret_sealed, modified FROM stream_webhooks WHERE account_id = ?1")
    }

    /// Sets the account's webhook. Its secret stays if it has one: `secret_sealed` is for a new one.
    pub fn put_webhook(&self, url: &str, secret_sealed: &str) -> Vec<Statement> {
        self.change(
            concat!(
                "INSERT INTO stream_webhooks (account_id, url, secret_sealed, modified)
                SELECT ?2, ?3, ?4, ?5 WHERE ",
                api_token_is_good!(),
                " ON CONFLICT (account_id) DO UPDATE SET url = excluded.url,
                    modified = excluded.modified
                RETURNING url, secret_sealed, modified"
            ),
            [
                Param::text(url),
                Param::text(secret_sealed),
                self.now.into(),
            ],
        )
    }

    /// Takes the account's webhook away.
    pub fn delete_webhook(&self) -> Vec<Statement> {
        self.change(
            concat!(
                "DELETE FROM stream_webhooks WHERE account_id = ?2 AND ",
                api_token_is_good!(),
                " RETURNING account_id"
            ),
            [],
        )
    }

    /// Reads all destinations, oldest first, as [`DestinationRow`]s.
    pub fn destinations(&self) -> Vec<Statement> {
        self.read(concat!(
            "SELECT ",
            destination!(),
            " FROM webhook_destinations WHERE account_id = ?1 ORDER BY created, id"
        ))
    }

    /// A new destination.
    pub fn create_destination(
        &self,
        id: DestinationId,
        values: DestinationValues,
        signing_sealed: String,
    ) -> Vec<Statement> {
        let mut batch = self.change(
            concat!(
                "INSERT INTO webhook_destinations
                    (id, account_id, name, url, secret_sealed, signing_sealed, created)
                SELECT ?3, ?2, ?4, ?5, ?6, ?7, ?8 WHERE ",
                api_token_is_good!(),
                " AND (SELECT count(*) FROM webhook_destinations WHERE account_id = ?2) < ?9
                RETURNING ",
                destination!()
            ),
            [
                Param::text(id),
                Param::Text(values.name),
                Param::Text(values.url),
                Param::optional(values.secret_sealed.flatten()),
                Param::Text(signing_sealed),
                self.now.into(),
                MAX_DESTINATIONS.into(),
            ],
        );
        batch.push(Statement::new(
            "SELECT count(*) >= ?2 AS full, 1 AS known FROM webhook_destinations
            WHERE account_id = ?1",
            [Param::text(self.account), MAX_DESTINATIONS.into()],
        ));
        batch
    }

    /// Other settings of a destination.
    pub fn update_destination(
        &self,
        id: DestinationId,
        values: DestinationValues,
    ) -> Vec<Statement> {
        let keeps_secret = values.secret_sealed.is_none();
        self.change(
            concat!(
                "UPDATE webhook_destinations SET name = ?4, url = ?5,
                    secret_sealed = CASE WHEN ?6 THEN secret_sealed ELSE ?7 END
                WHERE id = ?3 AND account_id = ?2 AND ",
                api_token_is_good!(),
                " RETURNING ",
                destination!()
            ),
            [
                Param::text(id),
                Param::Text(values.name),
                Param::Text(values.url),
                keeps_secret.into(),
                Param::optional(values.secret_sealed.flatten()),
            ],
        )
    }

    /// Takes a destination away; policies that name it go on without it.
    pub fn delete_destination(&self, id: DestinationId) -> Vec<Statement> {
        self.change(
            concat!(
                "DELETE FROM webhook_destinations WHERE id = ?3 AND account_id = ?2 AND ",
                api_token_is_good!(),
                " RETURNING id"
            ),
            [Param::text(id)],
        )
    }

    /// Reads all policies, oldest first, as [`PolicyRow`]s.
    pub fn policies(&self) -> Vec<Statement> {
        self.read(concat!(
            "SELECT ",
            policy!(),
            " FROM notification_policies AS p WHERE account_id = ?1 ORDER BY created, id"
        ))
    }

    /// A new policy.
    pub fn create_policy(&self, id: PolicyId, values: NewPolicyValues) -> Vec<Statement> {
        let destinations = Param::Text(values.destinations.clone());
        let mut batch = self.change(
            concat!(
                "INSERT INTO notification_policies (id, account_id, name, description, enabled,
                    filters, destinations, created, modified)
                SELECT ?3, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?9 WHERE ",
                api_token_is_good!(),
                " AND (SELECT count(*) FROM notification_policies WHERE account_id = ?2) < ?10
                AND ",
                destinations_exist!("?8", "?2"),
                " RETURNING id"
            ),
            [
                Param::text(id),
                Param::Text(values.name),
                Param::Text(values.description),
                values.enabled.into(),
                Param::Text(values.filters),
                destinations.clone(),
                self.now.into(),
                MAX_POLICIES.into(),
            ],
        );
        batch.push(Statement::new(
            concat!(
                "SELECT (SELECT count(*) FROM notification_policies WHERE account_id = ?1) >= ?2
                    AS full, ",
                destinations_exist!("?3", "?1"),
                " AS known"
            ),
            [Param::text(self.account), MAX_POLICIES.into(), destinations],
        ));
        batch
    }

    /// Other settings of a policy.
    pub fn update_policy(&self, id: PolicyId, change: PolicyChange) -> Vec<Statement> {
        let destinations = Param::optional(change.destinations);
        let mut batch = self.change(
            concat!(
                "UPDATE notification_policies SET name = coalesce(?4, name),
                    description = coalesce(?5, description), enabled = coalesce(?6, enabled),
                    filters = coalesce(?7, filters), destinations = coalesce(?8, destinations),
                    modified = ?9
                WHERE id = ?3 AND account_id = ?2 AND ",
                destinations_exist!("coalesce(?8, '[]')", "?2"),
                " AND ",
                api_token_is_good!(),
                " RETURNING id"
            ),
            [
                Param::text(id),
                Param::optional(change.name),
                Param::optional(change.description),
                Param::optional(change.enabled),
                Param::optional(change.filters),
                destinations.clone(),
                self.now.into(),
            ],
        );
        // Of one that is not there, nothing else needs to be said.
        batch.push(Statement::new(
            concat!(
                "SELECT 0 AS full, NOT EXISTS (SELECT 1 FROM notification_policies
                    WHERE id = ?1 AND account_id = ?2) OR ",
                destinations_exist!("coalesce(?3, '[]')", "?2"),
                " AS known"
            ),
            [Param::text(id), Param::text(self.account), destinations],
        ));
        batch
    }

    /// Takes a policy away.
    pub fn delete_policy(&self, id: PolicyId) -> Vec<Statement> {
        self.change(
            concat!(
                "DELETE FROM notification_policies WHERE id = ?3 AND account_id = ?2 AND ",
                api_token_is_good!(),
                " RETURNING id"
            ),
            [Param::text(id)],
        )
    }

    /// Whether the token is good; for what is shown from elsewhere.
    pub fn guard(&self) -> Statement {
        Statement::new(API_GUARD, [self.asker(), Param::text(self.account)])
    }

    fn read(&self, sql: &'static str) -> Vec<Statement> {
        vec![
            self.guard(),
            Statement::new(sql, [Param::text(self.account)]),
        ]
    }

    fn change(&self, sql: &'static str, more: impl IntoIterator<Item = Param>) -> Vec<Statement> {
        let params = [self.asker(), Param::text(self.account)];
        vec![
            Statement::new(sql, params.into_iter().chain(more)),
            self.guard(),
        ]
    }

    fn asker(&self) -> Param {
        asker(&self.token, self.permission, self.now)
    }
}

/// What a read answers.
///
/// # Errors
///
/// The outer one where the rows are not what was asked for; the inner one where the token is no
/// longer good.
pub fn notification_rows<T: serde::de::DeserializeOwned>(
    results: &impl Results,
) -> Result<Result<Vec<T>, NotificationRefusal>, RowError> {
    let guard: Option<GuardRow> = results.first(0)?;
    if !guard.is_some_and(|row| row.good) {
        return Ok(Err(NotificationRefusal::TokenRevoked));
    }
    results.rows(1).map(Ok)
}

/// What a change answers: the row that is now there, or was. `limit` is how many there may be.
///
/// # Errors
///
/// The outer one where the rows are not what was asked for; the inner one where nothing was
/// changed.
pub fn notification_change<T: serde::de::DeserializeOwned>(
    results: &impl Results,
    limit: u32,
) -> Result<Result<T, NotificationRefusal>, RowError> {
    if let Some(row) = results.first(0)? {
        return Ok(Ok(row));
    }
    let guard: Option<GuardRow> = results.first(1)?;
    if !guard.is_some_and(|row| row.good) {
        return Ok(Err(NotificationRefusal::TokenRevoked));
    }
    let why: Option<WhyRow> = results.first(2).unwrap_or_default();
    Ok(Err(match why {
        Some(WhyRow { known: false, .. }) => NotificationRefusal::UnknownDestination,
        Some(WhyRow { full: true, .. }) => NotificationRefusal::TooMany(limit),
        _ => NotificationRefusal::NotFound,
    }))
}

/// A row of which nothing is read.
#[derive(Debug, Deserialize)]
pub struct AnyRow {}

#[derive(Deserialize)]
struct WhyRow {
    #[serde(deserialize_with = "boolean")]
    full: bool,
    #[serde(deserialize_with = "boolean")]
    known: bool,
}

/// All policies of an account that send anything, as [`PolicyRow`]s, and whether its webhook is
/// set: for the account's object, which needs no token.
pub(crate) fn routing(account: AccountId) -> [Statement; 2] {
    [
        Statement::new(
            concat!(
                "SELECT ",
                policy!(),
                " FROM notification_policies AS p WHERE account_id = ?1 AND enabled
                ORDER BY created, id"
            ),
            [Param::text(account)],
        ),
        Statement::new(
            "SELECT 1 AS there FROM stream_webhooks WHERE account_id = ?1",
            [Param::text(account)],
        ),
    ]
}

/// The account's webhook, as a [`ReceiverRow`].
pub(crate) fn stream_receiver(account: AccountId) -> Statement {
    Statement::new(
        "SELECT url, NULL AS secret_sealed, secret_sealed AS signing_sealed FROM stream_webhooks
        WHERE account_id = ?1",
        [Param::text(account)],
    )
}

/// A destination, as a [`ReceiverRow`].
pub(crate) fn destination_receiver(account: AccountId, id: DestinationId) -> Statement {
    Statement::new(
        "SELECT url, secret_sealed, signing_sealed FROM webhook_destinations
        WHERE account_id = ?1 AND id = ?2",
        [Param::text(account), Param::text(id)],
    )
}

/// What is needed to send.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReceiverRow {
    pub(crate) url: String,
    pub(crate) secret_sealed: Option<String>,
    pub(crate) signing_sealed: String,
}

impl From<DestinationRow> for ReceiverRow {
    fn from(row: DestinationRow) -> Self {
        Self {
            url: row.url,
            secret_sealed: row.secret_sealed,
            signing_sealed: row.signing_sealed,
        }
    }
}

impl From<StreamWebhookRow> for ReceiverRow {
    fn from(row: StreamWebhookRow) -> Self {
        Self {
            url: row.url,
            secret_sealed: None,
            signing_sealed: row.secret_sealed,
        }
    }
}
