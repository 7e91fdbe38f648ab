"""What waits, what fails and who is there: queues as operators see them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from assay_wsgi.domain.commands import CompleteWorkflow
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import beats_are_due
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def backlog(engine: Engine) -> dict[str, Any]:
    """Give the one queue that has a backlog."""
    (queue,) = engine.queues.backlog("main")
    return dict(queue)


def takers(engine: Engine) -> dict[tuple[str, str], int]:
    return {(each["kind"], each["name"]): each["takers"] for each in backlog(engine)["waiting"]}


def test_where_nothing_waits_and_nothing_fails_there_is_no_backlog(engine: Engine) -> None:
    given_a_parked(engine)

    assert engine.queues.backlog("main") == []


def test_what_waits_is_counted_by_type_with_its_oldest(engine: Engine, clock: Clock) -> None:
    given_a_parked(engine, "host", an_activity(1, "charge"), an_activity(2, "charge"), an_activity(3, "mail"))
    clock.advance(5.0)
    given_a_run(engine, "a")
    clock.advance(5.0)
    given_a_run(engine, "b")

    assert backlog(engine)["waiting"] == [
        {"kind": "workflow", "name": "Order", "count": 2, "oldest_ready_at": T0 + 5.0, "takers": 1},
        {"kind": "activity", "name": "charge", "count": 2, "oldest_ready_at": T0, "takers": 1},
        {"kind": "activity", "name": "mail", "count": 1, "oldest_ready_at": T0, "takers": 1},
    ]


def test_a_type_is_taken_by_workers_that_name_it_or_name_none(engine: Engine) -> None:
    for worker in (
        Played(engine, "a", workflows=["Order", "Other"], activities=[]),
        Played(engine, "b", workflows=["Order"], activities=["mail"]),
        Played(engine, "c", workflows=["Other"]),
        Played(engine, "elsewhere", queue="far"),
    ):
        worker.begins()
    run = given_a_run(engine)
    for seq, name in enumerate(("charge", "mail"), 1):
        engine.activities.add(run, an_activity(seq, name))

    assert backlog(engine)["workers"] == 3
    assert takers(engine) == {("workflow", "Order"): 2, ("activity", "charge"): 1, ("activity", "mail"): 2}


def test_a_worker_that_went_silent_takes_nothing(engine: Engine, clock: Clock) -> None:
    for name in ("a", "b"):
        Played(engine, name).begins()
    given_a_run(engine)
    clock.advance(45.1)
    beats_are_due(engine)
    Played(engine, "b").begins()

    found = backlog(engine)

    assert (found["workers"], found["silent_workers"]) == (1, 1)
    assert takers(engine) == {("workflow", "Order"): 1}
    (queue,) = engine.queues.stats("main")
    assert (queue["workers"], queue["silent_workers"]) == (2, 1)
    assert [worker["silent_secs"] for worker in engine.workers.list("main")] == [45, None]


def test_the_queue_tells_when_somebody_last_asked_for_its_work(engine: Engine, clock: Clock) -> None:
    given_a_run(engine)
    assert backlog(engine)["unpolled_secs"] is None

    assert Played(engine, workflows=["Other"]).finds_nothing()
    engine._write_beats()
    clock.advance(70.0)

    assert backlog(engine)["unpolled_secs"] == 70.0


def test_what_fails_is_told_by_type_with_the_newest_failure(engine: Engine, clock: Clock) -> None:
    worker = Played(engine)
    for name in ("a", "b"):
        _, _, task = given_a_running(engine, name, worker=worker)
        clock.advance(0.5)
        worker.cannot(task, "KeyError", f"no {name}", trace="at line 7")

    found = backlog(engine)

    assert found["waiting"] == []  # they wait for their back-off
    (group,) = found["failing"]
    newest = group.pop("newest")
    assert group == {"workflow_type": "Order", "count": 2}
    assert (newest["workflow_id"], newest["again_at"]) == ("b", T0 + 2.0)
    assert newest["task_failure"] == {
        "cause": "KeyError", "message": "no b", "count": 1, "first_at": T0 + 1.0, "last_at": T0 + 1.0,
    }  # fmt: skip


def test_a_failing_run_at_its_next_try_still_fails_until_a_turn_goes_well(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    worker.cannot(task)
    engine.workflows.retry_now(run)
    task = worker.takes()

    assert backlog(engine)["failing"][0]["newest"]["again_at"] is None

    worker.reports(task, CompleteWorkflow())
    assert engine.queues.backlog("main") == []
