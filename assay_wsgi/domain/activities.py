"""The life of an activity: schedule, claim, report, heartbeat, time out, give back.

    (ScheduleActivity) --> PENDING --claim--> RUNNING --complete--> COMPLETED
                              ^                  |--fail / time out, attempts left: back to PENDING
                              +--- given back ---+--fail / time out, none left --> FAILED
    The run closes: PENDING and RUNNING become CANCELLED.

A retry is the engine's own business: no event, so replay never sees it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from ..jsontext import dumps
from ..jsontext import embed
from ..jsontext import loads
from . import texts
from .change import Change
from .change import RunPen
from .commands import ScheduleActivity
from .errors import Invalid
from .errors import LeaseLost
from .errors import Nondeterminism
from .errors import StaleAttempt
from .errors import WorkflowClosed
from .model import Activity
from .model import ActivityStatus
from .model import Attempt
from .model import Run
from .model import Task
from .requests import ActivityFailure
from .requests import ActivityReport
from .requests import Heartbeat
from .texts import told_error
from .tokens import ActivityToken

REPEATED = {"ok": True, "repeated": True}
OPEN_AT_MOST = 2000  # activities of a run that have no outcome yet
TOO_MANY = f"a run has at most {OPEN_AT_MOST} activities without an outcome: wait for some before you schedule more"
_REPORTED = frozenset({ActivityStatus.COMPLETED, ActivityStatus.FAILED, ActivityStatus.PENDING})
_OPEN = frozenset({ActivityStatus.PENDING, ActivityStatus.RUNNING})
_FINAL = frozenset({"schedule_to_start", "schedule_to_close"})  # time-outs after which it is not tried again
_CAP_FACTOR = 100.0  # the longest wait between attempts, in first waits, where none is given


def scheduled(command: ScheduleActivity, run: Run, activity_key: int, now: float) -> Activity:
    """Make the row of a newly scheduled activity."""
    return Activity(
        activity_key=activity_key,
        run_key=run.run_key,
        seq=command.seq,
        namespace=run.namespace,
        task_queue=command.task_queue or run.task_queue,
        name=command.name,
        priority=run.priority,
        input=command.input,
        status=ActivityStatus.PENDING.value,
        result=None,
        error=None,
        attempt=1,
        max_attempts=command.max_attempts,
        initial_interval_secs=command.initial_interval_secs,
        backoff_coefficient=command.backoff_coefficient,
        max_interval_secs=command.max_interval_secs,
        jitter=command.jitter,
        non_retryable=dumps(list(command.non_retryable)) if command.non_retryable else None,
        schedule_to_start_secs=command.schedule_to_start_secs,
        start_to_close_secs=command.start_to_close_secs,
        schedule_to_close_secs=command.schedule_to_close_secs,
        heartbeat_timeout_secs=command.heartbeat_timeout_secs,
        visible_at=now,
        deadline_at=None,
        token=None,
        owner=None,
        session=None,
        exchange=None,
        last_heartbeat=None,
        heartbeat_details=None,
        last_failure=None,
        cancel_requested=False,
        scheduled_at=now,
        started_at=None,
        completed_at=None,
    )


def schedule(pen: RunPen, command: ScheduleActivity, activity_key: int) -> Activity:
    """Write a new activity and the event that tells of it."""
    row = scheduled(command, pen.run, activity_key, pen.now)
    row = row._replace(visible_at=pen.clock)
    row = row._replace(deadline_at=deadline(row, None, None))
    pen.change.new_activities.append(row)
    payload = {
        "activity_id": row.activity_key, "activity_seq": row.seq, "name": row.name, "task_queue": row.task_queue,
        "input": embed(row.input),
    }  # fmt: skip
    pen.event("ActivityScheduled", dumps(payload), ref_seq=row.seq)
    return row


def add(
    run: Run, task: Task | None, command: ScheduleActivity, known: Activity | None, activity_key: int, now: float
) -> tuple[Change, Activity]:
    """Schedule an activity that no turn asked for; `known` = the one with this seq. Raises WorkflowClosed."""
    if run.closed:
        raise WorkflowClosed(
            f"workflow {run.workflow_id} is {run.status}: it takes no activities",
            run_id=run.run_id, run_status=run.status,
        )  # fmt: skip
    if known is not None:
        refuse_other_name(known, command)
        return Change(), known
    change = Change()
    pen = RunPen(change, run, task, now)
    added = schedule(pen, command, activity_key)
    pen.done()
    return change, added


def refuse_other_name(known: Activity, command: ScheduleActivity) -> None:
    """Raise Nondeterminism where the history has another activity under this seq."""
    if known.name != command.name:
        raise Nondeterminism(
            f"command {command.seq}: the history has activity {known.name!r}, the code now asks for {command.name!r}",
            seq=command.seq,
        )


def refuse_too_many(count: int) -> None:
    """Refuse so many open activities in one run. Raises Invalid."""
    if count > OPEN_AT_MOST:
        raise Invalid(TOO_MANY, code="too_many_pending")


def may_be_too_many(run: Run, wanted: int) -> bool:
    """Say whether the open activities must be counted: each has an event, so a short history cannot have many."""
    return run.last_seq + wanted > OPEN_AT_MOST


def deadline(activity: Activity, started_at: float | None, last_heartbeat: float | None) -> float | None:
    """Give the moment at which an activity has taken too long: in the queue (not started), or at work.

    The heartbeat counts from the claim.
    """
    return min(_limits(activity, started_at, last_heartbeat).values(), default=None)


def _limits(activity: Activity, started_at: float | None, last_heartbeat: float | None) -> dict[str, float]:
    """Give the moment of each time-out that applies, those that end the activity for good first."""
    limits: dict[str, float] = {}
    if activity.schedule_to_close_secs is not None:
        limits["schedule_to_close"] = activity.scheduled_at + activity.schedule_to_close_secs
    if started_at is None:
        if activity.schedule_to_start_secs is not None:
            limits["schedule_to_start"] = activity.visible_at + activity.schedule_to_start_secs
        return limits
    if activity.start_to_close_secs is not None:
        limits["start_to_close"] = started_at + activity.start_to_close_secs
    if activity.heartbeat_timeout_secs is not None:
        limits["heartbeat"] = (last_heartbeat or started_at) + activity.heartbeat_timeout_secs
    return limits


def complete(
    run: Run, task: Task | None, activity: Activity, token: ActivityToken | None, token_hash: str | None,
    result: str | None, now: float,
) -> Change:  # fmt: skip
    """Record the result. Raises WorkflowClosed, StaleAttempt, LeaseLost."""
    if _repeats(activity, token_hash):
        return Change(answer=REPEATED)
    _check_lease(run, activity, token, token_hash)
    change = Change(answer={"ok": True})
    pen = RunPen(change, run, task, now)
    done = activity._replace(
        status=ActivityStatus.COMPLETED.value, result=result, completed_at=pen.now, deadline_at=None
    )
    change.activities.append(done)
    _tell_run(pen, "ActivityCompleted", activity, result=embed(result))
    pen.done()
    return change


def fail(
    run: Run, task: Task | None, activity: Activity, token: ActivityToken | None, token_hash: str | None,
    failure: ActivityFailure, now: float,
) -> Change:  # fmt: skip
    """Try again after the back-off, or fail for good. Raises WorkflowClosed, StaleAttempt, LeaseLost."""
    if _repeats(activity, token_hash):
        return Change(answer=REPEATED)
    _check_lease(run, activity, token, token_hash)
    return _attempt_failed(run, task, activity, failure, None, now)


def report(
    run: Run, task: Task | None, activity: Activity, token: ActivityToken | None, token_hash: str | None,
    told: ActivityReport, now: float,
) -> Change:  # fmt: skip
    """Take a worker's report, whichever it is; without a token, on whatever attempt is running.

    Raises WorkflowClosed, StaleAttempt, LeaseLost.
    """
    if told.failure is not None:
        return fail(run, task, activity, token, token_hash, told.failure, now)
    return complete(run, task, activity, token, token_hash, told.result, now)


def heartbeat(
    run: Run, activity: Activity, token: ActivityToken | None, token_hash: str | None, beat: Heartbeat, now: float
) -> Change:
    """Move the heartbeat's deadline and keep the details. Raises WorkflowClosed, StaleAttempt, LeaseLost."""
    _check_lease(run, activity, token, token_hash)
    now = max(now, activity.started_at or now)
    beaten = activity._replace(
        last_heartbeat=now,
        heartbeat_details=activity.heartbeat_details if beat.details is None else beat.details,
        deadline_at=deadline(activity, activity.started_at or now, now),
    )
    answer = {"cancel_requested": bool(activity.cancel_requested), "lease_expires_at": beaten.deadline_at}
    return Change(answer=answer, activities=[beaten])


