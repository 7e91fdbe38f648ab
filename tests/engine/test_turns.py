"""Turns through the engine: a batch of commands is taken whole or not at all, and at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine.operations import BeatActivity
from assay_wsgi.engine.operations import ReportActivity
from assay_wsgi.engine.operations import TakeTurn
from assay_wsgi.engine.operations import TerminateRun
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import a_snapshot
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.domain.commands import Command
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

DICE = RecordSideEffect(seq=2, name="dice", value="6")


def test_a_run_goes_from_its_start_to_its_result(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine, input='{"cents":5}')
    assert worker.reports(task, an_activity(input='{"cents":5}')) == {"ok": True}
    clock.advance(1.0)
    work = worker.takes_work()
    assert (work["name"], work["input"], work["attempt"], work["seq"]) == ("charge", {"cents": 5}, 1, 1)
    clock.advance(1.0)

    assert worker.completes(work, '{"paid":true}') == {"ok": True}
    clock.advance(1.0)
    task = worker.takes(cached_runs={run.run_id: 2})
    assert (task["history_from"], [event["seq"] for event in task["history"]]) == (2, [3])
    assert task["history"][0]["payload"]["result"] == {"paid": True}
    assert worker.reports(task, CompleteWorkflow(result='"shipped"')) == {"ok": True}

    assert history(engine, run) == [
        "WorkflowStarted", "ActivityScheduled", "ActivityCompleted", "WorkflowCompleted",
    ]  # fmt: skip
    assert [event["timestamp"] - T0 for event in engine.workflows.events(run)] == [0.0, 0.0, 2.0, 3.0]
    shown = record(engine, run)
    assert (shown["status"], shown["close_reason"], shown["result"], shown["completed_at"]) == (
        "COMPLETED", "completed", '"shipped"', T0 + 3.0,
    )  # fmt: skip
    assert (shown["last_seq"], shown["claimed_by"], shown["waiting_for"]) == (4, None, None)
    assert worker.finds_nothing()


@pytest.mark.parametrize("held", [0, 1, 3, 4, 99, -1])
def test_a_worker_gets_the_events_that_it_does_not_hold(engine: Engine, held: int) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.signal(run, "go")

    task = worker.takes(cached_runs={run.run_id: held, "run-x-1": 5})

    first = held if held in (1, 3) else 0  # a number that cannot be gets the whole history
    assert task["history_from"] == first
    assert [event["seq"] for event in task["history"]] == [1, 2, 3][first:]


@pytest.mark.parametrize(
    ("close", "status", "reason", "event"),
    [
        (CompleteWorkflow(), "COMPLETED", "completed", "WorkflowCompleted"),
        (FailWorkflow(error="no"), "FAILED", "failed", "WorkflowFailed"),
        (CancelWorkflow(), "CANCELLED", "cancelled", "WorkflowCancelled"),
    ],
)
def test_a_closing_turn_ends_what_is_open_below_the_run(
    engine: Engine, close: Command, status: str, reason: str, event: str
) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(1), an_activity(2), an_activity(3), WaitForSignal(name="go"))
    works = worker.takes_work_up_to(2)
    worker.completes(works[0])

    assert worker.reports(worker.takes(), close) == {"ok": True}

    assert (record(engine, run)["status"], record(engine, run)["close_reason"]) == (status, reason)
    assert history(engine, run)[-1] == event
    states = rows(engine, "SELECT status, completed_at, deadline_at FROM workflow_activities ORDER BY seq")
    assert states == [("COMPLETED", T0, None), ("CANCELLED", T0, None), ("CANCELLED", T0, None)]
    assert worker.completes(works[1])["code"] == "workflow_closed"
    assert worker.completes(works[0]) == {"ok": True, "repeated": True}
    assert worker.finds_nothing()


def test_a_repeat_of_an_accepted_turn_is_answered_and_adds_nothing(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    turn = (an_activity(), DICE, WaitForSignal(name="go"))
    assert worker.reports(task, *turn) == {"ok": True}
    before = history(engine, run)

    assert worker.reports(task, *turn) == {"ok": True, "repeated": True}
    engine.workflows.signal(run, "go")
    last = worker.takes()
    assert worker.reports(task, *turn) == {"ok": True, "repeated": True}

    assert history(engine, run) == [*before, "SignalReceived"]
    assert worker.reports(last, CompleteWorkflow()) == {"ok": True}
    assert worker.reports(last, CompleteWorkflow()) == {"ok": True, "repeated": True}
    assert worker.reports(task, *turn)["code"] == "workflow_closed"


def test_the_same_report_twice_in_one_exchange_counts_once(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    report = TurnReport(task_token=task["task_token"], commands=(CompleteWorkflow(),))

    said = worker.exchange(workflow_results=(report, report))["results"]

    assert [one.get("repeated", False) for one in said] == [False, True]
    assert history(engine, run) == ["WorkflowStarted", "WorkflowCompleted"]


def test_each_result_of_an_exchange_has_its_own_outcome_in_the_order_given(engine: Engine) -> None:
    worker = Played(engine)
    for name in ("a", "b", "c"):
        given_a_run(engine, name)
    tasks = {task["workflow_id"]: task for task in worker.takes_up_to(10)}
    worker.reports(tasks["c"], an_activity())
    work = worker.takes_work()

    answer = worker.exchange(
        workflow_results=(
            TurnReport(task_token="nonsense", commands=(CompleteWorkflow(),)),
            TurnReport(task_token=tasks["b"]["task_token"], commands=(CompleteWorkflow(), WaitForSignal(name="x"))),
            TurnReport(task_token=tasks["a"]["task_token"], commands=(CompleteWorkflow(),)),
        ),
        activity_results=(
            ActivityReport(task_token="a.1.1.x", result=None),
            ActivityReport(task_token=work["task_token"], result=None),
        ),
    )

    assert [one.get("code", "ok") for one in answer["results"]] == [
        "lease_lost", "bad_command", "ok", "lease_lost", "ok",
    ]  # fmt: skip
    assert [one["task_token"] for one in answer["results"]][4] == work["task_token"]
    assert answer["results"][1]["index"] == 0


def test_what_a_report_makes_ready_may_come_back_in_the_same_answer(engine: Engine) -> None:
    _, worker, task = given_a_running(engine)

    answer = worker.exchange(
        workflow_results=(TurnReport(task_token=task["task_token"], commands=(an_activity(),)),),
        workflow_slots=1,
        activity_slots=1,
    )

    (work,) = answer["activity_tasks"]
    assert (work["name"], answer["workflow_tasks"]) == ("charge", [])


def test_a_replay_repeats_its_commands_and_changes_nothing(engine: Engine) -> None:
    turn = (an_activity(), DICE, UpsertSearchAttributes(patch={"a": 1}, seq=3), WaitForSignal(name="go"))
    run, worker = given_a_parked(engine, "w", *turn)
    before = history(engine, run)
    engine.workflows.signal(run, "noise")

    assert worker.reports(worker.takes(), *turn) == {"ok": True}

    assert history(engine, run) == [*before, "SignalReceived"]
    assert rows(engine, "SELECT COUNT(*) FROM workflow_activities") == [(1,)]


def test_another_name_at_a_recorded_seq_fails_the_task_and_never_the_run(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(1, "charge"), DICE, WaitForSignal(name="go"))
    engine.workflows.signal(run, "go")
    before = history(engine, run)

    said = worker.reports(worker.takes(), a_snapshot("1"), an_activity(1, "refund"), CompleteWorkflow())
    assert (said["code"], said["seq"], said["index"]) == ("nondeterminism", 1, 1)
    clock.advance(1.0)
    said = worker.reports(worker.takes(), RecordSideEffect(seq=2, name="coin", value="1"))
    assert (said["code"], said["index"]) == ("nondeterminism", 0)

    assert history(engine, run) == before
    shown = record(engine, run)
    assert (shown["status"], shown["task_failure"]["cause"], shown["task_failure"]["count"]) == (
        "RUNNING", "nondeterminism", 2,
    )  # fmt: skip
    with pytest.raises(NotFound):
        engine.workflows.state(run)
    clock.advance(2.0)
    assert worker.reports(worker.takes(), an_activity(1, "charge"), DICE, CompleteWorkflow()) == {"ok": True}
    assert record(engine, run)["task_failure"] is None


def test_a_bad_command_refuses_the_batch_whole_and_the_task_backs_off(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)

    said = worker.reports(task, an_activity(), UpsertSearchAttributes(patch={str(n): n for n in range(200)}))
    assert (said["code"], said["index"]) == ("bad_command", 1)
    for attempt, wait in enumerate([1.0, 2.0, 4.0, 8.0], start=2):
        clock.advance(wait - 0.001)
        assert worker.finds_nothing()
        clock.advance(0.001)
        task = worker.takes()
        assert task["attempt"] == attempt
        said = worker.garbles(task, BadCommand("command 3: unknown type 'X'", index=3))
        assert (said["code"], said["index"]) == ("bad_command", 3)

    assert history(engine, run) == ["WorkflowStarted"]
    assert rows(engine, "SELECT COUNT(*) FROM workflow_activities") == [(0,)]
    failure = record(engine, run)["task_failure"]
    assert failure == {
        "cause": "bad_command", "message": "command 3: unknown type 'X'", "trace": None, "count": 5,
        "first_at": T0, "last_at": T0 + 15.0,
    }  # fmt: skip


def test_a_task_that_keeps_failing_comes_again_within_ten_minutes_without_end(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    for attempt in range(1, 14):
        wait = min(2.0 ** (attempt - 1), 600.0)
        assert worker.cannot(task, trace="line 1") == {"ok": True}
        assert worker.cannot(task) == {"ok": True, "repeated": True}
        clock.advance(wait - 0.5)
        assert worker.finds_nothing()
        clock.advance(0.5)
        task = worker.takes()
        assert task["attempt"] == attempt + 1

    assert record(engine, run)["task_failure"]["count"] == 13
    assert record(engine, run)["status"] == "RUNNING"


def test_a_recorded_value_comes_back_at_once_and_stays_the_first(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    assert worker.reports(task, DICE) == {"ok": True}

    task = worker.takes()
    assert task["history"][-1]["payload"] == {"side_effect_seq": 2, "name": "dice", "value": 6}
    worker.reports(task, RecordSideEffect(seq=2, name="dice", value="1"), WaitForSignal(name="go"))

    assert told(engine, run, "SideEffectRecorded") == [{"side_effect_seq": 2, "name": "dice", "value": 6}]
    assert worker.finds_nothing()


def test_a_turn_that_records_and_parks_sleeps_until_its_wait_is_over(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)

    worker.reports(task, DICE, UpsertSearchAttributes(patch={"stage": 1}, seq=3), an_activity())

    assert [len(worker.takes_up_to(5)), len(worker.takes_work_up_to(5))] == [0, 1]
    assert record(engine, run)["waiting_for"] == [{"kind": "activity", "name": "charge", "since": T0}]


def test_search_attributes_are_merged_and_found(engine: Engine) -> None:
    run, worker, task = given_a_running(engine, search_attributes={"city": "Bern", "n": 1})

    worker.reports(task, UpsertSearchAttributes(patch={"n": 2, "paid": True}, seq=1), WaitForSignal(name="go"))

    text = record(engine, run)["search_attributes"]
    assert '"city":"Bern"' in text
    assert '"n":2' in text
    assert told(engine, run, "SearchAttributesUpserted") == [{"patch": {"n": 2, "paid": True}, "upsert_seq": 1}]


def test_a_state_is_kept_when_it_changed(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    with pytest.raises(NotFound):
        engine.workflows.state(run)
    worker.reports(task, a_snapshot('{"step":1}'), WaitForSignal(name="go"))
    first = {"state": {"step": 1}, "event_seq": 1, "created_at": T0}
    assert engine.workflows.state(run) == first

    clock.advance(1.0)
    engine.workflows.signal(run, "go")
    worker.reports(worker.takes(), a_snapshot('{"step":1}'), WaitForSignal(name="go"))
    assert engine.workflows.state(run) == first
    engine.workflows.signal(run, "go")
    worker.reports(worker.takes(), a_snapshot('{"step":2}'), CompleteWorkflow())

    assert engine.workflows.state(run) == {"state": {"step": 2}, "event_seq": 5, "created_at": T0 + 1.0}


def test_an_activity_that_ends_during_a_turn_makes_the_run_ready_again(engine: Engine) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(1), WaitForSignal(name="go"))
    work = worker.takes_work()
    engine.workflows.signal(run, "go")
    task = worker.takes()
    worker.completes(work)

    assert worker.reports(task, WaitForSignal(name="stop")) == {"ok": True}

    assert worker.takes()["history"][-2]["event_type"] == "ActivityCompleted"


def test_payloads_come_back_as_they_were_sent(engine: Engine) -> None:
    odd = '{"u":"\\u0000\\u00e9\\ud83d\\ude00","big":123456789012345678901234567890,"f":1e-7,"d":[[[{}]]],"n":null}'
    run, worker, task = given_a_running(engine, input=odd)
    stored = engine.workflows.events(run)[0]["payload"]
    assert stored == odd

    worker.reports(task, an_activity(input=odd))
    worker.completes(worker.takes_work(), odd)
    worker.reports(worker.takes(), CompleteWorkflow(result=odd))

    assert record(engine, run)["input"] == record(engine, run)["result"] == odd
    assert [odd in event["payload"] for event in engine.workflows.events(run)] == [True] * 4


def test_what_a_closing_turn_schedules_is_cancelled_with_the_run(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)

    assert worker.reports(task, an_activity(), CompleteWorkflow()) == {"ok": True}

    assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled", "WorkflowCompleted"]
    assert rows(engine, "SELECT status FROM workflow_activities") == [("CANCELLED",)]
    assert worker.finds_nothing()


@pytest.mark.parametrize("first", ["schedules", "fails", "beats"])
def test_what_is_opened_in_the_unit_that_closes_the_run_is_closed_with_it(engine: Engine, first: str) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(1), WaitForSignal(name="go"))
    work = worker.takes_work()
    engine.workflows.signal(run, "go")
    task = worker.takes()
    before: dict[str, Any] = {
        "schedules": TakeTurn.of(TurnReport(task_token=task["task_token"], commands=(an_activity(2),)), None),
        "fails": ReportActivity(
            work["task_token"],
            None,
            ActivityReport(task_token=work["task_token"], failure=ActivityFailure(error="x")),
        ),
        "beats": BeatActivity(work["task_token"], None, Heartbeat(task_token=work["task_token"])),
    }
    end = TerminateRun("main", "w", None, None, None, None)

    outcomes = engine.committer.submit([before[first], end])

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {status for (status,) in rows(engine, "SELECT status FROM workflow_activities")} == {"CANCELLED"}
    assert worker.finds_nothing()
