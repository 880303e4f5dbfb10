-- The log: what readers see. position is dense over the whole table and given
-- out by the sequencer, sequence within a stream by whoever appends.
CREATE TABLE events (
    position    BIGINT NOT NULL PRIMARY KEY,
    id          TEXT COLLATE "C" NOT NULL,
    workspace   TEXT COLLATE "C" NOT NULL,
    stream      TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    time        BIGINT NOT NULL,
    project     TEXT COLLATE "C" NOT NULL,
    task        TEXT COLLATE "C" NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    agent       TEXT COLLATE "C" NOT NULL,
    execution   TEXT COLLATE "C" NOT NULL,
    correlation TEXT COLLATE "C" NOT NULL,
    causation   TEXT COLLATE "C" NOT NULL,
    traceparent TEXT COLLATE "C" NOT NULL,
    data        TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX events_stream ON events (stream, sequence);
CREATE INDEX events_run ON events (run, position) WHERE run <> '';

-- Where each stream stands. Who appends to a stream holds its row.
CREATE TABLE streams (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL, -- '': nothing was appended yet
    sequence  BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Every event id there ever was, and where its event is.
CREATE TABLE event_ids (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream   TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL
);

-- Events that are committed and not yet in the log. n keeps the order of each
-- stream: who takes a number for a stream holds the stream.
CREATE TABLE outbox (
    n           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          TEXT COLLATE "C" NOT NULL,
    workspace   TEXT COLLATE "C" NOT NULL,
    stream      TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    time        BIGINT NOT NULL,
    project     TEXT COLLATE "C" NOT NULL,
    task        TEXT COLLATE "C" NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    agent       TEXT COLLATE "C" NOT NULL,
    execution   TEXT COLLATE "C" NOT NULL,
    correlation TEXT COLLATE "C" NOT NULL,
    causation   TEXT COLLATE "C" NOT NULL,
    traceparent TEXT COLLATE "C" NOT NULL,
    data        TEXT COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Who numbers the log, and up to which position it is numbered. The term fences:
-- a sequencer whose term is over can number nothing more.
CREATE TABLE sequencer (
    name     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner    TEXT COLLATE "C" NOT NULL,
    term     BIGINT NOT NULL,
    until    BIGINT NOT NULL, -- by the server's clock
    position BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO sequencer (name, owner, term, until, position) VALUES ('log', '', 0, 0, 0);

-- Proof that a change was committed, for whoever lost the connection over it.
CREATE TABLE receipts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL -- by the server's clock
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
CREATE INDEX receipts_at ON receipts (at);

-- What people want, as task.created said it.
CREATE TABLE tasks (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace  TEXT COLLATE "C" NOT NULL,
    data       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX tasks_workspace ON tasks (workspace, id);

-- The fold of each run's stream; state is the fold, the rest are copies to search by.
CREATE TABLE runs (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace  TEXT COLLATE "C" NOT NULL,
    task       TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state      TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX runs_workspace ON runs (workspace, id);

CREATE TABLE executions (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace   TEXT COLLATE "C" NOT NULL,
    task        TEXT COLLATE "C" NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    parent      TEXT COLLATE "C" NOT NULL,
    parent_step TEXT COLLATE "C" NOT NULL,
    workflow    TEXT COLLATE "C" NOT NULL,
    input       TEXT COLLATE "C",
    status      TEXT COLLATE "C" NOT NULL,
    wake_at     BIGINT,           -- NULL: only a signal or a cancel makes it due
    awaits      TEXT COLLATE "C",             -- JSON array of signal names
    cancel_why  TEXT COLLATE "C" NOT NULL,
    result      TEXT COLLATE "C",
    failure     TEXT COLLATE "C",
    deadline    BIGINT,
    owner       TEXT COLLATE "C" NOT NULL,
    lease_until BIGINT,
    term        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL   -- of the last change of status; waiting is measured from it
) WITH (fillfactor = 70);
-- Only work that is left is in this index, however long the history grows.
CREATE INDEX executions_due ON executions (wake_at) WHERE status IN ('ready', 'waiting');
CREATE INDEX executions_run ON executions (run) WHERE run <> '';
CREATE INDEX executions_parent ON executions (parent) WHERE parent <> '';
CREATE INDEX executions_workspace ON executions (workspace, id);

-- The journal.
CREATE TABLE steps (
    execution   TEXT COLLATE "C" NOT NULL REFERENCES executions (id),
    ord         BIGINT NOT NULL,
    workspace   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    input       TEXT COLLATE "C" NOT NULL,
    output      TEXT COLLATE "C",
    failure     TEXT COLLATE "C",
    attempts    BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    started_at  BIGINT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (execution, ord)
);
CREATE UNIQUE INDEX steps_name ON steps (execution, name);

CREATE TABLE signals (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL,
    execution TEXT COLLATE "C" NOT NULL REFERENCES executions (id),
    name      TEXT COLLATE "C" NOT NULL,
    payload   TEXT COLLATE "C",
    sent_at   BIGINT NOT NULL,
    taken_at  BIGINT            -- NULL: not consumed; a taken signal stays, so that its id stays spent
);
CREATE INDEX signals_waiting ON signals (execution, name, sent_at) WHERE taken_at IS NULL;

-- Money set aside and spent, in nanodollars.
CREATE TABLE ledger (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace   TEXT COLLATE "C" NOT NULL,
    run         TEXT COLLATE "C" NOT NULL,
    reserved    BIGINT NOT NULL,
    settled     BIGINT,           -- NULL: open, counts in full
    usage       TEXT COLLATE "C",             -- JSON, when settled
    note        TEXT COLLATE "C" NOT NULL,
    reserved_at BIGINT NOT NULL,
    settled_at  BIGINT
);
CREATE INDEX ledger_run ON ledger (run, workspace, settled, reserved);
