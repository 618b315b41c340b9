//! The object's own database: its tables, and every statement on them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use shared::api::{ApiEvent, Delivery, DeliveryState, EventId};
use shared::time::Timestamp;

use super::delivery::{LEASE, Sent, Target, after};
use super::{MAX_ACCOUNT_EVENTS, MAX_SHOWN_DELIVERIES};
use crate::event_stream::EVENTS_AT_ONCE;
use crate::sql::{Param, Statement, micros, optional_micros, whole};

/// The tables, each made where it is not there yet.
///
/// `events.number` orders the account's events, `routed` is the last one that was queued for its
/// receivers. A delivery waits as long as it has a `next`; those of one `lane` keep their order. A
/// target is busy while an attempt is in flight.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        input TEXT NOT NULL,
        stored INTEGER NOT NULL,
        json TEXT NOT NULL
    ) STRICT",
    "CREATE TABLE IF NOT EXISTS routed (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        through INTEGER NOT NULL
    ) STRICT",
    "CREATE TABLE IF NOT EXISTS deliveries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        lane TEXT NOT NULL,
        event INTEGER NULL,
        id TEXT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
        attempts INTEGER NOT NULL,
        created INTEGER NOT NULL,
        attempted INTEGER NULL,
        next INTEGER NULL,
        status INTEGER NULL,
        error TEXT NULL,
        UNIQUE (target, event)
    ) STRICT",
    "CREATE INDEX IF NOT EXISTS waiting ON deliveries (target, lane, number)
        WHERE next IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS targets (
        target TEXT PRIMARY KEY,
        busy INTEGER NOT NULL,
        last_success INTEGER NULL,
        last_failure INTEGER NULL
    ) STRICT",
];

/// The kind of a test message.
pub(super) const TEST: &str = "test";

#[derive(Deserialize)]
pub(super) struct EventRow {
    #[serde(deserialize_with = "number")]
    pub(super) number: u64,
    pub(super) json: String,
}

/// Where an event is among all.
#[derive(Deserialize)]
pub(super) struct PlaceRow {
    #[serde(deserialize_with = "number")]
    pub(super) number: u64,
    pub(super) id: EventId,
}

#[derive(Deserialize)]
pub(super) struct TargetRow {
    pub(super) target: Target,
}

/// What is due: of a test, `id` and `json` are none.
#[derive(Deserialize)]
pub(super) struct DueRow {
    #[serde(deserialize_with = "number")]
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) json: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct BegunRow {
    pub(super) kind: String,
    #[serde(deserialize_with = "number")]
    pub(super) attempts: u32,
    #[serde(with = "micros")]
    pub(super) created: Timestamp,
}

/// A [`Delivery`] as it is stored.
#[derive(Deserialize)]
pub(super) struct DeliveryRow {
    id: Option<EventId>,
    #[serde(rename = "type")]
    kind: String,
    state: DeliveryState,
    #[serde(deserialize_with = "number")]
    attempts: u32,
    #[serde(with = "micros")]
    created: Timestamp,
    #[serde(with = "optional_micros")]
    attempted: Option<Timestamp>,
    #[serde(with = "optional_micros")]
    next: Option<Timestamp>,
    #[serde(deserialize_with = "optional_number")]
    status: Option<u16>,
    error: Option<String>,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            attempts: row.attempts,
            created: row.created,
            attempted: row.attempted,
            next: row.next,
            status: row.status,
            error: row.error,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct NextRow {
    #[serde(with = "optional_micros")]
    pub(super) next: Option<Timestamp>,
}

/// When a receiver was last sent something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct LastAttempts {
    /// The receiver.
    pub target: Target,
    /// When it last took something.
    #[serde(with = "optional_micros")]
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed.
    #[serde(with = "optional_micros")]
    pub last_failure: Option<Timestamp>,
}

/// Answers a row where the event is new.
pub(super) fn insert_event(event: &ApiEvent, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT OR IGNORE INTO events (id, input, stored, json) VALUES (?1, ?2, ?3, ?4)
        RETURNING number",
        [
            Param::text(event.id),
            Param::text(event.input),
            now.into(),
            Param::text(json!(event)),
        ],
    )
}

/// Forgets the oldest events, and gives up what still waits to deliver them.
pub(super) fn trim_events() -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM events WHERE number <=
                (SELECT number FROM events ORDER BY number DESC LIMIT 1 OFFSET ?1)",
            [MAX_ACCOUNT_EVENTS.into()],
        ),
        Statement::new(
            "UPDATE deliveries SET state = 'failed', next = NULL, error = ?1
            WHERE next IS NOT NULL AND event < (SELECT min(number) FROM events)",
            [Param::text(
                "Too many newer events came while this one waited: it was given up.",
            )],
        ),
    ]
}

