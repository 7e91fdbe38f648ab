"""Turns: the workflow function over a history, and what it asks for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from assay_wsgi.sdk import ActivityError
from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import WorkflowCancelled
from tests.sdk.histories import Past
from tests.sdk.histories import kinds


@dataclass
class Item:
    sku: str
    count: int = 1


@dataclass
class Receipt:
    total: float


app = Assay(queue="orders")


@app.activity
def reserve(sku: str) -> str:
    return f"hold-{sku}"


@app.activity(name="charge-card", queue="money", retry=Retry(5, 2.0, non_retryable=(ValueError, "Declined")))
def charge(hold: str, amount: float = 10.0) -> Receipt:
    return Receipt(amount)


@app.workflow
def order(ctx: Context, item: Item) -> Receipt:
    hold = ctx.execute_activity(reserve, item.sku)
    return ctx.execute_activity(charge, hold, amount=item.count * 2.5)


def test_the_first_wait_ends_the_turn_with_its_command() -> None:
    turn = Past({"sku": "a", "count": 2}).turn(order)

    assert turn.commands == [
        {"type": "ScheduleActivity", "seq": 1, "name": "reserve", "task_queue": "orders", "input": "a"}
    ]
    assert not turn.closes


def test_a_step_that_history_holds_is_not_asked_for_again() -> None:
    turn = Past({"sku": "a", "count": 2}).done(1, "reserve", "hold-a").turn(order)

    (command,) = turn.commands
    assert command["seq"] == 2
    assert command["name"] == "charge-card"
    assert command["task_queue"] == "money"
    assert command["input"] == {"hold": "hold-a", "amount": 5.0}
    assert command["max_attempts"] == 5
    assert command["initial_interval_secs"] == 2.0
    assert command["non_retryable"] == ["ValueError", "Declined"]
    assert command["start_to_close_secs"] == 300.0


def test_a_scheduled_activity_that_runs_is_waited_for_without_a_command() -> None:
    turn = Past({"sku": "a"}).scheduled(1, "reserve").turn(order)

    assert turn.commands == []
    assert not turn.closes
    assert turn.failure is None


def test_results_and_returns_are_converted_both_ways() -> None:
    past = Past({"sku": "a"}).done(1, "reserve", "hold-a").done(2, "charge-card", {"total": 2.5})

    turn = past.turn(order)

    assert turn.commands == [{"type": "CompleteWorkflow", "result": {"total": 2.5}}]
    assert turn.closes


def test_members_of_the_input_bind_to_parameters_by_name() -> None:
    @Assay().workflow
    def pair(ctx: Context, left: int, right: Item, extra: str = "none") -> list[Any]:
        return [left, right.sku, extra]

    turn = Past({"right": {"sku": "b", "unknown": 1}, "left": 4}).turn(pair)

    assert turn.commands == [{"type": "CompleteWorkflow", "result": [4, "b", "none"]}]


def test_a_workflow_without_parameters_ignores_its_input() -> None:
    @Assay().workflow
    def nothing(ctx: Context) -> None: ...

    assert Past({"left": 4}).turn(nothing).commands == [{"type": "CompleteWorkflow", "result": None}]


def test_an_input_that_does_not_fit_fails_the_task_not_the_run() -> None:
    turn = Past("no object").turn(order)

    assert turn.commands == []
    assert turn.failure is not None
    assert turn.failure["cause"] == "bad_input"
    assert 'the input does not fit order: item: needs an object (Item), not "no object"' in turn.failure["message"]


# --------------------------------------------------------------------------- other kinds of steps


@app.workflow
def mixed(ctx: Context) -> Any:
    token = ctx.side_effect("token", lambda: (1, 2))
    ctx.upsert_search_attributes({"stage": "begun"})
    answer = ctx.execute_activity("elsewhere", {"token": token})
    nothing = ctx.side_effect("nothing", lambda: None)
    said = ctx.wait_for_signal("approve")
    return [token, answer, nothing, said]


def test_commands_of_one_turn_are_numbered_by_one_counter_and_sent_together() -> None:
    turn = Past().turn(mixed)

    assert kinds(turn) == ["RecordSideEffect", "UpsertSearchAttributes", "ScheduleActivity"]
    assert [command["seq"] for command in turn.commands] == [1, 2, 3]
    assert turn.commands[0]["value"] == [1, 2]
    assert turn.commands[2]["input"] == {"token": [1, 2]}
    assert turn.commands[2]["task_queue"] == "orders"


def begun() -> Past:
    past = Past().side_effect(1, "token", [1, 2])
    past.add("SearchAttributesUpserted", {"patch": {"stage": "begun"}, "upsert_seq": 2})
    return past.scheduled(3, "elsewhere")


def test_a_side_effect_may_be_none_and_does_not_end_the_turn() -> None:
    turn = begun().completed(3, "found").turn(mixed)

    assert turn.commands == [
        {"type": "RecordSideEffect", "seq": 4, "name": "nothing", "value": None},
        {"type": "WaitForSignal", "name": "approve"},
    ]


def test_a_recorded_none_is_a_value() -> None:
    past = begun().completed(3, "found").side_effect(4, "nothing", None)

    assert kinds(past.turn(mixed)) == ["WaitForSignal"]
    assert past.signal("approve", {"by": "eve"}).turn(mixed).commands == [
        {"type": "CompleteWorkflow", "result": [[1, 2], "found", None, {"by": "eve"}]}
    ]


def test_a_side_effect_is_called_once_and_then_replayed() -> None:
    calls: list[int] = []

    @Assay().workflow
    def once(ctx: Context) -> Any:
        return ctx.side_effect("roll", lambda: calls.append(1) or len(calls))  # type: ignore[func-returns-value]

    turn = Past().turn(once)
    again = Past().side_effect(1, "roll", 4).turn(once)

    assert turn.commands[-1]["result"] == 1
    assert again.commands == [{"type": "CompleteWorkflow", "result": 4}]
    assert calls == [1]


def test_signals_are_taken_by_name_in_order_of_arrival_even_before_they_are_waited_for() -> None:
    @Assay().workflow
    def listen(ctx: Context) -> Any:
        return [ctx.wait_for_signal("b"), ctx.wait_for_signal("a"), ctx.wait_for_signal("b", Item)]

    past = Past().signal("b", 1).signal("a", 2)

    assert past.turn(listen).commands == [{"type": "WaitForSignal", "name": "b"}]
    done = past.signal("b", {"sku": "x"}).turn(listen)
    assert done.commands == [{"type": "CompleteWorkflow", "result": [1, 2, {"sku": "x", "count": 1}]}]


def test_code_that_changes_what_it_got_does_not_change_its_history() -> None:
    @Assay().workflow
    def greedy(ctx: Context, items: list[int]) -> Any:
        items.pop()
        more = ctx.execute_activity("more")
        more.pop()
        ctx.wait_for_signal("go")["seen"] = True
        return [items, more]

    past = Past([1, 2]).done(1, "more", [3, 4]).signal("go", {})
    results = [past.turn(greedy).commands for _ in range(3)]

    assert results == [[{"type": "CompleteWorkflow", "result": [[1], [3]]}]] * 3


# --------------------------------------------------------------------------- ends


def test_an_activity_error_may_be_caught() -> None:
    @Assay().workflow
    def careful(ctx: Context) -> Any:
        try:
            ctx.execute_activity("risky")
        except ActivityError as error:
            return [error.name, error.type, error.attempt, error.message, str(error)]

    past = Past().scheduled(1, "risky").failed(1, "risky", "Boom: it broke", error_type="Boom", final_attempt=3)

    assert past.turn(careful).commands[0]["result"] == [
        "risky", "Boom", 3, "Boom: it broke", "activity 'risky' failed: Boom: it broke"
    ]  # fmt: skip


def test_an_activity_error_that_escapes_fails_the_run() -> None:
    turn = Past({"sku": "a"}).scheduled(1, "reserve").failed(1, "reserve", "sold out").turn(order)

    assert turn.commands == [{"type": "FailWorkflow", "error": "activity 'reserve' failed: sold out"}]
    assert turn.closes


def test_an_application_error_fails_the_run() -> None:
    @Assay().workflow
    def refuse(ctx: Context) -> None:
        raise ApplicationError("too much", type="Limit")

    assert Past().turn(refuse).commands == [{"type": "FailWorkflow", "error": "Limit: too much"}]


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(1), RecursionError("deep"), AssertionError()])
def test_any_other_error_fails_the_task_and_leaves_the_run_open(error: BaseException) -> None:
    @Assay().workflow
    def broken(ctx: Context) -> None:
        ctx.side_effect("half", lambda: 1)
        raise error

    turn = Past().turn(broken)

    assert turn.commands == []
    assert not turn.closes
    assert turn.failure is not None
    assert turn.failure["cause"] == "exception"
    assert type(error).__name__ in turn.failure["message"]
    assert "in broken" in turn.failure["trace"]


@pytest.mark.parametrize("value", [float("nan"), {object()}, object(), {"a": [float("inf")]}, "\ud800"])
def test_a_result_that_is_no_json_fails_the_task(value: Any) -> None:
    @Assay().workflow
    def odd(ctx: Context) -> Any:
        return value

    turn = Past().turn(odd)

    assert turn.failure is not None
    assert turn.commands == []


# --------------------------------------------------------------------------- cancellation


def test_a_cancel_is_raised_at_the_frontier_after_the_steps_that_history_holds() -> None:
    reached: list[str] = []

    @Assay().workflow
    def steps(ctx: Context) -> None:
        reached.append(ctx.execute_activity("one"))
        ctx.execute_activity("two")
        reached.append("never")

    past = Past().done(1, "one", "first").scheduled(2, "two")
    past.add("WorkflowCancelRequested", {"reason": "no longer needed"})

    turn = past.turn(steps)

    assert reached == ["first"]
    assert turn.commands == [{"type": "CancelWorkflow", "reason": "no longer needed"}]
    assert turn.closes


def test_code_may_catch_a_cancel_to_return_but_every_new_step_raises_it_again() -> None:
    @Assay().workflow
    def stubborn(ctx: Context) -> Any:
        try:
            ctx.wait_for_signal("go")
        except WorkflowCancelled as first:
            try:
                ctx.execute_activity("cleanup")
            except WorkflowCancelled as second:
                return [first.reason, second.reason]

    past = Past().add("WorkflowCancelRequested", {"reason": "stop"})

    assert past.turn(stubborn).commands == [{"type": "CompleteWorkflow", "result": ["stop", "stop"]}]


def test_except_exception_swallows_neither_cancel_nor_suspend() -> None:
    @Assay().workflow
    def hungry(ctx: Context) -> None:
        try:
            ctx.wait_for_signal("go")
        except Exception:  # noqa: BLE001 -- what users write
            pytest.fail("swallowed")

    assert kinds(Past().turn(hungry)) == ["WaitForSignal"]
    assert kinds(Past().add("WorkflowCancelRequested", None).turn(hungry)) == ["CancelWorkflow"]


# --------------------------------------------------------------------------- what code does wrong


def test_a_swallowed_suspend_fails_the_task_and_says_so() -> None:
    @Assay().workflow
    def swallow(ctx: Context) -> str:
        try:
            ctx.execute_activity("slow")
        except BaseException:  # noqa: BLE001 -- what users write
            return "done"
        return "never"

    @Assay().workflow
    def replace(ctx: Context) -> None:
        try:
            ctx.execute_activity("slow")
        except BaseException:  # noqa: BLE001 -- what users write
            raise ApplicationError("hidden") from None

    for workflow in (swallow, replace):
        turn = Past().turn(workflow)
        assert turn.commands == []
        assert turn.failure is not None
        assert turn.failure["cause"] == "swallowed_suspend"
        assert "activity 'slow'" in turn.failure["message"]


def test_steps_in_a_finally_block_add_nothing_to_a_suspended_turn() -> None:
    @Assay().workflow
    def tidy(ctx: Context) -> None:
        try:
            ctx.execute_activity("work")
        finally:
            ctx.execute_activity("cleanup")

    assert [command["name"] for command in Past().turn(tidy).commands] == ["work"]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (Past().done(1, "other", 1), "command 1: history has activity 'other' (event 2)"),
        (Past().side_effect(1, "one", 1), "command 1: history has side effect 'one' (event 2)"),
        (Past().scheduled(1, "one").done(2, "late", 1), "command 2: history has activity 'late' (event 3)"),
        (Past().done(1, "one", 1).done(2, "late", 1), "command 2: history has activity 'late' (event 4)"),
    ],
    ids=["other name", "other kind", "left over at a wait", "left over at the end"],
)
def test_nondeterminism_fails_the_task_and_names_both_sides(history: Past, says: str) -> None:
    @Assay().workflow
    def changed(ctx: Context) -> Any:
        return ctx.execute_activity("one")

    turn = history.turn(changed)

    assert turn.commands == []
    assert turn.failure is not None
    assert turn.failure["cause"] == "nondeterminism"
    assert says in turn.failure["message"]
    assert "but the code now" in turn.failure["message"]


def test_nondeterminism_is_not_hidden_by_code_that_catches_everything() -> None:
    @Assay().workflow
    def blind(ctx: Context) -> Any:
        try:
            return ctx.execute_activity("one")
        except BaseException:  # noqa: BLE001 -- what users write
            return "fine"

    turn = Past().done(1, "other", 1).turn(blind)

    assert turn.failure is not None
    assert turn.failure["cause"] == "nondeterminism"


def test_every_prefix_of_a_history_replays_to_the_commands_that_made_the_rest() -> None:
    full = begun().completed(3, "found").side_effect(4, "nothing", None).signal("approve", 1)
    made: list[int] = []
    for length in range(1, len(full.events) + 1):
        prefix = Past()
        prefix.events = full.events[:length]
        turn = prefix.turn(mixed)
        assert turn.failure is None
        made += [command["seq"] for command in turn.commands if "seq" in command]

    assert set(made) == {1, 2, 3, 4}


# --------------------------------------------------------------------------- queries and log


@app.workflow
def shown(ctx: Context) -> str:
    stage = "new"
    ctx.register_query("stage", lambda: stage)
    ctx.register_query("broken", lambda: 1 / 0)
    ctx.execute_activity("one")
    stage = "waiting"
    ctx.wait_for_signal("go")
    stage = "done"
    return stage


def test_the_state_goes_first_and_only_when_it_changed() -> None:
    past = Past()
    first = past.turn(shown)
    assert first.commands[0] == {"type": "RecordSnapshot", "state": {"stage": "new"}}
    assert kinds(first) == ["RecordSnapshot", "ScheduleActivity"]

    same = past.scheduled(1, "one").turn(shown, shown=first.state)
    assert same.commands == []

    parked = past.completed(1, None).turn(shown, shown=same.state)
    assert parked.commands[0]["state"] == {"stage": "waiting"}

    end = past.signal("go").turn(shown, shown=parked.state)
    assert kinds(end) == ["RecordSnapshot", "CompleteWorkflow"]
    assert end.commands[0]["state"] == {"stage": "done"}


def test_the_log_is_silent_on_ground_that_was_covered_before(caplog: pytest.LogCaptureFixture) -> None:
    @Assay().workflow
    def chatty(ctx: Context) -> None:
        ctx.log.info("begun")
        ctx.execute_activity("one")
        ctx.log.info("one is done")
        ctx.wait_for_signal("go")
        ctx.log.info("gone")

    caplog.set_level(logging.INFO, "assay.workflow")
    past = Past()
    past.turn(chatty)
    past.done(1, "one", None).turn(chatty)
    past.add("WorkflowAwaitingSignal", {"signal": "go"}).signal("go").turn(chatty)

    assert [record.message.rpartition("] ")[2] for record in caplog.records] == ["begun", "one is done", "gone"]


def test_calling_a_definition_calls_the_plain_function() -> None:
    assert reserve("a") == "hold-a"
    assert charge("h") == Receipt(10.0)
    assert charge.options(queue="q2", retry={"max_attempts": 1}).retry == Retry(
        1, 2.0, non_retryable=(ValueError, "Declined")
    )
