"""Rows as the rules' tests begin with them: a run, its task, an activity; each column can be set."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from assay_wsgi.domain.change import Change
from assay_wsgi.domain.model import Activity
from assay_wsgi.domain.model import Event
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.model import Task
from assay_wsgi.domain.tokens import activity_token
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.domain.tokens import workflow_token
from assay_wsgi.jsontext import loads

NOW = 1000.0
RUN_KEY = 7
TURN_TOKEN = workflow_token(RUN_KEY, "chance")
TURN_HASH = hashed(TURN_TOKEN)
WORK_KEY = 70
WORK_TOKEN = activity_token(WORK_KEY, 1, "chance")
WORK_HASH = hashed(WORK_TOKEN)

_RUN: dict[str, Any] = {
    **dict.fromkeys(Run._fields),
    "run_key": RUN_KEY, "namespace": "main", "workflow_id": "w", "run_id": "run-w-7", "workflow_type": "Order",
    "task_queue": "q", "status": "RUNNING", "priority": 0, "first_run_key": RUN_KEY, "first_run_id": "run-w-7",
    "last_seq": 1, "wake_seq": 1, "seen_seq": 0, "signal_seq": 0, "cancel_seq": 0, "feed_mark": 0,
    "has_children": False, "created_at": 900.0, "updated_at": 900.0,
}  # fmt: skip
_TASK: dict[str, Any] = {
    **dict.fromkeys(Task._fields),
    "run_key": RUN_KEY, "namespace": "main", "task_queue": "q", "workflow_type": "Order", "priority": 0,
    "ready_at": 900.0, "paused": False, "attempt": 0, "closes_refused": 0,
}  # fmt: skip
_WORK: dict[str, Any] = {
    **dict.fromkeys(Activity._fields),
    "activity_key": WORK_KEY, "run_key": RUN_KEY, "seq": 1, "namespace": "main", "task_queue": "q", "name": "charge",
    "priority": 0, "status": "PENDING", "attempt": 1, "max_attempts": 3, "initial_interval_secs": 1.0,
    "backoff_coefficient": 2.0, "jitter": 0.0, "visible_at": 900.0, "cancel_requested": False, "scheduled_at": 900.0,
}  # fmt: skip


def a_run(**columns: Any) -> Run:
    """Give a run that a worker has begun, with one event."""
    return Run(**{**_RUN, **columns})


def a_closed_run(**columns: Any) -> Run:
    """Give a run that has completed."""
    return a_run(**{"status": "COMPLETED", "close_reason": "completed", "completed_at": 950.0, **columns})


def a_ready_task(**columns: Any) -> Task:
    """Give a task that waits for a worker."""
    return Task(**{**_TASK, **columns})


def a_lease(**columns: Any) -> Task:
    """Give a task leased to `ann` at event 1, by TURN_TOKEN."""
    lease = {"token": TURN_HASH, "owner": "ann", "session": "s", "exchange": 4, "claimed_seq": 1, "deadline_at": 1030.0}
    return Task(**{**_TASK, **lease, **columns})


def pending_work(**columns: Any) -> Activity:
    """Give an activity that waits for a worker."""
    return Activity(**{**_WORK, **columns})


def work_under_way(**columns: Any) -> Activity:
    """Give an activity leased to `ann` since 990, by WORK_TOKEN."""
    lease = {
        "status": "RUNNING", "token": WORK_HASH, "owner": "ann", "session": "s", "exchange": 4, "started_at": 990.0,
    }  # fmt: skip
    return Activity(**{**_WORK, **lease, **columns})


def keys(first: int = 500) -> Callable[[], int]:
    """Give new keys from `first` on."""
    return itertools.count(first).__next__


def events(change: Change) -> list[tuple[int, str]]:
    """Give (seq, type) of a change's events."""
    return [(event.seq, event.event_type) for event in change.events]


def payload(event: Event) -> Any:
    """Give an event's decoded payload."""
    return None if event.payload is None else loads(event.payload)


def touched(change: Change) -> set[str]:
    """Give the kinds of rows that a change writes."""
    kinds = set(Change.__slots__) - {"answer", "refusal"}
    return {kind for kind in kinds if getattr(change, kind)}
