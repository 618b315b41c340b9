//! The database of a Durable Object: runs the core's statements, and gives it their rows.

use std::cell::Cell;

use control_core::sql::Statement;
use worker::{Result, SqlStorage};

use crate::d1::{Rows, to_text};
use crate::glue;

/// The tables of an object, made once while it is awake.
pub(crate) struct Tables {
    schema: &'static [&'static str],
    are_made: Cell<bool>,
}

impl Tables {
    /// Of an object that was just woken.
    pub(crate) fn new(schema: &'static [&'static str]) -> Self {
        Self {
            schema,
            are_made: Cell::new(false),
        }
    }

    /// Makes those that are not there yet.
    pub(crate) fn make(&self, sql: &SqlStorage) -> Result<()> {
        if !self.are_made.get() {
            for statement in self.schema {
                sql.exec(statement, None)?;
            }
            self.are_made.set(true);
        }
        Ok(())
    }

    /// All that was stored is deleted, and they with it.
    pub(crate) fn are_gone(&self) {
        self.are_made.set(false);
    }
}

/// Runs the statements in one turn of the object, which the runtime commits whole.
pub(crate) fn batch(sql: &SqlStorage, statements: &[Statement]) -> Result<Rows> {
    Ok(Rows(glue::rows(sql.as_ref(), &to_text(statements)?)?))
}
