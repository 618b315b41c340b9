//! The database: runs the core's statements, and gives it their rows.

use control_core::sql::{Results, RowError, Statement};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use worker::{Env, Error, Result};

use crate::glue;

/// Runs the statements as one batch: all of them, in order and in one transaction, or none.
pub(crate) async fn batch(env: &Env, statements: &[Statement]) -> Result<Rows> {
    let rows = glue::text(glue::batch(env, &to_text(statements)?)).await?;
    Rows::parse(&rows.unwrap_or_default())
}

/// What a batch answered: the rows of each statement, read when they are asked for.
pub(crate) struct Rows(Vec<Box<RawValue>>);

impl Rows {
    /// Reads `[[{column: value, …}, …], …]`. What the parser says is not passed on: it may quote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let rows = serde_json::from_str(text).map(Self);
        rows.map_err(|_| Error::RustError("a database's answer cannot be read".to_owned()))
    }
}

impl Results for Rows {
    fn rows<T: DeserializeOwned>(&self, index: usize) -> std::result::Result<Vec<T>, RowError> {
        let error = RowError { statement: index };
        let rows = self.0.get(index).ok_or(error)?;
        serde_json::from_str(rows.get()).map_err(|_| error)
    }
}

/// Statements as `glue.js` takes them.
pub(crate) fn to_text(statements: &[Statement]) -> Result<String> {
    serde_json::to_string(statements)
        .map_err(|_| Error::RustError("statements cannot be written".to_owned()))
}
