"""The life of an activity: reports, retries and their back-off, heartbeats, time-outs."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from assay_wsgi.domain import activities
from assay_wsgi.domain.change import Change
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import StaleAttempt
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.model import Activity
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.tokens import read_activity_token
from assay_wsgi.jsontext import loads
from tests.domain.given import NOW
from tests.domain.given import WORK_HASH
from tests.domain.given import WORK_KEY
from tests.domain.given import WORK_TOKEN
from tests.domain.given import a_closed_run
from tests.domain.given import a_lease
from tests.domain.given import a_run
from tests.domain.given import events
from tests.domain.given import payload
from tests.domain.given import pending_work
from tests.domain.given import touched
from tests.domain.given import work_under_way

TOKEN = read_activity_token(WORK_TOKEN)
PARKED = a_run(last_seq=4, wake_seq=2, seen_seq=4, waiting_for="[]")


def completes(work: Activity, result: str | None = '"ok"', run: Any = PARKED) -> Change:
    report = ActivityReport(task_token=WORK_TOKEN, result=result)
    return activities.report(run, None, work, TOKEN, WORK_HASH, report, NOW)


def fails(work: Activity, run: Any = PARKED, **how: Any) -> Change:
    report = ActivityReport(task_token=WORK_TOKEN, failure=ActivityFailure(**{"error": "no luck", **how}))
    return activities.report(run, None, work, TOKEN, WORK_HASH, report, NOW)


def beats(work: Activity, details: str | None = None, run: Any = PARKED, now: float = NOW) -> Change:
    return activities.heartbeat(run, work, TOKEN, WORK_HASH, Heartbeat(task_token=WORK_TOKEN, details=details), now)


# ------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(("result", "told"), [('{"n": 1}', {"n": 1}), (None, None)])
def test_a_result_is_recorded_and_wakes_the_run(result: str | None, told: Any) -> None:
    change = completes(work_under_way(deadline_at=1300.0), result)

    (done,) = change.activities
    assert (done.status, done.result, done.completed_at, done.deadline_at) == ("COMPLETED", result, NOW, None)
    assert done.token == WORK_HASH  # kept: it knows a repeat
    assert events(change) == [(5, "ActivityCompleted")]
    assert payload(change.events[0]) == {
        "activity_id": WORK_KEY, "activity_seq": 1, "name": "charge", "result": told,
    }  # fmt: skip
    assert (change.events[0].ref_seq, change.runs[0].wake_seq, change.runs[0].waiting_for) == (1, 5, None)
    assert change.tasks[0].ready_at == NOW


def test_a_result_that_comes_while_a_turn_is_under_way_leaves_the_lease_alone() -> None:
    report = ActivityReport(task_token=WORK_TOKEN, result=None)

    change = activities.report(PARKED, a_lease(), work_under_way(), TOKEN, WORK_HASH, report, NOW)

    assert change.tasks == change.dropped_tasks == []
    assert change.runs[0].wake_seq == 5


def test_a_failed_attempt_comes_again_and_the_run_learns_nothing() -> None:
    work = work_under_way(deadline_at=1300.0, last_heartbeat=995.0, heartbeat_details='"half"')

    change = fails(work, error_type="Refused", trace="line 1")

    assert touched(change) == {"activities", "attempts"}
    (again,) = change.activities
    assert (again.status, again.attempt, again.visible_at) == ("PENDING", 2, NOW + 1.0)
    assert (again.owner, again.session, again.exchange, again.deadline_at, again.started_at) == (None,) * 5
    assert (again.last_heartbeat, again.heartbeat_details) == (None, '"half"')
    assert loads(again.last_failure or "") == {
        "error": "no luck", "error_type": "Refused", "at": NOW, "trace": "line 1", "attempt": 1,
    }  # fmt: skip
    assert change.attempts == [(WORK_KEY, 1, 7, "ann", "no luck", "Refused", 990.0, NOW)]


def test_the_last_attempt_fails_the_activity_and_wakes_the_run() -> None:
    change = fails(work_under_way(attempt=3), error_type="Refused", details='{"at": 7}')

    (over,) = change.activities
    assert (over.status, over.error, over.completed_at, over.attempt) == ("FAILED", "no luck", NOW, 3)
    assert payload(change.events[0]) == {
        "activity_id": WORK_KEY, "activity_seq": 1, "name": "charge", "error": "no luck", "final_attempt": 3,
        "error_type": "Refused", "details": {"at": 7},
    }  # fmt: skip
    assert (change.runs[0].wake_seq, len(change.tasks)) == (5, 1)


TYPES = '["Refused","shop.NoStock"]'


@pytest.mark.parametrize(
    ("policy", "failure", "again"),
    [
        ({}, {}, True),
        ({"attempt": 2}, {}, True),
        ({"attempt": 3}, {}, False),
        ({"max_attempts": 1}, {}, False),
        ({"max_attempts": 0, "attempt": 1_000_000}, {}, True),
        ({"max_attempts": 0}, {"non_retryable": True}, False),
        ({"non_retryable": TYPES}, {}, True),
        ({"non_retryable": TYPES}, {"error_type": "Refused"}, False),
        ({"non_retryable": TYPES}, {"error_type": "bank.Refused"}, False),
        ({"non_retryable": TYPES}, {"error_type": "a.b.Refused"}, False),
        ({"non_retryable": TYPES}, {"error_type": "shop.NoStock"}, False),
        ({"non_retryable": TYPES}, {"error_type": "NoStock"}, True),
        ({"non_retryable": TYPES}, {"error_type": "other.NoStock"}, True),
        ({"non_retryable": TYPES}, {"error_type": "refused"}, True),
        ({"non_retryable": "[]"}, {"error_type": "Refused"}, True),
    ],
)
def test_when_a_failed_attempt_is_tried_again(policy: Any, failure: Any, again: bool) -> None:
    change = fails(work_under_way(**policy), **failure)

    assert change.activities[0].status == ("PENDING" if again else "FAILED")
    assert bool(change.events) is not again


# --------------------------------------------------------------------------------------------- back-off


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ({}, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0, 100.0]),  # without a cap: 100 x the first
        ({"max_interval_secs": 5.0}, [1.0, 2.0, 4.0, 5.0, 5.0]),
        ({"max_interval_secs": 0.5}, [0.5, 0.5]),
        ({"initial_interval_secs": 0.25, "backoff_coefficient": 3.0}, [0.25, 0.75, 2.25, 6.75, 20.25, 25.0]),
        ({"backoff_coefficient": 1.0}, [1.0] * 5),
        ({"initial_interval_secs": 0.0}, [0.0] * 5),
        ({"max_interval_secs": 0.0}, [0.0] * 5),
    ],
)
def test_the_waits_between_attempts(policy: Any, waits: list[float]) -> None:
    found = [activities.backoff(pending_work(attempt=number, **policy)) for number in range(1, len(waits) + 1)]

    assert found == waits


@pytest.mark.parametrize(
    ("policy", "wait"),
    [
        ({"attempt": 10**9}, 100.0),
        ({"attempt": 10**9, "backoff_coefficient": 100.0, "max_interval_secs": 3600.0}, 3600.0),
        ({"attempt": 10**9, "backoff_coefficient": 1.0}, 1.0),
        ({"attempt": 10**9, "backoff_coefficient": 0.0}, 0.0),
        ({"attempt": 5000, "backoff_coefficient": 100.0, "max_interval_secs": 1e300}, 1e300),
        ({"attempt": 2, "backoff_coefficient": 1e308, "initial_interval_secs": 1e308, "max_interval_secs": 7.0}, 7.0),
    ],
)
def test_no_policy_is_too_absurd_for_the_back_off(policy: Any, wait: float) -> None:
    assert activities.backoff(pending_work(**policy)) == wait


@pytest.mark.parametrize("attempt", [1, 2, 3])
@pytest.mark.parametrize("jitter", [0.0, 0.2, 1.0])
def test_the_jitter_is_a_hash_of_key_and_attempt_and_only_shortens(attempt: int, jitter: float) -> None:
    share = sha256(f"{WORK_KEY}.{attempt}".encode()).digest()[0] / 256

    wait = activities.backoff(pending_work(attempt=attempt, jitter=jitter))

    assert wait == 2.0 ** (attempt - 1) * (1.0 - jitter * share)


def test_no_two_of_many_activities_come_again_together() -> None:
    waits = {activities.backoff(pending_work(activity_key=key, jitter=1.0)) for key in range(50)}

    assert len(waits) > 40
    assert all(0.0 <= wait <= 1.0 for wait in waits)


# ----------------------------------------------------------------------------------- who may report what

REPORTS: list[Callable[..., Change]] = [completes, fails, beats]


@pytest.mark.parametrize("reported", ["COMPLETED", "FAILED", "PENDING"])
@pytest.mark.parametrize("report", [completes, fails])
@pytest.mark.parametrize("run", [PARKED, a_closed_run()])
def test_a_report_that_was_taken_is_known_again(report: Callable[..., Change], reported: str, run: Any) -> None:
    change = report(pending_work(status=reported, token=WORK_HASH, attempt=2), run=run)

    assert change.answer == {"ok": True, "repeated": True}
    assert touched(change) == set()


@pytest.mark.parametrize(
    ("work", "run", "refusal"),
    [
        (work_under_way(), a_closed_run(), WorkflowClosed),
        (work_under_way(status="CANCELLED"), PARKED, LeaseLost),  # by its run, which goes on
        (work_under_way(token="another"), PARKED, LeaseLost),
        (work_under_way(token="another", attempt=2), PARKED, StaleAttempt),
        (pending_work(), PARKED, LeaseLost),  # given back, not claimed again
        (pending_work(attempt=2), PARKED, StaleAttempt),  # timed out
        (work_under_way(status="FAILED", token=None), PARKED, LeaseLost),  # timed out for the last time
        (work_under_way(status="COMPLETED", token="another"), PARKED, LeaseLost),
    ],
)
@pytest.mark.parametrize("report", REPORTS)
def test_who_has_lost_the_activity_changes_nothing(
    report: Callable[..., Change], work: Activity, run: Any, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        report(work, run=run)


def test_an_attempt_past_its_time_is_good_until_it_is_taken_away() -> None:
    assert completes(work_under_way(deadline_at=NOW - 50.0)).activities[0].status == "COMPLETED"


# ------------------------------------------------------------------------------- deadlines and heartbeats


@pytest.mark.parametrize(
    ("start_to_close", "heartbeat", "last_heartbeat", "expected"),
    [
        (None, None, None, None),
        (300.0, None, None, 1290.0),
        (None, 5.0, None, 995.0),  # counted from the claim, before any heartbeat
        (None, 5.0, 998.0, 1003.0),
        (300.0, 5.0, 998.0, 1003.0),
        (8.0, 5.0, 998.0, 998.0),
    ],
)
def test_the_deadline_is_the_earliest_that_applies(
    start_to_close: float | None, heartbeat: float | None, last_heartbeat: float | None, expected: float | None
) -> None:
    work = pending_work(start_to_close_secs=start_to_close, heartbeat_timeout_secs=heartbeat)

    assert activities.deadline(work, 990.0, last_heartbeat) == expected


@pytest.mark.parametrize(
    ("work", "started_at", "expected"),
    [
        (pending_work(schedule_to_start_secs=5.0), None, 905.0),
        (pending_work(schedule_to_start_secs=5.0, visible_at=950.0), None, 955.0),  # each time in the queue
        (pending_work(schedule_to_start_secs=5.0), 990.0, None),  # taken is taken
        (pending_work(schedule_to_close_secs=200.0, visible_at=950.0), None, 1100.0),  # since the beginning
        (pending_work(schedule_to_close_secs=200.0), 990.0, 1100.0),
        (pending_work(schedule_to_close_secs=200.0, start_to_close_secs=10.0), 990.0, 1000.0),
        (pending_work(schedule_to_close_secs=95.0, start_to_close_secs=10.0), 990.0, 995.0),
        (pending_work(start_to_close_secs=10.0, heartbeat_timeout_secs=5.0), None, None),
    ],
)
def test_an_activity_that_waits_has_other_deadlines_than_one_at_work(
    work: Activity, started_at: float | None, expected: float | None
) -> None:
    assert activities.deadline(work, started_at, None) == expected


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (pending_work(schedule_to_start_secs=50.0, deadline_at=950.0), "schedule_to_start"),
        (pending_work(schedule_to_close_secs=50.0, deadline_at=950.0), "schedule_to_close"),
        (
            pending_work(schedule_to_start_secs=50.0, schedule_to_close_secs=60.0, deadline_at=950.0),
            "schedule_to_close",  # both are over
        ),
        (
            work_under_way(schedule_to_close_secs=100.0, start_to_close_secs=5.0, deadline_at=995.0),
            "schedule_to_close",  # it would not be tried again anyway
        ),
    ],
)
def test_a_time_out_of_the_activity_is_not_one_of_its_attempt(work: Activity, kind: str) -> None:
    change = activities.expire(PARKED, None, work._replace(max_attempts=0), NOW)

    (over,) = change.activities
    assert (over.status, over.error, over.deadline_at) == ("FAILED", f"timed out: {kind}", None)
    assert payload(change.events[0])["timeout_type"] == kind


@pytest.mark.parametrize(
    ("before", "sent", "kept"), [(None, None, None), (None, "1", "1"), ("1", None, "1"), ("1", "2", "2")]
)
def test_a_heartbeat_moves_the_deadline_and_keeps_the_newest_details(
    before: str | None, sent: str | None, kept: str | None
) -> None:
    change = beats(work_under_way(heartbeat_timeout_secs=5.0, deadline_at=995.0, heartbeat_details=before), sent)

    (beaten,) = change.activities
    assert (beaten.last_heartbeat, beaten.deadline_at, beaten.heartbeat_details) == (NOW, 1005.0, kept)
    assert change.answer == {"cancel_requested": False, "lease_expires_at": 1005.0}
    assert touched(change) == {"activities"}


def test_a_heartbeat_does_not_move_start_to_close_nor_count_from_before_the_claim() -> None:
    work = work_under_way(start_to_close_secs=12.0, heartbeat_timeout_secs=5.0)

    assert beats(work).activities[0].deadline_at == 1002.0
    assert beats(work, now=980.0).activities[0].deadline_at == 995.0


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ({"start_to_close_secs": 10.0, "deadline_at": 1000.0}, "start_to_close"),
        ({"heartbeat_timeout_secs": 10.0, "deadline_at": 1000.0}, "heartbeat"),
        ({"heartbeat_timeout_secs": 4.0, "start_to_close_secs": 300.0, "deadline_at": 994.0}, "heartbeat"),
        ({"heartbeat_timeout_secs": 9.0, "start_to_close_secs": 9.0, "deadline_at": 999.0}, "start_to_close"),
    ],
)
def test_an_attempt_that_takes_too_long_has_failed_and_says_how(policy: Any, kind: str) -> None:
    retried = activities.expire(PARKED, None, work_under_way(heartbeat_details='"half"', **policy), NOW)
    final = activities.expire(PARKED, None, work_under_way(attempt=3, heartbeat_details='"half"', **policy), NOW)

    (again,), (over,) = retried.activities, final.activities
    assert (again.status, again.attempt, again.visible_at, again.token) == ("PENDING", 2, NOW + 1.0, None)
    assert (over.status, over.error, over.token) == ("FAILED", f"timed out: {kind}", None)
    assert payload(final.events[0]) == {
        "activity_id": WORK_KEY, "activity_seq": 1, "name": "charge", "error": f"timed out: {kind}",
        "final_attempt": 3, "error_type": "timeout", "timeout_type": kind, "details": "half",
    }  # fmt: skip
    assert retried.answer is final.answer is True


def test_a_time_out_may_be_named_as_one_that_is_not_tried_again() -> None:
    work = work_under_way(start_to_close_secs=10.0, deadline_at=1000.0, non_retryable='["timeout"]')

    assert activities.expire(PARKED, None, work, NOW).activities[0].status == "FAILED"


@pytest.mark.parametrize(
    "work",
    [
        work_under_way(deadline_at=NOW + 0.001),
        work_under_way(),
        pending_work(schedule_to_start_secs=500.0, deadline_at=NOW + 1.0),
        work_under_way(status="COMPLETED", deadline_at=None),
    ],
)
def test_what_is_not_due_does_not_time_out(work: Activity) -> None:
    change = activities.expire(PARKED, None, work, NOW)

    assert change.answer is False
    assert touched(change) == set()


# --------------------------------------------------------------------------------------------- given back


def test_an_attempt_given_back_is_ready_at_once_and_not_counted() -> None:
    change = activities.give_back(PARKED, work_under_way(attempt=2, deadline_at=1300.0, heartbeat_details="1"), NOW)

    (ready,) = change.activities
    assert (ready.status, ready.attempt, ready.visible_at, ready.heartbeat_details) == ("PENDING", 2, NOW, "1")
    assert (ready.token, ready.owner, ready.session, ready.exchange, ready.deadline_at) == (None,) * 5
    assert touched(change) == {"activities"}


@pytest.mark.parametrize("work", [pending_work(), work_under_way(status="COMPLETED"), work_under_way(status="FAILED")])
def test_what_does_not_run_is_not_given_back(work: Activity) -> None:
    assert activities.give_back(PARKED, work, NOW).answer is False


def test_nothing_of_a_closed_run_is_given_back() -> None:
    assert activities.give_back(a_closed_run(), work_under_way(), NOW).answer is False


def test_an_activity_between_attempts_may_be_ready_at_once_with_its_attempts_counted() -> None:
    waiting = pending_work(attempt=3, visible_at=NOW + 400.0, schedule_to_start_secs=9.0, deadline_at=NOW + 409.0)

    assert activities.hurried(waiting, NOW) == waiting._replace(visible_at=NOW, deadline_at=NOW + 9.0)


@pytest.mark.parametrize("activity", [pending_work(), work_under_way(visible_at=NOW + 5.0)])
def test_what_does_not_wait_for_its_next_attempt_is_left_alone(activity: Activity) -> None:
    assert activities.hurried(activity, NOW) is None
