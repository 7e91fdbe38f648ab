-- The whole database of assay-wsgi, for SQLite and PostgreSQL, written to be read from top to bottom.
--
-- A *run* (workflows) is one execution of a workflow. What happened to it is its history
-- (workflow_events, append-only, numbered 1..n without a gap). Whether a worker must look at it now is
-- one row in workflow_tasks: there is one while the run is ready or leased, none while it is parked.
-- Everything else hangs below a run by run_key. Whoever writes below a run holds that run's row lock.
--
-- Times are seconds since the epoch. Payloads are JSON as text, never jsonb: a payload may hold \u0000,
-- which jsonb refuses.
--
-- The reader (assay_wsgi/store/schema.py) knows these marks:
--   $key         an integer key that the engine hands out in blocks   (integer / bigint)
--   $exact       a text that is ordered byte by byte, whatever the database's language  (text / text COLLATE "C")
--   $serial      a key that the database numbers at the insert        (integer PRIMARY KEY AUTOINCREMENT /
--                                                                      bigint identity PRIMARY KEY)
--   $clustered   the table is stored in primary-key order             (WITHOUT ROWID / nothing)
--   -- only: X   the next statement is for X (sqlite, postgres) alone

-- One row a fact about the database itself: schema_version, store_id (names this very database), first_key_made ('' until
-- an API key is made; its lock guards all keys); epoch (another one when it is restored from a copy), life and
-- mark_base (how that is found out: store/lives.py); feed_floor (up to where the outbox was pruned).
CREATE TABLE meta (
    name   text PRIMARY KEY,
    value  text NOT NULL
) $clustered;

-- Integer keys are handed out in blocks: one write here serves a thousand new rows.
CREATE TABLE key_blocks (
    name      text PRIMARY KEY,
    next_key  $key NOT NULL
) $clustered;

-- Named leases with an epoch: who leads among the sidecars. Safety never rests on them.
CREATE TABLE leases (
    name        text PRIMARY KEY,
    owner       text,
    epoch       $key NOT NULL,
    expires_at  double precision NOT NULL
) $clustered;

-- A row a writing connection. Its number is the last unit of work that the connection committed: so a
-- commit whose answer was lost can be settled by reading it.
CREATE TABLE units (
    unit_key  text PRIMARY KEY,
    number    $key NOT NULL,
    used_at   double precision NOT NULL
) $clustered;

-- Work on other runs that was too much for one unit of work: it is done in bounded units afterwards.
CREATE TABLE followups (
    id       $serial,
    kind     text NOT NULL,
    run_key  $key NOT NULL,
    detail   text,
    due_at   double precision NOT NULL
);
CREATE INDEX followups_due ON followups (due_at);
CREATE INDEX followups_run ON followups (run_key);

CREATE TABLE namespaces (
    name        text PRIMARY KEY,
    created_at  double precision NOT NULL
) $clustered;

-- ---------------------------------------------------------------------------------------------- runs

