//! The event streams: what a client is told, when it is closed, and what is asked about its token.

use std::time::Duration;

use control_core::auth::TokenId;
use control_core::event_stream::{
    CHECK_EVERY, CHECKED_WITHIN, Client, Close, ECHO_TIMEOUT, FIRST_FRAME_TIMEOUT, Heard,
    MAX_CLIENT_FRAME, MAX_CLIENTS, MAX_WAITING, Opening, PING, RETRY, Start, StoredEvent, WINDOW,
    alarm, displaced, is_full, state,
};
use control_core::sql::{OutputRow, Results, StillGood, StreamCheck, StreamOpening, outputs};
use control_core::status::{StatusBook, View};
use serde_json::{Value, json};
use shared::api::EventId;
use shared::time::Timestamp;

use crate::database::*;

const TOKEN: &str = "0123456789abcdefghijABCDEFGHIJ-_01234567";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_micros(1_764_551_330_000_000 + millis * 1000)
}

fn opening() -> Opening {
    Opening {
        account: account(),
        token: None,
        since: None,
    }
}

fn id(number: u64) -> EventId {
    EventId {
        input: input(1),
        number,
    }
}

fn waiting(now: Timestamp) -> Client {
    Client::new(&opening(), now)
}

/// One that is told everything from now on.
fn reader(now: Timestamp) -> Client {
    let mut client = waiting(now);
    client.admit(TokenId(API_TOKEN.into()), now);
    let start = Start {
        last: Some(id(0)),
        number: 0,
        resumed: false,
    };
    client.ready(start, 1, false);
    client
}

fn event(number: u64, bytes: usize) -> StoredEvent {
    StoredEvent {
        number,
        id: id(number).to_string(),
        json: json!("x".repeat(bytes)).to_string(),
        oldest: 1,
    }
}

fn read(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap()
}

fn closes(heard: &Heard, close: Close) -> bool {
    matches!(heard, Heard::Close(why) if *why == close)
}

#[test]
fn a_client_has_five_seconds_to_say_who_it_is() {
    let client = waiting(at(0));
    let last = at(0).after(FIRST_FRAME_TIMEOUT);
    assert_eq!(client.due(), last);
    assert_eq!(client.overdue(at(4999)), None);
    assert_eq!(client.overdue(last), Some(Close::Unauthorised));
    assert!(!client.must_be_checked(last));
    assert_eq!(client.reads_after(), None);
    assert!(!client.wants_state());
}

#[test]
fn the_first_frame_brings_a_token_or_the_end() {
    let mut client = waiting(at(0));
    let since = id(7).to_string();
    match client.hear(&json!({"token": TOKEN, "since": since}).to_string()) {
        Heard::Token(token) => assert_eq!(token.expose(), TOKEN),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.since(), Some(id(7)));
    assert!(!client.is_admitted());
    // While it is looked up, nothing more is.
    let again = json!({ "token": TOKEN }).to_string();
    assert!(matches!(client.hear(&again), Heard::Nothing));
    assert!(!format!("{client:?}{}", json!(client)).contains(TOKEN));

    for wrong in [
        "",
        "nonsense",
        "[]",
        PING,
        r#"{"token":"short"}"#,
        &json!({"token": TOKEN, "x": "x".repeat(MAX_CLIENT_FRAME)}).to_string(),
    ] {
        let heard = waiting(at(0)).hear(wrong);
        assert!(closes(&heard, Close::Unauthorised), "{wrong}: {heard:?}");
    }
}

#[test]
fn a_frame_may_be_so_long_and_no_longer() {
    let frame = |length: usize| {
        let bare = json!({"token": TOKEN, "x": ""}).to_string().len();
        json!({"token": TOKEN, "x": "x".repeat(length - bare)}).to_string()
    };
    let longest = frame(MAX_CLIENT_FRAME);
    assert_eq!(longest.len(), MAX_CLIENT_FRAME);
    assert!(matches!(waiting(at(0)).hear(&longest), Heard::Token(_)));
    let longer = frame(MAX_CLIENT_FRAME + 1);
    assert!(closes(&waiting(at(0)).hear(&longer), Close::Unauthorised));
    assert!(closes(&reader(at(0)).hear(&longer), Close::NotUnderstood));
}

