-- Keys with which programs call models through the gateway. The key itself is
-- not here.
CREATE TABLE gateway_keys (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace    TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    digest       TEXT   NOT NULL,  -- SHA-256 of the key, in hexadecimal
    models       TEXT,             -- JSON array of globs; NULL: every model
    budget       BIGINT,           -- in nanodollars; NULL: none
    period       TEXT   NOT NULL,  -- of the budget: daily, monthly, or '' for ever
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX gateway_keys_workspace ON gateway_keys (workspace, id);
