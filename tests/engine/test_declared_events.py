"""Every event that is declared is written, with every member that it may have, in one story."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import assay_wsgi.domain
from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CancelTimer
from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.events import EVENTS
from tests.declared_events import written
from tests.engine.old_way import OldWorker
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

DOMAIN = Path(assay_wsgi.domain.__file__).parent
LONG = "x" * 5000


def test_every_event_and_every_member_is_shown(engine: Engine, clock: Clock) -> None:
    worker = Played(engine)

    _activities(engine, worker, clock)
    _timers_and_signals(engine, worker, clock)
    _children(engine, worker)
    _ends(engine, worker, clock)

    shown: dict[str, set[str]] = {}
    for event_type, payload in written(engine.store):
        members = shown.setdefault(event_type, set())
        if EVENTS[event_type].members is not None:
            members |= set(payload or {})
    assert shown == {name: set(event.members or ()) for name, event in EVENTS.items()}


def _activities(engine: Engine, worker: Played, clock: Clock) -> None:
    policies = [an_activity(seq, max_attempts=1) for seq in (1, 2, 4)]
    given_a_parked(engine, "work", *policies, an_activity(3, start_to_close_secs=1.0, max_attempts=1), worker=worker)
    for work in worker.takes_work_up_to(10):
        if work["seq"] == 1:
            worker.completes(work)
        elif work["seq"] == 2:
            worker.fails(work, LONG, error_type="Boom", details="{}")
    clock.advance(1.0)
    engine.upkeep.expire()
    worker.reports(worker.takes(), CancelActivity(activity_seq=4), CompleteWorkflow())


def _timers_and_signals(engine: Engine, worker: Played, clock: Clock) -> None:
    run, _ = given_a_parked(
        engine, "waits",
        ScheduleTimer(seq=1, duration_secs=1.0), ScheduleTimer(seq=2, duration_secs=9.0),
        RecordSideEffect(seq=3, name="dice", value="6"), UpsertSearchAttributes(patch={"a": 1}, seq=4),
        WaitForSignal(name="go", timer_seq=2), worker=worker,
    )  # fmt: skip
    clock.advance(1.0)
    engine.upkeep.expire()
    worker.reports(worker.takes(), CancelTimer(timer_seq=2), WaitForSignal(name="go"))
    engine.workflows.signal(run, "go", "1", signal_id="s")
    worker.reports(worker.takes(), CancelWorkflow(reason="enough"))


def _children(engine: Engine, worker: Played) -> None:
    start = [StartChildWorkflow(workflow_type="Child", workflow_id=name, seq=n) for n, name in enumerate("abc", 1)]
    given_a_parked(engine, "parent", *start, worker=worker)
    a, b, c = sorted(worker.takes_up_to(10), key=lambda task: task["workflow_id"])
    worker.reports(a, CompleteWorkflow())
    worker.reports(b, FailWorkflow(error=LONG))
    worker.reports(c, WaitForSignal(name="go"))
    worker.reports(worker.takes(), RequestCancelChild(workflow_id="c"), CompleteWorkflow())
    worker.reports(worker.takes(), CancelWorkflow())


def _ends(engine: Engine, worker: Played, clock: Clock) -> None:
    engine.workflows.terminate(given_a_run(engine, "unwanted"), reason="no")
    given_a_run(engine, "slow", run_timeout_secs=1.0)
    clock.advance(1.0)
    engine.upkeep.expire()
    given_a_running(engine, "chain", worker=worker)
    run = given_a_run(engine, "old")
    old = OldWorker(engine)
    task = old.takes()
    engine.workflows.signal(run, "unread")
    old.submits(task, CompleteWorkflow())
    _, _, again = given_a_running(engine, "again", worker=worker)
    worker.reports(again, ContinueAsNew())


def test_what_wakes_a_run_and_what_closes_it_is_declared() -> None:
    wakes, closes = set(), set()
    for path in DOMAIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                named = {one.value for one in node.args if isinstance(one, ast.Constant)} & EVENTS.keys()
                wakes |= named if called in ("waking_event", "_tell_run") else set()
                closes |= named if called == "close" else set()

    assert wakes == {name for name, event in EVENTS.items() if event.wakes}
    assert closes == {name for name, event in EVENTS.items() if event.closes}
