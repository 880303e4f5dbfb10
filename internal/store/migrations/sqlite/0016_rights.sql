-- What is set for a workspace or, in the default one, for the installation.
CREATE TABLE settings (
    workspace  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    updated_by TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- Workspaces and people that are being erased or were. What is in one of these
-- workspaces takes no new work.
CREATE TABLE erasures (
    subject    TEXT   NOT NULL PRIMARY KEY,  -- id of a workspace or a person
    begun_by   TEXT   NOT NULL,
    begun_at   BIGINT NOT NULL,
    done_at    BIGINT                        -- NULL: interrupted, or still at it
);
