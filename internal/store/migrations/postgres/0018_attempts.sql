-- Attempts to sign in that failed, by what is a digest of the account and of the
-- network they came from. Each is forgotten a day after its last.
CREATE TABLE attempts (
    id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failed BIGINT NOT NULL,  -- in a row
    until  BIGINT NOT NULL,  -- no further attempt before
    last   BIGINT NOT NULL
);
CREATE INDEX attempts_last ON attempts (last);
