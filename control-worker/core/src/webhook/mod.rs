//! The rules of an account's object: it keeps the account's events, and delivers them to receivers.
//!
//! The objects of live inputs hand their events over ([`AccountEvents`]) and repeat that until
//! they are told that they are kept. From then on they are this object's: a slow receiver keeps no
//! live input awake. Each receiver has a queue of its own, in which the events of one live input
//! keep their order, and one attempt in flight; who receives what is read from the database when
//! an event is queued and again before each attempt, so that nothing here can be out of date.
//!
//! The object may lose its memory between any two steps. All that matters is in its own database,
//! and an alarm is set whenever something there is waiting.

mod delivery;
mod payload;
mod routing;
mod signature;
mod store;
mod url;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::api::{ApiEvent, Delivery, EventId};
use shared::id::AccountId;
use shared::secret::Secret;
use shared::time::Timestamp;

use self::delivery::after;
pub use self::delivery::{
    ATTEMPT_TIMEOUT, FIRST_RETRY, LEASE, LONGEST_RETRY, Outgoing, RETRY_FOR, Sent, Target,
};
use self::routing::Routing;
pub use self::routing::{EVERY_OUTPUT_EVENT, is_event_type};
pub use self::store::{LastAttempts, SCHEMA};
pub use self::url::{InvalidReceiverUrl, ReceiverPolicy};
use crate::event_stream::{Start, StoredEvent};
use crate::keys::{Keyring, Place, Unsealable};
use crate::sql::{self, AnyRow, ReceiverRow, Results, RowError, Statement};
use crate::trouble::Trouble;

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

/// A test message for a receiver (`POST /test`). Who asks for it has just read or written where it
/// goes, so that the object need not read it again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TestMessage {
    /// The receiver.
    pub target: Target,
    /// How the database has it.
    pub receiver: ReceiverRow,
}

/// What the object must be able to do. Each effect is complete when it returns.
#[allow(
    async_fn_in_trait,
    reason = "objects are single-threaded, futures need not be Send"
)]
pub trait Host {
    /// Why an effect failed.
    type Error;

    /// What the object's own database answers.
    type Stored: Results;

    /// What the account's database answers.
    type Read: Results;

    /// Runs a batch on the object's own database, whose tables are [`SCHEMA`]: all of it or
    /// nothing.
    ///
    /// # Errors
    ///
    /// Where nothing was changed.
    fn store(&self, batch: &[Statement]) -> Result<Self::Stored, Self::Error>;

    /// Runs a batch that reads the account's database.
    async fn read(&self, batch: &[Statement]) -> Result<Self::Read, Self::Error>;

    /// Sets the alarm, or takes it away if none.
    async fn arm(&self, at: Option<Timestamp>) -> Result<(), Self::Error>;

    /// Posts to a receiver, and waits [`ATTEMPT_TIMEOUT`] at most.
    async fn send(&self, outgoing: &Outgoing) -> Sent;

    /// The time.
    fn now(&self) -> Timestamp;

    /// A random number.
    fn chance(&self) -> u32;
}

/// The object of one account, while an operation runs. Operations may run side by side: each of
/// their steps on the object's own database is whole.
pub struct Webhook<'a, H> {
    /// Whose it is.
    pub account: AccountId,
    /// The way to everything outside.
    pub host: &'a H,
    /// The operator's keys.
    pub keyring: &'a Keyring,
}

