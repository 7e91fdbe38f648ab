"""The life of a schedule: made, changed, paused; its ticks, and what each of them starts.

A tick is a moment that the cron expression names, or one that somebody asked for. It happens once: it waits,
starts a run, or is skipped. What becomes of those that wait `_settle` decides, over all of them at once (`overlap`):
in the unit of whoever lets one wait, or in that of the sidecar, which is told by `due_at` to look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Union

from ..jsontext import dumps
from ..jsontext import loads
from . import overlap
from . import workflows
from .change import Change
from .cron import Cron
from .errors import Invalid
from .errors import InvalidCron
from .errors import ScheduleExists
from .errors import ScheduleLimit
from .model import Origin
from .model import Run
from .model import Schedule
from .model import Task
from .model import Tick
from .model import TickState
from .requests import NewSchedule
from .requests import SchedulePatch
from .requests import StartRun

SCHEDULES_AT_MOST = 1000  # in a namespace
BACKFILL_AT_MOST = 1000  # ticks in one request
AT_ONCE = 20  # runs that one unit starts for a schedule, and that it ends for it
_MISSED_AT_MOST = 1_000_000  # that are counted at once
AHEAD_SECS = 1.0  # what was written so far in the future was written by a clock that was set back since
FIRST_PAUSE_SECS = 5.0  # before a schedule that failed is looked at again; doubled each time
LONGEST_PAUSE_SECS = 600.0

TIMES_OF_RUNS = ("run_timeout_secs", "execution_timeout_secs")  # a change to 0 takes one away
ID_TAKEN = "id_taken"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a decision asks for besides the schedule and what waits of it."""

    open_runs: Callable[[], Sequence[int]]  # keys, those that were not asked to end first
    runs: Callable[[Sequence[int]], Sequence[tuple[Run, Union[Task, None]]]]
    newest: Callable[[Sequence[str]], Sequence[Union[Run, None]]]  # of workflow ids
    new_key: Callable[[], int]
    cancel_grace_secs: float = workflows.CANCEL_GRACE_SECS


class SchedulePen:
    """Writes what happens to one schedule into a Change."""

    def __init__(self, change: Change, schedule: Schedule, waiting: Sequence[Tick], now: float) -> None:
        self.change = change
        self.schedule = schedule
        self.waiting = list(waiting)
        self.now = now
        self._columns: dict[str, Any] = {}
        self._written: dict[float, Tick] = {}
        self._look_at: float | None = None
        self._put_off = False

    def set(self, **columns: Any) -> None:
        """Give columns of the schedule new values."""
        self._columns.update(columns)

    def add(self, column: str, count: int = 1) -> None:
        """Count up a column."""
        self._columns[column] = self._columns.get(column, getattr(self.schedule, column)) + count

    def look_again(self) -> None:
        """Have the sidecar look at the schedule at once, whenever the next tick is."""
        self._look_at = self.now

    def put_off(self, until: float) -> None:
        """Have the sidecar look at the schedule then and not before, whenever the next tick is."""
        self._look_at, self._put_off = until, True

    def wait(self, tick: float, origin: Origin, policy: str | None) -> None:
        """Let a tick wait, behind the others."""
        waits = Tick(
            self.schedule.schedule_key, tick, TickState.BUFFERED.value, origin.value, policy, None, None, self.now
        )
        self.waiting.append(waits)
        self._written[tick] = waits

    def skip(self, tick: Tick, reason: str) -> None:
        """Let a tick pass without a run."""
        self._settle(tick, state=TickState.SKIPPED.value, reason=reason)
        self.add("ticks_skipped")

    def start(self, tick: Tick, run: Run) -> None:
        """Note which run a tick has started."""
        self._settle(tick, state=TickState.STARTED.value, overlap_policy=self.policy(tick), run_key=run.run_key)
        self.add("runs_started")
        self.set(last_run_at=self.now, last_workflow_id=run.workflow_id)

    def policy(self, tick: Tick) -> str:
        """Give the overlap policy of a tick."""
        return tick.overlap_policy or self.schedule.overlap_policy

    def written(self, tick: float) -> Tick:
        """Give a tick as this pen has left it."""
        return self._written[tick]

    def done(self) -> Schedule:
        """Put the schedule and its ticks into the Change. Returns the schedule as it stands."""
        self._columns.setdefault("next_run_at", self.schedule.next_run_at)
        moments = (self._look_at, None if self._put_off else self._columns["next_run_at"])
        due_at = min((moment for moment in moments if moment is not None), default=None)
        schedule = self.schedule._replace(
            due_at=due_at, buffered=len(self.waiting), updated_at=self.now, **self._columns
        )
        self.change.schedules.append(schedule)
        self.change.ticks += self._written.values()
        return schedule

    def _settle(self, tick: Tick, **columns: Any) -> None:
        self.waiting.remove(tick)
        self._written[tick.tick] = tick._replace(**columns)


