"""Operations on the lease of a workflow task: hand in a turn, make the lease longer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...domain import tasks
from ...domain import turns
from ...domain import workflows
from ...domain.change import Change
from ...domain.commands import ENDING
from ...domain.commands import CancelActivity
from ...domain.commands import CancelTimer
from ...domain.commands import RecordSideEffect
from ...domain.commands import RecordSnapshot
from ...domain.commands import RequestCancelChild
from ...domain.commands import ScheduleActivity
from ...domain.commands import ScheduleTimer
from ...domain.commands import StartChildWorkflow
from ...domain.commands import UpsertSearchAttributes
from ...domain.commands import WaitForSignal
from ...domain.errors import LeaseLost
from ...domain.model import Run
from ...domain.model import Timer
from ...domain.requests import TurnReport
from ...domain.requests import Where
from ...domain.requests import is_within
from ...domain.steps import Recorded
from ...domain.tokens import hashed
from ...domain.tokens import read_workflow_token
from ...jsontext import loads
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation
from .runs import unread_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLease:
    """The lease on a workflow task that a worker says it holds."""

    run_key: int
    token_hash: str
    namespace: Where = None  # the token of another one is unknown
    workflow_id: str | None = None  # None = whatever id; else the run must have it

    @classmethod
    def of_token(cls, token: str, namespace: Where, workflow_id: str | None = None) -> TaskLease:
        """Read a token. Raises LeaseLost for what is none."""
        return cls(
            run_key=read_workflow_token(token), token_hash=hashed(token), namespace=namespace, workflow_id=workflow_id
        )

    def run(self, rows: Rows) -> Run:
        """Give the run. Raises LeaseLost where it is not the one that was named."""
        run = rows.run(self.run_key)
        if (
            run is None
            or not is_within(run.namespace, self.namespace)
            or self.workflow_id not in (None, run.workflow_id)
        ):
            raise self.unknown()
        return run

    def unknown(self) -> LeaseLost:
        """Give the refusal of a token that nobody knows here."""
        return LeaseLost("no workflow task has this token")


@dataclass(frozen=True)
class OnTask(Operation):
    """An operation on a leased workflow task."""

    lease: TaskLease

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.lease.run_key)


@dataclass(frozen=True)
class BeatTask(OnTask):
    """Make the lease last longer."""

    lease_secs: float
    weight = 1

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.lease.run(rows)
        return tasks.beat(run, rows.task(run.run_key), self.lease.token_hash, self.lease_secs, max(now, run.updated_at))


@dataclass(frozen=True)
class TakeTurn(OnTask):
    """Take a worker's report on a workflow task."""

    report: TurnReport
    cancel_grace_secs: float = workflows.CANCEL_GRACE_SECS

    @classmethod
    def of(
        cls, report: TurnReport, namespace: Where, cancel_grace_secs: float = workflows.CANCEL_GRACE_SECS
    ) -> TakeTurn:
        """Read the report's token. Raises LeaseLost for what is none."""
        return cls(TaskLease.of_token(report.task_token or "", namespace), report, cancel_grace_secs)

    @property
    def weight(self) -> int:  # type: ignore[override]  # a constant elsewhere
        """Two rows a command, and the run's own."""
        return 4 + 2 * len(self.report.commands)

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        run_key, namespace = self.lease.run_key, self.lease.namespace
        for command in self.report.commands:
            if isinstance(command, ScheduleActivity):
                needs.seqs.add((run_key, command.seq))
            elif isinstance(command, CancelActivity):
                needs.seqs.add((run_key, command.activity_seq))
            elif isinstance(command, ScheduleTimer):
                needs.timers.add((run_key, command.seq))
            elif isinstance(command, (CancelTimer, WaitForSignal)) and command.timer_seq is not None:
                needs.timers.add((run_key, command.timer_seq))
            elif isinstance(command, (StartChildWorkflow, RequestCancelChild)) and isinstance(namespace, str):
                needs.names.add((namespace, command.workflow_id))
            elif isinstance(command, ENDING):
                needs.closing.add(run_key)
            elif isinstance(command, RecordSideEffect):
                needs.recorded.add((run_key, "SideEffectRecorded", command.seq))
            elif isinstance(command, UpsertSearchAttributes) and command.seq is not None:
                needs.recorded.add((run_key, "SearchAttributesUpserted", command.seq))
            elif isinstance(command, RecordSnapshot):
                needs.snapshots.add(run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.lease.run(rows)
        task = rows.task(run.run_key)
        recorded = self._recorded(run, rows)
        return turns.take(run, task, self.report, self.lease.token_hash, recorded, rows.new_key, now)

    def _recorded(self, run: Run, rows: Rows) -> Recorded:
        run_key = run.run_key
        recorded = Recorded(
            unread=lambda: self._unread(rows),
            open_activities=partial(rows.open_activities, run_key),
            open_children=partial(rows.open_children, run.first_run_key),
            child_ended=partial(rows.child_ended, run_key),
            carried=partial(unread_of, rows, run_key),
            named=partial(rows.named_run, run.namespace),
            chain=rows.newest_of,
            parent=rows.parent_of,
            cancel_grace_secs=self.cancel_grace_secs,
        )
        timers: dict[int, Timer] = {}
        known, effects, upserts = {}, {}, set()
        for command in self.report.commands:
            if isinstance(command, ScheduleActivity):
                activity = rows.activity_at(run_key, command.seq)
                if activity is not None:
                    known[command.seq] = activity
            elif isinstance(command, CancelActivity):
                activity = rows.activity_at(run_key, command.activity_seq)
                if activity is not None:
                    known[command.activity_seq] = activity
            elif isinstance(command, (ScheduleTimer, CancelTimer, WaitForSignal)):
                seq = command.seq if isinstance(command, ScheduleTimer) else command.timer_seq
                timer = None if seq is None else rows.timer(run_key, seq)
                if timer is not None:
                    timers[timer.seq] = timer
            elif isinstance(command, RecordSideEffect):
                payload = rows.recorded_payload(run_key, "SideEffectRecorded", command.seq)
                if payload is not None:
                    effects[command.seq] = loads(payload)["name"]
            elif isinstance(command, UpsertSearchAttributes) and command.seq is not None:
                if rows.recorded_payload(run_key, "SearchAttributesUpserted", command.seq) is not None:
                    upserts.add(command.seq)
            elif isinstance(command, RecordSnapshot):
                recorded.snapshot = rows.snapshot(run_key)
        recorded.activities, recorded.side_effects, recorded.upserts = known, effects, frozenset(upserts)
        recorded.timers = timers
        return recorded

    def _unread(self, rows: Rows) -> list[tuple[int, str]]:
        task = rows.task(self.lease.run_key)
        return rows.unread_signals(self.lease.run_key, (task.claimed_seq or 0) if task else 0)
