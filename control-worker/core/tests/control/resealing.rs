//! Everything that is sealed comes under a new key, while the API goes on.

use control_core::change::{Change, Outcome};
use control_core::keys::{Keyring, Place};
use control_core::resealing::{Page, RESEALED_AT_ONCE, Resealed};
use serde_json::{Value, json};
use shared::id::DestinationId;
use shared::secret::Secret;

use crate::database::*;

/// The ring of the other tests with a newer key before it.
fn both() -> Keyring {
    let (new, old) = ("0b".repeat(32), "0a".repeat(32));
    Keyring::parse(&format!("2:{new},1:{old}")).unwrap()
}

fn new() -> Keyring {
    Keyring::parse(&format!("2:{}", "0b".repeat(32))).unwrap()
}

/// Nonces that differ.
fn nonces() -> impl Iterator<Item = [u8; 12]> {
    (0_u64..).map(|n| {
        let mut nonce = [0xff; 12];
        nonce[..8].copy_from_slice(&n.to_be_bytes());
        nonce
    })
}

fn read(database: &Database, query: &str) -> Resealed {
    let batch = Page::parse(query).unwrap().batch(&both(), now()).unwrap();
    let found = database.run(&batch).unwrap();
    Resealed::of(&found, &both(), nonces()).unwrap()
}

fn write(database: &Database, page: &Resealed) -> Value {
    let written = database.run(page.batch()).unwrap();
    page.shown(&written).unwrap()
}

fn reseal(database: &Database, query: &str) -> Value {
    write(database, &read(database, query))
}

fn made(outcome: Outcome) {
    assert!(matches!(outcome, Outcome::Changed(_)), "{outcome:?}");
}

/// A database with one of everything that is sealed.
fn full() -> Database {
    let database = Database::new();
    made(database.change(1, &create_input(1)));
    let mut with_user = create_output(1, 7);
    let place = Place::output_url(account(), output(7));
    let user = Secret::new("me:hunter2");
    let user = keyring().seal(&place, [9; 12], &user).unwrap();
    let Change::CreateOutput { url, .. } = &mut with_user.change else {
        panic!("no output");
    };
    *url = format!("rtmp://{user}@a.example.com/live");
    made(database.change(2, &with_user));
    // Its host looks like what is sealed, and it has an `@`.
    let mut without = create_output(1, 8);
    let Change::CreateOutput { url, .. } = &mut without.change else {
        panic!("no output");
    };
    *url = "rtmp://v1.1.a.b/live?a=b@c".into();
    made(database.change(3, &without));
    let seal = |place: &Place, n| {
        keyring()
            .seal(place, [n; 12], &Secret::new("hook"))
            .unwrap()
    };
    let destination = |n: u8| DestinationId::from_random([n; 16]);
    database.execute(&format!(
        "INSERT INTO stream_webhooks VALUES ('{account}', 'https://a', '{hook}', 0);
        INSERT INTO webhook_destinations VALUES
            ('{one}', '{account}', '', 'https://a', '{secret}', '{signing}', 0),
            ('{two}', '{account}', '', 'https://a', NULL, '{alone}', 0)",
        account = account(),
        hook = seal(&Place::webhook_secret(account()), 20),
        one = destination(1),
        secret = seal(&Place::destination_secret(account(), destination(1)), 21),
        signing = seal(&Place::destination_signing(account(), destination(1)), 22),
        two = destination(2),
        alone = seal(&Place::destination_signing(account(), destination(2)), 23),
    ));
    database
}

/// How many texts the older key has made.
fn old(database: &Database) -> i64 {
    database.number(
        "SELECT (SELECT count(*) FROM live_inputs WHERE key_sealed LIKE 'v1.1.%')
            + (SELECT count(*) FROM live_inputs WHERE key_hash LIKE 'v1.1.%')
            + (SELECT count(*) FROM outputs WHERE key_sealed LIKE 'v1.1.%')
            + (SELECT count(*) FROM outputs WHERE url LIKE 'rtmp://v1.1.%@a.example.com/%')
            + (SELECT count(*) FROM stream_webhooks WHERE secret_sealed LIKE 'v1.1.%')
            + (SELECT count(*) FROM webhook_destinations WHERE secret_sealed LIKE 'v1.1.%')
            + (SELECT count(*) FROM webhook_destinations WHERE signing_sealed LIKE 'v1.1.%')",
    )
}

