//! One change of a live input: what the database is asked to do, and what came of it.

mod answer;
mod kind;

use serde::{Deserialize, Serialize};
use shared::id::{AccountId, InputUid};
use shared::limits::{DEFAULT_MAX_INPUTS_PER_ACCOUNT, DEFAULT_MAX_OUTPUTS_PER_INPUT};
use shared::time::Timestamp;

pub use self::answer::{ChangeAnswer, Refusal};
pub use self::kind::Change;
use crate::auth::TokenId;
use crate::event_stream::InputChange;
use crate::idempotency::{Made, Once, expiry};
use crate::permission::Permission;
use crate::sql::{self, Param, Results, RowError, Statement, Wanted};
use crate::status::View;

/// A change that somebody asks for, checked as far as it can be without the database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ChangeRequest {
    /// The token that asks; the statements check it again.
    pub token: TokenId,
    /// The account that it speaks for.
    pub account: AccountId,
    /// The live input.
    pub input: InputUid,
    /// When.
    #[serde(with = "sql::micros")]
    pub now: Timestamp,
    /// How many there may be.
    pub limits: Limits,
    /// What to change.
    pub change: Change,
    /// Whether what is created is to be created once, however often it is asked for.
    #[serde(default)]
    pub once: Option<Once>,
}

/// How many live inputs and outputs there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Limits {
    /// Live inputs of an account.
    pub inputs_per_account: u32,
    /// Outputs of a live input.
    pub outputs_per_input: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inputs_per_account: DEFAULT_MAX_INPUTS_PER_ACCOUNT,
            outputs_per_input: DEFAULT_MAX_OUTPUTS_PER_INPUT,
        }
    }
}

/// The object's answer to a change.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Changed {
    /// What came of it.
    pub answer: ChangeAnswer,
    /// What goes on afterwards.
    pub view: View,
}

/// What a batch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the input has this `rev` already. Whoever issues them must go beyond it.
    Behind(u64),
    /// What was asked for; this is how things stand now.
    Changed(Wanted),
    /// Nothing, for this reason.
    Refused(Refusal, Wanted),
    /// Nothing, because it was made before.
    Repeated(Made, Wanted),
}

impl ChangeRequest {
    /// As what the account's event stream is told of it, where something came of it, or may have.
    pub fn told_as(&self, answer: &ChangeAnswer) -> Option<InputChange> {
        let is_made = match answer {
            ChangeAnswer::Deleted
            | ChangeAnswer::Input(_)
            | ChangeAnswer::Output { .. }
            | ChangeAnswer::Undecided => true,
            ChangeAnswer::NotMade | ChangeAnswer::Refused(_) | ChangeAnswer::Repeated(_) => false,
        };
        is_made.then_some(match self.change {
            Change::CreateInput { .. } => InputChange::Created,
            Change::DeleteInput => InputChange::Deleted,
            _ => InputChange::Updated,
        })
    }

