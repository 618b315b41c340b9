//! Every example of the product document, key by key.

use control_core::answer;
use control_core::change::{Change, ChangeAnswer, Outcome};
use control_core::destination::DestinationPolicy;
use control_core::request::{InputQuery, NewInput, NewOutput};
use control_core::route::Route;
use control_core::sql::InputList;
use control_core::status::View;
use serde::Serialize;
use serde_json::{Value, json};
use shared::envelope::Envelope;
use shared::time::Timestamp;

use crate::database::*;

const INGEST: &str = "rtmps://localhost:1936/live/";

fn enveloped(result: impl Serialize) -> Value {
    serde_json::to_value(Envelope::success(Some(result))).unwrap()
}

/// Every key of the example is there with a value of the same type; further ones are those named.
fn assert_like(answer: &Value, example: &Value, further: &[&str]) {
    match (answer, example) {
        (Value::Object(answer), Value::Object(example)) => {
            for (key, value) in example {
                let found = answer.get(key);
                assert_like(
                    found.unwrap_or_else(|| panic!("{key} is missing")),
                    value,
                    further,
                );
            }
            for key in answer.keys().filter(|key| !example.contains_key(*key)) {
                assert!(further.contains(&key.as_str()), "{key} is not documented");
            }
        }
        (Value::Array(answer), Value::Array(example)) => {
            for (answer, example) in answer.iter().zip(example) {
                assert_like(answer, example, further);
            }
            assert_eq!(answer.len(), example.len());
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        (answer, example) => assert_eq!(answer, example),
    }
}

/// Makes input 1 by the body of the document's example.
fn created(database: &Database) -> control_core::sql::InputRow {
    let body = NewInput::parse(br#"{"meta": {"name":"test stream 1"}}"#).unwrap();
    let change =
        Change::create_input(body, account(), &stream_key(1), [1; 12], &keyring()).unwrap();
    match database.change(1, &request(1, change)) {
        Outcome::Changed(wanted) => wanted.input.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn example_of_input() -> Value {
    json!({
        "success": true,
        "errors": [],
        "messages": [],
        "result": {
            "uid": "66be4bf738797e01e1fca35a7bdecdcd",
            "meta": {"name": "test stream 1"},
            "created": "2014-01-02T02:20:00Z",
            "modified": "2014-01-02T02:20:00Z",
            "rtmps": {
                "url": "rtmps://live.cloudflare.com:443/live/",
                "streamKey": "<redacted>",
            },
        },
    })
}

#[test]
fn create_a_live_input_and_get_it() {
    let database = Database::new();
    let row = created(&database);
    let answer = enveloped(answer::live_input(row, View::empty(), INGEST, &keyring()).unwrap());
    let further = [
        "enabled",
        "reconnectWindowSeconds",
        "onStop",
        "onFormatChange",
        "takeover",
        "status",
        "configuration",
    ];
    assert_like(&answer, &example_of_input(), &further);
    let result = &answer["result"];
    assert_eq!(result["meta"], json!({"name": "test stream 1"}));
    assert_eq!(result["uid"], json!(input(1)));
    assert_eq!(result["rtmps"]["url"], INGEST);
    assert_eq!(
        result["rtmps"]["streamKey"],
        stream_key(1).expose().expose()
    );
    assert_eq!(result["created"], "2025-12-01T01:08:50.72217Z");
    assert_eq!(result["created"], result["modified"]);
    for absent in [
        "srt",
        "srtPlayback",
        "webRTC",
        "webRTCPlayback",
        "rtmpsPlayback",
        "playback",
    ] {
        assert!(result.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn list_live_inputs() {
    let database = Database::new();
    let list = || {
        let query = InputQuery::parse("", false).unwrap();
        let list = InputList {
            account: account(),
            query: &query,
        };
        let results = database.run(&list.batch()).unwrap();
        let page = list.outcome(&results).unwrap();
        serde_json::to_value(answer::input_list(page, &query).unwrap()).unwrap()
    };
    let empty = json!({"result": [], "success": true, "errors": [], "messages": []});
    assert_eq!(list(), empty);
    for n in 1..=2 {
        let change = Change::create_input(
            NewInput::parse(b"").unwrap(),
            account(),
            &stream_key(n),
            [n; 12],
            &keyring(),
        );
        let mut request = request(n, change.unwrap());
        request.now = Timestamp::from_micros(1_619_204_271_425_387 + i64::from(n));
        assert!(matches!(database.change(1, &request), Outcome::Changed(_)));
    }
    let item = json!({
        "id": "01ad856eb76821fe32749626a4b39edf",
        "created": "2021-04-23T18:57:51.425387Z",
        "modified": "2021-04-23T18:57:51.425387Z",
        "meta": {},
    });
    let example = json!({"result": [item, item], "success": true, "errors": [], "messages": []});
    let answer = list();
    assert_like(&answer, &example, &["uid", "enabled", "status", "outputs"]);
    assert_eq!(answer["result"][0]["id"], answer["result"][0]["uid"]);
    assert_eq!(
        answer["result"][0]["created"],
        "2021-04-23T18:57:51.425388Z"
    );
}

#[test]
fn add_and_list_outputs() {
    let database = Database::new();
    created(&database);
    let body = br#"{"url": "rtmp://a.rtmp.youtube.com/live2","streamKey": "<redacted>"}"#;
    let policy = DestinationPolicy::parse("", "", INGEST).unwrap();
    let mut rows = Vec::new();
    for n in [1, 2] {
        let change = Change::create_output(
            NewOutput::parse(body, &policy).unwrap(),
            account(),
            output(n),
            [[n; 12], [n + 1; 12]],
            &keyring(),
        );
        let change = request(1, change.unwrap());
        match database.change(u64::from(n) + 1, &change) {
            Outcome::Changed(wanted) => rows = wanted.outputs,
            other => panic!("{other:?}"),
        }
    }
    let items: Vec<_> = rows
        .into_iter()
        .map(|row| answer::output(row, &View::empty(), account(), &keyring()).unwrap())
        .collect();
    let answer = enveloped(items);
    let item = json!({
        "uid": "6f8339ed45fe87daa8e7f0fe4e4ef776",
        "url": "rtmp://a.rtmp.youtube.com/live2",
        "streamKey": "<redacted>",
    });
    let example = json!({"result": [item, item], "success": true, "errors": [], "messages": []});
    assert_like(
        &answer,
        &example,
        &["enabled", "meta", "status", "configuration"],
    );
    let first = &answer["result"][0];
    assert_eq!(first["url"], "rtmp://a.rtmp.youtube.com/live2");
    assert_eq!(first["streamKey"], "<redacted>");
    assert_eq!(first["uid"], json!(output(1)));
    assert_eq!(first["enabled"], true);
}

#[test]
fn a_deletion_answers_null() {
    let answer = serde_json::to_value(Envelope::<()>::success(None)).unwrap();
    assert_eq!(
        answer,
        json!({"result": null, "success": true, "errors": [], "messages": []})
    );
}

#[test]
fn a_damaged_row_is_our_fault() {
    let database = Database::new();
    let row = created(&database);
    let elsewhere = control_core::sql::InputRow {
        uid: input(2),
        ..row.clone()
    };
    let no_json = control_core::sql::InputRow {
        meta: "{".into(),
        ..row
    };
    for row in [elsewhere, no_json] {
        let failure = answer::live_input(row, View::empty(), INGEST, &keyring()).unwrap_err();
        assert_eq!(failure.to_string(), "500/10500");
    }
}

#[test]
fn the_documents_paths_lead_somewhere() {
    let base = format!("/client/v4/accounts/{}/stream/live_inputs", account());
    let (one, outputs) = (
        format!("{base}/{}", input(1)),
        format!("{base}/{}/outputs", input(1)),
    );
    for (method, path) in [
        ("POST", &base),
        ("GET", &base),
        ("GET", &one),
        ("DELETE", &one),
        ("POST", &outputs),
        ("GET", &outputs),
        ("DELETE", &format!("{outputs}/{}", output(1))),
    ] {
        assert!(Route::parse(method, path).is_ok(), "{method} {path}");
    }
}

#[test]
fn answers_travel_between_objects() {
    let database = Database::new();
    let answer = ChangeAnswer::Input(created(&database));
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<ChangeAnswer>(&text).unwrap(), answer);
}
