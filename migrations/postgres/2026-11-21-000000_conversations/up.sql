-- Stems every word and, unlike the built-in `english`, leaves none out.
CREATE TEXT SEARCH DICTIONARY majordomo_stem (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION majordomo (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION majordomo ALTER MAPPING FOR asciiword, word, numword WITH majordomo_stem;

CREATE TABLE sessions (
    owner TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
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
);

CREATE INDEX sessions_by_activity ON sessions (owner, updated_at DESC, id);

CREATE TABLE messages (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    role TEXT NOT NULL,
    text TEXT NOT NULL,
    images TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    run_id TEXT COLLATE "C",
    model TEXT,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cached_input_tokens BIGINT,
    UNIQUE (owner, session_id, seq),
    FOREIGN KEY (owner, session_id) REFERENCES sessions (owner, id) ON DELETE CASCADE
);

-- Full-text index of the messages; rows are added by the program, newer ones with larger numbers.
CREATE TABLE message_search (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES messages (id) ON DELETE CASCADE,
    owner TEXT COLLATE "C" NOT NULL,
    words TSVECTOR NOT NULL
);

CREATE INDEX message_search_by_owner ON message_search (owner, row_id DESC);
CREATE INDEX message_search_words ON message_search USING gin (words);

CREATE TABLE runs (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    message_id TEXT COLLATE "C" NOT NULL,
    -- What the caller asked for, as JSON; empty when nothing.
    options TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    -- Position of the newest journalled event.
    last_seq BIGINT NOT NULL,
    FOREIGN KEY (owner, session_id) REFERENCES sessions (owner, id) ON DELETE CASCADE
);

CREATE INDEX runs_by_session ON runs (owner, session_id, created_at DESC);
CREATE INDEX runs_unfinished ON runs (created_at) WHERE finished_at IS NULL;

-- One row per batch of events, as they were appended together.
CREATE TABLE run_events (
    run_id TEXT COLLATE "C" NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (run_id, first_seq)
);

CREATE TABLE api_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    -- Names of scopes, separated by spaces.
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX api_keys_by_owner ON api_keys (owner, created_at DESC);
