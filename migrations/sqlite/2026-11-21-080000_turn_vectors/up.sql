-- Vectors of memories and, besides, of messages. Their owner's revisions number them, so that whoever has read some finds
-- the later ones. What was embedded before is embedded anew.
DROP TABLE memory_vectors;

CREATE TABLE memory_vectors (
    owner TEXT NOT NULL,
    revision BIGINT NOT NULL,
    -- Whose vector it is: one of the two.
    memory_id TEXT UNIQUE REFERENCES memories (id) ON DELETE CASCADE,
    message_id TEXT UNIQUE REFERENCES messages (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    dimension BIGINT NOT NULL,
    -- `dimension` numbers of 32 bits, the least significant byte first.
    vector BLOB NOT NULL,
    PRIMARY KEY (owner, revision),
    CHECK ((memory_id IS NULL) <> (message_id IS NULL))
);