#[test]
fn what_was_seen_elsewhere_is_unknown_where_it_is_no_event() {
    let mut client = waiting(at(0));
    let frame = json!({"token": TOKEN, "since": "nonsense"}).to_string();
    assert!(matches!(client.hear(&frame), Heard::Token(_)));
    assert_eq!(client.since(), None);
    let mut client = Client::new(
        &Opening {
            since: Some(id(3)),
            ..opening()
        },
        at(0),
    );
    client.hear(&json!({ "token": TOKEN }).to_string());
    assert_eq!(client.since(), Some(id(3)), "of the query");
}

#[test]
fn a_token_is_checked_every_half_minute_and_counts_for_a_minute() {
    let mut client = reader(at(0));
    assert_eq!(client.due(), at(0).after(CHECK_EVERY));
    assert!(!client.must_be_checked(at(29_999)));
    assert!(client.must_be_checked(at(30_000)));
    // The database does not answer, again and again.
    client.unchecked(at(30_000));
    assert_eq!(client.due(), at(30_000).after(RETRY));
    assert!(!client.must_be_checked(at(34_999)));
    assert!(client.must_be_checked(at(35_000)));
    client.unchecked(at(58_000));
    let end = at(0).after(CHECKED_WITHIN);
    assert_eq!(client.due(), end);
    assert_eq!(client.overdue(at(59_999)), None);
    assert_eq!(client.overdue(end), Some(Close::Failed));
    // It does in time.
    client.admit(TokenId(API_TOKEN.into()), at(59_999));
    assert_eq!(client.overdue(end), None);
    assert_eq!(client.due(), at(59_999).after(CHECK_EVERY));
}

#[test]
fn the_alarm_rings_for_whoever_is_due_first() {
    assert_eq!(alarm(&[], at(0)), None);
    let clients = [reader(at(0)), waiting(at(20_000))];
    assert_eq!(alarm(&clients, at(20_000)), Some(at(25_000)));
    assert_eq!(alarm(&clients[..1], at(20_000)), Some(at(30_000)));
    // What is overdue rings again in a while, and not without pause.
    let again = at(40_000).after(RETRY);
    assert_eq!(alarm(&clients, at(40_000)), Some(again));
}

#[test]
fn there_are_so_many_clients_and_no_more() {
    let clients = vec![reader(at(0)); MAX_CLIENTS - 1];
    assert!(!is_full(&clients));
    let mut clients = vec![reader(at(0)); MAX_CLIENTS];
    assert!(is_full(&clients));
    clients[0] = waiting(at(0));
    assert!(!is_full(&clients), "who waits is not counted");
}

#[test]
fn the_oldest_that_waits_makes_room_for_another() {
    let mut clients: Vec<_> = (1..MAX_WAITING)
        .map(|n| waiting(at(i64::try_from(n).unwrap())))
        .collect();
    clients.push(reader(at(0)));
    assert_eq!(displaced(&clients), None);
    clients.push(waiting(at(0)));
    assert_eq!(displaced(&clients), Some(MAX_WAITING));
}

#[test]
fn the_state_comes_before_the_events() {
    let mut client = waiting(at(0));
    client.admit(TokenId(API_TOKEN.into()), at(0));
    let start = Start {
        last: Some(id(4)),
        number: 4,
        resumed: true,
    };
    let ready = read(&client.ready(start, 3, true));
    let expected = json!({"type": "ready", "lastEventId": id(4), "resumed": true});
    assert_eq!(ready, expected);
    assert_eq!(client.reads_after(), None);
    assert!(client.wants_state());
    client.show("{}");
    assert!(!client.wants_state());
    assert_eq!(client.reads_after(), Some(4));
    client.outdate();
    assert!(client.wants_state());
    assert_eq!(client.reads_after(), Some(4), "it was shown one");
}

#[test]
fn nothing_has_happened_yet() {
    let mut client = reader(at(0));
    let start = Start {
        last: None,
        number: 0,
        resumed: false,
    };
    let ready = read(&client.ready(start, 0, false));
    assert_eq!(ready["lastEventId"], Value::Null);
}

#[test]
fn each_event_is_told_once() {
    let mut client = reader(at(0));
    let frames = client.events(&[event(1, 1), event(2, 1)]).unwrap();
    let frames: Vec<_> = frames.iter().map(|frame| read(frame)).collect();
    assert_eq!(
        frames[1],
        json!({"type": "event", "id": id(2), "event": "x"})
    );
    assert_eq!(client.reads_after(), Some(2));
    // As it is after hibernation.
    let client: Client = serde_json::from_str(&json!(client).to_string()).unwrap();
    assert_eq!(client.reads_after(), Some(2));
}

