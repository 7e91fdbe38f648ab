"""Workflows and activities as the decorators leave them: callables that know their name and their input.

Calling a definition calls the plain function. The parameters that follow the Context are part of a
definition's type, so that a type checker sees what is wrong with a call, a start or a child.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import Generic
from typing import NamedTuple
from typing import TypedDict
from typing import TypeVar
from typing import Union

from .binding import Binding
from .binding import unbound_input
from .convert import Decoder
from .convert import decoder
from .convert import named
from .durations import Duration
from .durations import seconds
from .retry import JITTER
from .retry import Retry
from .retry import RetryChanges

if TYPE_CHECKING:
    from typing import ParamSpec
    from typing import Unpack

    P = ParamSpec("P")
else:  # Generic needs something at run time, and Python 3.9 has no ParamSpec
    P = TypeVar("P")
R = TypeVar("R")

TIMEOUT = 300.0  # seconds that one attempt may take, unless said otherwise
AUTO_HEARTBEAT_TIMEOUT = 30.0  # seconds, of an activity for which the worker beats, unless said otherwise

_WIRE_DEFAULTS: dict[str, Any] = {
    "max_attempts": 3,
    "initial_interval_secs": 1.0,
    "backoff_coefficient": 2.0,
    "max_interval_secs": None,
    "non_retryable": [],
    "jitter": JITTER,
    "start_to_close_secs": TIMEOUT,
    "heartbeat_timeout_secs": None,
}


class WorkflowOptions(TypedDict, total=False):
    """What `workflow.options(...)` changes. None takes a limit away."""

    queue: str | None  # that its runs are started on
    run_timeout: Duration | None  # of one run
    execution_timeout: Duration | None  # of all runs of a chain together


class ActivityOptions(TypedDict, total=False):
    """What `activity.options(...)` changes, named as in `app.activity`. None takes a limit away."""

    queue: str | None
    retry: Union[Retry, RetryChanges]  # a dict changes only the fields that it has
    timeout: Duration | None  # of one attempt; None = 300 seconds
    heartbeat_timeout: Duration | None
    schedule_to_start: Duration | None
    schedule_to_close: Duration | None
    auto_heartbeat: bool  # its heartbeat_timeout is 30 seconds where none is given


class Definition(Generic[R]):
    """What workflows and activities share: a name, a function, how its input and result are read."""

    def __init__(self, fn: Callable[..., R], name: str | None, queue: str | None, skip: int) -> None:
        if inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn):
            raise TypeError(f"{fn.__qualname__}: workflows and activities are plain synchronous functions")
        self.fn = fn
        self.name = name or fn.__name__
        self.queue = queue
        self.binding = Binding(fn, skip)
        self.__name__ = fn.__name__
        self.__qualname__ = fn.__qualname__
        self.__module__ = fn.__module__
        self.__doc__ = fn.__doc__
        self._result: Union[bool, Decoder, None] = False  # False = not looked at yet

    def decode_result(self, value: Any) -> Any:
        """Read a result as the function's return annotation says. Raises Misfit."""
        if self._result is False:
            hint = self.binding.hint("return")
            # What returns nothing by its annotation, and something in fact, does no harm.
            decode = None if hint in (None, type(None)) else decoder(hint)
            self._result = decode and named(decode, f"result of {self.name}")
        return self._result(value) if callable(self._result) else value