#[test]
fn all_that_was_sealed_opens_without_the_older_key_and_says_the_same() {
    let database = full();
    assert_eq!(old(&database), 9);
    let answer = reseal(&database, "");
    let expected = json!({"resealed": 6, "unreadable": 0, "waiting": 0, "next": null});
    assert_eq!(answer, expected);
    assert_eq!(old(&database), 0);
    let text = |sql: &str| database.text(sql).unwrap();
    let open = |place: &Place, sql: &str| new().open(place, &text(sql)).unwrap();
    let sealed = open(
        &Place::input_key(account(), input(1)),
        "SELECT key_sealed FROM live_inputs",
    );
    assert_eq!(sealed, stream_key(1).expose());
    assert!(new().matches(&stream_key(1), &text("SELECT key_hash FROM live_inputs")));
    for (n, url) in [(7, None), (8, Some("rtmp://v1.1.a.b/live?a=b@c"))] {
        let sql = |column| format!("SELECT {column} FROM outputs WHERE uid = '{}'", output(n));
        let key = open(&Place::output_key(account(), output(n)), &sql("key_sealed"));
        assert_eq!(key, Secret::new(format!("secret {n}")));
        let stored = text(&sql("url"));
        match url {
            Some(url) => assert_eq!(stored, url),
            None => {
                let user = stored.strip_prefix("rtmp://").unwrap();
                let (user, rest) = user.split_once('@').unwrap();
                let place = Place::output_url(account(), output(n));
                assert_eq!(new().open(&place, user), Ok(Secret::new("me:hunter2")));
                assert_eq!(rest, "a.example.com/live");
            }
        }
    }
    let hook = open(
        &Place::webhook_secret(account()),
        "SELECT secret_sealed FROM stream_webhooks",
    );
    assert_eq!(hook, Secret::new("hook"));
    let first = "SELECT secret_sealed FROM webhook_destinations ORDER BY id";
    let place = Place::destination_secret(account(), DestinationId::from_random([1; 16]));
    assert_eq!(open(&place, first), Secret::new("hook"));
}

#[test]
fn to_do_it_again_changes_nothing() {
    let database = full();
    reseal(&database, "");
    let after = database.dump();
    let answer = reseal(&database, "");
    assert_eq!(answer["resealed"], 0);
    assert_eq!(database.dump(), after);
}

#[test]
fn what_changed_since_it_was_read_is_left_as_it_was_changed() {
    let database = full();
    let page = read(&database, "");
    made(database.change(9, &rotate_keys(1, 2, None)));
    database.execute("UPDATE outputs SET key_sealed = 'v1.2.changed'");
    database.execute("DELETE FROM webhook_destinations WHERE secret_sealed IS NULL");
    let rotated = database.text("SELECT key_hash FROM live_inputs");
    // The webhook of the account, and one destination.
    assert_eq!(write(&database, &page)["resealed"], 2);
    assert_eq!(database.text("SELECT key_hash FROM live_inputs"), rotated);
    let keys = "SELECT count(*) FROM outputs WHERE key_sealed = 'v1.2.changed'";
    assert_eq!(database.number(keys), 2);
    // The next look finds what came of it.
    assert_eq!(reseal(&database, "")["resealed"], 1);
}

#[test]
fn a_page_is_bounded_and_the_next_goes_on_behind_it() {
    let database = Database::new();
    let inputs = RESEALED_AT_ONCE + 1;
    for n in 0..inputs {
        made(database.change(1, &create_input(n as u8)));
    }
    let first = reseal(&database, "");
    assert_eq!(first["resealed"], RESEALED_AT_ONCE);
    let next = first["next"].as_str().unwrap();
    assert_eq!(next, input(RESEALED_AT_ONCE as u8 - 1).to_string());
    let second = reseal(&database, &format!("after={next}"));
    assert_eq!(
        (&second["resealed"], &second["next"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(old(&database), 0);
}

#[test]
fn what_no_key_opens_is_counted_and_passed_by() {
    let database = full();
    // Moved to another row, it does not open.
    database.execute(&format!(
        "UPDATE outputs SET key_sealed = (SELECT key_sealed FROM outputs WHERE uid = '{}')
        WHERE uid = '{}'",
        output(7),
        output(8),
    ));
    let before = database.dump();
    let answer = reseal(&database, "");
    assert_eq!(
        (&answer["resealed"], &answer["unreadable"]),
        (&json!(5), &json!(1))
    );
    assert_ne!(database.dump(), before);
    assert_eq!(old(&database), 1);
}

#[test]
fn hashes_whose_text_nobody_has_are_waited_for() {
    let database = full();
    let until = now().after(std::time::Duration::from_secs(60));
    made(database.change(9, &rotate_keys(1, 2, Some(until))));
    assert_eq!(reseal(&database, "")["waiting"], 1);
    database.execute("UPDATE live_inputs SET old_key_until = 1");
    assert_eq!(reseal(&database, "")["waiting"], 0);
}
