-- The log is split by class, which says for how many days events are kept, and
-- within a class by the month of their time. What was there before stays where it
-- is, as the part that is not split.
ALTER TABLE events RENAME TO events_left;
ALTER INDEX events_pkey RENAME TO events_left_pkey;
ALTER INDEX events_stream RENAME TO events_left_stream;
ALTER INDEX events_run RENAME TO events_left_run;
ALTER TABLE events_left ADD COLUMN class BIGINT NOT NULL DEFAULT -1;
ALTER TABLE events_left ADD CONSTRAINT events_left_class CHECK (class = -1);
CREATE TABLE events (LIKE events_left INCLUDING DEFAULTS) PARTITION BY LIST (class);
ALTER TABLE events ATTACH PARTITION events_left FOR VALUES IN (-1);
ALTER TABLE outbox ADD COLUMN class BIGINT NOT NULL DEFAULT -1;

-- Which positions the events of each class and month have, so that readers look
-- into those partitions only that can hold what they look for.
CREATE TABLE partitions (
    class BIGINT NOT NULL,
    month BIGINT NOT NULL, -- 202611
    first BIGINT NOT NULL,
    last  BIGINT NOT NULL,
    PRIMARY KEY (class, month)
) WITH (fillfactor = 10);

-- The least and the greatest time of a stream's events, and of those that are of
-- a run and in another stream. NULL: of events in the part that is not split.
ALTER TABLE streams ADD COLUMN since BIGINT, ADD COLUMN until BIGINT;
