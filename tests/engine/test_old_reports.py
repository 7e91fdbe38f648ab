"""Reports of the old way: by worker id or by token, on workflow tasks and on activities; longer leases, releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AmbiguousRun
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import Nondeterminism
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import StaleAttempt
from assay_wsgi.domain.errors import UnhandledEvents
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from tests.engine.old_way import OldWorker
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Wire
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told
from tests.engine.stories import until_waiting
from tests.engine.stories import without_a_watcher

if TYPE_CHECKING:
    from assay_wsgi.domain.requests import RunRef
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def given_a_polled(engine: Engine, workflow_id: str = "w", **more: str) -> tuple[RunRef, OldWorker, Wire]:
    """Start a run and have a worker of the old way take it."""
    run = given_a_run(engine, workflow_id, **more)
    worker = OldWorker(engine)
    return run, worker, worker.takes()


def given_work(engine: Engine, **policy: float) -> tuple[RunRef, OldWorker, Wire]:
    """Have a worker of the old way take an activity."""
    run, _ = given_a_parked(engine, "w", an_activity(**policy))
    worker = OldWorker(engine)
    return run, worker, worker.takes_work()


# --------------------------------------------------------------------------------------------- workflow tasks


def test_a_run_is_worked_to_its_end_without_any_token(engine: Engine) -> None:
    run, worker, task = given_a_polled(engine)

    assert worker.submits(task, an_activity()) == {"ok": True}
    assert worker.completes(worker.takes_work(), '{"sum":3}') == {"ok": True}
    assert worker.submits(worker.takes(), CompleteWorkflow(result='"bye"')) == {"ok": True}

    assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled", "ActivityCompleted", "WorkflowCompleted"]
    assert (record(engine, run)["status"], record(engine, run)["result"]) == ("COMPLETED", '"bye"')


def test_only_the_worker_that_holds_the_lease_may_report_on_it(engine: Engine) -> None:
    run, worker, task = given_a_polled(engine)

    with pytest.raises(LeaseLost):
        OldWorker(engine, "other").submits(task, CompleteWorkflow())
    with pytest.raises(LeaseLost):
        worker.submits({"workflow_id": "another"}, CompleteWorkflow())

    assert record(engine, run)["status"] == "RUNNING"
    assert worker.submits(task, CompleteWorkflow()) == {"ok": True}


def test_a_lease_that_was_taken_back_cannot_be_reported_on(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_polled(engine)
    clock.advance(30.0)
    engine.upkeep.expire()
    other = OldWorker(engine, "other")
    again = other.takes()

    for submit in (worker.submits, worker.submits_by_token):
        with pytest.raises(LeaseLost):
            submit(task, CompleteWorkflow(result="1"))

    assert other.submits(again, CompleteWorkflow(result="2")) == {"ok": True}
    assert record(engine, run)["result"] == "2"


def test_a_worker_that_holds_two_runs_of_one_name_must_say_which(engine: Engine) -> None:
    worker = OldWorker(engine)
    runs = {namespace: given_a_run(engine, namespace=namespace) for namespace in ("main", "shop")}
    tasks = {task["namespace"]: task for task in (worker.takes(), worker.takes())}

    with pytest.raises(AmbiguousRun) as refusal:
        worker.submits(tasks["shop"], CompleteWorkflow())
    assert (refusal.value.code, refusal.value.members) == ("ambiguous_run", {"namespaces": ["main", "shop"]})

    assert worker.submits_by_token(tasks["shop"], CompleteWorkflow()) == {"ok": True}
    assert worker.submits(tasks["main"], CompleteWorkflow()) == {"ok": True}
    assert {record(engine, run)["status"] for run in runs.values()} == {"COMPLETED"}


def test_a_namespace_tells_two_runs_of_one_name_apart(engine: Engine) -> None:
    worker = OldWorker(engine)
    for namespace in ("main", "shop"):
        given_a_run(engine, namespace=namespace)
    task, _ = worker.takes(), worker.takes()

    said = engine.tasks.report_turn(
        worker.of(task, namespace="shop"), TurnReport(task_token=None, commands=(CompleteWorkflow(),))
    )

    assert said == {"ok": True}
    assert rows(engine, "SELECT namespace FROM workflows WHERE status = 'COMPLETED'") == [("shop",)]


def test_a_token_of_another_run_or_id_or_namespace_is_refused(engine: Engine) -> None:
    run, worker, task = given_a_polled(engine)
    given_a_run(engine, "v")
    foreign = worker.takes()
    report = TurnReport(task_token=task["task_token"], commands=(CompleteWorkflow(),))

    for ref in (
        worker.of(foreign, task_token=task["task_token"]),
        worker.of(task, task_token=task["task_token"], namespace="shop"),
        worker.of(task, task_token="w.1.none"),
        worker.of(task, task_token="nonsense"),
    ):
        with pytest.raises(LeaseLost):
            engine.tasks.report_turn(ref, report)

    assert record(engine, run)["status"] == "RUNNING"
    assert worker.submits_by_token(task, CompleteWorkflow()) == {"ok": True}
    assert worker.submits_by_token(task, CompleteWorkflow()) == {"ok": True, "repeated": True}


def test_a_close_of_the_old_way_is_taken_over_unread_signals_and_names_them(engine: Engine) -> None:
    """Assay's own workers close as they did."""
    run, worker, task = given_a_polled(engine)
    engine.workflows.signal(run, "one")
    engine.workflows.signal(run, "two")

    assert worker.submits(task, CompleteWorkflow(result="1")) == {"ok": True}

    assert history(engine, run)[-2:] == ["SignalsUnhandled", "WorkflowCompleted"]
    assert told(engine, run, "SignalsUnhandled") == [{"signals": [2, 3]}]


