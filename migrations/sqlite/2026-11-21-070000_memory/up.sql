-- What each owner remembers in all. Whoever changes the owner's memories changes this row first, so that revisions become
-- visible in their order.
CREATE TABLE memory_owners (
    owner TEXT NOT NULL PRIMARY KEY,
    last_revision BIGINT NOT NULL,
    memories BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE memories (
    row_id INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Content and summary as they are, or sealed.
    content TEXT NOT NULL,
    summary TEXT NOT NULL,
    importance DOUBLE PRECISION NOT NULL,
    -- JSON.
    tags TEXT NOT NULL,
    -- JSON.
    sources TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    accessed_at BIGINT NOT NULL,
    access_count BIGINT NOT NULL,
    decayed_at BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE UNIQUE INDEX memories_by_revision ON memories (owner, revision);
CREATE INDEX memories_by_importance ON memories (owner, importance DESC, accessed_at DESC);
CREATE INDEX memories_by_age ON memories (owner, created_at DESC);

CREATE TABLE memory_vectors (
    memory_id TEXT NOT NULL PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    model TEXT NOT NULL,
    dimension BIGINT NOT NULL,
    -- `dimension` numbers of 32 bits, the least significant byte first.
    vector BLOB NOT NULL
);

CREATE INDEX memory_vectors_by_owner ON memory_vectors (owner, model, dimension, memory_id);
