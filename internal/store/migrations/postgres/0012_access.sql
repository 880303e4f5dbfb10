-- People, the workspaces they are members of, and what they prove who they are
-- with. Of passwords, keys and tokens only digests are here.
CREATE TABLE users (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email       TEXT COLLATE "C" NOT NULL,  -- in lower case; '': the owner of the data directory before an address is set
    name        TEXT COLLATE "C" NOT NULL,
    password    TEXT COLLATE "C" NOT NULL,  -- argon2id in PHC form; '': none
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email) WHERE email <> '';

-- Who vouches for a person besides us.
CREATE TABLE identities (
    issuer     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE workspaces (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE members (
    workspace  TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, user_id)
);
CREATE INDEX members_user ON members (user_id, workspace);

-- Roles that a workspace has besides those that every one has.
CREATE TABLE roles (
    workspace   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    policy      TEXT COLLATE "C" NOT NULL,  -- Cedar
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- A session is one sign-in and all tokens that came of it.
CREATE TABLE sessions (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL,
    address      TEXT COLLATE "C" NOT NULL,  -- where it began
    agent        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    revoked_why  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);

CREATE TABLE session_tokens (
    digest     TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- SHA-256 in hexadecimal
    session    TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,              -- access, refresh
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT                        -- of a refresh token: another has taken its place
);
CREATE INDEX session_tokens_session ON session_tokens (session, kind);

CREATE TABLE invitations (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workspace   TEXT COLLATE "C" NOT NULL,
    email       TEXT COLLATE "C" NOT NULL,
    role        TEXT COLLATE "C" NOT NULL,
    user_id     TEXT COLLATE "C" NOT NULL,  -- the person it lets set a password; '': somebody new
    digest      TEXT COLLATE "C" NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at  BIGINT
);
CREATE UNIQUE INDEX invitations_digest ON invitations (digest);
CREATE INDEX invitations_workspace ON invitations (workspace, id);

-- Keys are of one kind: those of the gateway become keys whose scope is models.
ALTER TABLE gateway_keys RENAME TO api_keys;
ALTER TABLE api_keys ADD COLUMN scopes TEXT COLLATE "C" NOT NULL DEFAULT '["models"]';
ALTER TABLE api_keys ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'service';
ALTER TABLE api_keys ADD COLUMN old_digest TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN old_until BIGINT;
DROP INDEX gateway_keys_workspace;
CREATE INDEX api_keys_workspace ON api_keys (workspace, id);
CREATE INDEX api_keys_user ON api_keys (user_id, workspace);
