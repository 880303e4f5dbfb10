-- What a run keeps, in bytes: the data of its events and what its journal has, and
-- the files that it was given.
ALTER TABLE runs ADD COLUMN stored BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attached BIGINT NOT NULL DEFAULT 0;
UPDATE runs SET
    stored = COALESCE((SELECT SUM(octet_length(data)) FROM events e WHERE e.stream = runs.id), 0)
        + COALESCE((SELECT SUM(octet_length(s.input) + COALESCE(octet_length(s.output), 0) + COALESCE(octet_length(s.failure), 0))
            FROM executions x JOIN steps s ON s.execution = x.id WHERE x.run = runs.id AND x.run <> ''), 0),
    attached = COALESCE((SELECT SUM(json_extract(value, '$.size')) FROM json_each(runs.state, '$.settings.attachments')), 0);
