"""What is read for people, polls and the sidecar: small queries on a lent connection, outside of units."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Union

from ..domain.model import Activity
from ..domain.model import ApiKey
from ..domain.model import Run
from .connection import Connection
from .mapping import ACTIVITIES
from .mapping import API_KEYS
from .mapping import RUNS
from .needs import KEYRING
from .pages import filled
from .pages import size_of

MAX_SEQ = 2**31 - 1
CLAIMED_BY = "(SELECT t.owner FROM workflow_tasks t WHERE t.run_key = w.run_key AND t.token IS NOT NULL)"
PARENT_ID = "(SELECT p.workflow_id FROM workflows p WHERE p.run_key = w.parent_key)"


class SeenRun(NamedTuple):
    """A run with what its record shows of other rows."""

    run: Run
    claimed_by: str | None
    parent_id: str | None


class LeaseRow(NamedTuple):
    """A lease: the run's or activity's key, and the hash of its token."""

    key: int
    token_hash: str
    namespace: str
    owner: str


def namespaces_of(db: Connection, workflow_id: str) -> list[str]:
    """Give the namespaces that have a run of this id."""
    found = db.rows(
        "SELECT n.name FROM namespaces n WHERE EXISTS "
        "(SELECT 1 FROM workflows w WHERE w.workflow_id = ? AND w.namespace = n.name) ORDER BY n.name",
        (workflow_id,),
    )
    return [name for (name,) in found]


def namespaces(db: Connection) -> list[str]:
    """Give all namespaces."""
    return [name for (name,) in db.rows("SELECT name FROM namespaces ORDER BY name")]


def newest_run(db: Connection, namespace: str, workflow_id: str) -> SeenRun | None:
    """Give the newest run of an id."""
    return _seen(
        db.one(
            f"SELECT {RUNS.prefixed('w')}, {CLAIMED_BY}, {PARENT_ID} FROM workflows w "
            "WHERE w.workflow_id = ? AND w.namespace = ? ORDER BY w.created_at DESC, w.run_key DESC LIMIT 1",
            (workflow_id, namespace),
        )
    )


def run_by_key(db: Connection, run_key: int) -> SeenRun | None:
    """Give a run."""
    sql = f"SELECT {RUNS.prefixed('w')}, {CLAIMED_BY}, {PARENT_ID} FROM workflows w WHERE w.run_key = ?"
    return _seen(db.one(sql, (run_key,)))


def _seen(row: Sequence[Any] | None) -> SeenRun | None:
    return None if row is None else SeenRun(Run._make(row[:-2]), row[-2], row[-1])


SeenEvent = tuple[int, str, Union[str, None], float]  # seq, event_type, payload, timestamp


def events(db: Connection, run_key: int, *, after_seq: int = 0, before_seq: int = MAX_SEQ) -> list[SeenEvent]:
    """Give a run's history, or a part of it."""
    return _events(db, run_key, after_seq, before_seq, "ASC")


def page_of_events(
    db: Connection, run_key: int, *, after_seq: int, before_seq: int, limit: int, descending: bool
) -> tuple[list[SeenEvent], bool]:
    """Give a page of a run's history, and whether more follow in that order."""

    def fetch(last: SeenEvent | None, count: int) -> list[SeenEvent]:
        after, before = after_seq, before_seq
        if last is not None and descending:
            before = last[0]
        elif last is not None:
            after = last[0]
        return _events(db, run_key, after, before, f"{'DESC' if descending else 'ASC'} LIMIT {count:d}")

    return filled(fetch, lambda event: size_of(event[2]), limit)


def _events(db: Connection, run_key: int, after_seq: int, before_seq: int, order: str) -> list[SeenEvent]:
    found: list[SeenEvent] = db.rows(
        "SELECT seq, event_type, payload, timestamp FROM workflow_events "
        f"WHERE run_key = ? AND seq > ? AND seq < ? ORDER BY seq {order}",
        (run_key, after_seq, before_seq),
    )
    return found


