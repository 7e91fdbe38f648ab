"""Activities: look at one, add one to a run."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
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
from .references import InNamespace
from .references import OneRun
from .references import activity_key
from .references import run_ref

bp = Blueprint("assay_activities", __name__)


@bp.get("/activities/<activity_id>")
@operation(access=Access.READ, query=InNamespace, returns=records.ActivityRecord, tagged=True, refuses=("not_found",))
def describe(activity_id: str, query: dict[str, Any]) -> Any:
    """Describe an activity."""
    return engine().activities.get(activity_key(activity_id), query["namespace"])


def _of_command(name: str, **options: Any) -> Checked:
    given = commands.GIVEN[ScheduleActivity][name]
    return Checked(given.check, *given.bounds, says=given.says, **options)


class ActivityBody(Body):
    """An activity to schedule. What is left out is as in the ScheduleActivity command."""

    name = _of_command("name", required=True)
    seq = _of_command("seq", required=True)
    task_queue = _of_command("task_queue", load_default=None)
    input = _of_command("input", load_default=None)
    max_attempts = _of_command("max_attempts")
    initial_interval_secs = _of_command("initial_interval_secs")
    backoff_coefficient = _of_command("backoff_coefficient")
    max_interval_secs = _of_command("max_interval_secs")
    jitter = _of_command("jitter")
    non_retryable = _of_command("non_retryable")
    start_to_close_secs = _of_command("start_to_close_secs")
    heartbeat_timeout_secs = _of_command("heartbeat_timeout_secs")
    schedule_to_start_secs = _of_command("schedule_to_start_secs")
    schedule_to_close_secs = _of_command("schedule_to_close_secs")
    task_token = Checked(
        checks.token, load_default=None, says="Of the run's workflow task: the activity is added under its lease."
    )


@bp.post("/workflows/<workflow_id>/activities")
@operation(
    access=Access.OPERATE,
    with_token=Access.WORK,
    body=ActivityBody,
    query=OneRun,
    returns=records.ActivityRecord,
    status=201,
    also=(200,),
    refuses=("not_found", "ambiguous_namespace", "workflow_closed", "nondeterminism", "lease_lost", "too_many_pending"),
    example={"name": "pack", "seq": 101, "input": {"item": "lamp"}},
)
def add(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Schedule an activity on a run, once per seq: 200 where it is there already."""
    key, token = idempotency(raw), body.pop("task_token")
    command = ScheduleActivity(**body)
    with admission().waiting():
        record, created = engine().activities.add(
            run_ref(workflow_id, query), command, task_token=token, idempotency=key
        )
    return record if created else Answer(record, 200)
