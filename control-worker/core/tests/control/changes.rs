//! Every change is made whole by one batch, or not at all.

use control_core::answer;
use control_core::auth::{TokenHash, TokenId, TokenRecord};
use control_core::change::{Change, ChangeRequest, Limits, Outcome, Refusal};
use control_core::destination::DestinationPolicy;
use control_core::keys::Place;
use control_core::permission::{Permission, Permissions};
use control_core::request::{NewInput, OutputUpdate, SettingsUpdate};
use control_core::snapshot;
use control_core::sql::{InputRead, OutputRow, PublishCheck, Results, Wanted, token_by_hash};
use control_core::status::View;
use shared::id::AccountId;
use shared::link::{InputSettings, OnFormatChange, OnStop, Takeover, Target, Wish};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::database::*;

fn changed(outcome: Outcome) -> Wanted {
    match outcome {
        Outcome::Changed(wanted) => wanted,
        other => panic!("{other:?}"),
    }
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal, _) => refusal,
        other => panic!("{other:?}"),
    }
}

/// A database with input 1 (at rev 1) and its output 1 (which moved it to rev 2).
fn with_output() -> Database {
    let database = Database::new();
    changed(database.change(1, &create_input(1)));
    changed(database.change(2, &create_output(1, 1)));
    database
}

/// Every change that could be made to that database under rev 3.
fn every_change() -> [ChangeRequest; 7] {
    [
        create_input(2),
        create_output(1, 2),
        delete_input(1),
        delete_output(1, 1),
        enable_input(1, false),
        enable_output(1, 1, false),
        rotate_keys(1, 9, None),
    ]
}

