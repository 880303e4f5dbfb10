-- What operators set for one project, as its run settings are written.
CREATE TABLE project_settings (
    workspace  TEXT NOT NULL,
    project    TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, project, name)
);
