-- Endpoints outside that events are sent to, each with the lease of the one
-- process that sends to it.
CREATE TABLE webhooks (
    id            TEXT   NOT NULL PRIMARY KEY,
    workspace     TEXT   NOT NULL,
    url           TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    types         TEXT,             -- JSON array of globs
    channels      TEXT,             -- JSON array
    enabled       BIGINT NOT NULL,  -- 0 or 1
    disabled_why  TEXT   NOT NULL,
    failing_since BIGINT,
    position      BIGINT NOT NULL,  -- up to here the log has become deliveries
    owner         TEXT   NOT NULL,
    lease_until   BIGINT,
    term          BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL   -- of the last change of settings
);
CREATE INDEX webhooks_workspace ON webhooks (workspace, id);

-- What the messages are signed with. A replaced secret signs until it expires.
CREATE TABLE webhook_secrets (
    webhook    TEXT   NOT NULL REFERENCES webhooks (id),
    created_at BIGINT NOT NULL,
    secret     TEXT   NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (webhook, secret)
);

CREATE TABLE webhook_deliveries (
    webhook    TEXT   NOT NULL REFERENCES webhooks (id),
    event      TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    stream     TEXT   NOT NULL,
    position   BIGINT NOT NULL,
    status     TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT,            -- NULL while pending: an earlier event of the stream comes first
    last_error TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (webhook, event)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_stream ON webhook_deliveries (webhook, stream, position) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_status ON webhook_deliveries (webhook, status, position);

CREATE TABLE webhook_attempts (
    webhook  TEXT   NOT NULL REFERENCES webhooks (id),
    event    TEXT   NOT NULL,
    ord      BIGINT NOT NULL,     -- 1, 2, 3 … of the delivery
    at       BIGINT NOT NULL,
    duration BIGINT NOT NULL,     -- nanoseconds
    status   BIGINT NOT NULL,
    error    TEXT   NOT NULL,
    response TEXT   NOT NULL,
    next_at  BIGINT,
    PRIMARY KEY (webhook, event, ord)
);
