"""The tables as Peewee models, column for column as schema.sql has them, for lists, admin and introspection.

The models are unbound: a query ends in `.execute(db)`. The hot paths use SQL texts instead, and nothing here
makes tables: schema.sql does, and a test holds the two together.
"""

from __future__ import annotations

from peewee import BigAutoField
from peewee import BigIntegerField
from peewee import BooleanField
from peewee import CompositeKey
from peewee import DoubleField
from peewee import IntegerField
from peewee import Model
from peewee import TextField


class Fact(Model):
    """A fact about the database itself."""

    name = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "meta"


class KeyBlock(Model):
    """Where the next block of keys begins."""

    name = TextField(primary_key=True)
    next_key = BigIntegerField()

    class Meta:
        table_name = "key_blocks"


class Lease(Model):
    """A named lease with its epoch."""

    name = TextField(primary_key=True)
    owner = TextField(null=True)
    epoch = BigIntegerField()
    expires_at = DoubleField()

    class Meta:
        table_name = "leases"


class Unit(Model):
    """A writing connection and the last unit that it committed."""

    unit_key = TextField(primary_key=True)
    number = BigIntegerField()
    used_at = DoubleField()

    class Meta:
        table_name = "units"


class Followup(Model):
    """Work on another run that is still to be done."""

    id = BigAutoField()
    kind = TextField()
    run_key = BigIntegerField()
    detail = TextField(null=True)
    due_at = DoubleField()

    class Meta:
        table_name = "followups"


class Namespace(Model):
    """A namespace."""

    name = TextField(primary_key=True)
    created_at = DoubleField()

    class Meta:
        table_name = "namespaces"


class Workflow(Model):
    """A run."""

    run_key = BigIntegerField(primary_key=True)
    namespace = TextField()
    workflow_id = TextField()
    run_id = TextField()
    workflow_type = TextField()
    task_queue = TextField()
    status = TextField()
    close_reason = TextField(null=True)
    input = TextField(null=True)
    result = TextField(null=True)
    error = TextField(null=True)
    search_attributes = TextField(null=True)
    priority = IntegerField()
    parent_key = BigIntegerField(null=True)
    parent_chain_key = BigIntegerField(null=True)
    child_command = IntegerField(null=True)
    parent_close = TextField(null=True)
    first_run_key = BigIntegerField()
    first_run_id = TextField()
    schedule_key = BigIntegerField(null=True)
    schedule_tick = DoubleField(null=True)
    continued_from = TextField(null=True)
    continued_to = TextField(null=True)
    has_children = BooleanField()
    last_seq = IntegerField()
    wake_seq = IntegerField()
    seen_seq = IntegerField()
    signal_seq = IntegerField()
    last_token = TextField(null=True)
    feed_mark = BigIntegerField()
    run_timeout_secs = DoubleField(null=True)
    run_deadline_at = DoubleField(null=True)
    chain_deadline_at = DoubleField(null=True)
    deadline_at = DoubleField(null=True)
    cancel_seq = IntegerField()
    cancel_requested_at = DoubleField(null=True)
    paused = TextField(null=True)
    waiting_for = TextField(null=True)
    awaited = TextField(null=True)
    task_failure = TextField(null=True)
    archived_at = DoubleField(null=True)
    archive_uri = TextField(null=True)
    created_at = DoubleField()
    updated_at = DoubleField()
    completed_at = DoubleField(null=True)

    class Meta:
        table_name = "workflows"


class WorkflowAttribute(Model):
    """A search attribute of a run."""

    run_key = BigIntegerField()
    name = TextField()
    namespace = TextField()
    value = TextField()
    rest = TextField()
    created_at = DoubleField()

    class Meta:
        table_name = "workflow_attributes"
        primary_key = CompositeKey("run_key", "name")


class WorkflowTask(Model):
    """A run's place in the queue: ready, or leased."""

    run_key = BigIntegerField(primary_key=True)
    namespace = TextField()
    task_queue = TextField()
    workflow_type = TextField()
    priority = IntegerField()
    ready_at = DoubleField()
    paused = BooleanField()
    attempt = IntegerField()
    closes_refused = IntegerField()
    token = TextField(null=True)
    owner = TextField(null=True)
    session = TextField(null=True)
    exchange = BigIntegerField(null=True)
    claimed_seq = IntegerField(null=True)
    deadline_at = DoubleField(null=True)

    class Meta:
        table_name = "workflow_tasks"


