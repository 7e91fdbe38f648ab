"""Hand out ready work, in the same unit as the writes that made it ready.

One query for all takers that ask alike. It locks run and task (run and activity) together and passes
over what is held: so a claim never waits, never deadlocks with an operation that locks run before task,
and never hands out a half-changed run. Claims are ordered by columns that only the claim index serves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

from ..domain.activities import deadline
from ..domain.model import Activity
from ..domain.model import Notice
from ..domain.model import Task
from ..domain.tokens import activity_token
from ..domain.tokens import hashed
from ..domain.tokens import workflow_token
from ..jsontext import dumps
from .connection import Connection
from .mapping import ACTIVITIES
from .mapping import TASKS

_FLOOR_KEPT_SECS = 1.0
_NO_FLOOR = (-(2**31), -1.0)
_RUN_COLUMNS = (
    "w.workflow_id, w.run_id, w.status, w.input, w.last_seq, w.cancel_requested_at, w.created_at, w.feed_mark, "
    "w.schedule_tick"
)


class ClaimedRun(NamedTuple):
    """A leased workflow task with what a worker needs of its run."""

    token: str
    task: Task
    workflow_id: str
    run_id: str
    input: str | None
    cancel_requested: bool
    created_at: float
    schedule_tick: float | None


class ClaimedActivity(NamedTuple):
    """A leased attempt of an activity."""

    token: str
    activity: Activity
    workflow_id: str
    run_id: str


@dataclass(slots=True)
class Taker:
    """Who asks for work, and how much. What it got is put in here by the unit."""

    namespace: str
    queue: str
    worker_id: str
    session: str | None  # None: a worker of the old way, which has none to check
    exchange: int | None
    workflow_slots: int
    activity_slots: int
    workflow_types: tuple[str, ...] | None  # None = any
    activity_names: tuple[str, ...] | None
    lease_secs: float
    workflows: list[ClaimedRun] = field(default_factory=list)
    activities: list[ClaimedActivity] = field(default_factory=list)
    replaced: bool = False  # another session of this worker has begun
    held: bool = False  # the worker's row is being changed: ask again

    def reset(self) -> None:
        """Forget what a unit that was rolled back gave."""
        self.workflows, self.activities, self.replaced, self.held = [], [], False, False


FloorKey = tuple[str, str, str, tuple[str, ...] | None]  # kind, namespace, queue, names asked for


class Floors:
    """Where the claims of this process left off, by queue, for a second at most.

    Under an old snapshot the dead index entries of work that is done stay: without a floor each claim
    would walk over all of them.
    """

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept  # SQLite's claims find no dead entries
        self._floors: dict[FloorKey, tuple[int, float]] = {}
        self._dropped = 0.0

    def get(self, key: FloorKey, now: float) -> tuple[int, float]:
        """Give (priority, ready_at) below which nothing is expected; one from before the clock was set back is none."""
        if time.monotonic() - self._dropped > _FLOOR_KEPT_SECS:
            self._floors.clear()
            self._dropped = time.monotonic()
        floor = self._floors.get(key, _NO_FLOOR)
        return floor if floor[1] <= now else _NO_FLOOR

    def raise_to(self, key: FloorKey, priority: int, ready_at: float) -> None:
        """Note the first row that a claim found: all before it is gone."""
        if self._kept:
            self._floors[key] = (priority, ready_at)


def claim(db: Connection, takers: Sequence[Taker], floors: Floors, mark: int, now: float) -> list[Notice]:
    """Lease ready work to takers. Returns the notices of first claims."""
    notices: list[Notice] = []
    takers = _current(db, takers)
    for alike in _alike(takers, "workflow"):
        _claim_runs(db, alike, floors, mark, now, notices)
    for alike in _alike(takers, "activity"):
        _claim_activities(db, alike, floors, now)
    return notices


def _current(db: Connection, takers: Sequence[Taker]) -> list[Taker]:
    """Leave out takers whose session is not their worker's present one, and keep it so until the commit."""
    checked = {(taker.namespace, taker.worker_id) for taker in takers if taker.session is not None}
    if not checked:
        return list(takers)
    source = db.dialect.records((("namespace", "text"), ("worker_id", "text")))
    sql = (
        "SELECT w.namespace, w.worker_id, w.session FROM workflow_workers w WHERE (w.namespace, w.worker_id) IN "
        f"(SELECT x.namespace, x.worker_id FROM {source}) {db.dialect.share_lock()}"
    )
    parameter = db.dialect.records_of(("namespace", "worker_id"), sorted(checked))
    sessions = {(namespace, worker): session for namespace, worker, session in db.rows(sql, (parameter,))}
    current = []
    for taker in takers:
        key = (taker.namespace, taker.worker_id)
        if taker.session is None or sessions.get(key) == taker.session:
            current.append(taker)
        elif key in sessions:
            taker.replaced = True
        else:
            taker.held = True
    return current


def _alike(takers: Iterable[Taker], kind: str) -> Iterator[list[Taker]]:
    """Group the takers that one query can serve."""
    groups: dict[tuple[object, ...], list[Taker]] = {}
    for taker in takers:
        slots = taker.workflow_slots if kind == "workflow" else taker.activity_slots
        names = taker.workflow_types if kind == "workflow" else taker.activity_names
        if slots > 0 and names != ():
            groups.setdefault((taker.namespace, taker.queue, names), []).append(taker)
    yield from groups.values()


