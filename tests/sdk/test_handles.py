"""Handles: several steps at once, the first of them, and giving them up."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.sdk import ActivityCancelledError
from assay_wsgi.sdk import ActivityError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble

app = Assay()


@app.activity
def double(n: int, by: int = 2) -> int:
    return n * by


@app.workflow
def three(ctx: Context) -> Any:
    handles = [ctx.start_activity(double, n) for n in range(3)]
    return list(ctx.gather(*handles))


def scheduled(count: int = 3) -> Past:
    past = Past()
    for number in range(1, count + 1):
        past.scheduled(number, "double")
    return past


def test_all_that_was_begun_is_sent_together_at_the_first_wait() -> None:
    turn = Past().turn(three)

    assert [(one["type"], one["seq"], one["input"]) for one in turn.commands] == [
        ("ScheduleActivity", 1, {"n": 0}),
        ("ScheduleActivity", 2, {"n": 1}),
        ("ScheduleActivity", 3, {"n": 2}),
    ]


def test_gather_waits_for_all_and_keeps_the_order() -> None:
    past = scheduled().completed(3, 4).completed(1, 0)

    assert past.turn(three).commands == []
    assert result(past.completed(2, 2).unrolled(three)) == [0, 2, 4]


def test_gather_raises_the_first_failure_of_the_list_when_all_have_ended() -> None:
    past = scheduled().failed(3, "double", "early").failed(2, "double", "late")

    assert past.turn(three).commands == []
    assert past.completed(1, 0).unrolled(three).commands == [
        {"type": "FailWorkflow", "error": "activity 'double' failed: late"}
    ]


def test_gather_can_return_the_errors_among_the_results() -> None:
    @Assay().workflow
    def lenient(ctx: Context) -> Any:
        found = ctx.gather(ctx.start_activity(double, 1), ctx.start_activity(double, 2), return_exceptions=True)
        return [str(one) for one in found]

    past = scheduled(2).completed(2, 4).failed(1, "double", "no")

    assert result(past.unrolled(lenient)) == ["activity 'double' failed: no", "4"]


def test_gather_of_nothing_is_nothing() -> None:
    @Assay().workflow
    def empty(ctx: Context) -> Any:
        return [list(ctx.gather()), ctx.execute_parallel([]), list(ctx.as_completed([]))]

    assert result(Past().turn(empty)) == [[], [], []]


def test_execute_parallel_takes_tuples_and_prepared_calls() -> None:
    @Assay().workflow
    def mixed(ctx: Context) -> Any:
        return ctx.execute_parallel([(double, 1, 3), double.prepare(2, by=5), ("elsewhere", {"x": 1}), ("bare",)])

    past = Past()
    turn = past.turn(mixed)

    assert [(one["name"], one["input"]) for one in turn.commands] == [
        ("double", {"n": 1, "by": 3}), ("double", {"n": 2, "by": 5}), ("elsewhere", {"x": 1}), ("bare", None)
    ]  # fmt: skip
    past.scheduled(1, "double").scheduled(2, "double").scheduled(3, "elsewhere").scheduled(4, "bare")
    past.completed(4, "d").completed(1, 3).completed(3, "c").completed(2, 10)
    assert result(past.unrolled(mixed)) == [3, 10, "c", "d"]


@pytest.mark.parametrize("call", ["double", double, (), 7])
def test_execute_parallel_refuses_what_is_no_call(call: Any) -> None:
    @Assay().workflow
    def wrong(ctx: Context) -> Any:
        return ctx.execute_parallel([call])

    assert "TypeError: a call is activity.prepare(...) or a tuple" in trouble(Past().turn(wrong))


# --------------------------------------------------------------------------- the first of several


@app.workflow
def race(ctx: Context) -> Any:
    slow, fast = ctx.start_activity(double, 1), ctx.start_activity(double, 2)
    first = ctx.wait_any(slow, fast)
    more = ctx.execute_activity("more", first is fast)
    return [first is fast, first.result(), slow.done, more, slow.result(), slow.done]


def test_wait_any_returns_the_one_that_ended_first_in_each_replay() -> None:
    past = scheduled(2).completed(2, 4).done(3, "more", "m").completed(1, 2)
    both = scheduled(2).completed(2, 4).completed(1, 2)

    assert result(past.unrolled(race)) == [True, 4, False, "m", 2, True]
    assert both.turn(race).commands[0]["input"] is True


def test_what_is_done_does_not_depend_on_how_long_the_history_is() -> None:
    @Assay().workflow
    def watch(ctx: Context) -> list[bool]:
        one = ctx.start_activity(double, 1)
        seen = []
        while not one.done:
            ctx.sleep(1)
            seen.append(one.done)
        return seen

    past = Past().scheduled(1, "double").timer(2, 1).fired(2).timer(3, 1).completed(1, 2).fired(3)

    assert result(past.unrolled(watch)) == [False, True]


def test_wait_any_gives_up_after_its_time_out() -> None:
    @Assay().workflow
    def brief(ctx: Context) -> Any:
        one = ctx.start_activity(double, 1)
        first = ctx.wait_any(one, timeout=5)
        return [first is one, ctx.execute_activity("more")]

    past = Past()
    assert kinds(past.turn(brief)) == ["ScheduleActivity", "ScheduleTimer"]
    past.scheduled(1, "double").timer(2, 5)
    late = past.first(3).fired(2).completed(1, 2).done(3, "more", "m")
    early = past.first(3).completed(1, 2).timer_cancelled(2).done(3, "more", "m")

    assert result(late.unrolled(brief)) == [False, "m"]
    assert result(early.unrolled(brief)) == [True, "m"]
    assert kinds(early.first(4).turn(brief)) == ["CancelTimer", "ScheduleActivity"]


def test_a_timer_races_an_activity() -> None:
    @Assay().workflow
    def duel(ctx: Context) -> Any:
        work, alarm = ctx.start_activity(double, 1), ctx.start_timer(9)
        if ctx.wait_any(work, alarm) is alarm:
            work.cancel()
            return "too slow"
        alarm.cancel()
        return work.result()

    past = Past().scheduled(1, "double").timer(2, 9)

    slow = past.first(3).fired(2)
    assert kinds(slow.turn(duel)) == ["CancelActivity", "CompleteWorkflow"]
    fast = past.first(3).completed(1, 2)
    assert kinds(fast.turn(duel)) == ["CancelTimer", "CompleteWorkflow"]


def test_wait_any_of_nothing_is_an_error() -> None:
    @Assay().workflow
    def nothing(ctx: Context) -> None:
        ctx.wait_any()

    assert trouble(Past().turn(nothing)) == "exception: ValueError: there is nothing to wait for"


def test_as_completed_yields_in_the_order_of_the_ends() -> None:
    @Assay().workflow
    def stream(ctx: Context) -> Any:
        handles = [ctx.start_activity(double, n) for n in range(3)]
        order = []
        for one in ctx.as_completed(handles):
            order.append(one.result())
            ctx.upsert_search_attributes({"last": one.number})
        return order

    past = scheduled().completed(2, 22)
    past.add("SearchAttributesUpserted", {"patch": {"last": 2}, "upsert_seq": 4}).completed(3, 33).completed(1, 11)
    past.add("SearchAttributesUpserted", {"patch": {"last": 3}, "upsert_seq": 5})
    past.add("SearchAttributesUpserted", {"patch": {"last": 1}, "upsert_seq": 6})

    assert result(past.unrolled(stream)) == [22, 33, 11]


# --------------------------------------------------------------------------- giving up


@app.workflow
def quitter(ctx: Context) -> Any:
    work = ctx.start_activity(double, 1)
    ctx.wait_for_signal("stop")
    work.cancel()
    work.cancel()
    try:
        return work.result()
    except ActivityCancelledError as error:
        return [str(error), error.name, isinstance(error, ActivityError), ctx.execute_activity("tidy")]


CANCELLED = ["activity 'double' was cancelled", "double", True, "t"]


def test_a_cancelled_activity_raises_and_is_cancelled_once() -> None:
    past = Past().scheduled(1, "double").awaiting("stop").signal("stop")

    assert [one for one in past.turn(quitter).commands if one["type"] == "CancelActivity"] == [
        {"type": "CancelActivity", "activity_seq": 1}
    ]
    past.activity_cancelled(1, "double").scheduled(2, "tidy")
    assert past.turn(quitter).commands == []
    assert result(past.completed(2, "t").unrolled(quitter)) == CANCELLED


def test_a_result_that_came_while_it_was_being_cancelled_is_not_seen() -> None:
    past = Past().scheduled(1, "double").awaiting("stop").signal("stop").completed(1, 2).done(2, "tidy", "t")

    assert kinds(past.first(5).turn(quitter)) == ["ScheduleActivity"]
    assert result(past.unrolled(quitter)) == CANCELLED


def test_what_is_done_cannot_be_cancelled() -> None:
    past = Past().scheduled(1, "double").completed(1, 2).signal("stop")

    assert result(past.unrolled(quitter)) == 2


def test_a_cancelled_activity_that_escapes_fails_the_run() -> None:
    @Assay().workflow
    def blunt(ctx: Context) -> None:
        work = ctx.start_activity(double, 1)
        work.cancel()
        work.result()

    turn = Past().turn(blunt)

    assert kinds(turn) == ["ScheduleActivity", "CancelActivity", "FailWorkflow"]
    assert turn.commands[-1]["error"] == "activity 'double' was cancelled"


def test_steps_in_a_finally_block_of_a_wait_add_nothing() -> None:
    @Assay().workflow
    def tidy(ctx: Context) -> None:
        work = ctx.start_activity(double, 1)
        try:
            work.result()
        finally:
            work.cancel()

    assert kinds(Past().turn(tidy)) == ["ScheduleActivity"]


def test_a_handle_gives_its_result_as_often_as_it_is_asked_and_a_copy_each_time() -> None:
    @Assay().workflow
    def twice(ctx: Context) -> Any:
        work = ctx.start_activity("list")
        work.result().append(1)
        return work.result()

    assert result(Past().done(1, "list", [0]).turn(twice)) == [0]


def test_another_step_at_the_number_of_a_handle_is_nondeterminism() -> None:
    past = Past().scheduled(1, "double").timer(2, 4).scheduled(3, "double")

    assert trouble(past.turn(three)).startswith(
        "nondeterminism: command 2: history has a timer of 4 s (event 3), but the code now asks for activity "
    )


def test_a_new_step_before_one_that_history_holds_is_nondeterminism() -> None:
    past = Past().scheduled(1, "double").scheduled(3, "double")

    assert trouble(past.turn(three)).startswith(
        "nondeterminism: command 3: history has activity 'double' (event 3), but the code now asks for activity "
    )
