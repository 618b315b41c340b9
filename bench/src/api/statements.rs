//! The Worker's own statements, for its floor to make.

use anyhow::Result;
use control_core::auth::TokenId;
use control_core::change::{Change, ChangeRequest, Limits};
use control_core::destination::DestinationPolicy;
use control_core::keys::Keyring;
use control_core::request::{InputQuery, InputUpdate, NewInput, NewOutput, OutputUpdate};
use control_core::sql::{InputList, InputRead, Param, Statement};
use serde_json::{Value, json};
use shared::id::{AccountId, InputUid, OutputUid};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use super::end_points::{INPUT, LIST, OUTPUT, SWITCH};

/// In the place of a `rev`: the floor puts the object's own there.
const REV: u64 = 424_242_424_242;

/// By end point, the statements of the batch; and of which parameters are examples.
pub(crate) fn statements(account: AccountId) -> Result<Value> {
    let token = TokenId("t".to_owned());
    let input = InputUid::from_random([0xa1; 16]);
    let uid = OutputUid::from_random([0xb2; 16]);
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let read = InputRead {
        token: token.clone(),
        account,
        input,
        now,
    };
    let change = |change| {
        let request = ChangeRequest {
            token: token.clone(),
            account,
            input,
            now,
            once: None,
            limits: Limits {
                inputs_per_account: 1_000_000,
                outputs_per_input: 1_000_000,
            },
            change,
        };
        batch(&request.batch(REV))
    };
    let key = StreamKey::from_random(input, [1; 16]);
    let keyring = Keyring::parse(&format!("1:{}", "0".repeat(64)))?;
    let policy = DestinationPolicy::parse("", "rtmps://localhost:443/live/")?;
    let create_input = Change::create_input(
        NewInput::parse(INPUT.as_bytes())?,
        account,
        &key,
        [2; 12],
        &keyring,
    )?;
    let create_output = Change::create_output(
        NewOutput::parse(OUTPUT.as_bytes(), &policy)?,
        account,
        uid,
        [[3; 12], [4; 12]],
        &keyring,
    )?;
    let update_output = Change::update_output(
        OutputUpdate::parse(SWITCH.as_bytes(), &policy)?,
        account,
        uid,
        [[5; 12], [6; 12]],
        &keyring,
    )?;
    let InputUpdate {
        meta,
        enabled,
        settings,
    } = InputUpdate::parse(SWITCH.as_bytes())?;
    let query = InputQuery::parse(LIST, false)?;
    let list = InputList {
        account,
        query: &query,
    };
    Ok(json!({
        "examples": {
            input.to_string(): "input",
            uid.to_string(): "output",
            REV.to_string(): "rev",
        },
        "list_inputs": batch(&list.batch()),
        "input_details": batch(&read.batch()),
        "list_outputs": batch(&read.batch()),
        "create_input": change(create_input),
        "update_input": change(Change::UpdateInput {
            meta,
            enabled,
            settings,
        }),
        "delete_input": change(Change::DeleteInput),
        "create_output": change(create_output),
        "update_output": change(update_output),
        "delete_output": change(Change::DeleteOutput { uid }),
    }))
}

fn batch(statements: &[Statement]) -> Value {
    let statements = statements.iter().map(|Statement { sql, params }| {
        let params = params.iter().map(|param| match param {
            Param::Integer(number) => json!(number),
            Param::Null => Value::Null,
            Param::Text(text) => json!(text),
        });
        json!({"sql": sql, "params": params.collect::<Vec<_>>()})
    });
    statements.collect()
}
