//! Who is asking, and what they may.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::envelope::{Notice, code};
use shared::hex;
use shared::id::AccountId;
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::failure::Failure;
use crate::permission::Permissions;
use crate::route::Access;
use crate::sql::optional_micros;

/// Shortest token. Cloudflare's Terraform provider refuses shorter ones before it asks us.
pub const MIN_TOKEN_BYTES: usize = 40;

/// Longest token, by the same rule.
pub const MAX_TOKEN_BYTES: usize = 80;

/// Seconds that a found token stays in KV, the shortest time that KV knows. For so long a revoked
/// token can still read lists; whatever changes something or shows a secret asks D1 again.
pub const CACHE_SECONDS: u64 = 60;

/// The headers that carry credentials, as they came.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// `Authorization`
    pub authorization: Option<&'a str>,
    /// `X-Auth-Email`
    pub email: Option<&'a str>,
    /// `X-Auth-Key`
    pub key: Option<&'a str>,
}

impl Credentials<'_> {
    /// Takes the token out of the headers. `Authorization` wins where several are sent, as
    /// Cloudflare's own users do.
    ///
    /// # Errors
    ///
    /// 400/6003 (6111) where `Authorization` is not `Bearer` and a text that may be a token;
    /// 400/6003 (6103) and 403/9103 for the global keys of old, which we do not have;
    /// 400/9106 where there is nothing.
    pub fn token(&self) -> Result<Secret, Failure> {
        if let Some(value) = self.authorization {
            return bearer_token(value).ok_or_else(|| {
                malformed_headers(
                    code::INVALID_AUTHORIZATION,
                    "Invalid format for Authorization header: send `Bearer`, a space and the \
                     token, which is 40 to 80 letters, digits, - and _.",
                )
            });
        }
        let (Some(_), Some(key)) = (self.email, self.key) else {
            return Err(Failure::new(
                400,
                Notice::new(
                    code::MISSING_CREDENTIALS,
                    "Missing Authorization header: send `Authorization: Bearer` and an API token.",
                ),
            ));
        };
        let may_be_key = (37..=60).contains(&key.len()) && key.bytes().all(is_token_byte);
        if !may_be_key {
            return Err(malformed_headers(
                code::INVALID_AUTH_KEY,
                "Invalid format for X-Auth-Key header: send an API token as `Authorization: \
                 Bearer` instead.",
            ));
        }
        Err(Failure::new(
            403,
            Notice::new(
                code::UNKNOWN_AUTH_KEY,
                "Unknown X-Auth-Key or X-Auth-Email: there are no global keys here, send an API \
                 token as `Authorization: Bearer` instead.",
            ),
        ))
    }
}

/// The SHA-256 of a token, in lowercase hexadecimal: how tokens are stored and looked up. Tokens
/// are random and long, so that neither salt nor stretching would add anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl TokenHash {
    /// Hashes `token`.
    pub fn of(token: &Secret) -> Self {
        Self(hex::text(&Sha256::digest(token.expose().as_bytes())))
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where KV holds the [`TokenRecord`].
    pub fn cache_key(&self) -> String {
        ["token:", &self.0].concat()
    }
}

/// What is known of a good token: D1's answer, and what KV keeps of it. Only good tokens are
/// cached, so that a new one works at once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TokenRecord {
    /// The token's id.
    pub id: TokenId,
    /// The account that it speaks for; none for relay tokens.
    #[serde(rename = "account_id")]
    pub account: Option<AccountId>,
    /// What it is for.
    pub kind: TokenKind,
    /// What it may do; relay tokens have no permission, and need none for the link.
    pub permissions: Permissions,
    /// From when on it is good; from its creation where there is none.
    #[serde(with = "optional_micros")]
    pub not_before: Option<Timestamp>,
    /// When it is no longer good; it does not expire where there is none.
    #[serde(with = "optional_micros")]
    pub expires: Option<Timestamp>,
}

