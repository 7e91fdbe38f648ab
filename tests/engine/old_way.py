"""The words for workers of the old way: they register or do not, poll for one task, report on it, beat meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import Poll
from assay_wsgi.domain.requests import Registration
from assay_wsgi.domain.requests import TaskRef
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.engine import Engine
from tests.engine.stories import QUEUE
from tests.engine.stories import Wire


class OldWorker:
    """A worker of the old way. It sends no token, unless it is told to."""

    def __init__(self, engine: Engine, worker_id: str = "olga", *, namespace: str | None = None) -> None:
        self.engine = engine
        self.worker_id = worker_id
        self.namespace = namespace  # what its polls say

    # -- taking

    def polls(self, **more: Any) -> Wire | None:
        """Ask for a workflow task."""
        return _as_json(self.engine.tasks.poll_workflow(self._poll(more)))

    def polls_work(self, **more: Any) -> Wire | None:
        """Ask for an activity."""
        return _as_json(self.engine.tasks.poll_activity(self._poll(more)))

    def takes(self) -> Wire:
        """Get the workflow task that there is."""
        task = self.polls()
        assert task is not None
        return task

    def takes_work(self) -> Wire:
        """Get the activity that there is."""
        work = self.polls_work()
        assert work is not None
        return work

    def _poll(self, more: Wire) -> Poll:
        return Poll(**{"queue": QUEUE, "worker_id": self.worker_id, "namespace": self.namespace, **more})

    # -- reporting

    def of(self, task: Wire, **more: Any) -> TaskRef:
        """Name the lease on a workflow task."""
        return TaskRef(**{"workflow_id": task["workflow_id"], "worker_id": self.worker_id, **more})

    def submits(self, task: Wire, *commands: Command) -> Wire:
        """Hand in a turn."""
        return self.engine.tasks.report_turn(self.of(task), TurnReport(task_token=None, commands=commands))

    def submits_by_token(self, task: Wire, *commands: Command) -> Wire:
        """Hand in a turn with the task's token."""
        token = task["task_token"]
        return self.engine.tasks.report_turn(
            self.of(task, task_token=token), TurnReport(task_token=token, commands=commands)
        )

    def beats_task(self, task: Wire, **more: Any) -> Wire:
        """Ask for a longer lease."""
        return self.engine.tasks.beat_workflow(self.of(task, **more))

    def completes(self, work: Wire, result: str | None = '"done"') -> Wire:
        """Hand in a result."""
        return self.engine.tasks.report_activity(work["id"], ActivityReport(task_token=None, result=result))

    def fails(self, work: Wire, error: str = "no luck") -> Wire:
        """Hand in a failure."""
        return self.engine.tasks.report_activity(
            work["id"], ActivityReport(task_token=None, failure=ActivityFailure(error=error))
        )

    def beats(self, work: Wire, details: str | None = None) -> Wire:
        """Say that an activity is at work."""
        return self.engine.tasks.beat_activity(work["id"], Heartbeat(task_token=None, details=details))

    def releases(self, work: Wire) -> Wire:
        """Hand an attempt back."""
        return self.engine.tasks.release_activity(work["id"])


def registered(
    engine: Engine, *, namespace: str = "main", workflows: Sequence[str] | None = None,
    activities: Sequence[str] | None = None,
) -> OldWorker:  # fmt: skip
    """Register a worker of the old way, under the name that the engine gives it."""
    info = WorkerInfo(
        identity="olga@story",
        workflows=None if workflows is None else tuple(workflows),
        activities=None if activities is None else tuple(activities),
    )
    answer = engine.workers.register(Registration(info=info, queue=QUEUE, namespace=namespace))
    return OldWorker(engine, answer["worker_id"])


def _as_json(found: Any) -> Wire | None:
    answer: Wire | None = orjson.loads(orjson.dumps(found))
    return answer
