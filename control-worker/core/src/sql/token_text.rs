//! The text of the statements about tokens and accounts.
//!
//! `?1` is who asks ([`asker`](super::asker)), `?2` the account, `?3` the tag of the token that it
//! is about, and the rest differs.

macro_rules! token_columns {
    () => {
        "tag, name, permissions, policies, disabled, not_before, expires, created, modified"
    };
}

macro_rules! the_token {
    () => {
        "tag = ?3 AND account_id = ?2 AND kind = 'api' AND revoked IS NULL"
    };
}

/// `?4` hash, `?5` name, `?6` permissions, `?7` policies, `?8` not_before, `?9` expires, `?10` now,
/// `?11` limit.
pub(crate) const CREATE_TOKEN: &str = concat!(
    "INSERT INTO tokens (id, tag, hash, account_id, kind, name, permissions, policies,
        not_before, expires, created, modified)
    SELECT ?3, ?3, ?4, ?2, 'api', ?5, ?6, ?7, ?8, ?9, ?10, ?10
    WHERE ",
    api_token_is_good!(),
    " AND (SELECT count(*) FROM tokens
        WHERE account_id = ?2 AND kind = 'api' AND revoked IS NULL) < ?11
    RETURNING ",
    token_columns!()
);

/// A token must not end its own right to manage tokens. `?4` name or NULL, `?5` permissions or
/// NULL, `?6` policies or NULL, `?7` disabled or NULL, `?8` whether to set not_before, `?9`
/// not_before, `?10` whether to set expires, `?11` expires, `?12` now.
pub(crate) const UPDATE_TOKEN: &str = concat!(
    "UPDATE tokens SET name = coalesce(?4, name), permissions = coalesce(?5, permissions),
        policies = coalesce(?6, policies), disabled = coalesce(?7, disabled),
        not_before = CASE WHEN ?8 THEN ?9 ELSE not_before END,
        expires = CASE WHEN ?10 THEN ?11 ELSE expires END, modified = ?12
    WHERE ",
    the_token!(),
    " AND ",
    api_token_is_good!(),
    " AND (id <> ?1 ->> 'id' OR (coalesce(?5, permissions) & (?1 ->> 'needs') <> 0
        AND coalesce(?7, disabled) = 0 AND NOT (?8 AND coalesce(?9, 0) > ?12)))
    RETURNING ",
    token_columns!()
);

/// `?4` id of the new secret, `?5` its hash, `?6` now.
pub(crate) const ROLL_TOKEN: &str = concat!(
    "UPDATE tokens SET id = ?4, hash = ?5, modified = ?6 WHERE ",
    the_token!(),
    " AND ",
    api_token_is_good!(),
    " RETURNING ",
    token_columns!()
);

/// As with [`UPDATE_TOKEN`], another token has to.
pub(crate) const DELETE_TOKEN: &str = concat!(
    "DELETE FROM tokens WHERE ",
    the_token!(),
    " AND ",
    api_token_is_good!(),
    " AND id <> ?1 ->> 'id' RETURNING ",
    token_columns!()
);

/// Why a change of a token did nothing.
pub(crate) const TOKEN_DIAGNOSIS: &str = concat!(
    "SELECT ",
    api_token_is_good!(),
    " AS good, EXISTS (SELECT 1 FROM tokens WHERE ",
    the_token!(),
    ") AS found"
);

/// One token.
pub(crate) const TOKEN_DETAILS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM tokens WHERE ",
    the_token!(),
    " AND ",
    api_token_is_good!()
);

/// The token that asks, whatever it may do: nothing but itself is looked at. `?2` account.
pub(crate) const OWN_TOKEN: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM tokens
    WHERE id = ?1 ->> 'id' AND account_id = ?2 AND kind = 'api' AND revoked IS NULL
        AND NOT disabled
        AND (not_before IS NULL OR not_before <= ?1 ->> 'now')
        AND (expires IS NULL OR expires > ?1 ->> 'now')"
);

/// A page of them. `?3` whether expired ones too, `?4` 1 for oldest first, -1 for newest first, `?5`
/// limit, `?6` offset.
pub(crate) const LIST_TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM tokens
    WHERE account_id = ?2 AND kind = 'api' AND revoked IS NULL
        AND (?3 OR expires IS NULL OR expires > ?1 ->> 'now') AND ",
    api_token_is_good!(),
    " ORDER BY created * ?4, CASE WHEN ?4 > 0 THEN tag END, tag DESC LIMIT ?5 OFFSET ?6"
);

/// How many those are on all pages. `?3` as there.
pub(crate) const COUNT_TOKENS: &str = concat!(
    "SELECT ",
    api_token_is_good!(),
    " AS good, count(*) AS total FROM tokens
    WHERE account_id = ?2 AND kind = 'api' AND revoked IS NULL
        AND (?3 OR expires IS NULL OR expires > ?1 ->> 'now')"
);

/// Which of several tokens may still do something, of those whose ids `?1` lists. `?2` account.
pub(crate) const GOOD_TOKENS: &str = "SELECT id FROM tokens
    WHERE id IN (SELECT value FROM json_each(?1, '$.id'))
        AND account_id = ?2 AND kind = 'api' AND revoked IS NULL AND NOT disabled
        AND permissions & (?1 ->> 'needs') <> 0
        AND (not_before IS NULL OR not_before <= ?1 ->> 'now')
        AND (expires IS NULL OR expires > ?1 ->> 'now')";

/// `?1` account.
pub(crate) const ACCOUNT_EXISTS: &str =
    "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ?1) AS good";

/// `?1` account, `?2` input.
pub(crate) const INPUT_EXISTS: &str =
    "SELECT EXISTS (SELECT 1 FROM live_inputs WHERE uid = ?2 AND account_id = ?1) AS good";

/// `?1` account, `?2` name, `?3` now.
pub(crate) const CREATE_ACCOUNT: &str =
    "INSERT INTO accounts (id, name, created) VALUES (?1, ?2, ?3)";

/// An account's first token. `?1` tag, `?2` account, `?3` hash, `?4` name, `?5` permissions, `?6`
/// now.
pub(crate) const CREATE_FIRST_TOKEN: &str = "INSERT INTO tokens
    (id, tag, hash, account_id, kind, name, permissions, created, modified)
    VALUES (?1, ?1, ?3, ?2, 'api', ?4, ?5, ?6, ?6)";