def _deal(takers: Sequence[Taker], slots: Sequence[int], count: int) -> Iterator[Taker]:
    """Deal `count` tasks in turn, so that the first asker does not take all."""
    left = list(slots)
    while count:
        for place, taker in enumerate(takers):
            if left[place] and count:
                left[place] -= 1
                count -= 1
                yield taker


def _claim_runs(
    db: Connection, takers: Sequence[Taker], floors: Floors, mark: int, now: float, notices: list[Notice]
) -> None:
    first = takers[0]
    types = first.workflow_types
    filtered = f" AND {db.dialect.in_list('t.workflow_type')}" if types is not None else ""
    key = ("workflow", first.namespace, first.queue, types)
    slots = [taker.workflow_slots for taker in takers]
    found = db.rows(
        f"SELECT {TASKS.prefixed('t')}, {_RUN_COLUMNS} FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key "
        "WHERE t.namespace = ? AND t.task_queue = ? AND t.token IS NULL AND NOT t.paused AND t.ready_at <= ? "
        f"AND (t.priority, t.ready_at) >= (?, ?){filtered} ORDER BY t.priority, t.ready_at LIMIT ? "
        + db.dialect.claim_lock("t, w"),
        (
            first.namespace, first.queue, now, *floors.get(key, now),
            *([db.dialect.list_of(types)] if types is not None else []), sum(slots),
        ),
    )  # fmt: skip
    if not found:
        return
    width = len(TASKS.names)
    floors.raise_to(key, found[0][4], found[0][5])
    leased, begun = [], []
    for row, taker in zip(found, _deal(takers, slots, len(found)), strict=True):
        workflow_id, run_id, status, payload, last_seq, cancel_at, created_at, feed_mark, tick = row[width:]
        token = workflow_token(row[0], secrets.token_hex(16))
        task = Task._make(row[:width])._replace(
            token=hashed(token), owner=taker.worker_id, session=taker.session, exchange=taker.exchange,
            claimed_seq=last_seq, deadline_at=now + taker.lease_secs,
        )  # fmt: skip
        leased.append(task)
        taker.workflows.append(
            ClaimedRun(token, task, workflow_id, run_id, payload, cancel_at is not None, created_at, tick)
        )
        if status == "PENDING":
            begun.append((task.run_key, max(mark, feed_mark)))
            notices.append(_running(task, workflow_id, run_id, now))
    db.dialect.update(db, TASKS, sorted(leased))
    if begun:
        _begin(db, sorted(begun))


def _begin(db: Connection, begun: Sequence[tuple[int, int]]) -> None:
    """Make runs RUNNING at their first claim; their mark goes with the notice that says so."""
    source = db.dialect.records((("run_key", "bigint"), ("feed_mark", "bigint")))
    db.run(
        f"UPDATE workflows SET status = 'RUNNING', feed_mark = x.feed_mark FROM {source} "
        "WHERE workflows.run_key = x.run_key",
        (db.dialect.records_of(("run_key", "feed_mark"), begun),),
    )


def _running(task: Task, workflow_id: str, run_id: str, now: float) -> Notice:
    payload = dumps({"namespace": task.namespace, "run_id": run_id})
    return Notice(task.run_key, task.namespace, workflow_id, "workflow_running", payload, now)


def _claim_activities(db: Connection, takers: Sequence[Taker], floors: Floors, now: float) -> None:
    first = takers[0]
    names = first.activity_names
    filtered = f" AND {db.dialect.in_list('a.name')}" if names is not None else ""
    key = ("activity", first.namespace, first.queue, names)
    slots = [taker.activity_slots for taker in takers]
    found = db.rows(
        f"SELECT {ACTIVITIES.prefixed('a')}, w.workflow_id, w.run_id FROM workflow_activities a "
        "JOIN workflows w ON w.run_key = a.run_key "
        "WHERE a.status = 'PENDING' AND a.namespace = ? AND a.task_queue = ? AND a.visible_at <= ? "
        f"AND (a.priority, a.visible_at) >= (?, ?){filtered} AND w.paused IS NULL "
        "ORDER BY a.priority, a.visible_at LIMIT ? " + db.dialect.claim_lock("a, w"),
        (
            first.namespace, first.queue, now, *floors.get(key, now),
            *([db.dialect.list_of(names)] if names is not None else []), sum(slots),
        ),
    )  # fmt: skip
    if not found:
        return
    leased = []
    for row, taker in zip(found, _deal(takers, slots, len(found)), strict=True):
        ready = Activity._make(row[:-2])
        token = activity_token(ready.activity_key, ready.attempt, secrets.token_hex(16))
        activity = ready._replace(
            status="RUNNING", token=hashed(token), owner=taker.worker_id, session=taker.session,
            exchange=taker.exchange, started_at=now, last_heartbeat=None, deadline_at=deadline(ready, now, None),
        )  # fmt: skip
        leased.append(activity)
        taker.activities.append(ClaimedActivity(token, activity, row[-2], row[-1]))
    floors.raise_to(key, found[0][6], leased[0].visible_at)
    db.dialect.update(db, ACTIVITIES, sorted(leased))
