//! What is created with an `Idempotency-Key` is created once.

use std::time::Duration;

use control_core::change::{ChangeRequest, Outcome, Refusal};
use control_core::idempotency::{Attempt, Made};
use control_core::sql::Wanted;
use shared::id::AccountId;
use shared::time::Timestamp;

use crate::database::*;

const LIFETIME: Duration = Duration::from_hours(6);

fn once(mut request: ChangeRequest, key: &str, body: &[u8]) -> ChangeRequest {
    let within = match request.change {
        control_core::change::Change::CreateOutput { .. } => Some(request.input),
        _ => None,
    };
    let attempt = Attempt::parse(Some(key), within, body).unwrap().unwrap();
    request.once = Some(attempt.once(&keyring()).unwrap());
    request
}

fn later(mut request: ChangeRequest, by: Duration) -> ChangeRequest {
    request.now = request.now.after(by);
    request
}

fn changed(outcome: Outcome) -> Wanted {
    match outcome {
        Outcome::Changed(wanted) => wanted,
        other => panic!("{other:?}"),
    }
}

fn repeated(outcome: Outcome) -> Made {
    match outcome {
        Outcome::Repeated(made, _) => made,
        other => panic!("{other:?}"),
    }
}

fn keys(database: &Database) -> i64 {
    database.number("SELECT count(*) FROM idempotency_keys")
}

#[test]
fn an_input_is_made_once() {
    let database = Database::new();
    changed(database.change(1, &once(create_input(1), "key", b"{}")));
    let before = database.dump();
    for body in [b"{}".as_slice(), b"{ }"] {
        let again = once(create_input(2), "key", body);
        let made = repeated(database.change(1, &again));
        assert_eq!((made.input, made.output), (input(1), None));
        let attempt = Attempt::parse(Some("key"), None, body).unwrap().unwrap();
        assert_eq!(attempt.check(&made, &keyring()).is_ok(), body == b"{}");
    }
    assert_eq!(database.dump(), before);
    changed(database.change(1, &once(create_input(2), "other", b"{}")));
    changed(database.change(1, &create_input(3)));
    changed(database.change(1, &create_input(4)));
    assert_eq!(keys(&database), 2);
}

#[test]
fn an_output_is_made_once() {
    let database = Database::new();
    changed(database.change(1, &create_input(1)));
    changed(database.change(2, &once(create_output(1, 1), "key", b"a")));
    let before = database.dump();
    let made = repeated(database.change(3, &once(create_output(1, 2), "key", b"a")));
    assert_eq!((made.input, made.output), (input(1), Some(output(1))));
    assert_eq!(database.dump(), before);
}

#[test]
fn a_key_outlives_what_it_made_and_is_free_after_six_hours() {
    let database = Database::new();
    changed(database.change(1, &once(create_input(1), "key", b"")));
    assert_eq!(
        database.change(2, &delete_input(1)),
        Outcome::Changed(Wanted::default())
    );
    let almost = LIFETIME - Duration::from_micros(1);
    let again = |by| later(once(create_input(2), "key", b""), by);
    assert_eq!(repeated(database.change(1, &again(almost))).input, input(1));
    changed(database.change(1, &again(LIFETIME)));
    assert_eq!(
        repeated(database.change(1, &again(LIFETIME))).input,
        input(2)
    );
    assert_eq!(keys(&database), 1);
}

#[test]
fn a_key_is_an_accounts_own() {
    let database = Database::new();
    let other = AccountId::from_random([0xb; 16]);
    database.add_account(other, "other");
    changed(database.change(1, &once(create_input(1), "key", b"")));
    let elsewhere = ChangeRequest {
        token: control_core::auth::TokenId("other".into()),
        account: other,
        ..once(create_input(2), "key", b"")
    };
    changed(database.change(1, &elsewhere));
}

#[test]
fn what_is_refused_uses_no_key_up() {
    let database = Database::new();
    changed(database.change(1, &create_input(1)));
    changed(database.change(2, &create_output(1, 1)));
    let refused = |change: &ChangeRequest, rev| match database.change(rev, change) {
        Outcome::Refused(refusal, _) => refusal,
        other => panic!("{other:?}"),
    };
    let mut crowded = once(create_output(1, 2), "key", b"");
    crowded.limits.outputs_per_input = 1;
    assert_eq!(refused(&crowded, 3), Refusal::TooManyOutputs(1));
    let mut crowded = once(create_input(2), "key", b"");
    crowded.limits.inputs_per_account = 1;
    assert_eq!(refused(&crowded, 1), Refusal::TooManyInputs(1));
    let nowhere = once(create_output(9, 2), "key", b"");
    assert_eq!(refused(&nowhere, 1), Refusal::NoSuchInput);
    assert_eq!(keys(&database), 0);
    // One that comes too late for the input's rev is not made, and uses none up either.
    let late = once(create_output(1, 3), "key", b"");
    assert_eq!(database.change(2, &late), Outcome::Behind(3));
    assert_eq!(keys(&database), 0);
    changed(database.change(4, &once(create_output(1, 4), "key", b"")));
    database.revoke(API_TOKEN);
    assert_eq!(
        refused(&once(create_output(1, 5), "key", b""), 5),
        Refusal::TokenRevoked
    );
}

#[test]
fn a_batch_that_fails_half_way_uses_no_key_up() {
    let database = Database::new();
    database.execute(
        "CREATE TRIGGER t AFTER INSERT ON idempotency_keys BEGIN SELECT raise(ABORT, ''); END",
    );
    let before = database.dump();
    let create = once(create_input(1), "key", b"");
    assert!(database.run(&create.batch(1)).is_err());
    assert_eq!(database.dump(), before);
}

#[test]
fn keys_whose_time_is_over_go_without_a_scan() {
    let database = Database::new();
    for n in 1..=20 {
        changed(database.change(1, &once(create_input(n), &format!("key {n}"), b"")));
    }
    for n in 21..=27 {
        let create = once(create_input(n), &format!("key {n}"), b"");
        changed(database.change(1, &later(create, LIFETIME)));
    }
    assert_eq!(keys(&database), 7, "only those of now are left");
    let plan = database.run(&[control_core::sql::Statement {
        sql: "EXPLAIN QUERY PLAN SELECT account_id, key FROM idempotency_keys
            WHERE expires <= 1 ORDER BY expires LIMIT 4",
        params: Vec::new(),
    }]);
    let plan = format!("{:?}", plan.unwrap());
    assert!(plan.contains("idempotency_keys_by_expiry"), "{plan}");
    assert!(!plan.contains("SCAN"), "{plan}");
}

#[test]
fn six_hours_are_six_hours() {
    let database = Database::new();
    let create = once(create_input(1), "key", b"");
    changed(database.change(1, &create));
    let expires = database.number("SELECT expires FROM idempotency_keys");
    assert_eq!(Timestamp::from_micros(expires).since(create.now), LIFETIME);
}