# ------------------------------------------------------------------------------------- by those who keep it


def create(
    wanted: NewSchedule, schedule_key: int, there: Schedule | None, count: int, cron: Cron, now: float
) -> tuple[Change, Schedule]:
    """Make a schedule; its first run is at its next tick. `count` = how many schedules the namespace has.

    Raises ScheduleExists, ScheduleLimit, InvalidCron.
    """
    if there is not None:
        raise ScheduleExists(f"schedule {wanted.name} exists already: change it, or delete it first")
    if count >= SCHEDULES_AT_MOST:
        raise ScheduleLimit(f"namespace {wanted.namespace} has {SCHEDULES_AT_MOST} schedules: delete some first")
    next_run_at = _next(cron, wanted.cron_expr, now)
    made = Schedule(
        schedule_key=schedule_key, paused=False, pause_reason=None, next_run_at=next_run_at, due_at=next_run_at,
        last_run_at=None, last_workflow_id=None, last_trigger_at=None, buffered=0, runs_started=0, ticks_skipped=0,
        ticks_missed=0, error=None, created_at=now, updated_at=now, **_columns(asdict(wanted)),
    )  # fmt: skip
    return Change(new_schedules=[made], new_namespaces=[wanted.namespace]), made


def change(
    schedule: Schedule, patch: SchedulePatch, waiting: Sequence[Tick], cron: Callable[[str, str], Cron], now: float
) -> tuple[Change, Schedule]:
    """Change a schedule. What waits will start as it is now; a new expression or zone counts from now on.

    Raises InvalidCron, InvalidTimezone.
    """
    wanted = _columns({name: value for name, value in asdict(patch).items() if value is not None})
    if not wanted:
        return Change(), schedule
    made = Change()
    pen = SchedulePen(made, schedule, waiting, now)
    pen.set(error=None, **wanted)
    pen.set(**{name: None for name in TIMES_OF_RUNS if wanted.get(name) == 0})
    if "cron_expr" in wanted or "timezone" in wanted:
        expression = wanted.get("cron_expr", schedule.cron_expr)
        next_run_at = _next(cron(expression, wanted.get("timezone", schedule.timezone)), expression, now)
        if not schedule.paused:
            pen.set(next_run_at=next_run_at)
    if pen.waiting:
        pen.look_again()
    return made, pen.done()


def pause(schedule: Schedule, waiting: Sequence[Tick], reason: str | None, now: float) -> tuple[Change, Schedule]:
    """Stop a schedule: no tick of its expression starts anything, nor do those that wait. What people ask for does."""
    if schedule.paused and reason in (None, schedule.pause_reason):
        return Change(), schedule
    made = Change()
    pen = SchedulePen(made, schedule, waiting, now)
    pen.set(paused=True, pause_reason=reason, next_run_at=None)
    for tick in waiting:
        if tick.origin == Origin.CRON:
            pen.skip(tick, PAUSED)
    if pen.waiting:
        pen.look_again()
    return made, pen.done()


def resume(
    schedule: Schedule, waiting: Sequence[Tick], cron: Callable[[Schedule], Cron], now: float
) -> tuple[Change, Schedule]:
    """Let a schedule go on, from its next tick: nothing is made up for. Raises ScheduleUnreadable."""
    if not schedule.paused:
        return Change(), schedule
    made = Change()
    pen = SchedulePen(made, schedule, waiting, now)
    next_run_at = cron(schedule).after(now)
    pen.set(paused=False, pause_reason=None, error=None, next_run_at=next_run_at)
    if pen.waiting:
        pen.look_again()
    return made, pen.done()


