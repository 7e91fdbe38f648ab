"""Operations on runs, for those who start and steer them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...domain import workflows
from ...domain.change import Change
from ...domain.errors import NotFound
from ...domain.model import Run
from ...domain.requests import SentSignal
from ...domain.requests import StartRun
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class Start(Operation):
    """Start a run."""

    request: StartRun
    workflow_id: str

    def needs(self, needs: Needs) -> None:
        needs.names.add((self.request.namespace, self.workflow_id))

    def decide(self, rows: Rows, now: float) -> Change:
        newest = rows.newest(self.request.namespace, self.workflow_id)
        task = None if newest is None else rows.task(newest.run_key)
        return workflows.start(self.request, self.workflow_id, rows.new_key(), newest, task, now)


@dataclass(frozen=True)
class OnRun(Operation):
    """An operation on one run: the newest of a name, or the one of a run id."""

    namespace: str
    workflow_id: str
    run_key: int | None  # of the run_id that the caller gave; None = the newest
    run_id: str | None

    def needs(self, needs: Needs) -> None:
        if self.run_key is None:
            needs.names.add((self.namespace, self.workflow_id))
        else:
            needs.runs.add(self.run_key)

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
        return workflows.signal(run, rows.task(run.run_key), self.sent, known, now, received)


@dataclass(frozen=True)
class SignalWithStart(Operation):
    """Signal the open run of an id, or start one with that signal."""

    request: StartRun
    workflow_id: str
    sent: SentSignal
    weight = 8

    def needs(self, needs: Needs) -> None:
        needs.names.add((self.request.namespace, self.workflow_id))
        if self.sent.signal_id is not None:
            needs.signal_ids.add((self.request.namespace, self.workflow_id, None, self.sent.signal_id))

    def decide(self, rows: Rows, now: float) -> Change:
        newest = rows.newest(self.request.namespace, self.workflow_id)
        task = known = None
        received: Callable[[], int] = int
        if newest is not None:
            task = rows.task(newest.run_key)
            known = rows.signal_event(newest.run_key, self.sent.signal_id)
            received = partial(rows.signal_count, newest.run_key)
        return workflows.signal_with_start(
            self.request, self.workflow_id, rows.new_key(), newest, task, self.sent, known, now, received
        )


@dataclass(frozen=True)
class CancelRun(OnRun):
    """Ask a run to end."""

    reason: str | None

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        return workflows.cancel(run, rows.task(run.run_key), self.reason, now)


@dataclass(frozen=True)
class TerminateRun(OnRun):
    """End a run now."""

    reason: str | None
    by: str | None

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        return workflows.terminate(run, rows.task(run.run_key), self.reason, self.by, now)


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
