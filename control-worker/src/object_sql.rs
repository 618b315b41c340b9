//! The database of a Durable Object: runs the core's statements, and gives it their rows.

use control_core::sql::{Param, Results, RowError, Statement};
use serde::de::DeserializeOwned;
use serde_json::Value;
use worker::{Result, SqlStorage, SqlStorageValue};

/// Makes the tables that are not there yet.
pub(crate) fn prepare(sql: &SqlStorage, schema: &[&str]) -> Result<()> {
    for statement in schema {
        sql.exec(statement, None)?;
    }
    Ok(())
}

/// Runs the statements in one turn of the object, which the runtime commits whole.
pub(crate) fn batch(sql: &SqlStorage, statements: &[Statement]) -> Result<Rows> {
    let answers = statements.iter().map(|statement| {
        let values: Vec<SqlStorageValue> = statement.params.iter().map(value).collect();
        sql.exec(statement.sql, values)?.to_array()
    });
    answers.collect::<Result<_>>().map(Rows)
}

/// What a batch answered.
pub(crate) struct Rows(Vec<Vec<Value>>);

impl Results for Rows {
    fn rows<T: DeserializeOwned>(&self, index: usize) -> std::result::Result<Vec<T>, RowError> {
        let error = RowError { statement: index };
        let rows = self.0.get(index).ok_or(error)?;
        let rows = rows.iter();
        rows.map(|row| T::deserialize(row).map_err(|_| error))
            .collect()
    }
}

fn value(param: &Param) -> SqlStorageValue {
    match param {
        Param::Integer(number) => SqlStorageValue::Integer(*number),
        Param::Null => SqlStorageValue::Null,
        Param::Text(text) => SqlStorageValue::String(text.clone()),
    }
}
