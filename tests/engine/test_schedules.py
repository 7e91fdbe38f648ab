"""Schedules: made, changed, paused, triggered, made up for; and what the clock does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import orjson
import pytest

from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.errors import IdempotencyKeyReused
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import InvalidCron
from assay_wsgi.domain.errors import InvalidTimezone
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import ScheduleExists
from assay_wsgi.domain.errors import ScheduleLimit
from assay_wsgi.domain.requests import Backfill
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import NewSchedule
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SchedulePatch
from assay_wsgi.engine.operations import FireSchedule
from tests.engine.scheduling import EVERY_TEN
from tests.engine.scheduling import at
from tests.engine.scheduling import finish
from tests.engine.scheduling import given_a_schedule
from tests.engine.scheduling import run_of
from tests.engine.scheduling import runs
from tests.engine.scheduling import shown
from tests.engine.scheduling import skipped
from tests.engine.scheduling import waiting
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.engine.stories import record
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

# ------------------------------------------------------------------------------------------- made and shown


def test_a_new_schedule_shows_its_next_times_and_runs_at_the_first_of_them_never_at_once(
    engine: Engine, clock: Clock
) -> None:
    clock.now = T0 + 3.0
    made = given_a_schedule(engine, input='{"n":1}', search_attributes={"team": "ops"})

    assert made == {
        "name": "s", "namespace": "main", "workflow_type": "Report", "cron_expr": EVERY_TEN, "timezone": "UTC",
        "input": '{"n":1}', "task_queue": QUEUE, "search_attributes": '{"team":"ops"}', "run_timeout_secs": None,
        "execution_timeout_secs": None, "overlap_policy": "skip", "catchup_window_secs": 60.0, "paused": False,
        "pause_reason": None, "last_run_at": None, "next_run_at": T0 + 10.0, "last_workflow_id": None, "buffered": 0,
        "runs_started": 0, "ticks_skipped": 0, "ticks_missed": 0, "error": None, "created_at": T0 + 3.0,
        "updated_at": T0 + 3.0, "next_runs": [T0 + 10.0, T0 + 20.0, T0 + 30.0],
    }  # fmt: skip
    assert engine.schedules.describe("s") == made
    assert engine.upkeep.next_deadline() == T0 + 10.0
    at(engine, clock, 9.999)
    assert runs(engine) == {}
    at(engine, clock, 10.0)
    assert runs(engine) == {run_of(10): "PENDING"}


def test_the_run_of_a_tick_has_the_schedules_type_queue_input_times_and_says_what_started_it(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(
        engine, input='{"n":1}', search_attributes={"team": "ops"}, run_timeout_secs=5.0, execution_timeout_secs=50.0
    )
    at(engine, clock, 10.0)

    run = record(engine, RunRef(workflow_id=run_of(10)))
    assert (run["workflow_type"], run["task_queue"], run["input"]) == ("Report", QUEUE, '{"n":1}')
    assert run["deadline_at"] == T0 + 15.0
    assert orjson.loads(run["search_attributes"]) == {
        "team": "ops", "ScheduledBy": "s", "ScheduledTime": "2023-11-14T22:13:30Z",
    }  # fmt: skip
    assert rows(engine, "SELECT event_type, workflow_id FROM notices ORDER BY id") == [
        ("workflow_started", run_of(10)),
        ("schedule_triggered", run_of(10)),
    ]
    assert shown(engine, "last_run_at", "last_workflow_id", "next_run_at") == [T0 + 10.0, run_of(10), T0 + 20.0]


def test_a_run_and_what_continues_it_are_told_for_which_tick_they_are_however_late_they_begin(
    engine: Engine, clock: Clock
) -> None:
    worker = Played(engine)
    given_a_schedule(engine, overlap_policy="queue")
    at(engine, clock, 10.0)
    first = worker.takes()
    at(engine, clock, 25.0)
    assert worker.reports(first, ContinueAsNew(workflow_id="another")) == {"ok": True}
    successor = worker.takes()
    finish(worker, successor)
    at(engine, clock, 26.0)

    late = worker.takes()

    assert [task["scheduled_for"] - T0 for task in (first, successor, late)] == [10.0, 10.0, 20.0]
    finish(worker, late)
    given_a_run(engine)
    assert worker.takes()["scheduled_for"] is None


def test_a_schedule_is_made_by_keywords_and_in_a_namespace_that_is_made_with_it(engine: Engine) -> None:
    made = engine.schedules.create("daily", "Report", "@daily", input={"n": 1}, namespace="shop", timezone="Asia/Tokyo")

    assert (made["input"], made["namespace"], made["timezone"]) == ('{"n":1}', "shop", "Asia/Tokyo")
    assert engine.namespaces.stats("shop")["schedules"] == 1
    assert [one["name"] for one in engine.schedules.list("shop")] == ["daily"]
    assert engine.schedules.list() == []


def test_two_schedules_of_one_name_live_in_two_namespaces_not_in_one(engine: Engine) -> None:
    given_a_schedule(engine)
    given_a_schedule(engine, namespace="shop")

    with pytest.raises(ScheduleExists):
        given_a_schedule(engine)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"cron_expr": "whenever"}, InvalidCron),
        ({"cron_expr": "0 0 0 1 1 ? 2020"}, InvalidCron),
        ({"timezone": "Mars/Olympus"}, InvalidTimezone),
        ({"overlap_policy": "queue_all"}, Invalid),
        ({"name": "x" * 241}, Invalid),
        ({"name": ""}, Invalid),
        ({"task_queue": ""}, Invalid),
        ({"input": "{"}, Invalid),
        ({"search_attributes": {"a": {1}}}, Invalid),
        ({"run_timeout_secs": 0}, Invalid),
        ({"catchup_window_secs": float("nan")}, Invalid),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    engine: Engine, wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        given_a_schedule(engine, **wrong)

    assert rows(engine, "SELECT name FROM workflow_schedules") == []
    if "overlap_policy" in wrong:
        assert "skip, queue, buffer_all, buffer_one, cancel_old" in str(refused.value)


def test_a_namespace_has_a_thousand_schedules_at_most(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.domain.schedules.SCHEDULES_AT_MOST", 2)
    given_a_schedule(engine, "a")
    given_a_schedule(engine, "b")

    with pytest.raises(ScheduleLimit):
        given_a_schedule(engine, "c")
    given_a_schedule(engine, "c", namespace="another")


def test_what_is_not_there_cannot_be_found(engine: Engine) -> None:
    does = engine.schedules
    for act in (
        lambda: does.describe("s"),
        lambda: does.next("s"),
        lambda: does.change("s", SchedulePatch(input="1")),
        lambda: does.pause("s"),
        lambda: does.resume("s"),
        lambda: does.trigger("s"),
        lambda: does.backfill("s", Backfill(start=0.0)),
        lambda: does.delete("s"),
    ):
        with pytest.raises(NotFound, match="not found: schedule s"):
            act()


def test_the_next_times_are_told_as_many_as_are_asked_for(engine: Engine) -> None:
    given_a_schedule(engine, cron_expr="0 2 * * *", timezone="Europe/Berlin")

    told = engine.schedules.next("s", 2)

    assert told == {
        "name": "s", "timezone": "Europe/Berlin", "paused": False, "next_runs": [1_700_010_000.0, 1_700_096_400.0],
    }  # fmt: skip
    for n in (0, 101, "3"):
        with pytest.raises(Invalid):
            engine.schedules.next("s", n)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------- changed, paused, removed


def test_a_new_expression_counts_from_the_change_on_and_the_tick_that_was_due_does_not_come(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(engine)
    clock.now = T0 + 10.5  # a tick is due, and nobody has looked
    changed = engine.schedules.change("s", SchedulePatch(cron_expr="0 * * * * *"))
    assert (changed["next_run_at"], changed["cron_expr"]) == (T0 + 40.0, "0 * * * * *")
    at(engine, clock, 39.9)
    assert runs(engine) == {}
    at(engine, clock, 40.0)
    assert runs(engine) == {run_of(40): "PENDING"}


def test_a_new_zone_moves_the_next_run(engine: Engine) -> None:
    given_a_schedule(engine, cron_expr="0 2 * * *")

    changed = engine.schedules.change("s", SchedulePatch(timezone="Europe/Berlin"))

    assert changed["next_run_at"] == 1_700_010_000.0


def test_other_changes_leave_the_next_run_where_it_is(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine)
    clock.advance(1.0)
    changed = engine.schedules.change(
        "s", SchedulePatch(workflow_type="Other", task_queue="far", input="2", search_attributes={"a": 1})
    )

    assert changed["next_run_at"] == T0 + 10.0
    at(engine, clock, 10.0)
    run = record(engine, RunRef(workflow_id=run_of(10)))
    assert (run["workflow_type"], run["task_queue"], run["input"]) == ("Other", "far", "2")
    assert orjson.loads(run["search_attributes"])["a"] == 1


def test_a_change_takes_a_time_out_away_by_0_and_attributes_by_none_of_them(engine: Engine) -> None:
    given_a_schedule(engine, run_timeout_secs=5.0, execution_timeout_secs=50.0, search_attributes={"a": 1})

    changed = engine.schedules.change("s", SchedulePatch(run_timeout_secs=0, search_attributes={}))

    assert (changed["run_timeout_secs"], changed["execution_timeout_secs"]) == (None, 50.0)
    assert changed["search_attributes"] is None
    for wrong in ({"run_timeout_secs": -1.0}, {"catchup_window_secs": 0}):
        with pytest.raises(Invalid):
            engine.schedules.change("s", SchedulePatch(**wrong))


def test_a_change_of_nothing_changes_nothing(engine: Engine, clock: Clock) -> None:
    made = given_a_schedule(engine)
    clock.advance(1.0)

    assert engine.schedules.change("s", SchedulePatch()) == made


@pytest.mark.parametrize("patch", [{"cron_expr": "* *"}, {"timezone": "Mars"}, {"cron_expr": "0 0 0 1 1 ? 2020"}])
def test_a_change_that_cannot_be_meant_is_refused_also_while_it_is_paused(
    engine: Engine, patch: dict[str, Any]
) -> None:
    given_a_schedule(engine)
    for _ in range(2):
        before = engine.schedules.describe("s")
        with pytest.raises((InvalidCron, InvalidTimezone)):
            engine.schedules.change("s", SchedulePatch(**patch))
        assert engine.schedules.describe("s") == before
        engine.schedules.pause("s")


def test_while_it_is_paused_no_tick_comes_and_what_waited_is_skipped(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    worker = Played(engine)
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)
    paused = engine.schedules.pause("s", "it rains")
    assert (paused["paused"], paused["pause_reason"], paused["next_run_at"], paused["buffered"]) == (
        True, "it rains", None, 0,
    )  # fmt: skip
    assert engine.schedules.pause("s") == paused
    finish(worker)
    at(engine, clock, 300.0)

    assert runs(engine) == {run_of(10): "COMPLETED"}
    assert skipped(engine) == [(20.0, "paused")]


def test_it_is_resumed_at_its_next_tick_and_nothing_is_made_up_for(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine)
    engine.schedules.pause("s")
    clock.now = T0 + 303.0
    resumed = engine.schedules.resume("s")
    assert (resumed["paused"], resumed["next_run_at"], resumed["ticks_missed"]) == (False, T0 + 310.0, 0)
    clock.now = T0 + 304.0
    assert engine.schedules.resume("s") == resumed
    at(engine, clock, 309.0)
    assert runs(engine) == {}
    at(engine, clock, 310.0)
    assert runs(engine) == {run_of(310): "PENDING"}


def test_one_that_is_removed_starts_nothing_more_and_leaves_its_runs(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    worker = Played(engine)
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)
    assert engine.schedules.delete("s") == {"ok": True}
    at(engine, clock, 30.0)
    finish(worker)
    at(engine, clock, 40.0)

    assert runs(engine) == {run_of(10): "COMPLETED"}
    assert engine.schedules.list() == []
    given_a_schedule(engine)  # the name is free


# ------------------------------------------------------------------------------------ what is asked for


def test_a_trigger_starts_a_run_of_its_own_now_and_the_ticks_go_on(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="allow_all")
    clock.now = T0 + 10.0  # on a tick: the two have ids of their own
    first, second = engine.schedules.trigger("s"), engine.schedules.trigger("s")
    assert first == {
        "schedule": "s", "tick": T0 + 10.001, "outcome": "started", "reason": None,
        "workflow_id": "s-1700000010001", "run_id": first["run_id"],
    }  # fmt: skip
    assert second["workflow_id"] == "s-1700000010002"
    at(engine, clock, 10.0)

    assert list(runs(engine)) == ["s-1700000010001", "s-1700000010002", run_of(10)]
    assert shown(engine, "next_run_at", "runs_started") == [T0 + 20.0, 3]


def test_a_trigger_obeys_the_overlap_policy_unless_it_names_another(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine)
    at(engine, clock, 10.0)

    skips = engine.schedules.trigger("s")
    waits = engine.schedules.trigger("s", "queue")
    starts = engine.schedules.trigger("s", "allow_all")

    assert [(one["outcome"], one["reason"]) for one in (skips, waits, starts)] == [
        ("skipped", "overlap"), ("buffered", None), ("started", None),
    ]  # fmt: skip
    assert list(runs(engine)) == [run_of(10), starts["workflow_id"]]


def test_a_trigger_works_while_the_schedule_is_paused(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    worker = Played(engine)
    engine.schedules.pause("s")
    first, second = engine.schedules.trigger("s"), engine.schedules.trigger("s")
    assert (first["outcome"], second["outcome"]) == ("started", "buffered")
    finish(worker)
    at(engine, clock, 5.0)

    assert runs(engine) == {first["workflow_id"]: "COMPLETED", second["workflow_id"]: "PENDING"}


def test_a_trigger_under_a_key_happens_once(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="allow_all")
    key = Idempotency(scope="me", key="k", hash="h")
    first = engine.schedules.trigger("s", idempotency=key)
    clock.advance(1.0)

    assert engine.schedules.trigger("s", idempotency=key) == first
    assert list(runs(engine)) == [first["workflow_id"]]
    with pytest.raises(IdempotencyKeyReused):
        engine.schedules.trigger("s", idempotency=Idempotency(scope="me", key="k", hash="other"))


def test_a_backfill_starts_each_tick_of_a_time_that_has_passed_once_however_often_it_is_asked_for(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(engine)
    worker = Played(engine)
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)  # skipped: the run of 10 is open
    asked = Backfill(start=T0 - 10.0, end=T0 + 20.0)
    assert engine.schedules.backfill("s", asked) == {"ticks": 4, "queued": 3, "known": 1, "left": 0}
    assert engine.schedules.backfill("s", asked) == {"ticks": 4, "queued": 0, "known": 4, "left": 0}

    for secs in (21.0, 22.0, 23.0, 24.0):
        finish(worker)
        at(engine, clock, secs)

    assert list(runs(engine)) == [run_of(10), run_of(-10), run_of(0), run_of(20)]
    assert engine.schedules.backfill("s", asked) == {"ticks": 4, "queued": 0, "known": 4, "left": 0}
    at(engine, clock, 25.0)
    assert len(runs(engine)) == 4


def test_a_backfill_of_many_that_may_overlap_is_started_in_bounded_units(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, cron_expr="@every 1s")
    engine.schedules.pause("s")
    clock.now = T0 + 50.0
    asked = Backfill(start=T0 + 1.0, overlap_policy="allow_all")
    assert engine.schedules.backfill("s", asked)["queued"] == 50

    assert [len(runs(engine)) for _ in range(3) if engine.upkeep.fire_schedules()] == [20, 40, 50]
    assert engine.upkeep.fire_schedules() == 0


def test_a_backfill_takes_what_the_buffer_has_room_for_and_says_what_is_left(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay_wsgi.domain.overlap.BUFFER_AT_MOST", 2)
    given_a_schedule(engine)
    worker = Played(engine)
    at(engine, clock, 10.0)
    asked = Backfill(start=T0 - 30.0, end=T0)
    assert engine.schedules.backfill("s", asked) == {"ticks": 4, "queued": 2, "known": 0, "left": 2}
    finish(worker)
    at(engine, clock, 11.0)

    assert engine.schedules.backfill("s", asked) == {"ticks": 4, "queued": 1, "known": 2, "left": 1}
    assert waiting(engine) == [-20.0, -10.0]


def test_a_backfill_ends_now_since_later_ticks_come_by_themselves(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine)
    clock.now = T0 + 15.0

    asked = Backfill(start=T0 + 10.0, end=T0 + 100.0)

    assert engine.schedules.backfill("s", asked) == {"ticks": 1, "queued": 1, "known": 0, "left": 0}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Backfill(start=T0 + 1.0, end=T0 + 60.0), "future"),
        (Backfill(start=T0, end=T0 - 1.0), "before start"),
        (Backfill(start=float("inf")), "seconds since the epoch"),
        (Backfill(start=T0 - 11_000.0), "in parts"),
        (Backfill(start=T0, overlap_policy="whatever"), "overlap_policy is one of"),
    ],
    ids=str,
)
def test_a_backfill_that_cannot_be_meant_is_refused(engine: Engine, asked: Backfill, says: str) -> None:
    given_a_schedule(engine)

    with pytest.raises(Invalid, match=says):
        engine.schedules.backfill("s", asked)


# ---------------------------------------------------------------------------------------------- the clock


def test_after_a_standstill_the_newest_tick_is_made_up_for_and_the_others_are_missed(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(engine)
    at(engine, clock, 3605.0)

    assert runs(engine) == {run_of(3600): "PENDING"}
    assert shown(engine, "ticks_missed", "next_run_at", "last_run_at") == [359, T0 + 3610.0, T0 + 3605.0]


def test_a_tick_older_than_the_catch_up_window_is_missed(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, cron_expr="@every 1h", catchup_window_secs=60.0)  # the next is at T0 + 2800
    at(engine, clock, 2860.001)
    assert (runs(engine), shown(engine, "ticks_missed", "next_run_at")) == ({}, [1, T0 + 6400.0])
    at(engine, clock, 6460.0)

    assert runs(engine) == {run_of(6400): "PENDING"}


def test_a_tick_comes_once_also_where_the_clock_is_set_back_and_the_schedule_made_to_count_anew(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(engine, overlap_policy="allow_all")
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)
    clock.now = T0 + 5.0
    engine.schedules.change("s", SchedulePatch(cron_expr=EVERY_TEN))
    assert shown(engine, "next_run_at") == T0 + 10.0
    for secs in (10.0, 20.0, 30.0):
        at(engine, clock, secs)

    assert list(runs(engine)) == [run_of(10), run_of(20), run_of(30)]


def test_a_clock_that_was_an_hour_ahead_does_not_silence_a_schedule_for_an_hour(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="allow_all")
    at(engine, clock, 10.0)
    at(engine, clock, 3600.0)  # by a wrong clock
    at(engine, clock, 15.0)
    assert shown(engine, "next_run_at") == T0 + 20.0
    for secs in (20.0, 30.0, 3600.0):
        at(engine, clock, secs)

    assert list(runs(engine))[:4] == [run_of(10), run_of(20), run_of(30), run_of(3600)]
    assert len(runs(engine)) == 4


def test_an_id_that_another_run_has_is_left_to_it_and_the_tick_is_skipped(engine: Engine, clock: Clock) -> None:
    given_a_run(engine, run_of(10))
    given_a_run(engine, run_of(20))
    engine.workflows.terminate(run_of(20))
    given_a_schedule(engine)
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)

    assert skipped(engine) == [(10.0, "id_taken"), (20.0, "id_taken")]
    assert runs(engine) == {run_of(10): "PENDING", run_of(20): "FAILED"}
    at(engine, clock, 30.0)
    assert runs(engine)[run_of(30)] == "PENDING"


def test_one_that_has_no_time_any_more_rests(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, cron_expr="30 13 22 14 11 ? 2023")
    at(engine, clock, 10.0)

    assert runs(engine) == {run_of(10): "PENDING"}
    assert shown(engine, "next_run_at", "paused", "next_runs") == [None, False, []]


def test_one_that_this_host_cannot_read_says_so_waits_longer_each_time_and_stops_no_other(
    engine: Engine, clock: Clock
) -> None:
    given_a_schedule(engine, "bad")
    given_a_schedule(engine, "good")
    put(engine, "UPDATE workflow_schedules SET timezone = 'Mars/Olympus' WHERE name = 'bad'")
    at(engine, clock, 10.0)
    assert list(runs(engine)) == [run_of(10, "good")]
    error = shown(engine, "error", name="bad")
    assert "Mars/Olympus" in error["message"]
    assert (error["count"], error["at"]) == (1, T0 + 10.0)

    at(engine, clock, 14.9)
    assert shown(engine, "error", name="bad")["count"] == 1
    at(engine, clock, 15.0)
    assert shown(engine, "error", name="bad")["count"] == 2
    at(engine, clock, 24.9)
    assert shown(engine, "error", name="bad")["count"] == 2

    put(engine, "UPDATE workflow_schedules SET timezone = 'UTC' WHERE name = 'bad'")
    at(engine, clock, 25.0)
    assert shown(engine, "error", "next_run_at", "ticks_missed", name="bad") == [None, T0 + 30.0, 1]
    assert run_of(20, "bad") in runs(engine)


def test_one_whose_unit_breaks_stops_no_other(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "bad", "c"):
        given_a_schedule(engine, name)
    decide = FireSchedule.decide
    (key,) = rows(engine, "SELECT schedule_key FROM workflow_schedules WHERE name = 'bad'")[0]

    def breaks(fire: FireSchedule, *more: Any) -> Any:
        if fire.schedule_key == key:
            raise ZeroDivisionError("a bug")
        return decide(fire, *more)

    monkeypatch.setattr(FireSchedule, "decide", breaks)
    at(engine, clock, 10.0)

    assert set(runs(engine)) == {run_of(10, "a"), run_of(10, "c")}
    assert shown(engine, "error", name="bad")["message"] == "ZeroDivisionError('a bug')"


def test_what_became_of_ticks_is_forgotten_after_a_week(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    for secs in (10.0, 20.0, 30.0):
        at(engine, clock, secs)
    engine.schedules.pause("s")
    engine.schedules.trigger("s")
    clock.advance(7 * 86_400.0)
    engine.upkeep.prune()

    assert rows(engine, "SELECT state FROM schedule_runs") == [("buffered",)]


def test_a_schedule_may_be_kept_in_a_namespace_that_goes_by_force_only(engine: Engine, clock: Clock) -> None:
    engine.schedules.create(NewSchedule(name="s", workflow_type="W", cron_expr=EVERY_TEN, namespace="shop"))
    at(engine, clock, 10.0)

    assert engine.namespaces.delete_with_all("shop") == {"ok": True, "done": True, "deleted_workflows": 1}
    at(engine, clock, 20.0)
    assert rows(engine, "SELECT name FROM namespaces") == [("main",)]
    assert rows(engine, "SELECT name FROM workflow_schedules") == []
