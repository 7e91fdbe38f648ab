"""What a worker asks for at the end of a turn: one small record a command.

Payloads (`input`, `result`, `value`, `state`) are JSON text. Reading the wire form is api/commands.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Union


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleActivity:
    """Run an activity. Idempotent per seq: a repeat schedules nothing.

    Refused where the seq has another name (`nondeterminism`) or the run has too many activities without an outcome
    (`too_many_pending`).
    """

    seq: int
    name: str
    task_queue: str | None = None  # None = the run's own queue
    input: str | None = None
    max_attempts: int = 3  # 0 = no end
    initial_interval_secs: float = 1.0
    backoff_coefficient: float = 2.0
    max_interval_secs: float | None = None  # None = 100 x initial_interval_secs
    jitter: float = 0.2
    non_retryable: tuple[str, ...] = ()
    schedule_to_start_secs: float | None = None  # in the queue, each time
    start_to_close_secs: float | None = 300.0  # one attempt
    schedule_to_close_secs: float | None = None  # all attempts and waits together
    heartbeat_timeout_secs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelActivity:
    """End an activity that is not over: the reports of whoever works on it are not wanted any more.

    Refused where the run has no such activity (`bad_command`).
    """

    activity_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTimer:
    """Wake the run in `duration_secs`. Idempotent per seq."""

    seq: int
    duration_secs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimer:
    """Keep a timer from firing. One that has fired stays as it is.

    Refused where the run has no such timer (`bad_command`).
    """

    timer_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChildWorkflow:
    """Start a run below this one. Idempotent per child id and seq; an id of another's run is told as a failed child.

    Refused where the child is there with another type (`nondeterminism`) or the run has too many open children
    (`too_many_pending`).
    """

    workflow_type: str
    workflow_id: str
    task_queue: str | None = None  # None = the run's own queue
    input: str | None = None
    seq: int | None = None  # workers of the old way send none
    tell_start: bool = False  # wake the run when the child is there, not only when it has ended
    parent_close: str = "request_cancel"  # request_cancel | terminate | abandon: when the parent closes first
    search_attributes: dict[str, Any] | None = None
    execution_timeout_secs: float | None = None
    run_timeout_secs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelChild:
    """Ask a child to end.

    Refused where the id is no child of the run, or of one that this turn starts (`bad_command`).
    """

    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForSignal:
    """Park until a signal `name` comes, or until the timer `timer_seq` fires: the signal cancels that timer."""

    name: str
    timer_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForCondition:
    """Park until an event makes true what only the code can judge. `name` is for people."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSideEffect:
    """Keep `value` for every later replay. Idempotent per seq: the first value stays.

    Refused where the seq has another name (`nondeterminism`).
    """

    seq: int
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSnapshot:
    """Show `state` (JSON text) to queries until the next one."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertSearchAttributes:
    """Merge `patch`: its keys overwrite, others stay. Idempotent per seq where one is sent.

    Refused where the run would have too many attributes, or too large ones (`bad_command`).
    """

    patch: dict[str, Any]
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteWorkflow:
    """Close the run as COMPLETED.

    Refused where it is not the last command (`bad_command`), or where a signal or a cancel request came that the turn
    had not seen (`unhandled_events`: the task comes again at once; three times in a row, then the run closes).
    """

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailWorkflow:
    """Close the run as FAILED.

    Refused like CompleteWorkflow.
    """

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWorkflow:
    """Close the run as CANCELLED: what a worker answers to a cancel request.

    Refused like CompleteWorkflow.
    """

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAsNew:
    """Close the run and start the next of its chain.

    Refused where it is not the last command (`bad_command`), where another open run has the id (`id_taken`), or where
    the end of a child came that the turn had not seen (`unhandled_events`).
    """

    input: str | None = None
    workflow_id: str | None = None  # None = <base>-continued-<n>
    workflow_type: str | None = None
    task_queue: str | None = None
    unread_signals: tuple[int, ...] = ()  # seqs that the code has not taken; those after history_seq go anyway


Command = Union[
    ScheduleActivity,
    CancelActivity,
    ScheduleTimer,
    CancelTimer,
    StartChildWorkflow,
    RequestCancelChild,
    WaitForSignal,
    WaitForCondition,
    RecordSideEffect,
    RecordSnapshot,
    UpsertSearchAttributes,
    CompleteWorkflow,
    FailWorkflow,
    CancelWorkflow,
    ContinueAsNew,
]

ENDING = (CompleteWorkflow, FailWorkflow, CancelWorkflow)  # the chain ends with them
CLOSING = (*ENDING, ContinueAsNew)
