-- What operators set for one project, as its run settings are written.
CREATE TABLE project_settings (
    workspace  TEXT COLLATE "C" NOT NULL,
    project    TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, project, name)
);
