-- What a run keeps, in bytes: the data of its events and what its journal has, and
-- the files that it was given.
ALTER TABLE runs ADD COLUMN stored BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attached BIGINT NOT NULL DEFAULT 0;
UPDATE runs r SET stored = r.stored + e.bytes FROM (
    SELECT stream, SUM(octet_length(data)) AS bytes FROM (SELECT stream, data FROM events UNION ALL SELECT stream, data FROM outbox) all_events
    WHERE stream LIKE 'run\_%' GROUP BY stream) e WHERE e.stream = r.id;
UPDATE runs r SET stored = r.stored + s.bytes FROM (
    SELECT x.run, SUM(octet_length(s.input) + COALESCE(octet_length(s.output), 0) + COALESCE(octet_length(s.failure), 0)) AS bytes
    FROM executions x JOIN steps s ON s.execution = x.id WHERE x.run <> '' GROUP BY x.run) s WHERE s.run = r.id;
UPDATE runs r SET attached = a.bytes FROM (
    SELECT id, SUM((a ->> 'size')::bigint) AS bytes FROM (SELECT id, state::json -> 'settings' -> 'attachments' AS list FROM runs WHERE state LIKE '%"attachments":[%') given,
    LATERAL json_array_elements(CASE WHEN json_typeof(list) = 'array' THEN list ELSE '[]' END) a GROUP BY id) a WHERE a.id = r.id;
