"""What must always be true of a database, as queries that find nothing: `assay fsck`, and every test's end.

Each check is one SELECT in the common subset whose rows are the offenders, their key first. All of them see
one snapshot, so a database may be checked while it works. A rule that only a worker's good manners keep
(a turn that parks on nothing) is no check. `tests/store/test_fsck.py` plants an offender for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from .checks import OPEN
from .checks import Check
from .connection import Connection
from .families import CHAINS
from .families import FAMILIES
from .ticks import OVERDUE_SCHEDULES
from .ticks import SCHEDULES

if TYPE_CHECKING:
    from .store import Store

_SHOWN = 10
_TERMINAL = (
    "('WorkflowCompleted', 'WorkflowFailed', 'WorkflowCancelled', 'WorkflowTerminated', 'WorkflowTimedOut', "
    "'WorkflowContinuedAsNew')"
)
_WAKING = (
    "('WorkflowStarted', 'ActivityCompleted', 'ActivityFailed', 'TimerFired', 'SignalReceived', "
    "'ChildWorkflowCompleted', 'ChildWorkflowFailed', 'WorkflowCancelRequested')"
)
_OF_ACTIVITIES = "('ActivityScheduled', 'ActivityCompleted', 'ActivityFailed', 'ActivityCancelled')"
_OF_TIMERS = "('TimerScheduled', 'TimerFired', 'TimerCancelled')"
_EVENTS_OF = "JOIN workflow_events e ON e.run_key = w.run_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that this database breaks."""

    name: str
    text: str  # the rule
    rows: tuple[tuple[Any, ...], ...]  # the first ten offenders, their key first
    count: int  # how many there are


Tell = Callable[[int, int], None]  # rules checked, of how many


def untold(_done: int, _whole: int) -> None:
    """Tell nobody."""


def check(store: Store, *, slack_secs: float | None = None, tell: Tell = untold) -> list[Finding]:
    """Look for broken rules in a database, live or not. Changes nothing.

    With `slack_secs` also look for what has been due for longer than that: it means that nobody is at work.
    """
    overdue = None if slack_secs is None else store.now() - slack_secs
    one_snapshot = "" if store.dialect.name == "sqlite" else "ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    with store.read() as db:
        db.begin(one_snapshot)
        try:
            if one_snapshot:  # no time-out; and whole tables are joined here, where elsewhere it is rows by their keys
                for setting in ("statement_timeout = 0", "enable_hashjoin = on", "enable_mergejoin = on"):
                    db.run(f"SET LOCAL {setting}")
            return examine(db, overdue=overdue, tell=tell)
        finally:
            db.rollback()


def examine(db: Connection, *, overdue: float | None = None, tell: Tell = untold) -> list[Finding]:
    """Look for broken rules through a connection, in the transaction that it is in."""
    findings = []
    for done, each in enumerate(CHECKS):
        tell(done, len(CHECKS))
        if each.only not in (None, db.dialect.name) or (each.timed and overdue is None):
            continue
        params = (overdue,) if each.timed else ()
        rows = db.rows(f"SELECT * FROM ({each.sql}) AS found LIMIT {_SHOWN + 1}", params)
        if not rows:
            continue
        count = len(rows)
        if count > _SHOWN:
            count = db.one(f"SELECT COUNT(*) FROM ({each.sql}) AS found", params)[0]
        shown = tuple(tuple(row) for row in rows[:_SHOWN])
        findings.append(Finding(name=each.name, text=each.text, rows=shown, count=count))
    return findings


