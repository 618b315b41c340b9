//! What event streams ask of the database.

use serde::Deserialize;
use shared::id::{AccountId, InputUid};
use shared::time::Timestamp;

use super::{
    ACCOUNT_EXISTS, API_GUARD, GOOD_TOKENS, GuardRow, INPUT_EXISTS, OUTPUTS, Param, Results,
    RowError, Statement, asker, askers,
};
use crate::auth::TokenId;
use crate::failure::Failure;
use crate::permission::Permission;

/// Whether a stream may be opened. Asked before any object is touched, so that what does not exist
/// makes none.
#[derive(Clone, Debug)]
pub struct StreamOpening {
    /// The token that opens it, unless the first frame is to bring one.
    pub token: Option<TokenId>,
    /// Whose it is.
    pub account: AccountId,
    /// Of which live input, if of one.
    pub input: Option<InputUid>,
    /// When.
    pub now: Timestamp,
}

impl StreamOpening {
    /// The statements.
    pub fn batch(&self) -> Vec<Statement> {
        let exists = match self.input {
            Some(input) => Statement::new(
                INPUT_EXISTS,
                [Param::text(self.account), Param::text(input)],
            ),
            None => Statement::new(ACCOUNT_EXISTS, [Param::text(self.account)]),
        };
        let guard = self.token.as_ref().map(|token| {
            let asker = asker(token, Permission::StreamRead, self.now);
            Statement::new(API_GUARD, [asker, Param::text(self.account)])
        });
        std::iter::once(exists).chain(guard).collect()
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// The outer one where the rows are not what was asked for; the inner one, 403/9109 or 404, where
    /// it may not.
    pub fn outcome(&self, results: &impl Results) -> Result<Result<(), Failure>, RowError> {
        if self.token.is_some() && !holds(results, 1)? {
            return Ok(Err(Failure::invalid_token()));
        }
        Ok(match (holds(results, 0)?, self.input) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(Failure::no_such_input()),
            (false, None) => Err(Failure::no_route()),
        })
    }
}

/// Whether streams may stay open.
#[derive(Clone, Debug)]
pub struct StreamCheck {
    /// The tokens that opened them.
    pub tokens: Vec<TokenId>,
    /// Whose they are.
    pub account: AccountId,
    /// Of which live input, if of one.
    pub input: Option<InputUid>,
    /// When.
    pub now: Timestamp,
}

/// Which streams may stay open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillGood {
    /// Those of these tokens.
    pub tokens: Vec<TokenId>,
    /// Whether the live input exists; otherwise none may.
    pub exists: bool,
}

impl StreamCheck {
    /// The statements: all tokens at once.
    pub fn batch(&self) -> Vec<Statement> {
        let askers = askers(&self.tokens, Permission::StreamRead, self.now);
        let good = Statement::new(GOOD_TOKENS, [askers, Param::text(self.account)]);
        let exists = self.input.map(|input| {
            Statement::new(
                INPUT_EXISTS,
                [Param::text(self.account), Param::text(input)],
            )
        });
        std::iter::once(good).chain(exists).collect()
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn outcome(&self, results: &impl Results) -> Result<StillGood, RowError> {
        #[derive(Deserialize)]
        struct Row {
            id: TokenId,
        }
        let rows: Vec<Row> = results.rows(0)?;
        Ok(StillGood {
            tokens: rows.into_iter().map(|row| row.id).collect(),
            exists: self.input.is_none() || holds(results, 1)?,
        })
    }
}

/// Reads which outputs a live input has, rows of [`OutputRow`](super::OutputRow).
pub fn outputs(input: InputUid) -> Statement {
    Statement::new(OUTPUTS, [Param::text(input)])
}

fn holds(results: &impl Results, index: usize) -> Result<bool, RowError> {
    let row: Option<GuardRow> = results.first(index)?;
    Ok(row.is_some_and(|row| row.good))
}
