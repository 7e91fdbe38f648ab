"""The random walk through time and family once more, held against what was acknowledged of signals.

fsck cannot tell what a sender was promised. Here each signal has a mark of its own: one that was acknowledged
stays in its run's history, goes along when its run continues unread, and ends the timer of the wait that it meets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CancelTimer
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.jsontext import loads
from assay_wsgi.store import fsck
from tests.engine.stories import Wire
from tests.engine.stories import rows
from tests.engine.stories import told
from tests.engine.test_family_walk import FSCK_EVERY
from tests.engine.test_family_walk import STEPS
from tests.engine.test_family_walk import FamilyWalk
from tests.engine.test_random_walk import SEEDS

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


class ChainWalk(FamilyWalk):
    """The walk, and what its senders were promised."""

    def __init__(self, engine: Engine, clock: Clock, seed: int) -> None:
        super().__init__(engine, clock, seed)
        self.mark = 0
        self.promised: dict[tuple[str, int], int] = {}  # (run id, event) -> mark
        self.followed: set[str] = set()  # runs whose successor was looked at
        self.asked: tuple[Wire, list[Command]] | None = None
        self.carried = 0
        self.waits_met = 0
        self.steps = [
            (self.start, 6), (self.signal, 24), (self.cancel, 2), (self.terminate, 1), (self.proceed, 3),
            (self.take, 20), (self.turn, 40), (self.report, 6), (self.time_passes, 8), (self.upkeep, 8),
        ]  # fmt: skip

    # -- signals

    def signal(self) -> None:
        """Send a signal with a mark of its own, and see that it ends the timer of the wait that it meets."""
        ref, name = self.somebody(), self.chance.choice(["go", "stop"])
        self.mark += 1
        signal_id = self.chance.choice([None, f"s{self.chance.randrange(20)}"])
        waits = self.bounded(ref, name)
        answer = self.engine.workflows.signal(ref, name, str(self.mark), signal_id=signal_id)
        if answer.get("repeated"):
            return
        self.promised[answer["run_id"], answer["event_seq"]] = self.mark
        run = RunRef(workflow_id=ref.workflow_id, namespace="main", run_id=answer["run_id"])
        for seq, before in waits.items():
            self.waits_met += before == "PENDING"
            assert self.timer(run, seq) == ("CANCELLED" if before == "PENDING" else before)

    def bounded(self, ref: RunRef, name: str) -> dict[int, str]:
        """Give the timer that bounds the newest wait for a signal, where that is not met; and its status."""
        run_ids = rows(
            self.engine,
            "SELECT run_id FROM workflows WHERE workflow_id = ? AND status IN ('PENDING', 'RUNNING')",
            ref.workflow_id,
        )
        if not run_ids:
            return {}
        run = RunRef(workflow_id=ref.workflow_id, namespace="main", run_id=run_ids[0][0])
        timer_seq = None
        for event in self.engine.workflows.events(run):
            if event["event_type"] in ("WorkflowAwaitingSignal", "SignalReceived"):
                payload = loads(event["payload"])
                if payload["signal"] == name:
                    timer_seq = payload.get("timer_seq")  # a signal has none: it meets the wait
        return {} if timer_seq is None else {timer_seq: self.timer(run, timer_seq)}

    def timer(self, run: RunRef, seq: int) -> str:
        sql = "SELECT t.status FROM workflow_timers t JOIN workflows w ON w.run_key = t.run_key "
        ((status,),) = rows(self.engine, sql + "WHERE w.run_id = ? AND t.seq = ?", run.run_id, seq)
        return str(status)

    # -- chains

    def commands(self, task: Wire) -> list[Command]:
        """Ask for what can mostly be had, and park on a wait that a timer bounds as often as not."""
        made = [one for one in super().commands(task) if self.chance.random() < 0.1 or _can_be_had(one, task)]
        seq = 100 + task["history_seq"]
        if made and isinstance(made[-1], WaitForSignal) and self.chance.random() < 0.6:
            name = self.chance.choice(["go", "stop"])
            made[-1:] = [ScheduleTimer(seq=seq, duration_secs=30.0), WaitForSignal(name=name, timer_seq=seq)]
        self.asked = task, made
        return made

    def turn(self) -> None:
        self.asked = None
        super().turn()
        if self.asked is None:
            return
        task, made = self.asked
        if made and isinstance(made[-1], ContinueAsNew):
            run = RunRef(workflow_id=task["workflow_id"], namespace="main", run_id=task["run_id"])
            self.went_on(run, made[-1].unread_signals, task["history_seq"])

    def proceed(self) -> None:
        ref = self.somebody()
        sql = "SELECT run_id, seen_seq FROM workflows WHERE workflow_id = ? AND status IN ('PENDING', 'RUNNING')"
        before = rows(self.engine, sql, ref.workflow_id)
        self.engine.workflows.continue_as_new(ref, self.onward())
        for run_id, seen_seq in before:
            self.went_on(RunRef(workflow_id=ref.workflow_id, namespace="main", run_id=run_id), (), seen_seq)

    def went_on(self, run: RunRef, listed: tuple[int, ...], after: int) -> None:
        """If a run has just been continued: its successor holds what was listed and what came later, in its order."""
        assert run.run_id is not None
        ends = told(self.engine, run, "WorkflowContinuedAsNew")
        if not ends or run.run_id in self.followed:
            return
        self.followed.add(run.run_id)
        unread = [
            loads(event["payload"])
            for event in self.engine.workflows.events(run)
            if event["event_type"] == "SignalReceived" and (event["seq"] in listed or event["seq"] > after)
        ]
        next_run = RunRef(workflow_id=ends[0]["workflow_id"], namespace="main", run_id=ends[0]["new_run_id"])
        events = self.engine.workflows.events(next_run)
        began, *carried = [event for event in events if event["event_type"] != "WorkflowCancelRequested"]
        assert began["event_type"] == "WorkflowStarted"
        assert [event["event_type"] for event in carried] == ["SignalReceived"] * len(unread)
        assert [loads(event["payload"]) for event in carried] == unread
        self.carried += len(unread)

    # -- what must hold

    def check_promises(self) -> None:
        """What was acknowledged stands where it was said to stand."""
        found = {
            (run_id, seq): loads(payload)["payload"]
            for run_id, seq, payload in rows(
                self.engine,
                "SELECT w.run_id, e.seq, e.payload FROM workflow_events e JOIN workflows w ON w.run_key = e.run_key "
                "WHERE e.event_type = 'SignalReceived'",
            )
        }
        assert {place: found.get(place) for place in self.promised} == self.promised


def _can_be_had(command: Command, task: Wire) -> bool:
    """Whether what a command is about stands in the history; a turn that is refused tells little."""
    payloads = [event["payload"] for event in task["history"] if isinstance(event["payload"], dict)]
    if isinstance(command, CancelTimer):
        return any(payload.get("timer_seq") == command.timer_seq for payload in payloads)
    if isinstance(command, CancelActivity):
        return any(payload.get("activity_seq") == command.activity_seq for payload in payloads)
    if isinstance(command, RequestCancelChild):
        return any(payload.get("child_workflow_id") == command.workflow_id for payload in payloads)
    return True


@pytest.mark.parametrize("seed", SEEDS)
def test_no_chain_loses_a_signal_that_was_acknowledged(engine: Engine, clock: Clock, seed: int) -> None:
    print(f"chain walk: ASSAY_TEST_SEED={seed}")  # noqa: T201 - a failure is walked again by it
    walk = ChainWalk(engine, clock, seed)
    for step in range(1, STEPS + 1):
        walk.step()
        if step % FSCK_EVERY == 0:
            walk.check_promises()
            assert fsck.check(engine.store) == []

    walk.quiet()

    walk.check_promises()
    assert (walk.carried > 0, walk.waits_met > 0) == (True, True), (walk.carried, walk.waits_met)
