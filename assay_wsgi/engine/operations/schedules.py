"""Operations on schedules: of those who keep them, and of the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from functools import partial
from typing import Any

from ...domain import cron
from ...domain import schedules
from ...domain import workflows
from ...domain.change import Change
from ...domain.cron import Cron
from ...domain.errors import Invalid
from ...domain.errors import NotFound
from ...domain.errors import ScheduleUnreadable
from ...domain.model import Schedule
from ...domain.model import Tick
from ...domain.requests import Backfill
from ...domain.requests import NewSchedule
from ...domain.requests import SchedulePatch
from ...store.needs import Missing
from ...store.needs import Needs
from ...store.rows import Rows
from ...store.schedule_reads import DueSchedule
from ..records import schedule_record
from .operation import Operation

NEXT_SHOWN = 3  # times
_KNOWN_EXPRESSIONS = 4096

read_cron: Callable[[str, str], Cron] = lru_cache(maxsize=_KNOWN_EXPRESSIONS)(cron.parse)


def ticks_of(schedule: Schedule) -> Cron:
    """Give the ticks of a schedule. Raises ScheduleUnreadable."""
    try:
        return read_cron(schedule.cron_expr, schedule.timezone)
    except Invalid as error:
        raise ScheduleUnreadable(f"schedule {schedule.name} cannot be read on this host: {error}") from error


def upcoming(schedule: Schedule, now: float) -> list[float]:
    """Give the next times of a schedule, were it not paused; none where this host cannot read it."""
    try:
        return ticks_of(schedule).upcoming(now, NEXT_SHOWN)
    except ScheduleUnreadable:
        return []


def _surroundings(rows: Rows, schedule: Schedule, grace_secs: float) -> schedules.Surroundings:
    return schedules.Surroundings(
        open_runs=partial(rows.schedules.open_runs, schedule.schedule_key),
        runs=rows.all_runs,
        newest=partial(rows.newest_of_each, schedule.namespace),
        new_key=rows.new_key,
        cancel_grace_secs=grace_secs,
    )


@dataclass(frozen=True)
class CreateSchedule(Operation):
    """Make a schedule."""

    wanted: NewSchedule
    weight = 2

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.wanted.namespace, self.wanted.name

    def needs(self, needs: Needs) -> None:
        needs.schedules.add((self.wanted.namespace, self.wanted.name))
        needs.schedule_counts.add(self.wanted.namespace)

    def decide(self, rows: Rows, now: float) -> Change:
        wanted = self.wanted
        there = rows.schedules.named(wanted.namespace, wanted.name)
        count = rows.schedules.count(wanted.namespace)
        ticks = read_cron(wanted.cron_expr, wanted.timezone)
        change, made = schedules.create(wanted, rows.new_key(), there, count, ticks, now)
        change.answer = schedule_record(made, upcoming(made, now))
        return change


@dataclass(frozen=True)
class OnSchedule(Operation):
    """An operation on a schedule that is named."""

    namespace: str
    name: str
    weight = 2

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.namespace, self.name

    def needs(self, needs: Needs) -> None:
        needs.schedules.add((self.namespace, self.name))

    def schedule(self, rows: Rows) -> Schedule:
        """Give the schedule. Raises NotFound."""
        found = rows.schedules.named(self.namespace, self.name)
        if found is None:
            raise NotFound(f"not found: schedule {self.name}")
        return found


@dataclass(frozen=True)
class ChangeSchedule(OnSchedule):
    """Change a schedule."""

    patch: SchedulePatch

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = self.schedule(rows)
        waiting = rows.schedules.waiting(schedule.schedule_key)
        return _shown(now, *schedules.change(schedule, self.patch, waiting, read_cron, now))


@dataclass(frozen=True)
class PauseSchedule(OnSchedule):
    """Pause a schedule."""

    reason: str | None
    weight = 50  # what waits is skipped

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = self.schedule(rows)
        waiting = rows.schedules.waiting(schedule.schedule_key)
        return _shown(now, *schedules.pause(schedule, waiting, self.reason, now))


@dataclass(frozen=True)
class ResumeSchedule(OnSchedule):
    """Let a schedule go on."""

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = self.schedule(rows)
        waiting = rows.schedules.waiting(schedule.schedule_key)
        return _shown(now, *schedules.resume(schedule, waiting, ticks_of, now))


def _shown(now: float, change: Change, schedule: Schedule) -> Change:
    change.answer = schedule_record(schedule, upcoming(schedule, now))
    return change


@dataclass(frozen=True)
class RemoveSchedule(OnSchedule):
    """Remove a schedule that is named; its runs go on."""

    def decide(self, rows: Rows, now: float) -> Change:
        return Change(answer={"ok": True}, dropped_schedules=[self.schedule(rows).schedule_key])


@dataclass(frozen=True)
class DropSchedule(Operation):
    """Remove a schedule by its key. Answers whether it was there."""

    schedule_key: int
    weight = 2

    def needs(self, needs: Needs) -> None:
        needs.schedule_keys.add(self.schedule_key)

    def decide(self, rows: Rows, now: float) -> Change:
        if rows.schedules.get(self.schedule_key) is None:
            return Change(answer=False)
        return Change(answer=True, dropped_schedules=[self.schedule_key])


@dataclass(frozen=True)
class TriggerSchedule(OnSchedule):
    """Let a tick come now."""

    overlap_policy: str | None
    asked_at: float  # by the store's clock: were it read in each round, so would another id be looked for
    grace_secs: float = workflows.CANCEL_GRACE_SECS
    weight = schedules.AT_ONCE + 5

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = self.schedule(rows)
        around = _surroundings(rows, schedule, self.grace_secs)
        waiting = rows.schedules.waiting(schedule.schedule_key)
        change, tick = schedules.trigger(schedule, waiting, self.overlap_policy, self.asked_at, around, now)
        change.answer = _told(schedule, tick, change)
        return change


def _told(schedule: Schedule, tick: Tick, change: Change) -> dict[str, Any]:
    run_id = next((run.run_id for run in change.new_runs if run.run_key == tick.run_key), None)
    return {
        "schedule": schedule.name,
        "tick": tick.tick,
        "outcome": tick.state,
        "reason": tick.reason,
        "workflow_id": schedules.workflow_id(schedule.name, tick.tick),
        "run_id": run_id,
    }


@dataclass(frozen=True)
class BackfillSchedule(OnSchedule):
    """Let ticks of the past wait."""

    asked: Backfill
    weight = schedules.BACKFILL_AT_MOST

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = self.schedule(rows)
        start, end = self.asked.start, now if self.asked.end is None else min(self.asked.end, now)
        if start > now:
            raise Invalid("start must not be in the future: those ticks come by themselves", code="out_of_range")
        ticks = schedules.ticks_between(ticks_of(schedule), start, end)
        key = schedule.schedule_key
        if ticks and not rows.schedules.knows(key, ticks[0], ticks[-1]):
            raise Missing(Needs(ticks={(key, ticks[0], ticks[-1])}))
        known, waiting = partial(rows.schedules.tick, key), rows.schedules.waiting(key)
        return schedules.backfill(schedule, waiting, ticks, known, self.asked.overlap_policy, now)


@dataclass(frozen=True)
class FireSchedule(Operation):
    """Take the tick of a schedule that is due, and start what waits and can start. Answers whether there was work."""

    schedule_key: int
    expected: tuple[str, str, float] | None = None  # namespace, name and next tick, as whoever looked has seen them
    overlaps: bool = True  # likewise, whether it matters which runs are open
    grace_secs: float = workflows.CANCEL_GRACE_SECS
    weight = schedules.AT_ONCE + 5

    @classmethod
    def of(cls, due: DueSchedule, grace_secs: float) -> FireSchedule:
        """Fire a schedule that was found due."""
        expected = None if due.next_run_at is None else (due.namespace, due.name, due.next_run_at)
        return cls(due.schedule_key, expected, bool(due.overlaps), grace_secs)

    def needs(self, needs: Needs) -> None:
        needs.schedule_keys.add(self.schedule_key)
        if self.overlaps:
            needs.open_runs_of.add(self.schedule_key)
        if self.expected is not None:
            namespace, name, tick = self.expected
            needs.ticks.add((self.schedule_key, tick, tick))
            needs.names.add((namespace, schedules.workflow_id(name, tick)))

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = rows.schedules.get(self.schedule_key)
        if schedule is None:
            return Change(answer=False)
        around = _surroundings(rows, schedule, self.grace_secs)
        known, waiting = partial(rows.schedules.tick, self.schedule_key), rows.schedules.waiting(self.schedule_key)
        return schedules.fire(schedule, waiting, ticks_of, known, around, now)


@dataclass(frozen=True)
class PostponeSchedule(Operation):
    """Look at a schedule later, since it could not be worked on. Answers whether it was there."""

    schedule_key: int
    message: str
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.schedule_keys.add(self.schedule_key)

    def decide(self, rows: Rows, now: float) -> Change:
        schedule = rows.schedules.get(self.schedule_key)
        if schedule is None:
            return Change(answer=False)
        return schedules.postpone(schedule, rows.schedules.waiting(self.schedule_key), self.message, now)