CREATE TABLE workflows (
    run_key              $key PRIMARY KEY,
    namespace            text NOT NULL,
    workflow_id          $exact NOT NULL,
    run_id               text NOT NULL,              -- run-<workflow_id>-<run_key>: unique because the key is
    workflow_type        text NOT NULL,
    task_queue           text NOT NULL,
    status               text NOT NULL,              -- PENDING RUNNING COMPLETED FAILED CANCELLED TIMED_OUT
    close_reason         text,                       -- completed failed cancelled terminated timed_out continued_as_new
    input                text,
    result               text,
    error                text,
    search_attributes    text,                       -- a JSON object; workflow_attributes has it in rows
    priority             integer NOT NULL,           -- lower goes first
    parent_key           $key,                       -- the run that started this one; immutable
    parent_chain_key     $key,                       -- the first run of the parent's chain; immutable
    child_command        integer,                    -- the parent's command that started this run
    parent_close         text,                       -- request_cancel terminate abandon
    first_run_key        $key NOT NULL,              -- the first run of this chain (itself, when it continues none)
    first_run_id         text NOT NULL,
    schedule_key         $key,                       -- the schedule that started this chain; immutable
    schedule_tick        double precision,           -- the tick that it was started for; immutable
    continued_from       text,                       -- run_id
    continued_to         text,                       -- run_id
    has_children         boolean NOT NULL,           -- whether the chain ever started a child: closing it concerns them
    last_seq             integer NOT NULL,           -- the newest event's seq: the counter that numbers events
    wake_seq             integer NOT NULL,           -- the newest event that a worker must see
    seen_seq             integer NOT NULL,           -- history_seq of the last turn that was accepted
    signal_seq           integer NOT NULL,           -- the newest signal or cancel request: a turn that knows less may not close
    last_token           text,                       -- hash of that turn's token: recognises a repeat
    feed_mark            $key NOT NULL,              -- mark of the run's newest notice
    run_timeout_secs     double precision,           -- of each run of the chain
    run_deadline_at      double precision,
    chain_deadline_at    double precision,           -- of the whole chain (execution_timeout_secs)
    deadline_at          double precision,           -- the earliest of them, and of the end of a cancel's grace
    cancel_seq           integer NOT NULL,           -- the cancel request, 0 = none; heard once seen_seq has reached it
    cancel_requested_at  double precision,
    paused               text,                       -- {by, reason, at}
    waiting_for          text,                       -- [{kind, name, since}]: what the last turn parked on
    awaited              text,                       -- {signal: [seq of its WorkflowAwaitingSignal, seq of the signal that met it, timer?]}
    task_failure         text,                       -- {cause, message, trace, count, first_at, last_at}
    archived_at          double precision,
    archive_uri          text,
    created_at           double precision NOT NULL,
    updated_at           double precision NOT NULL,
    completed_at         double precision
);
-- At most one open run per id. This index decides every race between two starts.
CREATE UNIQUE INDEX workflows_open_id ON workflows (namespace, workflow_id)
    WHERE status IN ('PENDING', 'RUNNING');
-- The newest run of an id, with or without its namespace.
CREATE INDEX workflows_newest ON workflows (workflow_id, namespace, created_at, run_key);
-- Lists, newest first, and the counts of namespaces.
CREATE INDEX workflows_listed ON workflows (namespace, created_at, run_key);
CREATE INDEX workflows_status ON workflows (namespace, status, created_at, run_key, workflow_type);
CREATE INDEX workflows_type ON workflows (namespace, workflow_type, created_at, run_key);
CREATE INDEX workflows_closed ON workflows (namespace, completed_at, run_key) WHERE completed_at IS NOT NULL;
-- The newest run of a chain; most chains are one run, and have no entry here.
CREATE INDEX workflows_chain ON workflows (first_run_key, created_at, run_key) WHERE continued_from IS NOT NULL;
CREATE INDEX workflows_children ON workflows (parent_chain_key, created_at, run_key)
    WHERE parent_chain_key IS NOT NULL;
-- Whether anything of a schedule runs: the chain goes on under its schedule's key.
CREATE INDEX workflows_schedule ON workflows (schedule_key)
    WHERE schedule_key IS NOT NULL AND status IN ('PENDING', 'RUNNING');
CREATE INDEX workflows_scheduled ON workflows (schedule_key, created_at, run_key) WHERE schedule_key IS NOT NULL;
CREATE INDEX workflows_deadline ON workflows (deadline_at) WHERE deadline_at IS NOT NULL;

-- The search attributes of runs, to find and order runs by: one row a name. Names are the users' own. A value is
-- written so that its text has its order, numbers too (store/attributes.py); `rest` is what an index has no room for.
CREATE TABLE workflow_attributes (
    run_key     $key NOT NULL,
    name        $exact NOT NULL,
    namespace   text NOT NULL,                       -- the run's
    value       $exact NOT NULL,
    rest        $exact NOT NULL,
    created_at  double precision NOT NULL,           -- the run's
    PRIMARY KEY (run_key, name)
) $clustered;
CREATE INDEX workflow_attributes_value ON workflow_attributes (namespace, name, value, created_at, run_key);

-- A row while a run is ready for a worker or leased to one. token IS NULL = ready.
CREATE TABLE workflow_tasks (
    run_key         $key PRIMARY KEY,
    namespace       text NOT NULL,
    task_queue      text NOT NULL,
    workflow_type   text NOT NULL,
    priority        integer NOT NULL,
    ready_at        double precision NOT NULL,       -- not handed out before
    paused          boolean NOT NULL,
    attempt         integer NOT NULL,                -- turns that failed or ran out of time since one was accepted
    closes_refused  integer NOT NULL,                -- closing turns refused in a row, because an event waited
    token           text,                            -- SHA-256 of the task token
    owner           text,                            -- worker id
    session         text,
    exchange        $key,                            -- number of the exchange that claimed it
    claimed_seq     integer,                         -- last_seq at the claim
    deadline_at     double precision                 -- when the lease ends
);
CREATE INDEX workflow_tasks_claim ON workflow_tasks (namespace, task_queue, priority, ready_at, workflow_type)
    WHERE token IS NULL AND NOT paused;