def trigger(
    schedule: Schedule, waiting: Sequence[Tick], policy: str | None, asked_at: float, around: Surroundings, now: float
) -> tuple[Change, Tick]:
    """Let a tick come now, paused or not, under a policy of its own or the schedule's. Gives what became of it."""
    made = Change()
    pen = SchedulePen(made, schedule, waiting, now)
    at_ms = max(int(asked_at * 1000), round((schedule.last_trigger_at or 0.0) * 1000) + 1)
    if at_ms % 1000 == 0:  # a whole second is the expression's
        at_ms += 1
    tick = at_ms / 1000
    pen.wait(tick, Origin.TRIGGER, policy)
    pen.set(last_trigger_at=tick)
    _settle(pen, around)
    pen.done()
    return made, pen.written(tick)


def backfill(
    schedule: Schedule, waiting: Sequence[Tick], ticks: Sequence[float], known: Callable[[float], Tick | None],
    policy: str, now: float,
) -> Change:  # fmt: skip
    """Let ticks of the past wait, those that have started no run and do not wait; as many as the buffer has room for.

    Answers how many: ticks, queued, known, left.
    """
    made = Change()
    pen = SchedulePen(made, schedule, waiting, now)
    done = left = 0
    for tick in ticks:
        before = known(tick)
        if before is not None and before.state != TickState.SKIPPED:
            done += 1
        elif len(pen.waiting) < overlap.BUFFER_AT_MOST:
            pen.wait(tick, Origin.BACKFILL, policy)
        else:
            left += 1
    pen.look_again()
    pen.done()
    made.answer = {"ticks": len(ticks), "queued": len(ticks) - done - left, "known": done, "left": left}
    return made


def ticks_between(cron: Cron, start: float, end: float) -> list[float]:
    """Give the ticks from one moment to another, both included. Raises Invalid where there are too many at once."""
    found: list[float] = []
    tick = cron.after(math.nextafter(start, -math.inf))
    while tick is not None and tick <= end:
        found.append(tick)
        if len(found) > BACKFILL_AT_MOST:
            raise Invalid(
                f"more than {BACKFILL_AT_MOST} ticks lie between start and end: backfill them in parts",
                code="too_many_items",
            )
        tick = cron.after(tick)
    return found


# ------------------------------------------------------------------------------------------ by the clock


def fire(
    schedule: Schedule, waiting: Sequence[Tick], cron: Callable[[Schedule], Cron],
    known: Callable[[float], Tick | None], around: Surroundings, now: float,
) -> Change:  # fmt: skip
    """Take the tick that is due, if one is, and start what can start. Answers whether there was anything to look at.

    Raises ScheduleUnreadable.
    """
    due = schedule.due_at is not None and schedule.due_at <= now
    ahead = schedule.updated_at > now + AHEAD_SECS
    if not due and not ahead and not schedule.buffered:
        return Change(answer=False)
    made = Change(answer=True)
    pen = SchedulePen(made, schedule, waiting, now)
    pen.set(error=None)
    if schedule.next_run_at is not None and schedule.next_run_at <= now:
        if due:
            _take_tick(pen, schedule.next_run_at, cron(schedule), known)
    elif schedule.next_run_at is not None and ahead:  # the clock was set back: what has come already is known
        pen.set(next_run_at=cron(schedule).after(now))
    _settle(pen, around)
    pen.done()
    return made


def postpone(schedule: Schedule, waiting: Sequence[Tick], message: str, now: float) -> Change:
    """Note why a schedule could not be worked on, and look at it again later: it must not stop the others."""
    made = Change(answer=True)
    before = loads(schedule.error) if schedule.error is not None else {"count": 0}
    count = before["count"] + 1
    pause = min(FIRST_PAUSE_SECS * 2.0 ** min(count - 1, 30), LONGEST_PAUSE_SECS)
    pen = SchedulePen(made, schedule, waiting, now)
    pen.set(error=dumps({"message": message, "count": count, "at": now}))
    pen.put_off(now + pause)
    pen.done()
    return made


