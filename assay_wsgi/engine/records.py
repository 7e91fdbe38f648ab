"""What the engine shows: a row as the record that callers get, a lease as the task that a worker gets.

Records carry payloads as JSON text; tasks carry them decoded (ready to embed), but for an activity's input
in the record that polls answer: it is text there, too (assay's wire).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.model import Activity
from ..domain.model import Run
from ..domain.model import Schedule
from ..domain.notices import Cursor
from ..jsontext import embed
from ..jsontext import loads
from ..store import reads
from ..store.claims import ClaimedActivity
from ..store.claims import ClaimedRun
from ..store.feed import Told

LONG_HISTORY = 10_240  # events: from here on a run had better continue as new

History = Sequence[tuple[int, str, str | None, float]]


def run_record(seen: reads.SeenRun) -> dict[str, Any]:
    """Show a run."""
    run: Run = seen.run
    return {
        "id": run.workflow_id,
        "namespace": run.namespace,
        "run_id": run.run_id,
        "workflow_type": run.workflow_type,
        "task_queue": run.task_queue,
        "status": run.status,
        "close_reason": run.close_reason,
        "input": run.input,
        "result": run.result,
        "error": run.error,
        "parent_id": seen.parent_id,
        "claimed_by": seen.claimed_by,
        "search_attributes": run.search_attributes,
        "paused": _decoded(run.paused),
        "waiting_for": _decoded(run.waiting_for),
        "task_failure": _decoded(run.task_failure),
        "cancel_requested_at": run.cancel_requested_at,
        "deadline_at": run.deadline_at,
        "parent_close": run.parent_close,
        "continued_from": run.continued_from,
        "continued_to": run.continued_to,
        "first_run_id": run.first_run_id,
        "last_seq": run.last_seq,
        "archived_at": run.archived_at,
        "archive_uri": run.archive_uri,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "completed_at": run.completed_at,
    }


def _decoded(text: str | None) -> Any:
    return None if text is None else loads(text)


def event_record(run: Run, seq: int, event_type: str, payload: str | None, timestamp: float) -> dict[str, Any]:
    """Show an event of a run."""
    return {
        "id": (run.run_key << 16) + seq,
        "workflow_id": run.workflow_id,
        "run_id": run.run_id,
        "seq": seq,
        "event_type": event_type,
        "payload": payload,
        "timestamp": timestamp,
    }


def activity_record(activity: Activity, run: Run) -> dict[str, Any]:
    """Show an activity of a run."""
    return _activity(activity, run.workflow_id, run.run_id)


def _activity(activity: Activity, workflow_id: str, run_id: str) -> dict[str, Any]:
    return {
        "id": activity.activity_key,
        "workflow_id": workflow_id,
        "run_id": run_id,
        "namespace": activity.namespace,
        "seq": activity.seq,
        "name": activity.name,
        "task_queue": activity.task_queue,
        "input": activity.input,
        "status": activity.status,
        "result": activity.result,
        "error": activity.error,
        "attempt": activity.attempt,
        "max_attempts": activity.max_attempts,
        "initial_interval_secs": activity.initial_interval_secs,
        "backoff_coefficient": activity.backoff_coefficient,
        "start_to_close_secs": activity.start_to_close_secs,
        "heartbeat_timeout_secs": activity.heartbeat_timeout_secs,
        "schedule_to_start_secs": activity.schedule_to_start_secs,
        "schedule_to_close_secs": activity.schedule_to_close_secs,
        "claimed_by": activity.owner,
        "scheduled_at": activity.scheduled_at,
        "visible_at": activity.visible_at,
        "started_at": activity.started_at,
        "completed_at": activity.completed_at,
        "last_heartbeat": activity.last_heartbeat,
        "heartbeat_details": embed(activity.heartbeat_details),
        "last_failure": embed(activity.last_failure),
        "cancel_requested": bool(activity.cancel_requested),
    }


def schedule_record(schedule: Schedule, next_runs: Sequence[float] | None = None) -> dict[str, Any]:
    """Show a schedule, with its next times where they are given."""
    record = {
        "name": schedule.name,
        "namespace": schedule.namespace,
        "workflow_type": schedule.workflow_type,
        "cron_expr": schedule.cron_expr,
        "timezone": schedule.timezone,
        "input": schedule.input,
        "task_queue": schedule.task_queue,
        "search_attributes": schedule.search_attributes,
        "run_timeout_secs": schedule.run_timeout_secs,
        "execution_timeout_secs": schedule.execution_timeout_secs,
        "overlap_policy": schedule.overlap_policy,
        "catchup_window_secs": schedule.catchup_window_secs,
        "paused": bool(schedule.paused),
        "pause_reason": schedule.pause_reason,
        "last_run_at": schedule.last_run_at,
        "next_run_at": schedule.next_run_at,
        "last_workflow_id": schedule.last_workflow_id,
        "buffered": schedule.buffered,
        "runs_started": schedule.runs_started,
        "ticks_skipped": schedule.ticks_skipped,
        "ticks_missed": schedule.ticks_missed,
        "error": _decoded(schedule.error),
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }
    return record if next_runs is None else {**record, "next_runs": list(next_runs)}


def notice_record(epoch: str, told: Told) -> dict[str, Any]:
    """Show a notice of the feed."""
    return {
        "id": str(Cursor(epoch, told.position)),
        "event_type": told.event_type,
        "workflow_id": told.workflow_id,
        "payload": f'{told.payload[:-1]},"at":{told.created_at!r}}}',  # an object of ours, and never an empty one
    }


def worker_record(row: dict[str, Any], active_tasks: int, now: float, quiet_secs: float) -> dict[str, Any]:
    """Show a worker, how many leases it holds, and for how long it is silent, from `quiet_secs` on."""
    unheard_secs = now - row["last_seen"]
    return {
        "id": row["worker_id"],
        "namespace": row["namespace"],
        "identity": row["identity"],
        "task_queue": row["task_queue"],
        "workflows": row["workflows"],
        "activities": row["activities"],
        "max_concurrent_workflows": row["max_concurrent_workflows"],
        "max_concurrent_activities": row["max_concurrent_activities"],
        "active_tasks": active_tasks,
        "last_heartbeat": row["last_seen"],
        "silent_secs": int(unheard_secs) if unheard_secs > quiet_secs else None,
        "registered_at": row["registered_at"],
        "sdk": row["sdk"],
    }


# --------------------------------------------------------------------------------------------- for workers


def workflow_task(lease: ClaimedRun, after: int, history: History) -> dict[str, Any]:
    """Show a leased run to its worker, with the events after `after`."""
    task = lease.task
    return {
        "task_token": lease.token,
        "workflow_id": lease.workflow_id,
        "run_id": lease.run_id,
        "namespace": task.namespace,
        "workflow_type": task.workflow_type,
        "task_queue": task.task_queue,
        "input": embed(lease.input),
        "history": [
            {"seq": seq, "event_type": event_type, "payload": embed(payload), "timestamp": timestamp}
            for seq, event_type, payload, timestamp in history
        ],
        "history_from": after,
        "history_seq": task.claimed_seq,
        "attempt": task.attempt + 1,
        "lease_expires_at": task.deadline_at,
        "cancel_requested": lease.cancel_requested,
        "scheduled_for": lease.schedule_tick,
        "continue_as_new_suggested": (task.claimed_seq or 0) >= LONG_HISTORY,
    }


def activity_task(claimed: ClaimedActivity) -> dict[str, Any]:
    """Show a leased attempt to the worker of a session."""
    activity = claimed.activity
    return {
        "task_token": claimed.token,
        "id": activity.activity_key,
        "workflow_id": claimed.workflow_id,
        "run_id": claimed.run_id,
        "seq": activity.seq,
        "namespace": activity.namespace,
        "name": activity.name,
        "task_queue": activity.task_queue,
        "input": embed(activity.input),
        "attempt": activity.attempt,
        "max_attempts": activity.max_attempts,
        "lease_expires_at": activity.deadline_at,
        "start_to_close_secs": activity.start_to_close_secs,
        "heartbeat_timeout_secs": activity.heartbeat_timeout_secs,
        "heartbeat_details": embed(activity.heartbeat_details),
        "scheduled_at": activity.scheduled_at,
    }


def polled_activity(claimed: ClaimedActivity) -> dict[str, Any]:
    """Show a leased attempt to a worker that polls: the record itself, and the lease."""
    record = _activity(claimed.activity, claimed.workflow_id, claimed.run_id)
    return {**record, "task_token": claimed.token, "lease_expires_at": claimed.activity.deadline_at}
