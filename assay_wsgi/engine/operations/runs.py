"""Operations on runs, for those who start and steer them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...domain import continuing
from ...domain import timers
from ...domain import workflows
from ...domain.change import Change
from ...domain.commands import ContinueAsNew
from ...domain.continuing import Unread
from ...domain.errors import AlreadyStarted
from ...domain.errors import NotFound
from ...domain.model import Run
from ...domain.requests import SentSignal
from ...domain.requests import StartRun
from ...domain.timers import FindTimer
from ...domain.timers import no_timer
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class Start(Operation):
    """Start a run."""

    request: StartRun
    workflow_id: str

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.request.namespace, self.workflow_id

    def needs(self, needs: Needs) -> None:
        name = (self.request.namespace, self.workflow_id)
        needs.names.add(name)
        if self.request.id_conflict == "terminate_existing":
            needs.closing_names.add(name)

    def decide(self, rows: Rows, now: float) -> Change:
        newest = rows.newest(self.request.namespace, self.workflow_id)
        task = None if newest is None else rows.task(newest.run_key)
        return workflows.start(self.request, self.workflow_id, rows.new_key(), newest, task, now, rows.parent_of)


@dataclass(frozen=True)
class OnRun(Operation):
    """An operation on one run: the newest of a name, or the one of a run id."""

    namespace: str
    workflow_id: str
    run_key: int | None  # of the run_id that the caller gave; None = the newest
    run_id: str | None

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.namespace, self.workflow_id

    def needs(self, needs: Needs) -> None:
        if self.run_key is None:
            needs.names.add((self.namespace, self.workflow_id))
        else:
            needs.runs.add(self.run_key)

    def may_close(self, needs: Needs) -> None:
        """Name the run's parent: it is told of the end. Who closes nothing leaves the parent to others."""
        if self.run_key is None:
            needs.closing_names.add((self.namespace, self.workflow_id))
        else:
            needs.closing.add(self.run_key)

    def run(self, rows: Rows) -> Run:
        """Give the run. Raises NotFound."""
        if self.run_key is None:
            run = rows.newest(self.namespace, self.workflow_id)
        else:
            run = rows.run(self.run_key)
            if run is not None and (run.run_id != self.run_id or run.namespace != self.namespace):
                run = None
        if run is None:
            raise NotFound(f"not found: workflow {self.workflow_id}")
        return run


@dataclass(frozen=True)
class SignalRun(OnRun):
    """Send a signal."""

    sent: SentSignal
    weight = 5

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        if self.sent.signal_id is not None:
            needs.signal_ids.add((self.namespace, self.workflow_id, self.run_key, self.sent.signal_id))

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        known = rows.signal_event(run.run_key, self.sent.signal_id)
        received = partial(rows.signal_count, run.run_key)
        find_timer = partial(rows.timer, run.run_key)
        return workflows.signal(run, rows.task(run.run_key), self.sent, known, now, received, find_timer)


@dataclass(frozen=True)
class SignalWithStart(Operation):
    """Signal the open run of an id, or start one with that signal."""

    request: StartRun
    workflow_id: str
    sent: SentSignal
    anew: bool = False  # the id was made for a new run: one that has it is a stranger's
    weight = 8

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.request.namespace, self.workflow_id

    def needs(self, needs: Needs) -> None:
        needs.names.add((self.request.namespace, self.workflow_id))
        if self.sent.signal_id is not None:
            needs.signal_ids.add((self.request.namespace, self.workflow_id, None, self.sent.signal_id))

    def decide(self, rows: Rows, now: float) -> Change:
        newest = rows.newest(self.request.namespace, self.workflow_id)
        if newest is not None and self.anew:
            raise AlreadyStarted(
                f"workflow {self.workflow_id} is there", run_id=newest.run_id, run_status=newest.status
            )
        task = known = None
        received: Callable[[], int] = int
        find_timer: FindTimer = no_timer
        if newest is not None:
            task = rows.task(newest.run_key)
            known = rows.signal_event(newest.run_key, self.sent.signal_id)
            received = partial(rows.signal_count, newest.run_key)
            find_timer = partial(rows.timer, newest.run_key)
        return workflows.signal_with_start(
            self.request, self.workflow_id, rows.new_key(), newest, task, self.sent, known, now, received, find_timer
        )


