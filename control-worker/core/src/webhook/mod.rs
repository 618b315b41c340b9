//! The rules of an account's object: it keeps the account's events, and delivers them to receivers.
//!
//! The objects of live inputs hand their events over ([`AccountEvents`]) and repeat that until
//! they are told that they are kept. From then on they are this object's: a slow receiver keeps no
//! live input awake.

mod store;

use serde::{Deserialize, Serialize};
use shared::api::ApiEvent;
use shared::id::AccountId;
use shared::time::Timestamp;

pub use self::store::SCHEMA;
use crate::sql::{Results, RowError, Statement};

/// Events on their way to the object of an account (`POST /events`), each live input's in the order
/// of their numbers. The object answers once they are stored; whoever had no answer sends them
/// again, and those that are there already are left out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct AccountEvents {
    /// Whose live inputs they are of.
    pub account: AccountId,
    /// What happened.
    pub events: Vec<ApiEvent>,
}

/// What the object must be able to do.
pub trait Host {
    /// Why an effect failed.
    type Error;

    /// What the object's own database answers.
    type Results: Results;

    /// Runs a batch on the object's own database, whose tables are [`SCHEMA`]: all of it or
    /// nothing.
    ///
    /// # Errors
    ///
    /// Where nothing was changed.
    fn store(&self, batch: &[Statement]) -> Result<Self::Results, Self::Error>;

    /// The time.
    fn now(&self) -> Timestamp;
}

/// Why an operation could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum Trouble<E> {
    /// An effect failed.
    #[error("an effect failed")]
    Host(E),
    /// The rows are not of the form asked for.
    #[error(transparent)]
    Rows(#[from] RowError),
}

/// The object of one account, while an operation runs.
pub struct Webhook<'a, H> {
    /// The way to everything outside.
    pub host: &'a H,
}

impl<H: Host> Webhook<'_, H> {
    /// Keeps events. Returns those that were not there yet, in their order.
    ///
    /// # Errors
    ///
    /// Where none of them is kept.
    pub fn take(&self, events: Vec<ApiEvent>) -> Result<Vec<ApiEvent>, Trouble<H::Error>> {
        let mut batch: Vec<_> = events
            .iter()
            .map(|event| store::insert_event(event, self.host.now()))
            .collect();
        batch.push(store::trim_events());
        let results = self.store(&batch)?;
        let mut new = Vec::new();
        for (index, event) in events.into_iter().enumerate() {
            if results.first::<store::NumberRow>(index)?.is_some() {
                new.push(event);
            }
        }
        Ok(new)
    }

    fn store(&self, batch: &[Statement]) -> Result<H::Results, Trouble<H::Error>> {
        self.host.store(batch).map_err(Trouble::Host)
    }
}

/// Events of an account that are kept, for streams that are taken up again and for deliveries that
/// wait: some hours of a thousand inputs on bad lines, and a few megabytes.
pub const MAX_ACCOUNT_EVENTS: u32 = 10_000;
