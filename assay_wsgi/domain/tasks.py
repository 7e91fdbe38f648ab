"""The lease on a workflow task: fail it, let it run out, give it back; and the end of its back-off.

A failed task never closes or pauses the run: the failure is kept on the run, where people see it, and
the task comes again after 1, 2, 4 ... seconds, at most ten minutes.
"""

from __future__ import annotations

from ..jsontext import dumps
from ..jsontext import loads
from . import texts
from .change import Change
from .errors import AssayError
from .errors import LeaseLost
from .errors import WorkflowClosed
from .model import Run
from .model import Task
from .requests import TaskFailure

FIRST_WAIT_SECS = 1.0
LONGEST_WAIT_SECS = 600.0
_FREE_EXPIRIES = 2
_DOUBLINGS = 10  # 2**10 seconds are beyond the longest wait


def failed(
    run: Run, task: Task, failure: TaskFailure, now: float, *, token_hash: str | None = None,
    refusal: AssayError | None = None,
) -> Change:  # fmt: skip
    """Free the lease, note the failure, send the task out again after its back-off.

    With `token_hash` a repeat of the report is known; with `refusal` that is the answer.
    """
    noted = _noted(run, failure, max(now, run.updated_at))
    if token_hash is not None:
        noted = noted._replace(last_token=token_hash)
    again = _ready(task, now + _backoff(task.attempt))._replace(attempt=task.attempt + 1, closes_refused=0)
    return Change(answer={"ok": True}, refusal=refusal, runs=[noted], tasks=[again])


def _noted(run: Run, failure: TaskFailure, now: float) -> Run:
    before = loads(run.task_failure) if run.task_failure else None
    told = {
        "cause": failure.cause, "message": failure.message[:texts.AT_MOST],
        "trace": failure.trace[-texts.AT_MOST:] if failure.trace else None,
        "count": before["count"] + 1 if before else 1,
        "first_at": before["first_at"] if before else now, "last_at": now,
    }  # fmt: skip
    return run._replace(task_failure=dumps(told), updated_at=now)


def _backoff(failures: int) -> float:
    return min(LONGEST_WAIT_SECS, FIRST_WAIT_SECS * 2.0 ** min(failures, _DOUBLINGS))


def beat(run: Run, task: Task | None, token_hash: str, lease_secs: float, now: float) -> Change:
    """Make the lease last `lease_secs` from now. Raises WorkflowClosed, LeaseLost."""
    held = check_lease(run, task, token_hash)
    until = max(held.deadline_at or now, now + lease_secs)
    answer = {"ok": True, "lease_expires_at": until, "cancel_requested": run.cancel_requested_at is not None}
    return Change(answer=answer, tasks=[held._replace(deadline_at=until)])


def check_lease(run: Run, task: Task | None, token_hash: str) -> Task:
    """Give the task that is leased by this token. Raises WorkflowClosed, LeaseLost."""
    if run.closed:
        raise WorkflowClosed(f"workflow {run.workflow_id} is {run.status}", run_id=run.run_id, run_status=run.status)
    if task is None or task.token != token_hash or task.claimed_seq is None:
        raise LeaseLost(f"the lease on a task of workflow {run.workflow_id} was taken back")
    return task


def expire(run: Run, task: Task | None, now: float) -> Change:
    """Take back a lease that has run out: it counts as an attempt, and people see it on the run.

    Twice the task is ready at once, for a worker may have died; from then on, after a back-off: it may be the
    task that kills them.
    """
    if task is None or task.token is None or task.deadline_at is None or task.deadline_at > now:
        return Change(answer=False)
    attempt = task.attempt + 1
    wait = 0.0 if attempt <= _FREE_EXPIRIES else _backoff(attempt - _FREE_EXPIRIES - 1)
    failure = TaskFailure(cause="timeout", message=f"worker {task.owner} did not answer in time")
    return Change(
        answer=True,
        runs=[_noted(run, failure, max(now, run.updated_at))],
        tasks=[_ready(task, now + wait)._replace(attempt=attempt)],
    )


def give_back(task: Task | None, now: float) -> Change:
    """Take back a lease whose holder is gone: it does not count, and the task is ready at once."""
    if task is None or task.token is None:
        return Change(answer=False)
    return Change(answer=True, tasks=[_ready(task, now)])


def hurried(task: Task | None, now: float) -> Task | None:
    """End a task's back-off: it is ready by now, and after its next failure it waits as after a first one.

    A lease goes on. But the failure that it may end in must not begin the long wait anew, so it counts as the first.
    """
    if task is None:
        return None
    ready_at = min(task.ready_at, now) if task.token is None else task.ready_at
    known = (task.attempt, task.ready_at) == (0, ready_at)
    return task if known else task._replace(attempt=0, ready_at=ready_at)


def _ready(task: Task, ready_at: float) -> Task:
    return task._replace(
        ready_at=ready_at, token=None, owner=None, session=None, exchange=None, claimed_seq=None, deadline_at=None
    )
