//! The database: runs the core's statements, and gives it their rows.

use control_core::sql::{Results, RowError, Statement};
use serde::de::DeserializeOwned;
use worker::{Env, Error, Result};

use crate::glue;

/// Runs the statements as one batch: all of them, in order and in one transaction, or none.
pub(crate) async fn batch(env: &Env, statements: &[Statement]) -> Result<Rows> {
    let rows = glue::batch(env, &to_text(statements)?).text().await?;
    Ok(Rows(rows.unwrap_or_default()))
}

/// What a batch answered: a line for each statement, its rows `[{column: value, …}, …]`,
/// read when they are asked for.
pub(crate) struct Rows(pub(crate) String);

impl Results for Rows {
    fn rows<T: DeserializeOwned>(&self, index: usize) -> std::result::Result<Vec<T>, RowError> {
        let error = RowError { statement: index };
        // JSON that was not made for the eye has no line breaks.
        let rows = self.0.split('\n').nth(index);
        // What the parser says is not passed on: it may quote.
        serde_json::from_str(rows.ok_or(error)?).map_err(|_| error)
    }
}

/// Statements as `glue.js` takes them.
pub(crate) fn to_text(statements: &[Statement]) -> Result<String> {
    serde_json::to_string(statements)
        .map_err(|_| Error::RustError("statements cannot be written".to_owned()))
}
