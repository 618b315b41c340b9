//! What an account's object asks of its own database, for the floor to ask it too.

use std::cell::RefCell;
use std::convert::Infallible;

use anyhow::Result;
use control_core::keys::Keyring;
use control_core::sql::{Results, RowError, Statement};
use control_core::webhook::{Host, Outgoing, Sent, Target, Webhook};
use serde::de::DeserializeOwned;
use shared::id::AccountId;
use shared::time::Timestamp;

/// Notes statements, and finds nothing.
#[derive(Default)]
struct Recorder {
    stored: RefCell<Vec<Statement>>,
}

/// No rows.
struct Nothing;

impl Results for Nothing {
    fn rows<T: DeserializeOwned>(&self, _: usize) -> Result<Vec<T>, RowError> {
        Ok(Vec::new())
    }
}

impl Host for Recorder {
    type Error = Infallible;
    type Stored = Nothing;
    type Read = Nothing;

    fn store(&self, batch: &[Statement]) -> Result<Nothing, Infallible> {
        self.stored.borrow_mut().extend_from_slice(batch);
        Ok(Nothing)
    }

    async fn read(&self, _: &[Statement]) -> Result<Nothing, Infallible> {
        Ok(Nothing)
    }

    async fn arm(&self, _: Option<Timestamp>) -> Result<(), Infallible> {
        Ok(())
    }

    async fn send(&self, _: &Outgoing) -> Sent {
        Sent::Unreachable
    }

    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn chance(&self) -> u32 {
        0
    }
}

/// The statements that show an account's deliveries to a receiver, or when each receiver was last
/// sent something.
pub(crate) fn account_statements(
    account: AccountId,
    keyring: &Keyring,
    deliveries_to: Option<Target>,
) -> Vec<Statement> {
    let host = Recorder::default();
    let rules = Webhook {
        account,
        host: &host,
        keyring,
    };
    // Nothing is found, and nothing of it is looked at.
    match deliveries_to {
        Some(target) => drop(rules.deliveries(target)),
        None => drop(rules.last_attempts()),
    }
    host.stored.into_inner()
}
