"""Child workflows: how they are asked for, what their ends mean, and whose events are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import ChildWorkflowError
from assay_wsgi.sdk import Context
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble

app = Assay()


@dataclass
class Label:
    text: str


@app.workflow(queue="parcels")
def Ship(ctx: Context, number: int, street: str = "none") -> Label:
    return Label(str(number))


@app.workflow
def order(ctx: Context) -> Any:
    ctx.side_effect("first", lambda: 1)
    return ctx.execute_child(Ship, 7).text


def test_a_child_is_asked_for_with_an_id_made_of_its_parents() -> None:
    assert Past().turn(order).commands[1] == {
        "type": "StartChildWorkflow",
        "seq": 2,
        "workflow_type": "Ship",
        "workflow_id": "order-1-2",
        "input": {"number": 7},
        "task_queue": "parcels",
        "parent_close": "request_cancel",
    }


def test_a_child_may_be_a_prepared_call_and_has_the_time_outs_of_its_workflow() -> None:
    limited = Ship.options(run_timeout=timedelta(minutes=1), execution_timeout=3600)

    @Assay().workflow
    def order(ctx: Context) -> Any:
        ctx.start_child(limited.prepare(street="Main", number=8), id="first")
        ctx.start_child(limited, 9, id="second", run_timeout=None)
        return ctx.sleep(1)

    first, second = Past().turn(order).commands[:2]

    assert first["input"] == {"number": 8, "street": "Main"}
    assert (first["run_timeout_secs"], first["execution_timeout_secs"]) == (60.0, 3600.0)
    assert second["input"] == {"number": 9}
    assert "run_timeout_secs" not in second


def test_what_is_no_workflow_cannot_be_a_child() -> None:
    @Assay().workflow
    def order(ctx: Context) -> Any:
        return ctx.execute_child(len, "abc")

    assert "is no workflow: decorate the function with @app.workflow" in trouble(Past().turn(order))


def test_a_child_may_be_known_by_its_name_and_have_options() -> None:
    @Assay().workflow
    def named(ctx: Context) -> Any:
        return ctx.execute_child(
            "Elsewhere",
            {"x": 1},
            id="mine",
            queue="q2",
            parent_close="abandon",
            execution_timeout=timedelta(hours=1),
            run_timeout=60,
            search_attributes={"kind": "child"},
        )

    assert Past().turn(named).commands == [
        {
            "type": "StartChildWorkflow",
            "seq": 1,
            "workflow_type": "Elsewhere",
            "workflow_id": "mine",
            "input": {"x": 1},
            "task_queue": "q2",
            "parent_close": "abandon",
            "execution_timeout_secs": 3600.0,
            "run_timeout_secs": 60.0,
            "search_attributes": {"kind": "child"},
        }
    ]
    past = Past().child_started(1, "mine", "Elsewhere").child_completed(1, "mine", [1])
    assert result(past.unrolled(named)) == [1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queu": "x"}, "TypeError: no such option of a child: queu"),
        (
            {"parent_close": "kill"},
            "ValueError: parent_close must be one of request_cancel, terminate, abandon, not",
        ),
        ({"run_timeout": float("inf")}, "ValueError: a duration must be finite"),
    ],
)
def test_a_wrong_option_fails_the_task(options: dict[str, Any], says: str) -> None:
    @Assay().workflow
    def wrong(ctx: Context) -> Any:
        return ctx.execute_child(Ship, 1, **options)

    assert says in trouble(Past().turn(wrong))


def test_arguments_that_do_not_fit_the_child_fail_the_task() -> None:
    @Assay().workflow
    def wrong(ctx: Context) -> Any:
        return ctx.execute_child(Ship, 1, "a", "b")

    assert "Ship(number, street): too many positional arguments" in trouble(Past().turn(wrong))


def test_the_result_of_a_child_is_read_as_its_annotation_says() -> None:
    past = Past().side_effect(1, "first", 1).child_started(2, "order-1-2")

    assert past.turn(order).commands == []
    assert result(past.child_completed(2, "order-1-2", {"text": "7"}).unrolled(order)) == "7"


@pytest.mark.parametrize("reason", ["failed", "cancelled", "terminated", "timed_out"])
def test_each_other_end_of_a_child_is_raised(reason: str) -> None:
    @Assay().workflow
    def careful(ctx: Context) -> Any:
        try:
            ctx.execute_child(Ship, 7)
        except ChildWorkflowError as error:
            return [error.workflow_id, error.close_reason, error.message, error.type, str(error)]

    past = Past().child_started(1, "order-1-1").child_failed(1, "order-1-1", reason, "so it is")

    assert result(past.unrolled(careful)) == [
        "order-1-1", reason, "so it is", "Ship", f"child workflow 'order-1-1' {reason}: so it is"
    ]  # fmt: skip


def test_a_child_error_that_escapes_fails_the_run() -> None:
    past = Past().side_effect(1, "first", 1).child_started(2, "order-1-2").child_failed(2, "order-1-2", "failed", "no")

    assert past.turn(order).commands == [
        {"type": "FailWorkflow", "error": "child workflow 'order-1-2' failed: no"}
    ]  # fmt: skip


# --------------------------------------------------------------------------- the start


@app.workflow
def starter(ctx: Context) -> Any:
    child = ctx.start_child(Ship, 1, id="c")
    before = child.started
    try:
        run_id = child.wait_started()
    except ChildWorkflowError as error:
        return [error.close_reason, error.message, child.started, child.done]
    return [before, child.started, run_id, child.done, child.result().text]


def test_the_start_can_be_waited_for_apart_from_the_end() -> None:
    past = Past()

    (start,) = past.turn(starter).commands
    assert (start["type"], start["tell_start"]) == ("StartChildWorkflow", True)
    assert past.child_started(1, "c").turn(starter).commands == []
    assert result(past.child_completed(1, "c", {"text": "t"}).unrolled(starter)) == [False, True, "run-c-1", False, "t"]


def test_an_id_that_is_taken_is_raised_from_the_start() -> None:
    past = Past().child_failed(1, "c", "already_started", "workflow c is RUNNING")

    assert result(past.unrolled(starter)) == ["already_started", "workflow c is RUNNING", False, True]


def test_an_id_that_is_taken_is_raised_from_the_result_too() -> None:
    past = Past().side_effect(1, "first", 1).child_failed(2, "order-1-2", "already_started", "taken")

    assert past.unrolled(order).commands == [
        {"type": "FailWorkflow", "error": "child workflow 'order-1-2' already_started: taken"}
    ]


def test_children_run_at_the_same_time() -> None:
    @Assay().workflow
    def fan(ctx: Context) -> Any:
        labels = ctx.gather(*[ctx.start_child(Ship, n, id=f"p{n}") for n in range(2)])
        return [label.text for label in labels]

    past = Past()

    assert [one["workflow_id"] for one in past.turn(fan).commands] == ["p0", "p1"]
    past.child_started(1, "p0").child_started(2, "p1")
    past.child_completed(2, "p1", {"text": "b"}).child_completed(1, "p0", {"text": "a"})
    assert result(past.unrolled(fan)) == ["a", "b"]


def test_two_children_of_a_run_cannot_share_an_id() -> None:
    @Assay().workflow
    def twins(ctx: Context) -> Any:
        ctx.start_child(Ship, 1, id="c")
        ctx.start_child(Ship, 2, id="c")

    assert "ValueError: child id 'c' is that of command 1 already" in trouble(Past().turn(twins))


def test_the_end_of_a_predecessors_child_is_not_taken_for_that_of_another_command() -> None:
    @Assay().workflow
    def heir(ctx: Context) -> Any:
        return [ctx.execute_activity("one"), ctx.execute_child(Ship, 1, id="c").text]

    past = Past().child_completed(1, "old", {"text": "of the old one"}).child_completed(2, "c", {"text": "older"})

    assert kinds(past.turn(heir)) == ["ScheduleActivity"]
    past.done(1, "one", 1).child_started(2, "c").child_completed(9, "c", {"text": "mine"})
    assert result(past.unrolled(heir)) == [1, "mine"]


# --------------------------------------------------------------------------- asking it to end


@app.workflow
def stopper(ctx: Context) -> Any:
    child = ctx.start_child(Ship, 1, id="c")
    child.cancel()
    child.cancel()
    try:
        return child.result().text
    except ChildWorkflowError as error:
        return error.close_reason


def test_a_child_is_asked_to_end_once_when_it_is_there_and_waited_for() -> None:
    past = Past()

    (start,) = past.turn(stopper).commands
    assert (start["type"], start["tell_start"]) == ("StartChildWorkflow", True)
    assert past.child_started(1, "c").turn(stopper).commands == [{"type": "RequestCancelChild", "workflow_id": "c"}]
    assert past.child_cancel_requested("c").turn(stopper).commands == []
    assert result(past.child_failed(1, "c", "cancelled").unrolled(stopper)) == "cancelled"


def test_a_child_that_ended_or_never_began_is_not_asked() -> None:
    ended = Past().child_started(1, "c").child_completed(1, "c", {"text": "t"})
    never = Past().child_failed(1, "c", "already_started")

    assert result(ended.turn(stopper)) == "t"
    assert kinds(ended.turn(stopper)) == ["CompleteWorkflow"]
    assert kinds(never.turn(stopper)) == ["CompleteWorkflow"]


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (
            Past().child_started(1, "d"),
            "history has child workflow 'd' of type 'Ship' (event 2), but the code",
        ),
        (
            Past().child_started(1, "c", "Sail"),
            "'c' of type 'Sail' (event 2), but the code now asks for child workflow",
        ),
        (Past().child_failed(1, "d", "already_started"), "history has child workflow 'd' (event 2)"),
        (
            Past().scheduled(1, "c"),
            "history has activity 'c' (event 2), but the code now asks for child workflow 'c' of",
        ),
    ],
)
def test_another_child_at_its_number_is_nondeterminism(history: Past, says: str) -> None:
    assert trouble(history.turn(starter)).startswith("nondeterminism: command 1: ")
    assert says in trouble(history.turn(starter))
