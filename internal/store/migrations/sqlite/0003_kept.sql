-- Names this log. A restored copy gets another name, since what follows in it is
-- not what followed in the one it was copied from.
CREATE TABLE epoch (id TEXT NOT NULL PRIMARY KEY);
INSERT INTO epoch (id) VALUES ('epoch_' || upper(hex(randomblob(13))));

-- Where the fold of a stream begins once events of it were removed or erased.
CREATE TABLE baselines (
    stream    TEXT   NOT NULL PRIMARY KEY,
    workspace TEXT   NOT NULL,
    sequence  BIGINT NOT NULL,  -- every later event of the stream is there as it was
    removed   BIGINT NOT NULL,  -- how many up to it are not there
    position  BIGINT NOT NULL,  -- greatest of those; 0: none
    state     TEXT              -- the run as of sequence; NULL for streams that are not folded
);
CREATE INDEX baselines_position ON baselines (position);
