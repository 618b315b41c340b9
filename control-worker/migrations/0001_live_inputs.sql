-- Accounts, the tokens that speak for them, live inputs and their outputs.
--
-- Times are microseconds since 1970-01-01T00:00:00Z. Ids are 32 lowercase hexadecimal digits.
-- `revoked` is the time of revocation, or NULL while the token is good.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- `hash` is the SHA-256 of the token in lowercase hexadecimal. Tokens of kind 'relay' belong to
-- nodes, which serve every account: their `account_id` is NULL.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    account_id TEXT NULL REFERENCES accounts(id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('api', 'relay')),
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER NULL
) STRICT;

CREATE INDEX tokens_by_account ON tokens (account_id);

-- `meta` is the user's JSON text as it came. `key_hash` is a keyed hash, `key_sealed` the
-- encrypted stream key. `rev` is the last change that the input's object wrote here.
CREATE TABLE live_inputs (
    uid TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
    meta TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    key_hash TEXT NOT NULL,
    key_sealed TEXT NOT NULL,
    rev INTEGER NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL
) STRICT;

CREATE INDEX live_inputs_by_account ON live_inputs (account_id, created, uid);

-- `position` counts up, and is the order in which an input's outputs were added.
CREATE TABLE outputs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    input_uid TEXT NOT NULL REFERENCES live_inputs(uid) ON DELETE CASCADE,
    url TEXT NOT NULL,
    key_sealed TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL
) STRICT;

CREATE INDEX outputs_by_input ON outputs (input_uid, position);