/// Where an event is.
pub(super) fn event_place(id: EventId) -> Statement {
    Statement::new(
        "SELECT number, id FROM events WHERE id = ?1",
        [Param::text(id)],
    )
}

/// Where the newest event is.
pub(super) fn last_place() -> Statement {
    Statement::new(
        "SELECT number, id FROM events ORDER BY number DESC LIMIT 1",
        [],
    )
}

/// Events after that number, rows of [`StoredEvent`](crate::event_stream::StoredEvent).
pub(super) fn events_after(number: u64) -> Statement {
    Statement::new(
        "SELECT number, id, json, (SELECT min(number) FROM events) AS oldest
        FROM events WHERE number > ?1 ORDER BY number LIMIT ?2",
        [Param::rev(number), EVENTS_AT_ONCE.into()],
    )
}

/// Events that were not queued yet, the first hundred.
pub(super) fn unrouted() -> Statement {
    Statement::new(
        "SELECT number, json FROM events
        WHERE number > coalesce((SELECT through FROM routed), 0) ORDER BY number LIMIT 100",
        [],
    )
}

pub(super) fn routed(through: u64) -> Statement {
    Statement::new(
        "INSERT INTO routed (one, through) VALUES (1, ?1)
        ON CONFLICT (one) DO UPDATE SET through = max(through, excluded.through)",
        [Param::rev(through)],
    )
}

/// Queues an event for a receiver, once.
pub(super) fn queue(
    target: Target,
    number: u64,
    event: &ApiEvent,
    name: &str,
    now: Timestamp,
) -> [Statement; 2] {
    [
        Statement::new(
            "INSERT OR IGNORE INTO targets (target, busy) VALUES (?1, 0)",
            [Param::text(target)],
        ),
        Statement::new(
            "INSERT OR IGNORE INTO deliveries
                (target, lane, event, id, kind, name, state, attempts, created, next)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0, ?7, ?7)",
            [
                Param::text(target),
                Param::text(event.input),
                Param::rev(number),
                Param::text(event.id),
                Param::text(event.kind.as_str()),
                Param::text(name),
                now.into(),
            ],
        ),
    ]
}

/// The first that waits in each lane of a target.
macro_rules! heads {
    () => {
        "deliveries AS d JOIN targets AS t ON t.target = d.target
        WHERE d.next IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries AS e
            WHERE e.target = d.target AND e.lane = d.lane AND e.number < d.number
                AND e.next IS NOT NULL)"
    };
}

/// Receivers that can be sent to now.
pub(super) fn due_targets(now: Timestamp) -> Statement {
    Statement::new(
        concat!(
            "SELECT DISTINCT d.target AS target FROM ",
            heads!(),
            " AND d.next <= ?1 AND t.busy <= ?1"
        ),
        [now.into()],
    )
}

/// What a receiver must be sent now: of several, what waits longest.
pub(super) fn due(target: Target, now: Timestamp) -> Statement {
    Statement::new(
        concat!(
            "SELECT d.number AS number, d.name AS name, d.id AS id,
                (SELECT json FROM events WHERE number = d.event) AS json FROM ",
            heads!(),
            " AND d.target = ?1 AND d.next <= ?2 AND t.busy <= ?2
            ORDER BY d.next, d.number LIMIT 1"
        ),
        [Param::text(target), now.into()],
    )
}

/// Begins an attempt. Answers a row unless another is in flight, or it was made meanwhile.
pub(super) fn begin(target: Target, number: u64, now: Timestamp) -> Statement {
    Statement::new(
        "UPDATE deliveries SET attempts = attempts + 1, attempted = ?3
        WHERE number = ?2 AND next <= ?3 AND (SELECT busy FROM targets WHERE target = ?1) <= ?3
        RETURNING number",
        [Param::text(target), Param::rev(number), now.into()],
    )
}

/// Lets nothing else be sent to a receiver for a while.
pub(super) fn lease(target: Target, now: Timestamp) -> Statement {
    Statement::new(
        "UPDATE targets SET busy = ?2 WHERE target = ?1",
        [Param::text(target), after(now, LEASE).into()],
    )
}

