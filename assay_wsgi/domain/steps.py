"""What each command of a turn does: a table of small functions that write into the turn's pen."""

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
from . import attributes
from . import continuing
from . import timers
from . import workflows
from .change import RunPen
from .closing import FindParent
from .closing import Found
from .closing import close
from .closing import nobody
from .closing import tell
from .commands import CancelActivity
from .commands import CancelTimer
from .commands import CancelWorkflow
from .commands import CompleteWorkflow
from .commands import ContinueAsNew
from .commands import FailWorkflow
from .commands import RecordSideEffect
from .commands import RecordSnapshot
from .commands import RequestCancelChild
from .commands import ScheduleActivity
from .commands import ScheduleTimer
from .commands import StartChildWorkflow
from .commands import UpsertSearchAttributes
from .commands import WaitForCondition
from .commands import WaitForSignal
from .continuing import FindUnread
from .errors import AlreadyStarted
from .errors import BadCommand
from .errors import IdTaken
from .errors import Nondeterminism
from .model import Activity
from .model import CloseReason
from .model import Run
from .model import Snapshot
from .model import Status
from .model import Timer
from .requests import StartRun
from .texts import told_error

CHILDREN_AT_MOST = 2000  # open ones, of a chain


def _nobody_named(_workflow_id: str) -> Found:
    return None


def _no_chain(_first_run_key: int) -> Found:
    return None


def _never(_after: int) -> bool:
    return False


def _nothing_unread(_listed: tuple[int, ...], _after: int) -> Sequence[continuing.Unread]:
    return ()


@dataclass(slots=True)
class Recorded:
    """What the history holds of the things that this turn names, and how to ask for more."""

    activities: Mapping[int, Activity] = field(default_factory=dict)  # by seq
    timers: Mapping[int, Timer] = field(default_factory=dict)  # by seq
    side_effects: Mapping[int, str] = field(default_factory=dict)  # seq -> name
    upserts: frozenset[int] = frozenset()
    snapshot: str | None = None
    open_activities: Callable[[], int] = int  # how many the run has
    open_children: Callable[[], int] = int  # how many its chain has
    unread: Callable[[], list[tuple[int, str]]] = list  # (seq, name) of the signals after history_seq
    child_ended: Callable[[int], bool] = _never  # whether a child's end came after this event
    carried: FindUnread = _nothing_unread  # signals that a successor is given
    named: Callable[[str], Found] = _nobody_named  # the newest run of an id in this namespace
    chain: Callable[[int], Found] = _no_chain  # the newest run of a chain, by the key of its first
    parent: FindParent = nobody
    cancel_grace_secs: float = workflows.CANCEL_GRACE_SECS


@dataclass(slots=True)
class Turn:
    """A turn while it is folded."""

    pen: RunPen
    recorded: Recorded
    claimed_seq: int
    now: float  # the unit's; the pen's may be later
    new_key: Callable[[], int]
    scheduled: dict[int, Activity] = field(default_factory=dict)
    timers: dict[int, Timer] = field(default_factory=dict)
    children: dict[str, Run] = field(default_factory=dict)  # started in this turn
    cancelled: set[int] = field(default_factory=set)  # run keys of the children that this turn asks to end
    waiting_for: list[dict[str, Any]] = field(default_factory=list)
    wakes_itself: bool = False

    def waits_for(self, kind: str, name: str, since: float | None = None) -> None:
        """Note what the code waits for, for people."""
        self.waiting_for.append({"kind": kind, "name": name, "since": self.pen.now if since is None else since})

    def waits_no_more_for(self, kind: str, name: str) -> None:
        """Strike out one thing that the code waits for."""
        for place, one in enumerate(self.waiting_for):
            if (one["kind"], one["name"]) == (kind, name):
                del self.waiting_for[place]
                return


# ----------------------------------------------------------------------------------- activities and timers


