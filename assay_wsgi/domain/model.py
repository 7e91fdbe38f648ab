"""The rows that the rules speak of: one record a table, its fields in the order of the table's columns.

They are named tuples, not dataclasses: a database row becomes a record, and a record a statement's
parameters, without a copy; a changed copy of a run costs 2 us instead of 23 us.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """What a run is, as the wire has it. WAITING is never stored: it is a filter."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


OPEN = frozenset({"PENDING", "RUNNING"})


class CloseReason(StrEnum):
    """Why a run is closed: finer than its status."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED_AS_NEW = "continued_as_new"


class ActivityStatus(StrEnum):
    """What an activity is. A failed attempt that will be tried again is PENDING."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Run(NamedTuple):
    """One execution of a workflow. The comments on each column stand in schema.sql."""

    run_key: int
    namespace: str
    workflow_id: str
    run_id: str
    workflow_type: str
    task_queue: str
    status: str
    close_reason: str | None
    input: str | None
    result: str | None
    error: str | None
    search_attributes: str | None
    priority: int
    parent_key: int | None
    parent_chain_key: int | None
    child_command: int | None
    parent_close: str | None
    first_run_key: int
    first_run_id: str
    schedule_key: int | None
    schedule_tick: float | None
    continued_from: str | None
    continued_to: str | None
    has_children: bool
    last_seq: int
    wake_seq: int
    seen_seq: int
    signal_seq: int
    last_token: str | None
    feed_mark: int
    run_timeout_secs: float | None
    run_deadline_at: float | None
    chain_deadline_at: float | None
    deadline_at: float | None
    cancel_seq: int
    cancel_requested_at: float | None
    paused: str | None
    waiting_for: str | None
    awaited: str | None
    task_failure: str | None
    archived_at: float | None
    archive_uri: str | None
    created_at: float
    updated_at: float
    completed_at: float | None

    @property
    def closed(self) -> bool:
        """Whether nothing can happen to this run any more."""
        return self.status not in OPEN


class Task(NamedTuple):
    """A run's place in the queue: ready for a worker (`token` is None) or leased to one."""

    run_key: int
    namespace: str
    task_queue: str
    workflow_type: str
    priority: int
    ready_at: float
    paused: bool
    attempt: int
    closes_refused: int
    token: str | None
    owner: str | None
    session: str | None
    exchange: int | None
    claimed_seq: int | None
    deadline_at: float | None


class Event(NamedTuple):
    """Something that happened to a run. Never changed once written."""

    run_key: int
    seq: int
    event_type: str
    ref_seq: int | None
    payload: str | None
    timestamp: float


class Activity(NamedTuple):
    """A piece of work outside the workflow, with all its attempts."""

    activity_key: int
    run_key: int
    seq: int
    namespace: str
    task_queue: str
    name: str
    priority: int
    input: str | None
    status: str
    result: str | None
    error: str | None
    attempt: int
    max_attempts: int
    initial_interval_secs: float
    backoff_coefficient: float
    max_interval_secs: float | None
    jitter: float
    non_retryable: str | None
    schedule_to_start_secs: float | None
    start_to_close_secs: float | None
    schedule_to_close_secs: float | None
    heartbeat_timeout_secs: float | None
    visible_at: float
    deadline_at: float | None
    token: str | None
    owner: str | None
    session: str | None
    exchange: int | None
    last_heartbeat: float | None
    heartbeat_details: str | None
    last_failure: str | None
    cancel_requested: bool
    scheduled_at: float
    started_at: float | None
    completed_at: float | None


class Attempt(NamedTuple):
    """An attempt of an activity that failed: kept for people."""

    activity_key: int
    attempt: int
    run_key: int
    owner: str | None
    error: str | None
    error_type: str | None
    started_at: float | None
    failed_at: float


class TimerStatus(StrEnum):
    """What a timer is."""

    PENDING = "PENDING"
    FIRED = "FIRED"
    CANCELLED = "CANCELLED"


class Timer(NamedTuple):
    """A moment that a run waits for."""

    run_key: int
    seq: int
    timer_key: int
    namespace: str
    fire_at: float
    status: str
    created_at: float


class Followup(NamedTuple):
    """Work on other runs that is done in bounded units afterwards."""

    kind: str
    run_key: int
    detail: str | None
    due_at: float


class Schedule(NamedTuple):
    """What is started again and again, and how far it has come. The comments on each column stand in schema.sql."""

    schedule_key: int
    namespace: str
    name: str
    workflow_type: str
    cron_expr: str
    timezone: str
    input: str | None
    task_queue: str
    search_attributes: str | None
    run_timeout_secs: float | None
    execution_timeout_secs: float | None
    overlap_policy: str
    catchup_window_secs: float
    paused: bool
    pause_reason: str | None
    next_run_at: float | None
    due_at: float | None
    last_run_at: float | None
    last_workflow_id: str | None
    last_trigger_at: float | None
    buffered: int
    runs_started: int
    ticks_skipped: int
    ticks_missed: int
    error: str | None
    created_at: float
    updated_at: float


class TickState(StrEnum):
    """What became of a tick."""

    BUFFERED = "buffered"
    STARTED = "started"
    SKIPPED = "skipped"


class Origin(StrEnum):
    """Who asked for a tick."""

    CRON = "cron"
    TRIGGER = "trigger"
    BACKFILL = "backfill"


class Tick(NamedTuple):
    """A moment at which a schedule starts a run, or was to."""

    schedule_key: int
    tick: float
    state: str
    origin: str
    overlap_policy: str | None
    reason: str | None
    run_key: int | None
    queued_at: float


class Signal(NamedTuple):
    """A signal that a run received. Its payload stands in the event `event_seq`."""

    run_key: int
    event_seq: int
    name: str
    signal_id: str | None
    received_at: float


class Snapshot(NamedTuple):
    """What a run shows to queries."""

    run_key: int
    state: str
    event_seq: int
    created_at: float


ENDED = " "  # before the name of a session that has ended: no worker's name for one begins so, and no claim's


class Worker(NamedTuple):
    """A process that takes tasks."""

    namespace: str
    worker_id: str
    identity: str
    task_queue: str
    workflows: str | None
    activities: str | None
    max_concurrent_workflows: int
    max_concurrent_activities: int
    sdk: str | None
    session: str | None
    last_seen: float
    registered_at: float
    retired_at: float | None


class Notice(NamedTuple):
    """A line of the feed. `run_key` tells whose mark it carries and is not stored."""

    run_key: int
    namespace: str
    workflow_id: str
    event_type: str
    payload: str
    created_at: float


class StoredAnswer(NamedTuple):
    """The first answer to a request with an Idempotency-Key."""

    scope: str
    key: str
    hash: str
    answer: str
    expires_at: float


class ApiKey(NamedTuple):
    """A key that opens the door. The key itself is nowhere: only its hash is."""

    key_hash: str
    prefix: str
    label: str | None
    roles: str
    namespaces: str | None
    created_by: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    revoked_at: float | None
    replaced_by: str | None


class Deed(NamedTuple):
    """A line of the audit log: who did what, or was refused it."""

    at: float
    principal: str
    action: str
    namespace: str | None
    target: str | None
    outcome: str
    request_id: str | None