class WorkflowDefinition(Definition[R], Generic[P, R]):
    """A workflow function, whose first parameter is the Context, and how its runs are started."""

    def __init__(
        self,
        fn: Callable[..., R],
        name: str | None = None,
        queue: str | None = None,
        run_timeout: Duration | None = None,
        execution_timeout: Duration | None = None,
    ) -> None:
        first = next(iter(inspect.signature(fn).parameters.values()), None)
        if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
            raise TypeError(f"{fn.__qualname__}: a workflow takes the context as its first parameter")
        super().__init__(fn, name, queue, skip=1)
        self.run_timeout = _seconds(run_timeout)
        self.execution_timeout = _seconds(execution_timeout)

    # Any, not Context: a unit test may hand in a stand-in.
    def __call__(self, ctx: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.fn(ctx, *args, **kwargs)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> WorkflowCall[R]:
        """Return a call for `client.start`, `ctx.start_child` and the like: parameters may be named in it."""
        return WorkflowCall(self, args, kwargs)

    def options(self, **changes: Unpack[WorkflowOptions]) -> WorkflowDefinition[P, R]:
        """Return the same workflow with another queue or time-out."""
        settings: WorkflowOptions = {
            "queue": self.queue,
            "run_timeout": self.run_timeout,
            "execution_timeout": self.execution_timeout,
        }
        _check_options("a workflow", changes, settings)
        settings.update(changes)
        return WorkflowDefinition(self.fn, name=self.name, **settings)


class ActivityDefinition(Definition[R], Generic[P, R]):
    """An activity function and how its attempts are made."""

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        queue: str | None = None,
        retry: Retry | None = None,
        timeout: Duration | None = TIMEOUT,  # of one attempt; None = the same
        heartbeat_timeout: Duration | None = None,
        schedule_to_start: Duration | None = None,  # in the queue, of one attempt; None = any time
        schedule_to_close: Duration | None = None,  # over all attempts; None = any time
        auto_heartbeat: bool = False,  # the worker beats while the function runs
    ) -> None:
        super().__init__(fn, name, queue, skip=0)
        self.retry = retry or Retry()
        self.timeout = _seconds(timeout)
        self.auto_heartbeat = auto_heartbeat
        if auto_heartbeat and heartbeat_timeout is None:
            heartbeat_timeout = AUTO_HEARTBEAT_TIMEOUT
        self.heartbeat_timeout = _seconds(heartbeat_timeout)
        self.schedule_to_start = _seconds(schedule_to_start)
        self.schedule_to_close = _seconds(schedule_to_close)
        self.command = schedule_command(self.name, self.retry, self.timeout, self.heartbeat_timeout)
        if self.schedule_to_start is not None:
            self.command["schedule_to_start_secs"] = self.schedule_to_start
        if self.schedule_to_close is not None:
            self.command["schedule_to_close_secs"] = self.schedule_to_close

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, here and now: nothing is recorded."""
        return self.fn(*args, **kwargs)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return a call that `ctx.execute_parallel` makes."""
        return Call(self, args, kwargs)

    def options(self, **changes: Unpack[ActivityOptions]) -> ActivityDefinition[P, R]:
        """Return the same activity with another queue, retry or time-out, named as in `app.activity`."""
        settings: dict[str, Any] = {
            "queue": self.queue,
            "retry": self.retry,
            "timeout": self.timeout,
            "heartbeat_timeout": self.heartbeat_timeout,
            "schedule_to_start": self.schedule_to_start,
            "schedule_to_close": self.schedule_to_close,
            "auto_heartbeat": self.auto_heartbeat,
        }
        _check_options("an activity", changes, settings)
        settings.update(changes)
        if isinstance(settings["retry"], dict):
            settings["retry"] = replace(self.retry, **settings["retry"])
        return ActivityDefinition(self.fn, name=self.name, **settings)


@dataclass(frozen=True)
class Call(Generic[R]):
    """An activity and its arguments, not called yet. `activity.prepare(...)` makes one."""

    activity: ActivityDefinition[..., R]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class WorkflowCall(Generic[R]):
    """A workflow and its arguments, not started yet. `workflow.prepare(...)` makes one."""

    workflow: WorkflowDefinition[..., R]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Target(NamedTuple):
    """What a start, a child or a successor is to run, and with what."""

    name: str
    definition: WorkflowDefinition[..., Any] | None  # None = known by its name only
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def input(self) -> Any:
        """The input that the arguments make. Raises TypeError when they do not fit."""
        if self.definition is None:
            return unbound_input(self.name, self.args, self.kwargs)
        return self.definition.binding.pack(self.args, self.kwargs)


def target(
    workflow: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    workflows: Mapping[str, WorkflowDefinition[..., Any]],
) -> Target:
    """Return what `workflow` means: a definition, a prepared call, or a name, maybe that of one of `workflows`."""
    if isinstance(workflow, WorkflowCall):
        if args or kwargs:
            raise TypeError(f"'{workflow.workflow.name}' was prepared with its arguments: it takes no others")
        return Target(workflow.workflow.name, workflow.workflow, workflow.args, workflow.kwargs)
    if isinstance(workflow, str):
        return Target(workflow, workflows.get(workflow), args, kwargs)
    if isinstance(workflow, WorkflowDefinition):
        return Target(workflow.name, workflow, args, kwargs)
    raise TypeError(
        f"{workflow!r:.100} is no workflow: decorate the function with @app.workflow, or give a workflow's name"
    )


def schedule_command(name: str, retry: Retry, timeout: float | None, heartbeat_timeout: float | None) -> dict[str, Any]:
    """Return what every ScheduleActivity of this activity has in common."""
    command: dict[str, Any] = {
        "type": "ScheduleActivity",
        "seq": 0,
        "name": name,
        "task_queue": None,
        "input": None,
    }
    tuning = {
        "max_attempts": retry.max_attempts,
        "initial_interval_secs": seconds(retry.initial),
        "backoff_coefficient": retry.backoff,
        "max_interval_secs": _seconds(retry.max_interval),
        "non_retryable": retry.names(),
        "jitter": retry.jitter,
        "start_to_close_secs": TIMEOUT if timeout is None else timeout,
        "heartbeat_timeout_secs": heartbeat_timeout,
    }
    if tuning != _WIRE_DEFAULTS:  # most activities have none: a shorter command for both sides
        command.update(tuning)
    return command


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else seconds(duration)


def _check_options(what: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(f"no such option of {what}: {', '.join(unknown)}")
