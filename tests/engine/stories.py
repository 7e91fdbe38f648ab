"""The words in which the engine's stories are told: who starts, who takes, who reports, what stands in the history.

A `Played` worker is one session of exchanges, played by hand. Everything that it gets is decoded JSON, as
a real worker would read it off the wire.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import orjson

from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Exchange
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.engine import Engine
from assay_wsgi.engine.waiters import Key
from tests.processes import PATIENCE_SECS
from tests.processes import until

QUEUE = "q"
T0 = 1_700_000_000.0  # where the fixture's clock begins
Wire = dict[str, Any]

# ------------------------------------------------------------------------------------------------- runs


def a_start(workflow_id: str = "w", **more: Any) -> StartRun:
    """Give a request to start a run on the stories' queue."""
    return StartRun(**{"workflow_type": "Order", "workflow_id": workflow_id, "task_queue": QUEUE, **more})


def given_a_run(engine: Engine, workflow_id: str = "w", **more: Any) -> RunRef:
    """Start a run that nobody has taken yet."""
    started = engine.workflows.start(a_start(workflow_id, **more))
    return RunRef(workflow_id=workflow_id, namespace=more.get("namespace", "main"), run_id=started["run_id"])


def given_a_running(
    engine: Engine, workflow_id: str = "w", *, worker: Played | None = None, **more: Any
) -> tuple[RunRef, Played, Wire]:
    """Start a run and have a worker take its first task. Gives the run, the worker and the task."""
    run = given_a_run(engine, workflow_id, **more)
    worker = worker or Played(engine)
    return run, worker, worker.takes()


def given_a_parked(
    engine: Engine, workflow_id: str = "w", *commands: Command, worker: Played | None = None, **more: Any
) -> tuple[RunRef, Played]:
    """Have a run parked by a turn of these commands; without any it waits for the signal `go`."""
    run, worker, task = given_a_running(engine, workflow_id, worker=worker, **more)
    assert worker.reports(task, *(commands or (WaitForSignal(name="go"),))) == {"ok": True}
    return run, worker


def given_an_activity_at_work(engine: Engine, **policy: Any) -> tuple[RunRef, Played, Wire]:
    """Have a run parked on an activity that a worker has taken. Gives the run, the worker and the activity."""
    run, worker = given_a_parked(engine, "w", an_activity(**policy))
    return run, worker, worker.takes_work()


def an_activity(seq: int = 1, name: str = "charge", **policy: Any) -> ScheduleActivity:
    """Give the command that schedules an activity. Without jitter, unless the story asks for it."""
    return ScheduleActivity(**{"seq": seq, "name": name, "jitter": 0.0, **policy})


def a_snapshot(state: str) -> RecordSnapshot:
    """Give the command that shows a state."""
    return RecordSnapshot(state=state)


# ---------------------------------------------------------------------------------------------- workers