_HISTORY = (
    Check(
        "history_gapless",
        "a run's events are numbered 1..last_seq without a gap",
        "SELECT w.run_key, w.last_seq, COUNT(e.seq) AS events, MIN(e.seq) AS first, MAX(e.seq) AS last "
        f"FROM workflows w LEFT {_EVENTS_OF} WHERE w.archived_at IS NULL GROUP BY w.run_key, w.last_seq "
        "HAVING COUNT(e.seq) = 0 OR COUNT(e.seq) <> w.last_seq OR MIN(e.seq) <> 1 "
        "OR MAX(e.seq) <> w.last_seq",
    ),
    Check(
        "history_begins",
        "the first event of a run, and no other, is WorkflowStarted",
        "SELECT run_key, seq, event_type FROM workflow_events WHERE (seq = 1) <> (event_type = 'WorkflowStarted')",
    ),
    Check(
        "history_time",
        "time does not go back within a history",
        "SELECT e.run_key, e.seq, e.timestamp, n.timestamp AS following FROM workflow_events e "
        "JOIN workflow_events n ON n.run_key = e.run_key AND n.seq = e.seq + 1 "
        "WHERE n.timestamp < e.timestamp",
    ),
    Check(
        "updated_at",
        "a run was last changed at its newest event, or later",
        f"SELECT w.run_key, w.updated_at, e.timestamp FROM workflows w {_EVENTS_OF} "
        "AND e.seq = w.last_seq WHERE e.timestamp > w.updated_at",
    ),
    Check(
        "terminal_event",
        "a closed run has exactly one terminal event, an open one has none",
        f"SELECT w.run_key, w.status, COUNT(e.seq) AS events FROM workflows w LEFT {_EVENTS_OF} "
        f"AND e.event_type IN {_TERMINAL} WHERE w.archived_at IS NULL GROUP BY w.run_key, w.status "
        f"HAVING COUNT(e.seq) <> CASE WHEN w.status IN {OPEN} THEN 0 ELSE 1 END",
    ),
    Check(
        "terminal_last",
        "nothing happens after the terminal event",
        f"SELECT w.run_key, e.seq, w.last_seq FROM workflows w {_EVENTS_OF} "
        f"WHERE e.event_type IN {_TERMINAL} AND e.seq <> w.last_seq",
    ),
    Check(
        "terminal_type",
        "status and close_reason are those of the terminal event",
        f"SELECT w.run_key, e.event_type, w.status, w.close_reason FROM workflows w {_EVENTS_OF} "
        f"WHERE e.event_type IN {_TERMINAL} AND w.status || ' ' || COALESCE(w.close_reason, '-') <> "
        "CASE e.event_type WHEN 'WorkflowCompleted' THEN 'COMPLETED completed' "
        "WHEN 'WorkflowFailed' THEN 'FAILED failed' WHEN 'WorkflowCancelled' THEN 'CANCELLED cancelled' "
        "WHEN 'WorkflowTerminated' THEN 'FAILED terminated' "
        "WHEN 'WorkflowTimedOut' THEN 'TIMED_OUT timed_out' "
        "ELSE 'COMPLETED continued_as_new' END",
    ),
    Check(
        "recorded_once",
        "a side effect, and a numbered attribute upsert, is recorded once",
        "SELECT run_key, event_type, ref_seq, COUNT(*) AS events FROM workflow_events "
        "WHERE event_type = 'SideEffectRecorded' OR (event_type = 'SearchAttributesUpserted' "
        "AND ref_seq IS NOT NULL) GROUP BY run_key, event_type, ref_seq "
        "HAVING COUNT(*) > 1 OR ref_seq IS NULL",
    ),
    Check(
        "cancel_once",
        "a cancel request is one event, and the run knows of it",
        f"SELECT w.run_key, w.cancel_seq, w.cancel_requested_at, COUNT(e.seq) AS events "
        f"FROM workflows w {_EVENTS_OF} AND e.event_type = 'WorkflowCancelRequested' "
        "GROUP BY w.run_key, w.cancel_seq, w.cancel_requested_at "
        "HAVING COUNT(e.seq) > 1 OR w.cancel_requested_at IS NULL OR w.cancel_seq <> MAX(e.seq)",
    ),
)