class WorkflowEvent(Model):
    """A line of a run's history."""

    run_key = BigIntegerField()
    seq = IntegerField()
    event_type = TextField()
    ref_seq = IntegerField(null=True)
    payload = TextField(null=True)
    timestamp = DoubleField()

    class Meta:
        table_name = "workflow_events"
        primary_key = CompositeKey("run_key", "seq")


class Activity(Model):
    """An activity of a run."""

    activity_key = BigIntegerField(primary_key=True)
    run_key = BigIntegerField()
    seq = IntegerField()
    namespace = TextField()
    task_queue = TextField()
    name = TextField()
    priority = IntegerField()
    input = TextField(null=True)
    status = TextField()
    result = TextField(null=True)
    error = TextField(null=True)
    attempt = IntegerField()
    max_attempts = IntegerField()
    initial_interval_secs = DoubleField()
    backoff_coefficient = DoubleField()
    max_interval_secs = DoubleField(null=True)
    jitter = DoubleField()
    non_retryable = TextField(null=True)
    schedule_to_start_secs = DoubleField(null=True)
    start_to_close_secs = DoubleField(null=True)
    schedule_to_close_secs = DoubleField(null=True)
    heartbeat_timeout_secs = DoubleField(null=True)
    visible_at = DoubleField()
    deadline_at = DoubleField(null=True)
    token = TextField(null=True)
    owner = TextField(null=True)
    session = TextField(null=True)
    exchange = BigIntegerField(null=True)
    last_heartbeat = DoubleField(null=True)
    heartbeat_details = TextField(null=True)
    last_failure = TextField(null=True)
    cancel_requested = BooleanField()
    scheduled_at = DoubleField()
    started_at = DoubleField(null=True)
    completed_at = DoubleField(null=True)

    class Meta:
        table_name = "workflow_activities"


class ActivityAttempt(Model):
    """An attempt that failed."""

    activity_key = BigIntegerField()
    attempt = IntegerField()
    run_key = BigIntegerField()
    owner = TextField(null=True)
    error = TextField(null=True)
    error_type = TextField(null=True)
    started_at = DoubleField(null=True)
    failed_at = DoubleField()

    class Meta:
        table_name = "activity_attempts"
        primary_key = CompositeKey("activity_key", "attempt")


class Timer(Model):
    """A timer of a run."""

    run_key = BigIntegerField()
    seq = IntegerField()
    timer_key = BigIntegerField()
    namespace = TextField()
    fire_at = DoubleField()
    status = TextField()
    created_at = DoubleField()

    class Meta:
        table_name = "workflow_timers"
        primary_key = CompositeKey("run_key", "seq")


class Signal(Model):
    """A signal that a run received."""

    run_key = BigIntegerField()
    event_seq = IntegerField()
    name = TextField()
    signal_id = TextField(null=True)
    received_at = DoubleField()

    class Meta:
        table_name = "workflow_signals"
        primary_key = CompositeKey("run_key", "event_seq")


class Snapshot(Model):
    """What a run shows to queries."""

    run_key = BigIntegerField(primary_key=True)
    state = TextField()
    event_seq = IntegerField()
    created_at = DoubleField()

    class Meta:
        table_name = "workflow_snapshots"


class Schedule(Model):
    """A schedule."""

    schedule_key = BigIntegerField(primary_key=True)
    namespace = TextField()
    name = TextField()
    workflow_type = TextField()
    cron_expr = TextField()
    timezone = TextField()
    input = TextField(null=True)
    task_queue = TextField()
    search_attributes = TextField(null=True)
    run_timeout_secs = DoubleField(null=True)
    execution_timeout_secs = DoubleField(null=True)
    overlap_policy = TextField()
    catchup_window_secs = DoubleField()
    paused = BooleanField()
    pause_reason = TextField(null=True)
    next_run_at = DoubleField(null=True)
    due_at = DoubleField(null=True)
    last_run_at = DoubleField(null=True)
    last_workflow_id = TextField(null=True)
    last_trigger_at = DoubleField(null=True)
    buffered = IntegerField()
    runs_started = BigIntegerField()
    ticks_skipped = BigIntegerField()
    ticks_missed = BigIntegerField()
    error = TextField(null=True)
    created_at = DoubleField()
    updated_at = DoubleField()

    class Meta:
        table_name = "workflow_schedules"


