//! The text of every statement that changes or guards something.
//!
//! In changes, `?1` is who asks ([`asker`](super::asker)), `?2` the account, `?3` the live input,
//! `?4` the `rev` of the change, and the rest differs.

macro_rules! api_token_is_good {
    () => {
        "EXISTS (SELECT 1 FROM tokens
            WHERE id = ?1 ->> 'id' AND account_id = ?2 AND kind = 'api' AND revoked IS NULL
                AND NOT disabled AND permissions & (?1 ->> 'needs') <> 0
                AND (not_before IS NULL OR not_before <= ?1 ->> 'now')
                AND (expires IS NULL OR expires > ?1 ->> 'now'))"
    };
}

macro_rules! input_is_older {
    () => {
        "EXISTS (SELECT 1 FROM live_inputs WHERE uid = ?3 AND account_id = ?2 AND rev < ?4)"
    };
}

/// The creation's `Idempotency-Key`, NULL if it has none, made nothing until `$now`.
macro_rules! key_is_free {
    ($key:literal, $now:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM idempotency_keys
                WHERE account_id = ?2 AND key = ",
            $key,
            " AND expires > ",
            $now,
            ")"
        )
    };
}

/// Token by hash, if it was not taken away. `?1` hash.
pub(crate) const TOKEN: &str = "SELECT id, account_id, kind, permissions, not_before, expires
    FROM tokens WHERE hash = ?1 AND revoked IS NULL AND NOT disabled";

/// `?1` who asks, `?2` account.
pub(crate) const API_GUARD: &str = concat!("SELECT ", api_token_is_good!(), " AS good");

/// `?1` token.
pub(crate) const RELAY_GUARD: &str = "SELECT EXISTS (SELECT 1 FROM tokens
    WHERE id = ?1 AND kind = 'relay' AND revoked IS NULL AND NOT disabled) AS good";

/// `?1` input.
pub(crate) const INPUT: &str = "SELECT uid, account_id, meta, enabled, key_hash, key_sealed,
    key_number, keys_rotated, old_key_hash, old_key_until, rev, created, modified,
    reconnect_window, on_stop, on_format_change, takeover
    FROM live_inputs WHERE uid = ?1";

/// `?1` input.
pub(crate) const LIFECYCLE: &str = "SELECT state FROM live_inputs WHERE uid = ?1";

/// `?1` input.
pub(crate) const OUTPUTS: &str =
    "SELECT uid, url, key_sealed, enabled, meta, retry, rev, created, modified
    FROM outputs WHERE input_uid = ?1 ORDER BY position";

/// What goes on, for lists. `?1` input, `?2` state, `?3` since, `?4` outputs that are up.
pub(crate) const MIRROR: &str =
    "UPDATE live_inputs SET state = ?2, state_since = ?3, outputs_up = ?4 WHERE uid = ?1";

/// After it, no statement with a lower `rev` can change the input: one that timed out and arrives
/// late finds itself too old. `?1` input, `?2` rev.
pub(crate) const FENCE: &str = "UPDATE live_inputs SET rev = ?2 WHERE uid = ?1 AND rev < ?2";

/// `?5` meta, `?6` enabled, `?7` key_hash, `?8` key_sealed, `?9` now, `?10` limit,
/// `?11` idempotency key or NULL, `?12` to `?15` settings.
pub(crate) const CREATE_INPUT: &str = concat!(
    "INSERT INTO live_inputs
        (uid, account_id, meta, enabled, key_hash, key_sealed, rev, created, modified,
        reconnect_window, on_stop, on_format_change, takeover)
    SELECT ?3, ?2, ?5, ?6, ?7, ?8, ?4, ?9, ?9, ?12, ?13, ?14, ?15
    WHERE ",
    api_token_is_good!(),
    " AND (SELECT count(*) FROM live_inputs WHERE account_id = ?2) < ?10 AND ",
    key_is_free!("?11", "?9"),
    " RETURNING uid"
);

