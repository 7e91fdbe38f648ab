"""Leases: they run out, are given back, are taken from sessions that are over; and what late reports do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.settings import EngineSettings
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import history
from tests.engine.stories import put
from tests.engine.stories import record
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

DONE = CompleteWorkflow()


def test_a_lease_that_ran_out_is_ready_at_once_and_counted(engine: Engine, clock: Clock) -> None:
    run, worker, late = given_a_running(engine)
    assert late["lease_expires_at"] == engine.upkeep.next_deadline() == T0 + 30.0
    clock.advance(29.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    assert record(engine, run)["claimed_by"] is None
    again = Played(engine, "bob").takes()
    assert (again["attempt"], again["lease_expires_at"]) == (2, T0 + 60.0)
    assert worker.reports(late, DONE)["code"] == "lease_lost"
    assert worker.cannot(late)["code"] == "lease_lost"
    assert history(engine, run) == ["WorkflowStarted"]
    assert worker.reports(again, DONE) == {"ok": True}


def test_a_late_report_is_taken_as_long_as_nobody_has_taken_the_lease_back(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    clock.advance(3600.0)

    assert worker.reports(task, DONE) == {"ok": True}

    assert record(engine, run)["completed_at"] == T0 + 3600.0
    assert engine.upkeep.expire() == 0


def test_how_long_a_lease_lasts_is_a_setting(backend: str, clock: Clock) -> None:
    from assay_wsgi.engine import Engine

    engine = Engine.open(backend, settings=EngineSettings(workflow_lease_secs=5.0), clock=clock)
    try:
        _, _, task = given_a_running(engine)
        assert task["lease_expires_at"] == T0 + 5.0
    finally:
        engine.close()


def test_upkeep_goes_in_bounded_passes_the_longest_overdue_first(engine: Engine, clock: Clock) -> None:
    worker = Played(engine)
    for name in "abcde":
        given_a_run(engine, name)
        clock.advance(1.0)
        worker.takes()
    clock.advance(100.0)

    left = []
    while engine.upkeep.expire(limit=2):
        found = rows(
            engine,
            "SELECT w.workflow_id FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key "
            "WHERE t.token IS NOT NULL",
        )
        left.append(sorted(name for (name,) in found))

    assert left == [["c", "d", "e"], ["e"], []]


def test_a_row_that_cannot_be_handled_does_not_stop_the_others(
    engine: Engine, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    run, worker = given_a_parked(engine, "w", *(an_activity(n, start_to_close_secs=60.0) for n in (1, 2, 3)))
    worker.takes_work_up_to(3)
    put(engine, "UPDATE workflow_activities SET non_retryable = ? WHERE seq = 2", "no JSON")
    clock.advance(60.0)

    with caplog.at_level(logging.CRITICAL):
        assert [engine.upkeep.expire(), engine.upkeep.expire()] == [3, 1]

    states = rows(engine, "SELECT status, attempt FROM workflow_activities ORDER BY seq")
    assert states == [("PENDING", 2), ("RUNNING", 1), ("PENDING", 2)]
    assert history(engine, run) == ["WorkflowStarted", *["ActivityScheduled"] * 3]


# ------------------------------------------------------------------------------------------- lost answers


def test_what_a_lost_answer_held_is_given_back_and_not_counted(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(), WaitForSignal(name="go"))
    engine.workflows.signal(run, "go")
    lost_work, lost_task = worker.takes_work(), worker.takes()
    number = worker.n
    kept = given_a_running(engine, "kept", worker=worker)[2]

    answer = worker.exchange(lost=(number - 1, number), workflow_slots=5, activity_slots=5)

    (task,), (work,) = answer["workflow_tasks"], answer["activity_tasks"]
    assert (task["attempt"], work["attempt"]) == (1, 1)
    assert worker.reports(lost_task, DONE)["code"] == "lease_lost"
    assert worker.completes(lost_work)["code"] == "lease_lost"
    assert worker.reports(kept, DONE) == {"ok": True}
    assert worker.completes(work) == {"ok": True}
    assert worker.reports(task, WaitForSignal(name="x")) == {"ok": True}


def test_lost_numbers_may_be_repeated_and_are_the_sessions_own(engine: Engine) -> None:
    _, ann, task = given_a_running(engine)
    bob = Played(engine, "bob")
    bob.begins()

    bob.exchange(lost=(ann.n, 1, 2, 3))
    ann.exchange(lost=(77,))

    assert ann.reports(task, WaitForSignal(name="go")) == {"ok": True}
    assert ann.exchange(lost=(1, 2, 3), workflow_slots=1)["workflow_tasks"] == []


def test_a_result_that_came_with_the_lost_number_counts(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)

    answer = worker.exchange(
        workflow_results=(TurnReport(task_token=task["task_token"], commands=(DONE,)),), lost=(worker.n,)
    )

    assert answer["results"][0]["ok"] is True
    assert record(engine, run)["status"] == "COMPLETED"


# ------------------------------------------------------------------------------------------------ sessions


def test_a_worker_back_under_a_new_session_finds_its_old_work_ready_and_not_counted(engine: Engine) -> None:
    run, old = given_a_parked(engine, "w", an_activity(), WaitForSignal(name="go"))
    engine.workflows.signal(run, "go")
    old_task, old_work = old.takes(), old.takes_work()

    new = Played(engine, session="s2")
    answer = new.exchange(workflow_slots=5, activity_slots=5)

    assert [task["attempt"] for task in (*answer["workflow_tasks"], *answer["activity_tasks"])] == [1, 1]
    assert old.reports(old_task, DONE)["code"] == "lease_lost"
    assert old.completes(old_work)["code"] == "lease_lost"
    assert len(engine.workers.list("main")) == 1


def test_a_session_that_was_replaced_hands_in_but_gets_nothing(engine: Engine) -> None:
    given_a_run(engine, "one")
    given_a_run(engine, "two")
    old = Played(engine)
    old.begins()
    new = Played(engine, session="s2")
    (task,) = new.takes_up_to(1)

    answer = old.exchange(
        workflow_results=(TurnReport(task_token=task["task_token"], commands=(DONE,)),),
        lost=(1, 2, 3),
        workflow_slots=5,
        wait_secs=30.0,
    )

    assert (answer["code"], answer["workflow_tasks"]) == ("session_replaced", [])
    assert answer["results"][0]["ok"] is True
    assert old.exchange(workflow_slots=5)["code"] == "session_replaced"
    assert "code" not in new.exchange(workflow_slots=5)


def test_a_replaced_session_learns_of_it_though_there_is_nothing_to_take(engine: Engine) -> None:
    old, new = Played(engine), Played(engine, session="s2")
    old.begins()
    new.begins()

    assert old.exchange(workflow_slots=1, wait_secs=30.0)["code"] == "session_replaced"
    assert "code" not in new.exchange(workflow_slots=1)


def test_a_replaced_session_touches_no_lease_of_the_present_one(engine: Engine) -> None:
    old = Played(engine)
    old.begins()
    run, new, task = given_a_running(engine, worker=Played(engine, session="s2"))

    old.exchange(lost=(1, 2), workflow_slots=1)

    assert record(engine, run)["claimed_by"] == "ann"
    assert new.reports(task, DONE) == {"ok": True}


def test_another_process_that_still_takes_the_old_session_for_current_hands_out_nothing(
    engine: Engine, backend: str, clock: Clock
) -> None:
    from assay_wsgi.engine import Engine

    given_a_run(engine)
    old = Played(engine)
    old.begins()
    other = Engine.open(backend, clock=clock)
    try:
        Played(other, session="s2").begins()

        answer = old.exchange(workflow_slots=5)

        assert (answer["code"], answer["workflow_tasks"]) == ("session_replaced", [])
    finally:
        other.close()


def test_the_same_session_may_be_begun_again_and_keeps_its_leases(engine: Engine) -> None:
    _, worker, task = given_a_running(engine)

    worker.begins()

    assert worker.reports(task, DONE) == {"ok": True}


def test_a_worker_that_never_began_a_session_is_unknown_and_its_results_count(engine: Engine) -> None:
    run, _, task = given_a_running(engine)
    stranger = Played(engine, "eve")
    stranger.n = 1  # it begins no session

    answer = stranger.exchange(
        workflow_results=(TurnReport(task_token=task["task_token"], commands=(DONE,)),), workflow_slots=5
    )

    assert (answer["code"], answer["workflow_tasks"]) == ("session_unknown", [])
    assert answer["results"][0]["ok"] is True
    assert record(engine, run)["status"] == "COMPLETED"


def test_a_session_in_one_namespace_leaves_the_same_worker_in_another_alone(engine: Engine) -> None:
    given_a_run(engine, namespace="shop")
    there = Played(engine, namespace="shop")
    task = there.takes()

    Played(engine, session="s2").begins()

    assert there.reports(task, DONE) == {"ok": True}


# ---------------------------------------------------------------------------------- who has lost the lease


def test_a_token_of_another_namespace_or_none_at_all_changes_nothing(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    stranger = Played(engine, "eve", namespace="elsewhere")
    token = task["task_token"]

    codes = {
        said["code"]
        for said in (
            stranger.reports(task, DONE),
            worker.reports({"task_token": token[:-1] + ("0" if token[-1] != "0" else "1")}, DONE),
            worker.reports({"task_token": "w.424242.x"}, DONE),
            worker.reports({"task_token": "a.1.1.x"}, DONE),
            worker.reports({"task_token": ""}, DONE),
        )
    }

    assert codes == {"lease_lost"}
    assert history(engine, run) == ["WorkflowStarted"]


def test_two_workers_never_hold_one_task(engine: Engine) -> None:
    for n in range(6):
        given_a_run(engine, f"w{n}")
    ann, bob = Played(engine), Played(engine, "bob")

    taken = [*ann.takes_up_to(4), *bob.takes_up_to(4)]

    assert sorted(task["workflow_id"] for task in taken) == [f"w{n}" for n in range(6)]
    assert ann.finds_nothing()
    assert record(engine, RunRef(workflow_id="w5"))["claimed_by"] == "bob"


def test_giving_back_an_activity_does_not_count_the_attempt_but_a_time_out_does(engine: Engine, clock: Clock) -> None:
    _, worker, _ = given_an_activity_at_work(engine, start_to_close_secs=60.0)
    work = worker.exchange(lost=(worker.n,), activity_slots=1)["activity_tasks"][0]
    assert (work["attempt"], work["lease_expires_at"]) == (1, T0 + 60.0)

    clock.advance(60.0)
    engine.upkeep.expire()
    clock.advance(1.0)

    assert worker.takes_work()["attempt"] == 2