def histories(
    db: Connection, wanted: Iterable[tuple[int, int, int]]
) -> dict[int, list[tuple[int, str, str | None, float]]]:
    """Give the events after `after` up to `upto` of runs (run_key, after, upto), by run key."""
    wanted = sorted(wanted)
    found: dict[int, list[tuple[int, str, str | None, float]]] = {run_key: [] for run_key, _, _ in wanted}
    if not wanted:
        return found
    source = db.dialect.records((("run_key", "bigint"), ("after_seq", "integer"), ("upto_seq", "integer")))
    rows = db.rows(
        f"SELECT e.run_key, e.seq, e.event_type, e.payload, e.timestamp FROM {source} JOIN workflow_events e "
        "ON e.run_key = x.run_key AND e.seq > x.after_seq AND e.seq <= x.upto_seq ORDER BY e.run_key, e.seq",
        (db.dialect.records_of(("run_key", "after_seq", "upto_seq"), wanted),),
    )
    for run_key, seq, event_type, payload, timestamp in rows:
        found[run_key].append((seq, event_type, payload, timestamp))
    return found


def snapshot(db: Connection, run_key: int) -> tuple[str, int, float] | None:
    """Give (state, event_seq, created_at) of what a run shows."""
    found = db.one("SELECT state, event_seq, created_at FROM workflow_snapshots WHERE run_key = ?", (run_key,))
    return None if found is None else (str(found[0]), int(found[1]), float(found[2]))


# ------------------------------------------------------------------------------------- for the dispatch


def is_ready(db: Connection, kind: str, namespace: str, queue: str, names: Sequence[str] | None, now: float) -> bool:
    """Say whether a claim would find something. A poll that finds nothing only reads."""
    table, moment, column, ready = _QUEUES[kind]
    filtered = f" AND {db.dialect.in_list(column)}" if names is not None else ""
    params: tuple[Any, ...] = (namespace, queue, now)
    if names is not None:
        params += (db.dialect.list_of(names),)
    # Ordered as the claim index is: else PostgreSQL may read the whole table through to find that nothing is ready.
    sql = (
        f"SELECT 1 FROM {table} WHERE {ready} AND namespace = ? AND task_queue = ? AND {moment} <= ?{filtered} "
        f"ORDER BY priority, {moment} LIMIT 1"
    )
    return db.one(sql, params) is not None


def namespace_with_ready(
    db: Connection, kind: str, queue: str, now: float, among: frozenset[str] | None = None
) -> str | None:
    """Give the namespace whose work in a queue has been ready longest, or None where none has any."""
    ready = next_ready(db, kind, [(name, queue) for name in (namespaces(db) if among is None else among)])
    due = [(moment, namespace) for (namespace, _), moment in ready.items() if moment <= now]
    return min(due)[1] if due else None


