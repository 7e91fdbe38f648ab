"""Activities: look at one, add one to a run."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..domain.commands import ScheduleActivity
from . import checks
from . import commands
from . import records
from .context import admission
from .context import engine
from .contract import Answer
from .contract import operation
from .fields import Body
from .fields import Checked
from .idempotency import idempotency
from .references import Id
from .references import InNamespace
from .references import OneRun
from .references import activity_key
from .references import run_ref

bp = Blueprint("assay_activities", __name__)


@bp.get("/activities/<activity_id>")
@operation(query=InNamespace, returns=records.ActivityRecord, tagged=True)
def describe(activity_id: str, query: dict[str, Any]) -> Any:
    """Describe an activity."""
    return engine().activities.get(activity_key(activity_id), query["namespace"])


class ActivityBody(Body):
    """An activity to schedule. What is left out is as in the ScheduleActivity command."""

    name = Id(required=True)
    seq = Checked(checks.integer, 1, required=True)
    task_queue = Id(load_default=None)
    input = Checked(checks.payload, load_default=None)
    max_attempts = Checked(checks.integer, 0, commands.MAX_ATTEMPTS)
    initial_interval_secs = Checked(checks.number)
    backoff_coefficient = Checked(checks.number, 1.0, commands.MAX_COEFFICIENT)
    max_interval_secs = Checked(checks.number)
    jitter = Checked(checks.number, 0.0, 1.0)
    non_retryable = Checked(commands.error_types)
    start_to_close_secs = Checked(checks.number, commands.MIN_TIMEOUT_SECS)
    heartbeat_timeout_secs = Checked(checks.number, commands.MIN_TIMEOUT_SECS)
    schedule_to_start_secs = Checked(checks.number, commands.MIN_TIMEOUT_SECS)
    schedule_to_close_secs = Checked(checks.number, commands.MIN_TIMEOUT_SECS)
    task_token = Checked(checks.token, load_default=None)


@bp.post("/workflows/<workflow_id>/activities")
@operation(body=ActivityBody, query=OneRun, returns=records.ActivityRecord, status=201, also=(200,))
def add(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Schedule an activity on a run, once per seq."""
    key, token = idempotency(raw), body.pop("task_token")
    command = ScheduleActivity(**body)
    with admission().waiting():
        record, created = engine().activities.add(
            run_ref(workflow_id, query), command, task_token=token, idempotency=key
        )
    return record if created else Answer(record, 200)
