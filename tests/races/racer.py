"""A racing process: it opens an engine, does what its contest tells it, and can be held at a place.

What goes over the pipe: the contest sends an act with its arguments, or GO_ON; the racer sends
(HELD, place), (WAITS, why) and (ANSWER, what came of the act).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import Any

import orjson

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Exchange
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import NewKey
from assay_wsgi.domain.requests import Poll
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SchedulePatch
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.engine import Engine
from assay_wsgi.engine.slow_lane import SlowLane
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store import claims
from assay_wsgi.store import reads
from assay_wsgi.store import unit
from assay_wsgi.store.turnstile import Turnstile
from tests.engine.hosts import Shop
from tests.processes import PATIENCE_SECS

from . import guards
from .driver import Sightings

QUEUE = "races"
GO_ON, HELD, WAITS, ANSWER = "go on", "held", "waits", "answer"
GATE = "the gate"

# Where a racer can be held: the function after which (LOADED, CHECKED, NOTED) or at whose call (FOUND) it stops.
LOADED = "a unit has loaded what it decides about"
CHECKED = "a claim has checked its session"
FOUND = "a claim has found what it will hand out"
NOTED = "a unit has written its notices"


class Clock:
    """The host's clock, and what a contest says has passed besides."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Racer:
    """The inside of a racing process."""

    def __init__(self, pipe: Pipe, url: str, lane_mates: Any) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._url = url
        self._lane_mates = lane_mates
        self._hold_at: str | None = None
        self._every_time = False
        self._tells_waits = False
        self._hook()
        self.clock = Clock()
        self.sightings = Sightings(self._sighted)
        self.engine = Engine.open(
            url, clock=self.clock, wrap=self.sightings.wrap, settings=EngineSettings(store_wait_secs=PATIENCE_SECS)
        )

    def work(self) -> None:
        """Say that the engine is open; then do what the contest says until it says no more."""
        self._send(ANSWER, ("ok", None))
        while (asked := self._pipe.recv()) is not None:
            act, arguments = asked
            self._tells_waits = arguments.pop("tells_waits", False)
            self._send(ANSWER, self._said(act, arguments))
            self._tells_waits = False
        self.engine.close()
        self._send(ANSWER, dict(self.sightings.counted))

    # ------------------------------------------------------------------------------------ being held

    def hold_at(self, place: str | None, every_time: bool = False) -> None:
        """Stop at this place, once or every time."""
        self._hold_at, self._every_time = place, every_time

    def at(self, place: str) -> None:
        """Stop here, if the contest wants it so."""
        if self._hold_at != place:
            return
        if not self._every_time:
            self._hold_at = None
        self._send(HELD, place)
        assert self._pipe.recv() == GO_ON

    def _waits(self, why: str) -> None:
        if self._tells_waits:
            self._tells_waits = False
            self._send(WAITS, why)

    def _sighted(self, kind: str) -> None:
        if kind == "lock time-out":
            self._waits(kind)

    def _send(self, *message: Any) -> None:
        with self._sending:
            self._pipe.send(message)

    def _hook(self) -> None:
        unit.load = self._then(unit.load, LOADED)
        unit.insert_notices = self._then(unit.insert_notices, NOTED)
        claims._current = self._then(claims._current, CHECKED)
        deal = claims._deal
        claims._deal = lambda *what: (self.at(FOUND), deal(*what))[1]
        SlowLane.enter = self._telling(SlowLane.enter, "slow lane")  # type: ignore[method-assign]
        Turnstile.acquire = self._telling(Turnstile.acquire, "turnstile")  # type: ignore[method-assign]

    def _then(self, do: Callable[..., Any], place: str) -> Callable[..., Any]:
        def done(*what: Any, **more: Any) -> Any:
            answer = do(*what, **more)
            self.at(place)
            return answer

        return done

    def _telling(self, do: Callable[..., Any], why: str) -> Callable[..., Any]:
        def told(*what: Any) -> Any:
            self._waits(why)
            return do(*what)

        return told

    # ------------------------------------------------------------------------------------ the acts

    def _said(self, act: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        """Do an act: ("ok", answer), or (code, message) of what it raised."""
        try:
            return "ok", getattr(self, act)(**arguments)
        except AssayError as error:
            return error.code, {"message": error.message, **error.members}
        except Exception as error:  # noqa: BLE001 - the contest judges it
            return type(error).__name__, {"message": str(error)}

    def storm(self, clients: Sequence[Sequence[tuple[str, dict[str, Any]]]], in_step: bool = False) -> list[list[Any]]:
        """Have many clients act at once; `in_step`: all of both processes begin each act together."""
        said: list[list[Any]] = [[] for _ in clients]
        step = threading.Barrier(len(clients), action=partial(self._lane_mates.wait, 60) if in_step else None)

        def client(place: int) -> None:
            for act, arguments in clients[place]:
                if in_step:
                    step.wait(60)
                said[place].append(self._said(act, arguments))

        threads = [threading.Thread(target=client, args=(place,)) for place in range(len(clients))]
        self._hold_at = GATE
        self.at(GATE)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return said

    def in_transaction(self, does: str, workflow_id: str) -> Any:
        """Start or signal a run in a transaction of a program that embeds the engine."""
        shop = Shop(self._url)
        with shop.db.connection_context(), self.engine.transaction(shop.db) as flow:
            if does == "start":
                return flow.start("Race", workflow_id, task_queue=QUEUE)
            return flow.signal(workflow_id, "go")

    def start(self, workflow_id: str | None, key: str | None = None, namespace: str = "main") -> Any:
        """Start a run, under an Idempotency-Key or not."""
        request = StartRun(workflow_type="Race", workflow_id=workflow_id, task_queue=QUEUE, namespace=namespace)
        return self.engine.workflows.start(
            request, None if key is None else Idempotency(scope="race", key=key, hash="the same")
        )

    def signal(self, workflow_id: str, name: str = "go") -> Any:
        """Send a signal."""
        return self.engine.workflows.signal(_ref(workflow_id), name)

    def signal_with_start(self, workflow_id: str, payload: str) -> Any:
        """Signal the open run of an id, or start one with the signal."""
        request = StartRun(workflow_type="Race", workflow_id=workflow_id, task_queue=QUEUE)
        return self.engine.workflows.signal_with_start(request, SentSignal(name="go", payload=payload))

    def add_activity(self, workflow_id: str, seq: int) -> Any:
        """Add an activity to a run from outside. Gives whether it is new."""
        _, created = self.engine.activities.add(_ref(workflow_id), ScheduleActivity(seq=seq, name="work"))
        return created

    def first_key(self) -> Any:
        """Make an API key, if none was ever made."""
        record, _ = self.engine.api_keys.create(NewKey(first=True))
        return record["prefix"]

    def revoke_key(self, prefix: str) -> Any:
        """End an API key."""
        return self.engine.api_keys.revoke(prefix)

    def rotate_key(self, prefix: str) -> Any:
        """Replace an API key."""
        return self.engine.api_keys.rotate(prefix)["prefix"]

    def delete_namespace(self, name: str) -> Any:
        """Delete a namespace that is empty."""
        return self.engine.namespaces.delete(name)

    def delete_namespace_with_all(self, name: str) -> Any:
        """Delete a namespace and what is in it."""
        return self.engine.namespaces.delete_with_all(name)

    def report_without_token(self, activity_id: int, result: str) -> Any:
        """Hand in an activity's result, the old way."""
        return self.engine.tasks.report_activity(activity_id, ActivityReport(task_token=None, result=result))

    def poll(self, worker_id: str, kind: str) -> Any:
        """Poll for one task, the old way. Gives the key of what it is, or None."""
        poll = Poll(queue=QUEUE, worker_id=worker_id)
        if kind == "workflow":
            task = self.engine.tasks.poll_workflow(poll)
            return None if task is None else task["run_id"]
        work = self.engine.tasks.poll_activity(poll)
        return None if work is None else work["id"]

    def poll_until_none(self, worker_id: str, kind: str) -> Any:
        """Poll until none is ready."""
        taken = []
        while self._is_ready(kind):
            key = self.poll(worker_id, kind)
            taken += [] if key is None else [key]
        return taken

    def retry_now(self, workflow_id: str, activities: bool = True) -> Any:
        """Have a run tried again at once."""
        return self.engine.workflows.retry_now(_ref(workflow_id), activities=activities)

    def cancel(self, workflow_id: str) -> Any:
        """Ask a run to end."""
        return self.engine.workflows.cancel(_ref(workflow_id))

    def terminate(self, workflow_id: str) -> Any:
        """End a run."""
        return self.engine.workflows.terminate(_ref(workflow_id))

    def proceed(self, workflow_id: str, run_id: str | None = None) -> Any:
        """Continue a run as new from outside: the newest of its id, or one run."""
        ref = RunRef(workflow_id=workflow_id, namespace="main", run_id=run_id)
        return self.engine.workflows.continue_as_new(ref, ContinueAsNew(workflow_id=workflow_id))

    def turn(self, token: str, commands: tuple[Any, ...]) -> Any:
        """Hand in a turn."""
        return self._hand_in(workflow_results=(TurnReport(task_token=token, commands=commands),))

    def fail_turn(self, token: str) -> Any:
        """Report that a workflow task failed."""
        failure = TaskFailure(cause="bug", message="it broke")
        return self._hand_in(workflow_results=(TurnReport(task_token=token, failure=failure),))

    def upsert(self, workflow_id: str, name: str, value: str) -> Any:
        """Wait for a turn of the run, set this search attribute by it, and wake the run for the next who waits."""
        self.begin_session(name, "s")
        while not (taken := self.claim(name, "s", workflow=1, wait_secs=0.2)["taken"]):
            pass
        ((_, token),) = taken
        self.turn(token, (UpsertSearchAttributes(patch={name: value}), WaitForSignal(name="go")))
        return self.signal(workflow_id)

    def report(self, token: str) -> Any:
        """Hand in an activity's result."""
        return self._hand_in(activity_results=(ActivityReport(task_token=token, result='"done"'),))

    def begin_session(self, worker_id: str, session: str) -> Any:
        """Begin a session of a worker."""
        answer = self._exchange(worker_id, session, worker=WorkerInfo(identity="race"))
        return answer.get("code")

    def end_session(self, worker_id: str, session: str) -> Any:
        """End a session of a worker."""
        return self._exchange(worker_id, session, ends=True).get("code")

    def leases_of(self, worker_id: str, session: str) -> Any:
        """Give the runs that are leased to a worker in this session."""
        with self.engine.store.read() as db:
            found = reads.leases_of_session(db, "workflow", "main", worker_id, session)
        return [lease.key for lease in found]

    def claim(self, worker_id: str, session: str, **what: Any) -> Any:
        """Take work: [(key of what it is, token), ...], and the code where the session is over."""
        slots = {f"{kind}_slots": count for kind, count in what.items() if kind in ("workflow", "activity")}
        answer = self._exchange(worker_id, session, **slots, wait_secs=what.get("wait_secs", 0.0))
        taken = [(task["run_id"], task["task_token"]) for task in answer["workflow_tasks"]]
        taken += [(task["id"], task["task_token"]) for task in answer["activity_tasks"]]
        return {"taken": taken, "code": answer.get("code")}

    def claim_until_none(self, worker_id: str, session: str, **slots: int) -> Any:
        """Take work until none is ready."""
        taken: list[Any] = []
        while any(self._is_ready(kind) for kind in slots):
            taken += self.claim(worker_id, session, **slots, wait_secs=0.2)["taken"]
        return taken

    def _is_ready(self, kind: str) -> bool:
        with self.engine.store.read() as db:
            return reads.is_ready(db, kind, "main", QUEUE, None, self.clock())

    def claim_until_replaced(self, worker_id: str, session: str) -> Any:
        """Begin a session, then take work under it, one task at a time, until it is over."""
        self.begin_session(worker_id, session)
        self.at(GATE)
        count = 0
        while (found := self.claim(worker_id, session, workflow=1))["code"] is None:
            count += len(found["taken"])
        return found["code"], count

    def leases_of_others(self, worker_id: str, session: str) -> Any:
        """Give the runs that are leased to a worker, but not in this session."""
        with self.engine.store.read() as db:
            found = db.rows(
                "SELECT run_key FROM workflow_tasks WHERE owner = ? AND token IS NOT NULL AND session <> ?",
                (worker_id, session),
            )
        return [run_key for (run_key,) in found]

    def take_back_and_complete(self, worker_id: str, session: str, after_secs: float, result: str) -> Any:
        """Take back leases that are over by then, take the tasks and complete their runs."""
        self.expire(after_secs)
        taken = self.claim_until_none(worker_id, session, workflow=200)
        return [
            self._said("turn", {"token": token, "commands": (CompleteWorkflow(result=result),)}) for _, token in taken
        ]

    def read_feed(self, after: str, wait_secs: float = 0.0) -> Any:
        """Read the feed after a cursor."""
        return self.engine.feed.read(after, wait_secs=wait_secs)

    def expire(self, after_secs: float) -> Any:
        """Let time pass, then take back what is due."""
        self.clock.ahead += after_secs
        return self.engine.upkeep.expire()

    def pause_schedule(self, name: str) -> Any:
        """Pause a schedule."""
        return self.engine.schedules.pause(name)

    def change_schedule(self, name: str) -> Any:
        """Give the runs of a schedule another input."""
        return self.engine.schedules.change(name, SchedulePatch(input='"new"'))

    def delete_schedule(self, name: str) -> Any:
        """Delete a schedule."""
        return self.engine.schedules.delete(name)

    def trigger_schedule(self, name: str) -> Any:
        """Start a run of a schedule now."""
        return self.engine.schedules.trigger(name)

    def _hand_in(self, **what: Any) -> Any:
        (said,) = self._exchange("reporter", "none", **what)["results"]
        if "code" in said:
            raise AssayError(said["error"], said["code"])
        return {name: value for name, value in said.items() if name != "task_token"}

    def _exchange(self, worker_id: str, session: str, **what: Any) -> Any:
        asked = Exchange(worker_id=worker_id, session=session, n=1, queue=QUEUE, **what)
        return orjson.loads(orjson.dumps(self.engine.workers.exchange(asked)))


def _ref(workflow_id: str) -> RunRef:
    return RunRef(workflow_id=workflow_id, namespace="main")


def main(pipe: Pipe, url: str, without: Sequence[str], lane_mates: Any) -> None:
    """Be a racing process."""
    racer = Racer(pipe, url, lane_mates)
    for name in without:
        guards.take_away(name)
    racer.work()
