"""The life of a run, as its callers see it: start, signal, cancel, terminate.

(start) --> PENDING --first claim--> RUNNING --turn--> COMPLETED | FAILED | CANCELLED
               |                        |
               +------- terminate ------+--> FAILED (close_reason terminated)
               +-- cancel --> CANCELLED
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..jsontext import dumps
from ..jsontext import embed
from ..jsontext import loads
from .change import Change
from .change import RunPen
from .errors import AlreadyStarted
from .errors import AlreadyTerminal
from .errors import SignalLimit
from .errors import WorkflowClosed
from .model import CloseReason
from .model import Run
from .model import Signal
from .model import Status
from .model import Task
from .requests import SentSignal
from .requests import StartRun

SIGNALS_AT_MOST = 10_000  # that one run takes
UNSUCCESSFUL = frozenset({Status.FAILED, Status.CANCELLED, Status.TIMED_OUT})


def start(
    request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None, now: float
) -> Change:
    """Start a run under `workflow_id`, whose newest run is `newest`. Raises AlreadyStarted."""
    if newest is not None and not newest.closed and request.id_conflict == "use_existing":
        return Change(answer={**_identity(newest), "status": newest.status, "already_started": True})
    change = Change()
    pen = _begin(change, request, workflow_id, run_key, newest, newest_task, now)
    run = pen.done()
    change.answer = {**_identity(run), "status": run.status}
    return change


def _begin(
    change: Change, request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None,
    now: float,
) -> RunPen:  # fmt: skip
    """Write a new run into `change` up to its first event. Raises AlreadyStarted."""
    if newest is not None:
        if not newest.closed and request.id_conflict == "terminate_existing":
            _terminate(change, newest, newest_task, f"replaced by a new run of {workflow_id}", None, now)
        elif not newest.closed or not _may_repeat(newest, request.id_reuse):
            raise AlreadyStarted(
                f"workflow {workflow_id} is {newest.status}: {_way_out(newest)}",
                run_id=newest.run_id, run_status=newest.status,
            )  # fmt: skip
        now = max(now, newest.created_at + 1e-6, newest.updated_at)  # the newest run is the newest by its time, too
    run = _new_run(request, workflow_id, run_key, 0 if newest is None else newest.feed_mark, now)
    pen = RunPen(change, run, None, now, fresh=True)
    pen.waking_event("WorkflowStarted", request.input)
    pen.notice("workflow_started", workflow_type=run.workflow_type)
    change.new_namespaces.append(run.namespace)
    return pen


def signal(
    run: Run, task: Task | None, sent: SentSignal, known: int | None, now: float, received: Callable[[], int] = int
) -> Change:
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
    seq = _receive(pen, sent, received)
    pen.done()
    change.answer = {"ok": True, "run_id": run.run_id, "event_seq": seq}
    return change


def signal_with_start(
    request: StartRun, workflow_id: str, run_key: int, newest: Run | None, newest_task: Task | None,
    sent: SentSignal, known: int | None, now: float, received: Callable[[], int] = int,
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
        pen = _begin(change, request, workflow_id, run_key, newest, newest_task, now)
    seq = _receive(pen, sent, received)
    run = pen.done()
    change.answer = {**_identity(run), "status": run.status, "started": pen.fresh, "event_seq": seq}
    return change


def _receive(pen: RunPen, sent: SentSignal, received: Callable[[], int]) -> int:
    """Append a signal to the history. Returns its seq."""
    run, name = pen.run, sent.name
    # Each signal is an event, so a short history need not be counted.
    if run.last_seq >= SIGNALS_AT_MOST and received() >= SIGNALS_AT_MOST:
        raise SignalLimit(f"workflow {run.workflow_id} has had {SIGNALS_AT_MOST} signals: let it continue as new")
    told: dict[str, Any] = {"signal": name, "payload": embed(sent.payload)}
    if sent.signal_id is not None:
        told["signal_id"] = sent.signal_id
    seq = pen.waking_event("SignalReceived", dumps(told))
    pen.set(signal_seq=seq, waiting_for=None)
    if run.awaited is not None:
        pen.set(awaited=_met(run.awaited, name, seq))
    pen.change.signals.append(Signal(run.run_key, seq, name, sent.signal_id, pen.now))
    pen.notice("signal_received", signal=name)
    return seq


def cancel(run: Run, task: Task | None, reason: str | None, now: float) -> Change:
    """Ask the run to end. One that no worker ever took ends at once. Raises AlreadyTerminal."""
    _refuse_closed(run, "cancelled")
    if run.cancel_requested_at is not None:
        return Change(answer={"ok": True, "run_id": run.run_id})
    change = Change()
    pen = RunPen(change, run, task, now)
    seq = pen.waking_event("WorkflowCancelRequested", dumps({"reason": reason}))
    pen.set(cancel_requested_at=pen.now, signal_seq=seq, waiting_for=None)
    if run.status == Status.PENDING:
        pen.close(Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", None)
    pen.done()
    change.answer = {"ok": True, "run_id": run.run_id}
    return change


def terminate(run: Run, task: Task | None, reason: str | None, by: str | None, now: float) -> Change:
    """End the run now, whatever it is doing; its workers are not asked. Raises AlreadyTerminal."""
    _refuse_closed(run, "terminated")
    change = Change(answer={"ok": True, "run_id": run.run_id})
    _terminate(change, run, task, reason, by, now)
    return change


def _terminate(change: Change, run: Run, task: Task | None, reason: str | None, by: str | None, now: float) -> None:
    pen = RunPen(change, run, task, now)
    pen.close(
        Status.FAILED, CloseReason.TERMINATED, "WorkflowTerminated", dumps({"reason": reason, "by": by}),
        error=f"terminated: {reason}" if reason else "terminated",
    )  # fmt: skip
    pen.done()


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


def _met(awaited: str, name: str, seq: int) -> str:
    """Note that a wait for `name` has found its signal: the first one counts."""
    waits = loads(awaited)
    if name in waits and waits[name][1] is None:
        waits[name][1] = seq
        return dumps(waits)
    return awaited


def _new_run(request: StartRun, workflow_id: str, run_key: int, feed_mark: int, now: float) -> Run:
    attributes = request.search_attributes
    run_id = f"run-{workflow_id}-{run_key}"
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
        continued_from=None,
        continued_to=None,
        last_seq=0,
        wake_seq=0,
        seen_seq=0,
        signal_seq=0,
        last_token=None,
        feed_mark=feed_mark,
        deadline_at=None,
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
