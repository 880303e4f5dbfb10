-- For how many days an event is kept: 0 for ever, -1 as its type says.
ALTER TABLE events ADD COLUMN class BIGINT NOT NULL DEFAULT -1;
