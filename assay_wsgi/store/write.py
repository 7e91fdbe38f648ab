"""Write what a unit decided: each kind of row with one statement, always in the same order.

Runs that close come first, so that the open-run index has room for the new ones; each kind is sorted by
its key, so that two processes meet rows in the same order. New names and keys are inserted `ON CONFLICT
DO NOTHING`: one that somebody else took makes the unit begin again, never a unique violation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.model import Run
from . import attributes
from .connection import Connection
from .mapping import ACTIVITIES
from .mapping import ANSWERS
from .mapping import API_KEYS
from .mapping import ATTEMPTS
from .mapping import ATTRIBUTES
from .mapping import DEEDS
from .mapping import EVENTS
from .mapping import FOLLOWUPS
from .mapping import NAMESPACES
from .mapping import NOTICES
from .mapping import RUNS
from .mapping import SCHEDULES
from .mapping import SIGNALS
from .mapping import SNAPSHOTS
from .mapping import TASKS
from .mapping import TICKS
from .mapping import TIMERS
from .mapping import WORKERS
from .mapping import NamespaceRow
from .mapping import NoticeRow
from .mapping import Table
from .needs import KEYRING
from .needs import BeginAgain
from .rows import Rows
from .schedules import ScheduleRows

BELOW_A_RUN = (
    "workflow_attributes", "workflow_tasks", "workflow_events", "workflow_activities", "activity_attempts",
    "workflow_timers", "workflow_signals", "workflow_snapshots", "archive_jobs",
)  # fmt: skip


class WriteRefused(AssertionError):
    """A write touched another number of rows than it had: the map and the database disagree."""


def flush(db: Connection, rows: Rows, mark: int, now: float) -> None:
    """Write all rows but the notices, which come last of all. Raises BeginAgain."""
    told = {notice.run_key for notice in rows.notices}
    changed = [_marked(rows.runs[key], mark, told) for key in sorted(rows.changed_runs)]
    _update(db, RUNS, [run for run in changed if run.closed])
    if rows.dropped_namespaces:
        _drop_namespaces(db, rows.dropped_namespaces, now)
    if rows.created_namespaces:
        _insert_names(db, NAMESPACES, [NamespaceRow(*row) for row in sorted(rows.created_namespaces.items())])
    if rows.new_namespaces:
        _keep_namespaces(db, rows.new_namespaces)
    if rows.changed_workers:
        workers = [worker for key in sorted(rows.changed_workers) if (worker := rows.workers[key]) is not None]
        db.dialect.upsert(db, WORKERS, workers)
    _write_schedules(db, rows.schedules)
    new = [_marked(rows.runs[key], mark, told) for key in rows.new_runs]
    new.sort(key=lambda run: (run.namespace, run.workflow_id, run.run_key))
    _insert_names(db, RUNS, new)
    _insert(db, ATTRIBUTES, sorted(row for run in new for row in attributes.rows_of(run)))
    _update(db, RUNS, [run for run in changed if not run.closed])
    if rows.attributes_before:
        _upsert_attributes(db, rows)
    _insert(db, EVENTS, sorted(rows.events))
    _insert(db, ACTIVITIES, [rows.activities[key] for key in sorted(rows.new_activities)])
    _update(db, ACTIVITIES, [rows.activities[key] for key in sorted(rows.changed_activities)])
    _insert(db, TIMERS, [timer for key in sorted(rows.new_timers) if (timer := rows.timers[key]) is not None])
    _update(db, TIMERS, [timer for key in sorted(rows.changed_timers) if (timer := rows.timers[key]) is not None])
    _close_below(db, rows.closed, now)  # what the same unit has opened is closed, too
    _insert(db, ATTEMPTS, sorted(rows.attempts))
    _insert(db, SIGNALS, sorted(rows.signals))
    if rows.new_snapshots:
        db.dialect.upsert(db, SNAPSHOTS, [rows.new_snapshots[key] for key in sorted(rows.new_snapshots)])
    _write_tasks(db, rows)
    if rows.followups:
        db.dialect.insert(db, FOLLOWUPS, rows.followups)
    if rows.done_followups:
        done = db.dialect.list_of(sorted(rows.done_followups))
        db.run(f"DELETE FROM followups WHERE {db.dialect.in_list('id')}", (done,))
    _insert_names(db, ANSWERS, sorted(rows.new_answers))
    if rows.changed_keys and rows.api_keys is not None:
        db.dialect.upsert(db, API_KEYS, [rows.api_keys[key] for key in sorted(rows.changed_keys)])
        db.run("UPDATE meta SET value = ? WHERE name = ? AND value = ''", (repr(now), KEYRING))
    if rows.deeds:
        db.dialect.insert(db, DEEDS, rows.deeds)
    if rows.dropped_runs:
        _drop_runs(db, rows.dropped_runs)


def _drop_namespaces(db: Connection, names: set[str], now: float) -> None:
    """Remove namespaces; no run and no schedule stands in them. Their workers stay known, and keep to them."""
    parameter = (db.dialect.list_of(sorted(names)),)
    these = db.dialect.in_list("namespace")
    db.run(f"DELETE FROM queues WHERE {these}", parameter)
    db.run(f"UPDATE workflow_workers SET retired_at = ? WHERE retired_at IS NULL AND {these}", (now, *parameter))
    db.run(f"DELETE FROM namespaces WHERE {db.dialect.in_list('name')}", parameter)


def _drop_runs(db: Connection, run_keys: set[int]) -> None:
    """Remove runs with everything below them, and what was to be done for chains of which nothing is left."""
    parameter = (db.dialect.list_of(sorted(run_keys)),)
    chains = db.rows(f"SELECT DISTINCT first_run_key FROM workflows WHERE {db.dialect.in_list('run_key')}", parameter)
    for table in BELOW_A_RUN:
        db.run(f"DELETE FROM {table} WHERE {db.dialect.in_list('run_key')}", parameter)
    db.run(f"DELETE FROM workflows WHERE {db.dialect.in_list('run_key')}", parameter)
    db.run(
        f"DELETE FROM followups WHERE {db.dialect.in_list('run_key')} AND NOT EXISTS "
        "(SELECT 1 FROM workflows w WHERE w.run_key = followups.run_key) AND NOT EXISTS (SELECT 1 FROM workflows n "
        "WHERE n.first_run_key = followups.run_key AND n.continued_from IS NOT NULL)",
        (db.dialect.list_of(sorted(chain for (chain,) in chains)),),
    )


def _keep_namespaces(db: Connection, named: dict[str, float]) -> None:
    """Make the namespaces that are not there, and keep the others from being deleted before the commit."""
    there = db.rows(
        f"SELECT name FROM namespaces WHERE {db.dialect.in_list('name')} {db.dialect.keep_lock()}",
        (db.dialect.list_of(named),),
    )
    known = {name for (name,) in there}
    new = [NamespaceRow(name, at) for name, at in sorted(named.items()) if name not in known]
    if new:
        db.dialect.insert(db, NAMESPACES, new)


def insert_notices(db: Connection, rows: Rows, mark: int) -> None:
    """Write the feed's lines: the last rows of a unit."""
    if not rows.notices:
        return
    before = {run_key: run.feed_mark for run_key, run in rows.runs.items()}
    stored = [
        NoticeRow(
            max(mark, before.get(notice.run_key, 0)) if mark else None, notice.namespace, notice.workflow_id,
            notice.event_type, notice.payload, notice.created_at,
        )
        for notice in rows.notices
    ]  # fmt: skip
    db.dialect.insert(db, NOTICES, stored)


