//! API tokens: how they are made, changed and taken away.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::envelope::ResultInfo;
use shared::hex;
use shared::id::{AccountId, TokenTag};
use shared::limits::MAX_TOKENS_PER_ACCOUNT;
use shared::secret::{Secret, exposed};
use shared::time::Timestamp;

use crate::auth::{TokenHash, TokenId};
use crate::failure::Failure;
use crate::permission::{Permission, Permissions};
use crate::policy::Policies;
use crate::request::{NewToken, TokenPage, TokenUpdate};
use crate::sql::{self, Param, Results, RowError, Statement};

/// A new secret for a token, from 32 bytes of randomness: 68 characters that need no quoting
/// anywhere, with a prefix by which scanners of source code find it.
pub fn secret(random: [u8; 32]) -> Secret {
    Secret::new(format!("sct_{}", hex::text(&random)))
}

/// A token as the database knows it, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TokenRow {
    tag: TokenTag,
    name: String,
    permissions: Permissions,
    policies: Option<String>,
    #[serde(deserialize_with = "sql::boolean")]
    disabled: bool,
    #[serde(with = "sql::optional_micros")]
    not_before: Option<Timestamp>,
    #[serde(with = "sql::optional_micros")]
    expires: Option<Timestamp>,
    #[serde(with = "sql::micros")]
    created: Timestamp,
    #[serde(with = "sql::micros")]
    modified: Timestamp,
}

impl TokenRow {
    /// The token as the API shows it.
    ///
    /// # Errors
    ///
    /// 500 where the row is damaged.
    pub fn shown(&self, account: AccountId, now: Timestamp) -> Result<ShownToken, Failure> {
        let policies = match &self.policies {
            Some(text) => serde_json::from_str(text).map_err(|_| Failure::internal())?,
            None => Policies::allowing(self.permissions),
        };
        Ok(ShownToken {
            own: self.verified(now),
            name: self.name.clone(),
            issued_on: self.created,
            modified_on: self.modified,
            policies: policies.shown(account, self.tag),
        })
    }

    /// The same with its secret, which nobody can see again.
    ///
    /// # Errors
    ///
    /// As [`shown`](Self::shown).
    pub fn shown_with(
        &self,
        value: Secret,
        account: AccountId,
        now: Timestamp,
    ) -> Result<MadeToken, Failure> {
        let token = self.shown(account, now)?;
        Ok(MadeToken { token, value })
    }

    /// What a token learns about itself.
    pub fn verified(&self, now: Timestamp) -> VerifiedToken {
        let status = if self.disabled {
            "disabled"
        } else if self.expires.is_some_and(|time| now >= time) {
            "expired"
        } else {
            "active"
        };
        VerifiedToken {
            id: self.tag,
            status,
            not_before: self.not_before,
            expires_on: self.expires,
        }
    }
}

/// A token as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownToken {
    #[serde(flatten)]
    own: VerifiedToken,
    name: String,
    issued_on: Timestamp,
    modified_on: Timestamp,
    policies: Value,
}

/// A token as the answer shows it that makes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MadeToken {
    #[serde(flatten)]
    token: ShownToken,
    #[serde(serialize_with = "exposed")]
    value: Secret,
}

/// What a token learns about itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifiedToken {
    id: TokenTag,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<Timestamp>,
}

/// What is answered when a token is gone.
pub fn deleted(tag: TokenTag) -> Value {
    json!({"id": tag})
}

/// Something that a token asks about the tokens of its account.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The token that asks; the statements check it again.
    pub token: TokenId,
    /// The account that it speaks for.
    pub account: AccountId,
    /// When.
    pub now: Timestamp,
}

impl TokenRequest {
    /// Makes a token.
    pub fn create(&self, tag: TokenTag, secret: &Secret, body: &NewToken) -> TokenChange {
        self.change(
            sql::CREATE_TOKEN,
            tag,
            vec![
                Param::text(TokenHash::of(secret).as_str()),
                Param::text(&body.name),
                Param::from(body.policies.permissions().bits()),
                Param::text(json!(body.policies)),
                Param::optional(body.not_before),
                Param::optional(body.expires),
                Param::from(self.now),
                Param::from(MAX_TOKENS_PER_ACCOUNT),
            ],
        )
    }

    /// Changes what the body names.
    pub fn update(&self, tag: TokenTag, body: &TokenUpdate) -> TokenChange {
        let policies = body.policies.as_ref();
        let time = |time: Option<Option<Timestamp>>| {
            [Param::from(time.is_some()), Param::optional(time.flatten())]
        };
        let mut values = vec![
            Param::optional(body.name.clone()),
            Param::optional(policies.map(|policies| policies.permissions().bits())),
            Param::optional(policies.map(|policies| json!(policies).to_string())),
            Param::optional(body.disabled),
        ];
        values.extend(time(body.not_before));
        values.extend(time(body.expires));
        values.push(Param::from(self.now));
        self.change(sql::UPDATE_TOKEN, tag, values)
    }

