-- The Merkle trees over the streams of audit entries: hash idx of a tree is where
-- golang.org/x/mod/sumdb/tlog stores it.
CREATE TABLE audit_hashes (
    workspace TEXT COLLATE "C" NOT NULL,
    idx       BIGINT NOT NULL,
    hash      TEXT COLLATE "C" NOT NULL,  -- base64
    PRIMARY KEY (workspace, idx)
);

-- What was signed of those trees.
CREATE TABLE audit_checkpoints (
    workspace  TEXT COLLATE "C" NOT NULL,
    size       BIGINT NOT NULL,
    note       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, size)
);