def _marked(run: Run, mark: int, told: set[int]) -> Run:
    """Set the run's mark where the feed is told of it, so that its notices keep their order."""
    if mark > run.feed_mark and run.run_key in told:
        return run._replace(feed_mark=mark)
    return run


def _upsert_attributes(db: Connection, rows: Rows) -> None:
    changed = [
        row
        for run_key, before in sorted(rows.attributes_before.items())
        if run_key in rows.runs
        for row in attributes.changed(rows.runs[run_key], before)
    ]
    db.dialect.upsert(db, ATTRIBUTES, changed)


def _close_below(db: Connection, closed: Sequence[int], now: float) -> None:
    if not closed:
        return
    below = db.dialect.in_list("run_key")
    keys = db.dialect.list_of(sorted(closed))
    db.run(
        "UPDATE workflow_activities SET status = 'CANCELLED', completed_at = ?, deadline_at = NULL, "
        f"cancel_requested = (1 = 1) WHERE {below} AND status IN ('PENDING', 'RUNNING')",
        (now, keys),
    )
    db.run(f"UPDATE workflow_timers SET status = 'CANCELLED' WHERE {below} AND status = 'PENDING'", (keys,))


def _write_schedules(db: Connection, schedules: ScheduleRows) -> None:
    """Write schedules and their ticks. Only a schedule's name may be another's meanwhile: its row's lock guards it."""
    new, changed, gone = schedules.written()
    parameter, of_these = (db.dialect.list_of(gone),), db.dialect.in_list("schedule_key")
    if gone:  # first: its name may be taken anew
        db.run(f"DELETE FROM workflow_schedules WHERE {of_these}", parameter)
    if new:
        _insert_names(db, SCHEDULES, new)
    _update(db, SCHEDULES, changed)
    new_ticks, changed_ticks = schedules.written_ticks()
    _insert(db, TICKS, new_ticks)
    _update(db, TICKS, changed_ticks)
    if gone:
        db.run(f"DELETE FROM schedule_runs WHERE state = 'buffered' AND {of_these}", parameter)


def _write_tasks(db: Connection, rows: Rows) -> None:
    kept = sorted(key for key in rows.changed_tasks if key in rows.tasks)
    gone = sorted(key for key in rows.changed_tasks if key not in rows.tasks and key in rows.tasks_in_database)
    _insert(db, TASKS, [rows.tasks[key] for key in kept if key not in rows.tasks_in_database])
    _update(db, TASKS, [rows.tasks[key] for key in kept if key in rows.tasks_in_database])
    if gone:
        db.run(f"DELETE FROM workflow_tasks WHERE {db.dialect.in_list('run_key')}", (db.dialect.list_of(gone),))


def _insert(db: Connection, table: Table, new: Sequence[Sequence[Any]]) -> None:
    """Insert rows that only the holder of their run's lock can make: none can be there."""
    if new and db.dialect.insert(db, table, new) != len(new):
        raise WriteRefused(f"{table.name}: a row to insert is there already")


def _insert_names(db: Connection, table: Table, new: Sequence[Sequence[Any]]) -> None:
    """Insert rows whose name or key another process may have taken meanwhile."""
    if new and db.dialect.insert(db, table, new) != len(new):
        raise BeginAgain


def _update(db: Connection, table: Table, changed: Sequence[Sequence[Any]]) -> None:
    if changed and db.dialect.update(db, table, changed) != len(changed):
        raise WriteRefused(f"{table.name}: a row to update is not there")