def test_a_close_by_token_over_unread_signals_is_refused_and_comes_again(engine: Engine) -> None:
    run, worker, task = given_a_polled(engine)
    engine.workflows.signal(run, "one")

    with pytest.raises(UnhandledEvents):
        worker.submits_by_token(task, CompleteWorkflow())

    again = worker.takes()
    assert (again["history_seq"], again["attempt"]) == (2, 1)
    assert worker.submits_by_token(again, CompleteWorkflow()) == {"ok": True}
    assert "SignalsUnhandled" not in history(engine, run)


def test_a_bad_turn_fails_the_task_and_not_the_run(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_polled(engine)
    worker.submits(task, ScheduleActivity(seq=1, name="charge"), WaitForSignal(name="go"))
    engine.workflows.signal(run, "go")

    with pytest.raises(Nondeterminism):
        worker.submits(worker.takes(), ScheduleActivity(seq=1, name="other"))
    assert worker.polls() is None
    clock.advance(1.0)
    with pytest.raises(BadCommand):
        worker.submits(worker.takes(), CompleteWorkflow(), FailWorkflow(error="x"))

    assert (record(engine, run)["status"], record(engine, run)["task_failure"]["count"]) == ("RUNNING", 2)


def test_a_task_may_be_failed_by_its_worker_and_comes_again_after_the_back_off(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_polled(engine)

    failed = TurnReport(task_token=None, failure=TaskFailure(cause="bug", message="it broke"))
    assert engine.tasks.report_turn(worker.of(task), failed) == {"ok": True}

    assert record(engine, run)["task_failure"]["cause"] == "bug"
    clock.advance(0.999)
    assert worker.polls() is None
    clock.advance(0.001)
    assert worker.takes()["attempt"] == 2


# --------------------------------------------------------------------------------------------- longer leases


def test_a_beat_makes_the_lease_of_a_task_last_and_commands_after_it_are_taken(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_polled(engine)
    for _ in range(4):
        clock.advance(25.0)
        assert worker.beats_task(task) == {
            "ok": True, "lease_expires_at": clock.now + 30.0, "cancel_requested": False,
        }  # fmt: skip
    clock.advance(29.999)
    engine.upkeep.expire()
    assert record(engine, run)["claimed_by"] == "olga"

    assert worker.submits(task, CompleteWorkflow()) == {"ok": True}
    assert clock.now == T0 + 129.999


def test_a_lease_that_was_made_longer_runs_out_at_its_new_end(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_polled(engine)
    clock.advance(10.0)
    worker.beats_task(task, task_token=task["task_token"])
    clock.advance(29.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    assert worker.takes()["attempt"] == 2


def test_a_beat_tells_of_a_cancel_request(engine: Engine) -> None:
    run, worker, task = given_a_polled(engine)
    engine.workflows.cancel(run)

    assert worker.beats_task(task)["cancel_requested"] is True


def test_a_beat_on_a_lost_lease_is_refused_and_changes_nothing(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_polled(engine)
    clock.advance(30.0)
    engine.upkeep.expire()
    with pytest.raises(LeaseLost):
        worker.beats_task(task)
    OldWorker(engine, "other").takes()

    with pytest.raises(LeaseLost):
        worker.beats_task(task, task_token=task["task_token"])
    assert rows(engine, "SELECT owner, deadline_at FROM workflow_tasks") == [("other", T0 + 60.0)]

    engine.workflows.terminate(run)
    with pytest.raises(WorkflowClosed):
        worker.beats_task(task, task_token=task["task_token"])


# ------------------------------------------------------------------------------------------------ activities


def test_an_activity_has_one_outcome_whoever_reports_without_a_token(engine: Engine) -> None:
    run, worker, work = given_work(engine)

    assert OldWorker(engine, "other").completes(work, "1") == {"ok": True}
    for late in (worker.completes, worker.fails, worker.beats, worker.releases):
        with pytest.raises(LeaseLost):
            late(work)

    assert [done["result"] for done in told(engine, run, "ActivityCompleted")] == [1]
    assert engine.activities.get(work["id"])["result"] == "1"


def test_a_report_without_a_token_on_an_activity_that_is_not_running_is_refused(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_work(engine)
    worker.fails(work)

    with pytest.raises(LeaseLost):
        worker.completes(work)
    clock.advance(1.0)
    worker.takes_work()

    assert worker.completes(work) == {"ok": True}  # of which attempt it is nobody can tell


def test_a_report_by_the_token_of_an_earlier_attempt_is_refused(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_work(engine)
    worker.fails(work)
    clock.advance(1.0)
    worker.takes_work()

    with pytest.raises(StaleAttempt):
        engine.tasks.report_activity(work["id"], ActivityReport(task_token=work["task_token"], result="1"))

    assert "ActivityCompleted" not in history(engine, run)


def test_an_activity_of_a_closed_run_takes_no_report(engine: Engine) -> None:
    run, worker, work = given_work(engine)
    engine.workflows.terminate(run)

    for late in (worker.completes, worker.fails, worker.beats, worker.releases):
        with pytest.raises(WorkflowClosed):
            late(work)

    assert engine.activities.get(work["id"])["status"] == "CANCELLED"
    assert history(engine, run)[-1] == "WorkflowTerminated"


def test_an_activity_that_is_not_there_or_in_another_namespace_is_not_found(engine: Engine) -> None:
    _, worker, work = given_work(engine)

    with pytest.raises(NotFound):
        worker.completes({"id": work["id"] + 1})
    for call in (
        lambda: engine.tasks.report_activity(work["id"], ActivityReport(task_token=None), "shop"),
        lambda: engine.tasks.beat_activity(work["id"], Heartbeat(task_token=None), "shop"),
        lambda: engine.tasks.release_activity(work["id"], None, "shop"),
        lambda: engine.activities.get(work["id"], "shop"),
    ):
        with pytest.raises(NotFound):
            call()
    assert worker.completes(work) == {"ok": True}


def test_a_token_of_another_activity_is_refused(engine: Engine) -> None:
    given_a_parked(engine, "w", an_activity(1), an_activity(2))
    worker = OldWorker(engine)
    one, two = worker.takes_work(), worker.takes_work()

    with pytest.raises(LeaseLost):
        engine.tasks.report_activity(one["id"], ActivityReport(task_token=two["task_token"]))
    with pytest.raises(LeaseLost):
        engine.tasks.release_activity(one["id"], "nonsense")

    assert engine.activities.get(one["id"])["status"] == "RUNNING"


def test_a_beat_without_a_token_moves_the_deadline_and_keeps_the_details(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_work(engine, heartbeat_timeout_secs=20.0)
    clock.advance(15.0)

    assert worker.beats(work, '{"half":true}') == {
        "ok": True, "cancel_requested": False, "lease_expires_at": clock.now + 20.0,
    }  # fmt: skip

    clock.advance(19.999)
    assert engine.upkeep.expire() == 0
    shown = orjson.loads(orjson.dumps(engine.activities.get(work["id"])))
    assert (shown["last_heartbeat"], shown["heartbeat_details"]) == (T0 + 15.0, {"half": True})


def test_a_released_attempt_is_handed_out_at_once_and_not_counted(engine: Engine) -> None:
    without_a_watcher(engine)
    run, worker, work = given_work(engine, max_attempts=1)
    waiting = Beside(lambda: OldWorker(engine, "other").polls_work(wait_secs=120.0))
    until_waiting(engine)

    assert worker.releases(work) == {"ok": True}

    again = waiting.answer()
    assert (again["id"], again["attempt"], again["claimed_by"]) == (work["id"], 1, "other")
    assert rows(engine, "SELECT COUNT(*) FROM activity_attempts") == [(0,)]
    assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled"]


def test_an_attempt_that_was_handed_back_cannot_be_reported_on_by_its_token(engine: Engine) -> None:
    _, worker, work = given_work(engine)
    assert engine.tasks.release_activity(work["id"], work["task_token"]) == {"ok": True}

    for late in (
        lambda: engine.tasks.release_activity(work["id"], work["task_token"]),
        lambda: engine.tasks.report_activity(work["id"], ActivityReport(task_token=work["task_token"])),
    ):
        with pytest.raises(LeaseLost):
            late()
    worker.takes_work()
    with pytest.raises(LeaseLost):
        engine.tasks.report_activity(work["id"], ActivityReport(task_token=work["task_token"]))
