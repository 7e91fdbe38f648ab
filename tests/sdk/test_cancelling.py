"""Cancellation: where it is raised, what may still be done, and that a later replay takes the same way."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import WorkflowCancelled
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble

app = Assay()


@app.workflow
def saga(ctx: Context) -> Any:
    hold = ctx.execute_activity("reserve")
    try:
        ctx.execute_activity("charge", hold)
    except WorkflowCancelled:
        with ctx.shield():
            ctx.sleep(5)
            ctx.execute_activity("release", hold)
        raise


def charging() -> Past:
    return Past().done(1, "reserve", "h").scheduled(2, "charge")


def test_inside_a_shield_new_steps_go_through() -> None:
    past = charging().cancel_requested("no")

    assert past.turn(saga).commands == [{"type": "ScheduleTimer", "seq": 3, "duration_secs": 5.0}]
    past.timer(3, 5).fired(3)
    assert [one["name"] for one in past.turn(saga).commands] == ["release"]
    assert past.done(4, "release", None).unrolled(saga).commands == [{"type": "CancelWorkflow", "reason": "no"}]


def test_an_outcome_that_comes_after_the_cancel_does_not_change_the_way() -> None:
    past = charging().cancel_requested("no").timer(3, 5).completed(2, "paid").fired(3).done(4, "release", None)

    assert kinds(past.unrolled(saga)) == ["CancelWorkflow"]


def test_an_outcome_that_came_before_the_cancel_is_taken() -> None:
    past = charging().completed(2, "paid").cancel_requested("no")

    assert kinds(past.turn(saga)) == ["CompleteWorkflow"]


def test_the_step_at_which_the_cancel_was_raised_is_not_asked_for_by_a_later_replay() -> None:
    @Assay().workflow
    def early(ctx: Context) -> Any:
        ctx.wait_for_signal("go")
        try:
            ctx.start_activity("work")
        except WorkflowCancelled:
            with ctx.shield():
                return ctx.execute_activity("work")

    past = Past().signal("go").cancel_requested()

    (command,) = past.turn(early).commands
    assert command["seq"] == 2
    assert result(past.done(2, "work", "w").unrolled(early, since=3)) == "w"


def test_a_step_that_was_under_way_when_the_cancel_came_is_waited_for_no_more() -> None:
    @Assay().workflow
    def late(ctx: Context) -> Any:
        work = ctx.start_activity("work")
        reached = []
        try:
            reached.append(work.result())
        except WorkflowCancelled:
            reached.append("cancelled")
        with ctx.shield():
            reached.append(work.result())
        return [*reached, work.result()]

    past = Past().cancel_requested().scheduled(1, "work").completed(1, "w")

    assert result(past.turn(late)) == ["cancelled", "w", "w"]


def test_outside_of_the_shield_each_new_step_raises_again() -> None:
    @Assay().workflow
    def stubborn(ctx: Context) -> Any:
        seen = []
        steps = [
            lambda: ctx.execute_activity("a"),
            lambda: ctx.start_activity("a"),
            lambda: ctx.sleep(1),
            lambda: ctx.start_timer(1),
            lambda: ctx.execute_child("C"),
            lambda: ctx.side_effect("s", lambda: 1),
            lambda: ctx.upsert_search_attributes({}),
            lambda: ctx.wait_for_signal("go"),
            lambda: ctx.wait_for_signal("go", timeout=1),
            lambda: ctx.continue_as_new(),
        ]
        for step in steps:
            try:
                step()
            except WorkflowCancelled as error:
                seen.append(error.reason)
            with ctx.shield(), ctx.shield():
                pass
        return seen

    assert result(Past().cancel_requested("stop").turn(stubborn)) == ["stop"] * 10


def test_a_shield_entered_before_the_cancel_holds_it_off_until_its_end() -> None:
    @Assay().workflow
    def transfer(ctx: Context) -> Any:
        with ctx.shield():
            ctx.execute_activity("debit")
            ctx.execute_activity("credit")
        ctx.execute_activity("mail")

    past = Past().scheduled(1, "debit").cancel_requested("no").completed(1, None)

    assert [one["name"] for one in past.turn(transfer).commands] == ["credit"]
    assert past.done(2, "credit", None).unrolled(transfer).commands == [{"type": "CancelWorkflow", "reason": "no"}]


def test_code_that_cleans_up_may_return_and_the_run_completes() -> None:
    @Assay().workflow
    def graceful(ctx: Context) -> Any:
        try:
            ctx.wait_for_signal("go")
        except WorkflowCancelled as error:
            with ctx.shield():
                return [error.reason, ctx.execute_child("Clean", id="c")]

    past = Past().cancel_requested("no").child_started(1, "c", "Clean").child_completed(1, "c", "clean")

    assert result(past.unrolled(graceful, since=2)) == ["no", "clean"]


@pytest.mark.parametrize("wait", ["sleep", "signal", "any"])
def test_a_timer_that_nobody_sees_is_cancelled_with_its_wait(wait: str) -> None:
    @Assay().workflow(name=f"wait-{wait}")
    def waiter(ctx: Context) -> Any:
        try:
            if wait == "sleep":
                ctx.sleep(5)
            elif wait == "signal":
                ctx.wait_for_signal("go", timeout=5)
            else:
                ctx.wait_any(ctx.start_activity("work"), timeout=5)
        except WorkflowCancelled:
            with ctx.shield():
                ctx.execute_activity("clean")
            raise

    past = Past() if wait != "any" else Past().scheduled(1, "work")
    number = 1 if wait != "any" else 2
    past.timer(number, 5).cancel_requested()

    assert [(one["type"], one.get("timer_seq")) for one in past.turn(waiter).commands] == [
        ("CancelTimer", number), ("ScheduleActivity", None)
    ]  # fmt: skip
    past.timer_cancelled(number).done(number + 1, "clean", None)
    assert kinds(past.unrolled(waiter)) == ["CancelWorkflow"]


def test_now_and_the_log_move_on_to_the_cancel(caplog: pytest.LogCaptureFixture) -> None:
    @Assay().workflow
    def watch(ctx: Context) -> Any:
        try:
            ctx.wait_for_signal("go")
        except WorkflowCancelled:
            ctx.log.warning("cancelled at %s", ctx.now().timestamp())
            raise

    past = Past().awaiting("go").cancel_requested()
    past.turn(watch)

    assert [record.message for record in caplog.records] == ["[order-1 run-order-1-7] cancelled at 1003.0"]


# --------------------------------------------------------------------------- by the code itself


@app.workflow
def judge(ctx: Context) -> Any:
    said = ctx.wait_for_signal("verdict")
    try:
        ctx.cancel(f"it said {said}")
    except WorkflowCancelled:
        with ctx.shield():
            ctx.execute_activity("tell")
        ctx.execute_activity("never")


def test_code_may_cancel_its_own_run_and_clean_up() -> None:
    past = Past().signal("verdict", "no")

    assert [one["name"] for one in past.turn(judge).commands] == ["tell"]
    assert past.done(1, "tell", None).unrolled(judge, since=2).commands == [
        {"type": "CancelWorkflow", "reason": "it said no"}
    ]


def test_a_cancel_request_that_comes_later_changes_nothing() -> None:
    past = Past().signal("verdict", "no").scheduled(1, "tell").cancel_requested("other").completed(1, None)

    assert past.unrolled(judge, since=2).commands == [{"type": "CancelWorkflow", "reason": "it said no"}]


def test_time_does_not_move_to_a_cancel_request_that_comes_after_the_codes_own() -> None:
    @Assay().workflow
    def clock(ctx: Context) -> float:
        ctx.wait_for_signal("verdict")
        try:
            ctx.cancel("enough")
        except WorkflowCancelled:
            return ctx.now().timestamp()

    assert result(Past().signal("verdict").cancel_requested("other").turn(clock)) == 1002.0


def test_cancelling_needs_no_reason() -> None:
    @Assay().workflow
    def short(ctx: Context) -> None:
        ctx.start_activity("left")
        ctx.cancel()

    turn = Past().turn(short)

    assert kinds(turn) == ["ScheduleActivity", "CancelWorkflow"]
    assert turn.commands[-1]["reason"] is None
    assert turn.closes


# --------------------------------------------------------------------------- other code than before


def test_a_new_step_before_what_was_done_before_the_cancel_is_nondeterminism() -> None:
    @Assay().workflow
    def changed(ctx: Context) -> Any:
        ctx.wait_for_signal("new")
        ctx.execute_activity("old")

    past = Past().scheduled(1, "old").cancel_requested()

    assert "command 1: history has activity 'old' (event 2), but the code now waits for signal 'new'" in trouble(
        past.turn(changed)
    )


def test_clean_up_that_the_code_has_lost_is_nondeterminism() -> None:
    @Assay().workflow
    def changed(ctx: Context) -> Any:
        ctx.wait_for_signal("go")

    past = Past().awaiting("go").cancel_requested().done(1, "clean", None)

    assert "command 1: history has activity 'clean' (event 4), but the code now is cancelled before" in trouble(
        past.turn(changed)
    )
