"""The operations: what each needs to look at, and which rule of the domain decides it.

An operation is data; it is handed to the committer, decided inside a unit of work, and may be decided
again when the unit begins again. So it must not change while it is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..domain import activities
from ..domain import tasks
from ..domain import turns
from ..domain import workflows
from ..domain.change import Change
from ..domain.commands import RecordSideEffect
from ..domain.commands import RecordSnapshot
from ..domain.commands import ScheduleActivity
from ..domain.commands import UpsertSearchAttributes
from ..domain.errors import IdempotencyKeyReused
from ..domain.errors import LeaseLost
from ..domain.errors import NamespaceExists
from ..domain.errors import NotFound
from ..domain.model import Run
from ..domain.model import StoredAnswer
from ..domain.model import Worker
from ..domain.requests import ActivityReport
from ..domain.requests import Heartbeat
from ..domain.requests import Idempotency
from ..domain.requests import StartRun
from ..domain.requests import TurnReport
from ..domain.requests import WorkerInfo
from ..domain.tokens import hashed
from ..domain.tokens import read_activity_token
from ..domain.tokens import read_workflow_token
from ..jsontext import dumps
from ..jsontext import loads
from ..store.needs import Needs
from ..store.rows import Rows


class Operation:
    """What every operation is: a weight in rows, the rows it names, its decision."""

    weight = 4  # about how many rows it writes; at least as many as it needs new keys

    def needs(self, needs: Needs) -> None:
        """Name the rows that the decision looks at."""
        raise NotImplementedError

    def decide(self, rows: Rows, now: float) -> Change:
        """Decide. Raises AssayError for a refusal."""
        raise NotImplementedError


@dataclass(frozen=True)
class Keyed(Operation):
    """An operation under an Idempotency-Key: the first answer is kept with the effect, in the same unit."""

    operation: Operation
    idempotency: Idempotency
    keep_secs: float

    @property
    def weight(self) -> int:  # type: ignore[override]  # a constant elsewhere
        """The operation's rows and the answer's."""
        return self.operation.weight + 1

    def needs(self, needs: Needs) -> None:
        self.operation.needs(needs)
        needs.answers.add((self.idempotency.scope, self.idempotency.key))

    def decide(self, rows: Rows, now: float) -> Change:
        asked = self.idempotency
        stored = rows.answer(asked.scope, asked.key)
        if stored is not None:
            if stored.hash != asked.hash:
                raise IdempotencyKeyReused("this Idempotency-Key was used for another request")
            return Change(answer=loads(stored.answer))
        change = self.operation.decide(rows, now)
        if change.refusal is None:
            kept = StoredAnswer(asked.scope, asked.key, asked.hash, dumps(change.answer), now + self.keep_secs)
            change.stored_answers.append(kept)
        return change


# ------------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True)
class CreateNamespace(Operation):
    """Make a namespace. Refused where it is there."""

    name: str
    exists: bool  # as a reader saw it; two creators at once both succeed with one row
    weight = 1

    def needs(self, needs: Needs) -> None:
        """Nothing: the insert decides."""

    def decide(self, rows: Rows, now: float) -> Change:
        if self.exists or self.name in rows.new_namespaces:
            raise NamespaceExists(f"namespace {self.name} exists already")
        return Change(answer={"name": self.name, "created_at": now}, new_namespaces=[self.name])


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

    name: str
    payload: str | None
    signal_id: str | None
    weight = 5

    def needs(self, needs: Needs) -> None:
        super().needs(needs)
        if self.signal_id is not None:
            needs.signal_ids.add((self.namespace, self.workflow_id, self.run_key, self.signal_id))

    def decide(self, rows: Rows, now: float) -> Change:
        run = self.run(rows)
        known = None if self.signal_id is None else rows.signal_event(run.run_key, self.signal_id)
        return workflows.signal(run, rows.task(run.run_key), self.name, self.payload, self.signal_id, known, now)


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


# ------------------------------------------------------------------------------------- workers' reports


@dataclass(frozen=True)
class TakeTurn(Operation):
    """Take a worker's report on a workflow task. Raises LeaseLost for a token that is none."""

    report: TurnReport
    run_key: int
    token_hash: str
    namespace: str | None  # None = whatever namespace; else the token of another one is unknown

    @classmethod
    def of(cls, report: TurnReport, namespace: str | None) -> TakeTurn:
        """Read the report's token."""
        return cls(report, read_workflow_token(report.task_token), hashed(report.task_token), namespace)

    @property
    def weight(self) -> int:  # type: ignore[override]  # a constant elsewhere
        """Two rows a command, and the run's own."""
        return 4 + 2 * len(self.report.commands)

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)
        for command in self.report.commands:
            if isinstance(command, ScheduleActivity):
                needs.seqs.add((self.run_key, command.seq))
            elif isinstance(command, RecordSideEffect):
                needs.recorded.add((self.run_key, "SideEffectRecorded", command.seq))
            elif isinstance(command, UpsertSearchAttributes) and command.seq is not None:
                needs.recorded.add((self.run_key, "SearchAttributesUpserted", command.seq))
            elif isinstance(command, RecordSnapshot):
                needs.snapshots.add(self.run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.run(self.run_key)
        if run is None or (self.namespace is not None and run.namespace != self.namespace):
            raise LeaseLost("no workflow task has this token")
        task = rows.task(self.run_key)
        return turns.take(run, task, self.report, self.token_hash, self._recorded(rows), rows.new_key, now)

    def _recorded(self, rows: Rows) -> turns.Recorded:
        recorded = turns.Recorded(unread=lambda: self._unread(rows))
        known, effects, upserts = {}, {}, set()
        for command in self.report.commands:
            if isinstance(command, ScheduleActivity):
                activity = rows.activity_at(self.run_key, command.seq)
                if activity is not None:
                    known[command.seq] = activity
            elif isinstance(command, RecordSideEffect):
                payload = rows.recorded_payload(self.run_key, "SideEffectRecorded", command.seq)
                if payload is not None:
                    effects[command.seq] = loads(payload)["name"]
            elif isinstance(command, UpsertSearchAttributes) and command.seq is not None:
                if rows.recorded_payload(self.run_key, "SearchAttributesUpserted", command.seq) is not None:
                    upserts.add(command.seq)
            elif isinstance(command, RecordSnapshot):
                recorded.snapshot = rows.snapshot(self.run_key)
        recorded.activities, recorded.side_effects, recorded.upserts = known, effects, frozenset(upserts)
        return recorded

    def _unread(self, rows: Rows) -> list[tuple[int, str]]:
        task = rows.task(self.run_key)
        return rows.unread_signals(self.run_key, (task.claimed_seq or 0) if task else 0)


@dataclass(frozen=True)
class OnActivity(Operation):
    """A report on an activity, by its token. Raises LeaseLost for a token that is none."""

    token: str
    namespace: str | None

    def __post_init__(self) -> None:
        """Refuse a token that is none before anything is asked of the database."""
        read_activity_token(self.token)

    def needs(self, needs: Needs) -> None:
        needs.activities.add(read_activity_token(self.token).activity_key)

    def look(self, rows: Rows) -> tuple[Run, Any, Any]:
        """Give the run, the activity and the token as read. Raises LeaseLost."""
        token = read_activity_token(self.token)
        activity = rows.activity(token.activity_key)
        run = None if activity is None else rows.run(activity.run_key)
        if run is None or (self.namespace is not None and run.namespace != self.namespace):
            raise LeaseLost("no activity has this token")
        return run, activity, token


@dataclass(frozen=True)
class ReportActivity(OnActivity):
    """Take a worker's report on an activity."""

    report: ActivityReport

    def decide(self, rows: Rows, now: float) -> Change:
        run, activity, token = self.look(rows)
        task = rows.task(run.run_key)
        return activities.report(run, task, activity, token, hashed(self.token), self.report, now)


@dataclass(frozen=True)
class BeatActivity(OnActivity):
    """Take an activity's heartbeat."""

    beat: Heartbeat
    weight = 1

    def decide(self, rows: Rows, now: float) -> Change:
        run, activity, token = self.look(rows)
        return activities.heartbeat(run, activity, token, hashed(self.token), self.beat, now)


# --------------------------------------------------------------------------------------------- workers


@dataclass(frozen=True)
class BeginSession(Operation):
    """Register a worker, or revive it, under a new session. Answers whether the session is a new one."""

    namespace: str
    worker_id: str
    queue: str
    session: str
    info: WorkerInfo
    slots: tuple[int, int]
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.workers.add((self.namespace, self.worker_id))

    def decide(self, rows: Rows, now: float) -> Change:
        before = rows.worker(self.namespace, self.worker_id)
        worker = Worker(
            namespace=self.namespace,
            worker_id=self.worker_id,
            identity=self.info.identity,
            task_queue=self.queue,
            workflows=_listed(self.info.workflows),
            activities=_listed(self.info.activities),
            max_concurrent_workflows=self.slots[0],
            max_concurrent_activities=self.slots[1],
            sdk=self.info.sdk,
            session=self.session,
            last_seen=now,
            registered_at=before.registered_at if before else now,
            retired_at=None,
        )
        change = Change(answer=before is None or before.session != self.session, workers=[worker])
        change.new_namespaces.append(self.namespace)
        return change


@dataclass(frozen=True)
class RetireWorker(Operation):
    """Retire a worker that is silent since `silent_since` or longer. Answers whether it was."""

    namespace: str
    worker_id: str
    silent_since: float
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.workers.add((self.namespace, self.worker_id))

    def decide(self, rows: Rows, now: float) -> Change:
        worker = rows.worker(self.namespace, self.worker_id)
        if worker is None or worker.retired_at is not None or worker.last_seen > self.silent_since:
            return Change(answer=False)
        return Change(answer=True, workers=[worker._replace(retired_at=now)])


# ---------------------------------------------------------------------------------------------- leases


@dataclass(frozen=True)
class ExpireTask(Operation):
    """Take back a workflow task whose lease has run out. Answers whether it had."""

    run_key: int
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.run(self.run_key)
        return Change(answer=False) if run is None else tasks.expire(rows.task(self.run_key), max(now, run.updated_at))


@dataclass(frozen=True)
class ExpireActivity(Operation):
    """End an attempt that took too long. Answers whether it had."""

    activity_key: int

    def needs(self, needs: Needs) -> None:
        needs.activities.add(self.activity_key)

    def decide(self, rows: Rows, now: float) -> Change:
        activity = rows.activity(self.activity_key)
        run = None if activity is None else rows.run(activity.run_key)
        if activity is None or run is None:
            return Change(answer=False)
        return activities.expire(run, rows.task(run.run_key), activity, now)


@dataclass(frozen=True)
class GiveBackTask(Operation):
    """Free the lease `token_hash` of a run, uncounted; `of_retired` = only while this worker is retired."""

    run_key: int
    token_hash: str
    of_retired: tuple[str, str] | None = None
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)
        if self.of_retired is not None:
            needs.workers.add(self.of_retired)

    def decide(self, rows: Rows, now: float) -> Change:
        run, task = rows.run(self.run_key), rows.task(self.run_key)
        if run is None or task is None or task.token != self.token_hash or _alive(rows, self.of_retired):
            return Change(answer=False)
        return tasks.give_back(task, max(now, run.updated_at))


@dataclass(frozen=True)
class GiveBackActivity(Operation):
    """Free the attempt `token_hash` of an activity, uncounted; `of_retired` as in GiveBackTask."""

    activity_key: int
    token_hash: str
    of_retired: tuple[str, str] | None = None
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.activities.add(self.activity_key)
        if self.of_retired is not None:
            needs.workers.add(self.of_retired)

    def decide(self, rows: Rows, now: float) -> Change:
        activity = rows.activity(self.activity_key)
        run = None if activity is None else rows.run(activity.run_key)
        if activity is None or run is None or activity.token != self.token_hash or _alive(rows, self.of_retired):
            return Change(answer=False)
        return activities.give_back(run, activity, now)


def _alive(rows: Rows, worker: tuple[str, str] | None) -> bool:
    if worker is None:
        return False
    found = rows.worker(*worker)
    return found is not None and found.retired_at is None


def _listed(names: Sequence[str] | None) -> str | None:
    return None if names is None else dumps(list(names))
