//! The API tokens of an account.

use shared::id::{AccountId, TokenTag};

use super::Access;
use crate::failure::Failure;
use crate::permission::Permission;

/// A route below `/accounts/:account/tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRoute {
    /// `POST`
    CreateToken,
    /// `DELETE /:token`
    DeleteToken {
        /// The token in the path.
        token: TokenTag,
    },
    /// `GET`
    ListTokens,
    /// `GET /permission_groups`
    PermissionGroups,
    /// `PUT /:token/value`
    RollToken {
        /// The token in the path.
        token: TokenTag,
    },
    /// `GET /:token`
    TokenDetails {
        /// The token in the path.
        token: TokenTag,
    },
    /// `PUT /:token`
    UpdateToken {
        /// The token in the path.
        token: TokenTag,
    },
    /// `GET /verify`
    VerifyToken,
}

impl TokenRoute {
    pub(super) fn access(self, account: AccountId) -> Access {
        match self {
            Self::ListTokens | Self::PermissionGroups | Self::TokenDetails { .. } => {
                Access::Account(account, Permission::TokensRead)
            }
            Self::CreateToken
            | Self::DeleteToken { .. }
            | Self::RollToken { .. }
            | Self::UpdateToken { .. } => Access::Account(account, Permission::TokensWrite),
            Self::VerifyToken => Access::Holder(Some(account)),
        }
    }

    /// `rest` is what follows `/tokens`, in segments.
    pub(super) fn parse(method: &str, rest: &[&str]) -> Result<Self, Failure> {
        match rest {
            [] => match method {
                "GET" => Ok(Self::ListTokens),
                "POST" => Ok(Self::CreateToken),
                _ => Err(Failure::method_not_allowed("GET, POST")),
            },
            ["permission_groups"] => match method {
                "GET" => Ok(Self::PermissionGroups),
                _ => Err(Failure::method_not_allowed("GET")),
            },
            ["verify"] => match method {
                "GET" => Ok(Self::VerifyToken),
                _ => Err(Failure::method_not_allowed("GET")),
            },
            [token] => {
                let token = || token.parse().map_err(|_| Failure::no_such_token());
                match method {
                    "GET" => Ok(Self::TokenDetails { token: token()? }),
                    "PUT" => Ok(Self::UpdateToken { token: token()? }),
                    "DELETE" => Ok(Self::DeleteToken { token: token()? }),
                    _ => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
                }
            }
            [token, "value"] => match method {
                "PUT" => {
                    let token = token.parse().map_err(|_| Failure::no_such_token())?;
                    Ok(Self::RollToken { token })
                }
                _ => Err(Failure::method_not_allowed("PUT")),
            },
            _ => Err(Failure::no_route()),
        }
    }
}
