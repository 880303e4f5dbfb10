-- The keys of workspaces, wrapped by a key ring that is not in the database.
CREATE TABLE workspace_keys (
    workspace  TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    wrapped    BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, version)
);

-- Secrets, each version sealed with a key of its workspace.
CREATE TABLE secrets (
    workspace  TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    key_version BIGINT NOT NULL,
    box        BYTEA NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name, version)
);
