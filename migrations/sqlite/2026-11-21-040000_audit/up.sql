-- The audit log. Every entry holds the hash of itself and of the entry before it.
CREATE TABLE audit_entries (
    seq BIGINT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    actor TEXT,
    credential TEXT NOT NULL,
    key_id TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    address TEXT,
    request_id TEXT,
    -- How many alike acts the entry stands for.
    occurrences BIGINT NOT NULL,
    -- An object of texts, as JSON.
    details TEXT NOT NULL,
    hash BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX audit_entries_by_actor ON audit_entries (actor, seq);

-- One row: both ends of the chain. Who appends updates it first, so that appending happens one after the other.
CREATE TABLE audit_chain (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    -- The last archived entry, which is no longer stored; zeros when nothing was archived.
    base_seq BIGINT NOT NULL,
    base_hash BLOB NOT NULL,
    last_seq BIGINT NOT NULL,
    last_hash BLOB NOT NULL
) WITHOUT ROWID;

INSERT INTO audit_chain VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

-- What the server found when it examined itself, one report for each day.
CREATE TABLE self_audit_reports (
    date TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    -- A list of checks, as JSON.
    checks TEXT NOT NULL
) WITHOUT ROWID;
