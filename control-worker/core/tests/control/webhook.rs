//! The account's object: what it keeps.

use control_core::sql::Statement;
use control_core::webhook::{Host, MAX_ACCOUNT_EVENTS, SCHEMA, Webhook};
use rusqlite::Connection;
use serde_json::json;
use shared::api::ApiEvent;
use shared::time::Timestamp;

use crate::database::*;

/// The object's surroundings.
struct World {
    storage: Connection,
}

impl World {
    fn new() -> Self {
        let storage = Connection::open_in_memory().unwrap();
        for statement in SCHEMA {
            storage.execute_batch(statement).unwrap();
        }
        Self { storage }
    }

    /// Hands events over; the numbers of those that were new.
    fn take(&self, events: &[ApiEvent]) -> Vec<u64> {
        let object = Webhook { host: self };
        let new = object.take(events.to_vec()).unwrap();
        new.iter().map(|event| event.id.number).collect()
    }

    fn kept(&self) -> u32 {
        let count = "SELECT count(*) FROM events";
        self.storage.query_row(count, [], |row| row.get(0)).unwrap()
    }
}

impl Host for World {
    type Error = rusqlite::Error;
    type Results = Rows;

    fn store(&self, batch: &[Statement]) -> Result<Rows, rusqlite::Error> {
        run(&self.storage, batch)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_764_551_330_722_170)
    }
}

fn event(n: u8, number: u64) -> ApiEvent {
    serde_json::from_value(json!({
        "id": format!("{}-{number}", input(n)),
        "type": "live_input.reconnecting",
        "at": "2025-12-01T01:08:50.72217Z",
        "input": input(n),
    }))
    .unwrap()
}

#[test]
fn what_comes_again_is_left_out() {
    let world = World::new();
    assert_eq!(world.take(&[event(1, 1), event(1, 2)]), [1, 2]);
    assert_eq!(world.take(&[event(1, 1), event(1, 2), event(1, 3)]), [3]);
    assert_eq!(world.take(&[event(2, 1)]), [1], "of another live input");
    assert!(world.take(&[]).is_empty());
    assert_eq!(world.kept(), 4);
}

#[test]
fn so_many_events_are_kept_and_the_newest() {
    let world = World::new();
    let all: Vec<_> = (1..=u64::from(MAX_ACCOUNT_EVENTS) + 1)
        .map(|number| event(1, number))
        .collect();
    let (last, first) = all.split_last().unwrap();
    world.take(first);
    assert_eq!(world.kept(), MAX_ACCOUNT_EVENTS);
    world.take(std::slice::from_ref(last));
    assert_eq!(world.kept(), MAX_ACCOUNT_EVENTS);
    assert!(world.take(&all[1..]).is_empty());
    assert_eq!(world.take(&all[..1]), [1], "forgotten, as said");
}
