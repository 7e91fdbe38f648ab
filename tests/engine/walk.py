"""A random walk over what callers and workers with sessions do, and the model of what was acknowledged to them.

What the old way adds is in `walk_old_way.py`; `test_random_walk.py` walks it all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.jsontext import loads
from assay_wsgi.store import fsck
from tests.engine.stories import QUEUE
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import beats_are_due
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

IDS = [f"w{n}" for n in range(8)]
NAMES = ["charge", "pack"]
TERMINAL = {
    "WorkflowCompleted": "COMPLETED", "WorkflowFailed": "FAILED", "WorkflowCancelled": "CANCELLED",
    "WorkflowTerminated": "FAILED",
}  # fmt: skip


@dataclass
class Known:
    """What was acknowledged of one run."""

    ref: RunRef
    effects: list[tuple[str, Any]] = field(default_factory=list)  # (event type, its mark), in their order
    prefix: list[Wire] = field(default_factory=list)  # the history as it was last read
    seqs: dict[tuple[str, int], str] = field(default_factory=dict)  # what was scheduled or recorded under a seq
    end: str | None = None
    doomed: bool = False  # it was asked to cancel
    taken: bool = False  # a worker has had it
    last_token: str | None = None  # of the turn, or failure, that was accepted last
    not_before: float = 0.0  # when its task may be handed out again
    anew: bool = False  # its failures are counted anew, which the task that a worker has does not know

    def hurry(self) -> None:
        """End its back-off."""
        self.not_before, self.anew = 0.0, True


class Walk:
    """One walk: the engine, its players, and the model."""

    def __init__(self, engine: Engine, clock: Clock, seed: int) -> None:
        self.engine = engine
        self.clock = clock
        self.chance = random.Random(seed)
        self.runs: dict[str, Known] = {}  # by run_id
        self.newest: dict[str, Known] = {}  # by workflow id
        self.workers = [Played(engine, name) for name in ("ann", "bob", "cy")]
        self.workers[2].info = self.workers[2].info.__class__(
            identity="cy", workflows=("Order",), activities=("charge",)
        )
        self.tasks: list[tuple[Played, Wire]] = []  # held, or held once
        self.works: list[tuple[Played, Wire]] = []
        self.sent: list[tuple[tuple[str, str], Wire]] = []  # signals with an id, for repeats
        self.accepted: dict[int, str] = {}  # activity -> token of its last report, until it is claimed again
        self.sessions = 0
        self.number = 0
        self.steps: list[tuple[Callable[[], None], int]] = [
            (self.start, 12), (self.start_many, 2), (self.start_keyed, 2), (self.signal, 10), (self.cancel, 2),
            (self.terminate, 2), (self.take, 16), (self.turn, 36), (self.stale_turn, 2), (self.task_fails, 3),
            (self.unreadable, 2), (self.complete, 20), (self.fail, 12), (self.beat, 5), (self.stale_work, 3),
            (self.lose_an_answer, 3), (self.new_session, 1), (self.time_passes, 14), (self.upkeep, 8),
            (self.both_at_once, 5), (self.look, 4), (self.retry_now, 4),
        ]  # fmt: skip

    def each_once(self) -> None:
        """Do each thing once, in any order: what is rare must not be left out."""
        for act, _ in self.chance.sample(self.steps, len(self.steps)):
            act()

    def step(self) -> None:
        """Do one thing."""
        acts, weights = zip(*self.steps, strict=True)
        (act,) = self.chance.choices(acts, weights)
        act()

    # -- what the model knows

    def new(self, known: Known) -> None:
        assert known.ref.run_id is not None
        self.runs[known.ref.run_id] = known
        self.newest[known.ref.workflow_id] = known
        known.effects.append(("WorkflowStarted", None))

    def ended(self, known: Known, event_type: str, mark: Any = None) -> None:
        known.effects.append((event_type, mark))
        known.end = TERMINAL[event_type]

    def mark(self) -> int:
        self.number += 1
        return self.number

    # -- callers

    def start(self) -> None:
        name = self.chance.choice(IDS)
        conflict = self.chance.choice(["fail", "use_existing", "terminate_existing"])
        reuse = self.chance.choice(["allow", "allow", "allow_failed_only", "reject"])
        self.started(name, conflict, reuse, lambda: self.engine.workflows.start(self.request(name, conflict, reuse)))

    def start_many(self) -> None:
        names = self.chance.choices(IDS, k=5)
        outcomes = self.engine.workflows.start_batch([self.request(name, "use_existing", "allow") for name in names])
        for name, outcome in zip(names, outcomes, strict=True):
            self.started(name, "use_existing", "allow", lambda outcome=outcome: outcome)

    def start_keyed(self) -> None:
        name, key = self.chance.choice(IDS), Idempotency(scope="walk", key=str(self.mark()), hash="h")
        request = self.request(name, "use_existing", "allow")
        self.started(name, "use_existing", "allow", lambda: self.engine.workflows.start(request, idempotency=key))
        again = self.engine.workflows.start(request, idempotency=key)
        assert again["workflow_id"] == name

    def request(self, name: str, conflict: str, reuse: str) -> StartRun:
        kind = self.chance.choice(["Order", "Refund"])
        return StartRun(
            workflow_type=kind, workflow_id=name, task_queue=QUEUE, id_conflict=conflict, id_reuse=reuse
        )  # fmt: skip

    def started(self, name: str, conflict: str, reuse: str, do: Callable[[], Any]) -> None:
        before = self.newest.get(name)
        open_before = before is not None and before.end is None
        failed_before = before is not None and before.end in {"FAILED", "CANCELLED"}
        allowed = before is None or (
            conflict != "fail" if open_before else reuse == "allow" or (reuse != "reject" and failed_before)
        )
        try:
            answer = do()
        except AlreadyStarted as refusal:
            answer = refusal
        if isinstance(answer, AlreadyStarted):
            assert not allowed
            assert before is not None
            assert answer.members["run_id"] == before.ref.run_id
            return
        assert allowed
        if answer.get("already_started"):
            assert before is not None
            assert (conflict, open_before, before.ref.run_id) == ("use_existing", True, answer["run_id"])
            return
        if open_before and before is not None:
            assert conflict == "terminate_existing"
            self.ended(before, "WorkflowTerminated")
        self.new(Known(RunRef(workflow_id=name, namespace="main", run_id=answer["run_id"])))

    def signal(self) -> None:
        if self.sent and self.chance.random() < 0.2:
            (run_id, signal_id), first = self.chance.choice(self.sent)
            again = self.engine.workflows.signal(self.runs[run_id].ref, "go", signal_id=signal_id)
            assert again == {**first, "repeated": True}
            return
        mark = self.mark()
        signal_id = f"s{mark}" if self.chance.random() < 0.5 else None
        answer = self.on_newest(
            WorkflowClosed,
            lambda ref: self.engine.workflows.signal(
                ref, self.chance.choice(["go", "stop"]), str(mark), signal_id=signal_id
            ),
        )
        if answer is not None:
            self.runs[answer["run_id"]].effects.append(("SignalReceived", mark))
            if signal_id is not None:
                self.sent.append(((answer["run_id"], signal_id), answer))

    def retry_now(self) -> None:
        """Whatever of the run can be handed out is ready then."""
        answer = self.on_newest(WorkflowClosed, self.engine.workflows.retry_now)
        if answer is None:
            return
        self.runs[answer["run_id"]].hurry()
        for late in (
            "workflow_tasks l JOIN workflows w USING (run_key) WHERE l.token IS NULL AND l.ready_at",
            "workflow_activities l JOIN workflows w USING (run_key) WHERE l.status = 'PENDING' AND l.visible_at",
        ):
            sql = f"SELECT COUNT(*) FROM {late} > ? AND w.run_id = ?"
            assert rows(self.engine, sql, self.clock.now, answer["run_id"]) == [(0,)]

    def cancel(self) -> None:
        answer = self.on_newest(AlreadyTerminal, lambda ref: self.engine.workflows.cancel(ref, "walk"))
        if answer is None:
            return
        known = self.runs[answer["run_id"]]
        if not known.doomed:
            known.doomed = True
            known.hurry()
            known.effects.append(("WorkflowCancelRequested", None))
            if not known.taken:  # nobody is to be asked
                self.ended(known, "WorkflowCancelled")

    def terminate(self) -> None:
        answer = self.on_newest(AlreadyTerminal, lambda ref: self.engine.workflows.terminate(ref, "walk"))
        if answer is not None:
            self.ended(self.runs[answer["run_id"]], "WorkflowTerminated")

    def on_newest(self, when_closed: type[AssayError], do: Callable[[RunRef], Any]) -> Any:
        """Do it to the newest run of an id, by name or by run id; None where it was refused, as it had to be."""
        name = self.chance.choice(IDS)
        known = self.newest.get(name)
        ref = RunRef(workflow_id=name, namespace="main")
        if known is not None and self.chance.random() < 0.3:
            ref = known.ref
        try:
            answer = do(ref)
        except NotFound:
            assert known is None
            return None
        except when_closed:
            assert known is not None
            assert known.end is not None
            return None
        assert known is not None
        assert known.end is None
        assert answer["run_id"] == known.ref.run_id
        return answer

    # -- workers

    def take(self) -> None:
        worker = self.chance.choice(self.workers)
        answer = worker.exchange(workflow_slots=self.chance.randint(0, 3), activity_slots=self.chance.randint(0, 3))
        self.took(worker, answer)

    def pick(self, held: list[tuple[Played, Wire]]) -> tuple[Played, Wire] | None:
        """Give the newest of what is held, or anything that ever was; where nothing is, some is taken."""
        if not held:
            self.take()
        if not held:
            return None
        return held[-1] if self.chance.random() < 0.7 else self.chance.choice(held)

    def claimed(self, answer: Wire) -> None:
        """Learn what was handed out, whether or not the answer arrives."""
        assert "code" not in answer
        for task in answer["workflow_tasks"]:
            known = self.runs[task["run_id"]]
            assert known.end is None
            assert self.clock.now >= known.not_before
            known.taken, known.anew = True, False
        for work in answer["activity_tasks"]:
            assert self.runs[work["run_id"]].end is None
            self.accepted.pop(work["id"], None)

    def took(self, worker: Played, answer: Wire) -> None:
        self.claimed(answer)
        for task in answer["workflow_tasks"]:
            assert [event["seq"] for event in task["history"]] == list(range(1, task["history_seq"] + 1))
            self.tasks.append((worker, task))
        self.works += [(worker, work) for work in answer["activity_tasks"]]

    def commands(self, known: Known) -> tuple[list[Command], list[tuple[str, Any]], bool]:
        """Make a turn: its commands, the effects if it is accepted, whether it is one that must be refused."""
        made: list[Command] = []
        effects: list[tuple[str, Any]] = []
        seen = dict(known.seqs)
        wrong, forgetful = False, self.chance.random() < 0.06
        for _ in range(self.chance.randint(0, 4)):
            kind, seq = self.chance.choice("aaawsu"), self.chance.randint(1, 6)
            name = NAMES[(seq + forgetful) % 2]
            if kind == "w":
                made.append(WaitForSignal(name=self.chance.choice(["go", "stop"])))
            elif kind == "u":
                made.append(UpsertSearchAttributes(patch={"n": seq}, seq=seq))
                if ("u", seq) not in seen:
                    effects.append(("SearchAttributesUpserted", seq))
                seen["u", seq] = "u"
            else:
                made.append(self.activity(seq, name) if kind == "a" else RecordSideEffect(seq=seq, name=name))
                wrong = wrong or seen.get((kind, seq), name) != name
                if (kind, seq) not in seen:
                    effects.append(("ActivityScheduled" if kind == "a" else "SideEffectRecorded", seq))
                    seen[kind, seq] = name
        made.append(RecordSnapshot(state=str(self.mark() % 3)))
        if not wrong:
            self.will_be = seen
        return made, effects, wrong

    def activity(self, seq: int, name: str) -> ScheduleActivity:
        return ScheduleActivity(
            seq=seq, name=name, max_attempts=self.chance.choice([0, 1, 2, 5]),
            initial_interval_secs=self.chance.choice([0.0, 1.0, 10.0]),
            max_interval_secs=self.chance.choice([None, 20.0]), non_retryable=("Fatal",),
            start_to_close_secs=self.chance.choice([None, 5.0, 300.0]),
            heartbeat_timeout_secs=self.chance.choice([None, 2.0, 30.0]),
        )  # fmt: skip

    def turn(self) -> None:
        if (held := self.pick(self.tasks)) is None:
            return
        worker, task = held
        known = self.runs[task["run_id"]]
        made, effects, wrong = self.commands(known)
        close = self.chance.choice([*[None] * 9, CompleteWorkflow(), FailWorkflow(error="x"), CancelWorkflow()])
        bad = self.chance.random() < 0.05
        if close is not None:
            made.insert(0, close) if bad else made.append(close)
        will_be = self.will_be if not wrong else known.seqs
        said = worker.reports(task, *made)
        if said.get("ok") and not said.get("repeated"):
            assert known.end is None
            assert not wrong
            assert not (bad and close is not None)
            known.effects += effects
            known.seqs = will_be
            known.last_token = task["task_token"]
            known.not_before = 0.0
            if close is not None:
                kinds = {CompleteWorkflow: "WorkflowCompleted", FailWorkflow: "WorkflowFailed"}
                self.ended(known, kinds.get(type(close), "WorkflowCancelled"))
        else:
            self.refused(known, said, {"nondeterminism": wrong, "bad_command": bad, "unhandled_events": bool(close)})
            self.backs_off(known, task, said)
            assert said.get("repeated", False) == (known.last_token == task["task_token"])
        self.reported(self.tasks, task, said)

    def backs_off(self, known: Known, task: Wire, said: Wire) -> None:
        if said.get("code") in {"nondeterminism", "bad_command"} or (said.get("ok") and not said.get("repeated")):
            failures = 0 if known.anew else task["attempt"] - 1
            known.not_before = self.clock.now + min(600.0, 2.0**failures)

    def refused(self, known: Known, said: Wire, may: dict[str, bool]) -> None:
        if said.get("repeated"):
            return
        assert said["code"] in {*may, "lease_lost", "stale_attempt", "workflow_closed"}, said
        assert may.get(said["code"], True), said
        assert (said["code"] != "workflow_closed") or known.end is not None

    def reported(self, held: list[Any], task: Wire, said: Wire) -> None:
        """Let go of a task, or keep it, so that it is reported again later."""
        if self.chance.random() < (0.8 if said.get("ok") else 0.95):
            held[:] = [pair for pair in held if pair[1] is not task]

    def stale_turn(self) -> None:
        if held := self.pick(self.tasks):
            worker, task = held
            token = task["task_token"][:-2] + "zz"
            assert worker.reports({"task_token": token}, CompleteWorkflow())["code"] in {
                "lease_lost", "workflow_closed",
            }  # fmt: skip

    def task_fails(self) -> None:
        if held := self.pick(self.tasks):
            worker, task = held
            known = self.runs[task["run_id"]]
            said = worker.cannot(task)
            self.backs_off(known, task, said)
            if not said.get("ok"):
                self.refused(known, said, {})
            elif not said.get("repeated"):
                known.last_token = task["task_token"]
            self.reported(self.tasks, task, said)

    def unreadable(self) -> None:
        if held := self.pick(self.tasks):
            worker, task = held
            known = self.runs[task["run_id"]]
            said = worker.garbles(task, BadCommand("what is that", index=0))
            self.refused(known, said, {"bad_command": True})
            self.backs_off(known, task, said)
            self.reported(self.tasks, task, said)

    def complete(self) -> None:
        if held := self.pick(self.works):
            worker, work = held
            said = worker.completes(work, str(self.mark()))
            self.outcome(work, said, "ActivityCompleted")

    def fail(self) -> None:
        if held := self.pick(self.works):
            worker, work = held
            kind = self.chance.choice([None, "Fatal", "a.b.Fatal", "Flaky"])
            said = worker.fails(work, error_type=kind)
            final = (kind or "").endswith("Fatal") or work["attempt"] == work["max_attempts"]
            self.outcome(work, said, "ActivityFailed" if final else None)

    def outcome(self, work: Wire, said: Wire, event_type: str | None) -> None:
        known = self.runs[work["run_id"]]
        if said.get("ok") and not said.get("repeated"):
            assert known.end is None
            if event_type is not None:
                known.effects.append((event_type, work["seq"]))
            self.accepted[work["id"]] = work["task_token"]
        else:
            self.refused(known, said, {})
            if known.end is None:
                assert said.get("repeated", False) == (self.accepted.get(work["id"]) == work["task_token"])
        self.reported(self.works, work, said)

    def beat(self) -> None:
        if held := self.pick(self.works):
            worker, work = held
            said = worker.beats(work, str(self.mark()))
            if "code" in said:
                self.refused(self.runs[work["run_id"]], said, {})

    def stale_work(self) -> None:
        if held := self.pick(self.works):
            worker, work = held
            said = worker.completes({"task_token": work["task_token"][:-2] + "zz"})
            assert said["code"] in {"lease_lost", "stale_attempt", "workflow_closed"}

    def lose_an_answer(self) -> None:
        worker = self.chance.choice(self.workers)
        self.claimed(worker.exchange(workflow_slots=2, activity_slots=2))
        self.took(worker, worker.exchange(lost=(worker.n,), workflow_slots=1, activity_slots=1))

    def new_session(self) -> None:
        place = self.chance.randrange(len(self.workers))
        old = self.workers[place]
        self.sessions += 1
        new = Played(self.engine, old.worker_id, session=f"again{self.sessions}")
        new.info = old.info
        self.workers[place] = new
        new.begins()
        if old.n:
            assert old.exchange(workflow_slots=1)["code"] == "session_replaced"

    def both_at_once(self) -> None:
        """Hand in everything that one worker holds, in one exchange, and take what it makes ready."""
        worker = self.chance.choice(self.workers)
        tasks = [task for by, task in self.tasks if by is worker]
        works = [work for by, work in self.works if by is worker]
        failed = self.chance.random() < 0.3
        failure = ActivityFailure(error="x", error_type="Fatal") if failed else None
        reports = tuple(
            TurnReport(task_token=task["task_token"], commands=(WaitForSignal(name="go"),))
            if self.chance.random() < 0.8
            else TurnReport(task_token=task["task_token"], failure=TaskFailure(cause="x"))
            for task in tasks
        )
        answer = worker.exchange(
            workflow_results=reports,
            activity_results=tuple(ActivityReport(task_token=work["task_token"], failure=failure) for work in works),
            heartbeats=tuple(Heartbeat(task_token=work["task_token"]) for work in works),
            workflow_slots=3,
            activity_slots=3,
        )
        for task, report, said in zip(tasks, reports, answer["results"], strict=False):
            known = self.runs[task["run_id"]]
            if not said.get("ok"):
                self.refused(known, said, {})
            elif not said.get("repeated"):
                known.last_token = task["task_token"]
                known.not_before = 0.0
                if report.failure is not None:
                    self.backs_off(known, task, said)
        for work, said in zip(works, answer["results"][len(tasks) :], strict=True):
            self.outcome(work, said, "ActivityFailed" if failed else "ActivityCompleted")
        self.took(worker, answer)

    # -- time

    def time_passes(self) -> None:
        self.clock.advance(self.chance.choice([0.001, 0.5, 0.5, 1.0, 1.0, 2.0, 5.0, 5.0, 31.0, -0.5]))

    def upkeep(self) -> None:
        act = self.chance.choice([*["expire"] * 6, "silence", "prune"])
        if act == "expire":
            self.expire()
        elif act == "prune":
            self.engine.upkeep.prune()
        else:
            beats_are_due(self.engine)
            self.clock.advance(self.chance.choice([10.0, 90.0]))
            self.engine.upkeep.retire_dead_workers()

    def expire(self) -> None:
        self.engine.upkeep.expire(limit=self.chance.choice([2, 200]))
        for known in self.runs.values():  # the time-outs that were the last: the model learns them from the history
            events = self.engine.workflows.events(known.ref, after_seq=len(known.prefix))
            for event in events:
                if event["event_type"] == "ActivityFailed" and "timeout_type" in loads(event["payload"]):
                    effect = ("ActivityFailed", loads(event["payload"])["activity_seq"])
                    if effect not in known.effects:
                        known.effects.append(effect)
                elif event["event_type"] == "WorkflowCancelled" and known.end is None:  # no worker answered in time
                    asked_at = self.engine.workflows.describe(known.ref)["cancel_requested_at"]
                    assert known.doomed
                    assert event["timestamp"] >= asked_at + 60.0
                    self.ended(known, "WorkflowCancelled")

    def look(self) -> None:
        self.engine.workflows.list(ListFilter(status=self.chance.choice([None, "WAITING", "RUNNING"]), limit=5))
        self.engine.queues.stats("main")
        self.engine.workers.list("main")

    # -- what must hold

    def check(self) -> None:
        """The histories hold what was acknowledged, in its order, and nothing that was not."""
        assert fsck.check(self.engine.store) == []
        for known in self.runs.values():
            events = list(self.engine.workflows.events(known.ref))
            assert events[: len(known.prefix)] == known.prefix
            known.prefix = events
            found = [(event["event_type"], _mark_of(event)) for event in events]
            ours = [effect for effect in found if effect[0] not in _UNCOUNTED]
            assert sorted(ours, key=str) == sorted(known.effects, key=str)
            assert _order(ours) == _order(known.effects)
            described = self.engine.workflows.describe(known.ref)
            assert (described["status"] if known.end else None) == known.end
            assert (described["completed_at"] is None) == (known.end is None)
        for name, known in self.newest.items():
            ref = RunRef(workflow_id=name, namespace="main")
            assert self.engine.workflows.describe(ref)["run_id"] == known.ref.run_id


_UNCOUNTED = {"WorkflowAwaitingSignal", "SignalsUnhandled"}
MARKS = {
    "SignalReceived": "payload", "ActivityScheduled": "activity_seq", "ActivityCompleted": "activity_seq",
    "ActivityFailed": "activity_seq", "SideEffectRecorded": "side_effect_seq", "SearchAttributesUpserted": "upsert_seq",
}  # fmt: skip


def _mark_of(event: Wire) -> Any:
    name = MARKS.get(event["event_type"])
    return None if name is None else loads(event["payload"])[name]


def _order(effects: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What the model knows in its exact order: all but the time-outs, which it learns of later."""
    return [effect for effect in effects if effect[0] != "ActivityFailed"]
