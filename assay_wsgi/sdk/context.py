"""What a workflow function talks to: each method is a step that history either holds or does not hold yet.

A step that history holds returns its outcome. One that it does not hold is new: its command is buffered,
and if the code must wait for it, Suspend leaves the function. Commands are numbered by one counter over
all kinds, in the order of the calls: that number is what ties a call to its events.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from datetime import timezone
from random import Random
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import NoReturn
from typing import TypeVar
from typing import Union
from typing import overload
from uuid import UUID

from . import waits
from .binding import unbound_input
from .chance import Chance
from .children import ChildOptions
from .children import child_command
from .convert import Decoder
from .convert import decoder
from .convert import named
from .course import Course
from .definitions import TIMEOUT
from .definitions import ActivityDefinition
from .definitions import Call
from .definitions import P
from .definitions import R
from .definitions import WorkflowCall
from .definitions import WorkflowDefinition
from .definitions import schedule_command
from .definitions import target
from .durations import Duration
from .errors import ContinueAsNew
from .handles import ActivityHandle
from .handles import ChildHandle
from .handles import Handle
from .info import RunInfo
from .jsontext import copied
from .jsontext import plain
from .retry import Retry
from .runlog import RunLog
from .saga import Saga
from .saga import saga
from .steps import QUERY
from .steps import Steps

if TYPE_CHECKING:
    from typing import Literal
    from typing import TypeVarTuple
    from typing import Unpack

    Ts = TypeVarTuple("Ts")

T = TypeVar("T")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")


class Context:
    """The run, as its workflow function sees it."""

    __slots__ = (
        "_activities",
        "_chance",
        "_children",
        "_course",
        "_definition",
        "_log",
        "_workflows",
        "queries",
        "shown_steps",
    )

    def __init__(
        self,
        course: Course,
        definition: WorkflowDefinition[..., Any],
        activities: Mapping[str, ActivityDefinition[..., Any]],
        workflows: Mapping[str, WorkflowDefinition[..., Any]],
    ) -> None:
        self.queries: dict[str, Callable[[], Any]] = {}
        self.shown_steps: Steps | None = None
        self._course = course
        self._definition = definition
        self._activities = activities
        self._workflows = workflows
        self._children: dict[str, int] = {}  # command numbers by workflow id
        self._chance: Chance | None = None
        self._log: logging.LoggerAdapter[logging.Logger] | None = None

    # ------------------------------------------------------------------------------------- activities

    @overload
    def execute_activity(self, activity: ActivityDefinition[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    @overload
    def execute_activity(self, activity: str, *args: Any, **kwargs: Any) -> Any: ...

    def execute_activity(self, activity: Any, *args: Any, **kwargs: Any) -> Any:
        """Run an activity and return its result. Raises ActivityError when it failed for good.

        By name, an activity that this worker does not know takes one argument (its input) or keywords.
        """
        return self._start_activity(activity, args, kwargs).result()

    @overload
    def start_activity(self, activity: ActivityDefinition[P, R], *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...

    @overload
    def start_activity(self, activity: str, *args: Any, **kwargs: Any) -> Handle[Any]: ...

    def start_activity(self, activity: Any, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Schedule an activity and go on. All that was begun is sent together at the next wait."""
        return self._start_activity(activity, args, kwargs)

    @overload
    def execute_parallel(self, calls: Iterable[Call[R]]) -> list[R]: ...

    @overload
    def execute_parallel(self, calls: Iterable[Union[Call[Any], tuple[Any, ...]]]) -> list[Any]: ...

    def execute_parallel(self, calls: Iterable[Any]) -> list[Any]:
        """Run activities at the same time, wait for all, return their results in order.

        A call is `activity.prepare(...)` or a tuple (activity, *arguments). Raises the ActivityError of the
        first in the list that failed.
        """
        handles = []
        for call in calls:
            if isinstance(call, Call):
                handles.append(self._start_activity(call.activity, call.args, call.kwargs))
            elif isinstance(call, tuple) and call:
                handles.append(self._start_activity(call[0], call[1:], {}))
            else:
                raise TypeError(f"a call is activity.prepare(...) or a tuple (activity, *arguments), not {call!r:.100}")
        return list(waits.gather(self._course, handles, return_exceptions=False))

    # ------------------------------------------------------------------------------------- several at once

    @overload
    def gather(self, h1: Handle[R1], h2: Handle[R2], /) -> tuple[R1, R2]: ...

    @overload
    def gather(self, h1: Handle[R1], h2: Handle[R2], h3: Handle[R3], /) -> tuple[R1, R2, R3]: ...

    @overload
    def gather(self, *handles: Handle[R], return_exceptions: Literal[False] = False) -> tuple[R, ...]: ...

    @overload
    def gather(self, *handles: Handle[R], return_exceptions: bool) -> tuple[Union[R, Exception], ...]: ...

    def gather(self, *handles: Handle[Any], return_exceptions: bool = False) -> tuple[Any, ...]:
        """Wait for all and return their results in order.

        Raises the error of the first in the list that failed, after all have ended; with `return_exceptions`
        the errors stand among the results.
        """
        return waits.gather(self._course, handles, return_exceptions)

    @overload
    def wait_any(self, *handles: Handle[R], timeout: None = None) -> Handle[R]: ...

    @overload
    def wait_any(self, *handles: Handle[R], timeout: Duration | None) -> Handle[R] | None: ...

    def wait_any(self, *handles: Handle[Any], timeout: Duration | None = None) -> Handle[Any] | None:
        """Wait for the first to be done and return it; None after `timeout`. The others go on."""
        return waits.wait_any(self._course, handles, timeout)

    def as_completed(self, handles: Iterable[Handle[R]]) -> Iterator[Handle[R]]:
        """Yield each handle when it is done, in the order in which they ended."""
        return waits.as_completed(self._course, tuple(handles))

    # ------------------------------------------------------------------------------------- time

    def sleep(self, duration: Duration) -> None:
        """Wait for seconds or a timedelta. No time is a step too, so that replay stays the same."""
        waits.start_timer(self._course, duration).sleep()

    def sleep_until(self, moment: datetime) -> None:
        """Wait until an aware datetime."""
        if moment.utcoffset() is None:
            raise ValueError(f"{moment} has no time zone: say datetime(..., tzinfo=timezone.utc)")
        self.sleep(moment - self.now())

    def start_timer(self, duration: Duration) -> Handle[None]:
        """Set a timer and go on, to race it with other handles."""
        return waits.start_timer(self._course, duration)

    def now(self) -> datetime:
        """Return the time of the event that the code has last waited for, in UTC: the same in each replay."""
        course = self._course
        return datetime.fromtimestamp(course.history.times[course.reached - 1], timezone.utc)

    # ------------------------------------------------------------------------------------- signals

    @overload
    def wait_for_signal(self, name: str, into: None = None, timeout: Duration | None = None) -> Any: ...

    @overload
    def wait_for_signal(self, name: str, into: type[T], timeout: None = None) -> T: ...

    @overload
    def wait_for_signal(self, name: str, into: type[T], timeout: Duration | None) -> T | None: ...

    def wait_for_signal(self, name: str, into: Any = None, timeout: Duration | None = None) -> Any:
        """Return the payload of the next signal `name`, in order of arrival, as an `into` if given.

        None when the time-out came first: the signal is then there for the next wait. In a step with buttons of
        which one is called `name`, they answer too: see Steps.step.
        """
        buttons, arrival = self.shown_steps.wait_for_signal(name, timeout) if self.shown_steps else (False, None)
        if not buttons:
            arrival = waits.first_signal(self._course, f"signal '{name}'", [(name, None)], timeout)
        if arrival is None:
            return None
        decode = _payload_decoder(name, into)
        return decode(arrival.payload) if decode else arrival.payload

    @overload
    def signals(self, name: str, into: None = None) -> list[Any]: ...

    @overload
    def signals(self, name: str, into: type[T]) -> list[T]: ...

    def signals(self, name: str, into: Any = None) -> list[Any]:
        """Take all signals `name` that have arrived, oldest first, without waiting: each as an `into` if given.

        Those are the signals that came before the event that the code has last waited for; at the start there are
        none. A later one is there after a later wait.
        """
        course, decode = self._course, _payload_decoder(name, into)
        arrived = [(seq, payload) for seq, payload in course.inbox.unread(name) if seq <= course.reached]
        for seq, _ in arrived:
            course.inbox.take(name, seq)
        return [decode(copied(payload)) if decode else copied(payload) for _, payload in arrived]

    def wait_condition(
        self, fn: Callable[[], object], timeout: Duration | None = None, what: str | None = None
    ) -> bool:
        """Wait until `fn()` is true and return True; False after `timeout`.

        `fn` is called at once and then after each event: it may look at `handle.done`, at `ctx.signals(...)`, at
        `ctx.now()` and at what the code keeps, but take no steps. `what` is what the run is shown to wait for, by
        default the name of the function, or where it is.
        """
        return waits.condition(self._course, (what or _named_condition(fn))[:200], fn, timeout)

    # ------------------------------------------------------------------------------------- children

    # Any stands for the Context, which the worker gives.
    @overload
    def start_child(
        self, workflow: Callable[[Any, Unpack[Ts]], R], *args: Unpack[Ts], **options: Unpack[ChildOptions]
    ) -> ChildHandle[R]: ...

    @overload
    def start_child(self, workflow: WorkflowCall[R], **options: Unpack[ChildOptions]) -> ChildHandle[R]: ...

    @overload
    def start_child(self, workflow: str, *args: Any, **options: Unpack[ChildOptions]) -> ChildHandle[Any]: ...

    def start_child(  # type: ignore[misc]  # mypy does not see that *args takes Unpack[Ts]; the same below
        self, workflow: Any, *args: Any, **options: Any
    ) -> ChildHandle[Any]:
        """Start a workflow as a child of this run and go on.

        `workflow` is a workflow with its arguments, one that was prepared with them (`ship.prepare(parcel=p)`), or
        a name. The options are those of ChildOptions; `parent_close` is request_cancel (the default), terminate or
        abandon. Each child of a run needs an id of its own.
        """
        course = self._course
        wanted = target(workflow, args, {}, self._workflows)
        name, known = wanted.name, wanted.definition
        workflow_id = options.get("id") or f"{self.workflow_id}-{course.number + 1}"
        number, held = course.take("child workflow", workflow_id, name)
        if workflow_id in self._children:
            raise ValueError(
                f"child id '{workflow_id}' is that of command {self._children[workflow_id]} already: "
                "each child of a run needs an id of its own"
            )
        self._children[workflow_id] = number
        handle: ChildHandle[Any] = ChildHandle(
            course, number, workflow_id, name, known.decode_result if known else None
        )
        if not held:
            command = child_command(number, name, workflow_id, options, known)
            command["input"] = plain(wanted.input, "the input of child workflow", name)
            command["task_queue"] = options.get("queue") or (known.queue if known else None) or self.info.task_queue
            course.begin(handle.what)
            course.send(command)
        return handle

    @overload
    def execute_child(
        self, workflow: Callable[[Any, Unpack[Ts]], R], *args: Unpack[Ts], **options: Unpack[ChildOptions]
    ) -> R: ...

    @overload
    def execute_child(self, workflow: WorkflowCall[R], **options: Unpack[ChildOptions]) -> R: ...

    @overload
    def execute_child(self, workflow: str, *args: Any, **options: Unpack[ChildOptions]) -> Any: ...

    def execute_child(  # type: ignore[misc]
        self, workflow: Any, *args: Any, **options: Any
    ) -> Any:
        """Run a workflow as a child, as `start_child` does, and return its result. Raises ChildWorkflowError."""
        return self.start_child(workflow, *args, **options).result()

    # ------------------------------------------------------------------------------------- records

    def side_effect(self, name: str, fn: Callable[[], T]) -> T:
        """Return the value of `fn()`, which is called once: every later replay gets the recorded value.

        The value is what JSON makes of it: a tuple comes back as a list, the first time too.
        """
        course = self._course
        number, held = course.take("side effect", name)
        if held:
            value = course.history.side_effects[number]
        else:
            course.begin(f"side effect '{name}'")
            value = plain(fn(), "side effect", name)
            course.send({"type": "RecordSideEffect", "seq": number, "name": name, "value": value})
        return copied(value)  # type: ignore[no-any-return]  # JSON has no types of its own

    def upsert_search_attributes(self, patch: Mapping[str, Any]) -> None:
        """Merge `patch` into the run's search attributes. Does not wait."""
        course = self._course
        number, held = course.take("attributes")
        if not held:
            course.begin("search attributes")
            course.send(
                {"type": "UpsertSearchAttributes", "seq": number, "patch": plain(dict(patch), "search attributes")}
            )

    def register_query(self, name: str, fn: Callable[[], Any]) -> None:
        """Show `fn()` as `name` in the run's state, as it is whenever the code waits or ends.

        `fn` may look at what the code keeps and at what is done, but take no steps.
        """
        self.queries[name] = fn

    @overload
    def query(self, name_or_fn: Callable[[], R1]) -> Callable[[], R1]: ...

    @overload
    def query(self, name_or_fn: str) -> Callable[[Callable[[], R1]], Callable[[], R1]]: ...

    def query(self, name_or_fn: Any) -> Any:
        """Register the decorated function as a query, under its own name or the one given: `@ctx.query("name")`."""
        if callable(name_or_fn):
            self.register_query(name_or_fn.__name__, name_or_fn)
            return name_or_fn
        if not isinstance(name_or_fn, str):
            raise TypeError(f'a query is decorated by @ctx.query or @ctx.query("name"), not {name_or_fn!r:.100}')

        def register(fn: Callable[[], R1]) -> Callable[[], R1]:
            self.register_query(name_or_fn, fn)
            return fn

        return register

    def steps(self, *names: str) -> Steps:
        """Show the run as these steps, one after the other: the query `pipeline_state` of the dashboard."""
        if self.shown_steps is not None:
            raise RuntimeError("ctx.steps() was called before: a run has one list of steps")
        course = self._course
        self.shown_steps = Steps(course, lambda: course.history.times[course.reached - 1], names)
        self.register_query(QUERY, self.shown_steps.state)
        return self.shown_steps

    # ------------------------------------------------------------------------------------- ends

    @overload
    def continue_as_new(
        self, call: WorkflowCall[Any], /, *, queue: str | None = None, id: str | None = None
    ) -> NoReturn: ...

    @overload
    def continue_as_new(
        self,
        *args: Unpack[Ts],
        workflow: Callable[[Any, Unpack[Ts]], Any],
        queue: str | None = None,
        id: str | None = None,
    ) -> NoReturn: ...

    @overload
    def continue_as_new(
        self,
        *args: Any,
        workflow: str | None = None,
        queue: str | None = None,
        id: str | None = None,
        **kwargs: Any,
    ) -> NoReturn: ...

    def continue_as_new(  # type: ignore[misc]
        self, *args: Any, workflow: Any = None, queue: str | None = None, id: str | None = None, **kwargs: Any
    ) -> NoReturn:
        """End this run and have the next one of its chain begin with these arguments, and a history of its own.

        The next run is of the same workflow, id and queue unless others are given. A prepared call
        (`tally.prepare(seen, left=3)`) names the workflow and its arguments, and a type checker sees both. Signals
        that the code has not taken go along.
        """
        course = self._course
        course.going()
        course.begin("continue-as-new")
        if workflow is None and len(args) == 1 and isinstance(args[0], WorkflowCall):
            (workflow,), args = args, ()
        following = self._definition if workflow is None else workflow
        wanted = target(following, args, kwargs, self._workflows)
        command: dict[str, Any] = {
            "type": "ContinueAsNew",
            "input": plain(wanted.input, "the input of workflow", wanted.name),
            "workflow_id": id or self.workflow_id,
            "unread_signals": course.inbox.unread_seqs(),
        }
        if wanted.name != self._definition.name:
            command["workflow_type"] = wanted.name
        if wanted.definition is not None and wanted.definition is not self._definition:
            queue = queue or wanted.definition.queue
        if queue is not None:
            command["task_queue"] = queue
        course.leave(ContinueAsNew(command))

    def cancel(self, reason: str | None = None) -> NoReturn:
        """End the run as cancelled: raises WorkflowCancelled, as if somebody else had asked for it."""
        self._course.cancel(reason)

    def shield(self) -> AbstractContextManager[None]:
        """Allow new steps in a `with` block, to clean up after a cancellation."""
        return self._course.shield()

    def saga(self) -> AbstractContextManager[Saga]:
        """Undo what was done, the last thing first, when the block is left by what ends the run.

        That is an error that fails the run (StepError, ApplicationError), or its cancellation. `saga.defer(activity,
        *args)` says how to undo a thing. The activities run one after the other, cancelled or not; then the error
        goes on. One that fails does not keep the others from running, and CompensationError is raised in place of
        the error. A bug, any other error, undoes nothing: the turn fails, and goes on here when the code is mended.
        """
        return saga(self._course, self._bound)

    # ------------------------------------------------------------------------------------- who

    @property
    def info(self) -> RunInfo:
        """Which run this is."""
        return self._course.info

    @property
    def workflow_id(self) -> str:
        """The id that the starter chose."""
        return self._course.info.workflow_id

    @property
    def run_id(self) -> str:
        """This execution of it."""
        return self._course.info.run_id

    @property
    def replaying(self) -> bool:
        """Whether the code is on ground that an earlier turn has covered."""
        return not self._course.live

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that is silent while the code is being replayed."""
        if self._log is None:
            self._log = RunLog(self._course)
        return self._log

    def random(self) -> Random:
        """Return the run's generator of random numbers: the same numbers in each replay. Not for secrets."""
        return self._dice().random()

    def uuid4(self) -> UUID:
        """Return a new id that is the same in each replay. Not for secrets."""
        return self._dice().uuid4()

    # ------------------------------------------------------------------------------------- inside

    def _dice(self) -> Chance:
        if self._chance is None:
            self._chance = Chance(self.run_id)
        return self._chance

    def _start_activity(self, activity: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActivityHandle[Any]:
        name, known = self._named(activity)
        return self._start_packed(name, known, lambda: _packed(name, known, args, kwargs))

    def _bound(self, activity: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], ActivityHandle[Any]]:
        """Pack a call now, to start it later."""
        name, known = self._named(activity)
        packed = _packed(name, known, args, kwargs)
        return lambda: self._start_packed(name, known, lambda: packed)

    def _named(self, activity: Any) -> tuple[str, ActivityDefinition[..., Any] | None]:
        if isinstance(activity, str):
            known = self._activities.get(activity)
            return (known.name if known else activity), known
        if isinstance(activity, ActivityDefinition):
            return activity.name, activity
        if isinstance(activity, WorkflowDefinition):
            raise TypeError(f"{activity.name} is a workflow: start it with ctx.start_child or ctx.execute_child")
        raise TypeError(f"{activity!r:.100} is not an activity: decorate the function with @app.activity")

    def _start_packed(
        self, name: str, known: ActivityDefinition[..., Any] | None, pack: Callable[[], Any]
    ) -> ActivityHandle[Any]:
        course = self._course
        number, held = course.take("activity", name)
        handle: ActivityHandle[Any] = ActivityHandle(course, number, name, known.decode_result if known else None)
        if not held:
            course.begin(handle.what)
            command = known.command.copy() if known else schedule_command(name, Retry(), TIMEOUT, None)
            command["input"] = pack()
            command["task_queue"] = (known.queue if known else None) or self.info.task_queue
            command["seq"] = number
            course.send(command)
        return handle


def _packed(
    name: str, known: ActivityDefinition[..., Any] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    packed = known.binding.pack(args, kwargs) if known else unbound_input(name, args, kwargs)
    return plain(packed, "the input of activity", name)


def _payload_decoder(name: str, into: Any) -> Decoder | None:
    decode = decoder(into)
    return decode and named(decode, f"payload of signal {name}")


def _named_condition(fn: Callable[[], object]) -> str:
    name = getattr(fn, "__name__", type(fn).__name__)
    code = getattr(fn, "__code__", None)
    if name != "<lambda>" or code is None:
        return str(name)
    return f"condition in {os.path.basename(code.co_filename)}:{code.co_firstlineno}"