/// Begins a test. The second statement answers it as a [`DueRow`].
pub(super) fn begin_test(target: Target, now: Timestamp) -> [Statement; 2] {
    [
        Statement::new(
            "INSERT OR IGNORE INTO targets (target, busy) VALUES (?1, 0)",
            [Param::text(target)],
        ),
        Statement::new(
            "INSERT INTO deliveries
                (target, lane, kind, name, state, attempts, created, attempted, next)
            VALUES (?1, '', ?2, '', 'pending', 1, ?3, ?3, ?4)
            RETURNING number, name, id, NULL AS json",
            [
                Param::text(target),
                Param::text(TEST),
                now.into(),
                after(now, LEASE).into(),
            ],
        ),
    ]
}

pub(super) fn begun(number: u64) -> Statement {
    Statement::new(
        "SELECT kind, attempts, created FROM deliveries WHERE number = ?1 AND next IS NOT NULL",
        [Param::rev(number)],
    )
}

/// Notes what came of an attempt; `next` is when the next one is due, if there is one. One that was
/// made beside the queue (`beside`) leaves the lease of another alone.
pub(super) fn record(
    target: Target,
    number: u64,
    sent: Sent,
    next: Option<Timestamp>,
    beside: bool,
    now: Timestamp,
) -> [Statement; 3] {
    let state = match (sent.is_taken(), next) {
        (true, _) => "delivered",
        (false, Some(_)) => "pending",
        (false, None) => "failed",
    };
    let status = sent.status().map(u32::from);
    [
        Statement::new(
            "UPDATE deliveries SET state = ?2, next = ?3, status = ?4, error = ?5
            WHERE number = ?1",
            [
                Param::rev(number),
                Param::text(state),
                Param::optional(next),
                Param::optional(status),
                Param::optional(sent.error()),
            ],
        ),
        Statement::new(
            "UPDATE targets SET busy = CASE WHEN ?4 THEN busy ELSE 0 END,
                last_success = CASE WHEN ?2 THEN ?3 ELSE last_success END,
                last_failure = CASE WHEN ?2 THEN last_failure ELSE ?3 END
            WHERE target = ?1",
            [
                Param::text(target),
                sent.is_taken().into(),
                now.into(),
                beside.into(),
            ],
        ),
        Statement::new(
            "DELETE FROM deliveries WHERE target = ?1 AND next IS NULL AND number NOT IN (
                SELECT number FROM deliveries WHERE target = ?1 AND next IS NULL
                ORDER BY number DESC LIMIT ?2)",
            [Param::text(target), MAX_SHOWN_DELIVERIES.into()],
        ),
    ]
}

/// A receiver is gone, and what waits for it with it.
pub(super) fn forget(target: Target) -> [Statement; 2] {
    [
        Statement::new(
            "DELETE FROM deliveries WHERE target = ?1",
            [Param::text(target)],
        ),
        Statement::new(
            "DELETE FROM targets WHERE target = ?1",
            [Param::text(target)],
        ),
    ]
}

macro_rules! shown {
    () => {
        "SELECT id, kind AS type, state, attempts, created, attempted, next, status, error
        FROM deliveries"
    };
}

pub(super) fn delivery(number: u64) -> Statement {
    Statement::new(
        concat!(shown!(), " WHERE number = ?1"),
        [Param::rev(number)],
    )
}

/// Those that wait are shown first a hundred too: a queue of ten thousand is no page to read.
pub(super) fn deliveries(target: Target) -> Statement {
    Statement::new(
        concat!(shown!(), " WHERE target = ?1 ORDER BY number DESC LIMIT ?2"),
        [Param::text(target), (2 * MAX_SHOWN_DELIVERIES).into()],
    )
}

pub(super) fn last_attempts() -> Statement {
    Statement::new("SELECT target, last_success, last_failure FROM targets", [])
}

/// When something is due next: at once where events wait to be queued.
pub(super) fn next_alarm() -> Statement {
    Statement::new(
        concat!(
            "SELECT min(next) AS next FROM (
                SELECT stored AS next FROM events
                    WHERE number > coalesce((SELECT through FROM routed), 0)
                UNION ALL
                SELECT max(d.next, t.busy) AS next FROM ",
            heads!(),
            ")"
        ),
        [],
    )
}

fn number<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    let number = whole(deserializer)?;
    T::try_from(number).map_err(|_| D::Error::custom("a number out of range"))
}

fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "number")] u16);
    let number = Option::<Number>::deserialize(deserializer)?;
    Ok(number.map(|Number(number)| number))
}