impl<H: Host> Webhook<'_, H> {
    /// Keeps events. Returns those that were not there yet, in their order. [`ring`](Self::ring)
    /// then sends them; the alarm does if nobody else.
    ///
    /// # Errors
    ///
    /// Where none of them is kept.
    pub async fn take(&self, events: Vec<ApiEvent>) -> Result<Vec<ApiEvent>, Trouble<H::Error>> {
        let now = self.host.now();
        let inserts = events.iter().map(|event| store::insert_event(event, now));
        let mut batch: Vec<_> = inserts.collect();
        batch.extend(store::trim_events());
        let results = self.store(&batch)?;
        // Who has no answer sends them again, so that an alarm that could not be set is set then.
        self.arm(Some(after(now, UNATTENDED))).await?;
        let mut new = Vec::new();
        for (index, event) in events.into_iter().enumerate() {
            if results.first::<AnyRow>(index)?.is_some() {
                new.push(event);
            }
        }
        Ok(new)
    }

    /// Queues what is new: the alarm rang, or events were taken. Returns the receivers that can be
    /// sent to now: [`deliver`](Self::deliver) to each, side by side, then [`rest`](Self::rest).
    ///
    /// # Errors
    ///
    /// Where events wait on; the alarm is set.
    pub async fn ring(&self) -> Result<Vec<Target>, Trouble<H::Error>> {
        self.arm(Some(after(self.host.now(), LEASE))).await?;
        loop {
            let results = self.store(&[store::unrouted()])?;
            let events: Vec<store::EventRow> = results.rows(0)?;
            let Some(last) = events.last() else { break };
            let through = last.number;
            let routing = Routing::read(&self.read(&sql::routing(self.account)).await?)?;
            let now = self.host.now();
            let mut batch = Vec::new();
            for row in &events {
                // What does not read was stored by another version: it can reach nobody.
                let Ok(event) = serde_json::from_str::<ApiEvent>(&row.json) else {
                    continue;
                };
                for (target, name) in routing.receivers(&event) {
                    batch.extend(store::queue(target, row.number, &event, &name, now));
                }
            }
            batch.push(store::routed(through));
            self.store(&batch)?;
        }
        let results = self.store(&[store::due_targets(self.host.now())])?;
        let targets: Vec<store::TargetRow> = results.rows(0)?;
        Ok(targets.into_iter().map(|row| row.target).collect())
    }

    /// Sends what is due to a receiver, one after the other, until nothing is.
    ///
    /// # Errors
    ///
    /// Where something may be due still; the alarm is set.
    pub async fn deliver(&self, target: Target) -> Result<(), Trouble<H::Error>> {
        while let Some(due) = self.due(target)? {
            let Some(receiver) = self.receiver(target).await? else {
                self.store(&store::forget(target))?;
                break;
            };
            let now = self.host.now();
            // Somebody else may have begun while the database was asked.
            let begun = self.store(&[store::begin(target, due.number, now)])?;
            if begun.first::<AnyRow>(0)?.is_none() {
                break;
            }
            self.store(&[store::lease(target, now)])?;
            let outgoing = receiver.notification(&due, now)?;
            let sent = self.host.send(&outgoing).await;
            self.record(target, due.number, sent, false)?;
        }
        self.rest().await
    }

    /// Sends a test message to a receiver, beside its queue, once. Returns what became of it.
    ///
    /// # Errors
    ///
    /// Where it may have been sent or not; if it was begun, the alarm sends it.
    pub async fn test(&self, test: TestMessage) -> Result<Delivery, Trouble<H::Error>> {
        let TestMessage { target, receiver } = test;
        let receiver = self.open(target, receiver)?;
        let now = self.host.now();
        self.arm(Some(after(now, LEASE))).await?;
        let results = self.store(&store::begin_test(target, now))?;
        let begun: store::DueRow = results.first(1)?.ok_or(RowError { statement: 1 })?;
        let outgoing = receiver.notification(&begun, now)?;
        let sent = self.host.send(&outgoing).await;
        self.record(target, begun.number, sent, true)?;
        self.rest().await?;
        let delivery = self.store(&[store::delivery(begun.number)])?;
        let row: store::DeliveryRow = delivery.first(0)?.ok_or(RowError { statement: 0 })?;
        Ok(row.into())
    }

    /// The last deliveries to a receiver, newest first, and all that wait.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn deliveries(&self, target: Target) -> Result<Vec<Delivery>, Trouble<H::Error>> {
        let results = self.store(&[store::deliveries(target)])?;
        let rows: Vec<store::DeliveryRow> = results.rows(0)?;
        Ok(rows.into_iter().map(Delivery::from).collect())
    }

    /// Where the event stream of a client begins that has seen the event `since`, if it has: there, or
    /// with what comes next where that is kept no more.
    ///
    /// # Errors
    ///
    /// Where the events cannot be read.
    pub fn start(&self, since: Option<EventId>) -> Result<Start, Trouble<H::Error>> {
        let seen = since.map(store::event_place);
        let seen = match seen {
            Some(seen) => self.store(&[seen])?.first::<store::PlaceRow>(0)?,
            None => None,
        };
        let resumed = seen.is_some();
        let place = match seen {
            Some(seen) => Some(seen),
            None => self.store(&[store::last_place()])?.first(0)?,
        };
        Ok(Start {
            last: place.as_ref().map(|place| place.id),
            number: place.map_or(0, |place| place.number),
            resumed,
        })
    }

    /// Events after that number, for an event stream.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn events_after(&self, number: u64) -> Result<Vec<StoredEvent>, Trouble<H::Error>> {
        Ok(self.store(&[store::events_after(number)])?.rows(0)?)
    }

    /// When each receiver was last sent something.
    ///
    /// # Errors
    ///
    /// Where that cannot be read.
    pub fn last_attempts(&self) -> Result<Vec<LastAttempts>, Trouble<H::Error>> {
        Ok(self.store(&[store::last_attempts()])?.rows(0)?)
    }

    /// Sets the alarm for what waits, or takes it away. It does not ring at once: who works goes on
    /// by itself.
    ///
    /// # Errors
    ///
    /// Where the alarm stays as it was.
    pub async fn rest(&self) -> Result<(), Trouble<H::Error>> {
        let results = self.store(&[store::next_alarm()])?;
        let next: Option<store::NextRow> = results.first(0)?;
        let soonest = after(self.host.now(), UNATTENDED);
        let next = next.and_then(|row| row.next);
        self.arm(next.map(|next| next.max(soonest))).await
    }

    fn due(&self, target: Target) -> Result<Option<store::DueRow>, Trouble<H::Error>> {
        let results = self.store(&[store::due(target, self.host.now())])?;
        Ok(results.first(0)?)
    }

    /// Notes what came of an attempt.
    fn record(
        &self,
        target: Target,
        number: u64,
        sent: Sent,
        beside: bool,
    ) -> Result<(), Trouble<H::Error>> {
        let results = self.store(&[store::begun(number)])?;
        let Some(begun) = results.first::<store::BegunRow>(0)? else {
            return Ok(());
        };
        let now = self.host.now();
        let next = match sent.is_taken() || begun.kind == store::TEST {
            true => None,
            false => delivery::retry(begun.created, begun.attempts, self.host.chance(), now),
        };
        self.store(&store::record(target, number, sent, next, beside, now))?;
        Ok(())
    }

    async fn receiver(&self, target: Target) -> Result<Option<Receiver>, Trouble<H::Error>> {
        let read = match target {
            Target::Destination(id) => sql::destination_receiver(self.account, id),
            Target::Stream => sql::stream_receiver(self.account),
        };
        let row: Option<ReceiverRow> = self.read(&[read]).await?.first(0)?;
        Ok(row.map(|row| self.open(target, row)).transpose()?)
    }

    fn open(&self, target: Target, row: ReceiverRow) -> Result<Receiver, Unsealable> {
        let place = match target {
            Target::Destination(id) => Place::destination_signing(self.account, id),
            Target::Stream => Place::webhook_secret(self.account),
        };
        let auth = match (target, row.secret_sealed) {
            (Target::Destination(id), Some(sealed)) => {
                let place = Place::destination_secret(self.account, id);
                Some(self.keyring.open(&place, &sealed)?)
            }
            _ => None,
        };
        Ok(Receiver {
            url: row.url,
            auth,
            signing: self.keyring.open(&place, &row.signing_sealed)?,
        })
    }

    fn store(&self, batch: &[Statement]) -> Result<H::Stored, Trouble<H::Error>> {
        self.host.store(batch).map_err(Trouble::Host)
    }

    async fn read(&self, batch: &[Statement]) -> Result<H::Read, Trouble<H::Error>> {
        self.host.read(batch).await.map_err(Trouble::Host)
    }

    async fn arm(&self, at: Option<Timestamp>) -> Result<(), Trouble<H::Error>> {
        self.host.arm(at).await.map_err(Trouble::Host)
    }
}

