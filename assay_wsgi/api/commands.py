"""The commands of a turn, from the wire to the domain: a table of what each one is given.

Written out and not as marshmallow schemas: those take 22 us a command, these 2 to 10, and workers
send thousands a second. What a command does stands in its docstring in `domain/commands.py`;
`docs/reference/commands.md` is rendered from both.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from ..domain import commands as domain
from ..domain.commands import Command
from ..domain.errors import BadCommand
from . import checks
from .checks import BadValue

MAX_COMMANDS = 1000
MAX_ATTEMPTS = 10_000
MAX_COEFFICIENT = 100.0
MAX_ERROR_TYPES = 100
MAX_UNREAD = 10_000
PARENT_CLOSE = ("request_cancel", "terminate", "abandon")
MIN_TIMEOUT_SECS = 0.001

Wire = Mapping[str, Any]


def load_commands(raw: Any) -> tuple[Command, ...]:
    """Read a turn's commands, all or none. Raises BadCommand, whose `index` names the bad one."""
    if raw is None:
        return ()
    if type(raw) is not list:
        raise BadCommand("commands must be an array")
    if len(raw) > MAX_COMMANDS:
        raise BadCommand(f"a turn has at most {MAX_COMMANDS} commands", code="too_many_items")
    return tuple([_command(index, one) for index, one in enumerate(raw)])


def _command(index: int, raw: Any) -> Command:
    if type(raw) is not dict:
        raise BadCommand(f"command {index} must be an object", index=index, issue="invalid_type")
    kind = raw.get("type")
    made = _KINDS.get(kind) if type(kind) is str else None
    if made is None:
        raise BadCommand(f"command {index}: unknown type {str(kind)[:100]!r}", index=index, issue="unknown_type")
    try:
        return made(**_given(GIVEN[made], raw))
    except BadValue as error:
        name = error.path.lstrip("/")
        raise BadCommand(
            f"command {index} ({kind}): {name}: {error.text}", index=index, field=name, issue=error.code
        ) from error


def _given(fields: Mapping[str, Given], raw: Wire) -> dict[str, Any]:
    """Check what is there; for what is not, and for null, the command has its default."""
    found = {}
    for name, given in fields.items():
        value = raw.get(name)
        if value is not None:
            try:
                found[name] = given.check(value, *given.bounds)
            except BadValue as error:
                raise error.at(f"/{name}") from error
        elif given.required:
            raise BadValue("missing_field", "is missing", f"/{name}")
    return found


def error_types(value: Any) -> tuple[str, ...]:
    """Check the types of errors after which an activity is not tried again."""
    return tuple([checks.identifier(one) for one in checks.items(value, MAX_ERROR_TYPES)])


def seqs(value: Any) -> tuple[int, ...]:
    """Check the seqs of events."""
    return tuple([checks.integer(one, 1) for one in checks.items(value, MAX_UNREAD)])


# ---------------------------------------------------------------------------------------------- the table


class Given(NamedTuple):
    """A member of a command: what it means, the check that it must pass and the check's bounds."""

    says: str
    check: Callable[..., Any]
    bounds: tuple[Any, ...] = ()
    required: bool = False


def _must(says: str, check: Callable[..., Any], *bounds: Any) -> Given:
    return Given(says, check, bounds, required=True)


def _may(says: str, check: Callable[..., Any], *bounds: Any) -> Given:
    return Given(says, check, bounds)


def _secs(says: str) -> Given:
    return _may(says, checks.number, MIN_TIMEOUT_SECS)


_SEQ = "The command's number in its run, by which a repeat is known."

