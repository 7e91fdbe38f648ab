"""A random walk over time and family: timers, waits, children, chains and time-outs, in any order.

What must be true stands in fsck's rules (each timer fires once and not early, each child's end is told once, no
chain forks, no child is forgotten), which are asked after every few steps and when all is quiet.
The seed is printed; ASSAY_TEST_SEED walks it again, ASSAY_TEST_LONG=1 walks 2,000 steps.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CancelTimer
from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.store import fsck
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import a_start
from tests.engine.stories import beats_are_due
from tests.engine.stories import rows
from tests.engine.test_random_walk import LONG
from tests.engine.test_random_walk import SEEDS

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

STEPS = 2000 if LONG else 800
FSCK_EVERY = 25
IDS = [f"w{n}" for n in range(6)]
REFUSALS = (AlreadyStarted, AlreadyTerminal, NotFound, WorkflowClosed)
TURNED_AWAY = {
    None, "unhandled_events", "workflow_closed", "lease_lost", "id_taken", "bad_command", "nondeterminism",
}  # fmt: skip


class FamilyWalk:
    """The engine, a worker and chance."""

    def __init__(self, engine: Engine, clock: Clock, seed: int) -> None:
        self.engine = engine
        self.clock = clock
        self.chance = random.Random(seed)
        self.worker = Played(engine)
        self.held: list[Wire] = []
        self.works: list[Wire] = []
        self.heard: Counter[str | None] = Counter()
        self.steps: list[tuple[Callable[[], Any], int]] = [
            (self.start, 6), (self.signal, 8), (self.cancel, 2), (self.terminate, 2), (self.proceed, 2),
            (self.take, 24), (self.turn, 40), (self.report, 10), (self.time_passes, 14), (self.upkeep, 14),
        ]  # fmt: skip

    def step(self) -> None:
        """Do one thing."""
        acts, weights = zip(*self.steps, strict=True)
        (act,) = self.chance.choices(acts, weights)
        try:
            act()
        except REFUSALS as refusal:
            self.heard[refusal.code] += 1

    # -- callers

    def start(self) -> None:
        pick = self.chance.choice
        self.engine.workflows.start(
            a_start(
                pick(IDS), id_conflict=pick(["fail", "use_existing", "terminate_existing"]),
                execution_timeout_secs=pick([None, None, 40.0]), run_timeout_secs=pick([None, None, 20.0]),
            )
        )  # fmt: skip

    def signal(self) -> None:
        signal_id = self.chance.choice([None, f"s{self.chance.randrange(20)}"])
        self.engine.workflows.signal(self.somebody(), self.chance.choice(["go", "stop"]), "1", signal_id=signal_id)

    def cancel(self) -> None:
        self.engine.workflows.cancel(self.somebody())

    def terminate(self) -> None:
        self.engine.workflows.terminate(self.somebody())

    def proceed(self) -> None:
        self.engine.workflows.continue_as_new(self.somebody(), self.onward())

    def somebody(self) -> RunRef:
        return RunRef(workflow_id=self.chance.choice(IDS), namespace="main")

    # -- the worker

    def take(self) -> None:
        answer = self.worker.exchange(workflow_slots=3, activity_slots=2)
        self.held += answer["workflow_tasks"]
        self.works += answer["activity_tasks"]

    def turn(self) -> None:
        if not self.held:
            return self.take()
        task = self.held.pop(self.chance.randrange(len(self.held)))
        if self.chance.random() < 0.05:
            return None  # the worker loses it
        said = self.worker.reports(task, *self.commands(task))
        self.heard[said.get("code")] += 1
        assert said.get("code") in TURNED_AWAY, said
        return None

    def report(self) -> None:
        if self.works:
            work = self.works.pop()
            said = self.worker.completes(work) if self.chance.random() < 0.6 else self.worker.fails(work)
            assert said.get("code") in {None, "workflow_closed", "lease_lost", "stale_attempt"}, said

    def commands(self, task: Wire) -> list[Command]:
        """Ask for anything; the numbers go on from what the history holds."""
        seq = 1 + max((_number(event) for event in task["history"]), default=0)
        made: list[Command] = []
        for _ in range(self.chance.randrange(4)):
            made.append(self.command(seq, _numbers(task, "timer_seq"), _numbers(task, "activity_seq")))
            seq += 1
        end = self.chance.random()
        if end < 0.15:
            made.append(self.chance.choice([CompleteWorkflow(result="1"), FailWorkflow(error="no"), CancelWorkflow()]))
        elif end < 0.30:
            signals = [event["seq"] for event in task["history"] if event["event_type"] == "SignalReceived"]
            made.append(self.onward(tuple(self.chance.sample(signals, min(2, len(signals))))))
        else:
            made.append(WaitForSignal(name="go"))
        return made

    def command(self, seq: int, timers: list[int], activities: list[int]) -> Command:
        pick = self.chance.choice
        makers: list[Callable[[], Command]] = [
            lambda: ScheduleTimer(seq=seq, duration_secs=pick([0.0, 1.0, 5.0, 30.0])),
            lambda: ScheduleTimer(seq=seq, duration_secs=pick([0.0, 1.0, 5.0, 30.0])),
            lambda: CancelTimer(timer_seq=pick(timers or [seq])),
            lambda: WaitForSignal(name=pick(["go", "stop"]), timer_seq=pick([None, *timers])),
            lambda: ScheduleActivity(
                seq=seq, name="charge", jitter=0.0, max_attempts=pick([1, 3]),
                schedule_to_start_secs=pick([None, 3.0]), schedule_to_close_secs=pick([None, 8.0]),
                start_to_close_secs=pick([2.0, 300.0]),
            ),
            lambda: CancelActivity(activity_seq=pick(activities or [seq])),
            lambda: StartChildWorkflow(
                workflow_type="Order", workflow_id=pick(IDS), seq=seq, tell_start=pick([False, True]),
                parent_close=pick(["request_cancel", "terminate", "abandon"]),
            ),
            lambda: StartChildWorkflow(
                workflow_type="Order", workflow_id=pick(IDS), seq=seq,
                parent_close=pick(["request_cancel", "terminate", "abandon"]),
            ),
            lambda: RequestCancelChild(workflow_id=pick(IDS)),
        ]  # fmt: skip
        return pick(makers)()

    def onward(self, unread: tuple[int, ...] = ()) -> ContinueAsNew:
        return ContinueAsNew(workflow_id=self.chance.choice(IDS), input="2", unread_signals=unread)

    # -- time

    def time_passes(self) -> None:
        self.clock.advance(self.chance.choice([0.0, 0.5, 1.0, 2.0, 5.0, 31.0, -1.0]))

    def upkeep(self) -> None:
        beats_are_due(self.engine)
        self.engine.upkeep.expire(limit=self.chance.choice([3, 200]))

    def quiet(self) -> None:
        """Let everything that time does be done."""
        self.clock.advance(3600.0)
        for _ in range(200):
            if self.engine.upkeep.expire() == 0:
                return
        raise AssertionError("the upkeep never comes to an end")


def _numbers(task: Wire, name: str) -> list[int]:
    payloads = [event["payload"] for event in task["history"] if isinstance(event["payload"], dict)]
    return [payload[name] for payload in payloads if payload.get(name) is not None]


def _number(event: Wire) -> int:
    payload = event["payload"] if isinstance(event["payload"], dict) else {}
    return max((payload.get(name) or 0 for name in ("activity_seq", "timer_seq", "child_seq")), default=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_walk_through_time_and_family_breaks_no_rule(engine: Engine, clock: Clock, seed: int) -> None:
    print(f"family walk: ASSAY_TEST_SEED={seed}")  # noqa: T201 - a failure is walked again by it
    walk = FamilyWalk(engine, clock, seed)
    for step in range(1, STEPS + 1):
        walk.step()
        if step % FSCK_EVERY == 0:
            assert fsck.check(engine.store) == []

    walk.quiet()

    assert fsck.check(engine.store) == []
    assert rows(engine, "SELECT count(*) FROM followups") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM workflow_timers WHERE status = 'PENDING'") == [(0,)]
    kinds = {kind for (kind,) in rows(engine, "SELECT DISTINCT event_type FROM workflow_events")}
    assert {"TimerScheduled", "ChildWorkflowStarted", "WorkflowContinuedAsNew"} <= kinds, walk.heard
    if LONG:
        assert {"TimerFired", "ChildWorkflowFailed", "WorkflowTimedOut"} <= kinds, walk.heard