def _schedule_activity(turn: Turn, command: ScheduleActivity) -> None:
    known = turn.scheduled.get(command.seq) or turn.recorded.activities.get(command.seq)
    if known is not None:
        activities.refuse_other_name(known, command)
        if known.completed_at is None:  # what is over is nothing to wait for: the run would sleep for ever
            turn.waits_for("activity", command.name, known.scheduled_at)
        return
    row = turn.scheduled[command.seq] = activities.schedule(turn.pen, command, turn.new_key())
    turn.waits_for("activity", row.name)


def _cancel_activity(turn: Turn, command: CancelActivity) -> None:
    seq = command.activity_seq
    known = turn.scheduled.get(seq) or turn.recorded.activities.get(seq)
    if known is None:
        raise BadCommand(f"there is no activity {seq} to cancel", seq=seq)
    if known.completed_at is None:
        turn.scheduled[seq] = activities.cancel(turn.pen, known)
        turn.waits_no_more_for("activity", known.name)


def _schedule_timer(turn: Turn, command: ScheduleTimer) -> None:
    known = turn.timers.get(command.seq) or turn.recorded.timers.get(command.seq)
    if known is None:
        known = turn.timers[command.seq] = timers.schedule(turn.pen, command, turn.new_key())
    if known.status == "PENDING":
        turn.waits_for("timer", str(known.seq), known.created_at)


def _cancel_timer(turn: Turn, command: CancelTimer) -> None:
    _end_timer(turn, command.timer_seq)


def _end_timer(turn: Turn, seq: int) -> None:
    known = turn.timers.get(seq) or turn.recorded.timers.get(seq)
    if known is None:
        raise BadCommand(f"there is no timer {seq}", seq=seq)
    timers.cancel(turn.pen, known)
    turn.timers[seq] = known._replace(status="CANCELLED") if known.status == "PENDING" else known
    turn.waits_no_more_for("timer", str(seq))


# --------------------------------------------------------------------------------------- signals and records


def _wait_for_signal(turn: Turn, command: WaitForSignal) -> None:
    """Park on a signal, and say so in the history once per wait, not once per replay.

    A wait is told by the signals that came before it and by its timer: while `awaited` names this signal and
    timer, and no later signal met the wait before this turn's history ended, it is the same wait.
    """
    pen = turn.pen
    awaited: dict[str, list[int | None]] = loads(pen.get("awaited") or "{}")
    at, met, timer_seq = (*awaited.get(command.name, (None, None)), None)[:3]
    if at is None or timer_seq != command.timer_seq or (met is not None and met <= turn.claimed_seq):
        told: dict[str, Any] = {"signal": command.name}
        if command.timer_seq is not None:
            told["timer_seq"] = command.timer_seq
        seq = pen.event("WorkflowAwaitingSignal", dumps(told))
        met = _crossing(turn, command.name)
        awaited[command.name] = [seq, met] if command.timer_seq is None else [seq, met, command.timer_seq]
        pen.set(awaited=dumps(awaited))
        if met is not None and command.timer_seq is not None:
            _end_timer(turn, command.timer_seq)
    turn.waits_for("signal", command.name)


def _wait_for_condition(turn: Turn, command: WaitForCondition) -> None:
    turn.waits_for("condition", command.name)


def _crossing(turn: Turn, name: str) -> int | None:
    """Give the seq of the first signal of this name that came while this turn was under way: it meets the wait."""
    if turn.pen.run.signal_seq <= turn.claimed_seq:
        return None
    return next((seq for seq, signal in turn.recorded.unread() if signal == name), None)


def _record_side_effect(turn: Turn, command: RecordSideEffect) -> None:
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


