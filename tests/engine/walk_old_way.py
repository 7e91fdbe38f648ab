"""What the old way adds to the random walk: polls, reports without a token, releases; and signal-with-start,
activities from outside, namespaces that come and go.

A report without a token is on what its worker holds now, or on whatever attempt runs now: the model knows
both by what was handed out last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import NamespaceExists
from assay_wsgi.domain.errors import NamespaceProtected
from assay_wsgi.domain.errors import Nondeterminism
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.engine import Engine
from tests.conftest import Clock
from tests.engine.old_way import OldWorker
from tests.engine.old_way import registered
from tests.engine.stories import Wire
from tests.engine.walk import IDS
from tests.engine.walk import NAMES
from tests.engine.walk import Known
from tests.engine.walk import Walk

SPACES = ["shop", "zoo", "main"]


class WholeWalk(Walk):
    """One walk over everything."""

    def __init__(self, engine: Engine, clock: Clock, seed: int) -> None:
        super().__init__(engine, clock, seed)
        self.old_workers = [registered(engine), OldWorker(engine, "stray"), OldWorker(engine, "main", namespace="main")]
        self.old_tasks: dict[tuple[str, str], tuple[OldWorker, Wire]] = {}  # the last that each was given of an id
        self.present: dict[int, Wire] = {}  # activity -> its attempt that was handed out last
        self.spaces = {"main"}
        self.steps += [
            (self.poll, 16), (self.old_turn, 20), (self.beat_task, 3), (self.old_outcome, 12), (self.old_beat, 3),
            (self.release, 4), (self.register, 1), (self.signal_with_start, 6), (self.add_activity, 6),
            (self.make_namespace, 2), (self.delete_namespace, 2),
        ]  # fmt: skip

    # -- the old way: workflow tasks

    def register(self) -> None:
        self.old_workers[0] = registered(self.engine)

    def claimed(self, answer: Wire) -> None:
        super().claimed(answer)
        for work in answer["activity_tasks"]:
            self.present[work["id"]] = work

    def poll(self) -> None:
        worker = self.chance.choice(self.old_workers)
        if self.chance.random() < 0.5:
            task = worker.polls()
            self.claimed({"workflow_tasks": [task] if task else [], "activity_tasks": []})
            if task:
                assert [event["seq"] for event in task["history"]] == list(range(1, task["history_seq"] + 1))
                self.old_tasks[worker.worker_id, task["workflow_id"]] = worker, task
        else:
            work = worker.polls_work()
            self.claimed({"workflow_tasks": [], "activity_tasks": [work] if work else []})

    def old_pick(self) -> tuple[OldWorker, Wire] | None:
        if not self.old_tasks:
            self.poll()
        return self.chance.choice(list(self.old_tasks.values())) if self.old_tasks else None

    def old_turn(self) -> None:
        if (held := self.old_pick()) is None:
            return
        worker, task = held
        known = self.runs[task["run_id"]]
        made, effects, wrong = self.commands(known)
        will_be = self.will_be if not wrong else known.seqs
        close = self.chance.choice([*[None] * 8, CompleteWorkflow(), CompleteWorkflow(), FailWorkflow(error="x")])
        made += [close] if close is not None else []
        said = _said(lambda: worker.submits(task, *made))
        if said.get("ok"):
            assert not said.get("repeated")
            assert known.end is None
            assert not wrong
            known.effects += effects
            known.seqs = will_be
            known.last_token = task["task_token"]
            known.not_before = 0.0
            if close is not None:
                self.ended(known, "WorkflowCompleted" if isinstance(close, CompleteWorkflow) else "WorkflowFailed")
        else:
            assert said["code"] in {"lease_lost", "nondeterminism"}
            assert said["code"] != "nondeterminism" or wrong
            self.backs_off(known, task, said)
        if self.chance.random() < 0.8:
            self.old_tasks.pop((worker.worker_id, task["workflow_id"]))

    def beat_task(self) -> None:
        if held := self.old_pick():
            worker, task = held
            said = _said(lambda: worker.beats_task(task))
            assert said.get("code") in {None, "lease_lost"}
            if said.get("ok"):
                assert self.runs[task["run_id"]].end is None
                assert said["cancel_requested"] is self.runs[task["run_id"]].doomed

    # -- the old way: activities

    def some_work(self) -> Wire | None:
        if not self.present:
            self.poll()
        newest = list(self.present.values())[-8:]
        return self.chance.choice(newest) if newest else None

    def old_outcome(self) -> None:
        if (work := self.some_work()) is None:
            return
        known, worker = self.runs[work["run_id"]], self.chance.choice(self.old_workers)
        fails = self.chance.random() < 0.4
        said = _said(lambda: worker.fails(work) if fails else worker.completes(work, str(self.mark())))
        if not said.get("ok"):
            self.not_running(known, said)
            return
        assert not said.get("repeated")
        assert known.end is None
        if not fails:
            known.effects.append(("ActivityCompleted", work["seq"]))
        elif work["attempt"] == work["max_attempts"]:
            known.effects.append(("ActivityFailed", work["seq"]))
        self.accepted[work["id"]] = work["task_token"]

    def old_beat(self) -> None:
        if work := self.some_work():
            said = _said(lambda: self.chance.choice(self.old_workers).beats(work))
            if not said.get("ok"):
                self.not_running(self.runs[work["run_id"]], said)

    def release(self) -> None:
        if (work := self.some_work()) is None:
            return
        token = self.chance.choice([None, work["task_token"]])
        said = _said(lambda: self.engine.tasks.release_activity(work["id"], token))
        if said.get("ok"):
            assert self.runs[work["run_id"]].end is None
            assert work["id"] not in self.accepted
        else:
            self.not_running(self.runs[work["run_id"]], said)

    def not_running(self, known: Known, said: Wire) -> None:
        """Refused: the run is closed, or the attempt has an outcome or was taken back."""
        assert said["code"] in {"lease_lost", "stale_attempt", "workflow_closed"}, said
        assert (said["code"] == "workflow_closed") == (known.end is not None)

    # -- callers

    def signal_with_start(self) -> None:
        name, mark = self.chance.choice(IDS), self.mark()
        reuse = self.chance.choice(["allow", "allow", "allow_failed_only", "reject"])
        before = self.newest.get(name)
        is_open = before is not None and before.end is None
        failed = before is not None and before.end in {"FAILED", "CANCELLED"}
        allowed = before is None or is_open or reuse == "allow" or (reuse == "allow_failed_only" and failed)
        request, sent = self.request(name, "fail", reuse), SentSignal(name="go", payload=str(mark))
        try:
            answer = self.engine.workflows.signal_with_start(request, sent)
        except AlreadyStarted:
            assert not allowed
            return
        assert allowed
        assert answer["started"] is not is_open
        if answer["started"]:
            self.new(Known(RunRef(workflow_id=name, namespace="main", run_id=answer["run_id"])))
        known = self.newest[name]
        assert answer["run_id"] == known.ref.run_id
        known.effects.append(("SignalReceived", mark))

    def add_activity(self) -> None:
        name, seq = self.chance.choice(IDS), self.chance.randint(1, 8)
        known = self.newest.get(name)
        ref = RunRef(workflow_id=name, namespace=self.chance.choice([None, "main"]))
        try:
            _, created = self.engine.activities.add(ref, self.activity(seq, NAMES[seq % 2]))
        except NotFound:
            assert known is None
            return
        except WorkflowClosed:
            assert known is not None
            assert known.end is not None
            return
        except Nondeterminism:
            assert known is not None
            assert known.seqs["a", seq] != NAMES[seq % 2]
            return
        assert known is not None
        assert known.end is None
        assert created is (("a", seq) not in known.seqs)
        if created:
            known.seqs = {**known.seqs, ("a", seq): NAMES[seq % 2]}
            known.effects.append(("ActivityScheduled", seq))

    def make_namespace(self) -> None:
        name = self.chance.choice(SPACES)
        try:
            self.engine.namespaces.create(name)
        except NamespaceExists:
            assert name in self.spaces
        else:
            assert name not in self.spaces
            self.spaces.add(name)

    def delete_namespace(self) -> None:
        name = self.chance.choice(SPACES)
        delete = self.chance.choice([self.engine.namespaces.delete, self.engine.namespaces.delete_with_all])
        try:
            delete(name)
        except NamespaceProtected:
            assert name == "main"
        except NotFound:
            assert name not in self.spaces
        else:
            self.spaces.remove(name)

    def check(self) -> None:
        super().check()
        assert {row["name"] for row in self.engine.namespaces.list()} == self.spaces


def _said(do: Callable[[], Any]) -> Wire:
    """Give the answer, or the refusal in the form in which it stands among answers."""
    try:
        answer: Wire = do()
    except AssayError as refusal:
        return refusal.told()
    return answer
