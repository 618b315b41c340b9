//! What an account's object does by itself, for the floor to do it too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use anyhow::{Result, anyhow};
use control_core::keys::{Keyring, Place};
use control_core::sql::{Results, RowError, Statement};
use control_core::webhook::{Host, Outgoing, Sent, Target, TestMessage, Webhook};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::id::{AccountId, DestinationId};
use shared::secret::Secret;
use shared::time::Timestamp;
use tokio::runtime::Builder;

/// In the place of the number of a row that the object has just written.
pub(crate) const NUMBER: u64 = 919_191_919_191;

/// One thing that the object does.
pub(crate) enum Step {
    /// Sets its alarm, or takes it away.
    Alarm(bool),
    /// Posts to a receiver, whatever becomes of it: `url`, `headers` and `body`.
    Send(Value),
    /// Runs a statement on its own database.
    Statement(Statement),
}

/// Notes what is done.
struct Recorder {
    steps: RefCell<Vec<Step>>,
    now: Timestamp,
}

/// One row, of whatever is asked for.
struct Anything(Timestamp);

impl Results for Anything {
    fn rows<T: DeserializeOwned>(&self, statement: usize) -> Result<Vec<T>, RowError> {
        let now = self.0.as_micros();
        let row = json!({
            "number": NUMBER, "name": "", "id": null, "json": null, "kind": "test", "type": "test",
            "state": "failed", "attempts": 1, "created": now, "attempted": now, "next": null,
            "status": null, "error": null,
        });
        let row = serde_json::from_value(row).map_err(|_| RowError { statement })?;
        Ok(vec![row])
    }
}

impl Host for Recorder {
    type Error = Infallible;
    type Stored = Anything;
    type Read = Anything;

    fn store(&self, batch: &[Statement]) -> Result<Anything, Infallible> {
        let steps = batch.iter().cloned().map(Step::Statement);
        self.steps.borrow_mut().extend(steps);
        Ok(Anything(self.now))
    }

    async fn read(&self, _: &[Statement]) -> Result<Anything, Infallible> {
        Ok(Anything(self.now))
    }

    async fn arm(&self, at: Option<Timestamp>) -> Result<(), Infallible> {
        self.steps.borrow_mut().push(Step::Alarm(at.is_some()));
        Ok(())
    }

    async fn send(&self, outgoing: &Outgoing) -> Sent {
        let headers = outgoing.headers.iter();
        let headers: BTreeMap<_, _> = headers
            .map(|(name, value)| (name, value.expose()))
            .collect();
        let sent = json!({"url": outgoing.url, "headers": headers, "body": outgoing.body});
        self.steps.borrow_mut().push(Step::Send(sent));
        Sent::Unreachable
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn chance(&self) -> u32 {
        0
    }
}

impl Recorder {
    fn new(now: Timestamp) -> Self {
        let steps = RefCell::default();
        Self { steps, now }
    }

    fn rules<'a>(&'a self, account: AccountId, keyring: &'a Keyring) -> Webhook<'a, Self> {
        Webhook {
            account,
            host: self,
            keyring,
        }
    }
}

/// How it shows an account's deliveries to a receiver, or when each receiver was last sent something.
pub(crate) fn shows(
    account: AccountId,
    keyring: &Keyring,
    now: Timestamp,
    deliveries_to: Option<Target>,
) -> Vec<Step> {
    let host = Recorder::new(now);
    let rules = host.rules(account, keyring);
    // Nothing of what is found is looked at.
    match deliveries_to {
        Some(target) => drop(rules.deliveries(target)),
        None => drop(rules.last_attempts()),
    }
    host.steps.into_inner()
}

/// How it sends a test message to a destination.
pub(crate) fn tests(
    account: AccountId,
    keyring: &Keyring,
    now: Timestamp,
    destination: DestinationId,
) -> Result<Vec<Step>> {
    let host = Recorder::new(now);
    let secret = Secret::new("open sesame");
    let auth = Place::destination_secret(account, destination);
    let signing = Place::destination_signing(account, destination);
    let receiver = serde_json::from_value(json!({
        "url": "http://127.0.0.1:9/",
        "secret_sealed": keyring.seal(&auth, [8; 12], &secret)?,
        "signing_sealed": keyring.seal(&signing, [9; 12], &secret)?,
    }))?;
    let target = Target::Destination(destination);
    let rules = host.rules(account, keyring);
    let test = rules.test(TestMessage { target, receiver });
    let tested = Builder::new_current_thread().build()?.block_on(test);
    tested.map_err(|_| anyhow!("a test message does not come to its end"))?;
    Ok(host.steps.into_inner())
}
