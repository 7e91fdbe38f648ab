"""Which record goes to which table: key columns, columns that change. The bulk writes are made from this."""

from __future__ import annotations

from functools import cached_property
from operator import itemgetter
from typing import Any
from typing import NamedTuple
from typing import get_type_hints

from ..domain import model

_SQL_TYPES = {int: "bigint", float: "double precision", str: "text", bool: "boolean"}


class Column(NamedTuple):
    """A column as a bulk write sees it."""

    name: str
    sql_type: str


class Table:
    """A table, the record that mirrors it, and what of it may change after the insert."""

    def __init__(self, name: str, record: Any, *, key: tuple[str, ...], fixed: tuple[str, ...] = ()) -> None:
        self.name = name
        self.record = record
        self.key = key
        self.columns = tuple(Column(field, _sql_type(hint)) for field, hint in _fields(record).items())
        self.names = tuple(column.name for column in self.columns)
        self.changing = tuple(column for column in self.columns if column.name not in {*key, *fixed})

    @cached_property
    def listed(self) -> str:
        """All columns, for a select or an insert."""
        return ", ".join(self.names)

    def prefixed(self, alias: str) -> str:
        """All columns of an alias."""
        return ", ".join(f"{alias}.{name}" for name in self.names)

    @cached_property
    def update_values(self) -> itemgetter[Any]:
        """Pick the changing columns, then the key, out of a record."""
        positions = {name: place for place, name in enumerate(self.names)}
        wanted = [positions[column.name] for column in self.changing] + [positions[name] for name in self.key]
        return itemgetter(*wanted)

    @cached_property
    def update_columns(self) -> tuple[Column, ...]:
        """The columns in the order of `update_values`."""
        types = dict(self.columns)
        return (*self.changing, *(Column(name, types[name]) for name in self.key))


def _fields(record: Any) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field: hints[field] for field in record._fields}


def _sql_type(hint: Any) -> str:
    members = [member for member in getattr(hint, "__args__", (hint,)) if member is not type(None)]
    return _SQL_TYPES[members[0]]


RUNS = Table(
    "workflows",
    model.Run,
    key=("run_key",),
    fixed=(
        "namespace", "workflow_id", "run_id", "workflow_type", "task_queue", "input", "priority", "parent_key",
        "parent_chain_key", "child_command", "parent_close", "first_run_key", "first_run_id", "schedule_key",
        "schedule_tick", "continued_from", "run_timeout_secs", "run_deadline_at", "chain_deadline_at", "created_at",
    ),
)  # fmt: skip
TASKS = Table(
    "workflow_tasks",
    model.Task,
    key=("run_key",),
    fixed=("namespace", "task_queue", "workflow_type"),
)
EVENTS = Table("workflow_events", model.Event, key=("run_key", "seq"))
ACTIVITIES = Table(
    "workflow_activities",
    model.Activity,
    key=("activity_key",),
    fixed=(
        "run_key", "seq", "namespace", "task_queue", "name", "input", "max_attempts", "initial_interval_secs",
        "backoff_coefficient", "max_interval_secs", "jitter", "non_retryable", "schedule_to_start_secs",
        "start_to_close_secs", "schedule_to_close_secs", "heartbeat_timeout_secs", "scheduled_at",
    ),
)  # fmt: skip
TIMERS = Table(
    "workflow_timers",
    model.Timer,
    key=("run_key", "seq"),
    fixed=("timer_key", "namespace", "fire_at", "created_at"),
)
SCHEDULES = Table(
    "workflow_schedules", model.Schedule, key=("schedule_key",), fixed=("namespace", "name", "created_at")
)
TICKS = Table("schedule_runs", model.Tick, key=("schedule_key", "tick"))
FOLLOWUPS = Table("followups", model.Followup, key=())
ATTEMPTS = Table("activity_attempts", model.Attempt, key=("activity_key", "attempt"))
SIGNALS = Table("workflow_signals", model.Signal, key=("run_key", "event_seq"))
SNAPSHOTS = Table("workflow_snapshots", model.Snapshot, key=("run_key",))
WORKERS = Table("workflow_workers", model.Worker, key=("namespace", "worker_id"), fixed=("registered_at",))
ANSWERS = Table("idempotency_keys", model.StoredAnswer, key=("scope", "key"))
API_KEYS = Table(
    "api_keys",
    model.ApiKey,
    key=("key_hash",),
    fixed=("prefix", "label", "roles", "namespaces", "created_by", "created_at", "last_used_at"),
)
DEEDS = Table("audit_log", model.Deed, key=())


class NamespaceRow(NamedTuple):
    """A namespace."""

    name: str
    created_at: float


class AttributeRow(NamedTuple):
    """A search attribute of a run, its value as `attributes.written` has it."""

    run_key: int
    name: str
    namespace: str
    value: str
    rest: str
    created_at: float


class NoticeRow(NamedTuple):
    """A line of the feed as it is stored. `mark` is PostgreSQL's."""

    mark: int | None
    namespace: str
    workflow_id: str
    event_type: str
    payload: str
    created_at: float


class QueueRow(NamedTuple):
    """When a queue was last polled."""

    namespace: str
    task_queue: str
    last_poll_at: float


ATTRIBUTES = Table("workflow_attributes", AttributeRow, key=("run_key", "name"), fixed=("namespace", "created_at"))
NAMESPACES = Table("namespaces", NamespaceRow, key=("name",))
NOTICES = Table("notices", NoticeRow, key=())
QUEUES = Table("queues", QueueRow, key=("namespace", "task_queue"))
