"""Workflows and activities as the decorators leave them: callables that know their name and their input.

Input binding, both ways: one parameter is the whole input; of several, each is a member of the input
object; a function without parameters ignores it. Calling a definition calls the plain function.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import Generic
from typing import TypeVar
from typing import Union

from .convert import Decoder
from .convert import decoder
from .convert import hints_of
from .errors import ApplicationError
from .errors import type_name

if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")
else:  # Generic needs something at run time, and Python 3.9 has no ParamSpec
    P = TypeVar("P")
R = TypeVar("R")

TIMEOUT = 300.0  # seconds that one attempt may take, unless said otherwise
JITTER = 0.2  # the share of a back-off that chance may take away, unless said otherwise

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


@dataclass(frozen=True)
class Retry:
    """When a failed attempt is made again: after `initial` seconds, then `backoff` times longer each time.

    `max_attempts=0` never gives up. `non_retryable` holds exception classes and type names.
    """

    max_attempts: int = 3
    initial: float = 1.0
    backoff: float = 2.0
    max_interval: float | None = None  # None = 100 times initial
    non_retryable: tuple[Union[type, str], ...] = ()
    jitter: float = JITTER

    def forbids(self, error: BaseException) -> bool:
        """Say whether `error` must not be tried again; subclasses count as their parents do."""
        if isinstance(error, ApplicationError) and (error.non_retryable or error.type in self.non_retryable):
            return True
        return any(
            kind in self.non_retryable or kind.__name__ in self.non_retryable or type_name(kind) in self.non_retryable
            for kind in type(error).__mro__
        )

    def names(self) -> list[str]:
        """Return the non-retryable types as the wire wants them: qualified and bare."""
        names: dict[str, None] = {}
        for entry in self.non_retryable:
            for name in (entry,) if isinstance(entry, str) else (type_name(entry), entry.__name__):
                names[name] = None
        return list(names)


class Binding:
    """How a function's parameters and its JSON input belong together."""

    __slots__ = ("_decoders", "_fn", "_hints", "names", "parameters")

    def __init__(self, fn: Callable[..., Any], skip: int) -> None:
        self._fn = fn
        self.parameters = list(inspect.signature(fn).parameters.values())[skip:]
        for one in self.parameters:
            if one.kind is one.VAR_POSITIONAL:
                raise TypeError(f"{fn.__qualname__}: *{one.name} cannot be bound by name")
        if len(self.parameters) > 1 and any(one.kind is one.POSITIONAL_ONLY for one in self.parameters):
            raise TypeError(f"{fn.__qualname__}: several parameters are bound by name, so '/' cannot be used")
        self.names = [one.name for one in self.parameters]
        self._hints: dict[str, Any] | None = None
        self._decoders: dict[str, Decoder | None] | None = None

    def hint(self, name: str) -> Any:
        """Return the type that a parameter, or "return", is annotated with."""
        if self._hints is None:  # at first use: the function's module is complete by then
            self._hints = hints_of(self._fn)
        return self._hints.get(name)

    @property
    def whole(self) -> bool:
        """Whether the only parameter takes the whole input."""
        return len(self.parameters) == 1 and self.parameters[0].kind is not inspect.Parameter.VAR_KEYWORD

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the input of a call. Raises TypeError when the arguments do not fit."""
        if self.whole and not kwargs and len(args) == 1:
            return args[0]
        bound = inspect.Signature(self.parameters).bind(*args, **kwargs)
        if not self.parameters:
            return None
        if self.whole:
            bound.apply_defaults()
            return bound.arguments[self.names[0]]
        members = dict(bound.arguments)
        if self.parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
            members.update(members.pop(self.names[-1], {}))
        return members

    def unpack(self, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make the arguments of a call from its input. Raises what the parameters' types raise."""
        if not self.parameters:
            return (), {}
        decoders = self._decoders
        if decoders is None:
            decoders = self._decoders = {name: decoder(self.hint(name)) for name in self.names}
        if self.whole:
            parameter = self.parameters[0]
            if value is None and parameter.default is not parameter.empty:
                return (), {}
            decode = decoders[parameter.name]
            return (decode(value) if decode else value,), {}
        if value is None:
            value = {}
        if not isinstance(value, dict):
            names = ", ".join(self.names)
            raise TypeError(f"the input must be an object with {names}, not {type(value).__name__}")
        arguments = {}
        for name, member in value.items():
            decode = decoders.get(name)
            arguments[name] = decode(member) if decode else member
        return (), arguments


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
        """Read a result as the function's return annotation says."""
        if self._result is False:
            self._result = decoder(self.binding.hint("return"))
        return self._result(value) if callable(self._result) else value