_RUNS = (
    Check(
        "run_status",
        "a run's status is one of the six that are stored",
        "SELECT run_key, status FROM workflows "
        "WHERE status NOT IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT')",
    ),
    Check(
        "closed_fields",
        "a run has completed_at and close_reason exactly when it is closed",
        "SELECT run_key, status, close_reason, completed_at FROM workflows "
        f"WHERE (status IN {OPEN}) <> (completed_at IS NULL) "
        f"OR (status IN {OPEN}) <> (close_reason IS NULL)",
    ),
    Check(
        "closed_deadline",
        "a closed run has no time-out before it",
        f"SELECT run_key, status, deadline_at FROM workflows WHERE status NOT IN {OPEN} AND deadline_at IS NOT NULL",
    ),
    Check(
        "one_open_run",
        "at most one run of an id is open",
        "SELECT namespace, workflow_id, COUNT(*) AS runs FROM workflows "
        f"WHERE status IN {OPEN} GROUP BY namespace, workflow_id HAVING COUNT(*) > 1",
    ),
    Check(
        "pending_seen",
        "a run of which a turn was accepted is not PENDING",
        "SELECT run_key, seen_seq FROM workflows WHERE status = 'PENDING' AND seen_seq > 0",
    ),
    Check(
        "counters",
        "wake_seq, seen_seq and signal_seq name events of the run",
        "SELECT run_key, last_seq, wake_seq, seen_seq, signal_seq FROM workflows WHERE wake_seq < 1 "
        "OR wake_seq > last_seq OR seen_seq < 0 OR seen_seq > last_seq OR signal_seq < 0 "
        "OR signal_seq > last_seq",
    ),
    Check(
        "signal_seq",
        "signal_seq of an open run is its newest signal or cancel request",
        f"SELECT w.run_key, w.signal_seq, MAX(e.seq) AS newest FROM workflows w LEFT {_EVENTS_OF} "
        f"AND e.event_type IN ('SignalReceived', 'WorkflowCancelRequested') WHERE w.status IN {OPEN} "
        "GROUP BY w.run_key, w.signal_seq HAVING w.signal_seq <> COALESCE(MAX(e.seq), 0)",
    ),
    Check(
        "run_deadline",
        "an open run is looked at when the first of its times is over, and has a deadline for no other reason",
        f"SELECT run_key, deadline_at, run_deadline_at, chain_deadline_at FROM workflows WHERE status IN {OPEN} "
        "AND (COALESCE(deadline_at, 1e18) > COALESCE(run_deadline_at, 1e18) "
        "OR COALESCE(deadline_at, 1e18) > COALESCE(chain_deadline_at, 1e18) "
        "OR (deadline_at IS NULL AND cancel_seq > seen_seq) "
        "OR (deadline_at IS NOT NULL AND run_deadline_at IS NULL AND chain_deadline_at IS NULL "
        "AND cancel_requested_at IS NULL))",
    ),
    Check(
        "archived",
        "an archived run is closed, and it is known where its archive is",
        "SELECT run_key, status, archive_uri FROM workflows WHERE archived_at IS NOT NULL "
        f"AND (status IN {OPEN} OR archive_uri IS NULL)",
    ),
    Check(
        "archive_job",
        "an archive counts as verified only with its object, its hash and all events of its run",
        "SELECT j.run_key, j.state, j.last_seq, w.last_seq AS of_run FROM archive_jobs j "
        "LEFT JOIN workflows w ON w.run_key = j.run_key WHERE j.state IN ('verified', 'purged') AND "
        "(j.verified_at IS NULL OR j.sha256 IS NULL OR j.object_key IS NULL OR j.last_seq <> w.last_seq)",
    ),
    Check(
        "snapshot_seq",
        "a snapshot was taken at an event of its run",
        "SELECT s.run_key, s.event_seq, w.last_seq FROM workflow_snapshots s "
        "JOIN workflows w ON w.run_key = s.run_key WHERE s.event_seq < 1 OR s.event_seq > w.last_seq",
    ),
)

