"""A timer's life: scheduled, fired when its time has come, cancelled while it is pending."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.domain import timers
from assay_wsgi.domain.change import Change
from assay_wsgi.domain.change import RunPen
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.model import Timer
from tests.domain.given import NOW
from tests.domain.given import RUN_KEY
from tests.domain.given import a_closed_run
from tests.domain.given import a_run
from tests.domain.given import events
from tests.domain.given import payload
from tests.domain.given import touched

PARKED = a_run(last_seq=4, wake_seq=2, seen_seq=4, waiting_for="[]")


def a_timer(**columns: Any) -> Timer:
    """Give a timer that is due now."""
    told = {
        "run_key": RUN_KEY, "seq": 3, "timer_key": 30, "namespace": "main", "fire_at": NOW, "status": "PENDING",
        "created_at": 900.0,
    }  # fmt: skip
    return Timer(**{**told, **columns})


@pytest.mark.parametrize(
    ("run", "fire_at"),
    [
        (PARKED, 1060.0),
        (PARKED._replace(updated_at=5000.0), 5060.0),  # the clock was set back: never before its own beginning
    ],
)
def test_a_timer_counts_from_the_event_that_schedules_it(run: Run, fire_at: float) -> None:
    change = Change()

    timer = timers.schedule(RunPen(change, run, None, NOW), ScheduleTimer(seq=3, duration_secs=60.0), 30)

    assert change.timers == [timer]
    assert timer == a_timer(fire_at=fire_at, created_at=fire_at - 60.0)
    assert payload(change.events[0]) == {"timer_id": 30, "timer_seq": 3, "fire_at": fire_at, "duration_secs": 60.0}


@pytest.mark.parametrize("overdue", [0.0, 0.001, 3600.0])
def test_a_timer_that_is_due_fires_and_wakes_the_run(overdue: float) -> None:
    change = timers.fire(PARKED, None, a_timer(fire_at=NOW - overdue), NOW)

    assert change.answer is True
    assert change.timers[0].status == "FIRED"
    assert events(change) == [(5, "TimerFired")]
    assert payload(change.events[0]) == {"timer_seq": 3, "fire_at": NOW - overdue}
    assert (change.runs[0].wake_seq, change.runs[0].waiting_for, change.tasks[0].ready_at) == (5, None, NOW)


@pytest.mark.parametrize(
    ("run", "timer"),
    [
        (PARKED, a_timer(fire_at=NOW + 0.001)),
        (PARKED, a_timer(status="FIRED")),
        (PARKED, a_timer(status="CANCELLED")),
        (PARKED, None),
        (a_closed_run(), a_timer()),
    ],
)
def test_nothing_else_fires(run: Run, timer: Timer | None) -> None:
    change = timers.fire(run, None, timer, NOW)

    assert (change.answer, touched(change)) == (False, set())


@pytest.mark.parametrize(
    ("status", "after", "told"),
    [("PENDING", ["CANCELLED"], [(5, "TimerCancelled")]), ("FIRED", [], []), ("CANCELLED", [], [])],
)
def test_only_a_pending_timer_is_cancelled(status: str, after: list[str], told: list[Any]) -> None:
    change = Change()

    timers.cancel(RunPen(change, PARKED, None, NOW), a_timer(status=status))

    assert [timer.status for timer in change.timers] == after
    assert events(change) == told
