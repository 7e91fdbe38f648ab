"""A worker's turn: a batch of commands, folded over a table of small functions into one Change.

The batch is checked whole and applied whole. Three answers refuse it and yet write, because the lease
must be freed and somebody must learn of it: a bad command and nondeterminism fail the *task* (never the
run), unhandled events send it out again at once.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..jsontext import dumps
from ..jsontext import embed
from ..jsontext import loads
from . import activities
from .change import Change
from .change import RunPen
from .commands import CLOSING
from .commands import CancelWorkflow
from .commands import Command
from .commands import CompleteWorkflow
from .commands import FailWorkflow
from .commands import RecordSideEffect
from .commands import RecordSnapshot
from .commands import ScheduleActivity
from .commands import UpsertSearchAttributes
from .commands import WaitForSignal
from .errors import BadCommand
from .errors import Nondeterminism
from .errors import UnhandledEvents
from .model import Activity
from .model import CloseReason
from .model import Run
from .model import Snapshot
from .model import Status
from .model import Task
from .requests import TaskFailure
from .requests import TurnReport
from .tasks import check_lease
from .tasks import failed
from .texts import told_error

CLOSES_REFUSED_AT_MOST = 3
ATTRIBUTE_KEYS_AT_MOST = 100
ATTRIBUTE_BYTES_AT_MOST = 40 * 1024


@dataclass(slots=True)
class Recorded:
    """What the history holds of the seqs that this turn names."""

    activities: Mapping[int, Activity] = field(default_factory=dict)  # by seq
    side_effects: Mapping[int, str] = field(default_factory=dict)  # seq -> name
    upserts: frozenset[int] = frozenset()
    snapshot: str | None = None
    open_activities: Callable[[], int] = int  # how many the run has
    unread: Callable[[], list[tuple[int, str]]] = list  # (seq, name) of the signals after history_seq


@dataclass(slots=True)
class _Turn:
    """A turn while it is folded."""

    pen: RunPen
    recorded: Recorded
    claimed_seq: int
    new_key: Callable[[], int]
    scheduled: dict[int, Activity] = field(default_factory=dict)
    waiting_for: list[dict[str, Any]] = field(default_factory=list)
    wakes_itself: bool = False


def take(
    run: Run, task: Task | None, report: TurnReport, token_hash: str, recorded: Recorded,
    new_key: Callable[[], int], now: float,
) -> Change:  # fmt: skip
    """Apply a worker's report. Raises WorkflowClosed, LeaseLost."""
    if run.last_token == token_hash:
        return Change(answer=activities.REPEATED)
    task = check_lease(run, task, token_hash)
    if report.refused is not None:
        return failed(run, task, TaskFailure(cause=report.refused.code, message=report.refused.message),
                      now, refusal=report.refused)  # fmt: skip
    if report.failure is not None:
        return failed(run, task, report.failure, now, token_hash=token_hash)
    try:
        return _fold(run, task, report, token_hash, recorded, new_key, now)
    except (BadCommand, Nondeterminism) as refusal:
        return failed(run, task, TaskFailure(cause=refusal.code, message=refusal.message), now, refusal=refusal)


def _fold(
    run: Run, task: Task, report: TurnReport, token_hash: str, recorded: Recorded,
    new_key: Callable[[], int], now: float,
) -> Change:  # fmt: skip
    commands = report.commands
    claimed_seq = task.claimed_seq or 0
    closing = _closing(commands)
    unread = closing and run.signal_seq > claimed_seq
    if unread and report.task_token is not None and task.closes_refused < CLOSES_REFUSED_AT_MOST:
        return _redelivered(run, task, now)
    _refuse_too_many(run, commands, recorded)
    change = Change(answer={"ok": True})
    turn = _Turn(RunPen(change, run, task, now), recorded, claimed_seq, new_key)
    pen = turn.pen
    pen.set(seen_seq=claimed_seq, last_token=token_hash, task_failure=None, waiting_for=None)
    if unread:
        pen.event("SignalsUnhandled", dumps({"signals": [seq for seq, _ in recorded.unread()]}))
    for index, command in enumerate(commands):
        try:
            _HANDLERS[type(command)](turn, command)
        except (BadCommand, Nondeterminism) as refusal:
            refusal.members.setdefault("index", index)
            raise
    if not closing:
        _release(turn, task)
    pen.done()
    return change


def _release(turn: _Turn, task: Task) -> None:
    """Park the run, or make it ready again where something came that this turn did not know."""
    pen = turn.pen
    parks = bool(turn.waiting_for)
    if pen.wake_seq > turn.claimed_seq or (turn.wakes_itself and not parks):
        pen.task = task._replace(
            ready_at=pen.now, attempt=0, closes_refused=0, token=None, owner=None, session=None, exchange=None,
            claimed_seq=None, deadline_at=None,
        )  # fmt: skip
    else:
        pen.task = None
        pen.set(waiting_for=dumps(turn.waiting_for))


def _redelivered(run: Run, task: Task, now: float) -> Change:
    """Refuse a close that did not know of a signal or a cancel request; send the task out again at once."""
    refusal = UnhandledEvents(
        f"workflow {run.workflow_id} received something after event {task.claimed_seq}: the task comes again",
        run_id=run.run_id,
    )  # fmt: skip
    again = task._replace(
        ready_at=max(now, run.updated_at), closes_refused=task.closes_refused + 1, token=None, owner=None,
        session=None, exchange=None, claimed_seq=None, deadline_at=None,
    )  # fmt: skip
    return Change(refusal=refusal, tasks=[again])


def _closing(commands: Sequence[Command]) -> bool:
    closes = [index for index, command in enumerate(commands) if isinstance(command, CLOSING)]
    if closes and closes != [len(commands) - 1]:
        raise BadCommand("a closing command must be the last one, and the only one", index=closes[0])
    return bool(closes)


