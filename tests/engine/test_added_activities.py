"""Activities that a caller adds to a run from outside: once per number, only while the run is open."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AmbiguousNamespace
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import Nondeterminism
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import RunRef
from tests.engine.old_way import OldWorker
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import code
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import rows
from tests.engine.stories import told
from tests.engine.stories import until_waiting
from tests.engine.stories import without_a_watcher

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine


def test_an_added_activity_is_told_to_the_run_handed_out_and_its_result_wakes_the_run(engine: Engine) -> None:
    without_a_watcher(engine)
    run, worker = given_a_parked(engine)
    waiting = Beside(lambda: worker.takes_work(wait_secs=120.0))
    until_waiting(engine)

    added, created = engine.activities.add(run, an_activity(7, input="[1]"))

    assert created is True
    assert (added["seq"], added["name"], added["task_queue"], added["status"], added["scheduled_at"]) == (
        7, "charge", QUEUE, "PENDING", T0,
    )  # fmt: skip
    work = waiting.answer()
    assert (work["id"], work["input"]) == (added["id"], [1])
    assert worker.finds_nothing()
    worker.completes(work, "5")
    assert [event["event_type"] for event in worker.takes()["history"]][-2:] == [
        "ActivityScheduled", "ActivityCompleted",
    ]  # fmt: skip
    assert told(engine, run, "ActivityScheduled") == [
        {"activity_id": added["id"], "activity_seq": 7, "name": "charge", "task_queue": QUEUE, "input": [1]}
    ]


def test_a_number_is_added_once_whatever_became_of_it(engine: Engine) -> None:
    run, _ = given_a_parked(engine)
    first, _ = engine.activities.add(run, an_activity(7, input="1"))
    assert engine.activities.add(run, an_activity(7, input="2")) == (first, False)
    worker = OldWorker(engine)
    worker.completes(worker.takes_work(), "5")

    again, created = engine.activities.add(run, an_activity(7))

    assert (again["id"], again["status"], again["result"], created) == (first["id"], "COMPLETED", "5", False)
    assert history(engine, run).count("ActivityScheduled") == 1


def test_a_number_under_another_name_is_refused(engine: Engine) -> None:
    run, _ = given_a_parked(engine, "w", an_activity(1, "charge"))

    with pytest.raises(Nondeterminism) as refusal:
        engine.activities.add(run, an_activity(1, "pack"))

    assert refusal.value.members["seq"] == 1
    assert rows(engine, "SELECT name FROM workflow_activities") == [("charge",)]


def test_a_turn_finds_what_was_added_under_its_number(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    added, _ = engine.activities.add(run, an_activity(1))

    assert worker.reports(task, an_activity(1)) == {"ok": True}

    assert rows(engine, "SELECT activity_key FROM workflow_activities") == [(added["id"],)]
    assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled"]


def test_a_closed_run_takes_none(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())

    with pytest.raises(WorkflowClosed):
        engine.activities.add(run, an_activity())

    assert history(engine, run) == ["WorkflowStarted", "WorkflowCompleted"]


def test_a_worker_may_add_one_by_its_lease_and_by_no_other_token(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    given_a_run(engine, "v")
    other = worker.takes()

    for token in (other["task_token"], "nonsense", task["task_token"][:-2] + "zz"):
        with pytest.raises(LeaseLost):
            engine.activities.add(run, an_activity(), task_token=token)
    _, created = engine.activities.add(run, an_activity(), task_token=task["task_token"])

    assert created is True
    worker.reports(task, WaitForSignal(name="go"))
    with pytest.raises(LeaseLost):
        engine.activities.add(run, an_activity(2), task_token=task["task_token"])


def test_a_run_is_found_by_name_over_all_namespaces_or_refused(engine: Engine) -> None:
    given_a_run(engine, namespace="shop")
    added, _ = engine.activities.add(RunRef(workflow_id="w"), an_activity())
    assert added["namespace"] == "shop"
    given_a_run(engine)

    with pytest.raises(AmbiguousNamespace):
        engine.activities.add(RunRef(workflow_id="w"), an_activity())
    for ref in (RunRef(workflow_id="x"), RunRef(workflow_id="w", namespace="zoo")):
        with pytest.raises(NotFound):
            engine.activities.add(ref, an_activity())


def test_a_run_has_so_many_open_activities_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.domain.activities.OPEN_AT_MOST", 3)
    run, worker, task = given_a_running(engine)
    for seq in (1, 2, 3):
        engine.activities.add(run, an_activity(seq))

    with pytest.raises(Invalid) as refusal:
        engine.activities.add(run, an_activity(4))
    assert refusal.value.code == "too_many_pending"
    assert engine.activities.add(run, an_activity(3))[1] is False
    worker.completes(worker.takes_work_up_to(1)[0])
    assert engine.activities.add(run, an_activity(4))[1] is True
    said = worker.reports(task, an_activity(4), an_activity(5))

    assert (code(said), said["index"]) == ("too_many_pending", 1)
    assert rows(engine, "SELECT COUNT(*) FROM workflow_activities") == [(4,)]


def test_a_turn_may_schedule_as_many_as_there_is_room_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.domain.activities.OPEN_AT_MOST", 3)
    _, worker, task = given_a_running(engine)

    refused = worker.reports(task, *(an_activity(seq) for seq in range(1, 5)))
    assert (code(refused), refused["index"]) == ("too_many_pending", 3)
    assert rows(engine, "SELECT COUNT(*) FROM workflow_activities") == [(0,)]

    other = Played(engine, "bob")
    _, _, fits = given_a_running(engine, "u", worker=other)
    assert other.reports(fits, *(an_activity(seq) for seq in range(1, 4))) == {"ok": True}


def test_a_record_of_an_activity_is_found_by_its_number(engine: Engine) -> None:
    run, _ = given_a_parked(engine)
    added, _ = engine.activities.add(run, an_activity())

    shown: Any = engine.activities.get(added["id"])

    assert shown == added
    with pytest.raises(NotFound):
        engine.activities.get(added["id"] + 1)
