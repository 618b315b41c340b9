//! Statements that read.

use shared::id::{AccountId, InputUid, OutputUid};
use shared::time::Timestamp;

use super::{
    API_GUARD, GuardRow, INPUT, InputRow, LIFECYCLE, OUTPUTS, OutputRow, Param, RELAY_GUARD,
    Results, RowError, Statement, TOKEN, asker,
};
use crate::auth::{TokenHash, TokenId};
use crate::change::Refusal;
use crate::permission::Permission;
use crate::sealed_url;

/// Looks a token up; its row, if there is one, is a [`TokenRecord`](crate::auth::TokenRecord).
pub fn token_by_hash(hash: &TokenHash) -> Statement {
    Statement::new(TOKEN, [Param::text(hash.as_str())])
}

/// Whether a live input is on air, a [`LifecycleRow`](super::LifecycleRow) if it exists. Everybody
/// may know.
pub fn lifecycle(input: InputUid) -> Statement {
    Statement::new(LIFECYCLE, [Param::text(input)])
}

/// Reads one live input of an account with its outputs, and with it whether the token is still
/// good: both show secrets.
#[derive(Clone, Debug)]
pub struct InputRead {
    /// The token that asks.
    pub token: TokenId,
    /// The account that it speaks for.
    pub account: AccountId,
    /// The live input.
    pub input: InputUid,
    /// When.
    pub now: Timestamp,
}

impl InputRead {
    /// The statements.
    pub fn batch(&self) -> Vec<Statement> {
        let asker = asker(&self.token, Permission::StreamRead, self.now);
        let guard = [asker, Param::text(self.account)];
        let mut batch = vec![Statement::new(API_GUARD, guard)];
        batch.extend(Wanted::batch(self.input));
        batch
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// The outer one where the rows are not what was asked for; the inner one where the caller
    /// may not have them.
    pub fn outcome(
        &self,
        results: &impl Results,
    ) -> Result<Result<(InputRow, Vec<OutputRow>), Refusal>, RowError> {
        if !is_good(results, 0)? {
            return Ok(Err(Refusal::TokenRevoked));
        }
        let wanted = Wanted::read(results, 1)?;
        Ok(match wanted.input {
            Some(input) if input.account == self.account => Ok((input, wanted.outputs)),
            _ => Err(Refusal::NoSuchInput),
        })
    }
}

/// Reads what a relay node needs of a live input, and with it whether its token is still good.
#[derive(Clone, Debug)]
pub struct PublishCheck {
    /// The token that asks.
    pub token: TokenId,
    /// The live input that the key names.
    pub input: InputUid,
}

impl PublishCheck {
    /// The statements.
    pub fn batch(&self) -> Vec<Statement> {
        let mut batch = vec![Statement::new(RELAY_GUARD, [Param::text(&self.token.0)])];
        batch.extend(Wanted::batch(self.input));
        batch
    }

    /// What they say; only [`Refusal::TokenRevoked`] can be the inner error.
    ///
    /// # Errors
    ///
    /// The outer one where the rows are not what was asked for; the inner one where the token is
    /// no longer good.
    pub fn outcome(&self, results: &impl Results) -> Result<Result<Wanted, Refusal>, RowError> {
        if !is_good(results, 0)? {
            return Ok(Err(Refusal::TokenRevoked));
        }
        Wanted::read(results, 1).map(Ok)
    }
}

/// What the database says of a live input: the truth of what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The live input, if it exists.
    pub input: Option<InputRow>,
    /// Its outputs, in the order in which they were added.
    pub outputs: Vec<OutputRow>,
}

impl Wanted {
    pub(crate) fn batch(input: InputUid) -> [Statement; 2] {
        [
            Statement::new(INPUT, [Param::text(input)]),
            Statement::new(OUTPUTS, [Param::text(input)]),
        ]
    }

    pub(crate) fn output(&self, uid: OutputUid) -> Option<&OutputRow> {
        self.outputs.iter().find(|row| row.uid == uid)
    }

    /// Other outputs that send to the same place as `output`.
    pub(crate) fn alike(&self, output: &OutputRow) -> Vec<OutputRow> {
        let Some(url) = sealed_url::destination(&output.url) else {
            return Vec::new();
        };
        let is_alike = |row: &&OutputRow| {
            let other = sealed_url::destination(&row.url);
            row.uid != output.uid && other.is_some_and(|other| url.is_same_destination(&other))
        };
        self.outputs.iter().filter(is_alike).cloned().collect()
    }

    /// Reads the rows of [`batch`](Self::batch), whose first statement is at `index`.
    pub(crate) fn read(results: &impl Results, index: usize) -> Result<Self, RowError> {
        Ok(Self {
            input: results.first(index)?,
            outputs: results.rows(index + 1)?,
        })
    }
}

fn is_good(results: &impl Results, index: usize) -> Result<bool, RowError> {
    let row: Option<GuardRow> = results.first(index)?;
    Ok(row.is_some_and(|row| row.good))
}
