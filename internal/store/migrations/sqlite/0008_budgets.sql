-- What is not spent at will.
CREATE TABLE budgets (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    scope       TEXT   NOT NULL,
    scope_id    TEXT   NOT NULL,
    period      TEXT   NOT NULL,
    hard_limit  BIGINT NOT NULL,  -- nanodollars
    soft_limit  BIGINT,
    thresholds  TEXT   NOT NULL,  -- JSON array of percent
    created_by  TEXT   NOT NULL,
    updated_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    alerted_at  BIGINT            -- when the log was told last that it refused something
);
CREATE UNIQUE INDEX budgets_scope ON budgets (workspace, scope, scope_id, period);

-- What counts against a budget in one of its periods: the sums of the ledger's
-- rows that it applies to, kept up by whoever changes those.
CREATE TABLE budget_periods (
    budget       TEXT   NOT NULL REFERENCES budgets (id),
    starts_at    BIGINT NOT NULL,  -- 0: absolute
    settled      BIGINT NOT NULL,
    reserved     BIGINT NOT NULL,  -- and not settled
    reached      BIGINT NOT NULL,  -- greatest threshold that the log was told of, in percent
    soft_reached BIGINT NOT NULL,  -- 0 or 1
    PRIMARY KEY (budget, starts_at)
);

ALTER TABLE executions ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE executions ADD COLUMN user_id TEXT NOT NULL DEFAULT '';

ALTER TABLE ledger ADD COLUMN project       TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN task          TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN user_id       TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN execution     TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN term          BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN owner         TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN lease_until   BIGINT NOT NULL DEFAULT 0;  -- then it is lost, unless it is settled
ALTER TABLE ledger ADD COLUMN provider      TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN model         TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN role          TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN price_version TEXT   NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN outcome       TEXT   NOT NULL DEFAULT '';  -- '': open
ALTER TABLE ledger ADD COLUMN prompt        BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN completion    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN cached        BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN cache_write   BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN reasoning     BIGINT NOT NULL DEFAULT 0;
UPDATE ledger SET
    task = COALESCE((SELECT task FROM runs r WHERE r.id = ledger.run), ''),
    execution = COALESCE((SELECT MIN(x.id) FROM executions x WHERE x.run = ledger.run AND x.parent = ''), ''),
    lease_until = reserved_at + 86400000000,
    outcome = CASE WHEN settled IS NULL THEN '' ELSE 'done' END,
    prompt = COALESCE(json_extract(usage, '$.prompt'), 0),
    completion = COALESCE(json_extract(usage, '$.completion'), 0),
    cached = COALESCE(json_extract(usage, '$.cached'), 0),
    cache_write = COALESCE(json_extract(usage, '$.cache_write'), 0),
    reasoning = COALESCE(json_extract(usage, '$.reasoning'), 0);
ALTER TABLE ledger DROP COLUMN usage;
CREATE INDEX ledger_time ON ledger (workspace, reserved_at, id);
CREATE INDEX ledger_open ON ledger (execution) WHERE settled IS NULL;
CREATE INDEX ledger_lease ON ledger (lease_until) WHERE settled IS NULL;