#[test]
fn a_gap_is_not_passed_over() {
    let gap = |oldest| StoredEvent {
        oldest,
        ..event(oldest, 1)
    };
    assert_eq!(reader(at(0)).events(&[gap(2)]), Err(Close::TooSlow));
    assert!(reader(at(0)).events(&[gap(1)]).is_ok());
}

#[test]
fn a_change_of_the_configuration_is_told_once() {
    let mut client = reader(at(0));
    assert_eq!(client.changed(1), None, "the stream began with it");
    let told = client.changed(3).unwrap();
    assert_eq!(read(&told), json!({"type": "changed", "rev": 3}));
    assert_eq!(client.changed(3), None);
    assert_eq!(waiting(at(0)).changed(3), None);
}

#[test]
fn who_confirms_nothing_is_sent_a_window_and_no_more() {
    let mut client = reader(at(0));
    let big = 10_000;
    let mut sent = 0;
    let mut asked = Vec::new();
    for number in 1.. {
        let frames = client.events(&[event(number, big)]).unwrap();
        if frames.is_empty() {
            break;
        }
        sent += frames[0].len();
        asked.extend(client.ask(7, at(5)));
    }
    let window = usize::try_from(WINDOW).unwrap();
    assert!(sent < window + big + 200, "{sent}");
    assert!(sent > window - big, "{sent}");
    assert_eq!(asked.len(), 1, "until it answers");
    assert!(!client.has_room());
    assert_eq!(client.reads_after(), None);
    assert_eq!(client.changed(9), None);
    client.outdate();
    assert!(!client.wants_state());
    let late = at(5).after(ECHO_TIMEOUT);
    client.admit(TokenId(API_TOKEN.into()), at(50_000));
    assert_eq!(client.due(), late);
    assert_eq!(client.overdue(at(60_004)), None);
    assert_eq!(client.overdue(late), Some(Close::TooSlow));

    // Whoever guesses confirms nothing; the frame itself, sent back, does.
    let guess = r#"{"type":"echo","echo":"0000000000000008"}"#;
    assert!(matches!(client.hear(guess), Heard::Nothing));
    assert!(!client.has_room());
    assert!(matches!(client.hear(&asked[0]), Heard::Confirmed));
    assert!(client.has_room());
    assert_eq!(client.overdue(late), None);
    assert!(client.changed(9).is_some(), "nothing was lost");
    assert!(matches!(client.hear(&asked[0]), Heard::Nothing), "once");
}

#[test]
fn a_client_whose_window_is_not_full_owes_nothing() {
    let mut client = reader(at(0));
    client.events(&[event(1, 70_000)]).unwrap();
    assert!(client.ask(1, at(0)).is_some());
    client.admit(TokenId(API_TOKEN.into()), at(0).after(ECHO_TIMEOUT));
    assert_eq!(
        client.overdue(at(0).after(2 * ECHO_TIMEOUT - Duration::from_secs(1))),
        None
    );
}

#[test]
fn other_frames_of_a_client() {
    let mut client = reader(at(0));
    assert!(matches!(client.hear(PING), Heard::Ping));
    for wrong in ["", "{}", "[]", r#"{"type":"hello"}"#] {
        assert!(closes(&client.hear(wrong), Close::NotUnderstood), "{wrong}");
    }
}

#[test]
fn close_frames_fit() {
    for close in [
        Close::Deleted,
        Close::Failed,
        Close::NotUnderstood,
        Close::TooSlow,
        Close::TooMany,
        Close::Unauthorised,
    ] {
        assert!(close.reason().len() <= 123, "{close:?}");
    }
}

#[test]
fn a_state_shows_each_output_and_no_secret() {
    let database = Database::new();
    database.change(1, &create_input(1));
    database.change(2, &create_output(1, 1));
    database.change(3, &create_output(1, 2));
    database.change(4, &enable_output(1, 2, false));
    let rows: Vec<OutputRow> = database.run(&[outputs(input(1))]).unwrap().rows(0).unwrap();
    let text = state(&View::empty(), &rows);
    for row in &rows {
        assert!(!text.contains(&row.url) && !text.contains(&row.key_sealed));
    }
    let shown = read(&text);
    assert_eq!(shown["type"], "state");
    assert_eq!(shown["status"], Value::Null);
    assert_eq!(shown["outputs"][0]["status"]["state"], "idle");
    assert_eq!(shown["outputs"][1]["status"]["state"], "disabled");
    assert_eq!(shown["outputs"][1]["enabled"], false);
    let fields: Vec<_> = shown["outputs"][0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["configuration", "enabled", "status", "uid"]);
}

