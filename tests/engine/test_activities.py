"""Activities through the engine: attempts, back-off, heartbeats, time-outs, and who may still report."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_a_failed_attempt_is_tried_again_after_exactly_its_back_off(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(
        engine, max_attempts=4, initial_interval_secs=2.0, backoff_coefficient=3.0, max_interval_secs=10.0
    )
    for attempt, wait in [(2, 2.0), (3, 6.0), (4, 10.0)]:
        assert worker.fails(work, "no luck", error_type="Refused") == {"ok": True}
        assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled"]
        clock.advance(wait - 0.001)
        assert worker.finds_nothing()
        clock.advance(0.001)
        work = worker.takes_work()
        assert (work["attempt"], work["max_attempts"]) == (attempt, 4)

    worker.fails(work, "no luck at all", error_type="Refused", details='{"tried":4}')

    assert told(engine, run, "ActivityFailed") == [
        {"activity_id": work["id"], "activity_seq": 1, "name": "charge", "error": "no luck at all",
         "final_attempt": 4, "error_type": "Refused", "details": {"tried": 4}}
    ]  # fmt: skip
    assert worker.takes()["history"][-1]["event_type"] == "ActivityFailed"
    kept = rows(engine, "SELECT attempt, owner, error, error_type, started_at, failed_at FROM activity_attempts")
    starts = [T0, T0 + 2.0, T0 + 8.0, T0 + 18.0]
    errors = ["no luck"] * 3 + ["no luck at all"]
    assert sorted(kept) == [
        (n + 1, "ann", error, "Refused", at, at) for n, (at, error) in enumerate(zip(starts, errors, strict=True))
    ]


def test_the_jitter_of_a_back_off_is_known_exactly(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine, initial_interval_secs=100.0, jitter=0.5)
    share = sha256(f"{work['id']}.1".encode()).digest()[0] / 256

    worker.fails(work)

    wait = 100.0 * (1.0 - 0.5 * share)
    assert rows(engine, "SELECT visible_at FROM workflow_activities") == [(T0 + wait,)]
    clock.advance(wait)
    assert worker.takes_work()["attempt"] == 2


@pytest.mark.parametrize(
    ("error_type", "again"),
    [("Refused", False), ("bank.Refused", False), ("shop.NoStock", False), ("NoStock", True), (None, True)],
)
def test_errors_that_are_not_to_be_tried_again(engine: Engine, error_type: str | None, again: bool) -> None:
    run, worker, work = given_an_activity_at_work(engine, non_retryable=("Refused", "shop.NoStock"))

    worker.fails(work, error_type=error_type)

    assert ("ActivityFailed" in history(engine, run)) is not again


def test_a_worker_may_say_that_a_failure_is_for_good(engine: Engine) -> None:
    run, worker, work = given_an_activity_at_work(engine, max_attempts=0)

    worker.fails(work, non_retryable=True)

    assert told(engine, run, "ActivityFailed")[0]["final_attempt"] == 1


@pytest.mark.parametrize(
    "policy",
    [
        {"max_attempts": 0, "initial_interval_secs": 1e9, "backoff_coefficient": 100.0},
        {"max_attempts": 10_000, "initial_interval_secs": 0.0, "max_interval_secs": 0.0},
        {"max_attempts": 0, "initial_interval_secs": 1e9, "max_interval_secs": 0.0, "jitter": 1.0},
        {"max_attempts": 2**31 - 1, "initial_interval_secs": 1e-9, "backoff_coefficient": 1.0, "jitter": 1.0},
    ],
)
def test_absurd_policies_wait_no_longer_than_their_cap(engine: Engine, clock: Clock, policy: dict[str, Any]) -> None:
    _, worker, work = given_an_activity_at_work(engine, **policy)
    first = policy["initial_interval_secs"]
    cap = policy.get("max_interval_secs", 100.0 * first)
    for attempt in range(2, 6):
        assert worker.fails(work) == {"ok": True}
        (visible_at,) = rows(engine, "SELECT visible_at FROM workflow_activities")[0]
        assert clock.now <= visible_at <= clock.now + cap
        clock.now = visible_at
        work = worker.takes_work()
        assert work["attempt"] == attempt

    assert worker.completes(work) == {"ok": True}


# ------------------------------------------------------------------------------------- stale and repeated


def test_a_report_of_an_earlier_attempt_is_stale(engine: Engine, clock: Clock) -> None:
    run, worker, first = given_an_activity_at_work(engine)
    worker.fails(first)
    assert worker.fails(first) == {"ok": True, "repeated": True}
    assert worker.completes(first) == {"ok": True, "repeated": True}  # its token is kept until the next claim
    clock.advance(1.0)
    second = worker.takes_work()

    assert worker.completes(first)["code"] == "stale_attempt"
    assert worker.fails(first)["code"] == "stale_attempt"
    assert worker.beats(first)["code"] == "stale_attempt"
    assert worker.beats(first)["cancel_requested"] is True

    assert worker.completes(second, "1") == {"ok": True}
    assert worker.completes(second, "2") == {"ok": True, "repeated": True}
    assert [outcome["result"] for outcome in told(engine, run, "ActivityCompleted")] == [1]


def test_a_repeat_after_the_last_failure_adds_nothing(engine: Engine) -> None:
    run, worker, work = given_an_activity_at_work(engine, max_attempts=1)
    worker.fails(work)

    assert worker.fails(work) == {"ok": True, "repeated": True}
    assert worker.completes(work) == {"ok": True, "repeated": True}

    assert history(engine, run)[2:] == ["ActivityFailed"]


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_the_outcome_of_a_closed_runs_activity_is_not_wanted(engine: Engine, end: str) -> None:
    run, worker, work = given_an_activity_at_work(engine)
    if end == "terminate":
        engine.workflows.terminate(run, "enough")
    else:
        engine.workflows.cancel(run)
        worker.reports(worker.takes(), CompleteWorkflow())

    said = [worker.completes(work), worker.fails(work), worker.beats(work)]

    assert [one["code"] for one in said] == ["workflow_closed"] * 3
    assert said[2]["cancel_requested"] is True
    assert rows(engine, "SELECT status, cancel_requested FROM workflow_activities") in (
        [("CANCELLED", True)], [("CANCELLED", 1)],
    )  # fmt: skip


def test_tokens_that_are_none_or_another_namespaces_are_unknown(engine: Engine) -> None:
    run, worker, work = given_an_activity_at_work(engine)
    stranger = Played(engine, "eve", namespace="elsewhere")
    forged = {"task_token": work["task_token"][:-1] + "x"}

    codes = {said["code"] for said in (
        worker.completes(forged), worker.completes({"task_token": "a.99999.1.x"}), worker.completes({"task_token": ""}),
        worker.completes({"task_token": "w.1.x"}), stranger.completes(work), stranger.fails(work),
        stranger.beats(work), worker.beats({"task_token": "?"}),
    )}  # fmt: skip

    assert codes == {"lease_lost"}
    assert history(engine, run) == ["WorkflowStarted", "ActivityScheduled"]
    assert worker.completes(work) == {"ok": True}


# ------------------------------------------------------------------------------ time-outs and heartbeats


def test_an_attempt_past_start_to_close_is_tried_again_then_fails_and_the_run_goes_on(
    engine: Engine, clock: Clock
) -> None:
    run, worker, first = given_an_activity_at_work(engine, max_attempts=2, start_to_close_secs=60.0)
    assert first["lease_expires_at"] == engine.upkeep.next_deadline() == T0 + 60.0
    clock.advance(59.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1
    assert worker.completes(first)["code"] == "stale_attempt"
    assert worker.finds_nothing()
    clock.advance(1.0)
    second = worker.takes_work()
    assert second["attempt"] == 2
    clock.advance(60.0)
    engine.upkeep.expire()

    assert worker.completes(second)["code"] == "lease_lost"
    assert told(engine, run, "ActivityFailed") == [
        {"activity_id": first["id"], "activity_seq": 1, "name": "charge", "error": "timed out: start_to_close",
         "final_attempt": 2, "error_type": "timeout", "timeout_type": "start_to_close"}
    ]  # fmt: skip
    assert worker.reports(worker.takes(), WaitForSignal(name="help")) == {"ok": True}
    assert record(engine, run)["status"] == "RUNNING"
    assert engine.upkeep.next_deadline() is None


def test_the_heartbeat_counts_from_the_claim_and_each_beat_moves_it(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(
        engine, heartbeat_timeout_secs=5.0, start_to_close_secs=None, max_attempts=1
    )
    assert engine.upkeep.next_deadline() == T0 + 5.0
    clock.advance(4.0)
    assert worker.beats(work, '{"page":7}') == {"cancel_requested": False, "lease_expires_at": clock.now + 5.0}
    clock.advance(4.0)
    assert engine.upkeep.expire() == 0
    assert worker.beats(work)["cancel_requested"] is False
    assert engine.upkeep.next_deadline() == T0 + 13.0

    clock.advance(5.0)
    assert engine.upkeep.expire() == 1

    (failure,) = told(engine, run, "ActivityFailed")
    assert (failure["timeout_type"], failure["details"]) == ("heartbeat", {"page": 7})


def test_an_attempt_that_never_beat_times_out_too(engine: Engine, clock: Clock) -> None:
    _, worker, _ = given_an_activity_at_work(engine, heartbeat_timeout_secs=5.0)
    clock.advance(5.0)

    assert engine.upkeep.expire() == 1

    clock.advance(1.0)
    assert worker.takes_work()["attempt"] == 2


def test_the_next_attempt_is_told_the_details_of_the_last_heartbeat(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine, heartbeat_timeout_secs=5.0)
    assert work["heartbeat_details"] is None
    worker.beats(work, '{"page":7}')
    clock.advance(5.0)
    engine.upkeep.expire()
    clock.advance(1.0)

    again = worker.takes_work()

    assert (again["attempt"], again["heartbeat_details"]) == (2, {"page": 7})
    assert engine.upkeep.next_deadline() == T0 + 11.0  # from this claim, not from the beat before


def test_a_late_result_is_taken_as_long_as_nobody_has_ended_the_attempt(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, start_to_close_secs=60.0)
    clock.advance(600.0)

    assert worker.completes(work) == {"ok": True}

    assert engine.upkeep.expire() == 0
    assert history(engine, run)[-1] == "ActivityCompleted"


def test_activities_of_one_turn_run_beside_each_other_on_their_queues(engine: Engine) -> None:
    run, worker = given_a_parked(
        engine, "w", an_activity(1), an_activity(2, "pack", task_queue="depot"), an_activity(3, "pack")
    )
    depot = Played(engine, "dan", queue="depot")

    here, there = worker.takes_work_up_to(10), depot.takes_work_up_to(10)

    assert [(work["seq"], work["task_queue"]) for work in (*here, *there)] == [(1, QUEUE), (3, QUEUE), (2, "depot")]
    for each in (*there, *here):
        assert worker.completes(each, str(each["seq"])) == {"ok": True}
    assert [outcome["activity_seq"] for outcome in told(engine, run, "ActivityCompleted")] == [2, 1, 3]
    assert worker.takes()["history_seq"] == 7
