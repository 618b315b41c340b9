//! What came of a change.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::idempotency::Made;
use crate::sql::{InputRow, OutputRow};

/// What came of a change: the object's answer to the Worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAnswer {
    /// The live input or output is gone.
    Deleted,
    /// The live input as it is now.
    Input(InputRow),
    /// Nothing was made: an earlier request with the same `Idempotency-Key` made this.
    Repeated(Made),
    /// The database failed, and the change was certainly not made.
    NotMade,
    /// The output as it is now.
    Output {
        /// Itself.
        output: OutputRow,
        /// Other outputs of the input that send to the same place, with whatever key.
        alike: Vec<OutputRow>,
    },
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
