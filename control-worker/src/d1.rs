//! The database: runs the core's statements, and gives it their rows.

use control_core::sql::{Param, Results, RowError, Statement};
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use worker::{D1Database, D1Result, Env, Result};

/// Runs the statements as one batch: all of them, in order and in one transaction, or none.
pub(crate) async fn batch(env: &Env, statements: &[Statement]) -> Result<BatchResults> {
    let database = env.d1("DB")?;
    let bound: Result<Vec<_>> = statements
        .iter()
        .map(|statement| bind(&database, statement))
        .collect();
    database.batch(bound?).await.map(BatchResults)
}

/// What a batch answered.
pub(crate) struct BatchResults(Vec<D1Result>);

impl Results for BatchResults {
    fn rows<T: DeserializeOwned>(&self, index: usize) -> std::result::Result<Vec<T>, RowError> {
        let error = RowError { statement: index };
        let result = self.0.get(index).ok_or(error)?;
        result.results().map_err(|_| error)
    }
}

fn bind(database: &D1Database, statement: &Statement) -> Result<worker::D1PreparedStatement> {
    let values: Vec<JsValue> = statement.params.iter().map(value).collect();
    database.prepare(statement.sql).bind(&values)
}

/// `worker`'s own type for integers has 32 bits, and D1 refuses `undefined` and `BigInt`.
fn value(param: &Param) -> JsValue {
    match param {
        // Exact: the core's integers stay below 2^53.
        #[expect(clippy::cast_precision_loss)]
        Param::Integer(number) => JsValue::from_f64(*number as f64),
        Param::Null => JsValue::NULL,
        Param::Text(text) => JsValue::from_str(text),
    }
}
