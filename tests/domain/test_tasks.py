"""The lease on a workflow task: failures and their back-off, taking back, giving back."""

from __future__ import annotations

import pytest

from assay_wsgi.domain import tasks
from assay_wsgi.domain.model import Task
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.jsontext import loads
from tests.domain.given import NOW
from tests.domain.given import a_lease
from tests.domain.given import a_ready_task
from tests.domain.given import a_run
from tests.domain.given import touched

FREE = (None,) * 6


def lease_of(task: Task) -> tuple[object, ...]:
    return (task.token, task.owner, task.session, task.exchange, task.claimed_seq, task.deadline_at)


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (8, 256.0), (9, 512.0), (10, 600.0), (11, 600.0), (2_000_000, 600.0)],
)
def test_a_failed_task_comes_again_after_a_wait_that_doubles_up_to_ten_minutes(attempt: int, wait: float) -> None:
    change = tasks.failed(a_run(), a_lease(attempt=attempt, closes_refused=2), TaskFailure(cause="bug"), NOW)

    (task,) = change.tasks
    assert (task.ready_at, task.attempt, task.closes_refused) == (NOW + wait, attempt + 1, 0)
    assert lease_of(task) == FREE
    assert change.events == []
    assert change.runs[0].status == "RUNNING"


def test_failures_in_a_row_are_counted_since_the_first() -> None:
    run = tasks.failed(a_run(), a_lease(), TaskFailure(cause="bug", message="one"), NOW).runs[0]

    run = tasks.failed(run, a_lease(), TaskFailure(cause="bug", message="two"), NOW + 60.0).runs[0]

    told = loads(run.task_failure or "")
    assert told == {
        "cause": "bug", "message": "two", "trace": None, "count": 2, "first_at": NOW, "last_at": NOW + 60.0,
    }  # fmt: skip


def test_long_texts_are_cut_the_trace_at_its_beginning() -> None:
    failure = TaskFailure(cause="bug", message="m" + "x" * 5000, trace="x" * 5000 + "t")

    told = loads(tasks.failed(a_run(), a_lease(), failure, NOW).runs[0].task_failure or "")

    assert (len(told["message"]), told["message"][0]) == (4096, "m")
    assert (len(told["trace"]), told["trace"][-1]) == (4096, "t")


@pytest.mark.parametrize(
    ("task", "expired"),
    [
        (a_lease(deadline_at=NOW), True),
        (a_lease(deadline_at=NOW - 0.001), True),
        (a_lease(deadline_at=NOW + 0.001), False),
        (a_ready_task(), False),
        (None, False),
    ],
)
def test_a_lease_past_its_time_is_taken_back_and_counted(task: Task | None, expired: bool) -> None:
    change = tasks.expire(a_run(), task, NOW)

    assert change.answer is expired
    if not expired:
        assert touched(change) == set()
        return
    assert (change.tasks[0].ready_at, change.tasks[0].attempt) == (NOW, 1)
    assert lease_of(change.tasks[0]) == FREE
    told = loads(change.runs[0].task_failure or "{}")
    assert (told["cause"], told["count"], told["first_at"]) == ("timeout", 1, NOW)


@pytest.mark.parametrize(("attempt", "wait"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0), (4, 4.0), (50, 600.0)])
def test_a_task_that_outlives_its_leases_again_and_again_waits_longer_each_time(attempt: int, wait: float) -> None:
    change = tasks.expire(a_run(), a_lease(deadline_at=NOW, attempt=attempt), NOW)

    assert (change.tasks[0].ready_at, change.tasks[0].attempt) == (NOW + wait, attempt + 1)


@pytest.mark.parametrize(("task", "given"), [(a_lease(attempt=2), True), (a_ready_task(), False), (None, False)])
def test_a_lease_given_back_does_not_count(task: Task | None, given: bool) -> None:
    change = tasks.give_back(task, NOW)

    assert change.answer is given
    if given:
        assert (change.tasks[0].ready_at, change.tasks[0].attempt) == (NOW, 2)
        assert lease_of(change.tasks[0]) == FREE


@pytest.mark.parametrize(
    ("task", "ready_at", "attempt"),
    [
        (a_ready_task(attempt=9, ready_at=NOW + 512.0), NOW, 0),
        (a_ready_task(attempt=9, ready_at=NOW - 5.0), NOW - 5.0, 0),  # its age is its place in the queue
        (a_lease(attempt=9, ready_at=NOW - 5.0), NOW - 5.0, 0),
    ],
)
def test_a_back_off_that_is_ended_begins_anew_with_the_next_failure(task: Task, ready_at: float, attempt: int) -> None:
    again = tasks.hurried(task, NOW)

    assert again == task._replace(ready_at=ready_at, attempt=attempt)


@pytest.mark.parametrize("task", [None, a_ready_task(), a_lease()])
def test_where_there_is_no_back_off_the_task_stays_what_it_is(task: Task | None) -> None:
    assert tasks.hurried(task, NOW) is task
