-- Vectors of memories are read apart from those of messages: what is new of one must not be sought among the other.
CREATE INDEX memory_vectors_of_memories ON memory_vectors (owner, revision) WHERE memory_id IS NOT NULL;
CREATE INDEX memory_vectors_of_messages ON memory_vectors (owner, revision) WHERE message_id IS NOT NULL;