class Played:
    """A worker that is played by hand: one session of exchanges."""

    def __init__(
        self, engine: Engine, worker_id: str = "ann", *, session: str = "s1", queue: str = QUEUE,
        namespace: str = "main", workflows: Sequence[str] | None = None, activities: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.worker_id = worker_id
        self.session = session
        self.queue = queue
        self.namespace = namespace
        self.info = WorkerInfo(
            identity=f"{worker_id}@story",
            workflows=None if workflows is None else tuple(workflows),
            activities=None if activities is None else tuple(activities),
        )
        self.n = 0

    def exchange(self, *, client_gone: Callable[[], bool] | None = None, **what: Any) -> Wire:
        """Hand in and take; the first one begins the session."""
        self.n += 1
        if self.n == 1:
            what.setdefault("worker", self.info)
        asked = Exchange(
            worker_id=self.worker_id, session=self.session, n=self.n, queue=self.queue, namespace=self.namespace, **what
        )
        answer: Wire = orjson.loads(orjson.dumps(self.engine.workers.exchange(asked, client_gone)))
        return answer

    def begins(self) -> Wire:
        """Begin the session without taking anything."""
        return self.exchange(worker=self.info)

    # -- taking

    def takes_up_to(self, slots: int, **what: Any) -> list[Wire]:
        """Take workflow tasks."""
        tasks: list[Wire] = self.exchange(workflow_slots=slots, **what)["workflow_tasks"]
        return tasks

    def takes(self, **what: Any) -> Wire:
        """Take the one workflow task that there is."""
        (task,) = self.takes_up_to(10, **what)
        return task

    def takes_work_up_to(self, slots: int, **what: Any) -> list[Wire]:
        """Take activities."""
        tasks: list[Wire] = self.exchange(activity_slots=slots, **what)["activity_tasks"]
        return tasks

    def takes_work(self, **what: Any) -> Wire:
        """Take the one activity that there is."""
        (work,) = self.takes_work_up_to(10, **what)
        return work

    def finds_nothing(self) -> bool:
        """Ask for everything and say whether there was nothing."""
        answer = self.exchange(workflow_slots=10, activity_slots=10)
        return not answer["workflow_tasks"] and not answer["activity_tasks"]

    # -- handing in; each gives the outcome without its token

    def reports(self, task: Wire, *commands: Command) -> Wire:
        """Hand in a turn."""
        return self._hands_in(workflow_results=(TurnReport(task_token=task["task_token"], commands=commands),))

    def cannot(self, task: Wire, cause: str = "bug", message: str = "it broke", **more: Any) -> Wire:
        """Report that the workflow task failed."""
        failure = TaskFailure(cause=cause, message=message, **more)
        return self._hands_in(workflow_results=(TurnReport(task_token=task["task_token"], failure=failure),))

    def garbles(self, task: Wire, refused: AssayError) -> Wire:
        """Hand in a turn whose commands could not be read."""
        return self._hands_in(workflow_results=(TurnReport(task_token=task["task_token"], refused=refused),))

    def completes(self, work: Wire, result: str | None = '"done"') -> Wire:
        """Hand in an activity's result."""
        return self._hands_in(activity_results=(ActivityReport(task_token=work["task_token"], result=result),))

    def fails(self, work: Wire, error: str = "no luck", **more: Any) -> Wire:
        """Hand in an activity's failure."""
        failure = ActivityFailure(error=error, **more)
        return self._hands_in(activity_results=(ActivityReport(task_token=work["task_token"], failure=failure),))

    def beats(self, work: Wire, details: str | None = None) -> Wire:
        """Hand in an activity's heartbeat."""
        answer = self.exchange(heartbeats=(Heartbeat(task_token=work["task_token"], details=details),))
        return _without_token(answer["heartbeats"][0])

    def _hands_in(self, **what: Any) -> Wire:
        (said,) = self.exchange(**what)["results"]
        return _without_token(said)


def _without_token(said: Wire) -> Wire:
    return {name: value for name, value in said.items() if name != "task_token"}


def code(said: Wire) -> str | None:
    """Give the code of a refusal."""
    found: str | None = said.get("code")
    return found


# ----------------------------------------------------------------------------------------- what is there


def history(engine: Engine, run: RunRef) -> list[str]:
    """Give the types of a run's events."""
    return [event["event_type"] for event in engine.workflows.events(run)]


def told(engine: Engine, run: RunRef, event_type: str) -> list[Any]:
    """Give the decoded payloads of a run's events of one type."""
    payloads = [event["payload"] for event in engine.workflows.events(run) if event["event_type"] == event_type]
    return [None if payload is None else orjson.loads(payload) for payload in payloads]


def record(engine: Engine, run: RunRef) -> Wire:
    """Give a run's record."""
    return engine.workflows.describe(run)


def rows(engine: Engine, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    with engine.store.read() as db:
        return [tuple(row) for row in db.rows(sql, params)]


def put(engine: Engine, sql: str, *params: Any) -> None:
    """Set what no operation of this issue can set."""
    with engine.store.administer() as db:
        assert db.run(sql, params) > 0


def beats_are_due(engine: Engine) -> None:
    """Let ten seconds of the monotonic clock pass, for which a process keeps the next beat to itself."""
    engine.store.liveness._written.clear()


def without_a_watcher(engine: Engine) -> Engine:
    """Have the watcher look away, so that only a wake can end a wait."""
    engine._wakeups._look_once = lambda: PATIENCE_SECS  # type: ignore[method-assign]
    engine.wake()
    return engine


# ---------------------------------------------------------------------------------------- other threads


class Beside:
    """Something that is done in another thread, and what came of it."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self._do = do
        self._answer: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._do()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is asked for
            self._error = error

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def answer(self) -> Any:
        """Wait for it and give what came of it, or raise it."""
        self._thread.join(PATIENCE_SECS)
        assert self.over, "it does not end"
        if self._error is not None:
            raise self._error
        return self._answer


def until_waiting(engine: Engine, count: int = 1) -> None:
    """Wait until so many exchanges of this engine sleep."""
    waiters = engine._wakeups.waiters
    until(lambda: len(waiters) >= count and waiters.waited_for())


def waits_for(engine: Engine, kind: str = "workflow", queue: str = QUEUE) -> bool:
    """Say whether somebody waits for this."""
    return Key(kind, "main", queue) in engine._wakeups.waiters.waited_for()
