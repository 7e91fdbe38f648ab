"""The schedules of a namespace: which workflow is started again and again, and when."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import TypedDict
from typing import Union
from typing import cast
from typing import overload

from .caller import Caller
from .caller import decoded
from .caller import new_key
from .definitions import WorkflowCall
from .definitions import WorkflowDefinition
from .definitions import target
from .durations import Duration
from .durations import seconds
from .durations import since_the_epoch
from .errors import Conflict
from .starts import MEMBERS as OF_A_START
from .starts import start_body
from .transport import segment

if TYPE_CHECKING:
    from typing import Literal
    from typing import TypeVarTuple
    from typing import Unpack

    Ts = TypeVarTuple("Ts")
    Overlap = Literal[
        "skip", "buffer_one", "buffer_all", "queue", "cancel_other", "cancel_old", "terminate_other", "allow_all"
    ]


class ScheduleOptions(TypedDict, total=False):
    """How a schedule starts its runs. All of it may be left out, or be None."""

    timezone: str | None  # whose wall times the expression means, an IANA name; else UTC
    overlap: Overlap | None  # what a tick does while a run of the schedule is open; else skip
    catchup_window: Duration | None  # how old a missed tick may be that is made up for; else 60 seconds
    queue: str | None  # else the workflow's own, else the client's
    search_attributes: Mapping[str, Any] | None  # of each run
    run_timeout: Duration | None  # of one run; else the workflow's own
    execution_timeout: Duration | None  # of a run and all that continue it; else the workflow's own


class ScheduleChanges(ScheduleOptions, total=False):
    """What `client.schedules.update` changes. What is left out, or None, stays as it is."""

    cron: str | None
    workflow: Union[WorkflowDefinition[..., Any], WorkflowCall[Any], str, None]  # a prepared call brings its input
    input: Any  # whole


class _Schedule(TypedDict):
    name: str
    namespace: str
    workflow_type: str
    cron_expr: str
    timezone: str
    input: Any
    task_queue: str
    search_attributes: dict[str, Any] | None
    run_timeout_secs: float | None
    execution_timeout_secs: float | None
    overlap_policy: str
    catchup_window_secs: float
    paused: bool
    pause_reason: str | None
    last_run_at: float | None
    next_run_at: float | None  # None while it is paused, and when it never fires again
    last_workflow_id: str | None
    buffered: int  # ticks that wait for a run to end
    runs_started: int
    ticks_skipped: int  # because of the overlap policy, or because it was paused
    ticks_missed: int  # while no sidecar was there, and not made up for
    error: dict[str, Any] | None  # why it cannot be worked on: message, count, at
    created_at: float
    updated_at: float


class ScheduleRecord(_Schedule, total=False):
    """A schedule, as the service tells it. Moments are seconds since the epoch."""

    next_runs: list[float]  # its next three times, as they are while it is not paused; not in `list`


class Triggered(TypedDict):
    """What became of a run that was asked for."""

    schedule: str
    tick: float  # the moment that stands for it
    outcome: Literal["started", "buffered", "skipped"]
    reason: str | None  # why it was skipped
    workflow_id: str  # that its run has, or will have
    run_id: str | None  # once it is started


class Backfilled(TypedDict):
    """How many ticks of a past time are made up for."""

    ticks: int  # that there are in this time
    queued: int  # that will be started
    known: int  # that have started a run before, or wait
    left: int  # that found no room: ask again when some have run


class Schedules:
    """What `client.schedules` does. A name is one of the client's namespace."""

    def __init__(self, caller: Caller, namespace: str, queue: str) -> None:
        self._caller = caller
        self._namespace = namespace
        self._queue = queue

    # Any stands for the Context, which the worker gives.
    @overload
    def create(
        self,
        name: str,
        cron: str,
        workflow: Callable[[Any, Unpack[Ts]], Any],
        *args: Unpack[Ts],
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleRecord: ...

    @overload
    def create(
        self, name: str, cron: str, workflow: WorkflowCall[Any], **options: Unpack[ScheduleOptions]
    ) -> ScheduleRecord: ...

    @overload
    def create(
        self, name: str, cron: str, workflow: str, input: Any = None, **options: Unpack[ScheduleOptions]
    ) -> ScheduleRecord: ...

    def create(  # type: ignore[misc]  # mypy does not see that *args takes Unpack[Ts]; the same below
        self, name: str, cron: str, workflow: Any, *args: Any, **options: Any
    ) -> ScheduleRecord:
        """Make a schedule; its first run is at its next time. Return its record.

        The workflow is given as in `client.start`; `cron` is an expression such as `0 2 * * *`, `@daily` or
        `@every 90s`. Raises Conflict when there is a schedule of this name, Invalid for an expression or a zone that
        will not do.
        """
        body = self._definition(cron, workflow, args, options)
        return _record(self._caller.post("/schedules", {"name": name, **body}))

    @overload
    def ensure(
        self,
        name: str,
        cron: str,
        workflow: Callable[[Any, Unpack[Ts]], Any],
        *args: Unpack[Ts],
        **options: Unpack[ScheduleOptions],
    ) -> ScheduleRecord: ...

    @overload
    def ensure(
        self, name: str, cron: str, workflow: WorkflowCall[Any], **options: Unpack[ScheduleOptions]
    ) -> ScheduleRecord: ...

    @overload
    def ensure(
        self, name: str, cron: str, workflow: str, input: Any = None, **options: Unpack[ScheduleOptions]
    ) -> ScheduleRecord: ...

    def ensure(  # type: ignore[misc]
        self, name: str, cron: str, workflow: Any, *args: Any, **options: Any
    ) -> ScheduleRecord:
        """Make a schedule as `create` does, or change the one of this name to what is given. Return its record.

        A program may do so whenever it begins. What it leaves out stays as it is; so does a pause.
        """
        body = self._definition(cron, workflow, args, options)
        try:
            return _record(self._caller.post("/schedules", {"name": name, **body}))
        except Conflict as error:
            if error.code != "schedule_exists":
                raise
        return self._patch(name, {member: value for member, value in body.items() if member != "namespace"})

    def get(self, name: str) -> ScheduleRecord:
        """Return a schedule's record. Raises NotFound."""
        return _record(self._caller.get(f"/schedules/{segment(name)}", namespace=self._namespace))

    def update(self, name: str, **changes: Unpack[ScheduleChanges]) -> ScheduleRecord:
        """Change a schedule and return its record; no tick of the old definition comes after that.

        Raises NotFound, Invalid.
        """
        given: dict[str, Any] = {option: value for option, value in changes.items() if value is not None}
        _check(given, ScheduleChanges)
        workflow = given.pop("workflow", None)
        body = _members(given)
        if workflow is not None:
            wanted = target(workflow, (), {}, {})
            body["workflow_type"] = wanted.name
            if isinstance(workflow, WorkflowCall):
                body.setdefault("input", wanted.input)
        return self._patch(name, body)

    def pause(self, name: str, reason: str | None = None) -> ScheduleRecord:
        """Have a schedule start nothing, and drop what waits of it. Raises NotFound."""
        return _record(self._post(name, "pause", reason=reason))

    def resume(self, name: str) -> ScheduleRecord:
        """Let a schedule go on at its next time; nothing is made up for. Raises NotFound."""
        return _record(self._post(name, "resume"))

    def delete(self, name: str) -> None:
        """Remove a schedule and what waits of it; its open runs go on. Raises NotFound."""
        params = {"namespace": self._namespace}
        self._caller.call("DELETE", f"/schedules/{segment(name)}", params=params, key=new_key())

    def trigger(self, name: str, overlap: Overlap | None = None) -> Triggered:
        """Start a run now, paused or not, as the overlap policy allows: the schedule's own or this one.

        Raises NotFound.
        """
        return cast(Triggered, self._post(name, "trigger", overlap_policy=overlap))

    def backfill(
        self,
        name: str,
        start: Union[float, datetime],
        end: Union[float, datetime, None] = None,
        overlap: Overlap | None = None,
    ) -> Backfilled:
        """Make up for the ticks from one moment to another (now), both included; one run each, however often asked.

        Moments are aware datetimes or seconds since the epoch. They run one after the other, unless another overlap
        policy is given. Raises NotFound.
        """
        begins, ends = since_the_epoch("start", start), None if end is None else since_the_epoch("end", end)
        return cast(Backfilled, self._post(name, "backfill", start=begins, end=ends, overlap_policy=overlap))

    def next(self, name: str, n: int = 5) -> list[float]:
        """Return the next n times of a schedule, in seconds since the epoch, as they are while it is not paused.

        Raises NotFound.
        """
        told = self._caller.get(f"/schedules/{segment(name)}/next", namespace=self._namespace, n=n)
        return cast("list[float]", told["next_runs"])

    def list(self) -> Iterator[ScheduleRecord]:
        """Yield the records of all schedules of the namespace, by name."""
        for record in self._caller.short_pages("/schedules", namespace=self._namespace):
            yield _record(record)

    def _definition(self, cron: str, workflow: Any, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        if isinstance(workflow, str) and "input" in options:
            args = (*args, options.pop("input"))
        _check(options, ScheduleOptions)
        wanted = target(workflow, args, {}, {})
        of_the_run = {option: value for option, value in options.items() if option not in _OWN}
        body = {
            "cron_expr": cron,
            **start_body(wanted, self._namespace, self._queue, of_the_run),
            **_members({option: value for option, value in options.items() if option in _OWN and value is not None}),
        }
        return body if wanted.input is None else {**body, "input": wanted.input}

    def _patch(self, name: str, body: Mapping[str, Any]) -> ScheduleRecord:
        params = {"namespace": self._namespace}
        return _record(self._caller.call("PATCH", f"/schedules/{segment(name)}", body, params, new_key()).body)

    def _post(self, name: str, verb: str, **body: Any) -> Any:
        given = {member: value for member, value in body.items() if value is not None}
        return self._caller.post(f"/schedules/{segment(name)}/{verb}", given, namespace=self._namespace)


_OWN = {"timezone": "timezone", "overlap": "overlap_policy", "catchup_window": "catchup_window_secs"}
_MEMBERS = {**OF_A_START, **_OWN, "cron": "cron_expr", "input": "input"}


def _members(given: Mapping[str, Any]) -> dict[str, Any]:
    """Name options as the wire does: those in seconds are spans of time."""
    body = {}
    for option, value in given.items():
        member = _MEMBERS[option]
        body[member] = seconds(value) if member.endswith("_secs") else value
    return body


def _check(given: Mapping[str, Any], declared: Any) -> None:
    unknown = sorted(set(given) - set(declared.__annotations__))
    if unknown:
        raise TypeError(f"no such option of a schedule: {', '.join(unknown)}")


def _record(told: Mapping[str, Any]) -> ScheduleRecord:
    return cast(ScheduleRecord, decoded(told))
