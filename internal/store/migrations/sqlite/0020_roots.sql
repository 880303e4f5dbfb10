-- The root execution of a run, which says of what project it is and who asked for it.
CREATE INDEX executions_root ON executions (run) WHERE parent = '' AND run <> '';
