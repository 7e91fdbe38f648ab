"""What a filter says: tests on fields of a run, joined by `All` and `Either`, and an order.

Every test is true or false, never unknown: a field that a run does not have fails it, whatever is asked. So
`x != 1` is "has x, and it is not 1", and only `turned` (a NOT before it) finds the runs without x, too.
A NOT stands at tests alone; `turn` carries it down there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from enum import StrEnum
from typing import Union

from ..model import CloseReason
from ..model import Status

Scalar = Union[str, int, float, bool, None]  # of an attribute that an embedder wrote, any JSON

WAITING = "WAITING"  # RUNNING, and parked on a signal: asked for, never stored
STATUSES = (Status.PENDING, Status.RUNNING, WAITING, Status.COMPLETED, Status.FAILED, Status.CANCELLED,
            Status.TIMED_OUT)  # fmt: skip


class Kind(StrEnum):
    """What values a field has."""

    TEXT = "text"
    CHOICE = "one of a few words"
    TIME = "time"  # seconds since the epoch
    DURATION = "duration"  # seconds
    NUMBER = "number"
    BOOLEAN = "true or false"
    ATTRIBUTE = "any plain value"


@dataclass(frozen=True, slots=True)
class Field:
    """Something of a run that can be asked for. An attribute's name is the user's, whatever is in it."""

    name: str
    kind: Kind
    says: str = ""  # for people
    choices: tuple[str, ...] = ()
    always: bool = False  # whether every run has it


@dataclass(frozen=True, slots=True)
class Test:
    """A question about one field. `=` asks for any of the values; `has` takes none, all others one."""

    field: Field
    sign: str  # = < <= > >= starts has
    values: tuple[Scalar, ...] = ()
    turned: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """True where all parts are; of no parts, always."""

    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """True where one of the parts is."""

    parts: tuple[Condition, ...]


Condition = Union[Test, All, Either]


@dataclass(frozen=True, slots=True)
class Order:
    """By what the runs are ordered; those that do not have it come last."""

    field: Field
    descending: bool


def turn(condition: Condition) -> Condition:
    """Give what is true where the condition is not."""
    if isinstance(condition, Test):
        return replace(condition, turned=not condition.turned)
    parts = tuple(turn(part) for part in condition.parts)
    return Either(parts) if isinstance(condition, All) else All(parts)


def both(conditions: Iterable[Condition]) -> Condition:
    """Join conditions that must all hold; those that are joined so already are taken apart."""
    parts: list[Condition] = []
    for condition in conditions:
        parts += condition.parts if isinstance(condition, All) else (condition,)
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def attribute(name: str) -> Field:
    """Give the field of a search attribute."""
    return Field(name, Kind.ATTRIBUTE)


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("WorkflowId", Kind.TEXT, "the workflow id", always=True),
        Field("RunId", Kind.TEXT, "the run id", always=True),
        Field("WorkflowType", Kind.TEXT, "the name of the workflow", always=True),
        Field("Status", Kind.CHOICE, "the status; WAITING is RUNNING and parked on a signal", STATUSES, always=True),
        Field("CloseReason", Kind.CHOICE, "how it ended, finer than the status", tuple(CloseReason)),
        Field("TaskQueue", Kind.TEXT, "the queue of its workflow tasks", always=True),
        Field("StartTime", Kind.TIME, "when it was started", always=True),
        Field("CloseTime", Kind.TIME, "when it ended"),
        Field("ExecutionDuration", Kind.DURATION, "from start to end, once it has ended"),
        Field("HistoryLength", Kind.NUMBER, "how many events it has", always=True),
        Field("ParentId", Kind.TEXT, "the workflow id of its parent"),
        Field("ScheduleId", Kind.TEXT, "the schedule that it comes from, while that is there"),
        Field("FirstRunId", Kind.TEXT, "the run id of the first run of its chain", always=True),
        Field("ClaimedBy", Kind.TEXT, "the worker that holds its workflow task"),
        Field("Paused", Kind.BOOLEAN, "whether it is paused", always=True),
        Field("CancelRequested", Kind.BOOLEAN, "whether it was asked to end", always=True),
        Field("TaskFailing", Kind.BOOLEAN, "whether its workflow task fails", always=True),
    )
}  # fmt: skip
NEWEST_FIRST = Order(FIELDS["StartTime"], descending=True)
