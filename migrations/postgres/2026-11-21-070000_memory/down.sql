DROP TABLE memory_vectors;
DROP TABLE memories;
DROP TABLE memory_owners;
