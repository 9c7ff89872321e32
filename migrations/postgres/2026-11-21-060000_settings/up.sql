-- Settings changed while the server runs, and what users prefer.
CREATE TABLE settings (
    -- Whose it is; the installation's are the operator's.
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON, or what a secret was sealed to.
    value TEXT NOT NULL,
    sealed BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

CREATE INDEX settings_by_name ON settings (name, owner);
CREATE INDEX settings_sealed ON settings (owner, name) WHERE sealed;
