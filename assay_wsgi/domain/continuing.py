"""Continue as new: one run closes, the next of its chain begins, and what was not read goes along."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from ..jsontext import dumps
from ..jsontext import embed
from .change import Change
from .change import RunPen
from .closing import FindParent
from .closing import nobody
from .commands import ContinueAsNew
from .errors import AlreadyStarted
from .model import CloseReason
from .model import Run
from .model import Status
from .model import Task
from .requests import StartRun
from .workflows import append_signal
from .workflows import begin
from .workflows import request_cancel

_SUFFIX = re.compile(r"-continued-([0-9]+)$")
_ID_CHARS = 255


class Unread(NamedTuple):
    """A signal that the code of a run has not taken."""

    name: str
    payload: str | None  # of its event, JSON text
    signal_id: str | None


def next_id(workflow_id: str) -> str:
    """Name the next run of a chain whose caller names none: `<base>-continued-<n>`."""
    found = _SUFFIX.search(workflow_id)
    base = workflow_id[: found.start()] if found else workflow_id
    suffix = f"-continued-{int(found.group(1)) + 1 if found else 1}"
    return base[: _ID_CHARS - len(suffix)] + suffix


def proceed(
    pen: RunPen, command: ContinueAsNew, unread: Sequence[Unread], newest: Run | None, run_key: int, now: float,
    *, asked_to_end: bool, grace_secs: float,
) -> Run:  # fmt: skip
    """Close the pen's run and write its successor; `newest` = the newest run of the successor's id.

    `asked_to_end` = a cancel request came of which the code did not know: it goes along. Raises AlreadyStarted
    where the id is another open run's.
    """
    run = pen.run
    workflow_id = command.workflow_id or next_id(run.workflow_id)
    other = None if newest is None or newest.run_key == run.run_key else newest
    if other is not None and not other.closed:
        raise AlreadyStarted(
            f"workflow {workflow_id} is {other.status}: {run.workflow_id} cannot continue under its id",
            run_id=other.run_id, run_status=other.status,
        )  # fmt: skip
    request = StartRun(
        workflow_type=command.workflow_type or run.workflow_type, namespace=run.namespace,
        task_queue=command.task_queue or run.task_queue, input=command.input, run_timeout_secs=run.run_timeout_secs,
    )  # fmt: skip
    run_id = f"run-{workflow_id}-{run_key}"
    told = {
        "new_run_id": run_id, "workflow_id": workflow_id, "workflow_type": request.workflow_type,
        "input": embed(command.input),
    }  # fmt: skip
    pen.set(continued_to=run_id)
    pen.close(Status.COMPLETED, CloseReason.CONTINUED_AS_NEW, "WorkflowContinuedAsNew", dumps(told))
    fresh = begin(
        pen.change, request, workflow_id, run_key, other, None, now, after=max(pen.now, run.created_at + 1e-6),
        search_attributes=pen.get("search_attributes"), priority=run.priority, parent_key=run.parent_key,
        parent_chain_key=run.parent_chain_key, child_command=run.child_command, parent_close=run.parent_close,
        first_run_key=run.first_run_key, first_run_id=run.first_run_id,
        schedule_key=run.schedule_key, schedule_tick=run.schedule_tick, continued_from=run.run_id,
        has_children=pen.get("has_children"), chain_deadline_at=run.chain_deadline_at,
        feed_mark=max(run.feed_mark, 0 if other is None else other.feed_mark),
    )  # fmt: skip
    moments = [moment for moment in (fresh.run.run_deadline_at, run.chain_deadline_at) if moment is not None]
    fresh.set(deadline_at=min(moments, default=None))
    for signal in unread:
        append_signal(fresh, signal.name, signal.payload, signal.signal_id)
    if asked_to_end:
        request_cancel(fresh, None, grace_secs)
    return fresh.done()


def continue_open(
    run: Run, task: Task | None, command: ContinueAsNew, unread: Sequence[Unread], newest: Run | None, run_key: int,
    grace_secs: float, now: float,
) -> Change:  # fmt: skip
    """Continue an open run from outside: whoever works on it has lost its lease. Raises AlreadyStarted."""
    change = Change()
    pen = RunPen(change, run, task, now)
    unseen = run.cancel_requested_at is not None
    fresh = proceed(pen, command, unread, newest, run_key, now, asked_to_end=unseen, grace_secs=grace_secs)
    pen.done()
    change.answer = {"workflow_id": fresh.workflow_id, "run_id": fresh.run_id, "status": fresh.status}
    return change


def begin_anew(
    run: Run, command: ContinueAsNew, newest: Run | None, newest_task: Task | None, run_key: int, now: float,
    find_parent: FindParent = nobody,
) -> Change:  # fmt: skip
    """Start a fresh run like a closed one: its type, queue and attributes, no link and no signal.

    The closed run's record stays as it is. Raises AlreadyStarted.
    """
    change = Change()
    workflow_id = command.workflow_id or next_id(run.workflow_id)
    request = StartRun(
        workflow_type=command.workflow_type or run.workflow_type, namespace=run.namespace,
        task_queue=command.task_queue or run.task_queue, input=command.input,
    )  # fmt: skip
    pen = begin(
        change, request, workflow_id, run_key, newest, newest_task, now, find_parent,
        search_attributes=run.search_attributes,
    )  # fmt: skip
    fresh = pen.done()
    change.answer = {"workflow_id": fresh.workflow_id, "run_id": fresh.run_id, "status": fresh.status}
    return change


FindUnread = Callable[[tuple[int, ...], int], Sequence[Unread]]  # listed seqs, and all after this one
