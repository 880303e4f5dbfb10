BEGIN TRANSACTION;
CREATE TABLE "api_keys" (
    id           TEXT   NOT NULL PRIMARY KEY,
    workspace    TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    digest       TEXT   NOT NULL,  -- SHA-256 of the key, in hexadecimal
    models       TEXT,             -- JSON array of globs; NULL: every model
    budget       BIGINT,           -- in nanodollars; NULL: none
    period       TEXT   NOT NULL,  -- of the budget: daily, monthly, or '' for ever
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
, scopes TEXT NOT NULL DEFAULT '["models"]', role TEXT NOT NULL DEFAULT 'service', old_digest TEXT NOT NULL DEFAULT '', old_until BIGINT);
INSERT INTO "api_keys" VALUES('key_01JDT0000000000000000000K1','ws_default','user_local','editor','abababababababababababababababababababababababababababababababab','["openai/*"]',5000000000,'monthly',1795872033000000,NULL,NULL,NULL,'["models"]','service','',NULL);
CREATE TABLE audit_checkpoints (
    workspace  TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    note       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, size)
);
INSERT INTO "audit_checkpoints" VALUES('ws_default',0,'mgx/ws_default',1795872035000000);
CREATE TABLE audit_hashes (
    workspace TEXT   NOT NULL,
    idx       BIGINT NOT NULL,
    hash      TEXT   NOT NULL,  -- base64
    PRIMARY KEY (workspace, idx)
);
CREATE TABLE baselines (
    stream    TEXT   NOT NULL PRIMARY KEY,
    workspace TEXT   NOT NULL,
    sequence  BIGINT NOT NULL,  -- every later event of the stream is there as it was
    removed   BIGINT NOT NULL,  -- how many up to it are not there
    position  BIGINT NOT NULL,  -- greatest of those; 0: none
    state     TEXT              -- the run as of sequence; NULL for streams that are not folded
);
CREATE TABLE budget_periods (
    budget       TEXT   NOT NULL REFERENCES budgets (id),
    starts_at    BIGINT NOT NULL,  -- 0: absolute
    settled      BIGINT NOT NULL,
    reserved     BIGINT NOT NULL,  -- and not settled
    reached      BIGINT NOT NULL,  -- greatest threshold that the log was told of, in percent
    soft_reached BIGINT NOT NULL,  -- 0 or 1
    PRIMARY KEY (budget, starts_at)
);
INSERT INTO "budget_periods" VALUES('bgt_01JDT0000000000000000000B1',0,20000000,200000000,0,0);
CREATE TABLE budgets (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    scope       TEXT   NOT NULL,
    scope_id    TEXT   NOT NULL,
    period      TEXT   NOT NULL,
    hard_limit  BIGINT NOT NULL,  -- nanodollars
    soft_limit  BIGINT,
    thresholds  TEXT   NOT NULL,  -- JSON array of percent
    created_by  TEXT   NOT NULL,
    updated_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    alerted_at  BIGINT            -- when the log was told last that it refused something
);
INSERT INTO "budgets" VALUES('bgt_01JDT0000000000000000000B1','ws_default','workspace','ws_default','absolute',5000000000,4000000000,'[50,80,100]','user_local','user_local',1795883286200613,1795883286200613,NULL);
CREATE TABLE consumer_dead (
    consumer   TEXT NOT NULL REFERENCES consumers (name),
    event      TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    type       TEXT NOT NULL,
    stream     TEXT NOT NULL,
    position   BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    next_at    BIGINT,            -- of the next attempt; NULL: until somebody asks for one
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event)
);
INSERT INTO "consumer_dead" VALUES('metrics','evt_01M8H50XJFM7EB55H51M35X44E','ws_default','task.started','run_01JDT0000000000000000000R1',3,6,'the reason',NULL,1795872033000000,1795872033000000);
CREATE TABLE consumers (
    name        TEXT NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL,  -- everything up to it is dealt with or a dead letter
    owner       TEXT NOT NULL,
    lease_until BIGINT,
    term        BIGINT NOT NULL,
    event       TEXT NOT NULL,  -- that fails at present; '': none does
    attempts    BIGINT NOT NULL,  -- at that event
    last_error  TEXT NOT NULL,
    next_at     BIGINT,           -- of the next attempt
    gaps        BIGINT NOT NULL,  -- how often events were removed before they were read
    gap_after   BIGINT NOT NULL,  -- the last time: between here
    gap_to      BIGINT NOT NULL,  -- and, at the most, here
    gap_at      BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL   -- when the position moved last
);
INSERT INTO "consumers" VALUES('metrics',4,'',NULL,1,'evt_01M8H50XJJWE6JESF7VCXM5D4E',2,'the reason',1795872033500000,0,0,0,NULL,1795872033000000,1795872033200000);
CREATE TABLE epoch (id TEXT NOT NULL PRIMARY KEY);
INSERT INTO "epoch" VALUES('epoch_01JDT0000000000000000000E1');
CREATE TABLE events (
    position    INTEGER PRIMARY KEY,
    id          TEXT   NOT NULL,
    workspace   TEXT   NOT NULL,
    stream      TEXT   NOT NULL,
    sequence    BIGINT NOT NULL,
    type        TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    time        BIGINT NOT NULL,
    project     TEXT   NOT NULL,
    task        TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    agent       TEXT   NOT NULL,
    execution   TEXT   NOT NULL,
    correlation TEXT   NOT NULL,
    causation   TEXT   NOT NULL,
    traceparent TEXT   NOT NULL,
    data        TEXT   NOT NULL
, class BIGINT NOT NULL DEFAULT -1);
INSERT INTO "events" VALUES(1,'evt_01M8H50XJFG2QRNMG9K39K16ZP','ws_default','run_01JDT0000000000000000000R1',1,'run.created','',1795872028239277,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"repo":{},"settings":{"model":"scripted/demo","approve":"auto","budget_usd":2,"max_turns":50,"timeout_ns":0,"sandbox":"auto"},"workflow":"team"}',-1);
INSERT INTO "events" VALUES(2,'evt_01M8H50XJFAK6QVS0Z6K0TNS32','ws_default','run_01JDT0000000000000000000R1',2,'task.created','',1795872028239284,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"user_id":"local","source":"cli"}',-1);
INSERT INTO "events" VALUES(3,'evt_01M8H50XJFM7EB55H51M35X44E','ws_default','run_01JDT0000000000000000000R1',3,'task.started','',1795872028239287,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"attempt":1}',-1);
INSERT INTO "events" VALUES(4,'evt_01M8H50XJJ7QYY83JQNFWZFTY9','ws_default','run_01JDT0000000000000000000R1',4,'llm.call.completed','',1795872028242155,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"provider":"scripted","model":"demo","agent_role":"","usage":{"prompt":1200,"completion":80},"cost_usd":0.02,"price_known":true,"duration_ms":0,"first_token_ms":0,"finish":"","attempts":0,"step":"plan"}',-1);
INSERT INTO "events" VALUES(5,'evt_01M8H50XJJWE6JESF7VCXM5D4E','ws_default','run_01JDT0000000000000000000R1',5,'workflow.step.completed','',1795872028242169,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"step":"plan","kind":"step","order":1,"status":"done","attempts":1,"duration_ms":0}',90);
INSERT INTO "events" VALUES(6,'evt_01M8H50XJJ27AHAZCJEQHMEJPZ','ws_default','run_01JDT0000000000000000000R1',6,'workflow.approval.requested','',1795872028242182,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"approval_id":"approval_plan","effect":"carry out the plan","hash":"abc"}',90);
INSERT INTO "events" VALUES(7,'evt_01M8H50XJJY268F3GRNG9ZNC89','ws_default','run_01JDT0000000000000000000R1',7,'workflow.waiting','',1795872028242188,'','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','exec_01JDT0000000000000000000E1','','','','{"for":"approval_plan"}',90);
CREATE TABLE executions (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    task        TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    parent      TEXT   NOT NULL,
    parent_step TEXT   NOT NULL,
    workflow    TEXT   NOT NULL,
    input       TEXT,
    status      TEXT   NOT NULL,
    wake_at     BIGINT,           -- NULL: only a signal or a cancel makes it due
    awaits      TEXT,             -- JSON array of signal names
    cancel_why  TEXT   NOT NULL,
    result      TEXT,
    failure     TEXT,
    deadline    BIGINT,
    owner       TEXT   NOT NULL,
    lease_until BIGINT,
    term        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL   -- of the last change of status; waiting is measured from it
, project TEXT NOT NULL DEFAULT '', user_id TEXT NOT NULL DEFAULT '');
INSERT INTO "executions" VALUES('exec_01JDT0000000000000000000E1','ws_default','task_01JDT0000000000000000000T1','run_01JDT0000000000000000000R1','','','team','{"task":"x"}','waiting',1795872028242922,'["approval_plan"]','',NULL,NULL,1795875628240393,'',NULL,1,1795872028239302,1795872028242922,'','');
CREATE TABLE identities (
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE TABLE invitations (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    email       TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,  -- the person it lets set a password; '': somebody new
    digest      TEXT   NOT NULL,
    created_by  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at  BIGINT
);
CREATE TABLE ledger (
    id          TEXT   NOT NULL PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    reserved    BIGINT NOT NULL,
    settled     BIGINT,           -- NULL: open, counts in full
    note        TEXT   NOT NULL,
    reserved_at BIGINT NOT NULL,
    settled_at  BIGINT
, project       TEXT   NOT NULL DEFAULT '', task          TEXT   NOT NULL DEFAULT '', user_id       TEXT   NOT NULL DEFAULT '', execution     TEXT   NOT NULL DEFAULT '', term          BIGINT NOT NULL DEFAULT 0, owner         TEXT   NOT NULL DEFAULT '', lease_until   BIGINT NOT NULL DEFAULT 0, provider      TEXT   NOT NULL DEFAULT '', model         TEXT   NOT NULL DEFAULT '', role          TEXT   NOT NULL DEFAULT '', price_version TEXT   NOT NULL DEFAULT '', outcome       TEXT   NOT NULL DEFAULT '', prompt        BIGINT NOT NULL DEFAULT 0, completion    BIGINT NOT NULL DEFAULT 0, cached        BIGINT NOT NULL DEFAULT 0, cache_write   BIGINT NOT NULL DEFAULT 0, reasoning     BIGINT NOT NULL DEFAULT 0);
INSERT INTO "ledger" VALUES('call-1','ws_default','run_01JDT0000000000000000000R1',100000000,20000000,'plan',1795872028241387,1795872028242222,'','task_01JDT0000000000000000000T1','','exec_01JDT0000000000000000000E1',0,'',1795958428241387,'','','','','done',1200,80,0,0,0);
INSERT INTO "ledger" VALUES('call-2','ws_default','run_01JDT0000000000000000000R1',200000000,NULL,'',1795872028241772,NULL,'','task_01JDT0000000000000000000T1','','exec_01JDT0000000000000000000E1',0,'',1795958428241772,'','','','','',0,0,0,0,0);
CREATE TABLE members (
    workspace  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL, granted_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (workspace, user_id)
);
INSERT INTO "members" VALUES('ws_default','user_local','admin',1795872029000000,1795872029000000,'');
CREATE TABLE mgx_schema (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL);
INSERT INTO "mgx_schema" VALUES(1,'first',1795872028233770);
INSERT INTO "mgx_schema" VALUES(2,'webhooks',1795872029233770);
INSERT INTO "mgx_schema" VALUES(3,'kept',1795872029000000);
INSERT INTO "mgx_schema" VALUES(4,'shared_keys',1795872029000000);
INSERT INTO "mgx_schema" VALUES(5,'consumers',1795872033000000);
INSERT INTO "mgx_schema" VALUES(6,'gateway_keys',1795872034000000);
INSERT INTO "mgx_schema" VALUES(7,'partitions',1795872035000000);
INSERT INTO "mgx_schema" VALUES(8,'budgets',1795883286194081);
INSERT INTO "mgx_schema" VALUES(9,'audit',1795872035000000);
INSERT INTO "mgx_schema" VALUES(10,'secrets',1795872036000000);
INSERT INTO "mgx_schema" VALUES(11,'key_budgets',1795872037000000);
INSERT INTO "mgx_schema" VALUES(12,'access',1795872034000000);
INSERT INTO "mgx_schema" VALUES(13,'project_settings',1795898700000000);
INSERT INTO "mgx_schema" VALUES(14,'sign_in',1795900000000000);
INSERT INTO "mgx_schema" VALUES(15,'work',1795904200000000);
INSERT INTO "mgx_schema" VALUES(16,'rights',1795902000000000);
INSERT INTO "mgx_schema" VALUES(17,'terms',1795905060000000);
INSERT INTO "mgx_schema" VALUES(18,'attempts',1795905600000000);
CREATE TABLE project_settings (
    workspace  TEXT NOT NULL,
    project    TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, project, name)
);
INSERT INTO "project_settings" VALUES('ws_default','proj_1','allow-host','registry.npmjs.org:443','user_local',1795898700000000);
CREATE TABLE projects (
    workspace  TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    path       TEXT   NOT NULL,
    within     TEXT   NOT NULL,  -- the directory that it must not lead out of; '': anywhere
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, id)
);
INSERT INTO "projects" VALUES('ws_default','proj_1','shop','/srv/shop','','user_local',1795904200000000,1795904200000000);
CREATE TABLE roles (
    workspace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    policy      TEXT   NOT NULL,  -- Cedar
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);
CREATE TABLE runs (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    task       TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    sequence   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state      TEXT   NOT NULL
, asked_at BIGINT);
INSERT INTO "runs" VALUES('run_01JDT0000000000000000000R1','ws_default','task_01JDT0000000000000000000T1','waiting',7,1795872028239277,1795872028242188,'{"id":"run_01JDT0000000000000000000R1","workspace_id":"ws_default","task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"execution_id":"exec_01JDT0000000000000000000E1","repo":{},"settings":{"model":"scripted/demo","approve":"auto","budget_usd":2,"max_turns":50,"timeout_ns":0,"sandbox":"auto"},"status":"waiting","waiting_for":"approval_plan","approval":{"id":"approval_plan","effect":"carry out the plan","hash":"abc","decided":false,"approved":false},"checks":{"round":"","passed":false,"checks":null},"review":{"round":0,"verdict":"","summary":"","findings":null},"model_calls":1,"tool_calls":0,"tool_calls_denied":0,"steps":1,"usage":{"prompt":1200,"completion":80},"cost_usd":0.02,"created_at":"2026-11-28T13:20:28.239277Z","started_at":"2026-11-28T13:20:28.239287Z","updated_at":"2026-11-28T13:20:28.242188Z","sequence":7}',1795872028242188);
CREATE TABLE secrets (
    workspace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    BIGINT NOT NULL,
    key_version BIGINT NOT NULL,
    box        BLOB NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name, version)
);
INSERT INTO "secrets" VALUES('ws_default','openai',1,1,X'0102','user_local',1795872036000000);
CREATE TABLE session_tokens (
    digest     TEXT   NOT NULL PRIMARY KEY,  -- SHA-256 in hexadecimal
    session    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,              -- access, refresh
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT                        -- of a refresh token: another has taken its place
);
INSERT INTO "session_tokens" VALUES('cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','ses_01JDT0000000000000000000S1','browser',1795900000000000,1795986400000000,NULL);
CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      TEXT   NOT NULL,
    address      TEXT   NOT NULL,  -- where it began
    agent        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    revoked_why  TEXT   NOT NULL
