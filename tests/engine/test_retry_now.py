"""Retry now: an operator ends the back-off of what fails; and a cancel is not kept waiting by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import until_waiting
from tests.engine.stories import without_a_watcher

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def given_a_failing(engine: Engine, clock: Clock, failures: int = 10) -> tuple[RunRef, Played]:
    """Have a run whose task has just failed for the last of so many times."""
    run, worker, task = given_a_running(engine)
    worker.cannot(task)
    for _ in range(failures - 1):
        clock.advance(600.0)
        worker.cannot(worker.takes())
    return run, worker


def test_a_failing_task_is_ready_at_once_and_its_next_wait_is_the_first(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock)
    assert worker.finds_nothing()

    assert engine.workflows.retry_now(run) == {"ok": True, "run_id": run.run_id, "task": True, "activities": 0}

    task = worker.takes()
    assert task["attempt"] == 1
    worker.cannot(task)
    assert worker.finds_nothing()
    clock.advance(1.0)
    worker.reports(worker.takes(), CompleteWorkflow())
    assert record(engine, run)["status"] == "COMPLETED"
    assert history(engine, run) == ["WorkflowStarted", "WorkflowCompleted"]


def test_the_failures_stay_counted_until_a_turn_goes_well(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock, 3)

    engine.workflows.retry_now(run)

    assert record(engine, run)["task_failure"]["count"] == 3
    worker.cannot(worker.takes())
    assert record(engine, run)["task_failure"]["count"] == 4


def test_a_turn_that_fails_after_all_does_not_undo_it(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock, 9)
    clock.advance(600.0)
    task = worker.takes()

    assert engine.workflows.retry_now(run)["task"] is False
    worker.cannot(task)

    clock.advance(1.0)
    assert worker.takes()["workflow_id"] == "w"


def test_a_second_time_finds_nothing_to_do(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock)
    engine.workflows.retry_now(run)
    before = rows(engine, "SELECT * FROM workflow_tasks")
    clock.advance(5.0)

    assert engine.workflows.retry_now("w") == {"ok": True, "run_id": run.run_id, "task": False, "activities": 0}

    assert rows(engine, "SELECT * FROM workflow_tasks") == before
    assert engine.workflows.retry_now(run)["task"] is False
    worker.reports(worker.takes(), WaitForSignal(name="go"))
    assert engine.workflows.retry_now(run) == {"ok": True, "run_id": run.run_id, "task": False, "activities": 0}


@pytest.mark.parametrize("activities", [True, False])
def test_activities_between_attempts_are_ready_too_where_they_are_meant(
    engine: Engine, clock: Clock, activities: bool
) -> None:
    patient = {"initial_interval_secs": 500.0, "max_attempts": 3}
    commands = (*(an_activity(seq, **patient) for seq in (1, 2, 3)), WaitForSignal(name="go"))
    run, worker = given_a_parked(engine, "w", *commands)
    one, two, _ = worker.takes_work_up_to(3)
    worker.fails(one)
    worker.fails(two)
    clock.advance(10.0)

    assert engine.workflows.retry_now(run, activities=activities)["activities"] == 2 * activities

    ready = worker.takes_work_up_to(10)
    assert [(work["seq"], work["attempt"]) for work in ready] == [(1, 2), (2, 2)][: len(ready)]
    assert len(ready) == 2 * activities


def test_the_time_to_start_counts_from_the_retry(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(initial_interval_secs=500.0, schedule_to_start_secs=9.0))
    worker.fails(worker.takes_work())
    clock.advance(100.0)

    engine.workflows.retry_now(run)

    ((visible_at, deadline_at),) = rows(engine, "SELECT visible_at, deadline_at FROM workflow_activities")
    assert (visible_at, deadline_at) == (clock.now, clock.now + 9.0)


def test_whoever_waits_for_work_is_woken(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock)
    without_a_watcher(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=20.0))
    until_waiting(engine)

    engine.workflows.retry_now(run)

    assert waiting.answer()["workflow_id"] == "w"


def test_a_closed_run_has_nothing_to_try_again(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())

    with pytest.raises(WorkflowClosed) as refusal:
        engine.workflows.retry_now(run)

    assert refusal.value.members == {"run_id": run.run_id, "run_status": "COMPLETED"}
    with pytest.raises(NotFound):
        engine.workflows.retry_now("nobody")


def test_under_an_idempotency_key_a_repeat_gets_the_first_answer(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_failing(engine, clock)
    key = Idempotency(scope="anonymous", key="k", hash="h")

    answers = [engine.workflows.retry_now(run, idempotency=key) for _ in range(2)]

    assert answers == [{"ok": True, "run_id": run.run_id, "task": True, "activities": 0}] * 2


def test_a_cancel_is_heard_at_once_by_a_run_whose_task_backs_off(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock)

    engine.workflows.cancel(run, "enough")

    task = worker.takes()
    assert (task["cancel_requested"], task["attempt"]) == (True, 1)
    worker.reports(task, CancelWorkflow())
    assert record(engine, run)["status"] == "CANCELLED"


def test_a_cancel_leaves_activities_between_attempts_where_they_are(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(initial_interval_secs=500.0))
    worker.fails(worker.takes_work())

    engine.workflows.cancel(run)

    assert worker.takes_work_up_to(1) == []


def test_a_signal_leaves_the_back_off_of_a_failing_task(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_failing(engine, clock)

    engine.workflows.signal(run, "go")

    assert worker.finds_nothing()
