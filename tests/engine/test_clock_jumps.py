"""A clock that is set an hour on or back: nothing twice, no time that runs backwards, and work goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.domain.requests import RunRef
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

HOUR = 3600.0
WAIT = WaitForSignal(name="go")


def times(engine: Engine, run: RunRef) -> list[float]:
    return [event["timestamp"] - T0 for event in engine.workflows.events(run)]


# ------------------------------------------------------------------------------------------------ timers


def test_a_clock_set_on_fires_what_is_due_once_and_nothing_again_when_it_is_set_back(
    engine: Engine, clock: Clock
) -> None:
    timers = [ScheduleTimer(seq=seq, duration_secs=secs) for seq, secs in enumerate((60.0, HOUR, HOUR + 1.0), 1)]
    run, _ = given_a_parked(engine, "w", *timers)

    clock.advance(HOUR)
    assert engine.upkeep.expire() == 2
    clock.advance(-HOUR)
    assert engine.upkeep.expire() == 0
    clock.advance(HOUR)
    assert engine.upkeep.expire() == 0

    assert sorted(fired["timer_seq"] for fired in told(engine, run, "TimerFired")) == [1, 2]
    assert times(engine, run) == [0.0, 0.0, 0.0, 0.0, HOUR, HOUR]


def test_a_clock_set_back_delays_a_timer_and_fires_it_once(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "w", ScheduleTimer(seq=1, duration_secs=60.0))

    clock.advance(-HOUR)
    assert engine.upkeep.expire() == 0
    clock.advance(HOUR + 59.0)
    assert engine.upkeep.expire() == 0
    clock.advance(1.0)
    assert [engine.upkeep.expire(), engine.upkeep.expire()] == [1, 0]

    assert told(engine, run, "TimerFired") == [{"timer_seq": 1, "fire_at": T0 + 60.0}]


# ------------------------------------------------------------------------------------------------ leases


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_lease_that_is_taken_after_the_jump_lasts_as_long_as_any(engine: Engine, clock: Clock, jump: float) -> None:
    given_a_run(engine)
    clock.advance(jump)
    if jump < 0:
        assert Played(engine).finds_nothing()  # it is ready an hour from now, by the clock as it is
        given_a_run(engine, "v")

    task = Played(engine).takes()

    assert task["lease_expires_at"] == clock.now + 30.0


def test_a_lease_that_a_jump_has_ended_is_taken_back_once(engine: Engine, clock: Clock) -> None:
    run, worker, _ = given_a_running(engine)

    clock.advance(HOUR)
    assert [engine.upkeep.expire(), engine.upkeep.expire()] == [1, 0]
    clock.advance(-HOUR)
    assert worker.finds_nothing()  # it was ready from then on
    clock.advance(HOUR)
    again = worker.takes()

    assert (again["attempt"], again["lease_expires_at"]) == (2, clock.now + 30.0)
    assert record(engine, run)["task_failure"]["count"] == 1


def test_who_holds_a_lease_while_the_clock_is_set_back_keeps_it(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine, heartbeat_timeout_secs=10.0, start_to_close_secs=60.0)
    clock.advance(-HOUR)

    assert engine.upkeep.expire() == 0
    beaten = worker.beats(work)

    assert beaten["cancel_requested"] is False
    assert beaten["lease_expires_at"] > clock.now
    assert worker.completes(work) == {"ok": True}


# ------------------------------------------------------------------------------- histories, and work goes on


def test_no_history_goes_back_in_time_and_what_is_ready_is_handed_out_at_once(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    clock.advance(HOUR)
    engine.workflows.signal(run, "later")
    task = worker.takes()
    clock.advance(-HOUR)

    assert worker.reports(task, an_activity(1), WAIT) == {"ok": True}
    assert worker.completes(worker.takes_work(), "1") == {"ok": True}
    assert worker.reports(worker.takes(), WAIT) == {"ok": True}
    engine.workflows.signal(run, "go")
    assert worker.reports(worker.takes(), CompleteWorkflow()) == {"ok": True}

    assert times(engine, run) == [0.0, 0.0] + [HOUR] * 5
    assert record(engine, run)["completed_at"] == T0 + HOUR


@pytest.mark.parametrize("fails", ["turn", "attempt"])
def test_a_back_off_after_a_clock_was_set_back_is_no_longer_than_any(engine: Engine, clock: Clock, fails: str) -> None:
    run, worker, _ = given_an_activity_at_work(engine, start_to_close_secs=HOUR * 9)
    clock.advance(HOUR)
    engine.workflows.signal(run, "later")
    task = worker.takes()
    clock.advance(-HOUR)
    if fails == "turn":
        worker.cannot(task)
    else:
        worker.reports(task, an_activity(2), WAIT)
        worker.fails(worker.takes_work())
    assert worker.finds_nothing()

    clock.advance(1.0)

    taken: Any = worker.takes() if fails == "turn" else worker.takes_work()
    assert taken["attempt"] == 2


def test_the_children_of_a_run_are_seen_to_though_the_clock_was_set_back(engine: Engine, clock: Clock) -> None:
    child = StartChildWorkflow(workflow_type="Order", workflow_id="c", seq=1, parent_close="terminate")
    parent, _ = given_a_parked(engine, "p", child, WAIT)
    clock.advance(HOUR)
    engine.workflows.signal(parent, "later")
    clock.advance(-HOUR)

    engine.workflows.terminate(parent)
    assert rows(engine, "SELECT due_at FROM followups") == [(T0,)]
    engine.upkeep.follow_up()

    assert rows(engine, "SELECT close_reason FROM workflows ORDER BY run_key") == [("terminated",), ("terminated",)]
    assert history(engine, parent)[-1] == "WorkflowTerminated"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_run_is_timed_out_once_whatever_the_clock_does(engine: Engine, clock: Clock, jump: float) -> None:
    run = given_a_run(engine, run_timeout_secs=600.0)
    clock.advance(jump)
    engine.upkeep.expire()
    clock.advance(-jump)
    engine.upkeep.expire()
    clock.advance(600.0)
    engine.upkeep.expire()

    assert told(engine, run, "WorkflowTimedOut") == [{"timeout_type": "run"}]
