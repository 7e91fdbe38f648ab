"""A turn: run the workflow function over its history and say what it asks for. Pure: no clock, no I/O.

The function runs from its start each time. It ends by returning, by waiting (Suspend), by an error that
means the run has failed or is cancelled, or by any other error, which means that this *turn* has failed:
the code or its deployment is wrong, and the run waits until it is right.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from .context import Context
from .context import RunInfo
from .context import copied
from .definitions import ActivityDefinition
from .definitions import WorkflowDefinition
from .errors import ActivityError
from .errors import ApplicationError
from .errors import NondeterminismError
from .errors import Suspend
from .errors import WorkflowCancelled
from .history import History
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
    definition: WorkflowDefinition[Any],
    info: RunInfo,
    history: History,
    activities: Mapping[str, ActivityDefinition[..., Any]] | None = None,
    shown: bytes | None = None,  # the state that queries show already
) -> Turn:
    """Take one turn. Never raises: what the code raises becomes part of the answer."""
    ctx = Context(info, history, activities or {})
    try:
        args, kwargs = definition.binding.unpack(copied(history.input))
    except Exception as error:  # noqa: BLE001 -- whatever a constructor of user code raises
        return failed_turn("bad_input", f"the input does not fit {definition.name}: {error}", error)
    try:
        closing = _run(definition, ctx, args, kwargs)
    except NondeterminismError as error:
        return failed_turn("nondeterminism", str(error), error)
    except BaseException as error:  # noqa: BLE001 -- an error in workflow code fails the turn, whatever it is
        if ctx.broken is not None:
            return failed_turn("nondeterminism", str(ctx.broken), error)
        if ctx.suspended is not None:
            return _swallowed(ctx, f"raised {type(error).__name__} instead", error)
        return failed_turn("exception", f"{type(error).__name__}: {error}", error)
    if ctx.broken is not None:
        return failed_turn("nondeterminism", str(ctx.broken))
    if closing is not None:
        if ctx.suspended is not None:
            return _swallowed(ctx, "went on as if it had not happened")
        ctx.commands.append(closing)
    state = _show(ctx, shown) if ctx.queries else shown
    return Turn(ctx.commands, None, state, closing is not None)


def _run(
    definition: WorkflowDefinition[Any], ctx: Context, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """Run the function; return the closing command, or None when it waits."""
    try:
        result = definition.fn(ctx, *args, **kwargs)
    except Suspend:
        return None
    except (ActivityError, ApplicationError) as error:
        ctx.check_end(f"fails with {error!r}")
        return {"type": "FailWorkflow", "error": str(error)}
    except WorkflowCancelled as error:
        return {"type": "CancelWorkflow", "reason": error.reason}
    ctx.check_end("returns")
    return {"type": "CompleteWorkflow", "result": plain(result)}


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


def _swallowed(ctx: Context, what: str, error: BaseException | None = None) -> Turn:
    return failed_turn(
        "swallowed_suspend",
        f"the code waits for {ctx.suspended}, but it caught Suspend and {what}: "
        "a bare `except:` or `except BaseException:` around a step must raise it again",
        error,
    )


def _show(ctx: Context, shown: bytes | None) -> bytes | None:
    """Put the state that the queries give in front of the commands, if it has changed."""
    state = {}
    for name, query in ctx.queries.items():
        try:
            state[name] = plain(query())
        except (Exception, Suspend, WorkflowCancelled, NondeterminismError):
            log.warning("query failed workflow=%s query=%s", ctx.workflow_id, name, exc_info=True)
    text = dumps(state)
    if text != shown:
        ctx.commands.insert(0, {"type": "RecordSnapshot", "state": state})
    return text
