"""A worker's turn: a batch of commands, folded over the table of steps into one Change.

The batch is checked whole and applied whole. Three answers refuse it and yet write, because the lease
must be freed and somebody must learn of it: a bad command and nondeterminism (or an id that is taken) fail
the *task*, never the run; unhandled events send it out again at once.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from ..jsontext import dumps
from . import activities
from .change import Change
from .change import RunPen
from .commands import CLOSING
from .commands import ENDING
from .commands import Command
from .commands import ScheduleActivity
from .errors import BadCommand
from .errors import IdTaken
from .errors import Nondeterminism
from .errors import UnhandledEvents
from .model import Run
from .model import Task
from .requests import TaskFailure
from .requests import TurnReport
from .steps import HANDLERS
from .steps import Recorded
from .steps import Turn
from .tasks import check_lease
from .tasks import failed

CLOSES_REFUSED_AT_MOST = 3


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
    except (BadCommand, Nondeterminism, IdTaken) as refusal:
        return failed(run, task, TaskFailure(cause=refusal.code, message=refusal.message), now, refusal=refusal)


def _fold(
    run: Run, task: Task, report: TurnReport, token_hash: str, recorded: Recorded,
    new_key: Callable[[], int], now: float,
) -> Change:  # fmt: skip
    commands = report.commands
    claimed_seq = task.claimed_seq or 0
    closing = _closing(commands)
    ending = closing and isinstance(commands[-1], ENDING)
    unread = ending and run.signal_seq > claimed_seq
    # Who continues as new takes unread signals along, but a child's end is told to one run only: let it be read.
    unheard = closing and not ending and run.wake_seq > claimed_seq and recorded.child_ended(claimed_seq)
    if (unread or unheard) and report.task_token is not None and task.closes_refused < CLOSES_REFUSED_AT_MOST:
        return _redelivered(run, task, now)
    _refuse_too_many(run, commands, recorded)
    change = Change(answer={"ok": True})
    turn = Turn(RunPen(change, run, task, now), recorded, claimed_seq, now, new_key)
    pen = turn.pen
    pen.set(seen_seq=claimed_seq, last_token=token_hash, task_failure=None, waiting_for=None)
    if unread:
        pen.event("SignalsUnhandled", dumps({"signals": [seq for seq, _ in recorded.unread()]}))
    for index, command in enumerate(commands):
        try:
            HANDLERS[type(command)](turn, command)
        except (BadCommand, Nondeterminism, IdTaken) as refusal:
            refusal.members.setdefault("index", index)
            raise
    if not closing:
        _release(turn, task)
    pen.done()
    return change


def _release(turn: Turn, task: Task) -> None:
    """Park the run, or make it ready again where something came that this turn did not know."""
    pen = turn.pen
    parks = bool(turn.waiting_for)
    if pen.wake_seq > turn.claimed_seq or (turn.wakes_itself and not parks):
        pen.task = task._replace(
            ready_at=pen.clock, attempt=0, closes_refused=0, token=None, owner=None, session=None, exchange=None,
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
        ready_at=now, closes_refused=task.closes_refused + 1, token=None, owner=None,
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
