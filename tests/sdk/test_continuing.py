"""Continue as new: the run ends, the next one of its chain gets the arguments and what was not read."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import RunInfo
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import trouble

app = Assay()


@app.workflow
def counter(ctx: Context, count: int, step: int = 1) -> None:
    ctx.wait_for_signal("tick")
    ctx.start_activity("note")
    ctx.continue_as_new(count + step, step=step)


@app.workflow(queue="elsewhere")
def other(ctx: Context, text: str) -> str:
    return text


def test_the_next_run_has_the_same_id_and_the_arguments_bound_by_name() -> None:
    past = Past({"count": 3, "step": 2}).signal("tick")

    assert past.turn(counter).commands == [
        {"type": "ScheduleActivity", "seq": 1, "name": "note", "task_queue": "orders", "input": None},
        {
            "type": "ContinueAsNew",
            "input": {"count": 5, "step": 2},
            "workflow_id": "order-1",
            "unread_signals": [],
        },
    ]
    assert past.turn(counter).closes


def test_signals_that_the_code_has_not_taken_go_along() -> None:
    past = Past({"count": 1}).signal("other", 1).signal("tick").signal("tick").signal("another").signal("other", 2)

    assert past.turn(counter).commands[-1]["unread_signals"] == [2, 4, 5, 6]


def test_the_next_run_may_be_of_another_workflow_queue_and_id() -> None:
    @Assay().workflow
    def chameleon(ctx: Context, kind: int) -> None:
        if kind == 0:
            ctx.continue_as_new("x", workflow=other)
        if kind == 1:
            ctx.continue_as_new({"a": 1}, workflow="Unknown", queue="q", id="second")
        ctx.continue_as_new(text="y", workflow=other, queue="q")

    commands = [Past(kind).turn(chameleon).commands[-1] for kind in range(3)]

    assert commands == [
        {
            "type": "ContinueAsNew",
            "input": "x",
            "workflow_id": "order-1",
            "unread_signals": [],
            "workflow_type": "other",
            "task_queue": "elsewhere",
        },
        {
            "type": "ContinueAsNew",
            "input": {"a": 1},
            "workflow_id": "second",
            "unread_signals": [],
            "workflow_type": "Unknown",
            "task_queue": "q",
        },
        {
            "type": "ContinueAsNew",
            "input": "y",
            "workflow_id": "order-1",
            "unread_signals": [],
            "workflow_type": "other",
            "task_queue": "q",
        },
    ]


def test_arguments_that_do_not_fit_fail_the_task() -> None:
    @Assay().workflow
    def misfit(ctx: Context, text: str) -> None:
        ctx.continue_as_new(1, 2)

    assert "misfit(text): too many positional arguments" in trouble(Past("x").turn(misfit))


def test_except_exception_does_not_swallow_it_and_a_bare_except_is_found_out() -> None:
    @Assay().workflow
    def hungry(ctx: Context, kind: str) -> Any:
        try:
            ctx.continue_as_new(kind)
        except Exception:  # noqa: BLE001 -- what users write
            return "swallowed"
        except BaseException:
            if kind == "exception":
                raise
            if kind == "replace":
                raise ValueError("hidden") from None
            if kind == "step":
                ctx.execute_activity("more")
            return "went on"

    assert kinds(Past("exception").turn(hungry)) == ["ContinueAsNew"]
    assert "continues as new, but it caught ContinueAsNew and went on" in trouble(Past("return").turn(hungry))
    assert "caught ContinueAsNew and raised ValueError instead" in trouble(Past("replace").turn(hungry))
    assert kinds(Past("step").turn(hungry)) == ["ContinueAsNew"]


def test_history_that_goes_on_where_the_code_continues_as_new_is_nondeterminism() -> None:
    past = Past({"count": 3}).signal("tick").scheduled(1, "note").done(2, "late", 1)

    assert "command 2: history has activity 'late' (event 4), but the code now asks for continue-as-new" in trouble(
        past.turn(counter)
    )


def test_a_cancel_request_comes_before_it() -> None:
    past = Past({"count": 3}).signal("tick").scheduled(1, "note").cancel_requested("enough")

    assert past.turn(counter).commands == [{"type": "CancelWorkflow", "reason": "enough"}]


# --------------------------------------------------------------------------- when


@app.workflow
def loop(ctx: Context) -> None:
    while True:
        ctx.execute_activity("work")
        if ctx.info.continue_as_new_suggested:
            ctx.continue_as_new()


@pytest.mark.parametrize("suggested", [True, False])
def test_it_is_suggested_only_where_the_code_has_not_been_before(suggested: bool) -> None:
    info = RunInfo("order-1", "run-order-1-7", task_queue="orders", continue_as_new_suggested=suggested)
    past = Past().done(1, "work", None).scheduled(2, "work")

    assert past.turn(loop, info=info).commands == []
    assert kinds(past.completed(2, None).turn(loop, info=info)) == [
        "ContinueAsNew" if suggested else "ScheduleActivity"
    ]
    assert info.continue_as_new_suggested is suggested


def test_it_may_be_suggested_to_the_very_first_turn() -> None:
    @Assay().workflow
    def at_once(ctx: Context) -> bool:
        return ctx.info.continue_as_new_suggested

    info = RunInfo("order-1", "run-order-1-7", continue_as_new_suggested=True)

    assert Past().turn(at_once, info=info).commands == [{"type": "CompleteWorkflow", "result": True}]
