"""What a workflow function talks to: each method is a step that history either holds or does not hold yet.

A step that history holds returns its outcome. One that it does not hold is new: its command is buffered,
and if the code must wait for it, Suspend leaves the function. Commands are numbered by one counter over
all kinds, in the order of the calls: that number is what ties a call to its events.
"""

from __future__ import annotations

import logging
import marshal
from collections.abc import Mapping
from typing import Any
from typing import Callable
from typing import TypeVar
from typing import overload

from .convert import decoder
from .definitions import TIMEOUT
from .definitions import ActivityDefinition
from .definitions import P
from .definitions import R
from .definitions import Retry
from .definitions import schedule_command
from .definitions import unbound_input
from .errors import NondeterminismError
from .errors import Suspend
from .errors import WorkflowCancelled
from .history import History
from .history import Recorded
from .jsontext import Json
from .jsontext import plain

T = TypeVar("T")

log = logging.getLogger(__name__)


class RunInfo:
    """Which run this is."""

    __slots__ = ("attempt", "namespace", "run_id", "task_queue", "workflow_id", "workflow_type")

    def __init__(
        self,
        workflow_id: str,
        run_id: str,
        workflow_type: str = "",
        namespace: str = "main",
        task_queue: str = "default",
        attempt: int = 1,  # of this workflow task: more than 1 after a failed or lost turn
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.workflow_type = workflow_type
        self.namespace = namespace
        self.task_queue = task_queue
        self.attempt = attempt


class Context:
    """The run, as its workflow function sees it."""

    __slots__ = (
        "_activities",
        "_history",
        "_live",
        "_log",
        "_number",
        "_taken",
        "broken",
        "commands",
        "info",
        "queries",
        "suspended",
    )

    def __init__(self, info: RunInfo, history: History, activities: Mapping[str, ActivityDefinition[..., Any]]) -> None:
        self.info = info
        self.commands: list[dict[str, Any]] = []  # what this turn asks for
        self.queries: dict[str, Callable[[], Any]] = {}
        self.suspended: str | None = None  # what the code waits for
        self.broken: NondeterminismError | None = None
        self._history = history
        self._activities = activities
        self._number = 0  # of the last command
        self._taken: dict[str, int] = {}  # signals taken, by name
        self._live = history.seen == 0
        self._log: logging.LoggerAdapter[logging.Logger] | None = None

    # ------------------------------------------------------------------------------------- steps

    @overload
    def execute_activity(self, activity: ActivityDefinition[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def execute_activity(self, activity: str, *args: Any, **kwargs: Any) -> Any: ...

    def execute_activity(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Run an activity and return its result. Raises ActivityError when it failed for good.

        By name, an activity that this worker does not know takes one argument (its input) or keywords.
        """
        number = self._next()
        name = activity if isinstance(activity, str) else activity.name
        history = self._history
        recorded = history.commands.get(number)
        if recorded is not None and (recorded.kind != "activity" or recorded.name != name):
            raise self._mismatch(recorded, f"activity '{name}'")
        outcome = history.outcomes.get(number)
        if outcome is None:
            self._frontier(f"activity '{name}'")
            if recorded is None:
                self.commands.append(self._schedule(number, activity, args, kwargs))
            raise self._suspend(f"activity '{name}'")
        event, result, failure = outcome
        if event > history.seen:
            self._live = True
        if failure is not None:
            raise history.failure_of(number)
        if isinstance(activity, str):
            known = self._activities.get(activity)
            return known.decode_result(copied(result)) if known else copied(result)
        return activity.decode_result(copied(result))

    @overload
    def wait_for_signal(self, name: str) -> Any: ...

    @overload
    def wait_for_signal(self, name: str, into: type[T]) -> T: ...

    def wait_for_signal(self, name: str, into: Any = None) -> Any:
        """Return the payload of the next signal `name`, in order of arrival, as an `into` if given."""
        self._unless_suspended()
        arrived = self._history.signals.get(name, ())
        taken = self._taken.get(name, 0)
        if taken >= len(arrived):
            self._frontier(f"signal '{name}'")
            self.commands.append({"type": "WaitForSignal", "name": name})
            raise self._suspend(f"signal '{name}'")
        self._taken[name] = taken + 1
        event, payload = arrived[taken]
        if event > self._history.seen:
            self._live = True
        decode = decoder(into)
        return decode(copied(payload)) if decode else copied(payload)

    def side_effect(self, name: str, fn: Callable[[], T]) -> T:
        """Return the value of `fn()`, which is called once: every later replay gets the recorded value.

        The value is what JSON makes of it: a tuple comes back as a list, the first time too.
        """
        number = self._next()
        recorded = self._history.commands.get(number)
        if recorded is not None:
            if recorded.kind != "side effect" or recorded.name != name:
                raise self._mismatch(recorded, f"side effect '{name}'")
            value = self._history.side_effects[number]
        else:
            self._frontier(f"side effect '{name}'")
            value = plain(fn())
            self.commands.append({"type": "RecordSideEffect", "seq": number, "name": name, "value": value})
        return copied(value)  # type: ignore[no-any-return]  # JSON has no types of its own

    def upsert_search_attributes(self, patch: Mapping[str, Any]) -> None:
        """Merge `patch` into the run's search attributes. Does not wait."""
        number = self._next()
        recorded = self._history.commands.get(number)
        if recorded is not None:
            if recorded.kind != "attributes":
                raise self._mismatch(recorded, "search attributes")
            return
        self._frontier("search attributes")
        self.commands.append({"type": "UpsertSearchAttributes", "seq": number, "patch": plain(dict(patch))})

    def register_query(self, name: str, fn: Callable[[], Any]) -> None:
        """Show `fn()` as `name` in the run's state, as it is whenever the code waits or ends."""
        self.queries[name] = fn

    # --------------------------------------------------------------------------------------- who

    @property
    def workflow_id(self) -> str:
        """The id that the starter chose."""
        return self.info.workflow_id

    @property
    def run_id(self) -> str:
        """This execution of it."""
        return self.info.run_id

    @property
    def replaying(self) -> bool:
        """Whether the code is on ground that an earlier turn has covered."""
        return not self._live

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that is silent while the code is being replayed."""
        if self._log is None:
            self._log = _RunLog(self)
        return self._log

    # ----------------------------------------------------------------------------------- replay

    def check_end(self, what: str) -> None:
        """Refuse an end of the code that history goes beyond."""
        if self._number + 1 in self._history.commands:
            raise self._left_over(what)

    def _next(self) -> int:
        self._unless_suspended()
        self._number = number = self._number + 1
        return number

    def _unless_suspended(self) -> None:
        if self.suspended is not None:  # called from a `finally`, or after Suspend was swallowed
            raise Suspend(self.suspended)
        if self.broken is not None:
            raise self.broken

    def _frontier(self, what: str) -> None:
        if self._number + 1 in self._history.commands:
            raise self._left_over(f"waits for {what}")
        cancelled = self._history.cancelled
        if cancelled is not None:
            raise WorkflowCancelled(cancelled.get("reason"))

    def _suspend(self, what: str) -> Suspend:
        self.suspended = what
        return Suspend(what)

    def _schedule(self, number: int, activity: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        known = self._activities.get(activity) if isinstance(activity, str) else activity
        if known is not None:
            command: dict[str, Any] = known.command.copy()
            command["input"] = plain(known.binding.pack(args, kwargs))
            command["task_queue"] = known.queue or self.info.task_queue
        else:
            command = schedule_command(activity, Retry(), TIMEOUT, None)
            command["input"] = plain(unbound_input(args, kwargs))
            command["task_queue"] = self.info.task_queue
        command["seq"] = number
        return command

    def _mismatch(self, recorded: Recorded, asked: str) -> NondeterminismError:
        self.broken = NondeterminismError(
            f"command {self._number}: history has {_named(recorded)} (event {recorded.event}), "
            f"but the code now asks for {asked}; code that open runs still need must keep its order of steps"
        )
        return self.broken

    def _left_over(self, what: str) -> NondeterminismError:
        recorded = self._history.commands[self._number + 1]
        self.broken = NondeterminismError(
            f"command {self._number + 1}: history has {_named(recorded)} (event {recorded.event}), "
            f"but the code now {what} before it asks for that; "
            "code that open runs still need must keep its order of steps"
        )
        return self.broken


class _RunLog(logging.LoggerAdapter):  # type: ignore[type-arg]  # cannot be subscripted in Python 3.9
    """Logs with the run's name, and only what has not been logged by an earlier turn."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(logging.getLogger(f"assay.workflow.{ctx.info.workflow_type}"), {})
        self._ctx = ctx

    def isEnabledFor(self, level: int) -> bool:
        """Say no during replay."""
        return not self._ctx.replaying and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put the run's name in front."""
        return f"[{self._ctx.workflow_id} {self._ctx.run_id}] {msg}", kwargs


def copied(value: Json) -> Json:
    """Copy JSON: user code may change what it gets, the cached history must stay."""
    if value.__class__ is dict or value.__class__ is list:
        return marshal.loads(marshal.dumps(value))
    return value


def _named(recorded: Recorded) -> str:
    return f"{recorded.kind} '{recorded.name}'" if recorded.name else "an upsert of search attributes"
