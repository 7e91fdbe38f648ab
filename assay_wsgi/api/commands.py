"""The commands of a turn, from the wire to the domain: a table of small functions, one a command type.

Written out and not as marshmallow schemas: those take 22 us a command, these 2 to 10, and workers
send thousands a second.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ..domain.commands import CancelActivity
from ..domain.commands import CancelTimer
from ..domain.commands import CancelWorkflow
from ..domain.commands import Command
from ..domain.commands import CompleteWorkflow
from ..domain.commands import ContinueAsNew
from ..domain.commands import FailWorkflow
from ..domain.commands import RecordSideEffect
from ..domain.commands import RecordSnapshot
from ..domain.commands import RequestCancelChild
from ..domain.commands import ScheduleActivity
from ..domain.commands import ScheduleTimer
from ..domain.commands import StartChildWorkflow
from ..domain.commands import UpsertSearchAttributes
from ..domain.commands import WaitForCondition
from ..domain.commands import WaitForSignal
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
    loader = _LOADERS.get(kind) if type(kind) is str else None
    if loader is None:
        raise BadCommand(f"command {index}: unknown type {str(kind)[:100]!r}", index=index, issue="unknown_type")
    try:
        return loader(raw)
    except BadValue as error:
        name = error.path.lstrip("/")
        raise BadCommand(
            f"command {index} ({kind}): {name}: {error.text}", index=index, field=name, issue=error.code
        ) from error


def _required(raw: Wire, name: str, check: Callable[..., Any], *bounds: Any) -> Any:
    value = raw.get(name)
    if value is None:
        raise BadValue("missing_field", "is missing", f"/{name}")
    try:
        return check(value, *bounds)
    except BadValue as error:
        raise error.at(f"/{name}") from error


def _optional(raw: Wire, name: str, default: Any, check: Callable[..., Any], *bounds: Any) -> Any:
    value = raw.get(name)
    if value is None:
        return default
    try:
        return check(value, *bounds)
    except BadValue as error:
        raise error.at(f"/{name}") from error


def _seq(raw: Wire) -> int:
    seq: int = _required(raw, "seq", checks.integer, 1)
    return seq


def _payload(raw: Wire, name: str) -> str | None:
    written: str | None = _optional(raw, name, None, checks.payload)
    return written


def error_types(value: Any) -> tuple[str, ...]:
    """Check the types of errors after which an activity is not tried again."""
    return tuple([checks.identifier(one) for one in checks.items(value, MAX_ERROR_TYPES)])


def _schedule_activity(raw: Wire) -> ScheduleActivity:
    command = ScheduleActivity(
        seq=_seq(raw),
        name=_required(raw, "name", checks.identifier),
        task_queue=_optional(raw, "task_queue", None, checks.identifier),
        input=_payload(raw, "input"),
    )
    if _TUNING.isdisjoint(raw):
        return command
    return ScheduleActivity(
        seq=command.seq,
        name=command.name,
        task_queue=command.task_queue,
        input=command.input,
        max_attempts=_optional(raw, "max_attempts", command.max_attempts, checks.integer, 0, MAX_ATTEMPTS),
        initial_interval_secs=_optional(raw, "initial_interval_secs", command.initial_interval_secs, checks.number),
        backoff_coefficient=_optional(
            raw, "backoff_coefficient", command.backoff_coefficient, checks.number, 1.0, MAX_COEFFICIENT
        ),
        max_interval_secs=_optional(raw, "max_interval_secs", None, checks.number),
        jitter=_optional(raw, "jitter", command.jitter, checks.number, 0.0, 1.0),
        non_retryable=_optional(raw, "non_retryable", (), error_types),
        start_to_close_secs=_optional(
            raw, "start_to_close_secs", command.start_to_close_secs, checks.number, MIN_TIMEOUT_SECS
        ),
        heartbeat_timeout_secs=_optional(raw, "heartbeat_timeout_secs", None, checks.number, MIN_TIMEOUT_SECS),
        schedule_to_start_secs=_optional(raw, "schedule_to_start_secs", None, checks.number, MIN_TIMEOUT_SECS),
        schedule_to_close_secs=_optional(raw, "schedule_to_close_secs", None, checks.number, MIN_TIMEOUT_SECS),
    )


_TUNING = frozenset(
    {
        "schedule_to_start_secs",
        "schedule_to_close_secs",
        "max_attempts",
        "initial_interval_secs",
        "backoff_coefficient",
        "max_interval_secs",
        "jitter",
        "non_retryable",
        "start_to_close_secs",
        "heartbeat_timeout_secs",
    }
)


def _wait_for_signal(raw: Wire) -> WaitForSignal:
    return WaitForSignal(
        name=_required(raw, "name", checks.identifier), timer_seq=_optional(raw, "timer_seq", None, checks.integer, 1)
    )


def _wait_for_condition(raw: Wire) -> WaitForCondition:
    return WaitForCondition(name=_required(raw, "name", checks.identifier))


def _cancel_activity(raw: Wire) -> CancelActivity:
    return CancelActivity(activity_seq=_required(raw, "activity_seq", checks.integer, 1))


def _schedule_timer(raw: Wire) -> ScheduleTimer:
    return ScheduleTimer(seq=_seq(raw), duration_secs=_required(raw, "duration_secs", checks.number))


def _cancel_timer(raw: Wire) -> CancelTimer:
    return CancelTimer(timer_seq=_required(raw, "timer_seq", checks.integer, 1))


def _start_child(raw: Wire) -> StartChildWorkflow:
    return StartChildWorkflow(
        workflow_type=_required(raw, "workflow_type", checks.identifier),
        workflow_id=_required(raw, "workflow_id", checks.identifier),
        task_queue=_optional(raw, "task_queue", None, checks.identifier),
        input=_payload(raw, "input"),
        seq=_optional(raw, "seq", None, checks.integer, 1),
        tell_start=_optional(raw, "tell_start", False, checks.boolean),
        parent_close=_optional(raw, "parent_close", "request_cancel", checks.choice, PARENT_CLOSE),
        search_attributes=_optional(raw, "search_attributes", None, checks.attributes),
        execution_timeout_secs=_optional(raw, "execution_timeout_secs", None, checks.number, MIN_TIMEOUT_SECS),
        run_timeout_secs=_optional(raw, "run_timeout_secs", None, checks.number, MIN_TIMEOUT_SECS),
    )


def _request_cancel_child(raw: Wire) -> RequestCancelChild:
    return RequestCancelChild(workflow_id=_required(raw, "workflow_id", checks.identifier))


def _seqs(value: Any) -> tuple[int, ...]:
    return tuple([checks.integer(one, 1) for one in checks.items(value, MAX_UNREAD)])


def _continue_as_new(raw: Wire) -> ContinueAsNew:
    return ContinueAsNew(
        input=_payload(raw, "input"),
        workflow_id=_optional(raw, "workflow_id", None, checks.identifier),
        workflow_type=_optional(raw, "workflow_type", None, checks.identifier),
        task_queue=_optional(raw, "task_queue", None, checks.identifier),
        unread_signals=_optional(raw, "unread_signals", (), _seqs),
    )


def _record_side_effect(raw: Wire) -> RecordSideEffect:
    return RecordSideEffect(seq=_seq(raw), name=_required(raw, "name", checks.identifier), value=_payload(raw, "value"))


def _record_snapshot(raw: Wire) -> RecordSnapshot:
    return RecordSnapshot(state=_required(raw, "state", checks.payload))


def _upsert_search_attributes(raw: Wire) -> UpsertSearchAttributes:
    return UpsertSearchAttributes(
        patch=_required(raw, "patch", checks.attributes), seq=_optional(raw, "seq", None, checks.integer, 1)
    )


def _complete_workflow(raw: Wire) -> CompleteWorkflow:
    return CompleteWorkflow(result=_payload(raw, "result"))


def _fail_workflow(raw: Wire) -> FailWorkflow:
    return FailWorkflow(error=_required(raw, "error", checks.report))


def _cancel_workflow(raw: Wire) -> CancelWorkflow:
    return CancelWorkflow(reason=_optional(raw, "reason", None, checks.report))


_LOADERS: dict[str, Callable[[Wire], Command]] = {
    "ScheduleActivity": _schedule_activity,
    "CancelActivity": _cancel_activity,
    "ScheduleTimer": _schedule_timer,
    "CancelTimer": _cancel_timer,
    "StartChildWorkflow": _start_child,
    "RequestCancelChild": _request_cancel_child,
    "ContinueAsNew": _continue_as_new,
    "WaitForSignal": _wait_for_signal,
    "WaitForCondition": _wait_for_condition,
    "RecordSideEffect": _record_side_effect,
    "RecordSnapshot": _record_snapshot,
    "UpsertSearchAttributes": _upsert_search_attributes,
    "CompleteWorkflow": _complete_workflow,
    "FailWorkflow": _fail_workflow,
    "CancelWorkflow": _cancel_workflow,
}
