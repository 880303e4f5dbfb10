-- The keys of workspaces, wrapped by a key ring that is not in the database.
CREATE TABLE workspace_keys (
    workspace  TEXT NOT NULL,
    version    BIGINT NOT NULL,
    wrapped    BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, version)
);

-- Secrets, each version sealed with a key of its workspace.
CREATE TABLE secrets (
    workspace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    BIGINT NOT NULL,
    key_version BIGINT NOT NULL,
    box        BLOB NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name, version)
);