def _upsert_search_attributes(turn: Turn, command: UpsertSearchAttributes) -> None:
    if command.seq is not None and command.seq in turn.recorded.upserts:
        return
    pen = turn.pen
    before = loads(pen.get("search_attributes") or "{}")
    after = {**before, **command.patch}
    if command.seq is None and after == before:
        return  # a worker without seqs sends it at each replay: once is enough, else it would run for ever
    _refuse_unfit(after)
    text = dumps(after)
    payload: dict[str, Any] = {"patch": command.patch}
    if command.seq is not None:
        payload["upsert_seq"] = command.seq
        turn.recorded.upserts = turn.recorded.upserts | {command.seq}
    pen.set(search_attributes=text)
    pen.event("SearchAttributesUpserted", dumps(payload), ref_seq=command.seq)
    turn.wakes_itself = True


def _refuse_unfit(found: Mapping[str, Any]) -> None:
    if wrong := attributes.fault(found):
        raise BadCommand(f"search attributes: {wrong}")


def _record_snapshot(turn: Turn, command: RecordSnapshot) -> None:
    if command.state == turn.recorded.snapshot:
        return
    pen = turn.pen
    turn.recorded.snapshot = command.state
    pen.change.snapshots.append(Snapshot(pen.run.run_key, command.state, turn.claimed_seq, pen.now))


# ------------------------------------------------------------------------------------------------- children


def _start_child(turn: Turn, command: StartChildWorkflow) -> None:
    pen, run = turn.pen, turn.pen.run
    found = turn.recorded.named(command.workflow_id)
    newest = turn.children.get(command.workflow_id) or (None if found is None else found[0])
    if newest is not None and _is_child_of(newest, run, command):
        if newest.workflow_type != command.workflow_type and newest.continued_from is None:
            raise Nondeterminism(
                f"child {command.workflow_id}: the history has a {newest.workflow_type!r}, the code now asks for a "
                f"{command.workflow_type!r}",
                workflow_id=command.workflow_id,
            )  # fmt: skip
        if not newest.closed:
            turn.waits_for("child", command.workflow_id, newest.created_at)
        return
    # Each child has an event, so a short history need not be counted, unless it continues others.
    many = pen.last_seq > CHILDREN_AT_MOST or (run.has_children and run.continued_from is not None)
    if many and turn.recorded.open_children() + len(turn.children) >= CHILDREN_AT_MOST:
        raise BadCommand(f"a run has at most {CHILDREN_AT_MOST} open children", code="too_many_pending")
    _refuse_unfit(command.search_attributes or {})
    request = StartRun(
        workflow_type=command.workflow_type, namespace=run.namespace, input=command.input,
        task_queue=command.task_queue or run.task_queue, search_attributes=command.search_attributes,
        execution_timeout_secs=command.execution_timeout_secs, run_timeout_secs=command.run_timeout_secs,
    )  # fmt: skip
    try:
        child = workflows.begin(
            pen.change, request, command.workflow_id, turn.new_key(), newest, None, turn.now, priority=run.priority,
            parent_key=run.run_key, parent_chain_key=run.first_run_key, child_command=command.seq,
            parent_close=command.parent_close,
        ).done()  # fmt: skip
    except AlreadyStarted as taken:
        told = {"child_workflow_id": command.workflow_id, "error": taken.message, "close_reason": "already_started"}
        pen.waking_event("ChildWorkflowFailed", dumps(told | _numbered(command)))
        return
    turn.children[command.workflow_id] = child
    pen.set(has_children=True)
    told = {"child_workflow_id": child.workflow_id, "workflow_type": child.workflow_type, "child_run_id": child.run_id}
    tell = pen.waking_event if command.tell_start else pen.event
    tell("ChildWorkflowStarted", dumps(told | _numbered(command)))
    turn.waits_for("child", child.workflow_id)


def _is_child_of(child: Run, run: Run, command: StartChildWorkflow) -> bool:
    """Whether a run is what this very command started: a repeat of it starts nothing.

    What another command started, or a run that this one continues, is another child: to take it for this one
    would be to wait for an end that is told under another number, or was told already.
    """
    return child.parent_key == run.run_key and (command.seq is None or child.child_command == command.seq)


def _numbered(command: StartChildWorkflow) -> dict[str, int]:
    return {} if command.seq is None else {"child_seq": command.seq}


