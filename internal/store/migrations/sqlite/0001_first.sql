-- The log. position is dense over the whole table, sequence within a stream.
CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    id          TEXT   NOT NULL,
    workspace   TEXT   NOT NULL,
    stream      TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    time        BIGINT NOT NULL,
    project     TEXT   NOT NULL,
    task        TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    agent       TEXT   NOT NULL,
    execution   TEXT   NOT NULL,
    correlation TEXT   NOT NULL,
    causation   TEXT   NOT NULL,
    traceparent TEXT   NOT NULL,
    data        TEXT   NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_stream ON events (stream, sequence);
CREATE INDEX events_run ON events (run, position) WHERE run <> '';

-- What people want, as task.created said it.
CREATE TABLE tasks (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    data       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tasks_workspace ON tasks (workspace, id);

-- The fold of each run's stream; state is the fold, the rest are copies to search by.
CREATE TABLE runs (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    task       TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    sequence   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state      TEXT   NOT NULL
);
CREATE INDEX runs_workspace ON runs (workspace, id);

CREATE TABLE executions (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    task        TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    parent      TEXT   NOT NULL,
    parent_step TEXT   NOT NULL,
    workflow    TEXT   NOT NULL,
    input       TEXT,
    status      TEXT   NOT NULL,
    wake_at     BIGINT,           -- NULL: only a signal or a cancel makes it due
    awaits      TEXT,             -- JSON array of signal names
    cancel_why  TEXT   NOT NULL,
    result      TEXT,
    failure     TEXT,
    deadline    BIGINT,
    owner       TEXT   NOT NULL,
    lease_until BIGINT,
    term        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL   -- of the last change of status; waiting is measured from it
);
-- Only work that is left is in this index, however long the history grows.
CREATE INDEX executions_due ON executions (wake_at) WHERE status IN ('ready', 'waiting');
CREATE INDEX executions_run ON executions (run) WHERE run <> '';
CREATE INDEX executions_parent ON executions (parent) WHERE parent <> '';
CREATE INDEX executions_workspace ON executions (workspace, id);

-- The journal.
CREATE TABLE steps (
    execution   TEXT   NOT NULL REFERENCES executions (id),
    ord         BIGINT NOT NULL,
    workspace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    input       TEXT   NOT NULL,
    output      TEXT,
    failure     TEXT,
    attempts    BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    started_at  BIGINT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (execution, ord)
);
CREATE UNIQUE INDEX steps_name ON steps (execution, name);

CREATE TABLE signals (
    id        TEXT   NOT NULL PRIMARY KEY,
    workspace TEXT   NOT NULL,
    execution TEXT   NOT NULL REFERENCES executions (id),
    name      TEXT   NOT NULL,
    payload   TEXT,
    sent_at   BIGINT NOT NULL,
    taken_at  BIGINT            -- NULL: not consumed; a taken signal stays, so that its id stays spent
);
CREATE INDEX signals_waiting ON signals (execution, name, sent_at) WHERE taken_at IS NULL;

-- Money set aside and spent, in nanodollars.
CREATE TABLE ledger (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    reserved    BIGINT NOT NULL,
    settled     BIGINT,           -- NULL: open, counts in full
    usage       TEXT,             -- JSON, when settled
    note        TEXT   NOT NULL,
    reserved_at BIGINT NOT NULL,
    settled_at  BIGINT
);
CREATE INDEX ledger_run ON ledger (run, workspace, settled, reserved);
