"""What waits and runs in the task queues of a namespace, who works on it, and what of it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..jsontext import loads
from .connection import Connection

_GROUPS_AT_MOST = 1000  # of what waits or fails alike
_COUNTED = (
    "pending_activities", "running_activities", "waiting_workflow_tasks", "leased_workflow_tasks", "workers",
    "silent_workers",
)  # fmt: skip
_PRESENT = "workflow_workers WHERE namespace = ? AND retired_at IS NULL"


def stats(db: Connection, namespace: str, heard_since: float) -> list[Mapping[str, Any]]:
    """Count, per queue, what waits and runs, and its workers; those not heard of since then are silent, too."""
    found: dict[str, dict[str, Any]] = {}

    def put(column: str, rows: Iterable[tuple[str, Any]]) -> None:
        for queue, value in rows:
            row = found.setdefault(queue, dict.fromkeys(_COUNTED, 0) | {"oldest_ready_at": None})
            row[column] = value

    activity = "SELECT task_queue, COUNT(*) FROM workflow_activities WHERE namespace = ? AND status = "
    put("pending_activities", db.rows(activity + "'PENDING' GROUP BY task_queue", (namespace,)))
    put("running_activities", db.rows(activity + "'RUNNING' GROUP BY task_queue", (namespace,)))
    tasks = db.rows(  # all of them in one pass: there may be a hundred thousand
        "SELECT task_queue, COUNT(token), COUNT(*) - COUNT(token), MIN(CASE WHEN token IS NULL THEN ready_at END) "
        "FROM workflow_tasks WHERE namespace = ? GROUP BY task_queue",
        (namespace,),
    )
    for place, column in enumerate(("leased_workflow_tasks", "waiting_workflow_tasks", "oldest_ready_at"), start=1):
        put(column, ((row[0], row[place]) for row in tasks))
    put("workers", db.rows(f"SELECT task_queue, COUNT(*) FROM {_PRESENT} GROUP BY task_queue", (namespace,)))
    silent = f"SELECT task_queue, COUNT(*) FROM {_PRESENT} AND last_seen < ? GROUP BY task_queue"
    put("silent_workers", db.rows(silent, (namespace, heard_since)))
    return [{"queue": queue, **row} for queue, row in sorted(found.items())]


def backlog(db: Connection, namespace: str, heard_since: float, now: float) -> list[Mapping[str, Any]]:
    """Tell, per queue that has any, what is due and waits and what fails, by type; and who would take it."""
    found: dict[str, dict[str, Any]] = {}
    crews = _crews(db, namespace, heard_since)
    polled = dict(db.rows("SELECT task_queue, last_poll_at FROM queues WHERE namespace = ?", (namespace,)))

    def of(queue: str) -> dict[str, Any]:
        crew = crews.get(queue, _Crew())
        unpolled_secs = None if queue not in polled else max(now - polled[queue], 0.0)
        return found.setdefault(queue, {
            "queue": queue, "workers": crew.live, "silent_workers": crew.silent, "unpolled_secs": unpolled_secs,
            "waiting": [], "failing": [],
        })  # fmt: skip

    for kind, queue, name, count, oldest in _waiting(db, namespace, now):
        takers = crews.get(queue, _Crew()).takers(kind, name)
        told = {"kind": kind, "name": name, "count": count, "oldest_ready_at": oldest, "takers": takers}
        of(queue)["waiting"].append(told)
    for queue, workflow_type, count in _failing(db, namespace):
        newest = _newest_failure(db, namespace, queue, workflow_type)
        if newest is not None:  # else a turn has gone well meanwhile
            of(queue)["failing"].append({"workflow_type": workflow_type, "count": count, "newest": newest})
    return [found[queue] for queue in sorted(found)]


@dataclass(slots=True)
class _Crew:
    """The workers of a queue that are not retired, and of what the live ones take."""

    live: int = 0
    silent: int = 0
    any: Counter[str] = field(default_factory=Counter)  # kind: how many take whatever there is
    named: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, name)

    def takers(self, kind: str, name: str) -> int:
        return self.any[kind] + self.named[kind, name]

    def add(self, kind: str, names: str | None) -> None:
        if names is None:
            self.any[kind] += 1
        else:
            self.named.update((kind, name) for name in set(loads(names)))


def _crews(db: Connection, namespace: str, heard_since: float) -> dict[str, _Crew]:
    crews: dict[str, _Crew] = {}
    rows = db.rows(f"SELECT task_queue, last_seen, workflows, activities FROM {_PRESENT}", (namespace,))
    for queue, last_seen, workflows, activities in rows:
        crew = crews.setdefault(queue, _Crew())
        if last_seen < heard_since:
            crew.silent += 1
            continue
        crew.live += 1
        crew.add("workflow", workflows)
        crew.add("activity", activities)
    return crews


def _waiting(db: Connection, namespace: str, now: float) -> list[tuple[str, str, str, int, float]]:
    found: list[tuple[str, str, str, int, float]] = db.rows(
        "SELECT 'workflow', task_queue, workflow_type, COUNT(*), MIN(ready_at) FROM workflow_tasks "
        "WHERE namespace = ? AND token IS NULL AND NOT paused AND ready_at <= ? GROUP BY task_queue, workflow_type "
        "UNION ALL "
        "SELECT 'activity', task_queue, name, COUNT(*), MIN(visible_at) FROM workflow_activities "
        "WHERE namespace = ? AND status = 'PENDING' AND visible_at <= ? GROUP BY task_queue, name "
        "ORDER BY 2, 1 DESC, 3 LIMIT ?",
        (namespace, now, namespace, now, _GROUPS_AT_MOST),
    )
    return found


_FAILS = (
    "FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key WHERE t.namespace = ? "
    "AND w.task_failure IS NOT NULL"
)


def _failing(db: Connection, namespace: str) -> list[tuple[str, str, int]]:
    """Count, by queue and type, the runs whose last turn went wrong: whoever fails has a task."""
    found: list[tuple[str, str, int]] = db.rows(
        f"SELECT t.task_queue, t.workflow_type, COUNT(*) {_FAILS} GROUP BY t.task_queue, t.workflow_type "
        "ORDER BY 1, 2 LIMIT ?",
        (namespace, _GROUPS_AT_MOST),
    )
    return found


def _newest_failure(db: Connection, namespace: str, queue: str, workflow_type: str) -> Mapping[str, Any] | None:
    row = db.one(
        f"SELECT w.workflow_id, w.run_id, w.task_failure, t.token, t.ready_at {_FAILS} AND t.task_queue = ? "
        "AND t.workflow_type = ? ORDER BY w.updated_at DESC, w.run_key DESC LIMIT 1",
        (namespace, queue, workflow_type),
    )
    if row is None:
        return None
    workflow_id, run_id, failure, token, ready_at = row
    told = {name: value for name, value in loads(failure).items() if name != "trace"}
    again_at = ready_at if token is None else None
    return {"workflow_id": workflow_id, "run_id": run_id, "task_failure": told, "again_at": again_at}
