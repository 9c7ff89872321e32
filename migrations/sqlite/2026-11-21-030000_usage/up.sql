-- One row per model call. Kept when its session is deleted: what was spent stays spent.
CREATE TABLE usage_records (
    row_id INTEGER NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    key_id TEXT,
    session_id TEXT,
    run_id TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cached_input_tokens BIGINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    -- Millionths of a US dollar.
    cost BIGINT NOT NULL,
    price_version TEXT,
    created_at BIGINT NOT NULL
);

CREATE INDEX usage_records_by_owner ON usage_records (owner, created_at);

-- Limits that somebody set. A subject is `user:ID`, `key:ID` or `session:USER/ID`.
CREATE TABLE budgets (
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    -- Millionths of a US dollar; NULL does not limit.
    max_cost BIGINT,
    max_tokens BIGINT,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (subject, period)
) WITHOUT ROWID;

-- What was spent, and is set aside for calls under way, in one period of a subject.
CREATE TABLE budget_windows (
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    spent_cost BIGINT NOT NULL,
    spent_tokens BIGINT NOT NULL,
    reserved_cost BIGINT NOT NULL,
    reserved_tokens BIGINT NOT NULL,
    open_calls BIGINT NOT NULL,
    PRIMARY KEY (subject, period, starts_at)
) WITHOUT ROWID;