_TASKS = (
    Check(
        "wake_behind",
        "no event that a worker must see is newer than its run's wake_seq",
        f"SELECT w.run_key, w.wake_seq, MAX(e.seq) AS newest FROM workflows w {_EVENTS_OF} "
        f"AND e.seq > w.wake_seq AND e.event_type IN {_WAKING} WHERE w.status IN {OPEN} "
        "GROUP BY w.run_key, w.wake_seq",
    ),
    Check(
        "lost_wakeup",
        "an open run with an event that no turn has seen is ready or leased",
        f"SELECT w.run_key, w.wake_seq, w.seen_seq FROM workflows w WHERE w.status IN {OPEN} "
        "AND w.wake_seq > w.seen_seq "
        "AND NOT EXISTS (SELECT 1 FROM workflow_tasks t WHERE t.run_key = w.run_key)",
    ),
    Check(
        "parked_untold",
        "an open run that is neither ready nor leased was parked by a turn, which said on what",
        f"SELECT w.run_key, w.seen_seq FROM workflows w WHERE w.status IN {OPEN} AND w.waiting_for IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM workflow_tasks t WHERE t.run_key = w.run_key)",
    ),
    Check(
        "task_of_closed_run",
        "a closed run is neither ready nor leased",
        "SELECT t.run_key, w.status, t.owner FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key "
        f"WHERE w.status NOT IN {OPEN}",
    ),
    Check(
        "task_lease",
        "a leased task has an owner, a deadline and the seq it was claimed at; a ready one has none of it",
        "SELECT run_key, owner, session, exchange, claimed_seq, deadline_at FROM workflow_tasks "
        "WHERE (token IS NULL AND (owner IS NOT NULL OR session IS NOT NULL OR exchange IS NOT NULL "
        "OR claimed_seq IS NOT NULL OR deadline_at IS NOT NULL)) "
        "OR (token IS NOT NULL AND (owner IS NULL OR claimed_seq IS NULL OR deadline_at IS NULL))",
    ),
    Check(
        "task_claim",
        "a lease is on a run that has begun, at an event between what was seen and the newest",
        "SELECT t.run_key, t.claimed_seq, w.seen_seq, w.last_seq, w.status FROM workflow_tasks t "
        "JOIN workflows w ON w.run_key = t.run_key WHERE t.token IS NOT NULL AND (w.status = 'PENDING' "
        "OR t.claimed_seq < 1 OR t.claimed_seq < w.seen_seq OR t.claimed_seq > w.last_seq)",
    ),
    Check(
        "task_copy",
        "a task is in the namespace, queue and type of its run",
        "SELECT t.run_key, t.namespace, t.task_queue, t.workflow_type FROM workflow_tasks t "
        "JOIN workflows w ON w.run_key = t.run_key WHERE t.namespace <> w.namespace "
        "OR t.task_queue <> w.task_queue OR t.workflow_type <> w.workflow_type",
    ),
    Check(
        "task_paused",
        "a task is paused exactly when its run is",
        "SELECT t.run_key, t.paused, w.paused AS of_run FROM workflow_tasks t "
        "JOIN workflows w ON w.run_key = t.run_key WHERE t.paused <> (w.paused IS NOT NULL)",
    ),
)