/// Where to send and with which secrets, as the database has it now.
struct Receiver {
    url: String,
    auth: Option<Secret>,
    signing: Secret,
}

impl Receiver {
    fn notification(self, due: &store::DueRow, now: Timestamp) -> Result<Outgoing, RowError> {
        let event = due.json.as_deref().map(serde_json::from_str::<ApiEvent>);
        let body = match event {
            Some(event) => {
                let event = event.map_err(|_| RowError { statement: 0 })?;
                payload::notification(&event, &due.name)
            }
            None => payload::test_message(),
        };
        let mut headers = vec![
            ("content-type", Secret::new("application/json")),
            ("user-agent", Secret::new(USER_AGENT)),
            (
                "webhook-signature",
                Secret::new(signature::sign(&self.signing, &body, now)),
            ),
        ];
        if let Some(id) = &due.id {
            headers.push(("webhook-event-id", Secret::new(id)));
        }
        if let Some(auth) = self.auth {
            headers.push(("cf-webhook-auth", auth));
        }
        Ok(Outgoing {
            url: self.url,
            headers,
            body,
        })
    }
}

/// Whoever takes events rings at once, and whoever delivers goes on while something is due. If they
/// could not, the alarm makes good for it after this time, so that it does not ring without pause
/// while the database is away.
pub const UNATTENDED: Duration = Duration::from_secs(2);

const USER_AGENT: &str = concat!("Stream-Connect/", env!("CARGO_PKG_VERSION"));

/// Events of an account that are kept, for streams that are taken up again and for deliveries that
/// wait: some hours of a thousand inputs on bad lines, and a few megabytes.
pub const MAX_ACCOUNT_EVENTS: u32 = 10_000;

/// Deliveries to a receiver that are kept once they are over: enough to see what went wrong.
pub const MAX_SHOWN_DELIVERIES: u32 = 100;