def _refuse_too_many(run: Run, commands: Sequence[Command], recorded: Recorded) -> None:
    """Keep a run from having more activities open than anybody could look after. Raises BadCommand."""
    wanted = [
        index
        for index, command in enumerate(commands)
        if isinstance(command, ScheduleActivity) and command.seq not in recorded.activities
    ]
    if wanted and activities.may_be_too_many(run, len(wanted)):
        room = activities.OPEN_AT_MOST - recorded.open_activities()
        if room < len(wanted):
            raise BadCommand(activities.TOO_MANY, code="too_many_pending", index=wanted[max(room, 0)])


def _schedule_activity(turn: _Turn, command: ScheduleActivity) -> None:
    known = turn.recorded.activities.get(command.seq) or turn.scheduled.get(command.seq)
    if known is not None:
        activities.refuse_other_name(known, command)
        if known.completed_at is None:  # what is over is nothing to wait for: the run would sleep for ever
            turn.waiting_for.append({"kind": "activity", "name": command.name, "since": known.scheduled_at})
        return
    row = turn.scheduled[command.seq] = activities.schedule(turn.pen, command, turn.new_key())
    turn.waiting_for.append({"kind": "activity", "name": row.name, "since": turn.pen.now})


def _wait_for_signal(turn: _Turn, command: WaitForSignal) -> None:
    """Park on a signal, and say so in the history once per wait, not once per replay.

    A wait is told by the signals that came before it: while `awaited` names this signal and no later one
    met the wait before this turn's history ended, it is the same wait.
    """
    pen = turn.pen
    awaited: dict[str, list[int | None]] = loads(pen.get("awaited") or "{}")
    at, met = awaited.get(command.name, (None, None))
    if at is None or (met is not None and met <= turn.claimed_seq):
        seq = pen.event("WorkflowAwaitingSignal", dumps({"signal": command.name}))
        awaited[command.name] = [seq, _crossing(turn, command.name)]
        pen.set(awaited=dumps(awaited))
    turn.waiting_for.append({"kind": "signal", "name": command.name, "since": pen.now})


def _crossing(turn: _Turn, name: str) -> int | None:
    """Give the seq of the first signal of this name that came while this turn was under way: it meets the wait."""
    if turn.pen.run.signal_seq <= turn.claimed_seq:
        return None
    return next((seq for seq, signal in turn.recorded.unread() if signal == name), None)


def _record_side_effect(turn: _Turn, command: RecordSideEffect) -> None:
    known = turn.recorded.side_effects.get(command.seq)
    if known is not None:
        if known != command.name:
            raise Nondeterminism(
                f"command {command.seq}: the history has side effect {known!r}, the code now asks for "
                f"{command.name!r}",
                seq=command.seq,
            )  # fmt: skip
        return
    payload = {"side_effect_seq": command.seq, "name": command.name, "value": embed(command.value)}
    turn.recorded.side_effects = {**turn.recorded.side_effects, command.seq: command.name}
    turn.pen.event("SideEffectRecorded", dumps(payload), ref_seq=command.seq)
    turn.wakes_itself = True


def _upsert_search_attributes(turn: _Turn, command: UpsertSearchAttributes) -> None:
    if command.seq is not None and command.seq in turn.recorded.upserts:
        return
    pen = turn.pen
    before = loads(pen.get("search_attributes") or "{}")
    after = {**before, **command.patch}
    if command.seq is None and after == before:
        return  # a worker without seqs sends it at each replay: once is enough, else it would run for ever
    text = dumps(after)
    if len(after) > ATTRIBUTE_KEYS_AT_MOST or len(text.encode()) > ATTRIBUTE_BYTES_AT_MOST:
        raise BadCommand(
            f"search attributes: at most {ATTRIBUTE_KEYS_AT_MOST} keys and {ATTRIBUTE_BYTES_AT_MOST} bytes"
        )
    payload: dict[str, Any] = {"patch": command.patch}
    if command.seq is not None:
        payload["upsert_seq"] = command.seq
        turn.recorded.upserts = turn.recorded.upserts | {command.seq}
    pen.set(search_attributes=text)
    pen.event("SearchAttributesUpserted", dumps(payload), ref_seq=command.seq)
    turn.wakes_itself = True


def _record_snapshot(turn: _Turn, command: RecordSnapshot) -> None:
    if command.state == turn.recorded.snapshot:
        return
    pen = turn.pen
    turn.recorded.snapshot = command.state
    pen.change.snapshots.append(Snapshot(pen.run.run_key, command.state, turn.claimed_seq, pen.now))


def _complete_workflow(turn: _Turn, command: CompleteWorkflow) -> None:
    turn.pen.close(Status.COMPLETED, CloseReason.COMPLETED, "WorkflowCompleted", command.result, result=command.result)


def _fail_workflow(turn: _Turn, command: FailWorkflow) -> None:
    told = told_error(command.error)
    turn.pen.close(Status.FAILED, CloseReason.FAILED, "WorkflowFailed", dumps(told), error=told["error"])


def _cancel_workflow(turn: _Turn, command: CancelWorkflow) -> None:
    payload = None if command.reason is None else dumps({"reason": command.reason})
    turn.pen.close(Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", payload)


_HANDLERS: Mapping[type, Callable[[_Turn, Any], None]] = {
    ScheduleActivity: _schedule_activity,
    WaitForSignal: _wait_for_signal,
    RecordSideEffect: _record_side_effect,
    RecordSnapshot: _record_snapshot,
    UpsertSearchAttributes: _upsert_search_attributes,
    CompleteWorkflow: _complete_workflow,
    FailWorkflow: _fail_workflow,
    CancelWorkflow: _cancel_workflow,
}
