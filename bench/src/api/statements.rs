//! The Worker's own statements, for its floor to make.

use control_core::auth::TokenId;
use control_core::change::{Change, ChangeRequest, Limits};
use control_core::sql::{InputRead, Param, Statement, list_inputs};
use serde_json::{Value, json};
use shared::id::{AccountId, InputUid, OutputUid};
use shared::time::Timestamp;

/// In the place of a `rev`: the floor puts the object's own there.
const REV: u64 = 424_242_424_242;

/// By end point, the statements of the batch; and of which parameters are examples.
pub(crate) fn statements(account: AccountId) -> Value {
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
            limits: Limits {
                inputs_per_account: 1_000_000,
                outputs_per_input: 1_000_000,
            },
            change,
        };
        batch(&request.batch(REV))
    };
    // As long as the real ones.
    let (key_hash, key_sealed) = (
        "1:".to_owned() + &"0".repeat(64),
        "1:".to_owned() + &"A".repeat(124),
    );
    json!({
        "examples": {
            input.to_string(): "input",
            uid.to_string(): "output",
            REV.to_string(): "rev",
        },
        "list_inputs": batch(&[list_inputs(account)]),
        "input_details": batch(&read.batch()),
        "list_outputs": batch(&read.batch()),
        "create_input": change(Change::CreateInput {
            meta: r#"{"name":"a live input"}"#.to_owned(),
            enabled: true,
            key_hash,
            key_sealed: key_sealed.clone(),
        }),
        "update_input": change(Change::UpdateInput { meta: None, enabled: Some(true) }),
        "delete_input": change(Change::DeleteInput),
        "create_output": change(Change::CreateOutput {
            uid,
            url: "rtmps://b.rtmps.example.com/live2".to_owned(),
            key_sealed,
            enabled: true,
        }),
        "update_output": change(Change::UpdateOutput { uid, enabled: Some(true) }),
        "delete_output": change(Change::DeleteOutput { uid }),
    })
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
