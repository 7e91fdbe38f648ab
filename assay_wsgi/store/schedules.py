"""The schedules of one unit of work: found and locked before any run, then loaded with the ticks that wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

from ..domain.change import Change
from ..domain.model import Schedule
from ..domain.model import Tick
from ..domain.model import TickState
from .connection import Connection
from .mapping import SCHEDULES
from .mapping import TICKS
from .needs import Held
from .needs import Missing
from .needs import Needs

if TYPE_CHECKING:
    from .rows import Rows

_OPEN_RUNS = (  # those that were not asked to end come first
    "SELECT w.schedule_key, w.run_key FROM {records} JOIN workflows w ON w.schedule_key = x.schedule_key "
    "AND w.schedule_key IS NOT NULL AND w.status IN ('PENDING', 'RUNNING') "
    "ORDER BY w.cancel_requested_at IS NOT NULL, w.run_key"
)


_RANGE = (("schedule_key", "bigint"), ("first", "double precision"), ("last", "double precision"))


class ScheduleRows:
    """The schedules and ticks of one unit, as loaded, then as its operations left them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.keys: dict[tuple[str, str], int | None] = {}
        self.wanted: set[int] = set()  # what the unit tried to lock
        self.there: set[int] = set()  # of these, what there is
        self.by_key: dict[int, Schedule] = {}
        self.ticks: dict[int, dict[float, Tick]] = {}  # by schedule_key
        self.ranges: set[tuple[int, float, float]] = set()  # (schedule_key, first, last): all ticks between are loaded
        self.open_runs_of: dict[int, list[int]] = {}
        self.counts: dict[str, int] = {}
        self.loaded: set[tuple[int, float]] = set()
        self._new: set[int] = set()
        self._changed: set[int] = set()
        self._gone: set[int] = set()
        self._changed_ticks: set[tuple[int, float]] = set()

    # ------------------------------------------------------------------------------ what decisions ask

    def get(self, schedule_key: int) -> Schedule | None:
        """Give a schedule by key, or None where there is none. Raises Held, Missing."""
        found = self.by_key.get(schedule_key)
        if found is not None or schedule_key in self._gone:
            return found
        if schedule_key not in self.wanted:
            raise Missing(Needs(schedule_keys={schedule_key}))
        if schedule_key in self.there:
            raise Held
        return None

    def named(self, namespace: str, name: str) -> Schedule | None:
        """Give a schedule by name, or None where there is none. Raises Held, Missing."""
        if (namespace, name) not in self.keys:
            raise Missing(Needs(schedules={(namespace, name)}))
        key = self.keys[namespace, name]
        return None if key is None else self.get(key)

    def waiting(self, schedule_key: int) -> list[Tick]:
        """Give the ticks of a schedule that wait, in the order in which they came."""
        found = [tick for tick in self.ticks.get(schedule_key, {}).values() if tick.state == TickState.BUFFERED]
        return sorted(found, key=lambda tick: (tick.queued_at, tick.tick))

    def tick(self, schedule_key: int, tick: float) -> Tick | None:
        """Give a tick, or None. Raises Missing."""
        found = self.ticks.get(schedule_key, {}).get(tick)
        if found is None and not self.knows(schedule_key, tick, tick):
            raise Missing(Needs(ticks={(schedule_key, tick, tick)}))
        return found

    def knows(self, schedule_key: int, first: float, last: float) -> bool:
        """Say whether all ticks between two moments are loaded; of a schedule that this unit made there are none."""
        known = any(key == schedule_key and a <= first and last <= b for key, a, b in self.ranges)
        return known or schedule_key in self._new

    def open_runs(self, schedule_key: int) -> list[int]:
        """Give the keys of a schedule's open runs, those that were not asked to end first. Raises Missing."""
        if schedule_key not in self.open_runs_of and schedule_key not in self._new:
            raise Missing(Needs(open_runs_of={schedule_key}))
        runs = self._rows.runs
        loaded = [key for key in self.open_runs_of.get(schedule_key, ()) if key not in runs or not runs[key].closed]
        new = [key for key in sorted(self._rows.new_runs) if key in runs and runs[key].schedule_key == schedule_key]
        return loaded + [key for key in new if not runs[key].closed]

    def count(self, namespace: str) -> int:
        """Count the schedules of a namespace. Raises Missing."""
        if namespace not in self.counts:
            raise Missing(Needs(schedule_counts={namespace}))
        return self.counts[namespace] + sum(self.by_key[key].namespace == namespace for key in self._new)

    def new_in(self, namespace: str) -> bool:
        """Say whether this unit has made a schedule in a namespace."""
        return any(self.by_key[key].namespace == namespace for key in self._new)

    # ------------------------------------------------------------------------------ taking a Change

    def take(self, change: Change) -> None:
        """Take a Change whole."""
        for schedule in change.new_schedules:
            self.by_key[schedule.schedule_key] = schedule
            self.keys[schedule.namespace, schedule.name] = schedule.schedule_key
            self._new.add(schedule.schedule_key)
        for schedule in change.schedules:
            self.by_key[schedule.schedule_key] = schedule
            if schedule.schedule_key not in self._new:
                self._changed.add(schedule.schedule_key)
        for tick in change.ticks:
            self.put_tick(tick)
            self._changed_ticks.add((tick.schedule_key, tick.tick))
        for schedule_key in change.dropped_schedules:
            self._drop(schedule_key)

    def put_tick(self, tick: Tick) -> None:
        """Put a tick as it was loaded, or as it was left."""
        self.ticks.setdefault(tick.schedule_key, {})[tick.tick] = tick

    def _drop(self, schedule_key: int) -> None:
        """Forget a schedule with what waits of it."""
        gone = self.by_key.pop(schedule_key)
        self.keys[gone.namespace, gone.name] = None
        self._changed.discard(schedule_key)
        self._new.discard(schedule_key)
        self._gone.add(schedule_key)
        for tick in self.waiting(schedule_key):
            self._changed_ticks.discard((schedule_key, tick.tick))
            del self.ticks[schedule_key][tick.tick]

    # ------------------------------------------------------------------------------ what is written

    def written(self) -> tuple[list[Schedule], list[Schedule], list[int]]:
        """Give the new schedules by name, the changed ones by key, and the keys of those that are gone."""
        new = sorted((self.by_key[key] for key in self._new), key=lambda one: (one.namespace, one.name))
        return new, [self.by_key[key] for key in sorted(self._changed)], sorted(self._gone)

    def written_ticks(self) -> tuple[list[Tick], list[Tick]]:
        """Give the new ticks, and the changed ones."""
        keys = sorted(self._changed_ticks)
        new = [self.ticks[key][tick] for key, tick in keys if (key, tick) not in self.loaded]
        return new, [self.ticks[key][tick] for key, tick in keys if (key, tick) in self.loaded]

    def deadlines(self) -> list[float | None]:
        """Give when the schedules that this unit wrote are to be looked at."""
        return [self.by_key[key].due_at for key in self._new | self._changed]


