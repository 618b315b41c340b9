//! The list of live inputs: filters, pages and counts.

use control_core::answer;
use control_core::request::{Cursor, InputQuery, NewInput};
use control_core::sql::{InputList, InputPage};
use serde_json::{Value, json};
use shared::id::{AccountId, InputUid};
use shared::time::Timestamp;

use crate::database::*;

fn page_of(database: &Database, query: &str, of: AccountId) -> InputPage {
    let query = InputQuery::parse(query, false).unwrap();
    let list = InputList {
        account: of,
        query: &query,
    };
    let results = database.run(&list.batch()).unwrap();
    list.outcome(&results).unwrap()
}

fn page(database: &Database, query: &str) -> InputPage {
    page_of(database, query, account())
}

fn listed(database: &Database, query: &str) -> Vec<InputUid> {
    let rows = page(database, query).rows;
    rows.into_iter().map(|row| row.uid).collect()
}

fn answered(database: &Database, query: &str, is_sdk: bool) -> Value {
    let query = InputQuery::parse(query, is_sdk).unwrap();
    let list = InputList {
        account: account(),
        query: &query,
    };
    let results = database.run(&list.batch()).unwrap();
    let page = list.outcome(&results).unwrap();
    serde_json::to_value(answer::input_list(page, &query).unwrap()).unwrap()
}

