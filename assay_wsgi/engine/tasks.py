"""Tasks one by one, the way that assay's own workers know: poll for one, report on it, beat meanwhile.

A report that carries its task's token is checked by it. One without is taken for the lease that its worker
holds (a workflow task) or for whatever attempt is running (an activity).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from ..domain.errors import AmbiguousRun
from ..domain.errors import LeaseLost
from ..domain.requests import ActivityReport
from ..domain.requests import Heartbeat
from ..domain.requests import Poll
from ..domain.requests import TaskRef
from ..domain.requests import TurnReport
from ..domain.requests import Where
from ..domain.requests import is_within
from ..store import reads
from ..store.claims import Taker
from ..store.store import Store
from .committer import Committer
from .handout import Handout
from .handout import OneWish
from .handout import Waiting
from .operations import BeatActivity
from .operations import BeatTask
from .operations import OnActivity
from .operations import ReleaseActivity
from .operations import ReportActivity
from .operations import TakeTurn
from .operations import TaskLease
from .records import polled_activity
from .records import workflow_task
from .sessions import Names
from .sessions import taken_names
from .wakeups import Wakeups

# Whoever beats an activity and hears one of these may stop working on it.
NOT_WANTED = frozenset({"workflow_closed", "lease_lost", "stale_attempt"})


class Tasks:
    """Workflow tasks and activities, one at a time."""

    def __init__(
        self, store: Store, committer: Committer, wakeups: Wakeups, handout: Handout, draining: threading.Event
    ) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups
        self._handout = handout
        self._draining = draining

    # ------------------------------------------------------------------------------------------- take

    def poll_workflow(
        self, poll: Poll, client_gone: Callable[[], bool] | None = None, waiting: Waiting = contextlib.nullcontext
    ) -> dict[str, Any] | None:
        """Lease a workflow task with its whole history, or None; see `Workers.exchange` for the callables."""
        taker = self._take("workflow", poll, client_gone, waiting)
        if taker is None or not taker.workflows:
            return None
        (lease,) = taker.workflows
        with self._store.read() as db:
            history = reads.events(db, lease.task.run_key, before_seq=(lease.task.claimed_seq or 0) + 1)
        return workflow_task(lease, 0, history)

    def poll_activity(
        self, poll: Poll, client_gone: Callable[[], bool] | None = None, waiting: Waiting = contextlib.nullcontext
    ) -> dict[str, Any] | None:
        """Lease an activity, or None."""
        taker = self._take("activity", poll, client_gone, waiting)
        if taker is None or not taker.activities:
            return None
        return polled_activity(taker.activities[0])

    def _take(self, kind: str, poll: Poll, client_gone: Callable[[], bool] | None, waiting: Waiting) -> Taker | None:
        self._wakeups.start()
        if self._draining.is_set():
            return None
        scopes = self._scopes(kind, poll)
        wish = OneWish(kind, poll.queue, poll.worker_id, scopes, self._store.settings.workflow_lease_secs)
        return self._handout.take(wish, poll.wait_secs, client_gone, waiting)

    def _scopes(self, kind: str, poll: Poll) -> Sequence[tuple[Where, Names]]:
        """Give the namespaces in which the worker may take work, and what: the poll is a sign of life, too.

        A worker that is registered keeps to where it is, whatever its poll names.
        """
        with self._store.read() as db:
            known = reads.registrations(db, poll.worker_id)
        registered = [one for one in known if is_within(one.namespace, poll.within)]
        if not registered:
            return [(poll.namespace, None)]
        scopes: list[tuple[Where, Names]] = []
        for found in registered:
            self._store.liveness.worker_seen(found.namespace, poll.worker_id, revive=found.retired)
            self._store.liveness.queue_polled(found.namespace, poll.queue)
            workflows, activities = taken_names(found.workflows, found.activities)
            scopes.append((found.namespace, workflows if kind == "workflow" else activities))
        return scopes

    # ----------------------------------------------------------------------------------------- report

    def report_turn(self, task: TaskRef, report: TurnReport) -> dict[str, Any]:
        """Hand in a turn: commands, or why there are none.

        Raises WorkflowClosed, LeaseLost, AmbiguousRun, BadCommand, Nondeterminism, UnhandledEvents.
        """
        grace = self._store.settings.cancel_grace_secs
        answer: dict[str, Any] = self._committer.do(TakeTurn(self._lease(task), report, grace))
        return answer

    def beat_workflow(self, task: TaskRef) -> dict[str, Any]:
        """Make the lease last longer. Answers lease_expires_at, cancel_requested. Raises as `report_turn`."""
        lease_secs = self._store.settings.workflow_lease_secs
        answer: dict[str, Any] = self._committer.do(BeatTask(self._lease(task), lease_secs))
        return answer

    def report_activity(self, activity_id: int, report: ActivityReport, namespace: Where = None) -> dict[str, Any]:
        """Complete or fail an activity. Raises NotFound, WorkflowClosed, LeaseLost, StaleAttempt."""
        operation = ReportActivity(report.task_token, namespace, report, activity_key=activity_id)
        self._refuse_foreign(operation)
        answer: dict[str, Any] = self._committer.do(operation)
        return answer

    def beat_activity(self, activity_id: int, beat: Heartbeat, namespace: Where = None) -> dict[str, Any]:
        """Say that an activity is still at work. Answers cancel_requested; raises as `report_activity`."""
        operation = BeatActivity(beat.task_token, namespace, beat, activity_key=activity_id)
        self._refuse_foreign(operation)
        answer: dict[str, Any] = {"ok": True, **self._committer.do(operation)}
        return answer

    def release_activity(
        self, activity_id: int, task_token: str | None = None, namespace: Where = None
    ) -> dict[str, Any]:
        """Hand an attempt back, uncounted: another worker gets it at once. Raises as `report_activity`."""
        operation = ReleaseActivity(task_token, namespace, activity_key=activity_id)
        self._refuse_foreign(operation)
        answer: dict[str, Any] = self._committer.do(operation)
        return answer

    def _refuse_foreign(self, operation: OnActivity) -> None:
        """Refuse at once what is in no namespace that is meant: it is not locked, and costs what a missing thing costs.

        Raises NotFound, LeaseLost.
        """
        if operation.namespace is not None and not self._is_within("activity", operation.key, operation.namespace):
            raise operation.unknown()

    def _is_within(self, kind: str, key: int, where: Where) -> bool:
        with self._store.read() as db:
            namespace = reads.namespace_of(db, kind, key)
        return namespace is not None and is_within(namespace, where)

    def _lease(self, task: TaskRef) -> TaskLease:
        """Find the lease that is meant. Raises LeaseLost, AmbiguousRun."""
        if task.task_token is not None:
            lease = TaskLease.of_token(task.task_token, task.namespace, task.workflow_id)
            if task.namespace is not None and not self._is_within("run", lease.run_key, task.namespace):
                raise lease.unknown()
            return lease
        with self._store.read() as db:
            held = reads.leases_of_worker(db, task.worker_id or "", task.workflow_id)
        held = [lease for lease in held if is_within(lease.namespace, task.namespace)]
        if not held:
            raise LeaseLost(f"worker {task.worker_id} holds no task of workflow {task.workflow_id}")
        if len(held) > 1:
            raise AmbiguousRun(
                f"worker {task.worker_id} holds tasks of several runs named {task.workflow_id}: send the task_token",
                namespaces=sorted(lease.namespace for lease in held),
            )
        return TaskLease(run_key=held[0].key, token_hash=held[0].token_hash, namespace=held[0].namespace)
