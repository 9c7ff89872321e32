CREATE TABLE sessions (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    title_chosen BOOLEAN NOT NULL,
    channel TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    message_count BIGINT NOT NULL,
    -- Position of the newest message ever stored: positions are not used again after messages were cleared.
    last_seq BIGINT NOT NULL,
    model TEXT,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

CREATE INDEX sessions_by_activity ON sessions (owner, updated_at DESC, id);

CREATE TABLE messages (
    row_id INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    session_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    role TEXT NOT NULL,
    text TEXT NOT NULL,
    images TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    run_id TEXT,
    model TEXT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_input_tokens BIGINT,
    UNIQUE (owner, session_id, seq),
    FOREIGN KEY (owner, session_id) REFERENCES sessions (owner, id) ON DELETE CASCADE
);

-- Full-text index of the messages. `owner` holds one word per owner, so that the index itself finds one owner's messages.
-- The text is not kept a second time. The beginnings of words have entries of their own, or a search for a common
-- beginning would have to merge those of all its words. Rows are added by the program, some time after their message, and removed by the
-- trigger.
CREATE VIRTUAL TABLE message_search USING fts5 (
    owner,
    text,
    content = '',
    contentless_delete = 1,
    prefix = '1 2 3 4 5',
    tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE TRIGGER messages_leave_search AFTER DELETE ON messages BEGIN
    DELETE FROM message_search WHERE rowid = old.row_id;
END;

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    session_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    -- What the caller asked for, as JSON; empty when nothing.
    options TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    -- Position of the newest journalled event.
    last_seq BIGINT NOT NULL,
    FOREIGN KEY (owner, session_id) REFERENCES sessions (owner, id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE INDEX runs_by_session ON runs (owner, session_id, created_at DESC);
CREATE INDEX runs_unfinished ON runs (created_at) WHERE finished_at IS NULL;

-- One row per batch of events, as they were appended together.
CREATE TABLE run_events (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (run_id, first_seq)
) WITHOUT ROWID;

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    -- Names of scopes, separated by spaces.
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
) WITHOUT ROWID;

CREATE INDEX api_keys_by_owner ON api_keys (owner, created_at DESC);
