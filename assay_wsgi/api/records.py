"""Schemas of what goes out. They describe; answers are written without them (tests hold the two equal)."""

from __future__ import annotations

from typing import ClassVar

from marshmallow import Schema
from marshmallow import fields

_time = fields.Float  # seconds since the epoch


class Record(Schema):
    """What goes out. All its members are there, but for those that are said to come `sometimes`."""

    sometimes: ClassVar[frozenset[str]] = frozenset()


class RunStarted(Record):
    """Which run a start found or made."""

    sometimes = frozenset({"already_started"})

    workflow_id = fields.String()
    run_id = fields.String()
    status = fields.String()
    already_started = fields.Boolean()  # only where true


class BatchStarted(Record):
    """One answer an item, in the order given: a RunStarted, or `error` and `code`."""

    results = fields.List(fields.Dict())


class Done(Record):
    """A request was carried out."""

    ok = fields.Boolean()
    run_id = fields.String()


class SignalTaken(Done):
    """A signal is in the run's history."""

    sometimes = frozenset({"repeated"})

    event_seq = fields.Integer()
    repeated = fields.Boolean()  # only where true


class RunRecord(Record):
    """A run."""

    id = fields.String()  # the workflow id
    namespace = fields.String()
    run_id = fields.String()
    workflow_type = fields.String()
    task_queue = fields.String()
    status = fields.String()
    close_reason = fields.String(allow_none=True)
    input = fields.String(allow_none=True)  # JSON text
    result = fields.String(allow_none=True)  # JSON text
    error = fields.String(allow_none=True)
    parent_id = fields.String(allow_none=True)  # the parent's workflow id
    claimed_by = fields.String(allow_none=True)  # the worker that holds its workflow task
    search_attributes = fields.String(allow_none=True)  # JSON text
    paused = fields.Dict(allow_none=True)  # by, reason, at
    waiting_for = fields.List(fields.Dict(), allow_none=True)  # kind, name, since
    task_failure = fields.Dict(allow_none=True)  # why its last workflow tasks failed
    cancel_requested_at = _time(allow_none=True)
    deadline_at = _time(allow_none=True)  # when its time is over, or the grace of a cancel
    parent_close = fields.String(allow_none=True)  # what its parent's end means for it
    continued_from = fields.String(allow_none=True)  # a run id
    continued_to = fields.String(allow_none=True)  # a run id
    first_run_id = fields.String()
    last_seq = fields.Integer()
    archived_at = _time(allow_none=True)
    archive_uri = fields.String(allow_none=True)
    created_at = _time()
    updated_at = _time()
    completed_at = _time(allow_none=True)


class RunTree(RunRecord):
    """A run, and the runs below it."""

    children = fields.List(fields.Dict())  # each a run with its own `children`
    truncated = fields.Boolean()  # whether there are more than were asked for


class EventRecord(Record):
    """One event of a run's history."""

    id = fields.Integer()
    workflow_id = fields.String()
    run_id = fields.String()
    seq = fields.Integer()
    event_type = fields.String()
    payload = fields.String(allow_none=True)  # JSON text
    timestamp = _time()


class State(Record):
    """What a run last showed to queries."""

    state = fields.Raw(allow_none=True)
    event_seq = fields.Integer()
    created_at = _time()


class Value(Record):
    """One value of what a run last showed to queries."""

    value = fields.Raw(allow_none=True)
    event_seq = fields.Integer()
    created_at = _time()


class SignalledWithStart(Record):
    """Which run has the signal."""

    sometimes = frozenset({"repeated"})

    workflow_id = fields.String()
    run_id = fields.String()
    status = fields.String()
    started = fields.Boolean()
    event_seq = fields.Integer()
    repeated = fields.Boolean()  # only where true


class ActivityRecord(Record):
    """An activity."""

    id = fields.Integer()
    workflow_id = fields.String()
    run_id = fields.String()
    namespace = fields.String()
    seq = fields.Integer()
    name = fields.String()
    task_queue = fields.String()
    input = fields.String(allow_none=True)  # JSON text
    status = fields.String()
    result = fields.String(allow_none=True)  # JSON text
    error = fields.String(allow_none=True)
    attempt = fields.Integer()
    max_attempts = fields.Integer()
    initial_interval_secs = fields.Float()
    backoff_coefficient = fields.Float()
    start_to_close_secs = fields.Float(allow_none=True)
    heartbeat_timeout_secs = fields.Float(allow_none=True)
    schedule_to_start_secs = fields.Float(allow_none=True)
    schedule_to_close_secs = fields.Float(allow_none=True)
    claimed_by = fields.String(allow_none=True)
    scheduled_at = _time()
    visible_at = _time()  # not handed out before
    started_at = _time(allow_none=True)
    completed_at = _time(allow_none=True)
    last_heartbeat = _time(allow_none=True)
    heartbeat_details = fields.Raw(allow_none=True)
    last_failure = fields.Raw(allow_none=True)
    cancel_requested = fields.Boolean()