def release(run: Run, activity: Activity, token: ActivityToken | None, token_hash: str | None, now: float) -> Change:
    """Hand an attempt back that was not worked on, uncounted. Raises WorkflowClosed, StaleAttempt, LeaseLost."""
    _check_lease(run, activity, token, token_hash)
    change = give_back(run, activity, now)
    change.answer = {"ok": True}
    return change


def expire(run: Run, task: Task | None, activity: Activity, now: float) -> Change:
    """End what took too long: an attempt (error_type `timeout`), or the activity where its time in all is over."""
    if activity.status not in _OPEN or activity.deadline_at is None or activity.deadline_at > now:
        return Change(answer=False)
    started_at = activity.started_at if activity.status == ActivityStatus.RUNNING else None
    limits = _limits(activity, started_at, activity.last_heartbeat)
    kind = next((kind for kind, moment in limits.items() if moment <= now), "heartbeat")
    failure = ActivityFailure(
        error=f"timed out: {kind}", error_type="timeout", details=activity.heartbeat_details,
        non_retryable=kind in _FINAL,
    )  # fmt: skip
    change = _attempt_failed(run, task, activity._replace(token=None), failure, kind, now)
    change.answer = True
    return change


def cancel(pen: RunPen, activity: Activity) -> Activity:
    """End an activity that has no outcome. Its worker learns of it: its reports are not wanted any more."""
    cancelled = activity._replace(
        status=ActivityStatus.CANCELLED.value, cancel_requested=True, completed_at=pen.now, deadline_at=None
    )
    pen.change.activities.append(cancelled)
    payload = {"activity_id": activity.activity_key, "activity_seq": activity.seq, "name": activity.name}
    pen.event("ActivityCancelled", dumps(payload), ref_seq=activity.seq)
    return cancelled