@dataclass(frozen=True)
class RetryNow(OnRun):
    """End the back-off of a run's task, and of its activities where they are meant too."""

    activities: bool
    weight = 50  # a run may have many that wait

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        waiting = rows.pending_activities(run.run_key) if self.activities and not run.closed else ()
        return workflows.retry_now(run, rows.task(run.run_key), waiting, now)


@dataclass(frozen=True)
class CancelRun(OnRun):
    """Ask a run to end."""

    reason: str | None
    grace_secs: float = workflows.CANCEL_GRACE_SECS

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        self.may_close(needs)

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        return workflows.cancel(run, rows.task(run.run_key), self.reason, now, rows.parent_of, self.grace_secs)


@dataclass(frozen=True)
class TerminateRun(OnRun):
    """End a run now."""

    reason: str | None
    by: str | None

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        self.may_close(needs)

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        return workflows.terminate(run, rows.task(run.run_key), self.reason, self.by, now, rows.parent_of)


@dataclass(frozen=True)
class ContinueRun(OnRun):
    """Continue a run as new from outside; of a closed one, start a fresh run like it."""

    command: ContinueAsNew
    grace_secs: float = workflows.CANCEL_GRACE_SECS
    weight = 10

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        needs.names.add((self.namespace, self.command.workflow_id or continuing.next_id(self.workflow_id)))

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        workflow_id = self.command.workflow_id or continuing.next_id(self.workflow_id)
        newest = rows.newest(self.namespace, workflow_id)
        task = rows.task(run.run_key)
        if run.closed:
            other = None if newest is None else rows.task(newest.run_key)
            return continuing.begin_anew(run, self.command, newest, other, rows.new_key(), now, rows.parent_of)
        unread = unread_of(rows, run.run_key, (), run.seen_seq)
        return continuing.continue_open(run, task, self.command, unread, newest, rows.new_key(), self.grace_secs, now)


def unread_of(rows: Rows, run_key: int, listed: tuple[int, ...], after: int) -> list[Unread]:
    """Give the signals that a run's successor is given: those listed, and all after an event. Raises Missing."""
    first = min((*listed, after + 1))
    return [
        Unread(signal.name, signal.payload, signal.signal_id)
        for signal in rows.signals_from(run_key, first)
        if signal.seq > after or signal.seq in listed
    ]


@dataclass(frozen=True)
class ExpireRun(Operation):
    """End a run whose time is over, or that was asked to end and has no worker. Answers whether it ended."""

    run_key: int
    grace_secs: float = workflows.CANCEL_GRACE_SECS

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)
        needs.closing.add(self.run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.run(self.run_key)
        if run is None:
            return Change(answer=False)
        last_poll = partial(rows.last_poll, run.namespace, run.task_queue)
        return workflows.expire(run, rows.task(self.run_key), now, last_poll, self.grace_secs, rows.parent_of)


@dataclass(frozen=True)
class FireTimer(Operation):
    """Fire a timer whose time has come. Answers whether it did."""

    run_key: int
    seq: int

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)
        needs.timers.add((self.run_key, self.seq))

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.run(self.run_key)
        if run is None:
            return Change(answer=False)
        return timers.fire(run, rows.task(self.run_key), rows.timer(self.run_key, self.seq), now)


@dataclass(frozen=True)
class FinishFollowup(Operation):
    """Strike out work that is done."""

    followup_id: int
    weight = 1

    def needs(self, needs: Needs) -> None:
        """Nothing: whoever strikes it out first does so."""

    def decide(self, rows: Rows, now: float) -> Change:
        return Change(answer=True, done_followups=[self.followup_id])


@dataclass(frozen=True)
class DropRun(Operation):
    """Remove a closed run with everything below it. Answers whether it was there, and closed."""

    run_key: int
    weight = 50  # its history has any length

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.untouched_run(self.run_key)
        if run is None or not run.closed:
            return Change(answer=False)
        return Change(answer=True, dropped_runs=[self.run_key])
