-- Readers of the log inside MGX, each with the lease of the one process that
-- works for it and how far it has come.
CREATE TABLE consumers (
    name        TEXT NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL,  -- everything up to it is dealt with or a dead letter
    owner       TEXT NOT NULL,
    lease_until BIGINT,
    term        BIGINT NOT NULL,
    event       TEXT NOT NULL,  -- that fails at present; '': none does
    attempts    BIGINT NOT NULL,  -- at that event
    last_error  TEXT NOT NULL,
    next_at     BIGINT,           -- of the next attempt
    gaps        BIGINT NOT NULL,  -- how often events were removed before they were read
    gap_after   BIGINT NOT NULL,  -- the last time: between here
    gap_to      BIGINT NOT NULL,  -- and, at the most, here
    gap_at      BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL   -- when the position moved last
);

-- Events that a consumer has given up.
CREATE TABLE consumer_dead (
    consumer   TEXT NOT NULL REFERENCES consumers (name),
    event      TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    type       TEXT NOT NULL,
    stream     TEXT NOT NULL,
    position   BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    next_at    BIGINT,            -- of the next attempt; NULL: until somebody asks for one
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event)
);
CREATE INDEX consumer_dead_position ON consumer_dead (consumer, position);
CREATE INDEX consumer_dead_due ON consumer_dead (consumer, next_at) WHERE next_at IS NOT NULL;
