-- The code bases that a workspace was given, by where they lie on the server.
CREATE TABLE projects (
    workspace  TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    path       TEXT COLLATE "C" NOT NULL,
    within     TEXT COLLATE "C" NOT NULL,  -- the directory that it must not lead out of; '': anywhere
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    updated_at BIGINT           NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX projects_name ON projects (workspace, name);

ALTER TABLE runs ADD COLUMN asked_at BIGINT;  -- since when it waits for a person; NULL: it does not
UPDATE runs SET asked_at = updated_at WHERE status IN ('queued', 'running', 'waiting') AND state LIKE '%"decided":false%';
CREATE INDEX runs_asked ON runs (workspace, asked_at, id) WHERE asked_at IS NOT NULL;
CREATE INDEX runs_status ON runs (workspace, status, id);
CREATE INDEX runs_task ON runs (workspace, task, id);

CREATE INDEX executions_made ON executions (workspace, created_at, id);
CREATE INDEX executions_project ON executions (workspace, project, run) WHERE parent = '' AND run <> '';
CREATE INDEX executions_user ON executions (workspace, user_id, run) WHERE parent = '' AND run <> '';
CREATE INDEX executions_ready ON executions (workspace, wake_at) WHERE status IN ('ready', 'waiting');
