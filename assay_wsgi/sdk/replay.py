"""A turn: run the workflow function over its history and say what it asks for. Pure: no clock, no I/O.

The function runs from its start each time. It ends by returning, by waiting (Suspend), by handing over to
another run (ContinueAsNew), by an error that means the run has failed or is cancelled, or by any other error,
which means that this *turn* has failed: the code or its deployment is wrong, and the run waits until it is right.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from .context import Context
from .course import Course
from .definitions import ActivityDefinition
from .definitions import WorkflowDefinition
from .errors import ApplicationError
from .errors import ContinueAsNew
from .errors import NondeterminismError
from .errors import StepError
from .errors import Suspend
from .errors import WorkflowCancelled
from .history import History
from .info import RunInfo
from .jsontext import copied
from .jsontext import dumps
from .jsontext import plain

log = logging.getLogger(__name__)

TRACE_LIMIT = 16_000  # characters of a traceback that travel: the end, where the error is


class Turn(NamedTuple):
    """What a turn came to: commands, or the reason why there are none."""

    commands: list[dict[str, Any]]
    failure: dict[str, Any] | None = None
    state: bytes | None = None  # what queries show after this turn
    closes: bool = False


def replay(
    definition: WorkflowDefinition[..., Any],
    info: RunInfo,
    history: History,
    activities: Mapping[str, ActivityDefinition[..., Any]] | None = None,
    shown: bytes | None = None,  # the state that queries show already
    workflows: Mapping[str, WorkflowDefinition[..., Any]] | None = None,
) -> Turn:
    """Take one turn. Never raises: what the code raises becomes part of the answer."""
    course = Course(info, history)
    try:
        return _turn(Context(course, definition, activities or {}, workflows or {}), definition, course, shown)
    finally:
        course.close()


def _turn(ctx: Context, definition: WorkflowDefinition[..., Any], course: Course, shown: bytes | None) -> Turn:
    try:
        args, kwargs = definition.binding.unpack(copied(course.history.input))
    except Exception as error:  # noqa: BLE001 -- whatever a constructor of user code raises
        return failed_turn("bad_input", f"the input does not fit {definition.name}: {error}", error)
    try:
        closing = _run(definition, ctx, course, args, kwargs)
    except NondeterminismError as error:
        return failed_turn("nondeterminism", str(error), error)
    except BaseException as error:  # noqa: BLE001 -- an error in workflow code fails the turn, whatever it is
        if course.broken is not None:
            return failed_turn("nondeterminism", str(course.broken), error)
        if _left(course):
            return _swallowed(course, f"raised {type(error).__name__} instead", error)
        return failed_turn("exception", f"{type(error).__name__}: {error}", error)
    if course.broken is not None:
        return failed_turn("nondeterminism", str(course.broken))
    if course.barred is not None:
        return failed_turn("exception", course.barred)
    if closing is not None:
        if _left(course) and closing["type"] != "ContinueAsNew":
            return _swallowed(course, "went on as if it had not happened")
        if closing["type"] == "CompleteWorkflow":
            _warn_of_unfinished(course)
        course.send(closing)
        if ctx.shown_steps is not None:
            ctx.shown_steps.end(closing["type"])
    commands = list(course.commands)  # a query that takes steps adds nothing
    state = shown
    if ctx.queries:
        with course.looking("a query"):
            state, news = _state(ctx, shown)
        commands[:0] = news
    return Turn(commands, None, state, closing is not None)


def _run(
    definition: WorkflowDefinition[..., Any],
    ctx: Context,
    course: Course,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> dict[str, Any] | None:
    """Run the function; return the closing command, or None when it waits."""
    try:
        result = definition.fn(ctx, *args, **kwargs)
    except Suspend:
        return None
    except ContinueAsNew as error:
        course.check_end("continues as new")
        return error.command
    except (StepError, ApplicationError) as error:
        course.check_end(f"fails with {error!r}")
        return {"type": "FailWorkflow", "error": str(error)}
    except WorkflowCancelled as error:
        course.check_end("is cancelled")
        return {"type": "CancelWorkflow", "reason": error.reason}
    course.check_end("returns")
    return {"type": "CompleteWorkflow", "result": plain(result, "the result of workflow", definition.name)}


def _warn_of_unfinished(course: Course) -> None:
    """Say which activities nobody waited for: the end of the run cancels them, and the code seems to want them."""
    history = course.history
    begun = {number: one.name for number, one in history.commands.items() if one.kind == "activity"}
    begun.update({one["seq"]: one["name"] for one in course.commands if one["type"] == "ScheduleActivity"})
    given_up = {one["activity_seq"] for one in course.commands if one["type"] == "CancelActivity"}
    left = [f"'{begun[number]}'" for number in sorted(begun.keys() - history.outcomes.keys() - given_up)]
    if left:
        log.warning(
            "workflow=%s run=%s type=%s completes, which cancels activities that it began and did not wait for: %s; "
            "wait for the handle of each, or cancel() it",
            course.info.workflow_id,
            course.info.run_id,
            course.info.workflow_type,
            ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else ""),
        )


def failed_turn(cause: str, message: str, error: BaseException | None = None) -> Turn:
    """Return the turn that could not be taken. The run stays open; the service tries again later."""
    failure: dict[str, Any] = {"cause": cause, "message": message}
    if error is not None:
        failure["trace"] = trace_of(error)
    return Turn([], failure)


def trace_of(error: BaseException) -> str:
    """Return the traceback as text, its end if it is long."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text[-TRACE_LIMIT:].encode(errors="replace").decode()


def _left(course: Course) -> bool:
    return course.suspended is not None or course.leaving is not None


def _swallowed(course: Course, what: str, error: BaseException | None = None) -> Turn:
    if course.leaving is not None:
        said = f"the code continues as new, but it caught ContinueAsNew and {what}"
    else:
        said = f"the code waits for {course.suspended}, but it caught Suspend and {what}"
    return failed_turn(
        "swallowed_suspend",
        f"{said}: a bare `except:` or `except BaseException:` around a step must raise it again",
        error,
    )


def _state(ctx: Context, shown: bytes | None) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the state that the queries give, and the command that tells it if it has changed."""
    state = {}
    for name, query in ctx.queries.items():
        try:
            state[name] = plain(query(), "the answer of query", name)
        except (Exception, Suspend, ContinueAsNew, WorkflowCancelled, NondeterminismError):
            log.warning("query failed workflow=%s query=%s", ctx.workflow_id, name, exc_info=True)
    text = dumps(state)
    return text, [] if text == shown else [{"type": "RecordSnapshot", "state": state}]
