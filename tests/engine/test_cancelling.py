"""Cancel and terminate: a cancel is a request delivered once, a terminate is the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_a_run_that_nobody_took_is_cancelled_at_once(engine: Engine) -> None:
    run = given_a_run(engine)

    assert engine.workflows.cancel(run, "changed my mind") == {"ok": True, "run_id": run.run_id}

    assert history(engine, run) == ["WorkflowStarted", "WorkflowCancelRequested", "WorkflowCancelled"]
    shown = record(engine, run)
    assert (shown["status"], shown["close_reason"], shown["completed_at"]) == ("CANCELLED", "cancelled", T0)
    assert shown["error"] == "changed my mind"
    assert Played(engine).finds_nothing()


def test_a_running_run_is_asked_once_and_its_worker_answers(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    clock.advance(1.0)
    for _ in range(3):
        assert engine.workflows.cancel(run, "stop it") == {"ok": True, "run_id": run.run_id}
        clock.advance(1.0)

    assert told(engine, run, "WorkflowCancelRequested") == [{"reason": "stop it"}]
    assert (record(engine, run)["status"], record(engine, run)["cancel_requested_at"]) == ("RUNNING", T0 + 1.0)
    task = worker.takes()
    assert task["cancel_requested"] is True
    assert worker.reports(task, CancelWorkflow()) == {"ok": True}
    assert (record(engine, run)["status"], history(engine, run)[-1]) == ("CANCELLED", "WorkflowCancelled")


def test_a_cancel_during_a_turn_comes_before_its_close(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    engine.workflows.cancel(run)

    assert worker.reports(task, CompleteWorkflow())["code"] == "unhandled_events"

    task = worker.takes()
    assert (task["cancel_requested"], task["attempt"]) == (True, 1)
    assert worker.reports(task, CancelWorkflow(reason="asked to")) == {"ok": True}
    assert told(engine, run, "WorkflowCancelled") == [{"reason": "asked to"}]
    assert record(engine, run)["error"] == "asked to"


def test_a_run_may_go_on_after_a_cancel_request_to_clean_up(engine: Engine) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.cancel(run)
    worker.reports(worker.takes(), an_activity(1, "refund"))

    assert worker.completes(worker.takes_work()) == {"ok": True}

    task = worker.takes()
    assert task["cancel_requested"] is True
    assert worker.reports(task, CancelWorkflow()) == {"ok": True}
    assert record(engine, run)["status"] == "CANCELLED"


def test_a_run_that_was_asked_to_cancel_may_complete_instead(engine: Engine) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.cancel(run)

    assert worker.reports(worker.takes(), CompleteWorkflow()) == {"ok": True}

    assert record(engine, run)["status"] == "COMPLETED"


@pytest.mark.parametrize("leased", [True, False])
def test_terminate_ends_a_run_with_everything_below_it(engine: Engine, leased: bool) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(1), an_activity(2), WaitForSignal(name="go"))
    work = worker.takes_work_up_to(1)[0]
    engine.workflows.signal(run, "go")
    task = worker.takes() if leased else None

    assert engine.workflows.terminate(run, "enough", by="ops") == {"ok": True, "run_id": run.run_id}

    assert told(engine, run, "WorkflowTerminated") == [{"reason": "enough", "by": "ops"}]
    assert history(engine, run)[-1] == "WorkflowTerminated"
    shown = record(engine, run)
    assert (shown["status"], shown["close_reason"], shown["error"]) == ("FAILED", "terminated", "terminated: enough")
    assert rows(engine, "SELECT status FROM workflow_activities") == [("CANCELLED",)] * 2
    assert rows(engine, "SELECT COUNT(*) FROM workflow_tasks") == [(0,)]
    assert worker.completes(work)["code"] == "workflow_closed"
    if task is not None:
        assert worker.reports(task, CompleteWorkflow())["code"] == "workflow_closed"
    assert worker.finds_nothing()


def test_a_pending_run_may_be_terminated(engine: Engine) -> None:
    run = given_a_run(engine)

    engine.workflows.terminate(run)

    assert record(engine, run)["error"] == "terminated"
    assert Played(engine).finds_nothing()


@pytest.mark.parametrize("by_name", [True, False])
def test_a_closed_run_is_neither_cancelled_nor_terminated(engine: Engine, by_name: bool) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())
    meant = RunRef(workflow_id="w") if by_name else run

    for act in (engine.workflows.cancel, engine.workflows.terminate):
        with pytest.raises(AlreadyTerminal, match=r"^not found: ") as refusal:
            act(meant)
        assert refusal.value.members == {"run_id": run.run_id, "run_status": "COMPLETED"}

    assert history(engine, run) == ["WorkflowStarted", "WorkflowCompleted"]


def test_cancel_and_terminate_of_an_id_mean_its_open_run(engine: Engine, clock: Clock) -> None:
    old, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())
    clock.advance(1.0)
    new = given_a_run(engine)

    assert engine.workflows.cancel(RunRef(workflow_id="w"))["run_id"] == new.run_id

    assert [record(engine, run)["status"] for run in (old, new)] == ["COMPLETED", "CANCELLED"]


def test_under_an_idempotency_key_a_repeated_terminate_gets_the_first_answer(engine: Engine) -> None:
    run = given_a_run(engine)
    key = Idempotency(scope="anonymous", key="k", hash="h")

    answers = [engine.workflows.terminate(run, idempotency=key) for _ in range(2)]

    assert answers == [{"ok": True, "run_id": run.run_id}] * 2
    assert history(engine, run) == ["WorkflowStarted", "WorkflowTerminated"]


def test_the_feed_hears_how_a_run_ended(engine: Engine) -> None:
    engine.workflows.cancel(given_a_run(engine, "a"))
    engine.workflows.terminate(given_a_run(engine, "b"), "enough")

    told_of = rows(engine, "SELECT workflow_id, event_type FROM notices ORDER BY id")

    assert told_of == [
        ("a", "workflow_started"), ("a", "workflow_cancelled"), ("b", "workflow_started"), ("b", "workflow_terminated"),
    ]  # fmt: skip