CREATE INDEX workflow_tasks_deadline ON workflow_tasks (deadline_at) WHERE token IS NOT NULL;
CREATE INDEX workflow_tasks_owner ON workflow_tasks (owner) WHERE token IS NOT NULL;
-- Rows live for milliseconds: without an early vacuum each claim walks over the dead.
-- only: postgres
ALTER TABLE workflow_tasks SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, fillfactor = 50);

-- The history. Append-only: a row here is never changed, and goes only with the archived run.
CREATE TABLE workflow_events (
    run_key     $key NOT NULL,
    seq         integer NOT NULL,
    event_type  text NOT NULL,
    ref_seq     integer,                             -- seq of the activity, timer or side effect it is about
    payload     text,
    timestamp   double precision NOT NULL,
    PRIMARY KEY (run_key, seq)
) $clustered;
-- Exactly one terminal event, and one value per side effect and per numbered attribute upsert: the database's word.
CREATE UNIQUE INDEX workflow_events_terminal ON workflow_events (run_key)
    WHERE event_type IN ('WorkflowCompleted', 'WorkflowFailed', 'WorkflowCancelled', 'WorkflowTerminated',
                         'WorkflowTimedOut', 'WorkflowContinuedAsNew');
CREATE UNIQUE INDEX workflow_events_recorded ON workflow_events (run_key, event_type, ref_seq)
    WHERE event_type IN ('SideEffectRecorded', 'SearchAttributesUpserted');

-- ---------------------------------------------------------------------------------- below a run

CREATE TABLE workflow_activities (
    activity_key               $key PRIMARY KEY,
    run_key                    $key NOT NULL,
    seq                        integer NOT NULL,
    namespace                  text NOT NULL,
    task_queue                 text NOT NULL,
    name                       text NOT NULL,
    priority                   integer NOT NULL,
    input                      text,
    status                     text NOT NULL,        -- PENDING RUNNING COMPLETED FAILED CANCELLED
    result                     text,
    error                      text,
    attempt                    integer NOT NULL,     -- the attempt that runs, or will run next: 1, 2, ...
    max_attempts               integer NOT NULL,     -- 0 = no end
    initial_interval_secs      double precision NOT NULL,
    backoff_coefficient        double precision NOT NULL,
    max_interval_secs          double precision,
    jitter                     double precision NOT NULL,
    non_retryable              text,                 -- a JSON array of error types
    schedule_to_start_secs     double precision,
    start_to_close_secs        double precision,
    schedule_to_close_secs     double precision,
    heartbeat_timeout_secs     double precision,
    visible_at                 double precision NOT NULL,   -- not handed out before
    deadline_at                double precision,     -- the earliest time-out that applies
    token                      text,                 -- SHA-256 of the attempt's token; kept after its report, to know a repeat
    owner                      text,
    session                    text,
    exchange                   $key,
    last_heartbeat             double precision,
    heartbeat_details          text,
    last_failure               text,                 -- {error, error_type, at, attempt}
    cancel_requested           boolean NOT NULL,
    scheduled_at               double precision NOT NULL,
    started_at                 double precision,
    completed_at               double precision
);
CREATE UNIQUE INDEX workflow_activities_seq ON workflow_activities (run_key, seq);
CREATE INDEX workflow_activities_claim ON workflow_activities (namespace, task_queue, priority, visible_at, name)
    WHERE status = 'PENDING';
CREATE INDEX workflow_activities_deadline ON workflow_activities (deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX workflow_activities_owner ON workflow_activities (owner) WHERE status = 'RUNNING';
-- only: postgres
ALTER TABLE workflow_activities SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, fillfactor = 70);

