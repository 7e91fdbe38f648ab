"""Continue as new: one unit closes a run and begins the next; nothing that was not read is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import code
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

SAME = ContinueAsNew(input='{"n":2}', workflow_id="w")


def newest(workflow_id: str = "w") -> RunRef:
    return RunRef(workflow_id=workflow_id, namespace="main")


def test_a_run_continues_under_its_own_id(engine: Engine) -> None:
    old, worker, task = given_a_running(engine, search_attributes={"city": "Bern"})

    assert worker.reports(task, SAME) == {"ok": True}

    before, after = record(engine, old), record(engine, newest())
    assert (before["status"], before["close_reason"], before["continued_to"]) == (
        "COMPLETED", "continued_as_new", after["run_id"],
    )  # fmt: skip
    assert (after["status"], after["input"], after["continued_from"], after["first_run_id"]) == (
        "PENDING", '{"n":2}', old.run_id, old.run_id,
    )  # fmt: skip
    assert after["search_attributes"] == before["search_attributes"]
    assert told(engine, old, "WorkflowContinuedAsNew") == [
        {"new_run_id": after["run_id"], "workflow_id": "w", "workflow_type": "Order", "input": {"n": 2}}
    ]
    assert history(engine, newest()) == ["WorkflowStarted"]
    assert worker.takes()["run_id"] == after["run_id"]


def test_an_old_worker_that_names_no_id_continues_under_a_numbered_one(engine: Engine) -> None:
    _, worker, task = given_a_running(engine)
    assert worker.reports(task, ContinueAsNew()) == {"ok": True}

    assert worker.reports(worker.takes(), ContinueAsNew()) == {"ok": True}

    assert [run for (run,) in rows(engine, "SELECT workflow_id FROM workflows ORDER BY run_key")] == [
        "w", "w-continued-1", "w-continued-2",
    ]  # fmt: skip


def test_signals_that_the_code_has_not_taken_go_along_in_their_order(engine: Engine) -> None:
    old, worker, _ = given_a_running(engine)
    for n in range(4):
        engine.workflows.signal(old, f"s{n}", str(n), signal_id=f"id{n}")
    task = _again(engine, worker)
    engine.workflows.signal(old, "late", "4")

    assert worker.reports(task, ContinueAsNew(workflow_id="w", unread_signals=(3, 5))) == {"ok": True}

    carried = told(engine, newest(), "SignalReceived")
    assert [(signal["signal"], signal["payload"]) for signal in carried] == [("s1", 1), ("s3", 3), ("late", 4)]
    assert history(engine, newest()) == ["WorkflowStarted", *["SignalReceived"] * 3]
    assert engine.workflows.signal(newest(), "s1", "9", signal_id="id1")["repeated"] is True
    assert engine.workflows.signal(newest(), "s0", "9", signal_id="id0")["repeated"] is True


def _again(engine: Engine, worker: Played) -> Any:
    """Begin another session, which gives the leases of the old one back, and take the run's task."""
    fresh = Played(engine, worker.worker_id, session="s2")
    worker.session, worker.n = fresh.session, 0
    return worker.takes()


def test_timers_end_with_the_run_that_set_them(engine: Engine, clock: Clock) -> None:
    old, worker = given_a_parked(engine, "w", ScheduleTimer(seq=1, duration_secs=5.0))
    engine.workflows.signal(old, "noise")
    assert worker.reports(worker.takes(), SAME) == {"ok": True}

    clock.advance(5.0)

    assert engine.upkeep.expire() == 0
    assert rows(engine, "SELECT status FROM workflow_timers") == [("CANCELLED",)]


def test_an_id_of_another_open_run_fails_the_task_and_leaves_the_run_open(engine: Engine, clock: Clock) -> None:
    old, worker, task = given_a_running(engine)
    given_a_run(engine, "other")

    assert code(worker.reports(task, ContinueAsNew(workflow_id="other"))) == "id_taken"

    shown = record(engine, old)
    assert (shown["status"], shown["task_failure"]["cause"]) == ("RUNNING", "id_taken")


def test_a_chain_of_a_thousand_ends_once_and_tells_its_parent_once(engine: Engine) -> None:
    parent, worker = given_a_parked(
        engine, "p", StartChildWorkflow(workflow_type="Order", workflow_id="w", seq=1), WaitForSignal(name="go")
    )
    for n in range(1000):
        assert worker.reports(worker.takes(), ContinueAsNew(workflow_id="w", input=str(n))) == {"ok": True}
    assert "ChildWorkflowCompleted" not in history(engine, parent)

    assert worker.reports(worker.takes(), CompleteWorkflow(result='"all"')) == {"ok": True}

    assert told(engine, parent, "ChildWorkflowCompleted") == [
        {"child_workflow_id": "w", "child_seq": 1, "result": "all"}
    ]
    assert rows(engine, "SELECT count(*) FROM workflows WHERE workflow_id = 'w'") == [(1001,)]
    assert rows(engine, "SELECT count(*) FROM workflows WHERE workflow_id = 'w' AND status = 'RUNNING'") == [(0,)]