#[test]
fn a_life_from_creation_to_deletion() {
    let database = Database::new();
    let made = changed(database.change(1, &create_input(1)));
    let row = made.input.unwrap();
    assert_eq!((row.uid, row.account, row.rev), (input(1), account(), 1));
    assert_eq!(row.meta, r#"{"name":"test stream 1"}"#);
    assert!(row.enabled);
    assert_eq!(row.created, row.modified);
    assert_eq!(row.created.to_string(), "2025-12-01T01:08:50.72217Z");
    assert_eq!(made.outputs, []);

    changed(database.change(2, &create_output(1, 9)));
    let both = changed(database.change(3, &create_output(1, 8)));
    let order: Vec<_> = both.outputs.iter().map(|row| row.uid).collect();
    assert_eq!(order, [output(9), output(8)], "in the order of creation");
    assert_eq!(both.input.unwrap().rev, 3);

    let off = changed(database.change(4, &enable_output(1, 9, false)));
    assert_eq!(
        off.outputs
            .iter()
            .map(|row| row.enabled)
            .collect::<Vec<_>>(),
        [false, true]
    );
    let one = changed(database.change(5, &delete_output(1, 9)));
    assert_eq!(one.outputs.len(), 1);

    let mut update = enable_input(1, false);
    update.now = Timestamp::from_micros(1_764_551_330_722_171);
    let off = changed(database.change(6, &update)).input.unwrap();
    assert!(!off.enabled && off.modified > off.created);
    assert_eq!(off.meta, r#"{"name":"test stream 1"}"#);
    let renamed = Change::UpdateInput {
        meta: Some("{}".into()),
        enabled: None,
        settings: SettingsUpdate::default(),
    };
    let renamed = changed(database.change(7, &request(1, renamed)))
        .input
        .unwrap();
    assert_eq!((renamed.meta.as_str(), renamed.enabled), ("{}", false));

    assert_eq!(
        changed(database.change(8, &delete_input(1))),
        Wanted::default()
    );
    assert_eq!(
        database.number("SELECT count(*) FROM outputs"),
        0,
        "cascade"
    );
}

#[test]
fn the_51st_output_is_refused() {
    let database = Database::new();
    changed(database.change(1, &create_input(1)));
    for n in 1..=50 {
        changed(database.change(u64::from(n) + 1, &create_output(1, n)));
    }
    let before = database.dump();
    assert_eq!(
        refusal(database.change(52, &create_output(1, 51))),
        Refusal::TooManyOutputs(50)
    );
    assert_eq!(database.dump(), before);
    changed(database.change(53, &delete_output(1, 7)));
    changed(database.change(54, &create_output(1, 51)));
}

#[test]
fn an_input_too_many_is_refused() {
    let database = Database::new();
    let other = AccountId::from_random([0xb; 16]);
    database.add_account(other, "other");
    let within = |n| ChangeRequest {
        limits: Limits {
            inputs_per_account: 2,
            outputs_per_input: 50,
        },
        ..create_input(n)
    };
    changed(database.change(1, &within(1)));
    changed(database.change(1, &within(2)));
    let before = database.dump();
    assert_eq!(
        refusal(database.change(1, &within(3))),
        Refusal::TooManyInputs(2)
    );
    assert_eq!(database.dump(), before);
    let elsewhere = ChangeRequest {
        token: TokenId("other".into()),
        account: other,
        ..within(3)
    };
    changed(database.change(1, &elsewhere));
}

#[test]
fn a_token_that_is_not_good_changes_nothing() {
    let other = AccountId::from_random([0xb; 16]);
    for token in [API_TOKEN, RELAY_TOKEN, "other", "unknown"] {
        let database = with_output();
        database.add_account(other, "other");
        if token == API_TOKEN {
            database.revoke(API_TOKEN);
        }
        let before = database.dump();
        for change in every_change() {
            let change = ChangeRequest {
                token: TokenId(token.into()),
                ..change
            };
            assert_eq!(
                refusal(database.change(3, &change)),
                Refusal::TokenRevoked,
                "{token}: {change:?}"
            );
        }
        assert_eq!(database.dump(), before);
    }
}

#[test]
fn a_token_is_looked_at_again_whenever_something_changes() {
    let (before, at, after) = (micros(-1), micros(0), micros(1));
    let read = Permissions::from_iter([Permission::StreamRead]).bits();
    let write = Permissions::from_iter([Permission::StreamWrite]).bits();
    let others = Permissions::all().bits() - write - read;
    for (what, may_read, may_change) in [
        (format!("permissions = {read}"), true, false),
        (format!("permissions = {write}"), true, true),
        (format!("permissions = {others}"), false, false),
        ("disabled = 1".to_owned(), false, false),
        (format!("not_before = {at}"), true, true),
        (format!("not_before = {after}"), false, false),
        (format!("expires = {before}"), false, false),
        (format!("expires = {at}"), false, false),
        (format!("expires = {after}"), true, true),
    ] {
        for change in every_change() {
            let database = with_output();
            database.execute(&format!(
                "UPDATE tokens SET {what} WHERE id = '{API_TOKEN}'"
            ));
            let before = database.dump();
            let outcome = database.change(3, &change);
            if may_change {
                changed(outcome);
            } else {
                assert_eq!(
                    refusal(outcome),
                    Refusal::TokenRevoked,
                    "{what}: {change:?}"
                );
                assert_eq!(database.dump(), before);
            }
        }
        let database = with_output();
        database.execute(&format!(
            "UPDATE tokens SET {what} WHERE id = '{API_TOKEN}'"
        ));
        let read = InputRead {
            token: TokenId(API_TOKEN.into()),
            account: account(),
            input: input(1),
            now: now(),
        };
        let results = database.run(&read.batch()).unwrap();
        assert_eq!(read.outcome(&results).unwrap().is_ok(), may_read, "{what}");
    }
}

fn micros(after_now: i64) -> i64 {
    now().as_micros() + after_now
}

#[test]
fn another_accounts_input_does_not_exist() {
    let other = AccountId::from_random([0xb; 16]);
    let database = with_output();
    database.add_account(other, "other");
    let before = database.dump();
    for change in every_change() {
        if matches!(change.change, Change::CreateInput { .. }) {
            continue;
        }
        let change = ChangeRequest {
            token: TokenId("other".into()),
            account: other,
            ..change
        };
        assert_eq!(refusal(database.change(3, &change)), Refusal::NoSuchInput);
    }
    assert_eq!(database.dump(), before);
}

#[test]
fn what_is_not_there_cannot_be_changed() {
    let database = with_output();
    changed(database.change(1, &create_input(3)));
    let before = database.dump();
    for (rev, (change, why)) in (3..).zip([
        (create_output(2, 2), Refusal::NoSuchInput),
        (delete_input(2), Refusal::NoSuchInput),
        (enable_input(2, false), Refusal::NoSuchInput),
        (rotate_keys(2, 9, None), Refusal::NoSuchInput),
        (delete_output(2, 1), Refusal::NoSuchInput),
        (delete_output(1, 2), Refusal::NoSuchOutput),
        (enable_output(1, 2, false), Refusal::NoSuchOutput),
        // Output 1 exists, but belongs to input 1.
        (delete_output(3, 1), Refusal::NoSuchOutput),
        (enable_output(3, 1, false), Refusal::NoSuchOutput),
    ]) {
        assert_eq!(refusal(database.change(rev, &change)), why, "{change:?}");
    }
    assert_eq!(database.dump(), before);
}

#[test]
fn a_change_that_is_too_old_does_nothing() {
    for change in every_change() {
        if matches!(change.change, Change::CreateInput { .. }) {
            continue;
        }
        let database = with_output();
        changed(database.change(7, &create_output(1, 3)));
        let before = database.dump();
        for rev in [3, 7] {
            assert_eq!(
                database.change(rev, &change),
                Outcome::Behind(7),
                "{change:?}"
            );
        }
        assert_eq!(database.dump(), before);
    }
}

#[test]
fn a_batch_that_fails_half_way_does_nothing() {
    for change in every_change() {
        let database = with_output();
        database.execute(
            "CREATE TRIGGER i AFTER INSERT ON live_inputs BEGIN SELECT raise(ABORT, ''); END;
            CREATE TRIGGER u AFTER UPDATE ON live_inputs BEGIN SELECT raise(ABORT, ''); END;
            CREATE TRIGGER d AFTER DELETE ON outputs BEGIN SELECT raise(ABORT, ''); END;",
        );
        let before = database.dump();
        assert!(database.run(&change.batch(3)).is_err(), "{change:?}");
        assert_eq!(database.dump(), before);
    }
}

#[test]
fn an_account_takes_everything_with_it() {
    let database = with_output();
    database.execute("DELETE FROM accounts");
    for table in ["live_inputs", "outputs", "tokens WHERE kind = 'api'"] {
        assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")), 0);
    }
}

#[test]
fn settings_are_kept_and_change_one_by_one() {
    let database = Database::new();
    let body = br#"{"reconnectWindowSeconds": 5, "onStop": "hold"}"#;
    let body = NewInput::parse(body).unwrap();
    let create = Change::create_input(body, account(), &stream_key(1), [1; 12], &keyring());
    let row = changed(database.change(1, &request(1, create.unwrap())))
        .input
        .unwrap();
    let made = InputSettings {
        reconnect_window: 5,
        on_stop: OnStop::Hold,
        ..InputSettings::default()
    };
    assert_eq!(row.settings(), made);
    let update = |settings| {
        request(
            1,
            Change::UpdateInput {
                meta: None,
                enabled: None,
                settings,
            },
        )
    };
    let takeover = SettingsUpdate {
        takeover: Some(Takeover::Reject),
        on_stop: Some(OnStop::End),
        ..SettingsUpdate::default()
    };
    let row = changed(database.change(2, &update(takeover)))
        .input
        .unwrap();
    let now = InputSettings {
        takeover: Takeover::Reject,
        on_stop: OnStop::End,
        ..made
    };
    assert_eq!(row.settings(), now);
    let others = SettingsUpdate {
        on_format_change: Some(OnFormatChange::Continue),
        reconnect_window: Some(0),
        ..SettingsUpdate::default()
    };
    let row = changed(database.change(3, &update(others))).input.unwrap();
    assert_eq!(row.settings().on_format_change, OnFormatChange::Continue);
    assert_eq!(row.settings().reconnect_window, 0);
    assert_eq!(row.settings().takeover, Takeover::Reject);
}

#[test]
fn an_output_is_changed_in_place() {
    let database = with_output();
    let before = changed(database.change(3, &enable_output(1, 1, true)));
    let body = br#"{"url": "rtmps://b.example/app", "streamKey": " new ", "meta": {"name": "b"}}"#;
    let policy = DestinationPolicy::parse("", "", "").unwrap();
    let update = |body| {
        let update = OutputUpdate::parse(body, &policy).unwrap();
        Change::update_output(
            update,
            account(),
            output(1),
            [[9; 12], [10; 12]],
            &keyring(),
        )
        .unwrap()
    };
    let after = changed(database.change(4, &request(1, update(body))));
    let [row] = after.outputs.as_slice() else {
        panic!("{after:?}");
    };
    let place = Place::output_key(account(), output(1));
    assert_eq!(row.uid, output(1));
    assert_eq!(row.url, "rtmps://b.example/app");
    assert_eq!(
        keyring().open(&place, &row.key_sealed).unwrap().expose(),
        " new "
    );
    assert_eq!((row.enabled, row.meta.as_str()), (true, r#"{"name": "b"}"#));
    assert_eq!(row.created, before.outputs[0].created);
    // What is absent stays.
    let same = changed(database.change(5, &request(1, update(b"{}"))));
    let touched = OutputRow {
        rev: 5,
        ..row.clone()
    };
    assert_eq!(same.outputs, [touched]);
    let untouched = changed(database.change(6, &create_output(1, 2)));
    let revs: Vec<_> = untouched.outputs.iter().map(|row| row.rev).collect();
    assert_eq!(revs, [5, 6]);
    let cleared = changed(database.change(7, &request(1, update(br#"{"meta": null}"#))));
    assert_eq!(cleared.outputs[0].meta, "{}");
    assert_eq!(cleared.outputs[0].key_sealed, row.key_sealed);
}

#[test]
fn a_user_in_a_url_is_sealed_and_shown_as_typed() {
    let database = with_output();
    let url = "rtmps://me:hunter2@b.example/app";
    let body = format!(r#"{{"url": "{url}"}}"#);
    let policy = DestinationPolicy::parse("", "", "").unwrap();
    let update = OutputUpdate::parse(body.as_bytes(), &policy).unwrap();
    let nonces = [[9; 12], [10; 12]];
    let update = Change::update_output(update, account(), output(1), nonces, &keyring()).unwrap();
    let after = changed(database.change(3, &request(1, update)));
    let row = &after.outputs[0];
    assert!(!row.url.contains("hunter2") && !row.url.contains("me:"));
    let shown = answer::output(row.clone(), &View::empty(), account(), &keyring()).unwrap();
    assert_eq!(shown.url, url);
    let now = Timestamp::from_micros(0);
    let snapshot = snapshot::build(input(1), 3, 1, None, &after, now, &keyring()).unwrap();
    let Wish::Relay { outputs, .. } = snapshot.wish else {
        panic!("{snapshot:?}");
    };
    assert!(matches!(&outputs[0].target, Target::Rtmp { url: told, .. } if told.expose() == url));
}

#[test]
fn secrets_are_read_only_with_a_good_token() {
    let database = with_output();
    let read = InputRead {
        token: TokenId(API_TOKEN.into()),
        account: account(),
        input: input(1),
        now: now(),
    };
    let outcome = |read: &InputRead| {
        let results = database.run(&read.batch()).unwrap();
        read.outcome(&results).unwrap()
    };
    let (row, outputs) = outcome(&read).unwrap();
    assert_eq!((row.uid, outputs.len()), (input(1), 1));
    let unknown = InputRead {
        input: input(2),
        ..read.clone()
    };
    assert_eq!(outcome(&unknown).unwrap_err(), Refusal::NoSuchInput);

    let other = AccountId::from_random([0xb; 16]);
    database.add_account(other, "other");
    let foreign = InputRead {
        token: TokenId("other".into()),
        account: other,
        input: input(1),
        now: now(),
    };
    assert_eq!(outcome(&foreign).unwrap_err(), Refusal::NoSuchInput);
    database.revoke(API_TOKEN);
    assert_eq!(outcome(&read).unwrap_err(), Refusal::TokenRevoked);
}

#[test]
fn a_node_reads_with_a_relay_token_only() {
    let database = with_output();
    let outcome = |token: &str, n| {
        let check = PublishCheck {
            token: TokenId(token.into()),
            input: input(n),
        };
        let results = database.run(&check.batch()).unwrap();
        check.outcome(&results).unwrap()
    };
    let wanted = outcome(RELAY_TOKEN, 1).unwrap();
    let row = wanted.input.unwrap();
    assert!(keyring().matches(&stream_key(1), &row.key_hash));
    assert_eq!(outcome(RELAY_TOKEN, 2), Ok(Wanted::default()));
    assert_eq!(outcome(API_TOKEN, 1), Err(Refusal::TokenRevoked));
    database.revoke(RELAY_TOKEN);
    assert_eq!(outcome(RELAY_TOKEN, 1), Err(Refusal::TokenRevoked));
}

#[test]
fn a_token_is_found_by_its_hash_until_it_is_revoked() {
    let database = Database::new();
    let hash = TokenHash::of(&Secret::new("the token"));
    database.execute(&format!(
        "UPDATE tokens SET hash = '{}' WHERE id = '{API_TOKEN}'",
        hash.as_str()
    ));
    let found = || {
        let results = database.run(&[token_by_hash(&hash)]).unwrap();
        results.first::<TokenRecord>(0).unwrap()
    };
    let record = found().unwrap();
    assert_eq!(
        (record.id.0.as_str(), record.account),
        (API_TOKEN, Some(account()))
    );
    assert_eq!(record.permissions, Permissions::all());
    assert_eq!((record.not_before, record.expires), (None, None));
    let set = |what: &str| {
        database.execute(&format!(
            "UPDATE tokens SET {what} WHERE id = '{API_TOKEN}'"
        ));
    };
    // Whoever asks compares the times itself, and says which of them was missed.
    set("not_before = 20, expires = 10");
    let record = found().unwrap();
    assert_eq!(record.not_before, Some(Timestamp::from_micros(20)));
    assert_eq!(record.expires, Some(Timestamp::from_micros(10)));
    set("disabled = 1");
    assert_eq!(found(), None);
    set("disabled = 0");
    database.revoke(API_TOKEN);
    assert_eq!(found(), None);
}