/// Inputs 1 to 5, created a second apart; 2 and 3 in the same one.
fn with_inputs() -> Database {
    let database = Database::new();
    for (n, meta, second) in [
        (1, r#"{"name": "Church, Sunday"}"#, 10),
        (2, r#"{"n\u0061me": "stage"}"#, 20),
        (3, r#"{"name": 7}"#, 20),
        (4, r#"{"Name": "church"}"#, 30),
        (5, "{}", 40),
    ] {
        database.add_input(n, meta, second * 1_000_000);
    }
    database
}

#[test]
fn lists_are_in_order_and_of_one_account() {
    let database = Database::new();
    for (n, micros) in [(1, 30), (2, 10), (3, 20)] {
        database.add_input(n, "{}", micros);
    }
    let ascending = [input(2), input(3), input(1)];
    assert_eq!(listed(&database, ""), ascending);
    assert_eq!(listed(&database, "asc=true"), ascending);
    assert_eq!(
        listed(&database, "asc=false"),
        [input(1), input(3), input(2)]
    );
    let stranger = AccountId::from_random([0xb; 16]);
    for query in ["", "search=e", "include_counts=true", "page=1"] {
        let page = page_of(&database, query, stranger);
        assert_eq!(page.rows, []);
        assert!(page.counts.is_none_or(|counts| counts.total == 0));
    }
}

#[test]
fn filters_choose() {
    let database = with_inputs();
    database.execute(&format!(
        "UPDATE live_inputs SET state = 'connected', state_since = 1 WHERE uid = '{}';
        UPDATE live_inputs SET state = 'disconnected', state_since = 1 WHERE uid = '{}'",
        input(1),
        input(2)
    ));
    let uid_part = &input(4).to_string()[3..9];
    for (query, expected) in [
        ("search=church", vec![1]),
        ("search=CHURCH%2C+s", vec![1]),
        ("search=stage", vec![2]),
        ("search=7", vec![3]),
        ("search=%25", vec![]),
        ("search=nothing", vec![]),
        ("search=", vec![1, 2, 3, 4, 5]),
        (&format!("search={}", uid_part.to_uppercase()), vec![4]),
        ("status=connected", vec![1]),
        ("status=disconnected", vec![2]),
        ("status=null", vec![3, 4, 5]),
        ("status=unknown", vec![]),
        ("status=null&search=7", vec![3]),
        ("start=1970-01-01T00:00:20Z", vec![2, 3, 4, 5]),
        ("end=1970-01-01T00:00:20Z", vec![1]),
        (
            "start=1970-01-01T00:00:20Z&end=1970-01-01T00:00:30.000001Z",
            vec![2, 3, 4],
        ),
        ("start=1970-01-01T01:00:40%2B01:00", vec![5]),
        ("creator=me&unknown=1&limit=2", vec![1, 2]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(input).collect();
        let mut found = listed(&database, query);
        found.sort();
        let mut sorted = expected.clone();
        sorted.sort();
        if query.contains("limit") {
            assert_eq!(found.len(), expected.len(), "{query}");
        } else {
            assert_eq!(found, sorted, "{query}");
        }
    }
}

/// SQLite reads `meta` while it searches. Were there JSON that only serde reads, one live input
/// would take the list from a whole account.
#[test]
fn whatever_a_body_may_hold_can_be_searched() {
    let database = Database::new();
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(125), "]".repeat(125));
    let long = format!("{{\"name\": \"{}\"}}", "é".repeat(8000));
    for (n, meta) in (1..).zip([
        r#"{"name": "\u0000\uD83D\uDD11", "\u0000": "\/\b"}"#,
        r#"{"name": -0.0, "a": 1E-400, "b": 123456789012345678901234567890}"#,
        r#"{"name": {"name": []}, "": {"": null}}"#,
        "{\"name\"\r\n\t:\t\"\u{7f}\u{2028}\u{10ffff}\" }",
        r#"{"$.name": true, "na\"me": false, "name ": 1}"#,
        &deep,
        &long,
    ]) {
        let body = format!(r#"{{"meta": {meta}}}"#);
        let parsed = NewInput::parse(body.as_bytes()).unwrap();
        database.add_input(n, &parsed.meta, n.into());
    }
    assert_eq!(listed(&database, "search=%F0%9F%94%91"), [input(1)]);
    assert_eq!(listed(&database, "search=%C3%A9%C3%A9"), [input(7)]);
    assert_eq!(listed(&database, "search=%5B%5B%5B"), [input(6)]);
}

#[test]
fn pages_follow_each_other_and_miss_nothing() {
    let database = with_inputs();
    for order in ["true", "false"] {
        let whole = listed(&database, &format!("asc={order}"));
        assert_eq!(whole.len(), 5);
        for limit in 1..=6 {
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let after =
                    cursor.map_or_else(String::new, |cursor: Cursor| format!("&cursor={cursor}"));
                let query = format!("asc={order}&limit={limit}&include_counts=true{after}");
                let page = page(&database, &query);
                let counts = page.counts.unwrap();
                assert_eq!((counts.total, counts.range), (5, 5 - seen.len() as u64));
                assert!(page.rows.len() <= limit);
                seen.extend(page.rows.iter().map(|row| row.uid));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, whole, "{order} {limit}");

            let mut seen = Vec::new();
            for number in 1..=6 {
                let query = format!("asc={order}&per_page={limit}&page={number}");
                seen.extend(listed(&database, &query));
            }
            assert_eq!(seen, whole, "{order} {limit}");
        }
    }
}

#[test]
fn a_cursor_outlives_the_input_that_it_names() {
    let database = with_inputs();
    let first = page(&database, "limit=1");
    database.execute(&format!(
        "DELETE FROM live_inputs WHERE uid = '{}'",
        first.rows[0].uid
    ));
    let cursor = first.next.unwrap();
    assert_eq!(listed(&database, &format!("cursor={cursor}")).len(), 4);
}

#[test]
fn the_form_is_the_one_that_the_client_reads() {
    let database = with_inputs();
    let bare = answered(&database, "", false);
    assert_eq!(bare["result"].as_array().unwrap().len(), 5);
    assert!(bare.get("result_info").is_none());
    for (query, is_sdk) in [("include_counts=true", false), ("", true)] {
        let counted = answered(&database, query, is_sdk);
        let result = &counted["result"];
        assert_eq!(result["liveInputs"], bare["result"]);
        assert_eq!((&result["range"], &result["total"]), (&json!(5), &json!(5)));
        assert!(counted.get("result_info").is_none());
    }
    let paged = answered(&database, "page=2&per_page=2", false);
    assert_eq!(
        paged["result_info"],
        json!({"count": 2, "page": 2, "per_page": 2, "total_count": 5,
            "cursor": paged["result_info"]["cursor"]})
    );
    let last = answered(&database, "page=3&per_page=2", false);
    assert_eq!(
        last["result_info"],
        json!({"count": 1, "page": 3, "per_page": 2, "total_count": 5})
    );
}

#[test]
fn items_say_how_they_stand() {
    let database = Database::new();
    database.change(1, &create_input(1));
    database.change(2, &create_output(1, 1));
    database.change(3, &create_output(1, 2));
    let item = |database: &Database| answered(database, "", false)["result"][0].clone();
    assert_eq!(item(&database)["status"], Value::Null);
    assert_eq!(
        item(&database)["outputs"],
        json!({"configured": 2, "live": 0})
    );
    database.execute(
        "UPDATE live_inputs SET state = 'connected', state_since = 1764551330722170, outputs_up = 1",
    );
    assert_eq!(
        item(&database)["status"],
        json!({"current": {
            "state": "connected", "statusEnteredAt": "2025-12-01T01:08:50.72217Z",
        }})
    );
    assert_eq!(item(&database)["outputs"]["live"], 1);
}

#[test]
fn parameters_that_cannot_be_read_are_named() {
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=ten", "/limit"),
        ("limit=1&limit=1", "/limit"),
        ("per_page=0", "/per_page"),
        ("page=0", "/page"),
        ("page=4294967296", "/page"),
        ("cursor=", "/cursor"),
        ("cursor=1", "/cursor"),
        ("cursor=1-nonsense", "/cursor"),
        ("cursor=%2B1-66be4bf738797e01e1fca35a7bdecdcd", "/cursor"),
        (
            "cursor=9007199254740992-66be4bf738797e01e1fca35a7bdecdcd",
            "/cursor",
        ),
        ("page=%2B1", "/page"),
        ("asc=yes", "/asc"),
        ("asc=1", "/asc"),
        ("include_counts=", "/include_counts"),
        ("status=live", "/status"),
        ("start=yesterday", "/start"),
        ("end=2026-01-01", "/end"),
    ] {
        let failure = InputQuery::parse(query, false).unwrap_err();
        assert_eq!(failure.to_string(), "400/10005", "{query}");
        let source = failure.notice().source.as_ref().unwrap();
        assert_eq!(source.pointer, pointer, "{query}");
    }
    let longest = format!("search={}", "é".repeat(256));
    assert!(InputQuery::parse(&longest, false).is_ok());
    assert!(InputQuery::parse(&format!("{longest}a"), false).is_err());
    let cursor = Cursor {
        created: Timestamp::from_micros((1 << 53) - 1),
        uid: input(1),
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
}

#[test]
fn a_list_is_one_statement_and_with_counts_one_batch() {
    for (query, statements) in [
        ("", 1),
        ("limit=5", 1),
        ("include_counts=true", 2),
        ("page=1", 2),
    ] {
        let query = InputQuery::parse(query, false).unwrap();
        let list = InputList {
            account: account(),
            query: &query,
        };
        assert_eq!(list.batch().len(), statements);
    }
}
