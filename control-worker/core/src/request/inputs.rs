//! Bodies about live inputs.

use std::time::Duration;

use shared::limits::MAX_GRACE_PERIOD_SECONDS;

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

/// The body of `POST …/live_inputs/:input/rotate_keys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// For how long the present key is honoured beside the new one; not at all if nothing was said.
    pub grace_period: Duration,
}

impl KeyRotation {
    /// Reads and checks `body`.
    ///
    /// # Errors
    ///
    /// As [`NewInput::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let seconds = fields.whole("gracePeriodSeconds", MAX_GRACE_PERIOD_SECONDS)?;
        Ok(Self {
            grace_period: Duration::from_secs(seconds.unwrap_or(0).into()),
        })
    }
}
