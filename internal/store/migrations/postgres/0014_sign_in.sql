-- Sessions of browsers, and people for whom somebody else vouches.
ALTER TABLE sessions ADD COLUMN kind TEXT COLLATE "C" NOT NULL DEFAULT 'client';   -- client, browser
ALTER TABLE sessions ADD COLUMN issuer TEXT COLLATE "C" NOT NULL DEFAULT '';       -- who vouched for the person; '': a password
ALTER TABLE sessions ADD COLUMN issuer_session TEXT COLLATE "C" NOT NULL DEFAULT ''; -- as the issuer calls it
CREATE INDEX sessions_issuer ON sessions (issuer, issuer_session) WHERE issuer <> '';

ALTER TABLE members ADD COLUMN granted_by TEXT COLLATE "C" NOT NULL DEFAULT '';    -- the issuer whose groups gave the role; '': somebody here

-- Sign-ins that began and have to come back from a provider, each to the browser
-- in which it began, once.
CREATE TABLE sign_ins (
    digest     TEXT COLLATE "C" NOT NULL PRIMARY KEY,  -- SHA-256 of the state, in hexadecimal
    browser    TEXT COLLATE "C" NOT NULL,              -- the same of what the browser keeps
    provider   TEXT COLLATE "C" NOT NULL,
    next       TEXT COLLATE "C" NOT NULL,              -- where the person wanted to go
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_expire ON sign_ins (expires_at);
