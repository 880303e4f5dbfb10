-- What is set for a workspace or, in the default one, for the installation.
CREATE TABLE settings (
    workspace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- Workspaces and people that are being erased or were. What is in one of these
-- workspaces takes no new work.
CREATE TABLE erasures (
    subject    TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- id of a workspace or a person
    begun_by   TEXT COLLATE "C" NOT NULL,
    begun_at   BIGINT NOT NULL,
    done_at    BIGINT                                  -- NULL: interrupted, or still at it
);