-- A row per *failed* attempt, for people; replay never reads it.
CREATE TABLE activity_attempts (
    activity_key  $key NOT NULL,
    attempt       integer NOT NULL,
    run_key       $key NOT NULL,
    owner         text,
    error         text,
    error_type    text,
    started_at    double precision,
    failed_at     double precision NOT NULL,
    PRIMARY KEY (activity_key, attempt)
) $clustered;
CREATE INDEX activity_attempts_run ON activity_attempts (run_key);

CREATE TABLE workflow_timers (
    run_key     $key NOT NULL,
    seq         integer NOT NULL,
    timer_key   $key NOT NULL,
    namespace   text NOT NULL,
    fire_at     double precision NOT NULL,
    status      text NOT NULL,                       -- PENDING FIRED CANCELLED
    created_at  double precision NOT NULL,
    PRIMARY KEY (run_key, seq)
) $clustered;
CREATE INDEX workflow_timers_due ON workflow_timers (fire_at) WHERE status = 'PENDING';

CREATE TABLE workflow_signals (
    run_key      $key NOT NULL,
    event_seq    integer NOT NULL,                   -- its SignalReceived
    name         text NOT NULL,
    signal_id    text,                               -- the sender's, for repeats
    received_at  double precision NOT NULL,
    PRIMARY KEY (run_key, event_seq)
) $clustered;
CREATE UNIQUE INDEX workflow_signals_id ON workflow_signals (run_key, signal_id) WHERE signal_id IS NOT NULL;

-- What a run shows to queries: one row, rewritten only when it changed.
CREATE TABLE workflow_snapshots (
    run_key     $key PRIMARY KEY,
    state       text NOT NULL,
    event_seq   integer NOT NULL,
    created_at  double precision NOT NULL
);

-- --------------------------------------------------------------------------------------- schedules

-- Whoever writes below a schedule holds its row lock, which is taken before any run's.
CREATE TABLE workflow_schedules (
    schedule_key            $key PRIMARY KEY,
    namespace               text NOT NULL,
    name                    text NOT NULL,
    workflow_type           text NOT NULL,
    cron_expr               text NOT NULL,
    timezone                text NOT NULL,
    input                   text,
    task_queue              text NOT NULL,
    search_attributes       text,                    -- a JSON object: of the runs that it starts
    run_timeout_secs        double precision,
    execution_timeout_secs  double precision,
    overlap_policy          text NOT NULL,
    catchup_window_secs     double precision NOT NULL,   -- a tick that is older is not made up for
    paused                  boolean NOT NULL,
    pause_reason            text,
    next_run_at             double precision,        -- the next tick; NULL while paused, and when there is none any more
    due_at                  double precision,        -- when the sidecar looks: at the next tick, sooner or later for a reason
    last_run_at             double precision,        -- when it last started a run
    last_workflow_id        text,
    last_trigger_at         double precision,        -- its newest tick that somebody asked for
    buffered                integer NOT NULL,        -- how many ticks wait
    runs_started            $key NOT NULL,
    ticks_skipped           $key NOT NULL,
    ticks_missed            $key NOT NULL,
    error                   text,                    -- {message, count, at}: why it cannot be worked on
    created_at              double precision NOT NULL,
    updated_at              double precision NOT NULL
);
CREATE UNIQUE INDEX workflow_schedules_name ON workflow_schedules (namespace, name);
CREATE INDEX workflow_schedules_due ON workflow_schedules (due_at) WHERE due_at IS NOT NULL;
-- Those that may have a tick to start when their runs have ended.
CREATE INDEX workflow_schedules_waiting ON workflow_schedules (schedule_key) WHERE buffered > 0;

-- A tick of a schedule happens once: its row is inserted in the unit that starts its run, buffers or skips it.
CREATE TABLE schedule_runs (
    schedule_key    $key NOT NULL,
    tick            double precision NOT NULL,       -- a whole second; of what somebody asked for, never one
    state           text NOT NULL,                   -- buffered started skipped
    origin          text NOT NULL,                   -- cron trigger backfill
    overlap_policy  text,                            -- its own, NULL = the schedule's; once started, the one that decided
    reason          text,                            -- why it was skipped: overlap replaced buffer_full paused id_taken
    run_key         $key,                            -- the run that it started
    queued_at       double precision NOT NULL,
    PRIMARY KEY (schedule_key, tick)
) $clustered;
CREATE INDEX schedule_runs_waiting ON schedule_runs (schedule_key, queued_at, tick) WHERE state = 'buffered';
CREATE INDEX schedule_runs_age ON schedule_runs (queued_at) WHERE state <> 'buffered';

