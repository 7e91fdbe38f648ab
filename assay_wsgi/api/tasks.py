"""Tasks one by one, as assay's own workers ask for them: poll, report, beat.

The statuses and encodings here are assay 0.1.8's: a poll for a workflow task that finds none is answered
`null`, one for an activity `{"task": null}`, and an activity's `input` is JSON text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.errors import AssayError
from ..domain.requests import ActivityFailure
from ..domain.requests import ActivityReport
from ..domain.requests import Heartbeat
from ..domain.requests import Poll
from ..domain.requests import TaskFailure
from ..domain.requests import TaskRef
from ..domain.requests import TurnReport
from . import checks
from . import records
from .access import caller
from .access import caller_gone
from .admission import retry_after_secs
from .checks import BadValue
from .commands import load_commands
from .context import admission
from .context import engine
from .contract import Answer
from .contract import operation
from .fields import Body
from .fields import Checked
from .references import Id
from .references import InNamespace
from .references import activity_key

TOKEN = "As the poll answered it; without one, the attempt that is running is meant."

OF_ATTEMPTS = ("not_found", "workflow_closed", "lease_lost", "stale_attempt")

bp = Blueprint("assay_tasks", __name__)

_Report = partial(Checked, checks.report)
_Token = partial(Checked, checks.token)


# ----------------------------------------------------------------------------------------------------- polls


class PollBody(Body):
    """Who asks, and for work of which queue."""

    queue = Id(required=True, says="Of which queue.")
    worker_id = Id(required=True, says="Who asks; it need not be registered.")
    namespace = Id(
        load_default=None, says="For a worker that never registered; without it, wherever the queue has work."
    )
    wait_secs = Checked(
        checks.number, load_default=0.0,
        says="How long to wait where there is no work; `ASSAY_LONG_POLL_MAX_SECS` at most.",
    )  # fmt: skip


@bp.post("/workflow-tasks/poll")
@operation(
    access=Access.WORK,
    body=PollBody,
    returns=records.PolledTurn,
    instead=(None,),
    example={"queue": "main", "worker_id": "w-1"},
)
def poll_workflow_task(body: dict[str, Any]) -> Any:
    """Lease a workflow task; null where there is none."""
    return _polled(engine().tasks.poll_workflow, body, None)


@bp.post("/tasks/poll")
@operation(
    access=Access.WORK,
    body=PollBody,
    returns=records.PolledActivity,
    instead=({"task": None},),
    example={"queue": "main", "worker_id": "w-1"},
)
def poll_activity(body: dict[str, Any]) -> Any:
    """Lease an activity; `{"task": null}` where there is none."""
    return _polled(engine().tasks.poll_activity, body, {"task": None})


def _polled(poll: Callable[..., Any], body: dict[str, Any], nothing: Any) -> Any:
    wait_secs = min(body.pop("wait_secs"), admission().long_poll_max_secs)
    ask = partial(poll, client_gone=caller_gone(), waiting=admission().waiting)
    body["within"] = caller().reach
    if not wait_secs:
        found = ask(Poll(**body))
        return nothing if found is None else found
    with admission().long_poll() as may_wait:
        found = ask(Poll(**body, wait_secs=wait_secs if may_wait else 0.0))
    if found is not None:
        return found
    if may_wait:
        return nothing
    later = retry_after_secs(body["worker_id"], 0)
    return Answer(nothing, 200, {"Retry-After": str(round(later))})


# ------------------------------------------------------------------------------------------- workflow tasks


class LeaseBody(Body):
    """Which lease: by its token, else by the worker that holds it."""

    at_least_one = ("task_token", "worker_id")

    task_token = _Token(load_default=None, says="As the poll answered it. It alone decides where it is sent.")
    worker_id = Id(load_default=None, says="Without a token: the worker that holds the task of this workflow id.")


class CommandsBody(LeaseBody):
    """What a turn asks for."""

    commands = Checked(
        checks.anything, load_default=None, says="An array of at most 1,000 [commands](commands.md); null = none."
    )


class TaskFailureBody(LeaseBody):
    """Why there are no commands."""

    cause = _Report(load_default="unknown", says="A word for the kind of failure.")
    message = _Report(load_default="", says="What went wrong.")
    trace = _Report(load_default=None, says="Where.")


def _task(workflow_id: str, body: dict[str, Any], query: dict[str, Any]) -> TaskRef:
    if body["task_token"] is None and body["worker_id"] is None:
        raise BadValue("missing_field", "is missing, and so is task_token: whose task is it?", "/worker_id").refusal()
    return TaskRef(
        workflow_id=workflow_id, task_token=body["task_token"], worker_id=body["worker_id"],
        namespace=query["namespace"],
    )  # fmt: skip


@bp.post("/workflow-tasks/<workflow_id>/commands")
@operation(
    access=Access.WORK,
    body=CommandsBody,
    query=InNamespace,
    returns=records.Reported,
    refuses=(
        "workflow_closed", "lease_lost", "ambiguous_run", "unhandled_events", "nondeterminism", "id_taken",
        "bad_command", "too_many_pending",
    ),
    example={
        "worker_id": "w-1",
        "commands": [
            {"type": "RecordSnapshot", "state": {"stage": "packing"}},
            {"type": "ScheduleActivity", "seq": 1, "name": "pack"},
        ],
    },
)  # fmt: skip
def report_commands(workflow_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Hand in the commands of a turn."""
    task = _task(workflow_id, body, query)
    try:
        report = TurnReport(task_token=task.task_token, commands=load_commands(body["commands"]))
    except AssayError as error:  # the task fails with this answer
        report = TurnReport(task_token=task.task_token, refused=error)
    with admission().waiting():
        return engine().tasks.report_turn(task, report)


