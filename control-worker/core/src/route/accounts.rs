//! What the operator asks.

use crate::failure::Failure;

/// A route at `/accounts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountsRoute {
    /// `POST`
    CreateAccount,
}

impl AccountsRoute {
    pub(super) fn parse(method: &str) -> Result<Self, Failure> {
        match method {
            "POST" => Ok(Self::CreateAccount),
            _ => Err(Failure::method_not_allowed("POST")),
        }
    }
}
