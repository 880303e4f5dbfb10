-- A PostgreSQL database as schema 18 left it, with the last event not numbered yet.

CREATE TABLE public.api_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    models text COLLATE pg_catalog."C",
    budget bigint,
    period text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint,
    scopes text DEFAULT '["models"]'::text NOT NULL COLLATE pg_catalog."C",
    role text DEFAULT 'service'::text NOT NULL COLLATE pg_catalog."C",
    old_digest text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    old_until bigint
);

CREATE TABLE public.audit_checkpoints (
    workspace text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    note text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);

CREATE TABLE public.audit_hashes (
    workspace text NOT NULL COLLATE pg_catalog."C",
    idx bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.baselines (
    stream text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    removed bigint NOT NULL,
    "position" bigint NOT NULL,
    state text COLLATE pg_catalog."C"
);

CREATE TABLE public.budget_periods (
    budget text NOT NULL COLLATE pg_catalog."C",
    starts_at bigint NOT NULL,
    settled bigint NOT NULL,
    reserved bigint NOT NULL,
    reached bigint NOT NULL,
    soft_reached bigint NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.budgets (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    scope_id text NOT NULL COLLATE pg_catalog."C",
    period text NOT NULL COLLATE pg_catalog."C",
    hard_limit bigint NOT NULL,
    soft_limit bigint,
    thresholds text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    updated_by text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    alerted_at bigint
);

CREATE TABLE public.consumer_dead (
    consumer text NOT NULL COLLATE pg_catalog."C",
    event text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    attempts bigint NOT NULL,
    last_error text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.consumers (
    name text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C",
    lease_until bigint,
    term bigint NOT NULL,
    event text NOT NULL COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    last_error text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    gaps bigint NOT NULL,
    gap_after bigint NOT NULL,
    gap_to bigint NOT NULL,
    gap_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.epoch (
    id text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.event_ids (
    id text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL
);

CREATE TABLE public.events (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    "time" bigint NOT NULL,
    project text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    traceparent text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    class bigint DEFAULT '-1'::integer NOT NULL
)
PARTITION BY LIST (class);

CREATE TABLE public.events_90 (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    "time" bigint NOT NULL,
    project text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    traceparent text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    class bigint DEFAULT '-1'::integer NOT NULL
)
PARTITION BY RANGE ("time");

CREATE TABLE public.events_90_202611 (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    "time" bigint NOT NULL,
    project text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    traceparent text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    class bigint DEFAULT '-1'::integer NOT NULL
);

CREATE TABLE public.events_left (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    "time" bigint NOT NULL,
    project text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    traceparent text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    class bigint DEFAULT '-1'::integer NOT NULL,
    CONSTRAINT events_left_class CHECK ((class = '-1'::integer))
);

CREATE TABLE public.executions (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    parent text NOT NULL COLLATE pg_catalog."C",
    parent_step text NOT NULL COLLATE pg_catalog."C",
    workflow text NOT NULL COLLATE pg_catalog."C",
    input text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    wake_at bigint,
    awaits text COLLATE pg_catalog."C",
    cancel_why text NOT NULL COLLATE pg_catalog."C",
    result text COLLATE pg_catalog."C",
    failure text COLLATE pg_catalog."C",
    deadline bigint,
    owner text NOT NULL COLLATE pg_catalog."C",
    lease_until bigint,
    term bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    project text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    user_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='70');

CREATE TABLE public.identities (
    issuer text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);

CREATE TABLE public.invitations (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    email text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    accepted_at bigint,
    revoked_at bigint
);

CREATE TABLE public.ledger (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    reserved bigint NOT NULL,
    settled bigint,
    note text NOT NULL COLLATE pg_catalog."C",
    reserved_at bigint NOT NULL,
    settled_at bigint,
    project text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    user_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    execution text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    term bigint DEFAULT 0 NOT NULL,
    owner text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease_until bigint DEFAULT 0 NOT NULL,
    provider text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    model text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    role text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    price_version text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    outcome text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    prompt bigint DEFAULT 0 NOT NULL,
    completion bigint DEFAULT 0 NOT NULL,
    cached bigint DEFAULT 0 NOT NULL,
    cache_write bigint DEFAULT 0 NOT NULL,
    reasoning bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.members (
    workspace text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    granted_by text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.mgx_schema (
    version bigint NOT NULL,
    name text NOT NULL,
    applied_at bigint NOT NULL
);

CREATE TABLE public.outbox (
    n bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    "time" bigint NOT NULL,
    project text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    run text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    correlation text NOT NULL COLLATE pg_catalog."C",
    causation text NOT NULL COLLATE pg_catalog."C",
    traceparent text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    class bigint DEFAULT '-1'::integer NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');

ALTER TABLE public.outbox ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_n_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.partitions (
    class bigint NOT NULL,
    month bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL
)
WITH (fillfactor='10');

CREATE TABLE public.receipts (
    id text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='50000');

CREATE TABLE public.project_settings (
    workspace text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    updated_by text NOT NULL COLLATE pg_catalog."C",
    updated_at bigint NOT NULL
);

CREATE TABLE public.roles (
    workspace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    policy text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.projects (
    workspace text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    within text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.runs (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    task text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    asked_at bigint
)
WITH (fillfactor='50');

CREATE TABLE public.secrets (
    workspace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    key_version bigint NOT NULL,
    box bytea NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);

CREATE TABLE public.sequencer (
    name text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    term bigint NOT NULL,
    until bigint NOT NULL,
    "position" bigint NOT NULL
)
WITH (fillfactor='10');

CREATE TABLE public.session_tokens (
    digest text NOT NULL COLLATE pg_catalog."C",
    session text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_at bigint
);

CREATE TABLE public.sessions (
    id text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C",
    address text NOT NULL COLLATE pg_catalog."C",
    agent text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    revoked_why text NOT NULL COLLATE pg_catalog."C",
    kind text DEFAULT 'client'::text NOT NULL COLLATE pg_catalog."C",
    issuer text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    issuer_session text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE public.shared_keys (
    name text NOT NULL COLLATE pg_catalog."C",
    ord bigint NOT NULL,
    secret text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint
);

CREATE TABLE public.sign_ins (
    digest text NOT NULL COLLATE pg_catalog."C",
    browser text NOT NULL COLLATE pg_catalog."C",
    provider text NOT NULL COLLATE pg_catalog."C",
    next text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE public.signals (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    execution text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    payload text COLLATE pg_catalog."C",
    sent_at bigint NOT NULL,
    taken_at bigint
);

CREATE TABLE public.steps (
    execution text NOT NULL COLLATE pg_catalog."C",
    ord bigint NOT NULL,
    workspace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    input text NOT NULL COLLATE pg_catalog."C",
    output text COLLATE pg_catalog."C",
    failure text COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    sequence bigint NOT NULL,
    started_at bigint,
    recorded_at bigint NOT NULL
);

CREATE TABLE public.streams (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    since bigint,
    until bigint
)
WITH (fillfactor='50');

CREATE TABLE public.tasks (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    data text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);

CREATE TABLE public.users (
    id text NOT NULL COLLATE pg_catalog."C",
    email text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    password text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.webhook_attempts (
    webhook text NOT NULL COLLATE pg_catalog."C",
    event text NOT NULL COLLATE pg_catalog."C",
    ord bigint NOT NULL,
    at bigint NOT NULL,
    duration bigint NOT NULL,
    status bigint NOT NULL,
    error text NOT NULL COLLATE pg_catalog."C",
    response text NOT NULL COLLATE pg_catalog."C",
    next_at bigint
);

CREATE TABLE public.webhook_deliveries (
    webhook text NOT NULL COLLATE pg_catalog."C",
    event text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    attempts bigint NOT NULL,
    next_at bigint,
    last_error text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.webhook_secrets (
    webhook text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    secret text NOT NULL COLLATE pg_catalog."C",
    expires_at bigint
);

CREATE TABLE public.webhooks (
    id text NOT NULL COLLATE pg_catalog."C",
    workspace text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    types text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    enabled bigint NOT NULL,
    disabled_why text NOT NULL COLLATE pg_catalog."C",
    failing_since bigint,
    "position" bigint NOT NULL,
    owner text NOT NULL COLLATE pg_catalog."C",
    lease_until bigint,
    term bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.workspace_keys (
    workspace text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    wrapped bytea NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.revisions (
    workspace text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL
);

CREATE TABLE public.kept_answers (
    workspace text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    route text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    made text NOT NULL COLLATE pg_catalog."C",
    status bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);

CREATE TABLE public.attempts (
    id text NOT NULL COLLATE pg_catalog."C",
    failed bigint NOT NULL,
    until bigint NOT NULL,
    last bigint NOT NULL
);

CREATE TABLE public.settings (
    workspace text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    updated_by text NOT NULL COLLATE pg_catalog."C",
    updated_at bigint NOT NULL
);

CREATE TABLE public.erasures (
    subject text NOT NULL COLLATE pg_catalog."C",
    begun_by text NOT NULL COLLATE pg_catalog."C",
    begun_at bigint NOT NULL,
    done_at bigint
);

CREATE TABLE public.workspaces (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_90 FOR VALUES IN ('90');

ALTER TABLE ONLY public.events_90 ATTACH PARTITION public.events_90_202611 FOR VALUES FROM ('1793491200000000') TO ('1796083200000000');

ALTER TABLE ONLY public.events ATTACH PARTITION public.events_left FOR VALUES IN ('-1');

INSERT INTO public.api_keys VALUES ('key_01JDT0000000000000000000K1', 'ws_default', 'user_local', 'editor', 'abababababababababababababababababababababababababababababababab', '["openai/*"]', 5000000000, 'monthly', 1795872033000000, NULL, NULL, NULL, '["models"]', 'service', '', NULL);

INSERT INTO public.audit_checkpoints VALUES ('ws_default', 0, 'mgx/ws_default', 1795872035000000);

INSERT INTO public.budget_periods VALUES ('bgt_01JDT0000000000000000000B1', 0, 20000000, 200000000, 0, 0);

INSERT INTO public.budgets VALUES ('bgt_01JDT0000000000000000000B1', 'ws_default', 'workspace', 'ws_default', 'absolute', 5000000000, 4000000000, '[50,80,100]', 'user_local', 'user_local', 1795872034000000, 1795872034000000, NULL);

INSERT INTO public.consumer_dead VALUES ('metrics', 'evt_01M8H50XJFM7EB55H51M35X44E', 'ws_default', 'task.started', 'run_01JDT0000000000000000000R1', 3, 6, 'the reason', NULL, 1795872033000000, 1795872033000000);

INSERT INTO public.consumers VALUES ('metrics', 4, '', NULL, 1, 'evt_01M8H50XJJWE6JESF7VCXM5D4E', 2, 'the reason', 1795872033500000, 0, 0, 0, NULL, 1795872033000000, 1795872033200000);

INSERT INTO public.epoch VALUES ('epoch_01JDT0000000000000000000E1');

INSERT INTO public.event_ids VALUES ('evt_01M8H50XJFG2QRNMG9K39K16ZP', 'run_01JDT0000000000000000000R1', 1);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJFAK6QVS0Z6K0TNS32', 'run_01JDT0000000000000000000R1', 2);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJFM7EB55H51M35X44E', 'run_01JDT0000000000000000000R1', 3);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJJ7QYY83JQNFWZFTY9', 'run_01JDT0000000000000000000R1', 4);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJJWE6JESF7VCXM5D4E', 'run_01JDT0000000000000000000R1', 5);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJJ27AHAZCJEQHMEJPZ', 'run_01JDT0000000000000000000R1', 6);
INSERT INTO public.event_ids VALUES ('evt_01M8H50XJJY268F3GRNG9ZNC89', 'run_01JDT0000000000000000000R1', 7);

INSERT INTO public.events_90_202611 VALUES (5, 'evt_01M8H50XJJWE6JESF7VCXM5D4E', 'ws_default', 'run_01JDT0000000000000000000R1', 5, 'workflow.step.completed', '', 1795872028242169, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"step":"plan","kind":"step","order":1,"status":"done","attempts":1,"duration_ms":0}', 90);
INSERT INTO public.events_90_202611 VALUES (6, 'evt_01M8H50XJJ27AHAZCJEQHMEJPZ', 'ws_default', 'run_01JDT0000000000000000000R1', 6, 'workflow.approval.requested', '', 1795872028242182, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"approval_id":"approval_plan","effect":"carry out the plan","hash":"abc"}', 90);

INSERT INTO public.events_left VALUES (1, 'evt_01M8H50XJFG2QRNMG9K39K16ZP', 'ws_default', 'run_01JDT0000000000000000000R1', 1, 'run.created', '', 1795872028239277, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"repo":{},"settings":{"model":"scripted/demo","approve":"auto","budget_usd":2,"max_turns":50,"timeout_ns":0,"sandbox":"auto"},"workflow":"team"}', -1);
INSERT INTO public.events_left VALUES (2, 'evt_01M8H50XJFAK6QVS0Z6K0TNS32', 'ws_default', 'run_01JDT0000000000000000000R1', 2, 'task.created', '', 1795872028239284, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"user_id":"local","source":"cli"}', -1);
INSERT INTO public.events_left VALUES (3, 'evt_01M8H50XJFM7EB55H51M35X44E', 'ws_default', 'run_01JDT0000000000000000000R1', 3, 'task.started', '', 1795872028239287, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"attempt":1}', -1);
INSERT INTO public.events_left VALUES (4, 'evt_01M8H50XJJ7QYY83JQNFWZFTY9', 'ws_default', 'run_01JDT0000000000000000000R1', 4, 'llm.call.completed', '', 1795872028242155, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"provider":"scripted","model":"demo","agent_role":"","usage":{"prompt":1200,"completion":80},"cost_usd":0.02,"price_known":true,"duration_ms":0,"first_token_ms":0,"finish":"","attempts":0,"step":"plan"}', -1);

INSERT INTO public.executions VALUES ('exec_01JDT0000000000000000000E1', 'ws_default', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', '', 'team', '{"task":"x"}', 'waiting', 1795872028242922, '["approval_plan"]', '', NULL, NULL, 1795875628240393, '', NULL, 1, 1795872028239302, 1795872028242922, '', '');

INSERT INTO public.ledger VALUES ('call-1', 'ws_default', 'run_01JDT0000000000000000000R1', 100000000, 20000000, 'plan', 1795872028241387, 1795872028242222, '', 'task_01JDT0000000000000000000T1', '', 'exec_01JDT0000000000000000000E1', 0, '', 1795958428241387, '', '', '', '', 'done', 1200, 80, 0, 0, 0);
INSERT INTO public.ledger VALUES ('call-2', 'ws_default', 'run_01JDT0000000000000000000R1', 200000000, NULL, '', 1795872028241772, NULL, '', 'task_01JDT0000000000000000000T1', '', 'exec_01JDT0000000000000000000E1', 0, '', 1795958428241772, '', '', '', '', '', 0, 0, 0, 0, 0);

INSERT INTO public.members VALUES ('ws_default', 'user_local', 'admin', 1795872029000000, 1795872029000000);

INSERT INTO public.mgx_schema VALUES (1, 'first', 1795872028233770);
INSERT INTO public.mgx_schema VALUES (2, 'webhooks', 1795872029233770);
INSERT INTO public.mgx_schema VALUES (3, 'kept', 1795872029000000);
INSERT INTO public.mgx_schema VALUES (4, 'shared_keys', 1795872029000000);
INSERT INTO public.mgx_schema VALUES (5, 'consumers', 1795872033000000);
INSERT INTO public.mgx_schema VALUES (6, 'gateway_keys', 1795872034000000);
INSERT INTO public.mgx_schema VALUES (7, 'partitions', 1795872035000000);
INSERT INTO public.mgx_schema VALUES (8, 'budgets', 1795872034000000);
INSERT INTO public.mgx_schema VALUES (9, 'audit', 1795872035000000);
INSERT INTO public.mgx_schema VALUES (10, 'secrets', 1795872036000000);
INSERT INTO public.mgx_schema VALUES (11, 'key_budgets', 1795872037000000);
INSERT INTO public.mgx_schema VALUES (12, 'access', 1795872030000000);
INSERT INTO public.mgx_schema VALUES (13, 'project_settings', 1795898700000000);
INSERT INTO public.mgx_schema VALUES (14, 'sign_in', 1795900000000000);
INSERT INTO public.mgx_schema VALUES (15, 'work', 1795904200000000);
INSERT INTO public.mgx_schema VALUES (16, 'rights', 1795902000000000);
INSERT INTO public.mgx_schema VALUES (17, 'terms', 1795905060000000);
INSERT INTO public.mgx_schema VALUES (18, 'attempts', 1795905600000000);

INSERT INTO public.project_settings VALUES ('ws_default', 'proj_1', 'allow-host', 'registry.npmjs.org:443', 'user_local', 1795898700000000);

INSERT INTO public.outbox OVERRIDING SYSTEM VALUE VALUES (1, 'evt_01M8H50XJJY268F3GRNG9ZNC89', 'ws_default', 'run_01JDT0000000000000000000R1', 7, 'workflow.waiting', '', 1795872028242188, '', 'task_01JDT0000000000000000000T1', 'run_01JDT0000000000000000000R1', '', 'exec_01JDT0000000000000000000E1', '', '', '', '{"for":"approval_plan"}', 90);

INSERT INTO public.partitions VALUES (90, 202611, 5, 6);

INSERT INTO public.receipts VALUES ('rcpt_01JDT0000000000000000000C1', 1795872028242922);

INSERT INTO public.projects VALUES ('ws_default', 'proj_1', 'shop', '/srv/shop', '', 'user_local', 1795904200000000, 1795904200000000);

INSERT INTO public.runs VALUES ('run_01JDT0000000000000000000R1', 'ws_default', 'task_01JDT0000000000000000000T1', 'waiting', 7, 1795872028239277, 1795872028242188, '{"id":"run_01JDT0000000000000000000R1","workspace_id":"ws_default","task":{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"},"execution_id":"exec_01JDT0000000000000000000E1","repo":{},"settings":{"model":"scripted/demo","approve":"auto","budget_usd":2,"max_turns":50,"timeout_ns":0,"sandbox":"auto"},"status":"waiting","waiting_for":"approval_plan","approval":{"id":"approval_plan","effect":"carry out the plan","hash":"abc","decided":false,"approved":false},"checks":{"round":"","passed":false,"checks":null},"review":{"round":0,"verdict":"","summary":"","findings":null},"model_calls":1,"tool_calls":0,"tool_calls_denied":0,"steps":1,"usage":{"prompt":1200,"completion":80},"cost_usd":0.02,"created_at":"2026-11-28T13:20:28.239277Z","started_at":"2026-11-28T13:20:28.239287Z","updated_at":"2026-11-28T13:20:28.242188Z","sequence":7}', 1795872028242188);

INSERT INTO public.secrets VALUES ('ws_default', 'openai', 1, 1, '\x0102', 'user_local', 1795872036000000);

INSERT INTO public.sequencer VALUES ('log', 'seq_x', 1, 0, 6);

INSERT INTO public.session_tokens VALUES ('cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 'ses_01JDT0000000000000000000S1', 'browser', 1795900000000000, 1795986400000000, NULL);

INSERT INTO public.sessions VALUES ('ses_01JDT0000000000000000000S1', 'user_01JDT0000000000000000000U1', '10.0.0.1', 'browser', 1795900000000000, 1795900000000000, 1796500000000000, NULL, '', 'browser', 'https://id.example.com', 'sid-1');

INSERT INTO public.shared_keys VALUES ('resume', 1, '0123456789ABCDEFGHIJKLMNOPQRSTUV0123456789ABCDEFGHIJ', 1795872029000000, NULL);

INSERT INTO public.sign_ins VALUES ('efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef', 'abababababababababababababababababababababababababababababababab', 'corp', '/', 1795900000000000, 1795900600000000);

INSERT INTO public.signals VALUES ('sig_01JDT0000000000000000000S1', 'ws_default', 'exec_01JDT0000000000000000000E1', 'other', NULL, 1795872028242206, 1795872028242922);
INSERT INTO public.signals VALUES ('sig_01JDT0000000000000000000S2', 'ws_default', 'exec_01JDT0000000000000000000E1', 'approval_plan', '{"approved":true}', 1795872028242918, NULL);

INSERT INTO public.steps VALUES ('exec_01JDT0000000000000000000E1', 1, 'ws_default', 'plan', 'step', 'd1', '{"goal":"GET /healthz answers 200"}', NULL, 1, 7, 1795872028242189, 1795872028242205);
INSERT INTO public.steps VALUES ('exec_01JDT0000000000000000000E1', 2, 'ws_default', 'flaky', 'step', 'd2', NULL, '{"kind":"provider","code":"rate_limit","message":"too many requests"}', 3, 7, NULL, 1795872028242205);

INSERT INTO public.streams VALUES ('run_01JDT0000000000000000000R1', 'ws_default', 7, 1795872028242169, 1795872028242188);

INSERT INTO public.tasks VALUES ('task_01JDT0000000000000000000T1', 'ws_default', '{"id":"task_01JDT0000000000000000000T1","title":"Add a /healthz endpoint","description":"with a test","type":"code_generation"}', 1795872028239284);

INSERT INTO public.users VALUES ('user_01JDT0000000000000000000U1', '', 'somebody', '', 1795900000000000, 1795900000000000);
INSERT INTO public.users VALUES ('user_local', 'jo@example.com', 'Jo', '', 1795872029000000, 1795872029000000);

INSERT INTO public.webhook_attempts VALUES ('whk_01JDT0000000000000000000W1', 'evt_01M8H50XJFG2QRNMG9K39K16ZP', 1, 1795872029000000, 90000000, 500, 'the endpoint answered 500', 'oops', 1795872039000000);

INSERT INTO public.webhook_deliveries VALUES ('whk_01JDT0000000000000000000W1', 'evt_01M8H50XJFG2QRNMG9K39K16ZP', 'run.created', 'run_01JDT0000000000000000000R1', 1, 'pending', 1, 1795872039000000, 'the endpoint answered 500', 1795872029000000, 1795872029100000);

INSERT INTO public.webhook_secrets VALUES ('whk_01JDT0000000000000000000W1', 1795872029000000, 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=', NULL);

INSERT INTO public.webhooks VALUES ('whk_01JDT0000000000000000000W1', 'ws_default', 'https://example.com/hook', 'the chat', '["task.*"]', NULL, 1, '', NULL, 3, '', NULL, 1, 1795872029000000, 1795872029000000);

INSERT INTO public.workspace_keys VALUES ('ws_default', 1, '\x0304', 1795872036000000);

INSERT INTO public.revisions VALUES ('ws_default', 'budget', 'bgt_01JDT0000000000000000000B1', 2);
INSERT INTO public.kept_answers VALUES ('ws_default', 'user_local', 'POST /api/v1/budgets', 'k', 'd', 'bgt_01JDT0000000000000000000B1', 201, '{}', 1795905060000000);
INSERT INTO public.attempts VALUES ('d', 7, 1795905610000000, 1795905600000000);
INSERT INTO public.settings VALUES ('ws_default', 'retention.agent', '30', 'user_local', 1795902000000000);
INSERT INTO public.erasures VALUES ('ws_01JDT0000000000000000000W9', 'user_local', 1795902000000000, 1795902000000001);
INSERT INTO public.workspaces VALUES ('ws_default', 'default', 1795872029000000, 1795872029000000);

SELECT pg_catalog.setval('public.outbox_n_seq', 1, true);

ALTER TABLE ONLY public.audit_checkpoints
    ADD CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (workspace, size);

ALTER TABLE ONLY public.audit_hashes
    ADD CONSTRAINT audit_hashes_pkey PRIMARY KEY (workspace, idx);

ALTER TABLE ONLY public.baselines
    ADD CONSTRAINT baselines_pkey PRIMARY KEY (stream);

ALTER TABLE ONLY public.budget_periods
    ADD CONSTRAINT budget_periods_pkey PRIMARY KEY (budget, starts_at);

ALTER TABLE ONLY public.budgets
    ADD CONSTRAINT budgets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.consumer_dead
    ADD CONSTRAINT consumer_dead_pkey PRIMARY KEY (consumer, event);

ALTER TABLE ONLY public.consumers
    ADD CONSTRAINT consumers_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.epoch
    ADD CONSTRAINT epoch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.event_ids
    ADD CONSTRAINT event_ids_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events_90_202611
    ADD CONSTRAINT events_90_202611_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.events_left
    ADD CONSTRAINT events_left_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT gateway_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (workspace, user_id);

ALTER TABLE ONLY public.mgx_schema
    ADD CONSTRAINT mgx_schema_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (n);

ALTER TABLE ONLY public.partitions
    ADD CONSTRAINT partitions_pkey PRIMARY KEY (class, month);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.project_settings
    ADD CONSTRAINT project_settings_pkey PRIMARY KEY (workspace, project, name);

ALTER TABLE ONLY public.projects
    ADD CONSTRAINT projects_pkey PRIMARY KEY (workspace, id);

ALTER TABLE ONLY public.roles
    ADD CONSTRAINT roles_pkey PRIMARY KEY (workspace, name);

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (workspace, name, version);

ALTER TABLE ONLY public.sequencer
    ADD CONSTRAINT sequencer_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.session_tokens
    ADD CONSTRAINT session_tokens_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.shared_keys
    ADD CONSTRAINT shared_keys_pkey PRIMARY KEY (name, ord);

ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (execution, ord);

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_pkey PRIMARY KEY (webhook, event, ord);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (webhook, event);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (webhook, secret);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_keys
    ADD CONSTRAINT workspace_keys_pkey PRIMARY KEY (workspace, version);

ALTER TABLE ONLY public.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (workspace, name);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);

CREATE INDEX api_keys_user ON public.api_keys USING btree (user_id, workspace);

CREATE INDEX api_keys_workspace ON public.api_keys USING btree (workspace, id);

CREATE INDEX baselines_position ON public.baselines USING btree ("position");

CREATE UNIQUE INDEX budgets_scope ON public.budgets USING btree (workspace, scope, scope_id, period);

CREATE INDEX consumer_dead_due ON public.consumer_dead USING btree (consumer, next_at) WHERE (next_at IS NOT NULL);

CREATE INDEX consumer_dead_position ON public.consumer_dead USING btree (consumer, "position");

CREATE INDEX events_90_202611_run ON public.events_90_202611 USING btree (run, "position") WHERE (run <> ''::text);

CREATE UNIQUE INDEX events_90_202611_stream ON public.events_90_202611 USING btree (stream, sequence);

CREATE INDEX events_left_run ON public.events_left USING btree (run, "position") WHERE (run <> ''::text);

CREATE UNIQUE INDEX events_left_stream ON public.events_left USING btree (stream, sequence);

CREATE INDEX executions_due ON public.executions USING btree (wake_at) WHERE (status = ANY (ARRAY['ready'::text, 'waiting'::text]));

CREATE INDEX executions_parent ON public.executions USING btree (parent) WHERE (parent <> ''::text);

CREATE INDEX executions_run ON public.executions USING btree (run) WHERE (run <> ''::text);

CREATE INDEX executions_workspace ON public.executions USING btree (workspace, id);

CREATE INDEX identities_user ON public.identities USING btree (user_id);

CREATE UNIQUE INDEX invitations_digest ON public.invitations USING btree (digest);

CREATE INDEX invitations_workspace ON public.invitations USING btree (workspace, id);

CREATE INDEX ledger_lease ON public.ledger USING btree (lease_until) WHERE (settled IS NULL);

CREATE INDEX ledger_open ON public.ledger USING btree (execution) WHERE (settled IS NULL);

CREATE INDEX ledger_run ON public.ledger USING btree (run, workspace, settled, reserved);

CREATE INDEX ledger_time ON public.ledger USING btree (workspace, reserved_at, id);

CREATE INDEX members_user ON public.members USING btree (user_id, workspace);

CREATE INDEX receipts_at ON public.receipts USING btree (at);

CREATE INDEX runs_workspace ON public.runs USING btree (workspace, id);

CREATE INDEX runs_asked ON public.runs USING btree (workspace, asked_at, id) WHERE (asked_at IS NOT NULL);

CREATE INDEX runs_status ON public.runs USING btree (workspace, status, id);

CREATE INDEX runs_task ON public.runs USING btree (workspace, task, id);

CREATE UNIQUE INDEX projects_name ON public.projects USING btree (workspace, name);

CREATE INDEX executions_made ON public.executions USING btree (workspace, created_at, id);

CREATE INDEX executions_project ON public.executions USING btree (workspace, project, run) WHERE ((parent = ''::text) AND (run <> ''::text));

CREATE INDEX executions_user ON public.executions USING btree (workspace, user_id, run) WHERE ((parent = ''::text) AND (run <> ''::text));

CREATE INDEX executions_ready ON public.executions USING btree (workspace, wake_at) WHERE (status = ANY (ARRAY['ready'::text, 'waiting'::text]));

CREATE INDEX session_tokens_session ON public.session_tokens USING btree (session, kind);

CREATE INDEX sessions_issuer ON public.sessions USING btree (issuer, issuer_session) WHERE (issuer <> ''::text);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id, id);

CREATE INDEX sign_ins_expire ON public.sign_ins USING btree (expires_at);

CREATE INDEX signals_waiting ON public.signals USING btree (execution, name, sent_at) WHERE (taken_at IS NULL);

CREATE UNIQUE INDEX steps_name ON public.steps USING btree (execution, name);

CREATE INDEX tasks_workspace ON public.tasks USING btree (workspace, id);

CREATE UNIQUE INDEX users_email ON public.users USING btree (email) WHERE (email <> ''::text);

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (webhook, next_at) WHERE (status = 'pending'::text);

CREATE INDEX webhook_deliveries_status ON public.webhook_deliveries USING btree (webhook, status, "position");

CREATE INDEX webhook_deliveries_stream ON public.webhook_deliveries USING btree (webhook, stream, "position") WHERE (status = 'pending'::text);

CREATE INDEX webhooks_workspace ON public.webhooks USING btree (workspace, id);

ALTER TABLE ONLY public.budget_periods
    ADD CONSTRAINT budget_periods_budget_fkey FOREIGN KEY (budget) REFERENCES public.budgets(id);

ALTER TABLE ONLY public.consumer_dead
    ADD CONSTRAINT consumer_dead_consumer_fkey FOREIGN KEY (consumer) REFERENCES public.consumers(name);

ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id);

ALTER TABLE ONLY public.steps
    ADD CONSTRAINT steps_execution_fkey FOREIGN KEY (execution) REFERENCES public.executions(id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_webhook_fkey FOREIGN KEY (webhook) REFERENCES public.webhooks(id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (webhook) REFERENCES public.webhooks(id);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_webhook_fkey FOREIGN KEY (webhook) REFERENCES public.webhooks(id);

ALTER TABLE ONLY public.revisions
    ADD CONSTRAINT revisions_pkey PRIMARY KEY (workspace, kind, id);

ALTER TABLE ONLY public.kept_answers
    ADD CONSTRAINT kept_answers_pkey PRIMARY KEY (workspace, actor, route, key);

CREATE INDEX kept_answers_by_age ON public.kept_answers USING btree (created_at);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (id);

CREATE INDEX attempts_last ON public.attempts USING btree (last);

-- The words of tasks, by which tasks and their runs are found. They follow from
-- tasks.data: what reads words out of a text fills in those of earlier tasks.
CREATE TABLE public.task_words (
    number    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    workspace TEXT COLLATE "C" NOT NULL,
    task      TEXT COLLATE "C" NOT NULL,
    words     TEXT COLLATE "C" NOT NULL,  -- each once and between spaces, the first being a mark of the workspace
    terms     TSVECTOR GENERATED ALWAYS AS (array_to_tsvector(string_to_array(btrim(words, ' '), ' '))) STORED
);
CREATE UNIQUE INDEX task_words_task ON public.task_words (task);
CREATE INDEX task_words_terms ON public.task_words USING gin (terms);

INSERT INTO public.task_words (workspace, task, words) VALUES ('ws_default', 'task_01JDT0000000000000000000T1', ' _9f642c763af7b11e add a healthz endpoint with test ');
INSERT INTO public.mgx_schema VALUES (19, 'search', 1795906200000000);

CREATE INDEX executions_root ON public.executions (run) WHERE parent = '' AND run <> '';
INSERT INTO public.mgx_schema VALUES (20, 'roots', 1795906300000000);

-- What a run keeps, in bytes: the data of its events and what its journal has, and
-- the files that it was given.
ALTER TABLE public.runs ADD COLUMN stored BIGINT NOT NULL DEFAULT 0;
ALTER TABLE public.runs ADD COLUMN attached BIGINT NOT NULL DEFAULT 0;
UPDATE public.runs r SET stored = r.stored + e.bytes FROM (
    SELECT stream, SUM(octet_length(data)) AS bytes FROM (SELECT stream, data FROM public.events UNION ALL SELECT stream, data FROM public.outbox) all_events
    WHERE stream LIKE 'run\_%' GROUP BY stream) e WHERE e.stream = r.id;
UPDATE public.runs r SET stored = r.stored + s.bytes FROM (
    SELECT x.run, SUM(octet_length(s.input) + COALESCE(octet_length(s.output), 0) + COALESCE(octet_length(s.failure), 0)) AS bytes
    FROM public.executions x JOIN public.steps s ON s.execution = x.id WHERE x.run <> '' GROUP BY x.run) s WHERE s.run = r.id;
UPDATE public.runs r SET attached = a.bytes FROM (
    SELECT id, SUM((a ->> 'size')::bigint) AS bytes FROM (SELECT id, state::json -> 'settings' -> 'attachments' AS list FROM public.runs WHERE state LIKE '%"attachments":[%') given,
    LATERAL json_array_elements(CASE WHEN json_typeof(list) = 'array' THEN list ELSE '[]' END) a GROUP BY id) a WHERE a.id = r.id;
INSERT INTO public.mgx_schema VALUES (21, 'stored', 1795906400000000);

-- An invitation waits until the person with its address takes it. The address of a
-- person is what their issuer verified at the last sign-in.
ALTER TABLE public.identities ADD COLUMN email TEXT NOT NULL DEFAULT '';  -- in lower case; '': it verified none
UPDATE public.identities SET email = COALESCE((SELECT u.email FROM public.users u WHERE u.id = identities.user_id), '');
ALTER TABLE public.invitations ADD COLUMN declined_at BIGINT;  -- then it is revoked, too
CREATE INDEX invitations_email ON public.invitations (email, id) WHERE email <> '';

-- A sign-in under way comes back in what the browser keeps; nobody pushes out another's.
DROP TABLE public.sign_ins;
INSERT INTO public.mgx_schema VALUES (22, 'consent', 1795906500000000);
