"""Find, lock, load: the first three steps of a unit of work.

Locking runs and reading what hangs below them are never one statement: PostgreSQL would give the new run
beside the old lease. Locks are taken by key, ascending, and never waited for (but in the slow lane).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..domain.model import Activity
from ..domain.model import ApiKey
from ..domain.model import Run
from ..domain.model import StoredAnswer
from ..domain.model import Task
from ..domain.model import Timer
from ..domain.model import Worker
from .connection import Connection
from .mapping import ACTIVITIES
from .mapping import ANSWERS
from .mapping import API_KEYS
from .mapping import RUNS
from .mapping import TASKS
from .mapping import TIMERS
from .mapping import WORKERS
from .needs import KEYRING
from .needs import BeginAgain
from .needs import Needs
from .rows import CHILD_ENDS
from .rows import CarriedSignal
from .rows import Contents
from .rows import Named
from .rows import Rows
from .schedules import find_and_lock_schedules
from .schedules import load_schedules

_LOOKS_AT_MOST = 5
_NEWEST = (
    "SELECT x.namespace, x.workflow_id, (SELECT w.run_key FROM workflows w WHERE w.workflow_id = x.workflow_id "
    "AND w.namespace = x.namespace ORDER BY w.created_at DESC, w.run_key DESC LIMIT 1) FROM {records}"
)
_CARRIED = (
    "SELECT e.seq, s.name, e.payload, s.signal_id FROM workflow_signals s JOIN workflow_events e "
    "ON e.run_key = s.run_key AND e.seq = s.event_seq WHERE s.run_key = ? AND s.event_seq >= ? ORDER BY e.seq"
)
_CHILD_ENDED = (
    "SELECT 1 FROM workflow_events WHERE run_key = ? AND seq > ? "
    f"AND event_type IN ({', '.join(repr(event_type) for event_type in CHILD_ENDS)}) LIMIT 1"
)
_TASK_AT = 2 + len(RUNS.names)
_NAME = (("namespace", "text"), ("workflow_id", "text"))


def find_and_lock(db: Connection, needs: Needs, rows: Rows, *, wait: bool) -> None:
    """Turn names into keys, lock schedules, then runs; load these with their tasks; look again where a name moved."""
    if needs.emptied:
        _lock_namespaces(db, needs.emptied, rows, wait=wait)
    find_and_lock_schedules(db, needs, rows.schedules, wait=wait)
    if needs.keyring:
        _lock_and_load_keyring(db, rows, wait=wait)
    _find_names(db, needs.names, rows)
    _find_activities(db, needs.activities, rows)
    wanted = set(needs.runs)
    _find_chains(db, needs, rows)
    wanted.update(rows.chains.values())
    wanted.update(named.run_key for named in rows.named.values() if named.run_key is not None)
    wanted.update(run_key for run_key in rows.activity_runs.values() if run_key is not None)
    wanted.update(run_key for _, _, run_key, _ in needs.signal_ids if run_key is not None)
    _lock_and_load(db, wanted, rows, wait=wait)
    if db.dialect.writers_queue:
        return
    for _ in range(_LOOKS_AT_MOST):
        closed = [name for name in needs.names if _looks_closed(rows, name)]
        before = {name: rows.named[name] for name in closed}
        ended = [chain for chain, run_key in rows.chains.items() if _is_closed(rows, run_key)]
        newest = {chain: rows.chains[chain] for chain in ended}
        _find_names(db, closed, rows)
        _find_newest_of(db, ended, rows)
        moved = [rows.named[name].run_key for name in closed if rows.named[name] != before[name]]
        moved += [rows.chains[chain] for chain in ended if rows.chains[chain] != newest[chain]]
        if not moved:
            return
        _lock_and_load(db, {run_key for run_key in moved if run_key is not None}, rows, wait=wait)
    raise BeginAgain


def load(db: Connection, needs: Needs, rows: Rows) -> None:
    """Load what hangs below the locked runs, each kind with one query."""
    if needs.activities:
        _load_activities(db, needs.activities, rows)
    if needs.pending:
        _load_pending(db, needs.pending, rows)
    if needs.seqs:
        _load_by_seq(db, needs.seqs, rows)
    if needs.timers:
        _load_timers(db, needs.timers, rows)
    if needs.recorded:
        _load_recorded(db, needs.recorded, rows)
    if needs.snapshots:
        found = dict(
            db.rows(
                f"SELECT run_key, state FROM workflow_snapshots WHERE {db.dialect.in_list('run_key')}",
                (db.dialect.list_of(needs.snapshots),),
            )
        )
        rows.snapshots.update({run_key: found.get(run_key) for run_key in needs.snapshots})
    if needs.signal_ids:
        _load_signal_ids(db, needs, rows)
    for run_key, after in needs.unread:
        rows.unread[run_key, after] = db.rows(
            "SELECT event_seq, name FROM workflow_signals WHERE run_key = ? AND event_seq > ?", (run_key, after)
        )
    for run_key, seq in needs.carried:
        rows.carried[run_key, seq] = [CarriedSignal(*row) for row in db.rows(_CARRIED, (run_key, seq))]
    for run_key, after in needs.child_ends:
        rows.child_ends[run_key, after] = db.one(_CHILD_ENDED, (run_key, after)) is not None
    if needs.polls:
        _load_polls(db, needs.polls, rows)
    if needs.answers:
        _load_answers(db, needs.answers, rows)
    if needs.workers:
        _load_workers(db, needs.workers, rows)
    if needs.namespaces:
        there = _there(db, needs.namespaces)
        rows.namespaces.update({name: name in there for name in needs.namespaces})
    if needs.emptied:
        _load_contents(db, needs.emptied, rows)
    if needs.open_activities:
        open_ones = "workflow_activities WHERE status IN ('PENDING', 'RUNNING') AND"
        rows.open_activity_counts.update(_counts(db, open_ones, needs.open_activities))
    if needs.open_children:
        sql = (
            "SELECT parent_chain_key, COUNT(*) FROM workflows WHERE status IN ('PENDING', 'RUNNING') AND "
            f"parent_chain_key IS NOT NULL AND {db.dialect.in_list('parent_chain_key')} GROUP BY parent_chain_key"
        )
        counted = dict(db.rows(sql, (db.dialect.list_of(sorted(needs.open_children)),)))
        rows.open_child_counts.update({chain: counted.get(chain, 0) for chain in needs.open_children})
    load_schedules(db, needs, rows.schedules)
    if needs.signal_counts:
        rows.signal_counts.update(_counts(db, "workflow_signals WHERE", needs.signal_counts))


def _lock_namespaces(db: Connection, names: set[str], rows: Rows, *, wait: bool) -> None:
    """Lock namespaces that are to go: nobody begins anything in them before the commit."""
    rows.emptied.update(dict.fromkeys(names))
    lock = db.dialect.delete_lock(wait=wait)
    if not lock:
        return
    of_these = f"namespaces WHERE {db.dialect.in_list('name')}"
    parameter = (db.dialect.list_of(sorted(names)),)
    locked = {name for (name,) in db.rows(f"SELECT name FROM {of_these} ORDER BY name {lock}", parameter)}
    rows.held_namespaces.update(_there(db, names) - locked)


def _lock_and_load_keyring(db: Connection, rows: Rows, *, wait: bool) -> None:
    """Lock the fact that guards the API keys, then load them: what is decided of one rests on all."""
    locked = db.one(f"SELECT value FROM meta WHERE name = ? {db.dialect.delete_lock(wait=wait)}", (KEYRING,))
    if locked is None:
        rows.keyring_is_held = True
        return
    rows.key_was_made = locked[0] != ""
    found = [ApiKey._make(row) for row in db.rows(f"SELECT {API_KEYS.listed} FROM api_keys")]
    rows.api_keys = {key.key_hash: key for key in found}


def _there(db: Connection, names: set[str]) -> set[str]:
    found = db.rows(
        f"SELECT name FROM namespaces WHERE {db.dialect.in_list('name')}", (db.dialect.list_of(sorted(names)),)
    )
    return {name for (name,) in found}


def _load_contents(db: Connection, names: set[str], rows: Rows) -> None:
    sql = (
        "SELECT n.name, EXISTS (SELECT 1 FROM workflows w WHERE w.namespace = n.name), "
        "EXISTS (SELECT 1 FROM workflow_schedules s WHERE s.namespace = n.name) "
        f"FROM namespaces n WHERE {db.dialect.in_list('n.name')}"
    )
    for name, runs, schedules in db.rows(sql, (db.dialect.list_of(sorted(names)),)):
        rows.emptied[name] = Contents(runs=bool(runs), schedules=bool(schedules))


def _counts(db: Connection, source: str, run_keys: set[int]) -> dict[int, int]:
    sql = f"SELECT run_key, COUNT(*) FROM {source} {db.dialect.in_list('run_key')} GROUP BY run_key"
    return {**dict.fromkeys(run_keys, 0), **dict(db.rows(sql, (db.dialect.list_of(sorted(run_keys)),)))}


def _find_names(db: Connection, names: Iterable[tuple[str, str]], rows: Rows) -> None:
    wanted = sorted(names)
    if not wanted:
        return
    sql = _NEWEST.format(records=db.dialect.records(_NAME))
    parameter = db.dialect.records_of(("namespace", "workflow_id"), wanted)
    for namespace, workflow_id, run_key in db.rows(sql, (parameter,)):
        rows.named[namespace, workflow_id] = Named(run_key)


def _find_activities(db: Connection, keys: set[int], rows: Rows) -> None:
    if not keys:
        return
    found = dict(
        db.rows(
            f"SELECT activity_key, run_key FROM workflow_activities WHERE {db.dialect.in_list('activity_key')}",
            (db.dialect.list_of(keys),),
        )
    )
    rows.activity_runs.update({key: found.get(key) for key in keys})


def _find_chains(db: Connection, needs: Needs, rows: Rows) -> None:
    """Find the parents of runs that may close: each is the newest run of a chain, to be told of it."""
    chains = set(needs.chains)
    closing = set(needs.closing)
    named = [rows.named[name].run_key for name in needs.closing_names if name in rows.named]
    closing.update(run_key for run_key in named if run_key is not None)
    if closing:
        found = db.rows(
            "SELECT parent_chain_key FROM workflows WHERE parent_chain_key IS NOT NULL AND "
            f"{db.dialect.in_list('run_key')}",
            (db.dialect.list_of(sorted(closing)),),
        )
        chains.update(chain for (chain,) in found)
    _find_newest_of(db, chains, rows)


def _find_newest_of(db: Connection, chains: Iterable[int], rows: Rows) -> None:
    wanted = sorted(chains)
    if not wanted:
        return
    source = db.dialect.records((("chain", "bigint"),))
    sql = (
        "SELECT x.chain, (SELECT w.run_key FROM workflows w WHERE w.first_run_key = x.chain "
        "AND w.continued_from IS NOT NULL ORDER BY w.created_at DESC, w.run_key DESC LIMIT 1) "
        f"FROM {source}"
    )
    for chain, run_key in db.rows(sql, (db.dialect.records_of(("chain",), [(chain,) for chain in wanted]),)):
        rows.chains[chain] = chain if run_key is None else run_key


def _looks_closed(rows: Rows, name: tuple[str, str]) -> bool:
    return _is_closed(rows, rows.named[name].run_key)


def _is_closed(rows: Rows, run_key: int | None) -> bool:
    run = None if run_key is None else rows.runs.get(run_key)
    return run is not None and run.closed


def _lock_and_load(db: Connection, wanted: set[int], rows: Rows, *, wait: bool) -> None:
    rows.wanted_runs.update(wanted)
    if not wanted:
        return
    parameter = db.dialect.list_of(sorted(wanted))
    statement = db.dialect.lock_runs(wait=wait)
    if statement is not None:
        locked = {run_key for (run_key,) in db.rows(statement, (parameter,))}
        parameter = db.dialect.list_of(sorted(locked))
        absent = wanted - locked  # held, or not there at all: only a key that nobody made is absent
        if absent:
            there = db.rows(
                f"SELECT run_key FROM workflows WHERE {db.dialect.in_list('run_key')}",
                (db.dialect.list_of(absent),),
            )
            rows.absent.update(absent - {run_key for (run_key,) in there})
        if not locked:
            return
    clock = db.dialect.clock()
    sql = (
        f"SELECT {clock or '0, 0'}, {RUNS.prefixed('w')}, {TASKS.prefixed('t')} FROM workflows w "
        f"LEFT JOIN workflow_tasks t ON t.run_key = w.run_key WHERE {db.dialect.in_list('w.run_key')}"
    )
    for row in db.rows(sql, (parameter,)):
        run = Run._make(row[2:_TASK_AT])
        rows.runs[run.run_key] = run
        if row[_TASK_AT] is not None:
            rows.tasks[run.run_key] = Task._make(row[_TASK_AT:])
            rows.tasks_in_database.add(run.run_key)
        if clock is not None:
            rows.moment = (row[0], row[1])  # read after the locks, by the statement that follows them
    if statement is None:
        rows.absent.update(wanted - rows.runs.keys())


def _load_activities(db: Connection, keys: set[int], rows: Rows) -> None:
    sql = f"SELECT {ACTIVITIES.listed} FROM workflow_activities WHERE {db.dialect.in_list('activity_key')}"
    for row in db.rows(sql, (db.dialect.list_of(keys),)):
        activity = Activity._make(row)
        if activity.run_key in rows.runs:  # its run is locked: what is read here stays true
            rows.activities[activity.activity_key] = activity
            rows.by_seq[activity.run_key, activity.seq] = activity


def _load_pending(db: Connection, run_keys: set[int], rows: Rows) -> None:
    locked = sorted(run_keys & rows.runs.keys())
    sql = (
        f"SELECT {ACTIVITIES.listed} FROM workflow_activities WHERE {db.dialect.in_list('run_key')} "
        "AND status = 'PENDING' ORDER BY activity_key"
    )
    for row in db.rows(sql, (db.dialect.list_of(locked),)):
        _put_activity(Activity._make(row), rows)
    rows.pending.update(locked)


def _put_activity(activity: Activity, rows: Rows) -> None:
    rows.by_seq[activity.run_key, activity.seq] = activity
    rows.activities[activity.activity_key] = activity
    rows.activity_runs[activity.activity_key] = activity.run_key


def _load_by_seq(db: Connection, seqs: set[tuple[int, int]], rows: Rows) -> None:
    source = db.dialect.records((("run_key", "bigint"), ("seq", "integer")))
    parameter = db.dialect.records_of(("run_key", "seq"), sorted(seqs))
    sql = (
        f"SELECT {ACTIVITIES.prefixed('a')} FROM {source} JOIN workflow_activities a "
        "ON a.run_key = x.run_key AND a.seq = x.seq"
    )
    rows.by_seq.update(dict.fromkeys(seqs))
    for row in db.rows(sql, (parameter,)):
        _put_activity(Activity._make(row), rows)


def _load_timers(db: Connection, wanted: set[tuple[int, int]], rows: Rows) -> None:
    source = db.dialect.records((("run_key", "bigint"), ("seq", "integer")))
    sql = (
        f"SELECT {TIMERS.prefixed('t')} FROM {source} JOIN workflow_timers t ON t.run_key = x.run_key AND t.seq = x.seq"
    )
    rows.timers.update(dict.fromkeys(wanted))
    for row in db.rows(sql, (db.dialect.records_of(("run_key", "seq"), sorted(wanted)),)):
        timer = Timer._make(row)
        rows.timers[timer.run_key, timer.seq] = timer


def _load_polls(db: Connection, wanted: set[tuple[str, str]], rows: Rows) -> None:
    source = db.dialect.records((("namespace", "text"), ("task_queue", "text")))
    sql = (
        f"SELECT q.namespace, q.task_queue, q.last_poll_at FROM {source} JOIN queues q "
        "ON q.namespace = x.namespace AND q.task_queue = x.task_queue"
    )
    rows.polls.update(dict.fromkeys(wanted))
    for namespace, queue, polled_at in db.rows(
        sql, (db.dialect.records_of(("namespace", "task_queue"), sorted(wanted)),)
    ):
        rows.polls[namespace, queue] = polled_at


def _load_recorded(db: Connection, wanted: set[tuple[int, str, int]], rows: Rows) -> None:
    columns = (("run_key", "bigint"), ("event_type", "text"), ("ref_seq", "integer"))
    sql = (
        f"SELECT e.run_key, e.event_type, e.ref_seq, e.payload FROM {db.dialect.records(columns)} "
        "JOIN workflow_events e ON e.run_key = x.run_key AND e.event_type = x.event_type AND e.ref_seq = x.ref_seq "
        "WHERE e.event_type IN ('SideEffectRecorded', 'SearchAttributesUpserted')"
    )
    rows.recorded.update(dict.fromkeys(wanted))
    parameter = db.dialect.records_of(("run_key", "event_type", "ref_seq"), sorted(wanted))
    for run_key, event_type, ref_seq, payload in db.rows(sql, (parameter,)):
        rows.recorded[run_key, event_type, ref_seq] = payload


def _load_signal_ids(db: Connection, needs: Needs, rows: Rows) -> None:
    pairs = set()
    successors: dict[int, int] = {}  # a signal id counts for the run and for the one that it continues
    for namespace, workflow_id, run_key, signal_id in needs.signal_ids:
        if run_key is None:
            named = rows.named.get((namespace, workflow_id))
            run_key = named.run_key if named is not None else None
        if run_key is None:
            continue
        pairs.add((run_key, signal_id))
        run = rows.runs.get(run_key)
        if run is not None and run.continued_from is not None:
            before = int(run.continued_from.rpartition("-")[2])
            successors[before] = run_key
            pairs.add((before, signal_id))
    if not pairs:
        return
    source = db.dialect.records((("run_key", "bigint"), ("signal_id", "text")))
    sql = (
        f"SELECT s.run_key, s.signal_id, s.event_seq FROM {source} JOIN workflow_signals s "
        "ON s.run_key = x.run_key AND s.signal_id = x.signal_id"
    )
    for run_key, signal_id, seq in db.rows(sql, (db.dialect.records_of(("run_key", "signal_id"), sorted(pairs)),)):
        rows.signal_ids.setdefault((successors.get(run_key, run_key), signal_id), seq)


def _load_answers(db: Connection, wanted: set[tuple[str, str]], rows: Rows) -> None:
    source = db.dialect.records((("scope", "text"), ("key", "text")))
    sql = f"SELECT {ANSWERS.prefixed('k')} FROM {source} JOIN idempotency_keys k ON k.scope = x.scope AND k.key = x.key"
    rows.answers.update(dict.fromkeys(wanted))
    for row in db.rows(sql, (db.dialect.records_of(("scope", "key"), sorted(wanted)),)):
        answer = StoredAnswer._make(row)
        rows.answers[answer.scope, answer.key] = answer


def _load_workers(db: Connection, wanted: set[tuple[str, str]], rows: Rows) -> None:
    source = db.dialect.records((("namespace", "text"), ("worker_id", "text")))
    sql = (
        f"SELECT {WORKERS.prefixed('w')} FROM {source} JOIN workflow_workers w "
        "ON w.namespace = x.namespace AND w.worker_id = x.worker_id"
    )
    rows.workers.update(dict.fromkeys(wanted))
    for row in db.rows(sql, (db.dialect.records_of(("namespace", "worker_id"), sorted(wanted)),)):
        worker = Worker._make(row)
        rows.workers[worker.namespace, worker.worker_id] = worker
