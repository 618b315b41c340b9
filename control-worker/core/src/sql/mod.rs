//! What is asked of the database, and the rows it answers with.
//!
//! A [`Statement`] is text and parameters, nothing more: the caller runs a list of them as one
//! D1 batch (one transaction) and gives the [`Results`] back to whoever built the list.

#[macro_use]
mod text;
mod list;
mod notification;
mod read;
mod rows;
mod stream;
mod token_text;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;
use shared::time::Timestamp;

use crate::auth::TokenId;
use crate::permission::{Permission, Permissions};

pub use self::list::{InputList, InputPage};
pub use self::notification::{
    AnyRow, DestinationRow, DestinationValues, MAX_DESTINATIONS, MAX_POLICIES, NewPolicyValues,
    NotificationAsk, NotificationRefusal, PolicyChange, PolicyRow, ReceiverRow, StreamWebhookRow,
    notification_change, notification_rows,
};
pub(crate) use self::notification::{destination_receiver, routing, stream_receiver};
pub use self::read::{InputRead, PublishCheck, Wanted, lifecycle, token_by_hash};
pub use self::rows::{CountsRow, InputRow, LifecycleRow, ListedRow, OutputRow};
pub(crate) use self::rows::{
    DiagnosisRow, GuardRow, boolean, integer as whole, micros, optional_micros, unsigned,
};
pub use self::stream::{StillGood, StreamCheck, StreamOpening, outputs};
pub(crate) use self::text::*;
pub(crate) use self::token_text::*;

/// One statement with its parameters `?1`, `?2`, …; serialised as the pair of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text, without any value in it.
    pub sql: &'static str,
    /// The values, in order.
    pub params: Vec<Param>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str, params: impl IntoIterator<Item = Param>) -> Self {
        Self {
            sql,
            params: params.into_iter().collect(),
        }
    }
}

/// Who asks, when, and for what permission: the one parameter of every guard. A guard looks at
/// the token as it is now, whatever was known of it when the request came in.
pub(crate) fn asker(token: &TokenId, needs: Permission, now: Timestamp) -> Param {
    asks(token, needs, now)
}

/// As [`asker`], for all of several tokens at once.
pub(crate) fn askers(tokens: &[TokenId], needs: Permission, now: Timestamp) -> Param {
    asks(tokens, needs, now)
}

fn asks(id: impl Serialize, needs: Permission, now: Timestamp) -> Param {
    #[derive(Serialize)]
    struct Asker<I> {
        id: I,
        needs: Permissions,
        #[serde(with = "micros")]
        now: Timestamp,
    }
    let needs = needs.granted_by();
    // Ids and numbers can always be written.
    serde_json::to_string(&Asker { id, needs, now }).map_or(Param::Null, Param::Text)
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.sql, &self.params).serialize(serializer)
    }
}

/// A parameter's value, serialised as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Param {
    /// A whole number below 2^53, which a JavaScript number holds.
    Integer(i64),
    /// NULL.
    Null,
    /// Text.
    Text(String),
}

impl Param {
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// A `rev` in a statement. Revs stay far below 2^53: each costs a change.
    pub(crate) fn rev(rev: u64) -> Self {
        Self::Integer(i64::try_from(rev).unwrap_or(i64::MAX))
    }

    /// A value that is written as one word; NULL for none.
    pub(crate) fn word(value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::String(word)) => Self::Text(word),
            _ => Self::Null,
        }
    }

    pub(crate) fn optional(value: Option<impl Into<Self>>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for Param {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<u32> for Param {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<Timestamp> for Param {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_micros())
    }
}

/// What a batch answered: the rows of each of its statements.
pub trait Results {
    /// The rows of the statement at `index` of the batch, each an object by column names.
    ///
    /// # Errors
    ///
    /// Where there is no such statement, or its rows have another form.
    fn rows<T: DeserializeOwned>(&self, index: usize) -> Result<Vec<T>, RowError>;

    /// The first of those rows.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    fn first<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, RowError> {
        Ok(self.rows(index)?.into_iter().next())
    }
}

/// Rows that are not of the form that their statement asks for: code and database are of different
/// versions. Says nothing of their content, which may be secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rows of statement {statement} of a batch are not of the form asked for")]
pub struct RowError {
    /// The statement's index in its batch.
    pub statement: usize,
}
