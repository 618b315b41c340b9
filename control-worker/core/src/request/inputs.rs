//! Bodies about live inputs.

use super::Fields;
use crate::failure::Failure;

/// The body of `POST …/live_inputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// The user's JSON object, to the letter; `{}` if none was given.
    pub meta: String,
    /// Whether encoders may publish to it; they may if nothing was said.
    pub enabled: bool,
}

impl NewInput {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// 413 over [`MAX_BODY_BYTES`](shared::limits::MAX_BODY_BYTES); else 400/10005 with the field at fault.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        fields.check_unserved()?;
        Ok(Self {
            meta: fields.meta()?.unwrap_or_else(|| "{}".to_owned()),
            enabled: fields.enabled()?.unwrap_or(true),
        })
    }
}

/// The body of `PUT …/live_inputs/:input`: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputUpdate {
    /// The user's JSON object, replaced as a whole; an explicit null sets it to `{}`.
    pub meta: Option<String>,
    /// Whether encoders may publish to it.
    pub enabled: Option<bool>,
}

impl InputUpdate {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        fields.check_unserved()?;
        Ok(Self {
            meta: fields.meta()?,
            enabled: fields.enabled()?,
        })
    }
}
