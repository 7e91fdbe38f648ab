"""Checks of fsck on schedules and their ticks."""

from __future__ import annotations

from .checks import OPEN
from .checks import Check

SCHEDULES = (
    Check(
        "tick_state",
        "a tick waits, has started a run under a policy, or was skipped for a reason",
        "SELECT schedule_key, tick, state, run_key, reason FROM schedule_runs "
        "WHERE state NOT IN ('buffered', 'started', 'skipped') OR origin NOT IN ('cron', 'trigger', 'backfill') "
        "OR (state = 'started') <> (run_key IS NOT NULL) OR (state = 'skipped') <> (reason IS NOT NULL) "
        "OR (state = 'started' AND overlap_policy IS NULL)",
    ),
    Check(
        "tick_run",
        "the run that a tick has started is the first of a chain of its schedule, and no other tick's",
        "SELECT r.schedule_key, r.tick, r.run_key FROM schedule_runs r JOIN workflows w ON w.run_key = r.run_key "
        "WHERE COALESCE(w.schedule_key, 0) <> r.schedule_key OR w.continued_from IS NOT NULL "
        "UNION ALL SELECT MIN(schedule_key), MIN(tick), run_key FROM schedule_runs WHERE run_key IS NOT NULL "
        "GROUP BY run_key HAVING COUNT(*) > 1",
    ),
    Check(
        "scheduled_chain",
        "a run is the schedule's whose run it continues",
        "SELECT n.run_key, n.schedule_key, w.schedule_key AS of_previous FROM workflows n "
        "JOIN workflows w ON w.run_id = n.continued_from "
        "WHERE COALESCE(n.schedule_key, 0) <> COALESCE(w.schedule_key, 0)",
    ),
    Check(
        "overlap",
        "of a schedule's runs that started because no other was open, one is open at most",
        "SELECT r.schedule_key, COUNT(*) AS runs FROM workflows w JOIN schedule_runs r ON r.run_key = w.first_run_key "
        f"WHERE w.schedule_key IS NOT NULL AND w.status IN {OPEN} AND r.overlap_policy <> 'allow_all' "
        "GROUP BY r.schedule_key HAVING COUNT(*) > 1",
    ),
    Check(
        "buffered",
        "a schedule knows how many of its ticks wait, and none waits for a schedule that is gone",
        "SELECT s.schedule_key, s.buffered, COUNT(r.tick) AS waiting FROM workflow_schedules s "
        "LEFT JOIN schedule_runs r ON r.schedule_key = s.schedule_key AND r.state = 'buffered' "
        "GROUP BY s.schedule_key, s.buffered HAVING COUNT(r.tick) <> s.buffered "
        "UNION ALL SELECT r.schedule_key, 0, COUNT(*) FROM schedule_runs r WHERE r.state = 'buffered' AND NOT EXISTS "
        "(SELECT 1 FROM workflow_schedules s WHERE s.schedule_key = r.schedule_key) GROUP BY r.schedule_key",
    ),
    Check(
        "schedule_due",
        "a schedule is looked at when its next tick comes, unless it failed; a paused one has none, nor one that waits",
        "SELECT s.schedule_key, s.paused, s.next_run_at, s.due_at FROM workflow_schedules s "
        "WHERE (s.next_run_at IS NOT NULL AND (s.paused OR s.due_at IS NULL)) "
        "OR (s.error IS NULL AND s.next_run_at < s.due_at) "
        "OR (s.paused AND EXISTS (SELECT 1 FROM schedule_runs r WHERE r.schedule_key = s.schedule_key "
        "AND r.state = 'buffered' AND r.origin = 'cron'))",
    ),
)

OVERDUE_SCHEDULES = (
    Check(
        "overdue_schedule",
        "a tick was due and nobody took it",
        "SELECT schedule_key, name, due_at FROM workflow_schedules WHERE due_at < ?",
        timed=True,
    ),
)