class WorkflowDefinition(Definition[R]):
    """A workflow function: its first parameter is the Context."""

    def __init__(self, fn: Callable[..., R], name: str | None = None, queue: str | None = None) -> None:
        if not inspect.signature(fn).parameters:
            raise TypeError(f"{fn.__qualname__}: a workflow takes the context as its first parameter")
        super().__init__(fn, name, queue, skip=1)

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Call the plain function."""
        return self.fn(*args, **kwargs)


class ActivityDefinition(Definition[R], Generic[P, R]):
    """An activity function and how its attempts are made."""

    def __init__(
        self,
        fn: Callable[P, R],
        name: str | None = None,
        queue: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = TIMEOUT,  # of one attempt, seconds; None = the same
        heartbeat_timeout: float | None = None,
        schedule_to_start: float | None = None,  # seconds in the queue, of one attempt; None = any time
        schedule_to_close: float | None = None,  # seconds over all attempts; None = any time
    ) -> None:
        super().__init__(fn, name, queue, skip=0)
        self.retry = retry or Retry()
        self.timeout = timeout
        self.heartbeat_timeout = heartbeat_timeout
        self.schedule_to_start = schedule_to_start
        self.schedule_to_close = schedule_to_close
        self.command = schedule_command(self.name, self.retry, timeout, heartbeat_timeout)
        if schedule_to_start is not None:
            self.command["schedule_to_start_secs"] = schedule_to_start
        if schedule_to_close is not None:
            self.command["schedule_to_close_secs"] = schedule_to_close

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, here and now: nothing is recorded."""
        return self.fn(*args, **kwargs)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return a call that `ctx.execute_parallel` makes."""
        return Call(self, args, kwargs)

    def options(self, **changes: Any) -> ActivityDefinition[P, R]:
        """Return the same activity with another queue, retry or time-out, named as in `app.activity`.

        `retry` may be a Retry or a dict of the fields of Retry to change.
        """
        retry = changes.pop("retry", self.retry)
        if isinstance(retry, dict):
            retry = replace(self.retry, **retry)
        settings: dict[str, Any] = {
            "queue": self.queue,
            "timeout": self.timeout,
            "heartbeat_timeout": self.heartbeat_timeout,
            "schedule_to_start": self.schedule_to_start,
            "schedule_to_close": self.schedule_to_close,
        }
        unknown = set(changes) - set(settings)
        if unknown:
            raise TypeError(f"no such option of an activity: {', '.join(sorted(unknown))}")
        settings.update(changes)
        return ActivityDefinition(self.fn, name=self.name, retry=retry, **settings)


@dataclass(frozen=True)
class Call(Generic[R]):
    """An activity and its arguments, not called yet. `activity.prepare(...)` makes one."""

    activity: ActivityDefinition[..., R]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


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
        "initial_interval_secs": retry.initial,
        "backoff_coefficient": retry.backoff,
        "max_interval_secs": retry.max_interval,
        "non_retryable": retry.names(),
        "jitter": retry.jitter,
        "start_to_close_secs": TIMEOUT if timeout is None else timeout,
        "heartbeat_timeout_secs": heartbeat_timeout,
    }
    if tuning != _WIRE_DEFAULTS:  # most activities have none: a shorter command for both sides
        command.update(tuning)
    return command


def unbound_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the input of what is known by its name only: one argument, or keywords."""
    if len(args) > 1 or (args and kwargs):
        raise TypeError("what is known by its name only takes one argument (its whole input), or keywords")
    return args[0] if args else (kwargs or None)
