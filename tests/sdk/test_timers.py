"""Time in workflow code: sleeps, timers, signals that are not waited for for ever, and what time it is."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import TimerCancelledError
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble

app = Assay()


@app.workflow
def nap(ctx: Context, secs: float = 60) -> str:
    ctx.sleep(secs)
    return ctx.now().isoformat()


@app.workflow
def approval(ctx: Context) -> Any:
    said = ctx.wait_for_signal("approve", timeout=timedelta(hours=1))
    name = ctx.execute_activity("note", said)
    return [said, name, ctx.wait_for_signal("approve")]


def test_a_sleep_is_a_timer_that_is_waited_for() -> None:
    past = Past(90)

    assert past.turn(nap).commands == [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 90.0}]
    assert past.timer(1, 90).turn(nap).commands == []
    assert result(past.fired(1).turn(nap)) == "1970-01-01T00:16:43+00:00"


def test_a_sleep_may_be_a_timedelta() -> None:
    @Assay().workflow
    def long(ctx: Context) -> None:
        ctx.sleep(timedelta(days=2, milliseconds=500))

    assert Past().turn(long).commands == [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 172800.5}]


@pytest.mark.parametrize("secs", [0, -3])
def test_no_time_is_a_step_too(secs: float) -> None:
    past = Past(secs)

    assert past.turn(nap).commands == [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 0.0}]
    assert kinds(past.timer(1, 0).fired(1).unrolled(nap)) == ["CompleteWorkflow"]


@pytest.mark.parametrize("secs", ["nan", "inf"])
def test_a_sleep_without_an_end_fails_the_task(secs: str) -> None:
    @Assay().workflow
    def endless(ctx: Context) -> None:
        ctx.sleep(float(secs))

    assert trouble(Past().turn(endless)) == f"exception: ValueError: a duration must be finite, not {secs}"


def test_sleep_until_counts_from_what_the_code_has_waited_for() -> None:
    @Assay().workflow
    def alarm(ctx: Context) -> None:
        ctx.sleep_until(datetime(1970, 1, 1, 0, 20, tzinfo=UTC))
        ctx.sleep_until(datetime(1970, 1, 1, 0, 20, tzinfo=UTC))

    past = Past()

    assert past.turn(alarm).commands == [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 199.0}]
    assert past.timer(1, 199).fired(1).turn(alarm).commands == [
        {"type": "ScheduleTimer", "seq": 2, "duration_secs": 197.0}
    ]


def test_sleep_until_wants_to_know_the_time_zone() -> None:
    @Assay().workflow
    def alarm(ctx: Context) -> None:
        ctx.sleep_until(datetime(2030, 1, 1))  # noqa: DTZ001 -- what users write

    assert "2030-01-01 00:00:00 has no time zone" in trouble(Past().turn(alarm))


def test_now_is_the_time_of_the_event_last_waited_for_in_each_replay() -> None:
    @Assay().workflow
    def clock(ctx: Context) -> list[float]:
        times = [ctx.now().timestamp()]
        ctx.execute_activity("one")
        times.append(ctx.now().timestamp())
        ctx.side_effect("two", lambda: 2)
        times.append(ctx.now().timestamp())
        ctx.wait_for_signal("three")
        return [*times, ctx.now().timestamp()]

    past = Past().signal("three").done(1, "one", None).side_effect(2, "two", 2)

    assert result(past.unrolled(clock)) == [1001.0, 1004.0, 1004.0, 1004.0]


# --------------------------------------------------------------------------- signals with a time-out


def test_a_wait_with_a_time_out_sets_a_timer_of_its_own() -> None:
    past = Past()

    assert past.turn(approval).commands == [
        {"type": "ScheduleTimer", "seq": 1, "duration_secs": 3600.0},
        {"type": "WaitForSignal", "name": "approve", "timer_seq": 1},
    ]
    assert past.timer(1, 3600).awaiting("approve", timer_seq=1).turn(approval).commands == [
        {"type": "WaitForSignal", "name": "approve", "timer_seq": 1}
    ]


def waiting() -> Past:
    return Past().timer(1, 3600).awaiting("approve", timer_seq=1)


def test_a_signal_in_time_ends_the_wait() -> None:
    past = waiting().signal("approve", "yes").timer_cancelled(1).done(2, "note", "n").signal("approve", "again")

    assert result(past.unrolled(approval)) == ["yes", "n", "again"]


def test_a_time_out_gives_none_and_a_late_signal_is_there_for_the_next_wait() -> None:
    past = waiting().fired(1).signal("approve", "late").done(2, "note", "n")

    assert result(past.unrolled(approval)) == [None, "n", "late"]


def test_what_came_first_decides_when_both_are_there() -> None:
    signal_first = waiting().signal("approve", "yes").fired(1)
    timer_first = waiting().fired(1).signal("approve", "late")

    assert signal_first.turn(approval).commands[-1]["input"] == "yes"
    assert timer_first.turn(approval).commands[-1]["input"] is None


def test_a_signal_that_is_there_already_needs_no_timer_but_the_numbers_stay() -> None:
    past = Past().signal("approve", "yes")

    (command,) = past.turn(approval).commands
    assert (command["type"], command["seq"], command["input"]) == ("ScheduleActivity", 2, "yes")
    past.done(2, "note", "n").signal("approve", "again")
    assert result(past.unrolled(approval, since=2)) == ["yes", "n", "again"]


def test_a_timer_that_nobody_cancelled_for_the_signal_is_cancelled_with_the_next_step() -> None:
    past = waiting().signal("approve", "yes")

    assert kinds(past.turn(approval)) == ["CancelTimer", "ScheduleActivity"]
    assert past.turn(approval).commands[0] == {"type": "CancelTimer", "timer_seq": 1}
    assert kinds(past.timer_cancelled(1).turn(approval)) == ["ScheduleActivity"]


def test_a_time_out_of_zero_asks_and_does_not_wait_long() -> None:
    @Assay().workflow
    def glance(ctx: Context) -> Any:
        return ctx.wait_for_signal("news", int, timeout=0)

    past = Past()

    assert past.turn(glance).commands[0] == {"type": "ScheduleTimer", "seq": 1, "duration_secs": 0.0}
    assert result(past.timer(1, 0).awaiting("news", timer_seq=1).fired(1).unrolled(glance)) is None
    assert result(Past().signal("news", 4).turn(glance)) == 4


# --------------------------------------------------------------------------- timers as handles


def test_a_timer_handle_is_waited_for_when_the_code_wants_to() -> None:
    @Assay().workflow
    def both(ctx: Context) -> Any:
        timer = ctx.start_timer(30)
        found = ctx.execute_activity("look")
        return [found, timer.done, timer.result(), timer.done]

    past = Past()

    assert kinds(past.turn(both)) == ["ScheduleTimer", "ScheduleActivity"]
    assert result(past.timer(1, 30).scheduled(2, "look").completed(2, "x").fired(1).unrolled(both)) == [
        "x", False, None, True
    ]  # fmt: skip


def test_a_cancelled_timer_raises_at_once_and_ever_after() -> None:
    @Assay().workflow
    def hasty(ctx: Context) -> Any:
        timer = ctx.start_timer(30)
        ctx.execute_activity("look")
        timer.cancel()
        timer.cancel()
        try:
            timer.result()
        except TimerCancelledError as error:
            return [str(error), timer.done, ctx.execute_activity("more")]

    past = Past().timer(1, 30).scheduled(2, "look").completed(2, "x")

    assert kinds(past.turn(hasty)) == ["CancelTimer", "ScheduleActivity"]
    past.timer_cancelled(1).done(3, "more", "m")
    assert result(past.unrolled(hasty)) == ["the timer was cancelled", True, "m"]


def test_a_cancelled_timer_that_escapes_fails_the_run() -> None:
    @Assay().workflow
    def blunt(ctx: Context) -> None:
        timer = ctx.start_timer(30)
        timer.cancel()
        timer.result()

    assert Past().turn(blunt).commands == [
        {"type": "ScheduleTimer", "seq": 1, "duration_secs": 30.0},
        {"type": "CancelTimer", "timer_seq": 1},
        {"type": "FailWorkflow", "error": "the timer was cancelled"},
    ]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (
            Past().done(1, "nap", 1),
            "command 1: history has activity 'nap' (event 2), but the code now asks for",
        ),
        (
            Past().side_effect(1, "x", 1),
            "command 1: history has side effect 'x' (event 2), but the code now asks",
        ),
        (
            Past().timer(1, 60).timer(2, 5),
            "command 2: history has a timer of 5 s (event 3), but the code now waits for a timer of 60 s before",
        ),
        (Past().timer(1, 60).fired(1).timer(2, 5), "has a timer of 5 s (event 4), but the code now returns before"),
    ],
)
def test_a_timer_in_another_place_is_nondeterminism(history: Past, says: str) -> None:
    assert trouble(history.turn(nap)).startswith("nondeterminism: ")
    assert says in trouble(history.turn(nap))


def test_another_duration_of_a_timer_that_runs_is_no_other_step() -> None:
    past = Past(60).timer(1, 3600).fired(1)

    assert kinds(past.turn(nap)) == ["CompleteWorkflow"]
