-- The `rev` of the live input's change that last touched an output: whether a node has acknowledged it.
ALTER TABLE outputs ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
