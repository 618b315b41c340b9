//! Accounts: how the operator makes one.

use serde_json::{Value, json};
use shared::id::{AccountId, TokenTag};
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::auth::TokenHash;
use crate::permission::Permissions;
use crate::sql::{self, Param, Statement};

/// A new account with its first token, which may do everything.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account's id.
    pub account: AccountId,
    /// What it is called, and its token with it.
    pub name: String,
    /// The token's id.
    pub tag: TokenTag,
    /// The token's secret.
    pub secret: Secret,
    /// When.
    pub now: Timestamp,
}

impl NewAccount {
    /// The one batch that makes both. Nothing can stand against it: the operator may, and the ids
    /// are random.
    pub fn batch(&self) -> [Statement; 2] {
        [
            Statement::new(
                sql::CREATE_ACCOUNT,
                [
                    Param::text(self.account),
                    Param::text(&self.name),
                    Param::from(self.now),
                ],
            ),
            Statement::new(
                sql::CREATE_FIRST_TOKEN,
                [
                    Param::text(self.tag),
                    Param::text(self.account),
                    Param::text(TokenHash::of(&self.secret).as_str()),
                    Param::text(&self.name),
                    Param::from(Permissions::all().bits()),
                    Param::from(self.now),
                ],
            ),
        ]
    }

    /// The answer, which alone ever shows the secret.
    pub fn shown(&self) -> Value {
        json!({
            "id": self.account,
            "name": self.name,
            "created_on": self.now,
            "token": {"id": self.tag, "name": self.name, "value": self.secret.expose()},
        })
    }
}
