"""What is read of schedules for people and the sidecar, outside of units."""

from __future__ import annotations

from typing import NamedTuple

from ..domain.model import Schedule
from .connection import Connection
from .mapping import SCHEDULES

_LOOKED_AT = "s.schedule_key, s.namespace, s.name, s.next_run_at, s.overlap_policy <> 'allow_all' OR s.buffered > 0"
_DUE = f"SELECT {_LOOKED_AT} FROM workflow_schedules s WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at LIMIT ?"
_FREED = (  # one that failed is looked at when its pause is over, and not before
    f"SELECT {_LOOKED_AT} FROM workflow_schedules s "
    "WHERE s.buffered > 0 AND s.error IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM workflows w WHERE w.schedule_key = s.schedule_key AND w.schedule_key IS NOT NULL "
    "AND w.status IN ('PENDING', 'RUNNING')) ORDER BY s.schedule_key LIMIT ?"
)


_AHEAD = f"SELECT {_LOOKED_AT} FROM workflow_schedules s WHERE s.next_run_at IS NOT NULL AND s.updated_at > ? LIMIT ?"


class DueSchedule(NamedTuple):
    """A schedule to look at."""

    schedule_key: int
    namespace: str
    name: str
    next_run_at: float | None
    overlaps: bool  # whether it matters which runs are open


def due(db: Connection, now: float, limit: int) -> list[DueSchedule]:
    """Give schedules to look at: a tick is due, or what waits has no open run to wait for."""
    found = [DueSchedule(*row) for row in db.rows(_DUE, (now, limit))]
    if len(found) < limit:
        known = {schedule.schedule_key for schedule in found}
        freed = [DueSchedule(*row) for row in db.rows(_FREED, (limit - len(found),))]
        found += [schedule for schedule in freed if schedule.schedule_key not in known]
    return found


def written_after(db: Connection, moment: float, limit: int) -> list[DueSchedule]:
    """Give schedules that were written later than a moment that is yet to come: the clock was set back since."""
    return [DueSchedule(*row) for row in db.rows(_AHEAD, (moment, limit))]


def schedule(db: Connection, namespace: str, name: str) -> Schedule | None:
    """Give a schedule."""
    sql = f"SELECT {SCHEDULES.listed} FROM workflow_schedules WHERE namespace = ? AND name = ?"
    row = db.one(sql, (namespace, name))
    return None if row is None else Schedule._make(row)


def listed(db: Connection, namespace: str, limit: int, offset: int) -> list[Schedule]:
    """Give the schedules of a namespace by name."""
    sql = f"SELECT {SCHEDULES.listed} FROM workflow_schedules WHERE namespace = ? ORDER BY name LIMIT ? OFFSET ?"
    return [Schedule._make(row) for row in db.rows(sql, (namespace, limit, offset))]


def keys_in(db: Connection, namespace: str, limit: int) -> list[int]:
    """Give keys of schedules of a namespace."""
    sql = "SELECT schedule_key FROM workflow_schedules WHERE namespace = ? ORDER BY schedule_key LIMIT ?"
    return [schedule_key for (schedule_key,) in db.rows(sql, (namespace, limit))]
