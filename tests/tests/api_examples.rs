//! Every example of the product document, word for word but for host, account and token.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use system_tests::dev::{Dev, Options};
use system_tests::ports;

const HOST: &str = "https://api.cloudflare.com/client/v4";

const CREATE_INPUT: &str = r#"curl -X POST \
-H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs \
--data '{"meta": {"name":"test stream 1"}}'"#;

const ADD_OUTPUT: &str = r#"curl -X POST \
--data '{"url": "rtmp://a.rtmp.youtube.com/live2","streamKey": "<redacted>"}' \
-H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs/$INPUT_UID/outputs"#;

const GET_INPUT: &str = r#"curl -H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs/$INPUT_UID"#;

const LIST_INPUTS: &str = r#"curl -H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs"#;

const LIST_OUTPUTS: &str = r#"curl -H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs/$INPUT_UID/outputs"#;

const DELETE_OUTPUT: &str = r#"curl -X DELETE \
-H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs/$INPUT_UID/outputs/$OUTPUT_UID"#;

const DELETE_INPUT: &str = r#"curl -X DELETE \
-H "Authorization: Bearer $TOKEN" \
https://api.cloudflare.com/client/v4/accounts/$ACCOUNT/stream/live_inputs/$INPUT_UID"#;

#[test]
fn the_document_word_for_word() -> Result<()> {
    let dev = Dev::start(&Options {
        port_base: ports::base()?,
        ..Options::default()
    })?;
    let documented = documented_keys()?;
    let mut shell = Shell::new(&dev);
    let input = json!({
        "uid": "66be4bf738797e01e1fca35a7bdecdcd",
        "meta": {"name": "test stream 1"},
        "created": "2014-01-02T02:20:00Z",
        "modified": "2014-01-02T02:20:00Z",
        "rtmps": {"url": "rtmps://live.cloudflare.com:443/live/", "streamKey": "<redacted>"},
    });
    let listed = json!({
        "id": "01ad856eb76821fe32749626a4b39edf",
        "created": "2021-04-23T18:57:51.425387Z",
        "modified": "2021-04-23T18:57:51.425387Z",
        "meta": {},
    });
    let output = json!({
        "uid": "6f8339ed45fe87daa8e7f0fe4e4ef776",
        "url": "rtmp://a.rtmp.youtube.com/live2",
        "streamKey": "<redacted>",
    });

    let made = shell.run(CREATE_INPUT)?;
    like(&made, &envelope(&input), &documented)?;
    let uid = text(&made, "/result/uid")?;
    ensure!(
        made.pointer("/result/meta") == input.get("meta"),
        "another meta"
    );
    dev.secrets()
        .add_stream_key(&text(&made, "/result/rtmps/streamKey")?);
    shell.set("INPUT_UID", &uid);

    let added = shell.run(ADD_OUTPUT)?;
    like(&added, &envelope(&output), &documented)?;
    for field in ["url", "streamKey"] {
        let pointer = format!("/result/{field}");
        ensure!(
            added.pointer(&pointer) == output.get(field),
            "another {field}"
        );
    }
    shell.set("OUTPUT_UID", &text(&added, "/result/uid")?);

    let details = shell.run(GET_INPUT)?;
    like(&details, &envelope(&input), &documented)?;
    ensure!(details.get("result") == made.get("result"), "other details");

    let inputs = shell.run(LIST_INPUTS)?;
    like(&inputs, &envelope(&json!([listed])), &documented)?;
    for key in ["uid", "id"] {
        let found = inputs.pointer(&format!("/result/0/{key}"));
        ensure!(found == Some(&json!(uid)), "{key}: {found:?}");
    }

    let outputs = shell.run(LIST_OUTPUTS)?;
    like(&outputs, &envelope(&json!([output])), &documented)?;
    ensure!(
        outputs.pointer("/result/0") == added.get("result"),
        "another output"
    );

    let empty = json!({"result": null, "success": true, "errors": [], "messages": []});
    for command in [DELETE_OUTPUT, DELETE_INPUT] {
        let deleted = shell.run(command)?;
        for (key, value) in empty.as_object().into_iter().flatten() {
            ensure!(deleted.get(key).is_some(), "no {key}");
            ensure!(
                key == "result" || deleted.get(key) == Some(value),
                "another {key}"
            );
        }
    }
    let inputs = shell.run(LIST_INPUTS)?;
    ensure!(
        inputs.get("result") == Some(&json!([])),
        "the input is still listed"
    );
    dev.pass()
}

/// Where the examples run.
struct Shell {
    api: String,
    variables: Vec<(String, String)>,
}

impl Shell {
    fn new(dev: &Dev) -> Self {
        let mut shell = Self {
            api: dev.line.api.clone(),
            variables: Vec::new(),
        };
        shell.set("TOKEN", &dev.line.token);
        shell.set("ACCOUNT", &dev.line.account);
        shell
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    fn run(&self, example: &str) -> Result<Value> {
        let command = example.replace(HOST, &self.api);
        let output = Command::new("sh")
            .arg("-c")
            .arg(&command)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(&answer).context("the answer is not JSON")?;
        let errors = answer.get("errors");
        ensure!(answer.get("success") == Some(&json!(true)), "{errors:?}");
        Ok(answer)
    }
}

fn envelope(result: &Value) -> Value {
    json!({"result": result, "success": true, "errors": [], "messages": []})
}

fn text(answer: &Value, pointer: &str) -> Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {pointer}"))?.to_owned())
}

/// Whether `answer` has all keys of `example`, of the same types, and otherwise only documented
/// ones.
fn like(answer: &Value, example: &Value, documented: &[String]) -> Result<()> {
    match (answer, example) {
        (Value::Object(answer), Value::Object(example)) => {
            for (key, value) in example {
                let found = answer.get(key).with_context(|| format!("no {key}"))?;
                // The user's own.
                if key != "meta" {
                    like(found, value, documented).with_context(|| format!("in {key}"))?;
                }
            }
            for key in answer.keys().filter(|key| !example.contains_key(*key)) {
                ensure!(documented.contains(key), "docs/api.md does not list {key}");
            }
            Ok(())
        }
        (Value::Array(answer), Value::Array(example)) => match example.first() {
            Some(example) => {
                ensure!(!answer.is_empty(), "an empty list");
                answer
                    .iter()
                    .try_for_each(|item| like(item, example, documented))
            }
            None => Ok(()),
        },
        (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Null, Value::Null) => Ok(()),
        _ => bail!("another type"),
    }
}

/// The words that stand as code in the API's description.
fn documented_keys() -> Result<Vec<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let text = fs::read_to_string(&file).context("docs/api.md")?;
    Ok(text
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect())
}
