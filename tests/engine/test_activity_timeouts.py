"""The four time-outs of an activity, workers that vanish, retries that are asked for, and activities cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.domain.requests import RunRef
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

WAIT = WaitForSignal(name="go")


def failure(engine: Engine, run: RunRef) -> tuple[str | None, int]:
    """Give the time-out and the attempt of the one ActivityFailed."""
    (failed,) = told(engine, run, "ActivityFailed")
    return failed.get("timeout_type"), failed["final_attempt"]


# -------------------------------------------------------------------------------------- schedule_to_start


def test_an_activity_that_nobody_takes_in_time_fails_for_good(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(schedule_to_start_secs=5.0, max_attempts=10))
    assert engine.upkeep.next_deadline() == T0 + 5.0
    clock.advance(4.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    assert told(engine, run, "ActivityFailed")[0]["error"] == "timed out: schedule_to_start"
    assert failure(engine, run) == ("schedule_to_start", 1)
    assert worker.takes()["history"][-1]["event_type"] == "ActivityFailed"
    assert worker.finds_nothing()


def test_the_time_in_the_queue_counts_from_when_it_could_be_taken(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, schedule_to_start_secs=5.0, initial_interval_secs=100.0)
    clock.advance(60.0)  # at work, the queue's limit does not apply
    assert engine.upkeep.expire() == 0
    worker.fails(work)
    assert engine.upkeep.next_deadline() == T0 + 165.0
    clock.advance(104.999)
    assert engine.upkeep.expire() == 0

    clock.advance(0.001)
    assert engine.upkeep.expire() == 1

    assert failure(engine, run) == ("schedule_to_start", 2)


# -------------------------------------------------------------------------------------- schedule_to_close


def test_the_time_in_all_ends_an_attempt_that_others_would_have_followed(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, schedule_to_close_secs=10.0, max_attempts=10)
    assert work["lease_expires_at"] == T0 + 10.0
    clock.advance(4.0)
    worker.fails(work)
    clock.advance(1.0)
    second = worker.takes_work()
    assert second["lease_expires_at"] == T0 + 10.0

    clock.advance(5.0)
    assert engine.upkeep.expire() == 1

    assert failure(engine, run) == ("schedule_to_close", 2)
    assert worker.completes(second)["code"] == "lease_lost"


@pytest.mark.parametrize(("wait", "again"), [(5.999, True), (6.0, False), (60.0, False)])
def test_no_retry_is_scheduled_that_would_begin_when_the_time_is_over(
    engine: Engine, clock: Clock, wait: float, again: bool
) -> None:
    run, worker, work = given_an_activity_at_work(
        engine, schedule_to_close_secs=10.0, initial_interval_secs=wait, max_attempts=0
    )
    clock.advance(4.0)

    worker.fails(work, "no luck", error_type="Refused")

    if again:
        assert "ActivityFailed" not in history(engine, run)
        clock.advance(wait)
        assert worker.takes_work()["attempt"] == 2
    else:
        (failed,) = told(engine, run, "ActivityFailed")
        assert (failed["error"], failed["error_type"], failed["final_attempt"]) == ("no luck", "Refused", 1)


def test_the_time_in_all_ends_an_activity_that_waits_for_its_next_attempt(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, schedule_to_close_secs=10.0, initial_interval_secs=8.0)
    worker.fails(work)
    clock.advance(10.0)

    assert engine.upkeep.expire() == 1

    assert failure(engine, run) == ("schedule_to_close", 2)


# -------------------------------------------------------------------------------------- workers that vanish


def vanish(engine: Engine, clock: Clock, worker: Played, secs: float) -> None:
    """Let the worker take the activity and say nothing more; the next attempt is ready afterwards."""
    assert worker.takes_work()["max_attempts"] == 3
    clock.advance(secs)
    assert engine.upkeep.expire() == 1
    clock.advance(10.0)


@pytest.mark.parametrize(
    ("policy", "secs", "kind"),
    [
        ({"start_to_close_secs": 30.0}, 30.0, "start_to_close"),
        ({"start_to_close_secs": 30.0, "heartbeat_timeout_secs": 5.0}, 5.0, "heartbeat"),
        ({"start_to_close_secs": None, "heartbeat_timeout_secs": 5.0}, 5.0, "heartbeat"),
        ({"start_to_close_secs": 5.0, "heartbeat_timeout_secs": 30.0}, 5.0, "start_to_close"),
    ],
)
def test_three_workers_that_vanish_fail_the_activity_and_the_run_goes_on(
    engine: Engine, clock: Clock, policy: dict[str, Any], secs: float, kind: str
) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(**policy))
    for _ in range(3):
        assert "ActivityFailed" not in history(engine, run)
        vanish(engine, clock, worker, secs)

    assert failure(engine, run) == (kind, 3)
    attempts = rows(engine, "SELECT attempt, error, error_type FROM activity_attempts ORDER BY attempt")
    assert attempts == [(n, f"timed out: {kind}", "timeout") for n in (1, 2, 3)]
    assert worker.reports(worker.takes(), CompleteWorkflow(result='"without it"')) == {"ok": True}
    assert record(engine, run)["status"] == "COMPLETED"


def test_a_worker_that_vanishes_after_a_beat_leaves_its_details_to_the_next(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, heartbeat_timeout_secs=5.0, max_attempts=2)
    clock.advance(4.0)
    worker.beats(work, '{"page":7}')
    clock.advance(5.0)
    assert engine.upkeep.expire() == 1
    clock.advance(1.0)
    second = worker.takes_work()
    assert (second["attempt"], second["heartbeat_details"]) == (2, {"page": 7})

    clock.advance(5.0)  # it says nothing
    assert engine.upkeep.expire() == 1

    (failed,) = told(engine, run, "ActivityFailed")
    assert (failed["timeout_type"], failed["details"]) == ("heartbeat", {"page": 7})


def test_a_worker_that_vanishes_between_report_and_answer_has_reported(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, heartbeat_timeout_secs=5.0)
    worker.completes(work, "7")  # the answer is lost with the worker
    clock.advance(3600.0)
    assert engine.upkeep.expire() == 0

    assert Played(engine, "ann", session="s2").completes(work, "8") == {"ok": True, "repeated": True}

    assert [done["result"] for done in told(engine, run, "ActivityCompleted")] == [7]


def test_a_failure_whose_answer_was_lost_costs_one_attempt(engine: Engine, clock: Clock) -> None:
    run, worker, work = given_an_activity_at_work(engine, max_attempts=2)
    worker.fails(work)

    assert worker.fails(work) == {"ok": True, "repeated": True}

    clock.advance(1.0)
    assert worker.takes_work()["attempt"] == 2
    assert "ActivityFailed" not in history(engine, run)


# -------------------------------------------------------------------------------------- next_retry_delay


@pytest.mark.parametrize("delay", [0.0, 0.5, 3600.0, 86_400.0 * 3650])
def test_a_failure_may_say_when_to_try_again(engine: Engine, clock: Clock, delay: float) -> None:
    _, worker, work = given_an_activity_at_work(engine, initial_interval_secs=7.0, max_interval_secs=7.0)

    assert worker.fails(work, next_retry_delay=delay) == {"ok": True}

    assert rows(engine, "SELECT visible_at FROM workflow_activities") == [(T0 + delay,)]
    if delay:
        assert worker.finds_nothing()
        clock.advance(delay)
    again = worker.takes_work()
    assert again["attempt"] == 2
    worker.fails(again)
    assert rows(engine, "SELECT visible_at FROM workflow_activities") == [(T0 + delay + 7.0,)]


@pytest.mark.parametrize(
    ("policy", "how", "final"),
    [
        ({"max_attempts": 1}, {}, 1),
        ({}, {"non_retryable": True}, 1),
        ({"schedule_to_close_secs": 50.0}, {}, 1),
    ],
)
def test_to_say_when_grants_no_attempt_that_the_policy_does_not(
    engine: Engine, policy: dict[str, Any], how: dict[str, Any], final: int
) -> None:
    run, worker, work = given_an_activity_at_work(engine, **policy)

    worker.fails(work, next_retry_delay=50.0, **how)

    assert failure(engine, run) == (None, final)


# -------------------------------------------------------------------------------------- cancelled by the run


def cancelled(engine: Engine, run: RunRef, worker: Played) -> None:
    """Have the run wake and cancel activity 1."""
    engine.workflows.signal(run, "noise")
    assert worker.reports(worker.takes(), CancelActivity(activity_seq=1), WAIT) == {"ok": True}


def test_a_cancelled_activity_that_waits_is_handed_to_nobody(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", an_activity(schedule_to_start_secs=5.0), WAIT)
    (row,) = rows(engine, "SELECT activity_key FROM workflow_activities")

    cancelled(engine, run, worker)

    assert told(engine, run, "ActivityCancelled") == [{"activity_id": row[0], "activity_seq": 1, "name": "charge"}]
    assert worker.finds_nothing()
    clock.advance(5.0)
    assert engine.upkeep.expire() == 0


def test_a_worker_learns_that_its_activity_was_cancelled_and_is_not_wanted_any_more(engine: Engine) -> None:
    run, worker, work = given_an_activity_at_work(engine)

    cancelled(engine, run, worker)

    beaten = worker.beats(work)
    assert (beaten["cancel_requested"], beaten["code"]) == (True, "lease_lost")
    assert [worker.completes(work)["code"], worker.fails(work)["code"]] == ["lease_lost", "lease_lost"]
    assert history(engine, run)[-1] == "WorkflowAwaitingSignal"
    assert "ActivityCompleted" not in history(engine, run)


@pytest.mark.parametrize(("max_attempts", "ends"), [(1, "fails"), (3, "completes")])
def test_an_activity_that_is_over_is_not_cancelled(engine: Engine, max_attempts: int, ends: str) -> None:
    run, worker, work = given_an_activity_at_work(engine, max_attempts=max_attempts)
    getattr(worker, ends)(work)

    assert worker.reports(worker.takes(), CancelActivity(activity_seq=1), WAIT) == {"ok": True}

    assert "ActivityCancelled" not in history(engine, run)


def test_a_result_that_crosses_the_turn_that_cancels_stands(engine: Engine) -> None:
    run, worker, work = given_an_activity_at_work(engine)
    engine.workflows.signal(run, "noise")
    task = worker.takes()
    worker.completes(work, "1")

    assert worker.reports(task, CancelActivity(activity_seq=1), WAIT) == {"ok": True}

    assert history(engine, run).count("ActivityCompleted") == 1
    assert "ActivityCancelled" not in history(engine, run)
    assert worker.takes()["history"][-1]["event_type"] == "WorkflowAwaitingSignal"


def test_an_activity_that_was_never_asked_for_cannot_be_cancelled(engine: Engine) -> None:
    run, worker = given_a_parked(engine)
    engine.workflows.signal(run, "noise")

    said: Wire = worker.reports(worker.takes(), CancelActivity(activity_seq=9))

    assert said["code"] == "bad_command"


# -------------------------------------------------------------------------------------- absurd policies

_SECS = st.one_of(st.just(0.0), st.just(1e9), st.floats(0.0, 1e9), st.floats(0.0, 1e-6))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    initial=_SECS,
    longest=st.one_of(st.none(), _SECS),
    coefficient=st.one_of(st.just(1.0), st.just(1000.0), st.floats(1.0, 1000.0)),
    jitter=st.floats(0.0, 1.0),
    max_attempts=st.sampled_from([2, 4, 2**31 - 1, 0]),
)
def test_no_attempt_is_handed_out_before_its_time_whatever_the_policy(
    engine: Engine, clock: Clock, initial: float, longest: float | None, coefficient: float, jitter: float,
    max_attempts: int,
) -> None:  # fmt: skip
    policy = {
        "initial_interval_secs": initial, "max_interval_secs": longest, "backoff_coefficient": coefficient,
        "jitter": jitter, "max_attempts": max_attempts, "start_to_close_secs": None,
    }  # fmt: skip
    run, worker = given_a_parked(engine, f"w{clock.now}", an_activity(**policy))
    cap = 100.0 * initial if longest is None else longest
    attempts = min(max_attempts or 5, 5)
    for attempt in range(1, attempts + 1):
        work = worker.takes_work()
        assert work["attempt"] == attempt
        before = clock.now
        worker.fails(work)
        if attempt == max_attempts:
            break
        ((visible_at,),) = rows(engine, "SELECT visible_at FROM workflow_activities WHERE status = 'PENDING'")
        assert before <= visible_at <= before + cap
        if visible_at > before:
            assert worker.finds_nothing()
        clock.now = visible_at
    engine.workflows.terminate(run)
    clock.advance(1.0)


def test_a_failure_may_carry_what_no_heartbeat_has_told(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine, initial_interval_secs=0.0)
    worker.beats(work, '{"page":1}')
    assert worker.fails(work, heartbeat_details='{"page":2}') == {"ok": True}

    assert worker.takes_work()["heartbeat_details"] == {"page": 2}