    /// Gives a token another secret; the old one is good for nothing from then on. `id` is random.
    pub fn roll(&self, tag: TokenTag, secret: &Secret, id: TokenTag) -> TokenChange {
        self.change(
            sql::ROLL_TOKEN,
            tag,
            vec![
                Param::text(id),
                Param::text(TokenHash::of(secret).as_str()),
                Param::from(self.now),
            ],
        )
    }

    /// Takes a token away.
    pub fn delete(&self, tag: TokenTag) -> TokenChange {
        self.change(sql::DELETE_TOKEN, tag, Vec::new())
    }

    /// Reads a token.
    pub fn details(&self, tag: TokenTag) -> TokenChange {
        self.about(Permission::TokensRead, sql::TOKEN_DETAILS, tag, Vec::new())
    }

    /// Reads the token that asks.
    pub fn own(&self) -> Statement {
        // It needs no permission to ask about itself: the statement does not look for one.
        let asker = self.asker(Permission::TokensRead);
        Statement::new(sql::OWN_TOKEN, [asker, Param::text(self.account)])
    }

    /// Reads a page of the account's tokens.
    pub fn list(&self, page: &TokenPage) -> Vec<Statement> {
        let common = [
            self.asker(Permission::TokensRead),
            Param::text(self.account),
            Param::from(page.expired),
        ];
        let order = Param::Integer(if page.newest_first { -1 } else { 1 });
        let offset = i64::from(page.page.number - 1) * i64::from(page.page.size);
        let bounds = [order, Param::from(page.page.size), Param::Integer(offset)];
        vec![
            Statement::new(sql::COUNT_TOKENS, common.clone()),
            Statement::new(sql::LIST_TOKENS, common.into_iter().chain(bounds)),
        ]
    }

    /// What that page holds.
    ///
    /// # Errors
    ///
    /// The outer one where the rows are not what was asked for; the inner one where the caller
    /// may not have them.
    pub fn listed(
        &self,
        page: &TokenPage,
        results: &impl Results,
    ) -> Result<Result<(Vec<TokenRow>, ResultInfo), Failure>, RowError> {
        let count: CountRow = results.first(0)?.ok_or(RowError { statement: 0 })?;
        if !count.good {
            return Ok(Err(Failure::invalid_token()));
        }
        let rows: Vec<TokenRow> = results.rows(1)?;
        let info = page.page.info(rows.len(), count.total);
        Ok(Ok((rows, info)))
    }

    fn change(&self, text: &'static str, tag: TokenTag, values: Vec<Param>) -> TokenChange {
        self.about(Permission::TokensWrite, text, tag, values)
    }

    fn about(
        &self,
        needs: Permission,
        text: &'static str,
        tag: TokenTag,
        values: Vec<Param>,
    ) -> TokenChange {
        let common = [
            self.asker(needs),
            Param::text(self.account),
            Param::text(tag),
        ];
        let diagnosis = Statement::new(sql::TOKEN_DIAGNOSIS, common.clone());
        let changing = Statement::new(text, common.into_iter().chain(values));
        TokenChange {
            batch: vec![changing, diagnosis],
            creates: text == sql::CREATE_TOKEN,
            reads: text == sql::TOKEN_DETAILS,
        }
    }

    fn asker(&self, needs: Permission) -> Param {
        sql::asker(&self.token, needs, self.now)
    }
}

/// One request about one token: a batch, and what its answer means.
pub struct TokenChange {
    batch: Vec<Statement>,
    creates: bool,
    reads: bool,
}

impl TokenChange {
    /// The batch.
    pub fn batch(&self) -> &[Statement] {
        &self.batch
    }

    /// What to say when the database does not answer: the change may be made all the same.
    pub fn failed(&self) -> Failure {
        if self.reads {
            Failure::unavailable()
        } else {
            Failure::undecided()
        }
    }

    /// The token as it is now, or was before it was deleted.
    ///
    /// # Errors
    ///
    /// The outer one where the rows are not what was asked for; the inner one where nothing was
    /// changed or may be seen.
    pub fn outcome(&self, results: &impl Results) -> Result<Result<TokenRow, Failure>, RowError> {
        if let Some(row) = results.first(0)? {
            return Ok(Ok(row));
        }
        let diagnosis: DiagnosisRow = results.first(1)?.ok_or(RowError { statement: 1 })?;
        Ok(Err(if !diagnosis.good {
            Failure::invalid_token()
        } else if self.creates {
            Failure::too_many_tokens(MAX_TOKENS_PER_ACCOUNT)
        } else if diagnosis.found {
            Failure::own_token()
        } else {
            Failure::no_such_token()
        }))
    }
}

/// Does not show the hash of a secret.
impl fmt::Debug for TokenChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenChange").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct DiagnosisRow {
    #[serde(deserialize_with = "sql::boolean")]
    good: bool,
    #[serde(deserialize_with = "sql::boolean")]
    found: bool,
}

#[derive(Deserialize)]
struct CountRow {
    #[serde(deserialize_with = "sql::boolean")]
    good: bool,
    #[serde(deserialize_with = "sql::unsigned")]
    total: u64,
}
