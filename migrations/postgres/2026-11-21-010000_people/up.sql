-- People and programs who use the server.
CREATE TABLE users (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- As its user spells it, and in lower case, which is unique.
    username TEXT NOT NULL,
    username_folded TEXT COLLATE "C" NOT NULL UNIQUE,
    role TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    -- Grows with everything that ends the user's tokens.
    token_version BIGINT NOT NULL,
    -- A PHC string; empty where the user has no password.
    password_hash TEXT,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE INDEX users_by_age ON users (created_at, id);

ALTER TABLE api_keys ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;
-- Ranges of addresses, separated by spaces; anywhere when empty.
ALTER TABLE api_keys ADD COLUMN addresses TEXT NOT NULL DEFAULT '';
-- Names of models, one a line; all when empty.
ALTER TABLE api_keys ADD COLUMN models TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN requests_per_minute BIGINT;
