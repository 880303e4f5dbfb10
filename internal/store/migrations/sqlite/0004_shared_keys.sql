-- What every process on this database signs with, and what it takes as signed.
-- They are in the clear, as the webhook secrets are.
CREATE TABLE shared_keys (
    name       TEXT   NOT NULL,
    ord        BIGINT NOT NULL,  -- 1, 2, 3 …
    secret     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,           -- NULL: the one that signs
    PRIMARY KEY (name, ord)
);