-- ------------------------------------------------------------------------- workers, queues, callers

CREATE TABLE workflow_workers (
    namespace                  text NOT NULL,
    worker_id                  text NOT NULL,
    identity                   text NOT NULL,
    task_queue                 text NOT NULL,
    workflows                  text,                 -- a JSON array; NULL = any type
    activities                 text,
    max_concurrent_workflows   integer NOT NULL,
    max_concurrent_activities  integer NOT NULL,
    sdk                        text,
    session                    text,                 -- the worker's present session; leases of others are void
    last_seen                  double precision NOT NULL,
    registered_at              double precision NOT NULL,
    retired_at                 double precision,
    PRIMARY KEY (namespace, worker_id)
) $clustered;
CREATE INDEX workflow_workers_id ON workflow_workers (worker_id);
CREATE INDEX workflow_workers_seen ON workflow_workers (last_seen) WHERE retired_at IS NULL;

CREATE TABLE queues (
    namespace     text NOT NULL,
    task_queue    text NOT NULL,
    last_poll_at  double precision NOT NULL,
    PRIMARY KEY (namespace, task_queue)
) $clustered;

CREATE TABLE api_keys (
    key_hash      text PRIMARY KEY,                  -- SHA-256: a copy of the database opens no door
    prefix        text NOT NULL,                     -- assay_<8 hex>...: its name for people, and who its bearer is
    label         text,
    roles         text NOT NULL,                     -- a JSON array
    namespaces    text,                              -- a JSON array; NULL = all, those to come included
    created_by    text NOT NULL,
    created_at    double precision NOT NULL,
    expires_at    double precision,
    last_used_at  double precision,                  -- written at most once a minute
    revoked_at    double precision,
    replaced_by   text                               -- prefix of the key that it was rotated to
) $clustered;
CREATE UNIQUE INDEX api_keys_prefix ON api_keys (prefix);

-- What stands for a credential once, for half a minute: where a browser can send none with what it opens.
CREATE TABLE tickets (
    ticket_hash  text PRIMARY KEY,
    principal    text NOT NULL,
    grants       text NOT NULL,                      -- a JSON array of [namespace or *, role]
    key_hash     text,                               -- of the API key that it stands for, if it is one
    expires_at   double precision NOT NULL
) $clustered;
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- The first answer to a request that named an Idempotency-Key, written in the request's own unit.
CREATE TABLE idempotency_keys (
    scope       text NOT NULL,                       -- who asked
    key         text NOT NULL,
    hash        text NOT NULL,                       -- of method, path, query and body
    answer      text NOT NULL,
    expires_at  double precision NOT NULL,
    PRIMARY KEY (scope, key)
) $clustered;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

CREATE TABLE archive_jobs (
    run_key      $key PRIMARY KEY,
    state        text NOT NULL,                      -- pending uploading uploaded verified purged
    last_seq     integer NOT NULL,
    sha256       text,
    object_key   text,
    size         $key,
    attempts     integer NOT NULL,
    last_error   text,
    updated_at   double precision NOT NULL,
    verified_at  double precision
);
CREATE INDEX archive_jobs_state ON archive_jobs (state, updated_at);

-- Who did what, written in the unit that does it; what was refused is written later, in batches.
CREATE TABLE audit_log (
    id          $serial,
    at          double precision NOT NULL,
    principal   text NOT NULL,
    action      text NOT NULL,                       -- the operation, as the API names it
    namespace   text,
    target      text,
    outcome     text NOT NULL,                       -- done, or the code of the refusal
    request_id  text
);
CREATE INDEX audit_log_at ON audit_log (at);

-- The feed's outbox, the last rows of the unit that makes them. The database numbers them at the insert.
-- mark (PostgreSQL only) is the greater of the writing transaction's id (plus mark_base) and the run's feed_mark:
-- read in the order (mark, id) below the oldest transaction under way, the feed has no hole and no repeat.
CREATE TABLE notices (
    id           $serial,
    mark         $key,
    namespace    text NOT NULL,
    workflow_id  text NOT NULL,
    event_type   text NOT NULL,
    payload      text NOT NULL,
    created_at   double precision NOT NULL
);
-- only: postgres
CREATE INDEX notices_mark ON notices (mark, id);