    /// The one batch that makes the change under `rev`, and tells why if it does not. Every
    /// condition stands in the statement that changes something, so that nothing can come between;
    /// the first statement answers a row exactly when the change was made.
    pub fn batch(&self, rev: u64) -> Vec<Statement> {
        let asker = sql::asker(&self.token, Permission::StreamWrite, self.now);
        let with = |sql, more: Vec<Param>| {
            let common = [
                asker.clone(),
                Param::text(self.account),
                Param::text(self.input),
                Param::rev(rev),
            ];
            Statement::new(sql, common.into_iter().chain(more))
        };
        let key = self.once.as_ref().map(|once| once.key.clone());
        let mut batch = match &self.change {
            Change::CreateInput {
                meta,
                enabled,
                key_hash,
                key_sealed,
                settings,
            } => vec![with(
                sql::CREATE_INPUT,
                vec![
                    Param::text(meta),
                    Param::from(*enabled),
                    Param::text(key_hash),
                    Param::text(key_sealed),
                    Param::from(self.now),
                    Param::from(self.limits.inputs_per_account),
                    Param::optional(key),
                    Param::from(settings.reconnect_window),
                    Param::word(settings.on_stop),
                    Param::word(settings.on_format_change),
                    Param::word(settings.takeover),
                ],
            )],
            Change::CreateOutput {
                uid,
                url,
                key_sealed,
                enabled,
                meta,
            } => vec![
                with(
                    sql::CREATE_OUTPUT,
                    vec![
                        Param::text(uid),
                        Param::text(url),
                        Param::text(key_sealed),
                        Param::from(*enabled),
                        Param::from(self.now),
                        Param::from(self.limits.outputs_per_input),
                        Param::text(meta),
                        Param::optional(key),
                    ],
                ),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
            Change::DeleteInput => vec![with(sql::DELETE_INPUT, Vec::new())],
            Change::DeleteOutput { uid } => vec![
                with(sql::DELETE_OUTPUT, vec![Param::text(uid)]),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
            Change::RetryOutput { uid } => vec![
                with(sql::RETRY_OUTPUT, vec![Param::text(uid)]),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
            Change::RotateKeys {
                key_hash,
                key_sealed,
                old_until,
            } => vec![with(
                sql::ROTATE_KEYS,
                vec![
                    Param::text(key_hash),
                    Param::text(key_sealed),
                    Param::optional(*old_until),
                    Param::from(self.now),
                ],
            )],
            Change::UpdateInput {
                meta,
                enabled,
                settings,
            } => vec![with(
                sql::UPDATE_INPUT,
                vec![
                    Param::optional(meta.clone()),
                    Param::optional(*enabled),
                    Param::from(self.now),
                    Param::optional(settings.reconnect_window),
                    Param::word(settings.on_stop),
                    Param::word(settings.on_format_change),
                    Param::word(settings.takeover),
                ],
            )],
            Change::UpdateOutput {
                uid,
                url,
                key_sealed,
                enabled,
                meta,
            } => vec![
                with(
                    sql::UPDATE_OUTPUT,
                    vec![
                        Param::text(uid),
                        Param::optional(*enabled),
                        Param::from(self.now),
                        Param::optional(url.clone()),
                        Param::optional(key_sealed.clone()),
                        Param::optional(meta.clone()),
                    ],
                ),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
        };
        let diagnosis = [
            asker.clone(),
            Param::text(self.account),
            Param::text(self.input),
        ];
        // Before the input's `rev` moves: the diagnosis is of what the change has met.
        batch.insert(1, Statement::new(sql::DIAGNOSIS, diagnosis));
        if let Some(once) = &self.once {
            let [made, remember, forget] = self.remember(once, rev, asker);
            batch.insert(2, made);
            batch.extend([remember, forget]);
        }
        batch.extend(Wanted::batch(self.input));
        batch
    }

    /// Looks the key of a creation up as it was before; after the creation remembers what that
    /// made, and forgets keys whose time is over.
    fn remember(&self, once: &Once, rev: u64, asker: Param) -> [Statement; 3] {
        let key = || Param::text(&once.key);
        let output = match &self.change {
            Change::CreateOutput { uid, .. } => Some(uid.to_string()),
            _ => None,
        };
        let made = [Param::text(self.account), key(), Param::from(self.now)];
        let remember = [
            asker,
            Param::text(self.account),
            Param::text(self.input),
            Param::rev(rev),
            key(),
            Param::text(&once.request),
            Param::optional(output),
            Param::from(expiry(self.now)),
        ];
        [
            Statement::new(sql::MADE, made),
            Statement::new(sql::REMEMBER, remember),
            Statement::new(sql::FORGET, [Param::from(self.now)]),
        ]
    }

    /// What the batch under `rev` did.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn outcome(&self, rev: u64, results: &impl Results) -> Result<Outcome, RowError> {
        let wanted_at = match self.change {
            Change::CreateInput { .. }
            | Change::DeleteInput
            | Change::RotateKeys { .. }
            | Change::UpdateInput { .. } => 2,
            Change::CreateOutput { .. }
            | Change::DeleteOutput { .. }
            | Change::RetryOutput { .. }
            | Change::UpdateOutput { .. } => 3,
        };
        let wanted_at = wanted_at + if self.once.is_some() { 3 } else { 0 };
        let wanted = Wanted::read(results, wanted_at)?;
        if results.first::<ChangedRow>(0)?.is_some() {
            return Ok(Outcome::Changed(wanted));
        }
        let diagnosis: sql::DiagnosisRow = results.first(1)?.ok_or(RowError { statement: 1 })?;
        let made: Option<Made> = match self.once {
            Some(_) => results.first(2)?,
            None => None,
        };
        let may_ask = diagnosis.good
            && (diagnosis.rev.is_some() || matches!(self.change, Change::CreateInput { .. }));
        if let Some(made) = made.filter(|_| may_ask) {
            return Ok(Outcome::Repeated(made, wanted));
        }
        let refusal = match (&self.change, diagnosis.rev) {
            _ if !diagnosis.good => Refusal::TokenRevoked,
            (Change::CreateInput { .. }, _) => {
                Refusal::TooManyInputs(self.limits.inputs_per_account)
            }
            (_, None) => Refusal::NoSuchInput,
            (_, Some(current)) if current >= rev => return Ok(Outcome::Behind(current)),
            (Change::CreateOutput { .. }, _) => {
                Refusal::TooManyOutputs(self.limits.outputs_per_input)
            }
            (
                Change::DeleteOutput { .. }
                | Change::RetryOutput { .. }
                | Change::UpdateOutput { .. },
                _,
            ) => Refusal::NoSuchOutput,
            // Its conditions were those just ruled out: the rows contradict each other.
            (Change::DeleteInput | Change::RotateKeys { .. } | Change::UpdateInput { .. }, _) => {
                return Err(RowError { statement: 0 });
            }
        };
        Ok(Outcome::Refused(refusal, wanted))
    }

    /// The answer to a change that was made.
    pub(crate) fn answer(&self, wanted: &Wanted) -> ChangeAnswer {
        match &self.change {
            Change::DeleteInput | Change::DeleteOutput { .. } => ChangeAnswer::Deleted,
            Change::CreateInput { .. } | Change::RotateKeys { .. } | Change::UpdateInput { .. } => {
                wanted
                    .input
                    .clone()
                    .map_or(ChangeAnswer::Undecided, ChangeAnswer::Input)
            }
            Change::CreateOutput { uid, .. }
            | Change::RetryOutput { uid }
            | Change::UpdateOutput { uid, .. } => {
                wanted
                    .output(*uid)
                    .map_or(ChangeAnswer::Undecided, |output| ChangeAnswer::Output {
                        output: output.clone(),
                        alike: wanted.alike(output),
                    })
            }
        }
    }

    /// Whether the change under `rev` was made, by what was read back afterwards.
    pub(crate) fn was_made(&self, rev: u64, wanted: &Wanted) -> bool {
        let is_at_rev = wanted.input.as_ref().is_some_and(|input| input.rev == rev);
        match &self.change {
            Change::CreateInput { .. } | Change::RotateKeys { .. } | Change::UpdateInput { .. } => {
                is_at_rev
            }
            Change::CreateOutput { uid, .. } => wanted.output(*uid).is_some(),
            Change::DeleteInput => wanted.input.is_none(),
            Change::DeleteOutput { uid } => is_at_rev && wanted.output(*uid).is_none(),
            Change::RetryOutput { uid } | Change::UpdateOutput { uid, .. } => {
                is_at_rev && wanted.output(*uid).is_some()
            }
        }
    }
}

#[derive(Deserialize)]
struct ChangedRow {}