_ACTIVITY = {
    "seq": _must(_SEQ, checks.integer, 1),
    "name": _must("The activity's name.", checks.identifier),
    "task_queue": _may("Whose workers run it; the run's own queue where it is left out.", checks.identifier),
    "input": _may("What the activity is given.", checks.payload),
    "max_attempts": _may("How often it is tried; 0 = without end.", checks.integer, 0, MAX_ATTEMPTS),
    "initial_interval_secs": _may("The wait before the second attempt.", checks.number),
    "backoff_coefficient": _may(
        "How much longer each wait is than the one before.", checks.number, 1.0, MAX_COEFFICIENT
    ),
    "max_interval_secs": _may("The longest wait; 100 times the first one where it is left out.", checks.number),
    "jitter": _may("By up to which share a wait is shortened, so that not all come at once.", checks.number, 0.0, 1.0),
    "non_retryable": _may(
        "Types of errors after which it is not tried again: the whole name, or what follows its last dot.", error_types
    ),
    "start_to_close_secs": _secs("How long one attempt may take."),
    "heartbeat_timeout_secs": _secs("How long an attempt may be silent, from its claim on."),
    "schedule_to_start_secs": _secs("How long it may wait for a worker, each time."),
    "schedule_to_close_secs": _secs("How long it may take in all, attempts and waits together."),
}

GIVEN: dict[type[Command], dict[str, Given]] = {
    domain.ScheduleActivity: _ACTIVITY,
    domain.CancelActivity: {"activity_seq": _must("The `seq` of its ScheduleActivity.", checks.integer, 1)},
    domain.ScheduleTimer: {
        "seq": _must(_SEQ, checks.integer, 1),
        "duration_secs": _must("After how long it fires, from the moment when the turn is taken.", checks.number),
    },
    domain.CancelTimer: {"timer_seq": _must("The `seq` of its ScheduleTimer.", checks.integer, 1)},
    domain.WaitForSignal: {
        "name": _must("The signal's name.", checks.identifier),
        "timer_seq": _may(
            "The `seq` of a timer that bounds the wait: the signal that ends the wait cancels it.", checks.integer, 1
        ),
    },
    domain.WaitForCondition: {"name": _must("What it waits for, for people.", checks.identifier)},
    domain.RecordSideEffect: {
        "seq": _must(_SEQ, checks.integer, 1),
        "name": _must("What it is, for people and for the check at replay.", checks.identifier),
        "value": _may("What was found.", checks.payload),
    },
    domain.UpsertSearchAttributes: {
        "patch": _must("Attributes to set; null is a value, too.", checks.attributes),
        "seq": _may(_SEQ, checks.integer, 1),
    },
    domain.RecordSnapshot: {
        "state": _must("What queries are answered with; by name where it is an object.", checks.payload)
    },
    domain.StartChildWorkflow: {
        "workflow_type": _must("The child's type.", checks.identifier),
        "workflow_id": _must("The child's id, in the parent's namespace.", checks.identifier),
        "task_queue": _may("Whose workers run it; the parent's own queue where it is left out.", checks.identifier),
        "input": _may("What the child is given.", checks.payload),
        "seq": _may(_SEQ, checks.integer, 1),
        "tell_start": _may("Wake the parent when the child is there, not only when it has ended.", checks.boolean),
        "parent_close": _may("What the parent's end means for it.", checks.choice, PARENT_CLOSE),
        "search_attributes": _may("Its search attributes.", checks.attributes),
        "execution_timeout_secs": _secs("How long the child's chain of runs may take."),
        "run_timeout_secs": _secs("How long each of its runs may take."),
    },
    domain.RequestCancelChild: {"workflow_id": _must("The id under which the child was started.", checks.identifier)},
    domain.CompleteWorkflow: {"result": _may("What the run gives.", checks.payload)},
    domain.FailWorkflow: {"error": _must("Why.", checks.report)},
    domain.CancelWorkflow: {"reason": _may("Why.", checks.report)},
    domain.ContinueAsNew: {
        "input": _may("What the next run is given.", checks.payload),
        "workflow_id": _may(
            "The next run's id; `<base>-continued-<n>` where it is left out. The same id is allowed.",
            checks.identifier,
        ),
        "workflow_type": _may("Its type; the same where it is left out.", checks.identifier),
        "task_queue": _may("Its queue; the same where it is left out.", checks.identifier),
        "unread_signals": _may(
            "Seqs of SignalReceived events that the code has not taken: they go along, and so do all after the "
            "history that the turn has seen.",
            seqs,
        ),
    },
}

_KINDS: dict[str, type[Command]] = {kind.__name__: kind for kind in GIVEN}
