"""Parents, children and chains where they meet: ids that come again, chains that move on, batches of both."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain import activities
from assay_wsgi.domain import steps
from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine.operations import ContinueRun
from assay_wsgi.engine.operations import ReportActivity
from assay_wsgi.engine.operations import SignalRun
from assay_wsgi.engine.operations import TakeTurn
from assay_wsgi.engine.operations import TerminateRun
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import an_activity
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

WAIT = WaitForSignal(name="go")


def a_child(workflow_id: str = "c", seq: int | None = 1, **more: Any) -> StartChildWorkflow:
    return StartChildWorkflow(**{"workflow_type": "Order", "workflow_id": workflow_id, "seq": seq, **more})


def newest(workflow_id: str) -> RunRef:
    return RunRef(workflow_id=workflow_id, namespace="main")


def given_a_family(engine: Engine, *children: StartChildWorkflow) -> tuple[RunRef, Played, Wire]:
    """Have a parent `p` that waits, and its child `c` at work. Gives the parent, the worker and the child's task."""
    parent, worker = given_a_parked(engine, "p", *(children or (a_child(),)), WAIT)
    return parent, worker, worker.takes()


def woken(engine: Engine, parent: RunRef, worker: Played) -> Wire:
    """Wake the parent and take its task."""
    engine.workflows.signal(parent, "noise")
    return worker.takes()


# ------------------------------------------------------------------------------------ ids that come again


def test_an_ended_childs_id_can_be_used_for_another_child(engine: Engine) -> None:
    parent, worker, task = given_a_family(engine)
    worker.reports(task, CompleteWorkflow(result="1"))

    assert worker.reports(worker.takes(), a_child("c", 2), WAIT) == {"ok": True}
    worker.reports(worker.takes(), CompleteWorkflow(result="2"))

    ends = told(engine, parent, "ChildWorkflowCompleted")
    assert [(end["child_seq"], end["result"]) for end in ends] == [(1, 1), (2, 2)]


def test_an_open_childs_id_is_taken_for_another_command(engine: Engine) -> None:
    parent, worker, _ = given_a_family(engine)

    assert worker.reports(woken(engine, parent, worker), a_child("c", 2), WAIT) == {"ok": True}

    (failed,) = told(engine, parent, "ChildWorkflowFailed")
    assert (failed["child_seq"], failed["close_reason"]) == (2, "already_started")


@pytest.mark.parametrize("seq", [1, None])
def test_a_successor_starts_the_ended_child_of_its_predecessor_anew(engine: Engine, seq: int | None) -> None:
    _parent, worker, task = given_a_family(engine, a_child("c", seq))
    worker.reports(task, CompleteWorkflow())
    worker.reports(worker.takes(), ContinueAsNew(workflow_id="p"))

    assert worker.reports(worker.takes(), a_child("c", seq), WAIT) == {"ok": True}

    assert history(engine, newest("p")).count("ChildWorkflowStarted") == 1
    assert record(engine, newest("c"))["status"] == "PENDING"


@pytest.mark.parametrize("seq", [1, None])
def test_a_repeat_of_an_ended_child_starts_nothing(engine: Engine, seq: int | None) -> None:
    parent, worker, task = given_a_family(engine, a_child("c", seq))
    worker.reports(task, CompleteWorkflow())

    assert worker.reports(worker.takes(), a_child("c", seq), WAIT) == {"ok": True}

    assert history(engine, parent).count("ChildWorkflowStarted") == 1
    assert rows(engine, "SELECT count(*) FROM workflows WHERE workflow_id = 'c'") == [(1,)]


def test_a_run_cannot_continue_under_the_id_of_a_child_that_its_turn_starts(engine: Engine) -> None:
    parent, worker, task = given_a_running(engine, "p")

    assert code(worker.reports(task, a_child("c"), ContinueAsNew(workflow_id="c"))) == "id_taken"

    assert history(engine, parent) == ["WorkflowStarted"]


# ------------------------------------------------------------------------------------- chains that move on


def test_a_child_that_continues_under_another_id_is_told_of_by_its_first(engine: Engine) -> None:
    parent, worker, task = given_a_family(engine)
    worker.reports(task, ContinueAsNew())

    worker.reports(worker.takes(), CompleteWorkflow(result="1"))

    assert rows(engine, "SELECT workflow_id FROM workflows ORDER BY created_at, run_key") == [
        ("p",), ("c",), ("c-continued-1",),
    ]  # fmt: skip
    assert told(engine, parent, "ChildWorkflowCompleted") == [{"child_workflow_id": "c", "child_seq": 1, "result": 1}]


def test_the_request_to_end_reaches_a_child_under_the_id_that_it_has_now(engine: Engine) -> None:
    parent, worker, task = given_a_family(engine)
    worker.reports(task, ContinueAsNew())
    worker.reports(worker.takes(), WAIT)

    worker.reports(woken(engine, parent, worker), RequestCancelChild(workflow_id="c"), WAIT)

    assert told(engine, parent, "ChildWorkflowCancelRequested") == [{"child_workflow_id": "c"}]
    assert history(engine, newest("c-continued-1"))[-1] == "WorkflowCancelRequested"


def test_a_chain_is_in_order_though_the_clock_was_set_back(engine: Engine, clock: Clock) -> None:
    """Its third run takes the id of a run that closed long before the second began."""
    engine.workflows.terminate(given_a_run(engine, "old"))
    clock.advance(7200.0)
    parent, worker, child = given_a_family(engine)
    worker.reports(woken(engine, parent, worker), ContinueAsNew(workflow_id="p"))
    task = worker.takes()
    clock.advance(-3600.0)

    worker.reports(task, ContinueAsNew(workflow_id="old"))
    worker.reports(child, CompleteWorkflow(result="1"))

    assert history(engine, newest("old"))[-1] == "ChildWorkflowCompleted"
    assert "ChildWorkflowCompleted" not in history(engine, newest("p"))