class ScheduleRun(Model):
    """A tick of a schedule."""

    schedule_key = BigIntegerField()
    tick = DoubleField()
    state = TextField()
    origin = TextField()
    overlap_policy = TextField(null=True)
    reason = TextField(null=True)
    run_key = BigIntegerField(null=True)
    queued_at = DoubleField()

    class Meta:
        table_name = "schedule_runs"
        primary_key = CompositeKey("schedule_key", "tick")


class Worker(Model):
    """A worker."""

    namespace = TextField()
    worker_id = TextField()
    identity = TextField()
    task_queue = TextField()
    workflows = TextField(null=True)
    activities = TextField(null=True)
    max_concurrent_workflows = IntegerField()
    max_concurrent_activities = IntegerField()
    sdk = TextField(null=True)
    session = TextField(null=True)
    last_seen = DoubleField()
    registered_at = DoubleField()
    retired_at = DoubleField(null=True)

    class Meta:
        table_name = "workflow_workers"
        primary_key = CompositeKey("namespace", "worker_id")


class Queue(Model):
    """When a queue was last polled."""

    namespace = TextField()
    task_queue = TextField()
    last_poll_at = DoubleField()

    class Meta:
        table_name = "queues"
        primary_key = CompositeKey("namespace", "task_queue")


class ApiKey(Model):
    """An API key."""

    key_hash = TextField(primary_key=True)
    prefix = TextField()
    label = TextField(null=True)
    roles = TextField()
    namespaces = TextField(null=True)
    created_by = TextField()
    created_at = DoubleField()
    expires_at = DoubleField(null=True)
    last_used_at = DoubleField(null=True)
    revoked_at = DoubleField(null=True)
    replaced_by = TextField(null=True)

    class Meta:
        table_name = "api_keys"


class Ticket(Model):
    """What stands for a credential once."""

    ticket_hash = TextField(primary_key=True)
    principal = TextField()
    grants = TextField()
    key_hash = TextField(null=True)
    expires_at = DoubleField()

    class Meta:
        table_name = "tickets"


class IdempotencyKey(Model):
    """The first answer to a request with an Idempotency-Key."""

    scope = TextField()
    key = TextField()
    hash = TextField()
    answer = TextField()
    expires_at = DoubleField()

    class Meta:
        table_name = "idempotency_keys"
        primary_key = CompositeKey("scope", "key")


class ArchiveJob(Model):
    """How far the archiving of a run is."""

    run_key = BigIntegerField(primary_key=True)
    state = TextField()
    last_seq = IntegerField()
    sha256 = TextField(null=True)
    object_key = TextField(null=True)
    size = BigIntegerField(null=True)
    attempts = IntegerField()
    last_error = TextField(null=True)
    updated_at = DoubleField()
    verified_at = DoubleField(null=True)

    class Meta:
        table_name = "archive_jobs"


class AuditEntry(Model):
    """Who did what."""

    id = BigAutoField()
    at = DoubleField()
    principal = TextField()
    action = TextField()
    namespace = TextField(null=True)
    target = TextField(null=True)
    outcome = TextField()
    request_id = TextField(null=True)

    class Meta:
        table_name = "audit_log"


class Notice(Model):
    """A line of the feed."""

    id = BigAutoField()
    mark = BigIntegerField(null=True)
    namespace = TextField()
    workflow_id = TextField()
    event_type = TextField()
    payload = TextField()
    created_at = DoubleField()

    class Meta:
        table_name = "notices"


TABLES: tuple[type[Model], ...] = (
    Fact,
    KeyBlock,
    Lease,
    Unit,
    Followup,
    Namespace,
    Workflow,
    WorkflowAttribute,
    WorkflowTask,
    WorkflowEvent,
    Activity,
    ActivityAttempt,
    Timer,
    Signal,
    Snapshot,
    Schedule,
    ScheduleRun,
    Worker,
    Queue,
    ApiKey,
    Ticket,
    IdempotencyKey,
    ArchiveJob,
    AuditEntry,
    Notice,
)