_ACTIVITIES = (
    Check(
        "activity_status",
        "an activity's status is one of five",
        "SELECT activity_key, status FROM workflow_activities "
        "WHERE status NOT IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')",
    ),
    Check(
        "activity_events",
        "an activity has one ActivityScheduled and, once it has an outcome, the one event that tells it",
        "SELECT a.activity_key, a.run_key, a.seq, a.status, COUNT(e.seq) AS events "
        "FROM workflow_activities a "
        "JOIN workflows w ON w.run_key = a.run_key LEFT JOIN workflow_events e ON e.run_key = a.run_key "
        f"AND e.ref_seq = a.seq AND e.event_type IN {_OF_ACTIVITIES} WHERE w.archived_at IS NULL "
        "GROUP BY a.activity_key, a.run_key, a.seq, a.status HAVING "
        "COUNT(CASE WHEN e.event_type = 'ActivityScheduled' THEN 1 END) <> 1 "
        "OR COUNT(CASE WHEN e.event_type = 'ActivityCompleted' THEN 1 END) "
        "<> CASE WHEN a.status = 'COMPLETED' THEN 1 ELSE 0 END "
        "OR COUNT(CASE WHEN e.event_type = 'ActivityFailed' THEN 1 END) "
        "<> CASE WHEN a.status = 'FAILED' THEN 1 ELSE 0 END "
        "OR COUNT(CASE WHEN e.event_type = 'ActivityCancelled' THEN 1 END) "
        "> CASE WHEN a.status = 'CANCELLED' THEN 1 ELSE 0 END",
    ),
    Check(
        "cancelled_untold",
        "in the history of an open run stands which of its activities and timers were cancelled",
        "SELECT a.run_key, a.seq, 'activity' AS kind FROM workflow_activities a JOIN workflows w "
        f"ON w.run_key = a.run_key WHERE a.status = 'CANCELLED' AND w.status IN {OPEN} AND NOT EXISTS (SELECT 1 "
        "FROM workflow_events e WHERE e.run_key = a.run_key AND e.ref_seq = a.seq "
        "AND e.event_type = 'ActivityCancelled') UNION ALL "
        "SELECT t.run_key, t.seq, 'timer' AS kind FROM workflow_timers t JOIN workflows w "
        f"ON w.run_key = t.run_key WHERE t.status = 'CANCELLED' AND w.status IN {OPEN} AND NOT EXISTS (SELECT 1 "
        "FROM workflow_events e WHERE e.run_key = t.run_key AND e.ref_seq = t.seq "
        "AND e.event_type = 'TimerCancelled')",
    ),
    Check(
        "activity_of_event",
        "an event about an activity names one that there is",
        "SELECT e.run_key, e.seq, e.event_type, e.ref_seq FROM workflow_events e "
        "JOIN workflows w ON w.run_key = e.run_key LEFT JOIN workflow_activities a "
        "ON a.run_key = e.run_key AND a.seq = e.ref_seq "
        f"WHERE e.event_type IN {_OF_ACTIVITIES} AND w.archived_at IS NULL AND a.activity_key IS NULL",
    ),
    Check(
        "activity_attempt",
        "attempts are counted from 1 to max_attempts (0 = no end)",
        "SELECT activity_key, attempt, max_attempts FROM workflow_activities WHERE attempt < 1 "
        "OR max_attempts < 0 OR (max_attempts > 0 AND attempt > max_attempts)",
    ),
    Check(
        "activity_lease",
        "a running activity has a token, an owner and a start, which was not before it was to be handed out",
        "SELECT activity_key, owner, started_at, visible_at FROM workflow_activities "
        "WHERE status = 'RUNNING' "
        "AND (token IS NULL OR owner IS NULL OR started_at IS NULL OR started_at < visible_at)",
    ),
    Check(
        "activity_deadline",
        "an activity has a deadline exactly while a time-out of it applies",
        "SELECT activity_key, status, deadline_at FROM workflow_activities "
        "WHERE (deadline_at IS NOT NULL) <> CASE status WHEN 'RUNNING' "
        "THEN (start_to_close_secs IS NOT NULL OR heartbeat_timeout_secs IS NOT NULL "
        "OR schedule_to_close_secs IS NOT NULL) WHEN 'PENDING' THEN (schedule_to_start_secs IS NOT NULL "
        "OR schedule_to_close_secs IS NOT NULL) ELSE (1 = 0) END",
    ),
    Check(
        "activity_completed_at",
        "an activity has completed_at exactly when it is over",
        "SELECT activity_key, status, completed_at FROM workflow_activities "
        f"WHERE (status IN {OPEN}) <> (completed_at IS NULL)",
    ),
    Check(
        "activity_namespace",
        "an activity is in the namespace of its run",
        "SELECT a.activity_key, a.namespace, w.namespace AS of_run FROM workflow_activities a "
        "JOIN workflows w ON w.run_key = a.run_key WHERE a.namespace <> w.namespace",
    ),
    Check(
        "failed_attempts",
        "a failed attempt is one that its activity has had, and is not at work or to come",
        "SELECT f.activity_key, f.attempt, a.attempt AS present, a.status FROM activity_attempts f "
        "JOIN workflow_activities a ON a.activity_key = f.activity_key WHERE f.attempt < 1 "
        "OR f.attempt > a.attempt OR f.run_key <> a.run_key "
        "OR (f.attempt = a.attempt AND a.status IN ('PENDING', 'RUNNING', 'COMPLETED'))",
    ),
    Check(
        "open_below_closed",
        "below a closed run no activity and no timer is open",
        "SELECT w.run_key, 'activity' AS kind, a.seq FROM workflows w "
        f"JOIN workflow_activities a ON a.run_key = w.run_key AND a.status IN {OPEN} "
        f"WHERE w.status NOT IN {OPEN} UNION ALL SELECT w.run_key, 'timer' AS kind, t.seq FROM workflows w "
        "JOIN workflow_timers t ON t.run_key = w.run_key AND t.status = 'PENDING' "
        f"WHERE w.status NOT IN {OPEN}",
    ),
)

