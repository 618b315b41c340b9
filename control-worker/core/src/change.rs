//! One change of a live input: what the database is asked to do, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::id::{AccountId, InputUid, OutputUid};
use shared::limits::{DEFAULT_MAX_INPUTS_PER_ACCOUNT, DEFAULT_MAX_OUTPUTS_PER_INPUT};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::auth::TokenId;
use crate::failure::Failure;
use crate::keys::{Keyring, Place, Unsealable};
use crate::permission::Permission;
use crate::request::{NewInput, NewOutput};
use crate::sql::{self, InputRow, OutputRow, Param, Results, RowError, Statement, Wanted};

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
}

/// What to change. Holds secrets in sealed form only.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new live input.
    CreateInput {
        /// The user's JSON text.
        meta: String,
        /// Whether encoders may publish to it.
        enabled: bool,
        /// The stream key's keyed hash.
        key_hash: String,
        /// The stream key, sealed.
        key_sealed: String,
    },
    /// A new output.
    CreateOutput {
        /// Its id.
        uid: OutputUid,
        /// Where to send.
        url: String,
        /// The destination's stream key, sealed.
        key_sealed: String,
        /// Whether to send to it.
        enabled: bool,
    },
    /// The live input goes, and its outputs with it.
    DeleteInput,
    /// An output goes.
    DeleteOutput {
        /// Its id.
        uid: OutputUid,
    },
    /// Other settings of the live input; what is none stays.
    UpdateInput {
        /// The user's JSON text.
        meta: Option<String>,
        /// Whether encoders may publish to it.
        enabled: Option<bool>,
    },
    /// Other settings of an output; what is none stays.
    UpdateOutput {
        /// Its id.
        uid: OutputUid,
        /// Whether to send to it.
        enabled: Option<bool>,
    },
}

impl Change {
    /// A new live input with its key. `nonce` is random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn create_input(
        body: NewInput,
        account: AccountId,
        key: &StreamKey,
        nonce: [u8; 12],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::input_key(account, key.input());
        Ok(Self::CreateInput {
            meta: body.meta,
            enabled: body.enabled,
            key_hash: keyring.hash(key)?,
            key_sealed: keyring.seal(&place, nonce, &key.expose())?,
        })
    }

    /// A new output. `nonce` is random and never used twice.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the keyring cannot encrypt.
    pub fn create_output(
        body: NewOutput,
        account: AccountId,
        uid: OutputUid,
        nonce: [u8; 12],
        keyring: &Keyring,
    ) -> Result<Self, Unsealable> {
        let place = Place::output_key(account, uid);
        Ok(Self::CreateOutput {
            uid,
            url: body.url.as_str().to_owned(),
            key_sealed: keyring.seal(&place, nonce, &body.stream_key)?,
            enabled: body.enabled,
        })
    }
}

/// Names the change and no value: URLs may hold secrets.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateInput { .. } => f.write_str("CreateInput"),
            Self::CreateOutput { uid, .. } => write!(f, "CreateOutput({uid})"),
            Self::DeleteInput => f.write_str("DeleteInput"),
            Self::DeleteOutput { uid } => write!(f, "DeleteOutput({uid})"),
            Self::UpdateInput { .. } => f.write_str("UpdateInput"),
            Self::UpdateOutput { uid, .. } => write!(f, "UpdateOutput({uid})"),
        }
    }
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

/// What came of a change: the object's answer to the Worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAnswer {
    /// The live input or output is gone.
    Deleted,
    /// The live input as it is now.
    Input(InputRow),
    /// The database failed, and the change was certainly not made.
    NotMade,
    /// The output as it is now.
    Output(OutputRow),
    /// Nothing was changed, for this reason.
    Refused(Refusal),
    /// The database does not answer: whether the change was made will be found out later.
    Undecided,
}

/// Why the database gave or changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The account has no such live input.
    NoSuchInput,
    /// The live input has no such output.
    NoSuchOutput,
    /// The token was revoked after it was looked up.
    TokenRevoked,
    /// The account has this many live inputs, and may not have more.
    TooManyInputs(u32),
    /// The live input has this many outputs, and may not have more.
    TooManyOutputs(u32),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchInput => Self::no_such_input(),
            Refusal::NoSuchOutput => Self::no_such_output(),
            Refusal::TokenRevoked => Self::invalid_token(),
            Refusal::TooManyInputs(limit) => Self::too_many_inputs(limit),
            Refusal::TooManyOutputs(limit) => Self::too_many_outputs(limit),
        }
    }
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
}