@bp.post("/workflow-tasks/<workflow_id>/fail")
@operation(
    access=Access.WORK,
    body=TaskFailureBody,
    query=InNamespace,
    returns=records.Reported,
    refuses=("workflow_closed", "lease_lost", "ambiguous_run"),
    example={"worker_id": "w-1", "cause": "bug", "message": "KeyError: item"},
)
def fail_workflow_task(workflow_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Say that a turn could not be done: the task comes again after a back-off, the run stays open."""
    task = _task(workflow_id, body, query)
    failure = TaskFailure(cause=body["cause"], message=body["message"], trace=body["trace"])
    with admission().waiting():
        return engine().tasks.report_turn(task, TurnReport(task_token=task.task_token, failure=failure))


@bp.post("/workflow-tasks/<workflow_id>/heartbeat")
@operation(
    access=Access.WORK,
    body=LeaseBody,
    query=InNamespace,
    returns=records.TurnBeaten,
    refuses=("workflow_closed", "lease_lost", "ambiguous_run"),
    example={"worker_id": "w-1"},
)
def beat_workflow_task(workflow_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Say that a turn is still under way: its lease lasts longer."""
    task = _task(workflow_id, body, query)
    with admission().waiting():
        return engine().tasks.beat_workflow(task)


# ---------------------------------------------------------------------------------------------- activities


class CompletionBody(Body):
    """What an activity gave."""

    result = Checked(checks.payload, load_default=None, says="What the workflow is given.")
    task_token = _Token(load_default=None, says=TOKEN)


class FailureBody(Body):
    """Why an attempt failed."""

    error = _Report(load_default="no reason given", says="What went wrong.")
    error_type = _Report(load_default=None, says="The error's type; `non_retryable` of the activity compares it.")
    non_retryable = Checked(checks.boolean, load_default=False, says="Do not try again.")
    next_retry_delay = Checked(
        checks.number, load_default=None, says="Seconds to the next attempt, in place of the activity's back-off."
    )
    details = Checked(checks.payload, load_default=None, says="What the workflow is given, should it fail for good.")
    heartbeat_details = Checked(
        checks.payload, load_default=None, says="For the next attempt, as if a heartbeat had told it."
    )
    trace = _Report(load_default=None, says="Where.")
    task_token = _Token(load_default=None, says=TOKEN)


class HeartbeatBody(Body):
    """How far it is."""

    details = Checked(checks.payload, load_default=None, says="How far it is; the next attempt is given it.")
    task_token = _Token(load_default=None, says=TOKEN)


class ReleaseBody(Body):
    """Which attempt."""

    task_token = _Token(load_default=None, says=TOKEN)


@bp.post("/tasks/<activity_id>/complete")
@operation(
    access=Access.WORK,
    body=CompletionBody,
    query=InNamespace,
    returns=records.Reported,
    refuses=OF_ATTEMPTS,
    example={"result": {"parcel": 1}},
)
def complete(activity_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Record an activity's result."""
    return _reported(activity_id, ActivityReport(**body), query)


@bp.post("/tasks/<activity_id>/fail")
@operation(
    access=Access.WORK,
    body=FailureBody,
    query=InNamespace,
    returns=records.Reported,
    refuses=OF_ATTEMPTS,
    example={"error": "no box fits", "error_type": "NoBox", "non_retryable": True},
)
def fail(activity_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Record a failed attempt: it is tried again, or the activity fails for good."""
    token = body.pop("task_token")
    return _reported(activity_id, ActivityReport(task_token=token, failure=ActivityFailure(**body)), query)


def _reported(activity_id: str, report: ActivityReport, query: dict[str, Any]) -> Any:
    key = activity_key(activity_id)
    with admission().waiting():
        return engine().tasks.report_activity(key, report, query["namespace"])


@bp.post("/tasks/<activity_id>/heartbeat")
@operation(
    access=Access.WORK,
    body=HeartbeatBody,
    query=InNamespace,
    returns=records.ActivityBeaten,
    refuses=OF_ATTEMPTS,
    example={"details": {"packed": 3}},
)
def beat_activity(activity_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Say that an activity is still at work."""
    key = activity_key(activity_id)
    with admission().waiting():
        return engine().tasks.beat_activity(key, Heartbeat(**body), query["namespace"])


@bp.post("/tasks/<activity_id>/release")
@operation(
    access=Access.WORK, body=ReleaseBody, query=InNamespace, returns=records.Reported, refuses=OF_ATTEMPTS, example={}
)
def release(activity_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Hand an activity back that was not worked on: another worker gets it at once, the attempt is not counted."""
    key = activity_key(activity_id)
    with admission().waiting():
        return engine().tasks.release_activity(key, body["task_token"], query["namespace"])
