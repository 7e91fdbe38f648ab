"""The life of a run, as its callers see it: start, signal, retry now, cancel, terminate.

(start) --> PENDING --first claim--> RUNNING --turn--> COMPLETED | FAILED | CANCELLED
               |                        |
               +------- terminate ------+--> FAILED (close_reason terminated)
               +-- cancel --> CANCELLED
               +-- its time is over --> TIMED_OUT
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from ..jsontext import dumps
from ..jsontext import embed
from ..jsontext import loads
from . import activities
from . import tasks
from . import timers
from .change import Change
from .change import RunPen
from .closing import FindParent
from .closing import close
from .closing import nobody
from .errors import AlreadyStarted
from .errors import AlreadyTerminal
from .errors import SignalLimit
from .errors import WorkflowClosed
from .model import Activity
from .model import CloseReason
from .model import Run
from .model import Signal
from .model import Status
from .model import Task
from .requests import SentSignal
from .requests import StartRun
from .timers import FindTimer
from .timers import no_timer

SIGNALS_AT_MOST = 10_000  # that one run takes
CANCEL_GRACE_SECS = 60.0
UNSUCCESSFUL = frozenset({Status.FAILED, Status.CANCELLED, Status.TIMED_OUT})


def start(
    request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None, now: float,
    find_parent: FindParent = nobody,
) -> Change:  # fmt: skip
    """Start a run under `workflow_id`, whose newest run is `newest`. Raises AlreadyStarted."""
    if newest is not None and not newest.closed and request.id_conflict == "use_existing":
        return Change(answer={**_identity(newest), "status": newest.status, "already_started": True})
    change = Change()
    pen = begin(change, request, workflow_id, run_key, newest, newest_task, now, find_parent)
    run = pen.done()
    change.answer = {**_identity(run), "status": run.status}
    return change


def begin(
    change: Change, request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None,
    now: float, find_parent: FindParent = nobody, **links: Any,
) -> RunPen:  # fmt: skip
    """Write a new run into `change` up to its first event. `links` = its columns of family. Raises AlreadyStarted."""
    began_at = max(now, links.pop("after", now))
    if newest is not None:
        if not newest.closed and request.id_conflict == "terminate_existing":
            reason = f"replaced by a new run of {workflow_id}"
            end_now(change, newest, newest_task, reason, None, now, find_parent)
        elif not newest.closed or not _may_repeat(newest, request.id_reuse):
            raise AlreadyStarted(
                f"workflow {workflow_id} is {newest.status}: {_way_out(newest)}",
                run_id=newest.run_id, run_status=newest.status,
            )  # fmt: skip
        began_at = max(began_at, newest.created_at + 1e-6, newest.updated_at)  # it is the newest by its time, too
    run = _new_run(request, workflow_id, run_key, 0 if newest is None else newest.feed_mark, began_at)
    if links:
        run = run._replace(**links)
    pen = RunPen(change, run, None, began_at, fresh=True)
    pen.waking_event("WorkflowStarted", request.input)
    if began_at > now:  # a run that is a microsecond younger than its time need not be waited for
        pen.ready_at(now)
    pen.notice("workflow_started", workflow_type=run.workflow_type)
    change.new_namespaces.append(run.namespace)
    return pen


def signal(
    run: Run, task: Task | None, sent: SentSignal, known: int | None, now: float, received: Callable[[], int] = int,
    find_timer: FindTimer = no_timer,
) -> Change:  # fmt: skip
    """Add a signal to the history. `known` = seq of the event with this signal_id, `received` = how many came so far.

    Raises WorkflowClosed, SignalLimit.
    """
    if known is not None:
        return Change(answer={"ok": True, "run_id": run.run_id, "event_seq": known, "repeated": True})
    if run.closed:
        raise WorkflowClosed(
            f"workflow {run.workflow_id} is {run.status}: it takes no signals",
            run_id=run.run_id, run_status=run.status,
        )  # fmt: skip
    change = Change()
    pen = RunPen(change, run, task, now)
    seq = _receive(pen, sent, received, find_timer)
    pen.done()
    change.answer = {"ok": True, "run_id": run.run_id, "event_seq": seq}
    return change


def signal_with_start(
    request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None,
    sent: SentSignal, known: int | None, now: float, received: Callable[[], int] = int,
    find_timer: FindTimer = no_timer,
) -> Change:  # fmt: skip
    """Signal the open run of an id; where there is none, start one that has the signal from the beginning.

    `known` = seq of the newest run's event with this signal_id, also when that run is closed: a repeat starts
    nothing. Raises AlreadyStarted where `id_reuse` forbids another run, SignalLimit.
    """
    if newest is not None and known is not None:
        answer = {**_identity(newest), "status": newest.status, "started": False, "event_seq": known, "repeated": True}
        return Change(answer=answer)
    change = Change()
    if newest is not None and not newest.closed:
        pen = RunPen(change, newest, newest_task, now)
    else:
        pen = begin(change, request, workflow_id, run_key, newest, newest_task, now)
    seq = _receive(pen, sent, received, find_timer)
    run = pen.done()
    change.answer = {**_identity(run), "status": run.status, "started": pen.fresh, "event_seq": seq}
    return change


def _receive(pen: RunPen, sent: SentSignal, received: Callable[[], int], find_timer: FindTimer) -> int:
    """Append a signal to the history, and end the timer of the wait that it meets. Returns its seq."""
    run, name = pen.run, sent.name
    # Each signal is an event, so a short history need not be counted.
    if run.last_seq >= SIGNALS_AT_MOST and received() >= SIGNALS_AT_MOST:
        raise SignalLimit(f"workflow {run.workflow_id} has had {SIGNALS_AT_MOST} signals: let it continue as new")
    told: dict[str, Any] = {"signal": name, "payload": embed(sent.payload)}
    if sent.signal_id is not None:
        told["signal_id"] = sent.signal_id
    seq = append_signal(pen, name, dumps(told), sent.signal_id)
    pen.set(waiting_for=None)
    if run.awaited is not None:
        awaited, timer_seq = _met(run.awaited, name, seq)
        pen.set(awaited=awaited)
        timer = None if timer_seq is None else find_timer(timer_seq)
        if timer is not None:
            timers.cancel(pen, timer)
    pen.notice("signal_received", signal=name)
    return seq


def append_signal(pen: RunPen, name: str, payload: str | None, signal_id: str | None) -> int:
    """Append a SignalReceived with its row. Returns its seq."""
    seq = pen.waking_event("SignalReceived", payload)
    pen.set(signal_seq=seq)
    pen.change.signals.append(Signal(pen.run.run_key, seq, name, signal_id, pen.now))
    return seq


def retry_now(run: Run, task: Task | None, waiting: Iterable[Activity], now: float) -> Change:
    """End the back-off of a run's task, and of those of its activities `waiting` that are between attempts.

    Answers whether the task waited, and how many activities. Raises WorkflowClosed.
    """
    if run.closed:
        raise WorkflowClosed(
            f"workflow {run.workflow_id} is {run.status}: it has nothing to try again",
            run_id=run.run_id, run_status=run.status,
        )  # fmt: skip
    ready = [one for activity in waiting if (one := activities.hurried(activity, now)) is not None]
    again = tasks.hurried(task, now)
    waited = task is not None and task.token is None and task.ready_at > now
    return Change(
        answer={"ok": True, "run_id": run.run_id, "task": waited, "activities": len(ready)},
        tasks=[] if again is None or again is task else [again],
        activities=ready,
    )


def cancel(
    run: Run, task: Task | None, reason: str | None, now: float, find_parent: FindParent = nobody,
    grace_secs: float = CANCEL_GRACE_SECS,
) -> Change:  # fmt: skip
    """Ask the run to end. One that no worker ever took ends at once. Raises AlreadyTerminal."""
    _refuse_closed(run, "cancelled")
    if run.cancel_requested_at is not None:
        return Change(answer={"ok": True, "run_id": run.run_id})
    change = Change(answer={"ok": True, "run_id": run.run_id})
    ask_to_end(change, run, task, reason, now, grace_secs, find_parent)
    return change


def ask_to_end(
    change: Change, run: Run, task: Task | None, reason: str | None, now: float, grace_secs: float,
    find_parent: FindParent = nobody,
) -> Run:  # fmt: skip
    """Write a cancel of an open run that was not asked before. Gives the run as it stands: closed, if nobody had it."""
    pen = RunPen(change, run, task, now)
    request_cancel(pen, reason, grace_secs)
    if run.status == Status.PENDING:
        close(pen, Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", None, find_parent, error=reason)
    return pen.done()


def request_cancel(pen: RunPen, reason: str | None, grace_secs: float) -> None:
    """Append a cancel request, of which a worker must learn; the grace is for the case that there is none.

    It ends a back-off: up to ten minutes would make the wish to end the slowest of all.
    """
    seq = pen.waking_event("WorkflowCancelRequested", dumps({"reason": reason}))
    pen.task = tasks.hurried(pen.task, pen.clock)
    pen.set(cancel_requested_at=pen.now, cancel_seq=seq, signal_seq=seq, waiting_for=None)
    pen.set(deadline_at=_earliest(pen.run, pen.now + grace_secs))


def terminate(
    run: Run, task: Task | None, reason: str | None, by: str | None, now: float, find_parent: FindParent = nobody
) -> Change:
    """End the run now, whatever it is doing; its workers are not asked. Raises AlreadyTerminal."""
    _refuse_closed(run, "terminated")
    change = Change(answer={"ok": True, "run_id": run.run_id})
    end_now(change, run, task, reason, by, now, find_parent)
    return change


def end_now(
    change: Change, run: Run, task: Task | None, reason: str | None, by: str | None, now: float,
    find_parent: FindParent = nobody,
) -> None:  # fmt: skip
    """Write the end of an open run."""
    pen = RunPen(change, run, task, now)
    close(
        pen, Status.FAILED, CloseReason.TERMINATED, "WorkflowTerminated", dumps({"reason": reason, "by": by}),
        find_parent, error=f"terminated: {reason}" if reason else "terminated",
    )  # fmt: skip
    pen.done()


def expire(
    run: Run, task: Task | None, now: float, last_poll: Callable[[], float | None], grace_secs: float,
    find_parent: FindParent = nobody,
) -> Change:  # fmt: skip
    """End a run whose time is over, or that was asked to end and has no worker. Answers whether it ended.

    `last_poll` = when somebody last asked for work of its queue.
    """
    if run.closed or run.deadline_at is None or run.deadline_at > now:
        return Change(answer=False)
    change = Change(answer=True)
    pen = RunPen(change, run, task, now)
    over = [kind for kind, moment in _deadlines(run).items() if moment <= now]
    if over:
        close(
            pen, Status.TIMED_OUT, CloseReason.TIMED_OUT, "WorkflowTimedOut", dumps({"timeout_type": over[0]}),
            find_parent, error=f"timed out: {over[0]}",
        )  # fmt: skip
    elif _nobody_works_on(run, task, now, last_poll, grace_secs):
        close(pen, Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", None, find_parent)
    else:
        change.answer = False
        look_again = now + grace_secs if _unheard(run) else None
        pen.set(deadline_at=_earliest(run, look_again))
    pen.done()
    return change


def _nobody_works_on(
    run: Run, task: Task | None, now: float, last_poll: Callable[[], float | None], grace_secs: float
) -> bool:
    """Whether a run that was asked to end has waited in vain for a worker to hear of it.

    Once its code has heard, the end is the code's: it may be giving back what it holds, however long that takes.
    """
    if not _unheard(run) or run.cancel_requested_at is None or run.cancel_requested_at + grace_secs > now:
        return False
    if task is None or task.token is not None:  # a worker knows of it
        return False
    polled = last_poll()
    return polled is None or polled + grace_secs <= now


def _unheard(run: Run) -> bool:
    return run.cancel_seq > run.seen_seq


def _deadlines(run: Run) -> dict[str, float]:
    known = {"execution": run.chain_deadline_at, "run": run.run_deadline_at}
    return {kind: moment for kind, moment in known.items() if moment is not None}


def _earliest(run: Run, other: float | None) -> float | None:
    moments = [*_deadlines(run).values(), *([] if other is None else [other])]
    return min(moments, default=None)


def _refuse_closed(run: Run, verb: str) -> None:
    if run.closed:
        raise AlreadyTerminal(
            f"not found: workflow {run.workflow_id} is {run.status} already and cannot be {verb}",
            run_id=run.run_id, run_status=run.status,
        )  # fmt: skip


def _may_repeat(newest: Run, id_reuse: str) -> bool:
    if id_reuse == "allow_failed_only":
        return newest.status in UNSUCCESSFUL
    return id_reuse == "allow"


def _way_out(newest: Run) -> str:
    if newest.closed:
        return "id_reuse of this request forbids another run of it"
    return "choose another id, or send id_conflict use_existing or terminate_existing"


def _identity(run: Run) -> dict[str, Any]:
    return {"workflow_id": run.workflow_id, "run_id": run.run_id}


def _met(awaited: str, name: str, seq: int) -> tuple[str, int | None]:
    """Note that a wait for `name` has found its signal: the first one counts. Gives the timer that bounded it, too."""
    waits = loads(awaited)
    if name in waits and waits[name][1] is None:
        waits[name][1] = seq
        return dumps(waits), next(iter(waits[name][2:]), None)
    return awaited, None


def _new_run(request: StartRun, workflow_id: str, run_key: int, feed_mark: int, now: float) -> Run:
    attributes = request.search_attributes
    run_id = f"run-{workflow_id}-{run_key}"
    chain, alone = request.execution_timeout_secs, request.run_timeout_secs
    chain_deadline_at = None if chain is None else now + chain
    run_deadline_at = None if alone is None else now + alone
    moments = [moment for moment in (chain_deadline_at, run_deadline_at) if moment is not None]
    return Run(
        run_key=run_key,
        namespace=request.namespace,
        workflow_id=workflow_id,
        run_id=run_id,
        workflow_type=request.workflow_type,
        task_queue=request.task_queue,
        status=Status.PENDING.value,
        close_reason=None,
        input=request.input,
        result=None,
        error=None,
        search_attributes=dumps(dict(attributes)) if attributes else None,
        priority=0,
        parent_key=None,
        parent_chain_key=None,
        child_command=None,
        parent_close=None,
        first_run_key=run_key,
        first_run_id=run_id,
        schedule_key=None,
        schedule_tick=None,
        continued_from=None,
        continued_to=None,
        has_children=False,
        last_seq=0,
        wake_seq=0,
        seen_seq=0,
        signal_seq=0,
        last_token=None,
        feed_mark=feed_mark,
        run_timeout_secs=alone,
        run_deadline_at=run_deadline_at,
        chain_deadline_at=chain_deadline_at,
        deadline_at=min(moments, default=None),
        cancel_seq=0,
        cancel_requested_at=None,
        paused=None,
        waiting_for=None,
        awaited=None,
        task_failure=None,
        archived_at=None,
        archive_uri=None,
        created_at=now,
        updated_at=now,
        completed_at=None,
    )
