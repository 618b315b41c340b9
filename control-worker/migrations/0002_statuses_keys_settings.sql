-- How a live input stands, the rotation of its key, its settings; names of outputs; creations that
-- may be asked for twice.

-- Mirrored from the input's object, so that lists ask nobody else: `state` is NULL before the first
-- encoder, `state_since` when it was entered, `outputs_up` how many outputs are live.
ALTER TABLE live_inputs ADD COLUMN state TEXT NULL;
ALTER TABLE live_inputs ADD COLUMN state_since INTEGER NULL;
ALTER TABLE live_inputs ADD COLUMN outputs_up INTEGER NOT NULL DEFAULT 0;

-- `key_number` counts the rotations, `keys_rotated` is the time of the last one. The key before it
-- is honoured until `old_key_until`, and `old_key_hash` is its keyed hash.
ALTER TABLE live_inputs ADD COLUMN key_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE live_inputs ADD COLUMN keys_rotated INTEGER NULL;
ALTER TABLE live_inputs ADD COLUMN old_key_hash TEXT NULL;
ALTER TABLE live_inputs ADD COLUMN old_key_until INTEGER NULL;

-- How the publisher is treated; the defaults are those of the API.
ALTER TABLE live_inputs ADD COLUMN reconnect_window INTEGER NOT NULL DEFAULT 60;
ALTER TABLE live_inputs ADD COLUMN on_stop TEXT NOT NULL DEFAULT 'end'
    CHECK (on_stop IN ('end', 'hold'));
ALTER TABLE live_inputs ADD COLUMN on_format_change TEXT NOT NULL DEFAULT 'reconnect'
    CHECK (on_format_change IN ('reconnect', 'continue'));
ALTER TABLE live_inputs ADD COLUMN takeover TEXT NOT NULL DEFAULT 'newest'
    CHECK (takeover IN ('newest', 'reject'));

-- The user's JSON text, as that of live inputs.
ALTER TABLE outputs ADD COLUMN meta TEXT NOT NULL DEFAULT '{}';

-- What a creation with an `Idempotency-Key` made: a live input, or an output of one. `request` is a
-- keyed hash of what was asked for. Nothing refers to what was made, which may be gone.
CREATE TABLE idempotency_keys (
    account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    input_uid TEXT NOT NULL,
    output_uid TEXT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires);
