-- What API tokens may do, and when.
--
-- `tag` is the id that the API shows. `id` belongs to the secret: to roll a token gives it a new
-- one with the new `hash`, so that what was known of the old secret is good for nothing.
-- `permissions` is a set: 1 Stream Read, 2 Stream Write, 4 Account API Tokens Read, 8 Account API
-- Tokens Write, 16 Notifications Read, 32 Notifications Write. It follows from `policies`, JSON as
-- the token was given them, and where those are NULL, from one policy that allows the set.
-- Tokens that were there before may do everything, as they could.

ALTER TABLE tokens ADD COLUMN permissions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN policies TEXT NULL;
ALTER TABLE tokens ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));
ALTER TABLE tokens ADD COLUMN not_before INTEGER NULL;
ALTER TABLE tokens ADD COLUMN expires INTEGER NULL;
ALTER TABLE tokens ADD COLUMN modified INTEGER NOT NULL DEFAULT 0;

ALTER TABLE tokens ADD COLUMN tag TEXT NULL;

UPDATE tokens SET tag = id;
UPDATE tokens SET permissions = 63 WHERE kind = 'api';
UPDATE tokens SET modified = created;

CREATE UNIQUE INDEX tokens_by_tag ON tokens (tag);