def _take_tick(pen: SchedulePen, first: float, cron: Cron, known: Callable[[float], Tick | None]) -> None:
    """Let the newest tick wait that has come since `first`; those before it, and one that is too late, are missed."""
    now, tick, missed = pen.now, first, 0
    following = cron.after(first)
    if following is not None and following <= now:
        tick = cron.latest(first, now) or first
        missed = cron.count(first, now, _MISSED_AT_MOST)
        following = cron.after(now)
    if tick + pen.schedule.catchup_window_secs < now:
        missed += 1
    elif known(tick) is None:
        pen.wait(tick, Origin.CRON, None)
    pen.add("ticks_missed", missed)
    pen.set(next_run_at=following)


# ------------------------------------------------------------------------------------------ what starts


def workflow_id(name: str, tick: float) -> str:
    """Name the run of a tick: by its second, or by its millisecond where it is no whole one: somebody asked for it."""
    return f"{name}-{tick:.0f}" if tick.is_integer() else f"{name}-{tick * 1000:.0f}"


def _settle(pen: SchedulePen, around: Surroundings) -> None:
    """Start, skip or keep what waits; end what is open for a tick that takes its place."""
    planned = overlap.plan([(tick, pen.policy(tick)) for tick in pen.waiting], lambda: bool(around.open_runs()))
    for tick, reason in planned.skips:
        pen.skip(tick, reason)
    starts = planned.starts
    if planned.replaces is not None and _made_room(pen, planned.replaces, around):
        starts = [planned.replaces, *starts]
    _start(pen, starts[:AT_ONCE], around)
    if len(starts) > AT_ONCE:
        pen.look_again()


def _made_room(pen: SchedulePen, tick: Tick, around: Surroundings) -> bool:
    """End the open runs, or ask them to end. Gives whether none is open any more."""
    found = around.open_runs()
    terminates = overlap.meaning(pen.policy(tick)) == overlap.TERMINATE_OTHER
    why = f"schedule {pen.schedule.name} starts its next run in place of this one"
    asked = still_open = 0
    for run, task in around.runs(found[:AT_ONCE]):
        if terminates:
            workflows.end_now(pen.change, run, task, why, None, pen.now)
        elif run.cancel_requested_at is None:
            asked += 1
            ended = workflows.ask_to_end(pen.change, run, task, why, pen.now, around.cancel_grace_secs)
            still_open += not ended.closed
        else:
            still_open += 1
    if len(found) <= AT_ONCE:
        return not still_open
    if terminates or asked:
        pen.look_again()
    return False


def _start(pen: SchedulePen, ticks: Sequence[Tick], around: Surroundings) -> None:
    """Start the runs of ticks. An id names one tick: where a run has it already, the tick is skipped."""
    ids = [workflow_id(pen.schedule.name, tick.tick) for tick in ticks]
    for tick, name, newest in zip(ticks, ids, around.newest(ids), strict=True):
        if newest is not None:
            pen.skip(tick, ID_TAKEN)
            pen.look_again()  # what was to wait for it need not
            continue
        run = workflows.begin(
            pen.change, _request(pen.schedule, tick), name, around.new_key(), None, None, pen.now,
            schedule_key=pen.schedule.schedule_key, schedule_tick=tick.tick,
        )  # fmt: skip
        run.notice("schedule_triggered", schedule=pen.schedule.name, tick=tick.tick, origin=tick.origin)
        pen.start(tick, run.done())


def _request(schedule: Schedule, tick: Tick) -> StartRun:
    attributes = loads(schedule.search_attributes) if schedule.search_attributes is not None else {}
    at = datetime.fromtimestamp(tick.tick, UTC)
    return StartRun(
        workflow_type=schedule.workflow_type, namespace=schedule.namespace, task_queue=schedule.task_queue,
        input=schedule.input, run_timeout_secs=schedule.run_timeout_secs,
        execution_timeout_secs=schedule.execution_timeout_secs,
        search_attributes={**attributes, "ScheduledBy": schedule.name, "ScheduledTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"},
    )  # fmt: skip


def _columns(wanted: dict[str, Any]) -> dict[str, Any]:
    if "search_attributes" in wanted:
        attributes = wanted["search_attributes"]
        wanted["search_attributes"] = dumps(dict(attributes)) if attributes else None
    return wanted


def _next(cron: Cron, expression: str, now: float) -> float:
    next_run_at = cron.after(now)
    if next_run_at is None:
        raise InvalidCron(f"{expression!r} never fires again: all its times have passed")
    return next_run_at
