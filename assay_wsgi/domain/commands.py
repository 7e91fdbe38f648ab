"""What a worker asks for at the end of a turn: one small record a command.

Payloads (`input`, `result`, `value`, `state`) are JSON text. Reading the wire form is api/commands.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Union


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleActivity:
    """Run the activity `name`. Idempotent per seq; the same seq with another name is nondeterminism."""

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
    start_to_close_secs: float | None = 300.0
    heartbeat_timeout_secs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForSignal:
    """Park until a signal `name` comes."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSideEffect:
    """Keep `value` for every later replay. Idempotent per seq: the first value stays."""

    seq: int
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSnapshot:
    """Show `state` (JSON text) to queries until the next one."""

    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertSearchAttributes:
    """Merge `patch`: its keys overwrite, others stay. Idempotent per seq where one is sent."""

    patch: dict[str, Any]
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteWorkflow:
    """Close the run as COMPLETED."""

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailWorkflow:
    """Close the run as FAILED."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWorkflow:
    """Close the run as CANCELLED: what a worker answers to a cancel request."""

    reason: str | None = None


Command = Union[
    ScheduleActivity,
    WaitForSignal,
    RecordSideEffect,
    RecordSnapshot,
    UpsertSearchAttributes,
    CompleteWorkflow,
    FailWorkflow,
    CancelWorkflow,
]

CLOSING = (CompleteWorkflow, FailWorkflow, CancelWorkflow)