def next_ready(db: Connection, kind: str, queues: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Give the moment of the earliest ready row of each (namespace, queue) that has one."""
    table, moment, _, ready = _QUEUES[kind]
    source = db.dialect.records((("namespace", "text"), ("queue", "text")))
    rows = db.rows(
        f"SELECT x.namespace, x.queue, (SELECT q.{moment} FROM {table} q WHERE {ready} AND q.namespace = x.namespace "
        f"AND q.task_queue = x.queue ORDER BY q.priority, q.{moment} LIMIT 1) FROM {source}",
        (db.dialect.records_of(("namespace", "queue"), sorted(queues)),),
    )
    return {(namespace, queue): at for namespace, queue, at in rows if at is not None}


_QUEUES = {
    "workflow": ("workflow_tasks", "ready_at", "workflow_type", "token IS NULL AND NOT paused"),
    "activity": ("workflow_activities", "visible_at", "name", "status = 'PENDING'"),
}


# ------------------------------------------------------------------------------------- for the upkeep


class ChildToClose(NamedTuple):
    """An open child of a closed parent."""

    run_key: int
    namespace: str
    workflow_id: str
    run_id: str
    parent_close: str


def due_tasks(db: Connection, now: float, limit: int) -> list[int]:
    """Give runs whose lease has run out, the longest overdue first."""
    found = db.rows(
        "SELECT run_key FROM workflow_tasks WHERE token IS NOT NULL AND deadline_at <= ? ORDER BY deadline_at LIMIT ?",
        (now, limit),
    )
    return [run_key for (run_key,) in found]


def due_activities(db: Connection, now: float, limit: int) -> list[int]:
    """Give activities whose attempt takes too long, the longest overdue first."""
    found = db.rows(
        "SELECT activity_key FROM workflow_activities WHERE deadline_at IS NOT NULL AND deadline_at <= ? "
        "ORDER BY deadline_at LIMIT ?",
        (now, limit),
    )
    return [activity_key for (activity_key,) in found]


def due_timers(db: Connection, now: float, limit: int) -> list[tuple[int, int]]:
    """Give (run_key, seq) of timers whose time has come, the longest overdue first."""
    found: list[tuple[int, int]] = db.rows(
        "SELECT run_key, seq FROM workflow_timers WHERE status = 'PENDING' AND fire_at <= ? ORDER BY fire_at LIMIT ?",
        (now, limit),
    )
    return found


def due_runs(db: Connection, now: float, limit: int) -> list[int]:
    """Give runs whose time is over, or whose cancel's grace is, the longest overdue first."""
    found = db.rows(
        "SELECT run_key FROM workflows WHERE deadline_at IS NOT NULL AND deadline_at <= ? ORDER BY deadline_at LIMIT ?",
        (now, limit),
    )
    return [run_key for (run_key,) in found]


class DueFollowup(NamedTuple):
    """Work on other runs that is to be done."""

    id: int
    kind: str
    run_key: int
    detail: str | None


def due_followups(db: Connection, now: float, limit: int) -> list[DueFollowup]:
    """Give work that is to be done, the oldest first."""
    found = db.rows(
        "SELECT id, kind, run_key, detail FROM followups WHERE due_at <= ? ORDER BY due_at, id LIMIT ?", (now, limit)
    )
    return [DueFollowup(*row) for row in found]


def children_to_close(db: Connection, chain: int, limit: int, *, terminated: bool) -> list[ChildToClose]:
    """Give open children of a closed chain that its end concerns and that do not know of it yet."""
    concerned = (
        "parent_close <> 'abandon'"
        if terminated
        else "(parent_close = 'terminate' OR (parent_close = 'request_cancel' AND cancel_requested_at IS NULL))"
    )
    found = db.rows(
        "SELECT run_key, namespace, workflow_id, run_id, parent_close FROM workflows WHERE parent_chain_key = ? "
        f"AND parent_chain_key IS NOT NULL AND status IN ('PENDING', 'RUNNING') AND {concerned} LIMIT ?",
        (chain, limit),
    )
    return [ChildToClose(*row) for row in found]


_DEADLINES = (
    ("workflow_tasks", "deadline_at", "token IS NOT NULL"),
    ("workflow_activities", "deadline_at", "deadline_at IS NOT NULL"),
    ("workflow_timers", "fire_at", "status = 'PENDING'"),
    ("workflows", "deadline_at", "deadline_at IS NOT NULL"),
    ("followups", "due_at", "1 = 1"),
    ("workflow_schedules", "due_at", "due_at IS NOT NULL"),
)


def next_deadline(db: Connection, after: float = float("-inf")) -> float | None:
    """Give the earliest moment, later than `after`, at which something falls due."""
    moments = []
    for table, column, pending in _DEADLINES:
        (moment,) = db.one(f"SELECT MIN({column}) FROM {table} WHERE {pending} AND {column} > ?", (after,))
        if moment is not None:
            moments.append(moment)
    return min(moments, default=None)


def silent_workers(db: Connection, since: float, limit: int) -> list[tuple[str, str]]:
    """Give (namespace, worker_id) of workers not seen since.

    A worker of the old way says nothing while an activity of its runs: its time-outs end that, not its silence.
    """
    found: list[tuple[str, str]] = db.rows(
        "SELECT w.namespace, w.worker_id FROM workflow_workers w WHERE w.retired_at IS NULL AND w.last_seen <= ? "
        "AND (w.session IS NOT NULL OR NOT EXISTS (SELECT 1 FROM workflow_activities a "
        "WHERE a.owner = w.worker_id AND a.status = 'RUNNING' AND a.namespace = w.namespace)) "
        "ORDER BY w.last_seen LIMIT ?",
        (since, limit),
    )
    return found


_LEASES = {
    "workflow": ("workflow_tasks", "run_key", "l.token IS NOT NULL"),
    "activity": ("workflow_activities", "activity_key", "l.status = 'RUNNING'"),
}


def leases_of_retired(db: Connection, kind: str, limit: int) -> list[LeaseRow]:
    """Give leases that retired workers hold."""
    table, key, held = _LEASES[kind]
    found = db.rows(
        f"SELECT l.{key}, l.token, l.namespace, l.owner FROM workflow_workers w JOIN {table} l "
        f"ON l.owner = w.worker_id AND l.namespace = w.namespace WHERE w.retired_at IS NOT NULL AND {held} LIMIT ?",
        (limit,),
    )
    return [LeaseRow._make(row) for row in found]


def leases_of_other_sessions(db: Connection, kind: str, namespace: str, worker_id: str, session: str) -> list[LeaseRow]:
    """Give leases that a worker took in other sessions than this one."""
    return _leases_of(db, kind, namespace, worker_id, "(l.session IS NULL OR l.session <> ?)", session)


def leases_of_session(db: Connection, kind: str, namespace: str, worker_id: str, session: str) -> list[LeaseRow]:
    """Give leases that a worker took in this session."""
    return _leases_of(db, kind, namespace, worker_id, "l.session = ?", session)


def leases_of_exchanges(
    db: Connection, kind: str, namespace: str, worker_id: str, session: str, numbers: Iterable[int]
) -> list[LeaseRow]:
    """Give leases that these exchanges of a session took."""
    of_these = f"l.session = ? AND {db.dialect.in_list('l.exchange')}"
    return _leases_of(db, kind, namespace, worker_id, of_these, session, db.dialect.list_of(numbers))


def _leases_of(
    db: Connection, kind: str, namespace: str, worker_id: str, which: str, *parameters: Any
) -> list[LeaseRow]:
    """Give the leases of a worker that fit."""
    table, key, held = _LEASES[kind]
    found = db.rows(
        f"SELECT l.{key}, l.token, l.namespace, l.owner FROM {table} l "
        f"WHERE l.owner = ? AND l.namespace = ? AND {held} AND {which}",
        (worker_id, namespace, *parameters),
    )
    return [LeaseRow._make(row) for row in found]


# ------------------------------------------------------------------------------------- for people


class Registered(NamedTuple):
    """Where a worker is registered, and for what: JSON arrays, None = any."""

    namespace: str
    workflows: str | None
    activities: str | None
    retired: bool


def registrations(db: Connection, worker_id: str) -> list[Registered]:
    """Give the namespaces in which a worker is known."""
    found = db.rows(
        "SELECT namespace, workflows, activities, retired_at IS NOT NULL FROM workflow_workers WHERE worker_id = ? "
        "ORDER BY namespace",
        (worker_id,),
    )
    return [Registered(namespace, workflows, names, bool(retired)) for namespace, workflows, names, retired in found]


_NAMESPACE_OF = {
    "run": "SELECT namespace FROM workflows WHERE run_key = ?",
    "activity": "SELECT namespace FROM workflow_activities WHERE activity_key = ?",
}


def namespace_of(db: Connection, kind: str, key: int) -> str | None:
    """Give the namespace of a run or an activity, or None where there is none."""
    found = db.one(_NAMESPACE_OF[kind], (key,))
    return None if found is None else str(found[0])


def leases_of_worker(db: Connection, worker_id: str, workflow_id: str) -> list[LeaseRow]:
    """Give the leases on workflow tasks that a worker holds on runs of an id."""
    found = db.rows(
        "SELECT t.run_key, t.token, t.namespace, t.owner FROM workflow_tasks t JOIN workflows w "
        "ON w.run_key = t.run_key WHERE t.owner = ? AND t.token IS NOT NULL AND w.workflow_id = ?",
        (worker_id, workflow_id),
    )
    return [LeaseRow._make(row) for row in found]


def active_tasks(db: Connection, namespace: str) -> dict[str, int]:
    """Count the leases that each worker of a namespace holds."""
    counts: dict[str, int] = {}
    for table, _, held in _LEASES.values():
        rows = db.rows(
            f"SELECT l.owner, COUNT(*) FROM {table} l WHERE l.namespace = ? AND {held} GROUP BY l.owner", (namespace,)
        )
        for owner, count in rows:
            counts[owner] = counts.get(owner, 0) + count
    return counts


def activity(db: Connection, activity_key: int) -> tuple[Activity, Run] | None:
    """Give an activity and its run."""
    row = db.one(
        f"SELECT {ACTIVITIES.prefixed('a')}, {RUNS.prefixed('w')} FROM workflow_activities a "
        "JOIN workflows w ON w.run_key = a.run_key WHERE a.activity_key = ?",
        (activity_key,),
    )
    width = len(ACTIVITIES.names)
    return None if row is None else (Activity._make(row[:width]), Run._make(row[width:]))


class RunInNamespace(NamedTuple):
    """A run, as far as it takes to end and remove it."""

    run_key: int
    workflow_id: str
    run_id: str
    open: bool


def runs_in(db: Connection, namespace: str, limit: int) -> list[RunInNamespace]:
    """Give the oldest runs of a namespace."""
    found = db.rows(
        "SELECT run_key, workflow_id, run_id, status IN ('PENDING', 'RUNNING') FROM workflows WHERE namespace = ? "
        "ORDER BY created_at, run_key LIMIT ?",
        (namespace, limit),
    )
    return [
        RunInNamespace(run_key, workflow_id, run_id, bool(is_open)) for run_key, workflow_id, run_id, is_open in found
    ]


def stored_answer(db: Connection, scope: str, key: str) -> tuple[str, str] | None:
    """Give (hash, answer) that is kept for an Idempotency-Key."""
    found = db.one("SELECT hash, answer FROM idempotency_keys WHERE scope = ? AND key = ?", (scope, key))
    return None if found is None else (str(found[0]), str(found[1]))


def worker_session(db: Connection, namespace: str, worker_id: str) -> tuple[str | None, str | None, str | None] | None:
    """Give a worker's (session, workflows, activities), or None for one that is not known."""
    found: tuple[str | None, str | None, str | None] | None = db.one(
        "SELECT session, workflows, activities FROM workflow_workers WHERE namespace = ? AND worker_id = ?",
        (namespace, worker_id),
    )
    return found


def runs_by_status(db: Connection, namespace: str, statuses: Sequence[str]) -> dict[str, int]:
    """Count a namespace's runs of these statuses: as many entries of an index are read."""
    marks = ", ".join("?" * len(statuses))
    sql = f"SELECT status, COUNT(*) FROM workflows WHERE namespace = ? AND status IN ({marks}) GROUP BY status"
    return dict(db.rows(sql, (namespace, *statuses)))


def namespace_counts(db: Connection, namespace: str) -> tuple[int, int]:
    """Count a namespace's schedules, and its workers that are not retired."""
    (schedules,) = db.one("SELECT COUNT(*) FROM workflow_schedules WHERE namespace = ?", (namespace,))
    (workers,) = db.one(
        "SELECT COUNT(*) FROM workflow_workers WHERE namespace = ? AND retired_at IS NULL", (namespace,)
    )
    return schedules, workers


# --------------------------------------------------------------------------------- keys and the audit log


def api_key(db: Connection, key_hash: str) -> ApiKey | None:
    """Give the key with this hash, whatever has become of it."""
    row = db.one(f"SELECT {API_KEYS.listed} FROM api_keys WHERE key_hash = ?", (key_hash,))
    return None if row is None else ApiKey._make(row)


def api_keys(db: Connection) -> list[ApiKey]:
    """Give the keys that are not revoked, the oldest first."""
    found = db.rows(f"SELECT {API_KEYS.listed} FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at, prefix")
    return [ApiKey._make(row) for row in found]


def key_was_made(db: Connection) -> bool:
    """Say whether an API key was ever made."""
    return bool(db.one("SELECT value FROM meta WHERE name = ?", (KEYRING,))[0])
