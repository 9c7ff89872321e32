DROP INDEX memory_vectors_of_messages;
DROP INDEX memory_vectors_of_memories;