class PolledActivity(ActivityRecord):
    """An activity that was leased."""

    task_token = fields.String()
    lease_expires_at = _time(allow_none=True)


class PolledTurn(Record):
    """A workflow task that was leased, with the run's whole history."""

    workflow_id = fields.String()
    run_id = fields.String()
    namespace = fields.String()
    workflow_type = fields.String()
    task_queue = fields.String()
    input = fields.Raw(allow_none=True)
    history = fields.List(fields.Dict())
    history_from = fields.Integer()
    history_seq = fields.Integer()
    attempt = fields.Integer()
    task_token = fields.String()
    lease_expires_at = _time()
    cancel_requested = fields.Boolean()
    continue_as_new_suggested = fields.Boolean()


class Reported(Record):
    """A report was taken."""

    sometimes = frozenset({"repeated"})

    ok = fields.Boolean()
    repeated = fields.Boolean()  # only where true


class TurnBeaten(Record):
    """A lease lasts longer."""

    ok = fields.Boolean()
    lease_expires_at = _time()
    cancel_requested = fields.Boolean()


class ActivityBeaten(Record):
    """An activity's heartbeat was taken."""

    ok = fields.Boolean()
    cancel_requested = fields.Boolean()
    lease_expires_at = _time(allow_none=True)


class Registered(Record):
    """The id under which a worker polls."""

    worker_id = fields.String()


class Lives(Record):
    """A worker's heartbeat was taken."""

    ok = fields.Boolean()
    registered = fields.Boolean()  # false: this service does not know it


class WorkerRecord(Record):
    """A worker."""

    id = fields.String()
    namespace = fields.String()
    identity = fields.String()
    task_queue = fields.String()
    workflows = fields.String(allow_none=True)  # JSON text; null = any
    activities = fields.String(allow_none=True)
    max_concurrent_workflows = fields.Integer()
    max_concurrent_activities = fields.Integer()
    active_tasks = fields.Integer()
    last_heartbeat = _time()
    registered_at = _time()
    sdk = fields.String(allow_none=True)


class NamespaceRecord(Record):
    """A namespace."""

    name = fields.String()
    created_at = _time()


class NamespaceStats(Record):
    """What a namespace holds."""

    namespace = fields.String()
    total_workflows = fields.Integer()
    running = fields.Integer()
    pending = fields.Integer()
    completed = fields.Integer()
    failed = fields.Integer()
    cancelled = fields.Integer()
    timed_out = fields.Integer()
    schedules = fields.Integer()
    workers = fields.Integer()


class Deleted(Record):
    """A namespace is gone, or (`done` false) emptier than before."""

    sometimes = frozenset({"deleted_workflows"})

    ok = fields.Boolean()
    done = fields.Boolean()
    deleted_workflows = fields.Integer()  # only with force


class QueueStats(Record):
    """What waits and runs in a queue."""

    queue = fields.String()
    pending_activities = fields.Integer()
    running_activities = fields.Integer()
    waiting_workflow_tasks = fields.Integer()
    leased_workflow_tasks = fields.Integer()
    workers = fields.Integer()
    oldest_ready_at = _time(allow_none=True)


class Description(Record):
    """This API, as OpenAPI 3.1."""

    openapi = fields.String()
    info = fields.Dict()
    servers = fields.List(fields.Dict())
    tags = fields.List(fields.Dict())
    paths = fields.Dict()
    components = fields.Dict()


class Version(Record):
    """Which build answers."""

    version = fields.String()
    build_profile = fields.String()


class Exchanged(Record):
    """Outcomes of the work handed in, and new work."""

    sometimes = frozenset({"code", "error"})

    results = fields.List(fields.Dict())
    workflow_tasks = fields.List(fields.Dict())
    activity_tasks = fields.List(fields.Dict())
    heartbeats = fields.List(fields.Dict())
    retry_after = fields.Float(allow_none=True)  # seconds
    drain = fields.Boolean()
    code = fields.String()  # session_replaced, where it is
    error = fields.String()


class Health(Record):
    """The service answers."""

    status = fields.String()
    service = fields.String()


class Readiness(Record):
    """Whether this process should be sent requests."""

    ready = fields.Boolean()
    database = fields.String()  # ok, unavailable
    sidecar_leads = fields.Boolean()
    draining = fields.Boolean()
