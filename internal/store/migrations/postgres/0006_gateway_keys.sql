-- Keys with which programs call models through the gateway. The key itself is
-- not here.
CREATE TABLE gateway_keys (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace    TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    digest       TEXT COLLATE "C" NOT NULL,  -- SHA-256 of the key, in hexadecimal
    models       TEXT COLLATE "C",  -- JSON array of globs; NULL: every model
    budget       BIGINT,           -- in nanodollars; NULL: none
    period       TEXT COLLATE "C" NOT NULL,  -- of the budget: daily, monthly, or '' for ever
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX gateway_keys_workspace ON gateway_keys (workspace, id);
