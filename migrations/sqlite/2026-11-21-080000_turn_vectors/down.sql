DROP TABLE memory_vectors;

CREATE TABLE memory_vectors (
    memory_id TEXT NOT NULL PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    model TEXT NOT NULL,
    dimension BIGINT NOT NULL,
    -- `dimension` numbers of 32 bits, the least significant byte first.
    vector BLOB NOT NULL
);

CREATE INDEX memory_vectors_by_owner ON memory_vectors (owner, model, dimension, memory_id);