def _request_cancel_child(turn: Turn, command: RequestCancelChild) -> None:
    pen, run = turn.pen, turn.pen.run
    found = turn.recorded.named(command.workflow_id)
    if command.workflow_id in turn.children:
        raise BadCommand("a child cannot be cancelled by the turn that starts it", workflow_id=command.workflow_id)
    if found is None or found[0].parent_chain_key != run.first_run_key:
        raise BadCommand(f"{command.workflow_id} is no child of this run", workflow_id=command.workflow_id)
    if found[0].close_reason == CloseReason.CONTINUED_AS_NEW:  # under another id
        found = turn.recorded.chain(found[0].first_run_key) or found
    child, task = found
    if child.closed or child.cancel_requested_at is not None or child.run_key in turn.cancelled:
        return
    turn.cancelled.add(child.run_key)
    below = RunPen(pen.change, child, task, turn.now)
    workflows.request_cancel(below, "asked by its parent", turn.recorded.cancel_grace_secs)
    pen.event("ChildWorkflowCancelRequested", dumps({"child_workflow_id": command.workflow_id}))
    if child.status == Status.PENDING:  # no worker has it: it ends here, and the parent hears of it from this pen
        close(below, Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", None, nobody)
        tell(pen, child, CloseReason.CANCELLED)
    below.done()


# ------------------------------------------------------------------------------------------------- the end


def _complete_workflow(turn: Turn, command: CompleteWorkflow) -> None:
    close(
        turn.pen, Status.COMPLETED, CloseReason.COMPLETED, "WorkflowCompleted", command.result, turn.recorded.parent,
        result=command.result,
    )  # fmt: skip


def _fail_workflow(turn: Turn, command: FailWorkflow) -> None:
    told = told_error(command.error)
    close(
        turn.pen, Status.FAILED, CloseReason.FAILED, "WorkflowFailed", dumps(told), turn.recorded.parent,
        error=told["error"],
    )  # fmt: skip


def _cancel_workflow(turn: Turn, command: CancelWorkflow) -> None:
    payload = None if command.reason is None else dumps({"reason": command.reason})
    close(
        turn.pen, Status.CANCELLED, CloseReason.CANCELLED, "WorkflowCancelled", payload, turn.recorded.parent,
        error=command.reason,
    )  # fmt: skip


def _continue_as_new(turn: Turn, command: ContinueAsNew) -> None:
    pen, recorded = turn.pen, turn.recorded
    run = pen.run
    workflow_id = command.workflow_id or continuing.next_id(run.workflow_id)
    found = None if workflow_id == run.workflow_id else recorded.named(workflow_id)
    newest = turn.children.get(workflow_id) or (None if found is None else found[0])
    unseen = run.cancel_seq > turn.claimed_seq
    try:
        continuing.proceed(
            pen, command, recorded.carried(command.unread_signals, turn.claimed_seq),
            newest, turn.new_key(), turn.now,
            asked_to_end=unseen, grace_secs=recorded.cancel_grace_secs,
        )  # fmt: skip
    except AlreadyStarted as taken:
        raise IdTaken(taken.message, **taken.members) from taken


HANDLERS: Mapping[type, Callable[[Turn, Any], None]] = {
    ScheduleActivity: _schedule_activity,
    CancelActivity: _cancel_activity,
    ScheduleTimer: _schedule_timer,
    CancelTimer: _cancel_timer,
    StartChildWorkflow: _start_child,
    RequestCancelChild: _request_cancel_child,
    WaitForSignal: _wait_for_signal,
    WaitForCondition: _wait_for_condition,
    RecordSideEffect: _record_side_effect,
    RecordSnapshot: _record_snapshot,
    UpsertSearchAttributes: _upsert_search_attributes,
    CompleteWorkflow: _complete_workflow,
    FailWorkflow: _fail_workflow,
    CancelWorkflow: _cancel_workflow,
    ContinueAsNew: _continue_as_new,
}
