-- People, the workspaces they are members of, and what they prove who they are
-- with. Of passwords, keys and tokens only digests are here.
CREATE TABLE users (
    id          TEXT   NOT NULL PRIMARY KEY,
    email       TEXT   NOT NULL,  -- in lower case; '': the owner of the data directory before an address is set
    name        TEXT   NOT NULL,
    password    TEXT   NOT NULL,  -- argon2id in PHC form; '': none
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email) WHERE email <> '';

-- Who vouches for a person besides us.
CREATE TABLE identities (
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE workspaces (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE members (
    workspace  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, user_id)
);
CREATE INDEX members_user ON members (user_id, workspace);

-- Roles that a workspace has besides those that every one has.
CREATE TABLE roles (
    workspace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    policy      TEXT   NOT NULL,  -- Cedar
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- A session is one sign-in and all tokens that came of it.
CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      TEXT   NOT NULL,
    address      TEXT   NOT NULL,  -- where it began
    agent        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    revoked_why  TEXT   NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);

CREATE TABLE session_tokens (
    digest     TEXT   NOT NULL PRIMARY KEY,  -- SHA-256 in hexadecimal
    session    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,              -- access, refresh
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT                        -- of a refresh token: another has taken its place
);
CREATE INDEX session_tokens_session ON session_tokens (session, kind);

CREATE TABLE invitations (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    email       TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,  -- the person it lets set a password; '': somebody new
    digest      TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at  BIGINT
);
CREATE UNIQUE INDEX invitations_digest ON invitations (digest);
CREATE INDEX invitations_workspace ON invitations (workspace, id);

-- Keys are of one kind: those of the gateway become keys whose scope is models.
ALTER TABLE gateway_keys RENAME TO api_keys;
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '["models"]';
ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'service';
ALTER TABLE api_keys ADD COLUMN old_digest TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN old_until BIGINT;
DROP INDEX gateway_keys_workspace;
CREATE INDEX api_keys_workspace ON api_keys (workspace, id);
CREATE INDEX api_keys_user ON api_keys (user_id, workspace);