, kind TEXT NOT NULL DEFAULT 'client', issuer TEXT NOT NULL DEFAULT '', issuer_session TEXT NOT NULL DEFAULT '');
INSERT INTO "sessions" VALUES('ses_01JDT0000000000000000000S1','user_01JDT0000000000000000000U1','10.0.0.1','browser',1795900000000000,1795900000000000,1796500000000000,NULL,'','browser','https://id.example.com','sid-1');
CREATE TABLE shared_keys (
    name       TEXT   NOT NULL,
    ord        BIGINT NOT NULL,  -- 1, 2, 3 …
    secret     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,           -- NULL: the one that signs
    PRIMARY KEY (name, ord)
);
INSERT INTO "shared_keys" VALUES('resume',1,'0123456789ABCDEFGHIJKLMNOPQRSTUV0123456789ABCDEFGHIJ',1795872029000000,NULL);
CREATE TABLE revisions (
    workspace TEXT   NOT NULL,
    kind      TEXT   NOT NULL,  -- as acts name it: budget of budget.update
    id        TEXT   NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (workspace, kind, id)
);
CREATE TABLE kept_answers (
    workspace  TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    route      TEXT    NOT NULL,
    key        TEXT    NOT NULL,  -- digest
    digest     TEXT    NOT NULL,  -- of the request
    made       TEXT    NOT NULL,  -- id of what the act was on
    status     BIGINT  NOT NULL,  -- 0: not answered yet, or not kept
    body       TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (workspace, actor, route, key)
);
CREATE INDEX kept_answers_by_age ON kept_answers (created_at);
CREATE TABLE attempts (
    id     TEXT   NOT NULL PRIMARY KEY,
    failed BIGINT NOT NULL,  -- in a row
    until  BIGINT NOT NULL,  -- no further attempt before
    last   BIGINT NOT NULL
);
CREATE INDEX attempts_last ON attempts (last);
INSERT INTO "attempts" VALUES('d',7,1795905610000000,1795905600000000);
INSERT INTO "revisions" VALUES('ws_default','budget','bgt_01JDT0000000000000000000B1',2);
INSERT INTO "kept_answers" VALUES('ws_default','user_local','POST /api/v1/budgets','k','d','bgt_01JDT0000000000000000000B1',201,'{}',1795905060000000);
CREATE TABLE settings (
    workspace  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    updated_by TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, name)
);
CREATE TABLE erasures (
    subject    TEXT   NOT NULL PRIMARY KEY,  -- id of a workspace or a person
    begun_by   TEXT   NOT NULL,
    begun_at   BIGINT NOT NULL,
    done_at    BIGINT                        -- NULL: interrupted, or still at it
);
INSERT INTO "settings" VALUES('ws_default','retention.agent','30','user_local',1795902000000000);
INSERT INTO "erasures" VALUES('ws_01JDT0000000000000000000W9','user_local',1795902000000000,1795902000000001);
CREATE TABLE sign_ins (
    digest     TEXT   NOT NULL PRIMARY KEY,  -- SHA-256 of the state, in hexadecimal
    browser    TEXT   NOT NULL,              -- the same of what the browser keeps
    provider   TEXT   NOT NULL,
    next       TEXT   NOT NULL,              -- where the person wanted to go
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
INSERT INTO "sign_ins" VALUES('efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef','abababababababababababababababababababababababababababababababab','corp','/',1795900000000000,1795900600000000);
CREATE TABLE signals (
    id        TEXT   NOT NULL PRIMARY KEY,
    workspace TEXT   NOT NULL,
    execution TEXT   NOT NULL REFERENCES executions (id),
    name      TEXT   NOT NULL,
    payload   TEXT,
    sent_at   BIGINT NOT NULL,
    taken_at  BIGINT            -- NULL: not consumed; a taken signal stays, so that its id stays spent
);
INSERT INTO "signals" VALUES('sig_01JDT0000000000000000000S1','ws_default','exec_01JDT0000000000000000000E1','other',NULL,1795872028242206,1795872028242922);
INSERT INTO "signals" VALUES('sig_01JDT0000000000000000000S2','ws_default','exec_01JDT0000000000000000000E1','approval_plan','{"approved":true}',1795872028242918,NULL);
CREATE TABLE steps (
    execution   TEXT   NOT NULL REFERENCES executions (id),
    ord         BIGINT NOT NULL,
    workspace   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    input       TEXT   NOT NULL,
    output      TEXT,
    failure     TEXT,
    attempts    BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    started_at  BIGINT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (execution, ord)
);
INSERT INTO "steps" VALUES('exec_01JDT0000000000000000000E1',1,'ws_default','plan','step','d1','{"goal":"GET /healthz answers 200"}',NULL,1,7,1795872028242189,1795872028242205);
INSERT INTO "steps" VALUES('exec_01JDT0000000000000000000E1',2,'ws_default','flaky','step','d2',NULL,'{"kind":"provider","code":"rate_limit","message":"too many requests"}',3,7,NULL,1795872028242205);
CREATE TABLE tasks (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    data       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO "tasks" VALUES('task_01JDT0000000000000000000T1','ws_default','{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"}',1795872028239284);
CREATE TABLE users (
    id          TEXT   NOT NULL PRIMARY KEY,
    email       TEXT   NOT NULL,  -- in lower case; '': the owner of the data directory before an address is set
    name        TEXT   NOT NULL,
    password    TEXT   NOT NULL,  -- argon2id in PHC form; '': none
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
INSERT INTO "users" VALUES('user_local','jo@example.com','Jo','',1795872029000000,1795872029000000);
INSERT INTO "users" VALUES('user_01JDT0000000000000000000U1','','somebody','',1795900000000000,1795900000000000);
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
INSERT INTO "webhook_attempts" VALUES('whk_01JDT0000000000000000000W1','evt_01M8H50XJFG2QRNMG9K39K16ZP',1,1795872029000000,90000000,500,'the endpoint answered 500','oops',1795872039000000);
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
INSERT INTO "webhook_deliveries" VALUES('whk_01JDT0000000000000000000W1','evt_01M8H50XJFG2QRNMG9K39K16ZP','run.created','run_01JDT0000000000000000000R1',1,'pending',1,1795872039000000,'the endpoint answered 500',1795872029000000,1795872029100000);
CREATE TABLE webhook_secrets (
    webhook    TEXT   NOT NULL REFERENCES webhooks (id),
    created_at BIGINT NOT NULL,
    secret     TEXT   NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (webhook, secret)
);
INSERT INTO "webhook_secrets" VALUES('whk_01JDT0000000000000000000W1',1795872029000000,'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',NULL);
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
INSERT INTO "webhooks" VALUES('whk_01JDT0000000000000000000W1','ws_default','https://example.com/hook','the chat','["task.*"]',NULL,1,'',NULL,3,'',NULL,1,1795872029000000,1795872029000000);
CREATE TABLE workspace_keys (
    workspace  TEXT NOT NULL,
    version    BIGINT NOT NULL,
    wrapped    BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (workspace, version)
);
INSERT INTO "workspace_keys" VALUES('ws_default',1,X'0304',1795872036000000);
CREATE TABLE workspaces (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO "workspaces" VALUES('ws_default','default',1795872029000000,1795872029000000);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_stream ON events (stream, sequence);
CREATE INDEX events_run ON events (run, position) WHERE run <> '';
CREATE INDEX tasks_workspace ON tasks (workspace, id);
CREATE INDEX runs_workspace ON runs (workspace, id);
CREATE INDEX executions_due ON executions (wake_at) WHERE status IN ('ready', 'waiting');
CREATE INDEX executions_run ON executions (run) WHERE run <> '';
CREATE INDEX executions_parent ON executions (parent) WHERE parent <> '';
CREATE INDEX executions_workspace ON executions (workspace, id);
CREATE UNIQUE INDEX steps_name ON steps (execution, name);
CREATE INDEX signals_waiting ON signals (execution, name, sent_at) WHERE taken_at IS NULL;
CREATE INDEX ledger_run ON ledger (run, workspace, settled, reserved);
CREATE INDEX webhooks_workspace ON webhooks (workspace, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, next_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_stream ON webhook_deliveries (webhook, stream, position) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_status ON webhook_deliveries (webhook, status, position);
CREATE INDEX baselines_position ON baselines (position);
CREATE INDEX consumer_dead_position ON consumer_dead (consumer, position);
CREATE INDEX consumer_dead_due ON consumer_dead (consumer, next_at) WHERE next_at IS NOT NULL;
CREATE UNIQUE INDEX budgets_scope ON budgets (workspace, scope, scope_id, period);
CREATE INDEX ledger_time ON ledger (workspace, reserved_at, id);
CREATE INDEX ledger_open ON ledger (execution) WHERE settled IS NULL;
CREATE INDEX ledger_lease ON ledger (lease_until) WHERE settled IS NULL;
CREATE UNIQUE INDEX users_email ON users (email) WHERE email <> '';
CREATE INDEX identities_user ON identities (user_id);
CREATE INDEX members_user ON members (user_id, workspace);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX session_tokens_session ON session_tokens (session, kind);
CREATE UNIQUE INDEX invitations_digest ON invitations (digest);
CREATE INDEX invitations_workspace ON invitations (workspace, id);
CREATE INDEX api_keys_workspace ON api_keys (workspace, id);
CREATE INDEX api_keys_user ON api_keys (user_id, workspace);
CREATE INDEX sessions_issuer ON sessions (issuer, issuer_session) WHERE issuer <> '';
CREATE INDEX sign_ins_expire ON sign_ins (expires_at);
CREATE UNIQUE INDEX projects_name ON projects (workspace, name);
CREATE INDEX runs_asked ON runs (workspace, asked_at, id) WHERE asked_at IS NOT NULL;
CREATE INDEX runs_status ON runs (workspace, status, id);
CREATE INDEX runs_task ON runs (workspace, task, id);
CREATE INDEX executions_made ON executions (workspace, created_at, id);
CREATE INDEX executions_project ON executions (workspace, project, run) WHERE parent = '' AND run <> '';
CREATE INDEX executions_user ON executions (workspace, user_id, run) WHERE parent = '' AND run <> '';
CREATE INDEX executions_ready ON executions (workspace, wake_at) WHERE status IN ('ready', 'waiting');

-- The words of tasks, by which tasks and their runs are found. They follow from
-- tasks.data: what reads words out of a text fills in those of earlier tasks.
CREATE TABLE task_words (
    number    INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    task      TEXT NOT NULL,
    words     TEXT NOT NULL  -- each once and between spaces, the first being a mark of the workspace
);
CREATE UNIQUE INDEX task_words_task ON task_words (task);

CREATE VIRTUAL TABLE task_index USING fts5 (
    words, content = 'task_words', content_rowid = 'number',
    detail = none, columnsize = 0, prefix = '1 2 3', tokenize = "ascii tokenchars '_'"
);

CREATE TRIGGER task_words_added AFTER INSERT ON task_words BEGIN
    INSERT INTO task_index (rowid, words) VALUES (new.number, new.words);
END;
CREATE TRIGGER task_words_removed AFTER DELETE ON task_words BEGIN
    INSERT INTO task_index (task_index, rowid, words) VALUES ('delete', old.number, old.words);
END;

INSERT INTO task_words (workspace, task, words) VALUES ('ws_default', 'task_01JDT0000000000000000000T1', ' _9f642c763af7b11e add a healthz endpoint with test ');
INSERT INTO mgx_schema VALUES (19, 'search', 1795906200000000);

CREATE INDEX executions_root ON executions (run) WHERE parent = '' AND run <> '';
INSERT INTO mgx_schema VALUES (20, 'roots', 1795906300000000);
COMMIT;

-- What a run keeps, in bytes: the data of its events and what its journal has, and
-- the files that it was given.
ALTER TABLE runs ADD COLUMN stored BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attached BIGINT NOT NULL DEFAULT 0;
UPDATE runs SET
    stored = COALESCE((SELECT SUM(octet_length(data)) FROM events e WHERE e.stream = runs.id), 0)
        + COALESCE((SELECT SUM(octet_length(s.input) + COALESCE(octet_length(s.output), 0) + COALESCE(octet_length(s.failure), 0))
            FROM executions x JOIN steps s ON s.execution = x.id WHERE x.run = runs.id AND x.run <> ''), 0),
    attached = COALESCE((SELECT SUM(json_extract(value, '$.size')) FROM json_each(runs.state, '$.settings.attachments')), 0);
INSERT INTO mgx_schema VALUES (21, 'stored', 1795906400000000);

-- An invitation waits until the person with its address takes it. The address of a
-- person is what their issuer verified at the last sign-in.
ALTER TABLE identities ADD COLUMN email TEXT NOT NULL DEFAULT '';  -- in lower case; '': it verified none
UPDATE identities SET email = COALESCE((SELECT u.email FROM users u WHERE u.id = identities.user_id), '');
ALTER TABLE invitations ADD COLUMN declined_at BIGINT;  -- then it is revoked, too
CREATE INDEX invitations_email ON invitations (email, id) WHERE email <> '';

-- A sign-in under way comes back in what the browser keeps; nobody pushes out another's.
DROP TABLE sign_ins;
INSERT INTO mgx_schema VALUES (22, 'consent', 1795906500000000);