/// `?7` now, and what is NULL stays: `?5` meta, `?6` enabled, `?8` to `?11` settings.
pub(crate) const UPDATE_INPUT: &str = concat!(
    "UPDATE live_inputs
    SET meta = coalesce(?5, meta), enabled = coalesce(?6, enabled), rev = ?4, modified = ?7,
        reconnect_window = coalesce(?8, reconnect_window), on_stop = coalesce(?9, on_stop),
        on_format_change = coalesce(?10, on_format_change), takeover = coalesce(?11, takeover)
    WHERE uid = ?3 AND account_id = ?2 AND rev < ?4 AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// A rotation within the overlap of an earlier one ends that: one old key is honoured at most.
/// `?5` key_hash, `?6` key_sealed, `?7` until when the old key is honoured or NULL, `?8` now.
pub(crate) const ROTATE_KEYS: &str = concat!(
    "UPDATE live_inputs
    SET old_key_hash = CASE WHEN ?7 IS NULL THEN NULL ELSE key_hash END, old_key_until = ?7,
        key_hash = ?5, key_sealed = ?6, key_number = key_number + 1, keys_rotated = ?8,
        rev = ?4, modified = ?8
    WHERE uid = ?3 AND account_id = ?2 AND rev < ?4 AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// Outputs go with it (cascade).
pub(crate) const DELETE_INPUT: &str = concat!(
    "DELETE FROM live_inputs WHERE uid = ?3 AND account_id = ?2 AND rev < ?4 AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// `?5` uid, `?6` url, `?7` key_sealed, `?8` enabled, `?9` now, `?10` limit, `?11` meta,
/// `?12` idempotency key or NULL.
pub(crate) const CREATE_OUTPUT: &str = concat!(
    "INSERT INTO outputs (uid, input_uid, url, key_sealed, enabled, meta, rev, created, modified)
    SELECT ?5, ?3, ?6, ?7, ?8, ?11, ?4, ?9, ?9
    WHERE ",
    api_token_is_good!(),
    " AND ",
    input_is_older!(),
    " AND (SELECT count(*) FROM outputs WHERE input_uid = ?3) < ?10 AND ",
    key_is_free!("?12", "?9"),
    " RETURNING uid"
);

/// `?5` output, `?7` now, and what is NULL stays: `?6` enabled, `?8` url, `?9` key_sealed,
/// `?10` meta.
pub(crate) const UPDATE_OUTPUT: &str = concat!(
    "UPDATE outputs SET enabled = coalesce(?6, enabled), url = coalesce(?8, url),
        key_sealed = coalesce(?9, key_sealed), meta = coalesce(?10, meta), rev = ?4, modified = ?7
    WHERE uid = ?5 AND input_uid = ?3 AND ",
    input_is_older!(),
    " AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// `?5` output. The `rev` serves as a number that rises with each.
pub(crate) const RETRY_OUTPUT: &str = concat!(
    "UPDATE outputs SET retry = ?4, rev = ?4 WHERE uid = ?5 AND input_uid = ?3 AND ",
    input_is_older!(),
    " AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// `?5` output.
pub(crate) const DELETE_OUTPUT: &str = concat!(
    "DELETE FROM outputs WHERE uid = ?5 AND input_uid = ?3 AND ",
    input_is_older!(),
    " AND ",
    api_token_is_good!(),
    " RETURNING uid"
);

/// After a change of an output: moves its input to the change's `rev`.
///
/// Whether there was such an output cannot be told any more once it is deleted. Should there have
/// been none, a `rev` is skipped, which nobody sees.
pub(crate) const ADVANCE_INPUT: &str = concat!(
    "UPDATE live_inputs SET rev = ?4
    WHERE uid = ?3 AND account_id = ?2 AND rev < ?4 AND ",
    api_token_is_good!()
);

/// What the creation with this key made before. `?1` account, `?2` idempotency key, `?3` now.
pub(crate) const MADE: &str = "SELECT request, input_uid, output_uid FROM idempotency_keys
    WHERE account_id = ?1 AND key = ?2 AND expires > ?3";

/// After a creation: what it made, if it did. `?5` idempotency key, `?6` request, `?7` output or
/// NULL, `?8` expires.
pub(crate) const REMEMBER: &str = concat!(
    "INSERT OR REPLACE INTO idempotency_keys
        (account_id, key, request, input_uid, output_uid, expires)
    SELECT ?2, ?5, ?6, ?3, ?7, ?8
    WHERE ",
    api_token_is_good!(),
    " AND EXISTS (SELECT 1 FROM live_inputs WHERE uid = ?3 AND account_id = ?2 AND rev = ?4)
        AND (?7 IS NULL OR EXISTS (SELECT 1 FROM outputs WHERE uid = ?7 AND input_uid = ?3))"
);

/// Each creation with a key takes some away whose time is over, more than it adds: the table never
/// holds more than six hours brought. `?1` now.
pub(crate) const FORGET: &str = "DELETE FROM idempotency_keys WHERE (account_id, key) IN
    (SELECT account_id, key FROM idempotency_keys WHERE expires <= ?1 ORDER BY expires LIMIT 4)";

/// Why a change did nothing: whether the token is good, and the input's `rev` if it exists.
pub(crate) const DIAGNOSIS: &str = concat!(
    "SELECT ",
    api_token_is_good!(),
    " AS good, (SELECT rev FROM live_inputs WHERE uid = ?3 AND account_id = ?2) AS rev"
);