def find_and_lock_schedules(db: Connection, needs: Needs, rows: ScheduleRows, *, wait: bool) -> None:
    """Turn names into keys, and lock the schedules by key, ascending."""
    wanted = set(needs.schedule_keys)
    if needs.schedules:
        wanted.update(_find(db, needs.schedules, rows))
    rows.wanted.update(wanted)
    if not wanted:
        return
    parameter = (db.dialect.list_of(sorted(wanted)),)
    statement = db.dialect.lock_schedules(wait=wait)
    if statement is not None:
        parameter = (db.dialect.list_of([key for (key,) in db.rows(statement, parameter)]),)
    sql = f"SELECT {SCHEDULES.listed} FROM workflow_schedules WHERE {db.dialect.in_list('schedule_key')}"
    for row in db.rows(sql, parameter):
        schedule = Schedule._make(row)
        rows.by_key[schedule.schedule_key] = schedule
    rest = wanted - rows.by_key.keys()
    if rest:  # held, or not there at all
        sql = f"SELECT schedule_key FROM workflow_schedules WHERE {db.dialect.in_list('schedule_key')}"
        rows.there.update(key for (key,) in db.rows(sql, (db.dialect.list_of(sorted(rest)),)))


def _find(db: Connection, names: Iterable[tuple[str, str]], rows: ScheduleRows) -> list[int]:
    source = db.dialect.records((("namespace", "text"), ("name", "text")))
    sql = (
        f"SELECT s.namespace, s.name, s.schedule_key FROM {source} JOIN workflow_schedules s "
        "ON s.namespace = x.namespace AND s.name = x.name"
    )
    rows.keys.update(dict.fromkeys(names))
    found = db.rows(sql, (db.dialect.records_of(("namespace", "name"), sorted(names)),))
    for namespace, name, schedule_key in found:
        rows.keys[namespace, name] = schedule_key
    return [schedule_key for _, _, schedule_key in found]


def load_schedules(db: Connection, needs: Needs, rows: ScheduleRows) -> None:
    """Load what hangs below the locked schedules: the ticks that wait, those that were named, the open runs."""
    buffering = sorted(key for key, schedule in rows.by_key.items() if schedule.buffered)
    if buffering:
        of_these = db.dialect.in_list("schedule_key")
        sql = f"SELECT {TICKS.listed} FROM schedule_runs WHERE {of_these} AND state = 'buffered'"
        _put_ticks(db.rows(sql, (db.dialect.list_of(buffering),)), rows)
    if needs.ticks:
        source = db.dialect.records(_RANGE)
        sql = (
            f"SELECT {TICKS.prefixed('r')} FROM {source} JOIN schedule_runs r ON r.schedule_key = x.schedule_key "
            "AND r.tick BETWEEN x.first AND x.last"
        )
        _put_ticks(db.rows(sql, (db.dialect.records_of([name for name, _ in _RANGE], sorted(needs.ticks)),)), rows)
        rows.ranges.update(needs.ticks)
    if needs.open_runs_of:
        rows.open_runs_of.update({key: [] for key in needs.open_runs_of})
        keys = db.dialect.records_of(("schedule_key",), [(key,) for key in sorted(needs.open_runs_of)])
        source = db.dialect.records((("schedule_key", "bigint"),))
        for schedule_key, run_key in db.rows(_OPEN_RUNS.format(records=source), (keys,)):
            rows.open_runs_of[schedule_key].append(run_key)
    for namespace in needs.schedule_counts:
        (rows.counts[namespace],) = db.one("SELECT COUNT(*) FROM workflow_schedules WHERE namespace = ?", (namespace,))


def _put_ticks(found: Iterable[Any], rows: ScheduleRows) -> None:
    for row in found:
        tick = Tick._make(row)
        rows.put_tick(tick)
        rows.loaded.add((tick.schedule_key, tick.tick))
