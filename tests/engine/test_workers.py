"""Workers and queues: who is there, who fell silent, who comes back, and what each of them takes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import SessionReplaced
from assay_wsgi.domain.requests import TurnReport
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import an_activity
from tests.engine.stories import beats_are_due
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import until_waiting
from tests.processes import until

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_a_worker_is_listed_as_it_described_itself(engine: Engine, clock: Clock) -> None:
    Played(engine, workflows=["Order"], activities=["charge", "pack"]).exchange(workflow_slots=3, activity_slots=4)
    clock.advance(1.0)
    Played(engine, "bob").begins()

    ann, bob = engine.workers.list("main")

    assert ann == {
        "id": "ann", "namespace": "main", "identity": "ann@story", "task_queue": QUEUE, "workflows": '["Order"]',
        "activities": '["charge","pack"]', "max_concurrent_workflows": 3, "max_concurrent_activities": 4,
        "active_tasks": 0, "silent_secs": None, "last_heartbeat": T0, "registered_at": T0, "sdk": None,
    }  # fmt: skip
    assert (bob["id"], bob["workflows"], bob["activities"], bob["registered_at"]) == ("bob", None, None, T0 + 1.0)
    assert engine.workers.list("elsewhere") == []


def test_a_worker_that_is_silent_for_ninety_seconds_is_retired_and_what_it_held_is_freed(
    engine: Engine, clock: Clock
) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(start_to_close_secs=3600.0), WaitForSignal(name="go"))
    work = worker.takes_work()
    engine.workflows.signal(run, "go")
    beats_are_due(engine)
    clock.advance(80.0)
    task = worker.takes()
    clock.advance(89.999)
    assert engine.upkeep.retire_dead_workers() == 0
    assert record(engine, run)["claimed_by"] == "ann"

    clock.advance(0.001)
    assert engine.upkeep.retire_dead_workers() == 1

    assert engine.workers.list("main") == []
    bob = Played(engine, "bob")
    assert (bob.takes()["attempt"], bob.takes_work()["attempt"]) == (1, 1)
    assert worker.reports(task, CompleteWorkflow())["code"] == "lease_lost"
    assert worker.completes(work)["code"] == "lease_lost"
    assert engine.upkeep.retire_dead_workers() == 0


def test_a_retired_worker_is_revived_by_an_exchange_and_keeps_its_session(engine: Engine, clock: Clock) -> None:
    worker = Played(engine)
    worker.begins()
    clock.advance(90.0)
    engine.upkeep.retire_dead_workers()
    beats_are_due(engine)

    answer = worker.exchange(workflow_slots=1)
    engine.wake()  # the watcher writes beats that no unit took along

    assert "code" not in answer
    (shown,) = until(lambda: engine.workers.list("main"))
    assert (shown["last_heartbeat"], shown["registered_at"]) == (T0 + 90.0, T0)


def test_a_retired_worker_may_come_back_under_a_new_session(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine)
    clock.advance(90.0)
    engine.upkeep.retire_dead_workers()

    back = Played(engine, session="s2")
    again = back.takes()

    assert (again["attempt"], [shown["id"] for shown in engine.workers.list("main")]) == (1, ["ann"])
    assert worker.reports(task, CompleteWorkflow())["code"] == "lease_lost"
    assert back.reports(again, CompleteWorkflow()) == {"ok": True}


def test_an_exchange_counts_as_a_heartbeat(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine)
    beats_are_due(engine)
    clock.advance(89.0)
    worker.reports(task, WaitForSignal(name="go"))
    clock.advance(89.0)

    assert engine.upkeep.retire_dead_workers() == 0

    assert engine.workers.list("main")[0]["last_heartbeat"] == T0 + 89.0


def test_a_worker_that_stops_gives_back_all_that_it_holds_and_is_listed_no_more(engine: Engine) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(start_to_close_secs=3600.0), WaitForSignal(name="go"))
    work = worker.takes_work()
    engine.workflows.signal(run, "go")
    task = worker.takes()

    answer = worker.exchange(ends=True)

    assert "code" not in answer
    assert engine.workers.list("main") == []
    bob = Played(engine, "bob")
    assert (bob.takes()["attempt"], bob.takes_work()["attempt"]) == (1, 1)
    assert worker.reports(task, CompleteWorkflow())["code"] == "lease_lost"
    assert worker.completes(work)["code"] == "lease_lost"


def test_what_a_worker_hands_in_with_its_good_bye_counts(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)

    answer = worker.exchange(
        ends=True, workflow_results=(TurnReport(task_token=task["task_token"], commands=(CompleteWorkflow(),)),)
    )

    assert answer["results"][0]["ok"] is True
    assert record(engine, run)["status"] == "COMPLETED"


def test_a_poll_that_waits_claims_nothing_once_its_worker_has_said_good_bye(engine: Engine) -> None:
    worker = Played(engine)
    worker.begins()
    answers: list[Wire] = []
    poll = threading.Thread(target=lambda: answers.append(worker.exchange(workflow_slots=1, wait_secs=20.0)))
    poll.start()
    until_waiting(engine)

    worker.exchange(ends=True)
    given_a_run(engine, "w")
    poll.join(20.0)

    assert (answers[0]["workflow_tasks"], answers[0]["code"]) == ([], "session_replaced")
    assert Played(engine, "bob").takes()["workflow_id"] == "w"


def test_a_good_bye_of_an_earlier_session_leaves_the_present_one_alone(engine: Engine) -> None:
    given_a_run(engine, "w")
    before = Played(engine, session="before")
    before.begins()
    worker = Played(engine, session="now")
    task = worker.takes()

    assert before.exchange(ends=True)["code"] == "session_replaced"

    assert worker.reports(task, CompleteWorkflow())["ok"] is True
    assert [shown["id"] for shown in engine.workers.list("main")] == ["ann"]


def test_a_session_that_has_ended_is_not_begun_again_by_a_request_that_comes_late(engine: Engine) -> None:
    given_a_run(engine, "w")
    worker = Played(engine)
    worker.begins()
    worker.exchange(ends=True)

    with pytest.raises(SessionReplaced):
        worker.exchange(worker=worker.info, workflow_slots=1)

    assert engine.workers.list("main") == []
    assert Played(engine, session="another").takes()["workflow_id"] == "w"


def test_a_beat_that_comes_late_does_not_bring_back_a_worker_that_has_said_good_bye(engine: Engine) -> None:
    worker = Played(engine)
    worker.begins()
    beats_are_due(engine)
    engine.store.liveness.worker_seen("main", "ann")

    worker.exchange(ends=True)
    given_a_run(engine, "another unit that takes beats along")

    assert engine.workers.list("main") == []


def test_retiring_goes_in_bounded_passes(engine: Engine, clock: Clock) -> None:
    for name in ("ann", "bob", "cy"):
        Played(engine, name).begins()
    given_a_run(engine)  # its unit takes the beats along
    clock.advance(90.0)

    assert [engine.upkeep.retire_dead_workers(limit=2) for _ in range(3)] == [2, 1, 0]


# ------------------------------------------------------------------------------------------ what each takes


def test_a_worker_gets_only_the_types_that_it_named(engine: Engine) -> None:
    _, any_one = given_a_parked(engine, "w", an_activity(1, "charge"), an_activity(2, "pack"))
    given_a_run(engine, "a", workflow_type="Refund")
    given_a_run(engine, "b", workflow_type="Order")
    picky = Played(engine, "pia", workflows=["Refund", "Never"], activities=["pack"])

    assert [task["workflow_id"] for task in picky.takes_up_to(10)] == ["a"]
    assert [work["name"] for work in picky.takes_work_up_to(10)] == ["pack"]
    assert picky.finds_nothing()
    assert any_one.takes()["workflow_id"] == "b"
    assert any_one.takes_work()["name"] == "charge"


def test_an_empty_list_means_none_if_the_other_is_not_empty_and_two_empty_lists_mean_any(engine: Engine) -> None:
    _, worker = given_a_parked(engine, "w", an_activity(1), an_activity(2))
    given_a_run(engine, "x")
    given_a_run(engine, "y")
    only_work = Played(engine, "one", workflows=[], activities=["charge"])
    only_runs = Played(engine, "two", workflows=["Order"], activities=[])
    anything = Played(engine, "three", workflows=[], activities=[])

    taken = [
        {kind: len(answer[kind]) for kind in ("workflow_tasks", "activity_tasks")}
        for answer in (each.exchange(workflow_slots=1, activity_slots=1) for each in (only_work, only_runs, anything))
    ]

    assert taken == [
        {"workflow_tasks": 0, "activity_tasks": 1},
        {"workflow_tasks": 1, "activity_tasks": 0},
        {"workflow_tasks": 1, "activity_tasks": 1},
    ]
    assert worker.finds_nothing()


def test_a_worker_gets_only_what_is_in_its_namespace_and_queue(engine: Engine) -> None:
    given_a_run(engine, "here")
    given_a_run(engine, "there", namespace="shop")
    given_a_run(engine, "other", task_queue="other")

    assert Played(engine, "a", namespace="shop").takes()["workflow_id"] == "there"
    assert Played(engine, "b", queue="other").takes()["workflow_id"] == "other"
    assert Played(engine, "c").takes()["workflow_id"] == "here"
    assert Played(engine, "d", namespace="nowhere").finds_nothing()


def test_no_more_is_handed_out_than_there_are_slots(engine: Engine) -> None:
    for n in range(5):
        given_a_run(engine, f"w{n}")
    worker = Played(engine)

    assert len(worker.takes_up_to(2)) == 2
    assert worker.takes_up_to(0) == []
    assert len(worker.takes_up_to(200)) == 3


# --------------------------------------------------------------------------------------------------- queues


def test_the_queues_say_what_waits_and_runs_and_since_when(engine: Engine, clock: Clock) -> None:
    _, worker = given_a_parked(engine, "w", *(an_activity(n) for n in (1, 2, 3)))
    worker.takes_work_up_to(1)
    for name in ("a", "b", "c"):
        clock.advance(1.0)
        given_a_run(engine, name)
    worker.takes_up_to(1)
    given_a_run(engine, "d", task_queue="idle")

    assert engine.queues.stats("main") == [
        {"queue": "idle", "pending_activities": 0, "running_activities": 0, "waiting_workflow_tasks": 1,
         "leased_workflow_tasks": 0, "workers": 0, "silent_workers": 0, "oldest_ready_at": T0 + 3.0},
        {"queue": QUEUE, "pending_activities": 2, "running_activities": 1, "waiting_workflow_tasks": 2,
         "leased_workflow_tasks": 1, "workers": 1, "silent_workers": 0, "oldest_ready_at": T0 + 2.0},
    ]  # fmt: skip
    assert engine.queues.stats("elsewhere") == []


def test_when_a_queue_was_last_polled_is_kept(engine: Engine, clock: Clock) -> None:
    worker = Played(engine)
    worker.exchange(workflow_slots=1)
    beats_are_due(engine)
    clock.advance(20.0)
    given_a_run(engine)
    worker.takes()

    assert rows(engine, "SELECT namespace, task_queue, last_poll_at FROM queues") == [("main", QUEUE, T0 + 20.0)]


def test_a_worker_that_was_retired_a_week_ago_is_forgotten(engine: Engine, clock: Clock) -> None:
    Played(engine).begins()
    engine.committer.submit(())  # the beat is written
    clock.advance(90.0)
    assert engine.upkeep.retire_dead_workers() == 1
    clock.advance(7 * 86_400.0 - 1.0)
    engine.upkeep.prune()
    assert rows(engine, "SELECT worker_id FROM workflow_workers") == [("ann",)]

    clock.advance(1.0)
    engine.upkeep.prune()

    assert rows(engine, "SELECT worker_id FROM workflow_workers") == []


# ----------------------------------------------------------------------------------------------- namespaces


def test_who_makes_a_namespace_by_working_in_it_is_told_once(engine: Engine) -> None:
    first = Played(engine, "a", namespace="shpo")

    assert first.begins()["namespace_made"] is True

    assert "namespace_made" not in first.begins()
    assert "namespace_made" not in Played(engine, "b", namespace="shpo").begins()
    assert "namespace_made" not in Played(engine, "c").begins()
