"""The rules of schedules as tables: which tick is taken, what its run is called, when to look again."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.domain import schedules
from assay_wsgi.domain.cron import parse
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.model import Schedule
from assay_wsgi.domain.model import Tick
from assay_wsgi.domain.schedules import Surroundings
from assay_wsgi.jsontext import loads
from tests.domain.given import a_run
from tests.domain.given import keys

EVERY_TEN = parse("@every 10s")
FREE = Surroundings(lambda: (), lambda _: (), lambda ids: [None] * len(ids), keys())


def a_schedule(**columns: Any) -> Schedule:
    """Give a schedule that fires at 10, 20, ... and next at 100."""
    made = {
        **dict.fromkeys(Schedule._fields), "schedule_key": 1, "namespace": "main", "name": "s", "workflow_type": "T",
        "cron_expr": "@every 10s", "timezone": "UTC", "task_queue": "q", "overlap_policy": "skip",
        "catchup_window_secs": 60.0, "paused": False, "next_run_at": 100.0, "due_at": 100.0, "buffered": 0,
        "runs_started": 0, "ticks_skipped": 0, "ticks_missed": 0, "created_at": 5.0, "updated_at": 95.0,
    }  # fmt: skip
    return Schedule(**{**made, **columns})


def fire(schedule: Schedule, now: float, around: Surroundings = FREE, known: Any = lambda _: None) -> Any:
    return schedules.fire(schedule, [], lambda _: EVERY_TEN, known, around, now)


@pytest.mark.parametrize(
    ("now", "ticks", "missed", "following"),
    [
        (99.999, None, 0, 100.0),
        (100.0, [100.0], 0, 110.0),
        (109.999, [100.0], 0, 110.0),
        (110.0, [110.0], 1, 120.0),
        (165.0, [160.0], 6, 170.0),
        (1000.0, [1000.0], 90, 1010.0),
    ],
)
def test_the_newest_tick_is_taken_and_those_before_it_are_missed(
    now: float, ticks: list[float] | None, missed: int, following: float
) -> None:
    change = fire(a_schedule(), now)

    assert change.answer is (ticks is not None)
    if ticks is not None:
        (schedule,) = change.schedules
        assert [tick.tick for tick in change.ticks] == ticks
        assert (schedule.ticks_missed, schedule.next_run_at, schedule.due_at) == (missed, following, following)


@pytest.mark.parametrize(("now", "taken"), [(1060.0, True), (1060.001, False)])
def test_a_tick_is_too_late_when_it_is_older_than_the_window(now: float, taken: bool) -> None:
    rarely = parse("@every 1000s")
    schedule = a_schedule(next_run_at=1000.0, due_at=1000.0)

    change = schedules.fire(schedule, [], lambda _: rarely, lambda _: None, FREE, now)

    assert [len(change.ticks), change.schedules[0].ticks_missed] == ([1, 0] if taken else [0, 1])


def test_a_tick_that_is_known_is_not_taken_again() -> None:
    known = Tick(1, 100.0, "skipped", "cron", None, "overlap", None, 100.0)

    change = fire(a_schedule(), 100.0, known=lambda tick: known if tick == 100.0 else None)

    assert (change.ticks, change.new_runs) == ([], [])
    assert change.schedules[0].next_run_at == 110.0


def test_an_id_that_a_run_has_is_left_to_it() -> None:
    taken = Surroundings(lambda: (), lambda _: (), lambda ids: [a_run()] * len(ids), keys())

    (tick,) = fire(a_schedule(), 100.0, taken).ticks

    assert (tick.state, tick.reason) == ("skipped", "id_taken")


@pytest.mark.parametrize(
    ("tick", "name"), [(1_700_000_000.0, "s-1700000000"), (1_700_000_000.001, "s-1700000000001"), (0.0, "s-0")]
)
def test_a_run_is_called_after_its_tick(tick: float, name: str) -> None:
    assert schedules.workflow_id("s", tick) == name


@pytest.mark.parametrize(
    ("asked_at", "last", "tick"),
    [
        (100.5, None, 100.5),
        (100.0, None, 100.001),  # a whole second is the expression's
        (100.5, 100.5, 100.501),
        (100.5, 100.999, 101.001),
        (90.0, 100.5, 100.501),  # the clock was set back
    ],
)
def test_each_trigger_has_a_moment_of_its_own(asked_at: float, last: float | None, tick: float) -> None:
    _, made = schedules.trigger(a_schedule(last_trigger_at=last), [], None, asked_at, FREE, 100.0)

    assert made.tick == tick


def test_a_schedule_that_fails_waits_longer_each_time_up_to_ten_minutes() -> None:
    schedule, pauses = a_schedule(), []
    for _ in range(10):
        (schedule,) = schedules.postpone(schedule, [], "no", 100.0).schedules
        assert schedule.due_at is not None
        pauses.append(schedule.due_at - 100.0)

    assert pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]
    assert loads(schedule.error or "")["count"] == 10
    assert schedule.next_run_at == 100.0


@pytest.mark.parametrize(
    ("start", "end", "ticks"),
    [(100.0, 120.0, [100.0, 110.0, 120.0]), (100.001, 119.999, [110.0]), (101.0, 109.0, []), (-50.0, 0.0, [0.0])],
)
def test_a_time_has_the_ticks_from_its_first_moment_to_its_last(start: float, end: float, ticks: list[float]) -> None:
    assert schedules.ticks_between(EVERY_TEN, start, end) == ticks


def test_a_time_with_too_many_ticks_is_refused() -> None:
    assert len(schedules.ticks_between(EVERY_TEN, 10.0, 10_000.0)) == 1000
    with pytest.raises(Invalid, match="in parts"):
        schedules.ticks_between(EVERY_TEN, 10.0, 10_010.0)