def test_the_newest_run_of_a_chain_hears_of_the_children_of_those_before_it(engine: Engine) -> None:
    old, worker = given_a_parked(engine, "w", StartChildWorkflow(workflow_type="Order", workflow_id="c", seq=1))
    child = worker.takes()
    engine.workflows.signal(old, "noise")
    assert worker.reports(worker.takes(), SAME) == {"ok": True}

    assert worker.reports(child, CompleteWorkflow(result="1")) == {"ok": True}

    assert "ChildWorkflowCompleted" not in history(engine, old)
    assert told(engine, newest(), "ChildWorkflowCompleted") == [{"child_workflow_id": "c", "child_seq": 1, "result": 1}]


def test_the_end_of_a_child_that_the_code_has_not_heard_of_is_read_before_the_run_continues(engine: Engine) -> None:
    old, worker = given_a_parked(engine, "w", StartChildWorkflow(workflow_type="Order", workflow_id="c", seq=1))
    child = worker.takes()
    engine.workflows.signal(old, "noise")
    task = worker.takes()
    assert worker.reports(child, CompleteWorkflow(result="1")) == {"ok": True}

    assert code(worker.reports(task, SAME)) == "unhandled_events"

    again = worker.takes()
    assert again["history"][-1]["event_type"] == "ChildWorkflowCompleted"
    assert worker.reports(again, SAME) == {"ok": True}
    assert history(engine, newest()) == ["WorkflowStarted"]


def test_the_children_of_a_chain_end_with_its_last_run(engine: Engine) -> None:
    child = StartChildWorkflow(workflow_type="Order", workflow_id="c", seq=1, parent_close="terminate")
    old, worker = given_a_parked(engine, "w", child)
    worker.takes()
    engine.workflows.signal(old, "noise")
    worker.reports(worker.takes(), SAME)
    engine.upkeep.follow_up()
    assert record(engine, newest("c"))["status"] == "RUNNING"

    engine.workflows.terminate(newest())
    engine.upkeep.follow_up()

    assert record(engine, newest("c"))["close_reason"] == "terminated"


# ----------------------------------------------------------------------------------------------- from outside


def test_an_open_run_is_continued_from_outside_and_its_worker_has_lost_it(engine: Engine) -> None:
    old, worker, task = given_a_running(engine)
    engine.workflows.signal(old, "go", "1")

    answer = engine.workflows.continue_as_new(newest(), ContinueAsNew(workflow_id="w"))

    assert (answer["workflow_id"], answer["status"]) == ("w", "PENDING")
    assert code(worker.reports(task, CompleteWorkflow())) == "workflow_closed"
    assert history(engine, newest()) == ["WorkflowStarted", "SignalReceived"]


def test_a_closed_run_is_begun_anew_and_its_record_stays(engine: Engine, clock: Clock) -> None:
    old = given_a_run(engine, search_attributes={"city": "Bern"})
    engine.workflows.terminate(old)
    closed = record(engine, old)
    clock.advance(1.0)

    answer = engine.workflows.continue_as_new(newest(), ContinueAsNew(input='{"n":2}'))

    assert answer["workflow_id"] == "w-continued-1"
    fresh = record(engine, newest("w-continued-1"))
    assert (fresh["workflow_type"], fresh["task_queue"], fresh["continued_from"]) == ("Order", "q", None)
    assert fresh["search_attributes"] == closed["search_attributes"]
    assert record(engine, old) == closed


def test_nobody_continues_under_an_id_that_another_open_run_has(engine: Engine) -> None:
    given_a_run(engine)
    given_a_run(engine, "other")

    with pytest.raises(AlreadyStarted):
        engine.workflows.continue_as_new(newest(), ContinueAsNew(workflow_id="other"))

    assert record(engine, newest())["status"] == "PENDING"


def test_what_is_left_of_the_chains_time_goes_along(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine, execution_timeout_secs=100.0, run_timeout_secs=60.0)
    clock.advance(50.0)
    assert worker.reports(task, SAME) == {"ok": True}

    assert record(engine, newest())["deadline_at"] == T0 + 100.0
    clock.advance(50.0)
    assert engine.upkeep.expire() == 1
    assert told(engine, newest(), "WorkflowTimedOut") == [{"timeout_type": "execution"}]


def test_a_cancel_request_that_the_code_did_not_know_of_goes_along(engine: Engine) -> None:
    old, worker, task = given_a_running(engine)
    engine.workflows.cancel(old)

    assert worker.reports(task, SAME) == {"ok": True}

    assert history(engine, newest()) == ["WorkflowStarted", "WorkflowCancelRequested"]