_TIMERS_AND_SIGNALS = (
    Check(
        "timer_status",
        "a timer is PENDING, FIRED or CANCELLED, in the namespace of its run",
        "SELECT t.run_key, t.seq, t.status, t.namespace FROM workflow_timers t "
        "JOIN workflows w ON w.run_key = t.run_key "
        "WHERE t.status NOT IN ('PENDING', 'FIRED', 'CANCELLED') OR t.namespace <> w.namespace",
    ),
    Check(
        "timer_events",
        "a timer has one TimerScheduled, and one TimerFired exactly when it has fired, not before its time",
        "SELECT t.run_key, t.seq, t.status, COUNT(e.seq) AS events FROM workflow_timers t "
        "JOIN workflows w ON w.run_key = t.run_key LEFT JOIN workflow_events e ON e.run_key = t.run_key "
        f"AND e.ref_seq = t.seq AND e.event_type IN {_OF_TIMERS} WHERE w.archived_at IS NULL "
        "GROUP BY t.run_key, t.seq, t.status, t.fire_at HAVING "
        "COUNT(CASE WHEN e.event_type = 'TimerScheduled' THEN 1 END) <> 1 "
        "OR COUNT(CASE WHEN e.event_type = 'TimerFired' THEN 1 END) "
        "<> CASE WHEN t.status = 'FIRED' THEN 1 ELSE 0 END "
        "OR COUNT(CASE WHEN e.event_type = 'TimerCancelled' THEN 1 END) "
        "> CASE WHEN t.status = 'CANCELLED' THEN 1 ELSE 0 END "
        "OR MIN(CASE WHEN e.event_type = 'TimerFired' THEN e.timestamp END) < t.fire_at",
    ),
    Check(
        "timer_of_event",
        "an event about a timer names one that there is",
        "SELECT e.run_key, e.seq, e.event_type, e.ref_seq FROM workflow_events e "
        "JOIN workflows w ON w.run_key = e.run_key LEFT JOIN workflow_timers t "
        "ON t.run_key = e.run_key AND t.seq = e.ref_seq "
        f"WHERE e.event_type IN {_OF_TIMERS} AND w.archived_at IS NULL AND t.run_key IS NULL",
    ),
    Check(
        "signal_of_event",
        "signals and SignalReceived events belong to each other, one to one",
        "SELECT e.run_key, e.seq FROM workflow_events e JOIN workflows w ON w.run_key = e.run_key "
        "LEFT JOIN workflow_signals s ON s.run_key = e.run_key AND s.event_seq = e.seq "
        "WHERE e.event_type = 'SignalReceived' AND w.archived_at IS NULL AND s.run_key IS NULL "
        "UNION ALL SELECT s.run_key, s.event_seq FROM workflow_signals s "
        "JOIN workflows w ON w.run_key = s.run_key LEFT JOIN workflow_events e ON e.run_key = s.run_key "
        "AND e.seq = s.event_seq AND e.event_type = 'SignalReceived' "
        "WHERE w.archived_at IS NULL AND e.run_key IS NULL",
    ),
)


def _leased_elsewhere(table: str, key: str, held: str) -> str:
    return (
        f"SELECT l.{key}, '{table}' AS kind, l.owner, l.namespace FROM {table} l WHERE {held} AND l.session IS NULL "
        "AND EXISTS (SELECT 1 FROM workflow_workers w WHERE w.worker_id = l.owner AND w.session IS NULL) "
        "AND NOT EXISTS (SELECT 1 FROM workflow_workers w WHERE w.worker_id = l.owner AND w.namespace = l.namespace)"
    )


_WORKERS = (
    Check(
        "lease_namespace",
        "a registered worker that polls holds leases in the namespaces where it is known, and nowhere else",
        _leased_elsewhere("workflow_tasks", "run_key", "l.token IS NOT NULL")
        + " UNION ALL "
        + _leased_elsewhere("workflow_activities", "activity_key", "l.status = 'RUNNING'"),
    ),
)


def _without(parent: str, key: str, *tables: str) -> str:
    return " UNION ALL ".join(
        f"SELECT b.{key}, '{table}' AS kind FROM {table} b "
        f"WHERE NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = b.{key})"
        for table in tables
    )


_ATTRIBUTES = {
    "sqlite": ("json_each(w.search_attributes)", "j.type = 'text'", "j.value"),
    "postgres": (
        "LATERAL json_each(w.search_attributes::json)", "json_typeof(j.value) = 'string'", "(j.value #>> '{}')",
    ),
}  # fmt: skip


def _attributes(dialect: str) -> Check:
    """Names and texts are compared; how other values are written is not known here."""
    members, is_text, text = _ATTRIBUTES[dialect]
    return Check(
        "attributes",
        "a run is found by the search attributes that it has, and by no others",
        f"SELECT w.run_key, j.key FROM workflows w CROSS JOIN {members} j LEFT JOIN workflow_attributes a "
        "ON a.run_key = w.run_key AND a.name = j.key WHERE a.run_key IS NULL OR a.namespace <> w.namespace "
        f"OR a.created_at <> w.created_at OR ({is_text} AND a.value || a.rest <> 's' || {text}) "
        "OR (substr(a.value, 1, 1) = 's' AND NOT "
        f"{is_text}) UNION ALL SELECT a.run_key, a.name FROM workflow_attributes a JOIN workflows w "
        f"ON w.run_key = a.run_key WHERE NOT EXISTS (SELECT 1 FROM {members} j WHERE j.key = a.name)",
        only=dialect,
    )