#[test]
fn an_empty_book_begins_at_nothing() {
    let book = StatusBook::new(input(1));
    let start = book.start(None);
    assert_eq!((start.last, start.resumed), (Some(id(0)), false));
    assert!(book.start(Some(id(0))).resumed);
    assert!(!book.start(Some(id(1))).resumed, "it has not happened");
    let other = EventId {
        input: input(2),
        number: 0,
    };
    assert!(!book.start(Some(other)).resumed);
}

fn opens(database: &Database, opening: &StreamOpening) -> Result<(), String> {
    let results = database.run(&opening.batch()).unwrap();
    let outcome = opening.outcome(&results).unwrap();
    outcome.map_err(|failure| failure.to_string())
}

#[test]
fn a_stream_of_what_does_not_exist_is_not_opened() {
    let database = Database::new();
    database.change(1, &create_input(1));
    let token = Some(TokenId(API_TOKEN.into()));
    let opening = |token: &Option<TokenId>, input| StreamOpening {
        token: token.clone(),
        account: account(),
        input,
        now: at(0),
    };
    for token in [token.clone(), None] {
        assert_eq!(opens(&database, &opening(&token, None)), Ok(()));
        assert_eq!(opens(&database, &opening(&token, Some(input(1)))), Ok(()));
        let unknown = opens(&database, &opening(&token, Some(input(2))));
        assert_eq!(unknown, Err("404/10003".into()));
    }
    let other = StreamOpening {
        account: "00000000000000000000000000000009".parse().unwrap(),
        ..opening(&None, None)
    };
    assert_eq!(opens(&database, &other), Err("404/7003".into()));
    let its_input = StreamOpening {
        input: Some(input(1)),
        ..other
    };
    assert_eq!(opens(&database, &its_input), Err("404/10003".into()));
    database.revoke(API_TOKEN);
    let revoked = opens(&database, &opening(&token, Some(input(1))));
    assert_eq!(revoked, Err("403/9109".into()));
}

#[test]
fn tokens_are_checked_all_at_once() {
    let database = Database::new();
    database.change(1, &create_input(1));
    let stranger = "00000000000000000000000000000009".parse().unwrap();
    database.add_account(stranger, "stranger");
    let now = at(0).as_micros();
    for (name, column, value) in [
        ("good", "name", "''".to_owned()),
        ("reads", "permissions", "1".to_owned()),
        ("revoked", "revoked", "1".to_owned()),
        ("disabled", "disabled", "1".to_owned()),
        ("lessened", "permissions", "16".to_owned()),
        ("expired", "expires", now.to_string()),
        ("expires", "expires", (now + 1).to_string()),
        ("early", "not_before", (now + 1).to_string()),
    ] {
        database.execute(&format!(
            "INSERT INTO tokens (id, tag, hash, account_id, kind, name, created, permissions)
            VALUES ('{name}', '{name}', 'hash of {name}', '{}', 'api', '', 0, 63);
            UPDATE tokens SET {column} = {value} WHERE id = '{name}'",
            account()
        ));
    }
    let names = [
        "good",
        "reads",
        "revoked",
        "disabled",
        "lessened",
        "expired",
        "expires",
        "early",
        "gone",
        "stranger",
        RELAY_TOKEN,
    ];
    let check = StreamCheck {
        tokens: names.map(|name| TokenId(name.into())).to_vec(),
        account: account(),
        input: Some(input(1)),
        now: at(0),
    };
    let good = |check: &StreamCheck| -> StillGood {
        let results = database.run(&check.batch()).unwrap();
        check.outcome(&results).unwrap()
    };
    let mut found = good(&check);
    found.tokens.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["expires", "good", "reads"].map(|name| TokenId(name.into()));
    assert_eq!(found.tokens, expected);
    assert!(found.exists);
    let gone = StreamCheck {
        input: Some(input(2)),
        ..check.clone()
    };
    assert!(!good(&gone).exists);
    let whole = StreamCheck {
        input: None,
        ..check
    };
    assert!(good(&whole).exists);
}