def give_back(run: Run, activity: Activity, now: float) -> Change:
    """Make a running attempt ready for another worker, at once, and not count it."""
    if run.closed or activity.status != ActivityStatus.RUNNING:
        return Change(answer=False)
    ready = activity._replace(
        status=ActivityStatus.PENDING.value, visible_at=now, token=None, owner=None,
        session=None, exchange=None, started_at=None, last_heartbeat=None,
    )  # fmt: skip
    ready = ready._replace(deadline_at=deadline(ready, None, None))
    return Change(answer=True, activities=[ready])


def hurried(activity: Activity, now: float) -> Activity | None:
    """Give an activity that waits between attempts as one that is ready now; None where it does not wait.

    Its attempts stay counted: they are part of its tokens, and max_attempts is the author's word.
    """
    if activity.status != ActivityStatus.PENDING or activity.visible_at <= now:
        return None
    ready = activity._replace(visible_at=now)
    return ready._replace(deadline_at=deadline(ready, None, None))


def backoff(activity: Activity) -> float:
    """Give the seconds between this attempt and the next, shortened by up to the `jitter` share.

    The share is a hash of key and attempt: no two activities agree, and a test knows it exactly.
    """
    first = activity.initial_interval_secs
    cap = activity.max_interval_secs if activity.max_interval_secs is not None else first * _CAP_FACTOR
    wait, doublings = first, 1
    while doublings < activity.attempt and wait < cap:  # the cap before the power: no overflow
        wait *= activity.backoff_coefficient
        doublings += 1
        if activity.backoff_coefficient <= 1.0:
            break
    chance = sha256(f"{activity.activity_key}.{activity.attempt}".encode()).digest()[0] / 256
    return min(wait, cap) * (1.0 - activity.jitter * chance)