def test_a_child_that_ends_in_the_batch_in_which_its_parent_continues_tells_the_successor(engine: Engine) -> None:
    parent, worker, child = given_a_family(engine)
    task = woken(engine, parent, worker)
    results = (
        TurnReport(task_token=task["task_token"], commands=(ContinueAsNew(workflow_id="p"),)),
        TurnReport(task_token=child["task_token"], commands=(CompleteWorkflow(result="1"),)),
    )

    worker.exchange(workflow_results=results)

    assert "ChildWorkflowCompleted" not in history(engine, parent)
    assert history(engine, newest("p")) == ["WorkflowStarted", "ChildWorkflowCompleted"]


def test_a_signal_id_counts_in_the_batch_in_which_its_run_continues(engine: Engine) -> None:
    run = given_a_run(engine)
    engine.workflows.signal(run, "go", signal_id="s1")
    worker = Played(engine)
    worker.reports(worker.takes(), WaitForSignal(name="other"))
    again = SignalRun("main", "w", None, None, SentSignal(name="go", signal_id="s1"))
    continues = ContinueRun("main", "w", None, None, ContinueAsNew(workflow_id="w"))

    _, said = engine.committer.submit((continues, again))

    assert said.answer["repeated"] is True
    assert history(engine, newest("w")) == ["WorkflowStarted"]


# --------------------------------------------------------------------------------------- twice in one turn


def test_a_child_that_is_asked_twice_in_a_turn_is_asked_once(engine: Engine) -> None:
    parent, worker, task = given_a_family(engine)
    worker.reports(task, WAIT)
    ask = RequestCancelChild(workflow_id="c")

    assert worker.reports(woken(engine, parent, worker), ask, ask, WAIT) == {"ok": True}

    assert history(engine, parent).count("ChildWorkflowCancelRequested") == 1
    assert history(engine, newest("c")).count("WorkflowCancelRequested") == 1


def test_an_activity_that_is_cancelled_twice_in_a_turn_is_cancelled_once(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    cancel = CancelActivity(activity_seq=1)

    assert worker.reports(task, an_activity(1), an_activity(2), cancel, cancel) == {"ok": True}

    assert history(engine, run)[1:] == ["ActivityScheduled", "ActivityScheduled", "ActivityCancelled"]
    assert record(engine, run)["waiting_for"] == [{"kind": "activity", "name": "charge", "since": T0}]


# ------------------------------------------------------------------------------------------------- limits


def test_a_chain_has_no_more_open_children_than_the_limit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHILDREN_AT_MOST", 3)
    parent, worker, task = given_a_running(engine, "p")
    five = [a_child(f"c{n}", n, task_queue="elsewhere") for n in range(1, 6)]
    assert code(worker.reports(task, *five, WAIT)) == "too_many_pending"
    assert history(engine, parent) == ["WorkflowStarted"]


def test_continuing_as_new_makes_no_room_for_more_children(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHILDREN_AT_MOST", 3)
    three = [a_child(f"c{n}", n, task_queue="elsewhere") for n in range(1, 4)]
    parent, worker = given_a_parked(engine, "p", *three, WAIT)
    worker.reports(woken(engine, parent, worker), ContinueAsNew(workflow_id="p"))
    task = worker.takes()

    assert code(worker.reports(task, a_child("c4", 4, task_queue="elsewhere"), WAIT)) == "too_many_pending"


def test_a_child_that_ends_in_a_batch_makes_room_in_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "CHILDREN_AT_MOST", 3)
    three = [a_child(f"c{n}", n, task_queue="elsewhere") for n in range(1, 4)]
    parent, worker = given_a_parked(engine, "p", *three, WAIT)
    task = woken(engine, parent, worker)
    turn = TurnReport(task_token=task["task_token"], commands=(a_child("c4", 4), WAIT))

    ended, said = engine.committer.submit(
        (TerminateRun("main", "c1", None, None, "enough", None), TakeTurn.of(turn, "main"))
    )

    assert (ended.error, said.error, said.answer) == (None, None, {"ok": True})


def test_an_activity_that_ends_in_a_batch_makes_room_in_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "OPEN_AT_MOST", 3)
    run, worker = given_a_parked(engine, "w", *(an_activity(n) for n in range(1, 4)), WAIT)
    (work,) = worker.takes_work_up_to(1)
    task = woken(engine, run, worker)
    report = ReportActivity(work["task_token"], None, ActivityReport(task_token=work["task_token"], result="1"))
    turn = TurnReport(task_token=task["task_token"], commands=(an_activity(4), WAIT))

    ended, said = engine.committer.submit((report, TakeTurn.of(turn, "main")))

    assert (ended.error, said.error, said.answer) == (None, None, {"ok": True})


# ----------------------------------------------------------------------------------------- what is deleted


def test_a_namespace_is_deleted_with_its_families_whoever_goes_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay_wsgi.engine.namespaces.PASS", 1)
    worker = Played(engine, namespace="shop")
    parent, _ = given_a_parked(engine, "p", a_child("c"), a_child("d", 2), WAIT, worker=worker, namespace="shop")
    engine.workflows.signal(parent, "noise")
    tasks = {task["workflow_id"]: task for task in worker.takes_up_to(5)}
    worker.reports(tasks["p"], ContinueAsNew(workflow_id="p"))

    engine.namespaces.delete_with_all("shop")

    assert rows(engine, "SELECT count(*) FROM workflows") == [(0,)]
    assert rows(engine, "SELECT count(*) FROM followups") == [(0,)]
