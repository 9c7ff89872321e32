-- Apps that registered themselves.
CREATE TABLE oauth_clients (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- One on each line.
    redirect_uris TEXT NOT NULL,
    -- Names of scopes, separated by spaces.
    scopes TEXT NOT NULL,
    registered_at BIGINT NOT NULL
) WITHOUT ROWID;

-- What a user allowed an app. Codes and tokens live and die with their grant.
CREATE TABLE oauth_grants (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
) WITHOUT ROWID;

CREATE INDEX oauth_grants_by_owner ON oauth_grants (owner, created_at DESC);
CREATE INDEX oauth_grants_by_expiry ON oauth_grants (expires_at);
CREATE INDEX oauth_grants_by_client ON oauth_grants (client_id);

CREATE TABLE oauth_codes (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
) WITHOUT ROWID;

CREATE INDEX oauth_codes_by_grant ON oauth_codes (grant_id);

CREATE TABLE oauth_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- When a refresh token was exchanged: it is kept until it expires, so that a second use is noticed.
    used_at BIGINT
) WITHOUT ROWID;

CREATE INDEX oauth_tokens_by_grant ON oauth_tokens (grant_id);
