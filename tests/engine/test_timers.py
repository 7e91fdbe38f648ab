"""Timers: never early, each once, and none left behind by a wait that a signal has met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay_wsgi.domain.commands import CancelTimer
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import WaitForSignal
from tests.engine.stories import T0
from tests.engine.stories import code
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

A_MINUTE = ScheduleTimer(seq=1, duration_secs=60.0)


def test_a_timer_fires_when_its_time_has_come_and_wakes_the_run(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE)
    (scheduled,) = told(engine, run, "TimerScheduled")
    assert (scheduled["timer_seq"], scheduled["fire_at"], scheduled["duration_secs"]) == (1, T0 + 60.0, 60.0)
    assert engine.upkeep.next_deadline() == T0 + 60.0
    assert record(engine, run)["waiting_for"] == [{"kind": "timer", "name": "1", "since": T0}]

    clock.advance(59.999)
    assert engine.upkeep.expire() == 0
    assert worker.finds_nothing()

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1
    assert told(engine, run, "TimerFired") == [{"timer_seq": 1, "fire_at": T0 + 60.0}]
    assert worker.reports(worker.takes(), CompleteWorkflow()) == {"ok": True}
    assert engine.upkeep.next_deadline() is None


def test_a_timer_fires_once_whoever_looks(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "w", A_MINUTE)
    clock.advance(60.0)

    engine.upkeep.expire()
    engine.upkeep.expire()

    assert told(engine, run, "TimerFired") == [{"timer_seq": 1, "fire_at": T0 + 60.0}]


def test_the_same_timer_asked_for_again_is_the_same_timer(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE, WaitForSignal(name="go"))
    clock.advance(30.0)
    engine.workflows.signal(run, "other")

    assert worker.reports(worker.takes(), A_MINUTE, WaitForSignal(name="go")) == {"ok": True}

    assert len(told(engine, run, "TimerScheduled")) == 1
    assert engine.upkeep.next_deadline() == T0 + 60.0


def test_a_cancelled_timer_never_fires(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE, WaitForSignal(name="go"))
    engine.workflows.signal(run, "other")
    assert worker.reports(worker.takes(), CancelTimer(timer_seq=1), WaitForSignal(name="go")) == {"ok": True}

    clock.advance(3600.0)

    assert engine.upkeep.expire() == 0
    assert told(engine, run, "TimerCancelled") == [{"timer_seq": 1}]
    assert "TimerFired" not in history(engine, run)
    assert [one["kind"] for one in record(engine, run)["waiting_for"]] == ["signal"]


def test_a_timer_that_has_fired_is_not_cancelled_any_more(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE)
    clock.advance(60.0)
    engine.upkeep.expire()

    assert worker.reports(worker.takes(), CancelTimer(timer_seq=1), WaitForSignal(name="go")) == {"ok": True}

    assert "TimerCancelled" not in history(engine, run)


def test_a_timer_that_nobody_scheduled_cannot_be_cancelled(engine: Engine) -> None:
    _, worker, task = given_a_running(engine)

    assert code(worker.reports(task, CancelTimer(timer_seq=9))) == "bad_command"


def test_a_timer_of_no_time_fires_at_once(engine: Engine) -> None:
    run, _ = given_a_parked(engine, "w", ScheduleTimer(seq=1, duration_secs=0.0))

    assert engine.upkeep.expire() == 1

    assert told(engine, run, "TimerFired") == [{"timer_seq": 1, "fire_at": T0}]


def test_the_end_of_a_run_is_the_end_of_its_timers(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "w", A_MINUTE)
    engine.workflows.terminate(run, "enough")

    clock.advance(60.0)

    assert engine.upkeep.expire() == 0
    assert rows(engine, "SELECT status FROM workflow_timers") == [("CANCELLED",)]
    assert history(engine, run)[-1] == "WorkflowTerminated"


WAIT = WaitForSignal(name="decide", timer_seq=1)


def test_a_signal_that_meets_a_bounded_wait_ends_its_timer(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE, WAIT)
    assert told(engine, run, "WorkflowAwaitingSignal") == [{"signal": "decide", "timer_seq": 1}]

    engine.workflows.signal(run, "decide", '"yes"')
    clock.advance(60.0)

    assert engine.upkeep.expire() == 0
    assert history(engine, run)[-2:] == ["SignalReceived", "TimerCancelled"]
    assert worker.reports(worker.takes(), CompleteWorkflow()) == {"ok": True}


def test_another_signal_leaves_the_timer_of_a_wait_alone(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "w", A_MINUTE, WAIT)

    engine.workflows.signal(run, "other")
    clock.advance(60.0)

    assert engine.upkeep.expire() == 1
    assert history(engine, run)[-2:] == ["SignalReceived", "TimerFired"]


def test_a_signal_that_crosses_the_turn_that_waits_for_it_ends_the_timer_too(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    engine.workflows.signal(run, "decide")

    assert worker.reports(task, A_MINUTE, WAIT) == {"ok": True}
    clock.advance(60.0)

    assert engine.upkeep.expire() == 0
    assert rows(engine, "SELECT status FROM workflow_timers") == [("CANCELLED",)]
    assert worker.takes()["workflow_id"] == "w"


def test_a_wait_after_one_that_ran_out_is_another_wait(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", A_MINUTE, WAIT)
    clock.advance(60.0)
    engine.upkeep.expire()
    second = (ScheduleTimer(seq=2, duration_secs=60.0), WaitForSignal(name="decide", timer_seq=2))

    assert worker.reports(worker.takes(), *second) == {"ok": True}
    engine.workflows.signal(run, "decide")

    assert [wait["timer_seq"] for wait in told(engine, run, "WorkflowAwaitingSignal")] == [1, 2]
    assert rows(engine, "SELECT seq, status FROM workflow_timers ORDER BY seq") == [(1, "FIRED"), (2, "CANCELLED")]
