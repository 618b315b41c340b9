-- Where an account's events are sent.
--
-- `secret_sealed` and `signing_sealed` are encrypted secrets.

-- What `/stream/webhook` sets: one for an account.
CREATE TABLE stream_webhooks (
    account_id TEXT PRIMARY KEY REFERENCES accounts(id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret_sealed TEXT NOT NULL,
    modified INTEGER NOT NULL
) STRICT;

-- `secret_sealed` is what `cf-webhook-auth` carries, or NULL; `signing_sealed` signs.
CREATE TABLE webhook_destinations (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    secret_sealed TEXT NULL,
    signing_sealed TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_destinations_by_account ON webhook_destinations (account_id, created, id);

-- `filters` is JSON, `destinations` a JSON array of ids, of which some may be gone.
CREATE TABLE notification_policies (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    filters TEXT NOT NULL,
    destinations TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL
) STRICT;

CREATE INDEX notification_policies_by_account ON notification_policies (account_id, created, id);
