DROP INDEX sessions_by_import;
ALTER TABLE sessions DROP COLUMN imported_at;