impl TokenRecord {
    /// Reads what KV holds. A record of another version reads as none: then D1 is asked.
    pub fn from_cache(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What KV shall hold, for [`CACHE_SECONDS`].
    pub fn to_cache(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// A token's id: what statements check it by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TokenId(pub String);

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The API of one account.
    Api,
    /// The link of relay nodes, and nothing else.
    Relay,
}

/// Decides whether the token that was found (none: unknown or taken away) may do what the route
/// asks for. Not for [`Access::Anybody`], which needs no token, nor for [`Access::Operator`], who
/// has none: see [`authorize_operator`].
///
/// # Errors
///
/// 403/9109 for no token, or one outside its time; 403/10000 for one of another account or another
/// use, or without the permission.
pub fn authorize(
    token: Option<TokenRecord>,
    access: Access,
    now: Timestamp,
) -> Result<TokenRecord, Failure> {
    let token = token.ok_or_else(Failure::invalid_token)?;
    if token.not_before.is_some_and(|time| now < time) {
        return Err(Failure::token_not_yet_valid());
    }
    if token.expires.is_some_and(|time| now >= time) {
        return Err(Failure::token_expired());
    }
    match access {
        Access::Account(account, permission) => {
            if token.kind != TokenKind::Api || token.account != Some(account) {
                return Err(Failure::forbidden());
            }
            if !token.permissions.allow(permission) {
                return Err(Failure::lacks_permission(permission));
            }
        }
        Access::Holder(account) => {
            let its_account = account.is_none() || token.account == account;
            if token.kind != TokenKind::Api || !its_account {
                return Err(Failure::forbidden());
            }
        }
        Access::Anybody => {}
        Access::Operator => return Err(Failure::forbidden()),
        Access::Relay if token.kind == TokenKind::Relay => {}
        Access::Relay => return Err(Failure::forbidden()),
    }
    Ok(token)
}

/// Decides whether what was sent is the operator's bootstrap secret, of which `configured` is the
/// setting, if there is one.
///
/// # Errors
///
/// 403/10000 where it is not, or where none is configured that has the form of a token: a short one
/// could be guessed.
pub fn authorize_operator(sent: &Secret, configured: Option<&str>) -> Result<(), Failure> {
    let configured = configured.map(str::trim).filter(|text| is_token(text));
    let configured = configured.ok_or_else(Failure::no_bootstrap)?;
    if *sent != Secret::new(configured) {
        return Err(Failure::forbidden());
    }
    Ok(())
}

fn bearer_token(value: &str) -> Option<Secret> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim_start();
    let well_formed = scheme.eq_ignore_ascii_case("bearer") && is_token(token);
    well_formed.then(|| Secret::new(token))
}

/// Whether a text has the form of a token.
pub(crate) fn is_token(text: &str) -> bool {
    (MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn malformed_headers(reason: u16, message: &str) -> Failure {
    Failure::new(
        400,
        Notice::new(
            code::INVALID_HEADERS,
            "Invalid request headers: the error chain says which.",
        )
        .because(Notice::new(reason, message)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::Permission;

    const TOKEN: &str = "0123456789abcdefghijABCDEFGHIJ-_01234567";

    fn with_authorization(value: &str) -> Result<Secret, Failure> {
        Credentials {
            authorization: Some(value),
            ..Credentials::default()
        }
        .token()
    }

    #[test]
    fn a_bearer_token_is_taken() {
        for value in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN} "),
            format!("BEARER {TOKEN}"),
        ] {
            assert_eq!(with_authorization(&value).unwrap().expose(), TOKEN);
        }
        let both = Credentials {
            authorization: Some(&format!("Bearer {TOKEN}")),
            email: Some("me@example.com"),
            key: Some("x"),
        };
        assert_eq!(both.token().unwrap().expose(), TOKEN);
    }

    #[test]
    fn a_token_has_40_to_80_characters() {
        for (length, fits) in [(39, false), (40, true), (80, true), (81, false)] {
            let value = format!("Bearer {}", "a".repeat(length));
            assert_eq!(with_authorization(&value).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn malformed_authorization_is_named_and_not_repeated() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            TOKEN,
            &format!("Basic {TOKEN}"),
            &format!("Bearer {TOKEN} {TOKEN}"),
            &format!("Bearer {TOKEN}!"),
            &format!("Bearer \"{TOKEN}\""),
        ] {
            let failure = with_authorization(value).unwrap_err();
            assert_eq!(failure.to_string(), "400/6003", "{value}");
            let chain: Vec<u16> = failure
                .notice()
                .error_chain
                .iter()
                .map(|n| n.code)
                .collect();
            assert_eq!(chain, [6111]);
            assert!(!format!("{failure:?}").contains(TOKEN));
        }
    }

    #[test]
    fn other_credentials_get_their_documented_errors() {
        let key = "a".repeat(37);
        for (email, key, why) in [
            (None, None, "400/9106"),
            (Some("me@example.com"), None, "400/9106"),
            (None, Some(&*key), "400/9106"),
            (Some("me@example.com"), Some(&*key), "403/9103"),
            (Some("me@example.com"), Some("short"), "400/6003"),
        ] {
            let credentials = Credentials {
                authorization: None,
                email,
                key,
            };
            assert_eq!(credentials.token().unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn the_hash_is_plain_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            TokenHash::of(&Secret::new("abc")).as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_cache_keeps_a_record_whole_and_no_other() {
        let record = TokenRecord {
            id: TokenId("t1".into()),
            account: Some(AccountId::from_random([1; 16])),
            kind: TokenKind::Api,
            permissions: Permissions::all(),
            not_before: None,
            expires: Some(Timestamp::from_micros(2)),
        };
        assert_eq!(TokenRecord::from_cache(&record.to_cache()), Some(record));
        for other in [
            "",
            "null",
            "{}",
            r#"{"id":"a","account_id":null,"kind":"x"}"#,
            // What the version before permissions kept.
            r#"{"id":"a","account_id":null,"kind":"relay"}"#,
        ] {
            assert_eq!(TokenRecord::from_cache(other), None, "{other}");
        }
    }

    const NOW: i64 = 1_764_551_330_722_170;

    /// An API token of the account, without permissions.
    fn token(account: AccountId) -> TokenRecord {
        TokenRecord {
            id: TokenId("t".into()),
            account: Some(account),
            kind: TokenKind::Api,
            permissions: Permissions::default(),
            not_before: None,
            expires: None,
        }
    }

    fn outcome(token: Option<&TokenRecord>, access: Access) -> String {
        match authorize(token.cloned(), access, Timestamp::from_micros(NOW)) {
            Ok(token) => token.id.0,
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn a_token_serves_its_account_and_use_only() {
        let [mine, other] = [1, 2].map(|n| AccountId::from_random([n; 16]));
        let api = TokenRecord {
            permissions: Permissions::all(),
            ..token(mine)
        };
        // A damaged row must not open anything: no relay token has an account or permissions.
        let damaged = TokenRecord {
            kind: TokenKind::Relay,
            ..api.clone()
        };
        let relay = TokenRecord {
            account: None,
            permissions: Permissions::default(),
            ..damaged.clone()
        };
        let without = TokenRecord {
            account: None,
            ..api.clone()
        };
        let without_rights = token(mine);
        let account = |account| Access::Account(account, Permission::StreamRead);
        for (token, access, expected) in [
            (None, account(mine), "403/9109"),
            (None, Access::Relay, "403/9109"),
            (Some(&api), account(mine), "t"),
            (Some(&api), account(other), "403/10000"),
            (Some(&api), Access::Relay, "403/10000"),
            (Some(&without), account(mine), "403/10000"),
            (Some(&relay), Access::Relay, "t"),
            (Some(&relay), account(mine), "403/10000"),
            (Some(&damaged), account(mine), "403/10000"),
            (Some(&without_rights), Access::Holder(None), "t"),
            (Some(&without_rights), Access::Holder(Some(mine)), "t"),
            (Some(&api), Access::Holder(Some(other)), "403/10000"),
            (Some(&relay), Access::Holder(None), "403/10000"),
            (Some(&api), Access::Operator, "403/10000"),
        ] {
            assert_eq!(outcome(token, access), expected, "{token:?}");
        }
    }

    #[test]
    fn the_operator_has_one_secret() {
        let sent = Secret::new(TOKEN);
        for (configured, expected) in [
            (Some(TOKEN), None),
            (Some(&*format!("{TOKEN}\n")), None),
            (Some(&*TOKEN.to_lowercase()), Some(Failure::forbidden())),
            (None, Some(Failure::no_bootstrap())),
            (Some(""), Some(Failure::no_bootstrap())),
            (TOKEN.get(..39), Some(Failure::no_bootstrap())),
        ] {
            assert_eq!(authorize_operator(&sent, configured).err(), expected);
        }
    }

    #[test]
    fn a_token_needs_the_permission() {
        let mine = AccountId::from_random([1; 16]);
        for has in Permission::ALL {
            let permissions: Permissions = [has].into_iter().collect();
            let token = TokenRecord {
                permissions,
                ..token(mine)
            };
            for needs in Permission::ALL {
                let expected = if permissions.allow(needs) {
                    "t"
                } else {
                    "403/10000"
                };
                let access = Access::Account(mine, needs);
                assert_eq!(outcome(Some(&token), access), expected, "{has}: {needs}");
            }
        }
    }

    #[test]
    fn a_token_has_its_time() {
        let mine = AccountId::from_random([1; 16]);
        let at = |micros| Some(Timestamp::from_micros(micros));
        for (not_before, expires, expected) in [
            (at(NOW), None, "t"),
            (at(NOW + 1), None, "403/9109"),
            (None, at(NOW + 1), "t"),
            (None, at(NOW), "403/9109"),
            (at(NOW), at(NOW + 1), "t"),
        ] {
            let token = TokenRecord {
                permissions: Permissions::all(),
                not_before,
                expires,
                ..token(mine)
            };
            let access = Access::Account(mine, Permission::StreamWrite);
            assert_eq!(outcome(Some(&token), access), expected);
        }
    }
}
