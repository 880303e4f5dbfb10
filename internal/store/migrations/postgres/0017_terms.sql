-- How often each thing was acted on, by which somebody who changes it says which
-- state they saw.
CREATE TABLE revisions (
    workspace TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,  -- as acts name it: budget of budget.update
    id        TEXT COLLATE "C" NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);

-- What was done for an Idempotency-Key, written with the act, and what was
-- answered. No answer with a secret in it is kept.
CREATE TABLE kept_answers (
    workspace  TEXT COLLATE "C" NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    route      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,  -- digest
    digest     TEXT COLLATE "C" NOT NULL,  -- of the request
    made       TEXT COLLATE "C" NOT NULL,  -- id of what the act was on
    status     BIGINT  NOT NULL,  -- 0: not answered yet, or not kept
    body       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (workspace, actor, route, key)
);
CREATE INDEX kept_answers_by_age ON kept_answers (created_at);