def _attempt_failed(
    run: Run, task: Task | None, activity: Activity, failure: ActivityFailure, timeout_type: str | None, now: float
) -> Change:
    change = Change(answer={"ok": True})
    pen = RunPen(change, run, task, now)
    error = told_error(failure.error)
    change.attempts.append(
        Attempt(
            activity.activity_key,
            activity.attempt,
            run.run_key,
            activity.owner,
            error["error"],
            failure.error_type,
            activity.started_at,
            pen.now,
        )
    )
    told: dict[str, Any] = {**error, "error_type": failure.error_type, "at": pen.now}
    if failure.trace is not None:
        told["trace"] = failure.trace[-texts.AT_MOST :]
    last_failure = dumps({**told, "attempt": activity.attempt})
    again_at = pen.clock + (backoff(activity) if failure.next_retry_delay is None else failure.next_retry_delay)
    if failure.heartbeat_details is not None:
        activity = activity._replace(heartbeat_details=failure.heartbeat_details)
    if _may_retry(activity, failure, again_at):
        waiting = activity._replace(
            status=ActivityStatus.PENDING.value, attempt=activity.attempt + 1, visible_at=again_at,
            last_failure=last_failure, owner=None, session=None, exchange=None, started_at=None, last_heartbeat=None,
        )  # fmt: skip
        change.activities.append(waiting._replace(deadline_at=deadline(waiting, None, None)))
        return change
    change.activities.append(
        activity._replace(
            status=ActivityStatus.FAILED.value,
            error=error["error"],
            last_failure=last_failure,
            completed_at=pen.now,
            deadline_at=None,
        )
    )
    extra: dict[str, Any] = {**error, "final_attempt": activity.attempt}
    if failure.error_type is not None:
        extra["error_type"] = failure.error_type
    if timeout_type is not None:
        extra["timeout_type"] = timeout_type
    if failure.details is not None:
        extra["details"] = embed(failure.details)
    _tell_run(pen, "ActivityFailed", activity, **extra)
    pen.done()
    return change


def _tell_run(pen: RunPen, event_type: str, activity: Activity, **extra: Any) -> None:
    payload = {"activity_id": activity.activity_key, "activity_seq": activity.seq, "name": activity.name, **extra}
    pen.waking_event(event_type, dumps(payload), ref_seq=activity.seq)
    pen.set(waiting_for=None)


def _may_retry(activity: Activity, failure: ActivityFailure, again_at: float) -> bool:
    if failure.non_retryable:
        return False
    whole = activity.schedule_to_close_secs
    if whole is not None and again_at >= activity.scheduled_at + whole:
        return False  # its time would be over before it began
    if activity.max_attempts and activity.attempt >= activity.max_attempts:
        return False
    if activity.non_retryable is None or failure.error_type is None:
        return True
    bare = failure.error_type.rpartition(".")[2]
    return not {failure.error_type, bare}.intersection(loads(activity.non_retryable))


def _repeats(activity: Activity, token_hash: str | None) -> bool:
    """Whether this token's report was taken already. The token is kept until the next claim."""
    return token_hash is not None and activity.token == token_hash and activity.status in _REPORTED


def _check_lease(run: Run, activity: Activity, token: ActivityToken | None, token_hash: str | None) -> None:
    """Refuse a report on an attempt that is not running, or by a token that is not its own.

    A report without a token (assay's own workers) cannot be told from one of another attempt: it counts
    while the activity is running, so each activity has one recorded outcome and no more is promised.
    """
    if run.closed:
        raise WorkflowClosed(
            f"workflow {run.workflow_id} is {run.status}: the activity's outcome is not wanted any more",
            run_id=run.run_id, run_status=run.status,
        )  # fmt: skip
    if activity.status == ActivityStatus.CANCELLED:
        raise LeaseLost(f"activity {activity.activity_key} was cancelled: its outcome is not wanted any more")
    if activity.status == ActivityStatus.RUNNING and token_hash in (None, activity.token):
        return
    if token is None:
        raise LeaseLost(f"activity {activity.activity_key} is {activity.status}: nobody is working on it")
    if token.attempt < activity.attempt:
        raise StaleAttempt(f"attempt {token.attempt} of activity {activity.activity_key} is over")
    raise LeaseLost(f"the lease on activity {activity.activity_key} was taken back")
