"""Children: started with their parent's turn, told of once, and seen to when the parent ends first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
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

CHILD = RunRef(workflow_id="c", namespace="main")


def a_child(workflow_id: str = "c", **more: Any) -> StartChildWorkflow:
    return StartChildWorkflow(**{"workflow_type": "Parcel", "workflow_id": workflow_id, "seq": 1, **more})


def given_a_parent(engine: Engine, *children: StartChildWorkflow) -> tuple[RunRef, Played]:
    return given_a_parked(engine, "p", *(children or (a_child(input='{"n":1}'),)))


def taken(worker: Played, workflow_id: str) -> Wire:
    """Take the task of one run; the others are given back."""
    tasks = {task["workflow_id"]: task for task in worker.takes_up_to(50)}
    for name, task in tasks.items():
        if name != workflow_id:
            worker.cannot(task)
    return tasks[workflow_id]


def test_a_child_starts_with_its_parents_turn(engine: Engine) -> None:
    parent, _ = given_a_parent(engine)

    child = record(engine, CHILD)
    assert (child["status"], child["workflow_type"], child["input"], child["parent_id"], child["task_queue"]) == (
        "PENDING", "Parcel", '{"n":1}', "p", "q",
    )  # fmt: skip
    assert told(engine, parent, "ChildWorkflowStarted") == [
        {"child_workflow_id": "c", "workflow_type": "Parcel", "child_run_id": child["run_id"], "child_seq": 1}
    ]
    assert record(engine, parent)["waiting_for"] == [{"kind": "child", "name": "c", "since": T0}]
    assert [run["id"] for run in engine.workflows.children(parent, ListFilter())[0]] == ["c"]


def test_a_parent_that_waits_for_the_start_is_woken_by_it(engine: Engine) -> None:
    _, worker = given_a_parent(engine, a_child(tell_start=True))

    assert taken(worker, "p")["history"][-1]["event_type"] == "ChildWorkflowStarted"


def test_a_child_asked_for_again_is_the_same_child(engine: Engine) -> None:
    parent, worker = given_a_parent(engine)
    engine.workflows.signal(parent, "noise")

    assert worker.reports(taken(worker, "p"), a_child(input='{"n":1}')) == {"ok": True}

    assert history(engine, parent).count("ChildWorkflowStarted") == 1
    assert rows(engine, "SELECT count(*) FROM workflows WHERE workflow_id = 'c'") == [(1,)]


def test_a_child_of_another_type_under_the_same_id_is_nondeterminism(engine: Engine) -> None:
    parent, worker = given_a_parent(engine)
    engine.workflows.signal(parent, "noise")

    assert code(worker.reports(taken(worker, "p"), a_child(workflow_type="Letter"))) == "nondeterminism"


@pytest.mark.parametrize(
    ("end", "event", "payload"),
    [
        (CompleteWorkflow(result='{"label":7}'), "ChildWorkflowCompleted", {"result": {"label": 7}}),
        (FailWorkflow(error="torn"), "ChildWorkflowFailed", {"error": "torn", "close_reason": "failed"}),
        (CancelWorkflow(), "ChildWorkflowFailed",
         {"error": "child workflow c was cancelled", "close_reason": "cancelled"}),
    ],
)  # fmt: skip
def test_the_parent_hears_of_its_childs_end_once(engine: Engine, end: Any, event: str, payload: Any) -> None:
    parent, worker = given_a_parent(engine)

    assert worker.reports(taken(worker, "c"), end) == {"ok": True}

    assert told(engine, parent, event) == [{"child_workflow_id": "c", "child_seq": 1, **payload}]
    assert worker.reports(worker.takes(), CompleteWorkflow()) == {"ok": True}


def test_the_parent_hears_of_a_child_that_is_terminated_or_cancelled_before_it_began(engine: Engine) -> None:
    parent, _ = given_a_parent(engine, a_child("a"), a_child("b", seq=2))

    engine.workflows.terminate(RunRef(workflow_id="a"), "enough")
    engine.workflows.cancel(RunRef(workflow_id="b"))

    ends = told(engine, parent, "ChildWorkflowFailed")
    assert [(end["child_workflow_id"], end["close_reason"]) for end in ends] == [
        ("a", "terminated"),
        ("b", "cancelled"),
    ]


def test_a_child_that_outlives_its_parent_tells_nobody(engine: Engine) -> None:
    parent, worker = given_a_parent(engine, a_child(parent_close="abandon"))
    engine.workflows.terminate(parent)
    engine.upkeep.follow_up()

    assert worker.reports(taken(worker, "c"), CompleteWorkflow()) == {"ok": True}

    assert history(engine, parent)[-1] == "WorkflowTerminated"


def test_a_taken_id_wakes_the_parent_with_the_reason(engine: Engine) -> None:
    parent, worker, task = given_a_running(engine, "p")
    given_a_run(engine, "c")

    assert worker.reports(task, a_child()) == {"ok": True}

    (failed,) = told(engine, parent, "ChildWorkflowFailed")
    assert (failed["child_workflow_id"], failed["close_reason"], failed["child_seq"]) == ("c", "already_started", 1)
    assert taken(worker, "p")["history"][-1]["event_type"] == "ChildWorkflowFailed"


def test_a_closed_run_of_somebody_else_does_not_hold_an_id(engine: Engine) -> None:
    engine.workflows.terminate(given_a_run(engine, "c"))

    parent, _ = given_a_parent(engine)

    assert history(engine, parent)[-1] == "ChildWorkflowStarted"
    assert record(engine, CHILD)["parent_id"] == "p"


# ----------------------------------------------------------------------------------- when the parent ends


@pytest.mark.parametrize(
    ("policy", "ends", "child"),
    [
        ("request_cancel", "complete", ("RUNNING", True)),
        ("terminate", "complete", ("FAILED", False)),
        ("abandon", "complete", ("RUNNING", False)),
        ("request_cancel", "terminate", ("FAILED", False)),
        ("abandon", "terminate", ("RUNNING", False)),
    ],
)
def test_a_parents_end_reaches_its_children_as_they_were_started(
    engine: Engine, policy: str, ends: str, child: tuple[str, bool]
) -> None:
    parent, worker = given_a_parent(engine, a_child(parent_close=policy))
    assert worker.reports(taken(worker, "c"), WaitForSignal(name="go")) == {"ok": True}
    if ends == "terminate":
        engine.workflows.terminate(parent)
    else:
        engine.workflows.signal(parent, "noise")
        worker.reports(taken(worker, "p"), CompleteWorkflow())

    while engine.upkeep.follow_up():
        pass

    shown = record(engine, CHILD)
    assert (shown["status"], shown["cancel_requested_at"] is not None) == child
    assert rows(engine, "SELECT count(*) FROM followups") == [(0,)]


def test_a_large_family_is_ended_in_bounded_units(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.engine.upkeep.CHILDREN_AT_ONCE", 3)
    children = [a_child(f"c{n}", seq=n, parent_close="terminate") for n in range(1, 8)]
    parent, _ = given_a_parent(engine, *children)
    engine.workflows.terminate(parent)

    looked = [engine.upkeep.follow_up() for _ in range(5)]

    assert looked == [3, 3, 1, 1, 0]
    assert rows(engine, "SELECT count(*) FROM workflows WHERE status IN ('PENDING', 'RUNNING')") == [(0,)]


# ------------------------------------------------------------------------------------------ cancel a child


def test_a_parent_asks_its_child_to_end(engine: Engine) -> None:
    parent, worker = given_a_parent(engine)
    worker.reports(taken(worker, "c"), WaitForSignal(name="go"))
    engine.workflows.signal(parent, "noise")

    assert worker.reports(taken(worker, "p"), RequestCancelChild(workflow_id="c"), a_child()) == {"ok": True}

    assert told(engine, parent, "ChildWorkflowCancelRequested") == [{"child_workflow_id": "c"}]
    assert history(engine, CHILD)[-1] == "WorkflowCancelRequested"
    assert worker.reports(taken(worker, "c"), CancelWorkflow()) == {"ok": True}
    assert told(engine, parent, "ChildWorkflowFailed")[0]["close_reason"] == "cancelled"


def test_a_child_that_nobody_has_begun_ends_with_its_parents_request(engine: Engine) -> None:
    worker = Played(engine, workflows=["Order"])
    parent, _ = given_a_parked(engine, "p", a_child(), worker=worker)
    engine.workflows.signal(parent, "noise")

    assert worker.reports(worker.takes(), RequestCancelChild(workflow_id="c"), a_child()) == {"ok": True}

    assert record(engine, CHILD)["status"] == "CANCELLED"
    assert told(engine, parent, "ChildWorkflowFailed")[0]["close_reason"] == "cancelled"
    assert worker.takes()["workflow_id"] == "p"


def test_only_a_child_can_be_asked(engine: Engine) -> None:
    given_a_run(engine, "stranger")
    worker = Played(engine)
    tasks = {task["workflow_id"]: task for task in worker.takes_up_to(5)}
    assert list(tasks) == ["stranger"]
    _, _, task = given_a_running(engine, "p", worker=worker)

    assert code(worker.reports(task, RequestCancelChild(workflow_id="stranger"))) == "bad_command"


def test_a_tree_shows_who_started_whom(engine: Engine, clock: Clock) -> None:
    parent, worker = given_a_parent(engine, a_child("a"), a_child("b", seq=2))
    clock.advance(1.0)
    assert worker.reports(taken(worker, "a"), a_child("a1", seq=1)) == {"ok": True}

    tree = engine.workflows.tree(parent)

    def names(node: Wire) -> Any:
        return {node["id"]: [names(child) for child in node["children"]]}

    assert names(tree) == {"p": [{"a": [{"a1": []}]}, {"b": []}]}
    assert (tree["truncated"], engine.workflows.tree(parent, limit=2)["truncated"]) == (False, True)