_BELOW_RUNS = (
    "workflow_attributes", "workflow_tasks", "workflow_events", "workflow_activities", "workflow_timers",
    "workflow_signals", "workflow_snapshots",
)  # fmt: skip

_DATABASE = (
    _attributes("sqlite"),
    _attributes("postgres"),
    Check(
        "meta",
        "the database knows its version and its names",
        "SELECT n.name FROM (SELECT 'schema_version' AS name UNION ALL SELECT 'schema_hash' UNION ALL "
        "SELECT 'store_id' UNION ALL SELECT 'epoch' UNION ALL SELECT 'first_key_made') n "
        "WHERE NOT EXISTS (SELECT 1 FROM meta m WHERE m.name = n.name)",
    ),
    Check(
        "orphans",
        "what hangs below a run or an activity has it",
        _without("workflows", "run_key", *_BELOW_RUNS)
        + " UNION ALL "
        + _without("workflow_activities", "activity_key", "activity_attempts"),
    ),
    Check(
        "namespaces",
        "the namespaces of runs and schedules exist",
        "SELECT u.namespace FROM (SELECT namespace FROM workflows "
        "UNION SELECT namespace FROM workflow_schedules) u "
        "WHERE NOT EXISTS (SELECT 1 FROM namespaces n WHERE n.name = u.namespace)",
    ),
    Check(
        "keys",
        "every key in use is below the next block of keys",
        "SELECT k.newest, k.kind FROM (SELECT MAX(run_key) AS newest, 'run' AS kind FROM workflows "
        "UNION ALL SELECT MAX(activity_key), 'activity' FROM workflow_activities "
        "UNION ALL SELECT MAX(timer_key), 'timer' FROM workflow_timers "
        "UNION ALL SELECT MAX(schedule_key), 'schedule' FROM workflow_schedules) k "
        "WHERE k.newest >= COALESCE((SELECT next_key FROM key_blocks WHERE name = 'keys'), 0)",
    ),
    Check(
        "api_keys",
        "where there is an API key, the database knows that one was made; one that was replaced has an end",
        "SELECT prefix, created_at, expires_at, replaced_by FROM api_keys WHERE NOT EXISTS "
        "(SELECT 1 FROM meta m WHERE m.name = 'first_key_made' AND m.value <> '') "
        "OR expires_at < created_at OR revoked_at < created_at OR replaced_by = prefix "
        "OR (replaced_by IS NOT NULL AND expires_at IS NULL)",
    ),
    Check(
        "notice_mark",
        "every notice has the mark by which the feed finds it",
        "SELECT id, event_type FROM notices WHERE mark IS NULL",
        only="postgres",
    ),
)

_OVERDUE = (
    Check(
        "overdue_lease",
        "the lease of a workflow task ran out and nobody took it back",
        "SELECT run_key, owner, deadline_at FROM workflow_tasks WHERE token IS NOT NULL AND deadline_at < ?",
        timed=True,
    ),
    Check(
        "overdue_activity",
        "the time of an activity was up and nobody noticed",
        "SELECT activity_key, owner, deadline_at FROM workflow_activities WHERE deadline_at < ?",
        timed=True,
    ),
    Check(
        "overdue_timer",
        "a timer was due and did not fire",
        "SELECT run_key, seq, fire_at FROM workflow_timers WHERE status = 'PENDING' AND fire_at < ?",
        timed=True,
    ),
    Check(
        "overdue_run",
        "the time of a run was up and nobody noticed",
        "SELECT run_key, deadline_at FROM workflows WHERE deadline_at < ?",
        timed=True,
    ),
    Check(
        "overdue_followup",
        "work on other runs was due and nobody did it",
        "SELECT run_key, kind, due_at FROM followups WHERE due_at < ?",
        timed=True,
    ),
)

CHECKS: tuple[Check, ...] = (
    *_HISTORY,
    *_RUNS,
    *CHAINS,
    *FAMILIES,
    *SCHEDULES,
    *_TASKS,
    *_ACTIVITIES,
    *_TIMERS_AND_SIGNALS,
    *_WORKERS,
    *_DATABASE,
    *_OVERDUE,
    *OVERDUE_SCHEDULES,
)
