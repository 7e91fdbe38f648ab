"""The time of a run: its own, its chain's, and the grace of a cancel that nobody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay_wsgi.domain.commands import CancelWorkflow
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import beats_are_due
from tests.engine.stories import code
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_a_run_whose_time_is_over_is_timed_out(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine, run_timeout_secs=10.0)
    assert engine.upkeep.next_deadline() == T0 + 10.0
    clock.advance(9.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    shown = record(engine, run)
    assert (shown["status"], shown["close_reason"], shown["error"]) == ("TIMED_OUT", "timed_out", "timed out: run")
    assert told(engine, run, "WorkflowTimedOut") == [{"timeout_type": "run"}]
    assert code(worker.reports(task)) == "workflow_closed"


def test_a_cancel_that_no_worker_hears_of_is_carried_out_after_its_grace(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine)
    clock.advance(100.0)
    engine.workflows.cancel(run)
    clock.advance(59.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    assert history(engine, run)[-2:] == ["WorkflowCancelRequested", "WorkflowCancelled"]
    assert record(engine, run)["status"] == "CANCELLED"


def test_a_run_that_has_heard_its_cancel_is_left_to_its_code_however_long_no_worker_comes(
    engine: Engine, clock: Clock
) -> None:
    """It owes a refund: to close it now would keep the money."""
    run, worker = given_a_parked(engine)
    engine.workflows.cancel(run)
    worker.reports(worker.takes(), an_activity(1, "refund"))
    worker.completes(worker.takes_work())

    clock.advance(3600.0)
    assert engine.upkeep.expire() == 1
    assert engine.upkeep.expire() == 0

    assert record(engine, run)["status"] == "RUNNING"
    assert worker.reports(worker.takes(), CancelWorkflow()) == {"ok": True}


def test_while_somebody_polls_its_queue_a_cancelled_run_is_left_to_them(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine)
    clock.advance(100.0)
    engine.workflows.cancel(run)
    clock.advance(30.0)
    beats_are_due(engine)
    other = Played(engine, "bob", workflows=["Another"], activities=[])
    other.takes_up_to(1)
    engine.committer.submit(())

    clock.advance(30.0)
    assert engine.upkeep.expire() == 1
    assert record(engine, run)["status"] == "RUNNING"

    clock.advance(60.0)
    assert engine.upkeep.expire() == 1
    assert record(engine, run)["status"] == "CANCELLED"


def test_a_worker_that_holds_a_cancelled_run_is_waited_for(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    clock.advance(35.0)
    engine.workflows.cancel(run)
    clock.advance(50.0)
    task = worker.takes()

    clock.advance(10.0)
    engine.upkeep.expire()

    assert record(engine, run)["status"] == "RUNNING"
    assert worker.reports(task) == {"ok": True}


def test_a_run_that_was_asked_to_end_still_has_its_own_time(engine: Engine, clock: Clock) -> None:
    run = given_a_run(engine, execution_timeout_secs=70.0)
    worker = Played(engine)
    worker.cannot(worker.takes())
    engine.workflows.cancel(run)
    assert record(engine, run)["deadline_at"] == T0 + 60.0

    clock.advance(50.0)
    worker.takes()
    clock.advance(10.0)
    engine.upkeep.expire()
    assert record(engine, run)["deadline_at"] == T0 + 70.0
    clock.advance(10.0)
    engine.upkeep.expire()

    assert told(engine, run, "WorkflowTimedOut") == [{"timeout_type": "execution"}]
