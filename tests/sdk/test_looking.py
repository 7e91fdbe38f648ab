"""What code may look at without a step: signals that are there, conditions, queries; and who may take steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import WorkflowCancelled
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble


@dataclass
class Item:
    sku: str


# --------------------------------------------------------------------------- signals


@Assay().workflow
def collecting(ctx: Context) -> Any:
    taken = [ctx.signals("item", Item)]
    for step in ("one", "two"):
        ctx.execute_activity(step)
        taken.append(ctx.signals("item", Item))
    return taken


def test_the_signals_that_have_arrived_are_taken_as_far_as_the_code_has_waited() -> None:
    past = Past().signal("item", {"sku": "a"}).scheduled(1, "one").signal("item", {"sku": "b"})
    past.completed(1, None).signal("item", {"sku": "c"}).done(2, "two", None).signal("item", {"sku": "late"})

    assert result(past.unrolled(collecting, since=2)) == [[], [{"sku": "a"}, {"sku": "b"}], [{"sku": "c"}]]


def test_a_signal_that_was_taken_is_not_waited_for_again() -> None:
    @Assay().workflow
    def both(ctx: Context) -> Any:
        first = ctx.wait_for_signal("item")
        ctx.execute_activity("one")
        return [first, ctx.signals("item"), ctx.wait_for_signal("item")]

    past = Past().signal("item", 1).signal("item", 2).signal("other", 0).done(1, "one", None)
    assert kinds(past.turn(both)) == ["WaitForSignal"]

    assert result(past.signal("item", 3).unrolled(both, since=2)) == [1, [2], 3]


# --------------------------------------------------------------------------- conditions


@Assay().workflow
def gathering(ctx: Context) -> Any:
    basket: list[Any] = []

    def three_items() -> bool:
        basket.extend(ctx.signals("item"))
        return len(basket) >= 3

    came = ctx.wait_condition(three_items, timeout=60)
    return [came, basket, ctx.now().timestamp(), ctx.execute_activity("pack")]


def test_a_condition_is_looked_at_after_each_event() -> None:
    past = Past()
    assert past.turn(gathering).commands == [
        {"type": "ScheduleTimer", "seq": 1, "duration_secs": 60.0},
        {"type": "WaitForCondition", "name": "three_items"},
    ]
    past.timer(1, 60).signal("item", 1)
    assert kinds(past.turn(gathering)) == ["WaitForCondition"]
    past.signal("item", 2).signal("other").signal("item", 3).signal("item", 4)

    assert kinds(past.turn(gathering)) == ["CancelTimer", "ScheduleActivity"]
    past.timer_cancelled(1).done(2, "pack", "p")
    assert result(past.unrolled(gathering)) == [True, [1, 2, 3], 1006.0, "p"]


def test_a_condition_that_does_not_come_true_in_time_is_false() -> None:
    past = Past().timer(1, 60).signal("item", 1).fired(1).signal("item", 2).signal("item", 3).done(2, "pack", "p")

    assert result(past.unrolled(gathering)) == [False, [1], 1004.0, "p"]


def test_a_condition_that_is_true_already_takes_its_number_and_no_timer() -> None:
    @Assay().workflow
    def ready(ctx: Context) -> Any:
        return [ctx.wait_condition(lambda: True, timeout=5), ctx.execute_activity("go")]

    (command,) = Past().turn(ready).commands

    assert (command["type"], command["seq"]) == ("ScheduleActivity", 2)
    assert result(Past().done(2, "go", 1).unrolled(ready)) == [True, 1]


def test_a_condition_may_look_at_what_is_done() -> None:
    @Assay().workflow
    def quorum(ctx: Context) -> Any:
        votes = [ctx.start_activity(f"vote-{n}") for n in range(3)]
        ctx.wait_condition(lambda: sum(one.done and one.result() for one in votes) >= 2, what="two votes")
        return [one.done for one in votes]

    past = Past().scheduled(1, "vote-0").scheduled(2, "vote-1").scheduled(3, "vote-2").completed(3, 1)
    assert past.turn(quorum).commands == [{"type": "WaitForCondition", "name": "two votes"}]

    assert result(past.completed(1, 1).completed(2, 0).unrolled(quorum)) == [True, False, True]


def test_a_condition_without_a_name_is_shown_by_its_place() -> None:
    @Assay().workflow
    def nameless(ctx: Context) -> None:
        ctx.wait_condition(lambda: False)

    (command,) = Past().turn(nameless).commands

    assert command["name"].startswith("condition in test_looking.py:")


def test_a_cancel_request_ends_a_wait_for_a_condition_unless_it_had_come_true() -> None:
    @Assay().workflow
    def careful(ctx: Context) -> Any:
        came: Any = "not yet"
        try:
            came = ctx.wait_condition(lambda: len(ctx.signals("go")) > 0)
            ctx.sleep(1)
        except WorkflowCancelled:
            return came
        return "slept"

    assert result(Past().cancel_requested().signal("go").unrolled(careful)) == "not yet"
    assert result(Past().signal("go").cancel_requested().turn(careful)) is True


def test_a_cancelled_wait_for_a_condition_leaves_no_timer() -> None:
    past = Past().timer(1, 60).signal("item", 1).cancel_requested("no").signal("item", 2).signal("item", 3)

    assert kinds(past.unrolled(gathering)) == ["CancelTimer", "CancelWorkflow"]


def test_a_condition_that_takes_a_step_is_refused() -> None:
    @Assay().workflow
    def greedy(ctx: Context) -> None:
        ctx.wait_condition(lambda: ctx.execute_activity("look"))

    @Assay().workflow
    def impatient(ctx: Context) -> None:
        work = ctx.start_activity("look")
        ctx.wait_condition(lambda: work.result() > 3)

    said = "a condition may look at what the workflow function keeps and at what is done, but take no steps"
    assert said in trouble(Past().turn(greedy))
    assert said in trouble(Past().scheduled(1, "look").completed(1, 4).turn(impatient))


# --------------------------------------------------------------------------- queries


def test_queries_are_decorated() -> None:
    @Assay().workflow
    def asked(ctx: Context) -> None:
        @ctx.query
        def stage() -> str:
            return "open"

        @ctx.query("how many")
        def count() -> int:
            return 3

        assert (stage(), count()) == ("open", 3)
        ctx.wait_for_signal("go")

    assert Past().turn(asked).commands[0] == {"type": "RecordSnapshot", "state": {"stage": "open", "how many": 3}}


def test_a_query_is_decorated_with_a_name_or_nothing() -> None:
    @Assay().workflow
    def mistaken(ctx: Context) -> None:
        ctx.query(3)  # type: ignore[call-overload]

    assert '@ctx.query or @ctx.query("name"), not 3' in trouble(Past().turn(mistaken))


def test_a_query_may_look_at_what_is_done_and_take_no_steps(caplog: pytest.LogCaptureFixture) -> None:
    @Assay().workflow
    def asked(ctx: Context) -> None:
        work = ctx.start_activity("work")
        ctx.register_query("work", lambda: work.result() if work.done else None)
        ctx.register_query("greedy", lambda: ctx.execute_activity("more"))
        ctx.wait_for_signal("go")
        work.result()
        ctx.wait_for_signal("on")

    past = Past().scheduled(1, "work").completed(1, 7).signal("go")

    assert past.turn(asked).commands[0]["state"] == {"work": 7}
    assert "a query may look at what the workflow function keeps" in caplog.text


# --------------------------------------------------------------------------- who may take steps


def test_another_thread_is_told_that_it_may_take_no_steps() -> None:
    @Assay().workflow
    def parallel(ctx: Context) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(ctx.execute_activity, "look").result()

    said = trouble(Past().turn(parallel))

    assert "only the thread that runs the workflow function may use its context" in said
    assert "start activities and wait for their handles" in said


def test_a_finally_block_may_take_steps_and_takes_them_when_its_time_has_come() -> None:
    @Assay().workflow
    def tidy(ctx: Context) -> Any:
        try:
            return ctx.execute_activity("work")
        finally:
            ctx.execute_activity("sweep")

    past = Past()

    assert [one["name"] for one in past.turn(tidy).commands] == ["work"]
    assert [one["name"] for one in past.done(1, "work", 7).turn(tidy).commands] == ["sweep"]
    assert result(past.done(2, "sweep", None).unrolled(tidy)) == 7


@pytest.mark.parametrize("wait", [True, False])
def test_a_run_that_completes_before_its_activities_says_so(wait: bool, caplog: pytest.LogCaptureFixture) -> None:
    @Assay().workflow
    def hasty(ctx: Context) -> None:
        work = [ctx.start_activity("one"), ctx.start_activity("two"), ctx.start_activity("three")]
        work[1].cancel()
        if wait:
            ctx.gather(work[0], work[2])

    past = Past()
    if wait:
        past.scheduled(1, "one").scheduled(2, "two").activity_cancelled(2, "two").scheduled(3, "three")
        past.completed(1, 1).completed(3, 3)

    assert kinds(past.turn(hasty))[-1] == "CompleteWorkflow"

    said = "type=Order completes, which cancels activities that it began and did not wait for: 'one', 'three'; wait"
    assert (said in caplog.text) is not wait
    assert ("which cancels" in caplog.text) is not wait
