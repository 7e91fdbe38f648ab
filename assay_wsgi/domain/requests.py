"""What a caller hands to the engine: the requests that carry more than a name.

Payloads are JSON text. Defaults here are the wire's; the API and the embedder share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from .commands import Command
from .errors import AssayError

MAIN = "main"  # the namespace that always exists, and the queue of those who name none
LONGEST_NAME = 255  # characters of an id or a name
ID_CONFLICT = ("fail", "use_existing", "terminate_existing")  # when a run of this id is open
ROLES = ("viewer", "worker", "operator", "admin")  # of a caller, in one namespace or in all
ID_REUSE = ("allow", "allow_failed_only", "reject")  # when the newest run of this id is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """An Idempotency-Key: the same (scope, key) with the same hash gets the first answer again."""

    scope: str  # the principal; "anonymous" without authentication
    key: str
    hash: str  # of method, path, query and body
    item: int = 0  # place in a batch: each item has an answer of its own

    @property
    def stored_key(self) -> str:
        """The key under which the answer is kept. No caller can send that of an item: keys hold no blank."""
        return f"{self.key} {self.item}" if self.item else self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """Start a run."""

    workflow_type: str
    workflow_id: str | None = None  # None = wf-<type lower>-<epoch ms>
    namespace: str = MAIN
    task_queue: str = MAIN
    input: str | None = None
    search_attributes: Mapping[str, Any] | None = None
    id_conflict: str = "fail"  # one of ID_CONFLICT
    id_reuse: str = "allow"  # one of ID_REUSE
    execution_timeout_secs: float | None = None  # of the run and all that continue it
    run_timeout_secs: float | None = None  # of each run


OVERLAP_POLICIES = (  # what a tick does while a run of its schedule is open; two names of assay's mean two of these
    "skip", "queue", "buffer_all", "buffer_one", "cancel_old", "cancel_other", "terminate_other", "allow_all",
)  # fmt: skip
LONGEST_SCHEDULE_NAME = 240  # characters: the ids of its runs, name and tick, must stay within LONGEST_NAME
CATCHUP_WINDOW_SECS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """Start a run again and again."""

    name: str
    workflow_type: str
    cron_expr: str
    timezone: str = "UTC"
    namespace: str = MAIN
    task_queue: str = MAIN
    input: str | None = None
    search_attributes: Mapping[str, Any] | None = None
    run_timeout_secs: float | None = None
    execution_timeout_secs: float | None = None
    overlap_policy: str = "skip"  # one of OVERLAP_POLICIES
    catchup_window_secs: float = CATCHUP_WINDOW_SECS  # the newest tick that was missed is made up for within it


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePatch:
    """Change a schedule. None = as it is; 0 takes a time-out away."""

    workflow_type: str | None = None
    cron_expr: str | None = None
    timezone: str | None = None
    task_queue: str | None = None
    input: str | None = None
    search_attributes: Mapping[str, Any] | None = None
    run_timeout_secs: float | None = None
    execution_timeout_secs: float | None = None
    overlap_policy: str | None = None
    catchup_window_secs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Make up for the ticks of a time that has passed."""

    start: float  # seconds since the epoch; both ends are included
    end: float | None = None  # None, or later than now = now
    overlap_policy: str = "buffer_all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentSignal:
    """A signal on its way to a run."""

    name: str
    payload: str | None = None
    signal_id: str | None = None  # the sender's: a repeat of it is no second signal


# Where a thing is looked for: in one namespace, in those that a caller may see, anywhere.
Where = str | frozenset[str] | None


def is_within(namespace: str, where: Where) -> bool:
    """Say whether a namespace is one of those that are meant."""
    return where is None or (namespace == where if isinstance(where, str) else namespace in where)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """An API key to be made."""

    label: str | None = None
    roles: tuple[str, ...] = ("admin", "worker")  # together all that there is, as assay's own keys are
    namespaces: tuple[str, ...] | None = None  # None = all that its maker manages
    expires_in_secs: float | None = None  # None = never
    idempotent: bool = False  # a live key of the same label will do
    first: bool = False  # only if no key was ever made


@dataclass(frozen=True, slots=True, kw_only=True)
class DeedFilter:
    """Which lines of the audit log are shown, newest first. None = any."""

    namespace: Where = None
    principal: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    after: float | None = None
    before: float | None = None
    before_id: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """Which run is meant: the newest of an id, or one run."""

    workflow_id: str
    namespace: Where = None  # None = look it up over all namespaces
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """Why a workflow task could not be done. The run stays open; the task is tried again after a back-off."""

    cause: str
    message: str = ""
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnReport:
    """A worker's answer to a workflow task: commands, or why there are none."""

    task_token: str | None  # None: a worker of the old way, known by its id; it closes a run whatever waits unread
    commands: tuple[Command, ...] = ()
    failure: TaskFailure | None = None
    refused: AssayError | None = None  # the commands could not be read: the task fails with this answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFailure:
    """Why an attempt failed."""

    error: str
    error_type: str | None = None
    non_retryable: bool = False
    next_retry_delay: float | None = None  # seconds, in place of the policy's
    details: str | None = None  # JSON text
    heartbeat_details: str | None = None  # JSON text; for the next attempt, where no heartbeat has told it
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityReport:
    """A worker's answer to an activity task."""

    task_token: str | None  # None: a worker of the old way
    result: str | None = None
    failure: ActivityFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """An activity is still at work."""

    task_token: str | None  # None: a worker of the old way
    details: str | None = None  # JSON text


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker says of itself. None as a list means: any type."""

    identity: str
    workflows: tuple[str, ...] | None = None
    activities: tuple[str, ...] | None = None
    sdk: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A worker of the old way says what it can do; the engine names it."""

    info: WorkerInfo
    queue: str
    namespace: str = MAIN
    max_concurrent_workflows: int = 10  # told to people, never enforced
    max_concurrent_activities: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Ask for one task, the old way."""

    queue: str
    worker_id: str
    namespace: Where = None  # for a worker that never registered; None = wherever the queue has work
    within: Where = None  # where its caller may work at all
    wait_secs: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRef:
    """Which lease on a workflow task is meant: by its token, else by the worker that holds it."""

    workflow_id: str
    task_token: str | None = None
    worker_id: str | None = None
    namespace: Where = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Hand in finished work, take new work."""

    worker_id: str
    session: str
    n: int
    queue: str
    namespace: str = MAIN
    worker: WorkerInfo | None = None  # begins a session
    ends: bool = False  # the worker stops: its session ends with this exchange
    lost: tuple[int, ...] = ()
    wait_secs: float = 0.0
    workflow_slots: int = 0
    activity_slots: int = 0
    workflow_results: tuple[TurnReport, ...] = ()
    activity_results: tuple[ActivityReport, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    cached_runs: Mapping[str, int] = field(default_factory=dict)  # run_id -> last seq held


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Which runs a list shows, newest first. None = any."""

    namespace: str = MAIN
    parent_chain_key: int | None = None  # children of a run and of those that it continues
    status: str | None = None  # WAITING finds RUNNING runs that are parked on a signal
    workflow_type: str | None = None
    search_attrs: Mapping[str, Any] | None = None  # equality, all of them
    claimed_by: str | None = None
    parent_id: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    closed_after: float | None = None
    closed_before: float | None = None
    q: str | None = None  # the filter language (domain/filters); may order them otherwise
    limit: int = 50  # 1..1000
    offset: int = 0
    cursor: str | None = None  # opaque: where the page before ended
