//! The object's own database: its tables, and every statement on them.

use serde::Deserialize;
use serde_json::json;
use shared::api::ApiEvent;
use shared::time::Timestamp;

use super::MAX_ACCOUNT_EVENTS;
use crate::sql::{Param, Statement};

/// The tables, each made where it is not there yet. `number` counts the account's events, and is
/// never used twice.
pub const SCHEMA: &[&str] = &["CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    input TEXT NOT NULL,
    stored INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT"];

/// An event's number.
#[derive(Deserialize)]
pub(super) struct NumberRow {}

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

pub(super) fn trim_events() -> Statement {
    Statement::new(
        "DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?1",
        [MAX_ACCOUNT_EVENTS.into()],
    )
}
