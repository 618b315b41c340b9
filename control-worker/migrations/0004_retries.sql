-- Trying an output again at once: the `rev` of the live input when somebody last asked for it.
ALTER TABLE outputs ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;
