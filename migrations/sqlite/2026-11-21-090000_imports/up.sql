-- When messages of another system were last stored in the session: they are older than that, and must be found by who
-- asks for what changed.
ALTER TABLE sessions ADD COLUMN imported_at BIGINT;

CREATE INDEX sessions_by_import ON sessions (owner, imported_at) WHERE imported_at IS NOT NULL;