impl ChangeRequest {
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
        let mut batch = match &self.change {
            Change::CreateInput {
                meta,
                enabled,
                key_hash,
                key_sealed,
            } => vec![with(
                sql::CREATE_INPUT,
                vec![
                    Param::text(meta),
                    Param::from(*enabled),
                    Param::text(key_hash),
                    Param::text(key_sealed),
                    Param::from(self.now),
                    Param::from(self.limits.inputs_per_account),
                ],
            )],
            Change::CreateOutput {
                uid,
                url,
                key_sealed,
                enabled,
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
                    ],
                ),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
            Change::DeleteInput => vec![with(sql::DELETE_INPUT, Vec::new())],
            Change::DeleteOutput { uid } => vec![
                with(sql::DELETE_OUTPUT, vec![Param::text(uid)]),
                with(sql::ADVANCE_INPUT, Vec::new()),
            ],
            Change::UpdateInput { meta, enabled } => vec![with(
                sql::UPDATE_INPUT,
                vec![
                    Param::optional(meta.clone()),
                    Param::optional(*enabled),
                    Param::from(self.now),
                ],
            )],
            Change::UpdateOutput { uid, enabled } => vec![
                with(
                    sql::UPDATE_OUTPUT,
                    vec![
                        Param::text(uid),
                        Param::optional(*enabled),
                        Param::from(self.now),
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
        batch.extend(Wanted::batch(self.input));
        batch
    }

    /// What the batch under `rev` did.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn outcome(&self, rev: u64, results: &impl Results) -> Result<Outcome, RowError> {
        let wanted_at = match self.change {
            Change::CreateInput { .. } | Change::DeleteInput | Change::UpdateInput { .. } => 2,
            Change::CreateOutput { .. }
            | Change::DeleteOutput { .. }
            | Change::UpdateOutput { .. } => 3,
        };
        let wanted = Wanted::read(results, wanted_at)?;
        if results.first::<ChangedRow>(0)?.is_some() {
            return Ok(Outcome::Changed(wanted));
        }
        let diagnosis: sql::DiagnosisRow = results.first(1)?.ok_or(RowError { statement: 1 })?;
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
            (Change::DeleteOutput { .. } | Change::UpdateOutput { .. }, _) => Refusal::NoSuchOutput,
            // Its conditions were those just ruled out: the rows contradict each other.
            (Change::DeleteInput | Change::UpdateInput { .. }, _) => {
                return Err(RowError { statement: 0 });
            }
        };
        Ok(Outcome::Refused(refusal, wanted))
    }

    /// The answer to a change that was made.
    pub(crate) fn answer(&self, wanted: &Wanted) -> ChangeAnswer {
        match &self.change {
            Change::DeleteInput | Change::DeleteOutput { .. } => ChangeAnswer::Deleted,
            Change::CreateInput { .. } | Change::UpdateInput { .. } => wanted
                .input
                .clone()
                .map_or(ChangeAnswer::Undecided, ChangeAnswer::Input),
            Change::CreateOutput { uid, .. } | Change::UpdateOutput { uid, .. } => wanted
                .output(*uid)
                .cloned()
                .map_or(ChangeAnswer::Undecided, ChangeAnswer::Output),
        }
    }

    /// Whether the change under `rev` was made, by what was read back afterwards.
    pub(crate) fn was_made(&self, rev: u64, wanted: &Wanted) -> bool {
        let is_at_rev = wanted.input.as_ref().is_some_and(|input| input.rev == rev);
        match &self.change {
            Change::CreateInput { .. } | Change::UpdateInput { .. } => is_at_rev,
            Change::CreateOutput { uid, .. } => wanted.output(*uid).is_some(),
            Change::DeleteInput => wanted.input.is_none(),
            Change::DeleteOutput { uid } => is_at_rev && wanted.output(*uid).is_none(),
            Change::UpdateOutput { uid, .. } => is_at_rev && wanted.output(*uid).is_some(),
        }
    }
}

#[derive(Deserialize)]
struct ChangedRow {}
