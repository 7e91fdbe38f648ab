"""Steps: what the dashboard shows of a run, when it is told, and what its buttons do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble


@dataclass
class Approval:
    by: str
    ok: bool = True


@Assay().workflow
def deploy(ctx: Context) -> str:
    steps = ctx.steps("Build", "Approval", "Deploy")
    with steps.step("Build"):
        ctx.execute_activity("build")
        steps.log("built")
    with steps.step("Approval", actions=["approve", "reject"]):
        ok = ctx.wait_for_signal("approve", Approval, timeout=timedelta(hours=1))
        if ok is None or not ok.ok:
            ctx.cancel("not approved in time" if ok is None else f"rejected by {ok.by}")
    with steps.step("Deploy"):
        return ctx.execute_activity("roll_out", ok.by)


@Assay().workflow
def buttons(ctx: Context) -> Any:
    steps = ctx.steps("Approval", "Deploy")
    answer = steps.await_action("Approval", ["approve", "reject"], timeout=60)
    if answer is None:
        return None
    with steps.step("Deploy"):
        go = steps.await_action("Deploy", ["go"])
        assert go is not None
        return [answer.step, answer.action, answer.user, go.user]


def shown(turn: Any) -> Any:
    assert turn.failure is None, turn.failure
    return json.loads(turn.state)["pipeline_state"]


def statuses(turn: Any) -> list[str]:
    return [one["status"] for one in shown(turn)["steps"]]


def press(past: Past, step: Any, action: Any, user: Any = None) -> Past:
    return past.signal("step_action", {"step": step, "action": action, "user": user})


def built() -> Past:
    return Past().done(1, "build", "image")


def asked() -> Past:
    return built().timer(2, 3600).awaiting("approve", timer_seq=2).awaiting("step_action")


# --------------------------------------------------------------------------- what is shown


def test_a_step_runs_while_the_code_waits_in_it() -> None:
    assert shown(Past().turn(deploy)) == {
        "status": "running",
        "current_step": 1,
        "steps": [
            {"name": "Build", "status": "running", "started_at": 1001.0},
            {"name": "Approval", "status": "waiting"},
            {"name": "Deploy", "status": "waiting"},
        ],
        "log": [],
    }


def test_a_step_with_actions_shows_its_buttons_and_until_when_somebody_has_time() -> None:
    assert shown(built().turn(deploy)) == {
        "status": "running",
        "current_step": 2,
        "steps": [
            {"name": "Build", "status": "done", "started_at": 1001.0, "completed_at": 1003.0},
            {
                "name": "Approval",
                "status": "running",
                "started_at": 1003.0,
                "actions": ["approve", "reject"],
                "expires_at": 4603.0,
            },
            {"name": "Deploy", "status": "waiting"},
        ],
        "log": [{"time": 1003.0, "msg": "built", "step": "Build"}],
    }


def test_a_state_is_sent_when_it_changes_and_not_else() -> None:
    past = built()
    first = past.turn(deploy)
    past.timer(2, 3600).awaiting("approve", timer_seq=2).awaiting("step_action")
    again = past.turn(deploy, shown=first.state)
    past.signal("something else")

    assert kinds(first) == ["RecordSnapshot", "ScheduleTimer", "WaitForSignal", "WaitForSignal"]
    assert kinds(again) == kinds(past.turn(deploy, shown=first.state)) == ["WaitForSignal", "WaitForSignal"]


def test_a_run_that_ends_has_no_step_that_runs_and_no_button() -> None:
    past = asked().signal("approve", {"by": "ada"}).done(3, "roll_out", "https://x")
    turn = past.unrolled(deploy)

    assert result(turn) == "https://x"
    assert shown(turn)["status"] == "done"
    assert statuses(turn) == ["done", "done", "done"]
    assert [sorted(one) for one in shown(turn)["steps"]] == 3 * [["completed_at", "name", "started_at", "status"]]


def test_a_failed_step_leaves_the_later_ones_skipped() -> None:
    turn = Past().scheduled(1, "build").failed(1, "build", "no space").turn(deploy)

    assert kinds(turn)[-1] == "FailWorkflow"
    assert shown(turn)["status"] == "failed"
    assert statuses(turn) == ["failed", "skipped", "skipped"]


def test_a_cancelled_run_shows_where() -> None:
    turn = asked().cancel_requested("stop").unrolled(deploy)

    assert kinds(turn)[-1] == "CancelWorkflow"
    assert shown(turn)["status"] == "cancelled"
    assert statuses(turn) == ["done", "cancelled", "skipped"]
    assert "expires_at" not in shown(turn)["steps"][1]


def test_a_time_out_cancels_as_the_code_says() -> None:
    turn = asked().fired(2).unrolled(deploy)

    assert turn.commands[-1] == {"type": "CancelWorkflow", "reason": "not approved in time"}
    assert statuses(turn) == ["done", "cancelled", "skipped"]


def test_steps_that_were_not_begun_are_skipped_when_the_run_is_over_or_when_the_code_says_so() -> None:
    @Assay().workflow
    def short(ctx: Context) -> None:
        steps = ctx.steps("Check", "Wait", "Repair", "Report")
        with steps.step("Check"):
            pass
        steps.skip("Repair")
        with steps.step("Wait"):
            ctx.execute_activity("wait")

    assert statuses(Past().turn(short)) == ["done", "running", "skipped", "waiting"]
    assert statuses(Past().done(1, "wait", None).turn(short)) == ["done", "done", "skipped", "skipped"]


def test_code_may_go_on_after_a_failed_step() -> None:
    @Assay().workflow
    def stubborn(ctx: Context) -> str:
        steps = ctx.steps("Deploy", "Verify", "Roll back")
        try:
            with steps.step("Deploy"):
                raise ApplicationError("no")
        except ApplicationError:
            with steps.step("Roll back"):
                ctx.execute_activity("roll_back")
        return "as before"

    assert statuses(Past().turn(stubborn)) == ["failed", "skipped", "running"]
    assert statuses(Past().done(1, "roll_back", None).turn(stubborn)) == ["failed", "skipped", "done"]


def test_a_step_inside_a_step_is_the_current_one_while_it_runs() -> None:
    @Assay().workflow
    def nested(ctx: Context) -> None:
        steps = ctx.steps("All", "Part")
        with steps.step("All"):
            with steps.step("Part"):
                ctx.execute_activity("part")
            ctx.execute_activity("rest")

    assert shown(Past().turn(nested))["current_step"] == 2
    assert shown(Past().done(1, "part", None).turn(nested))["current_step"] == 1


def test_a_run_that_continues_as_new_leaves_its_step_running() -> None:
    @Assay().workflow
    def lasting(ctx: Context) -> None:
        steps = ctx.steps("Collect", "Send")
        with steps.step("Collect"):
            ctx.continue_as_new()

    assert statuses(Past().turn(lasting)) == ["running", "waiting"]


def test_the_log_keeps_its_newest_lines() -> None:
    @Assay().workflow
    def talking(ctx: Context) -> None:
        steps = ctx.steps("Talk")
        for n in range(600):
            steps.log(f"line {n}")

    log = shown(Past().turn(talking))["log"]
    assert (log[0], len(log)) == ({"time": 1001.0, "msg": "line 100"}, 500)


# --------------------------------------------------------------------------- what the buttons do


@pytest.mark.parametrize(("action", "closing"), [("approve", "CompleteWorkflow"), ("reject", "CancelWorkflow")])
def test_a_button_answers_a_wait_for_a_signal_in_its_step(action: str, closing: str) -> None:
    past = press(asked(), "Approval", action, "ada")
    if action == "approve":
        past.timer_cancelled(2).done(3, "roll_out", "ada")

    turn = past.unrolled(deploy)

    assert kinds(turn)[-1] == closing
    assert turn.commands[-1] in (
        {"type": "CompleteWorkflow", "result": "ada"},
        {"type": "CancelWorkflow", "reason": "rejected by ada"},
    )


def test_the_first_of_signal_and_button_counts() -> None:
    by_signal = press(asked().signal("approve", {"by": "signal"}), "Approval", "approve", "button")
    by_button = press(asked(), "Approval", "approve", "button").signal("approve", {"by": "signal"})

    assert by_signal.turn(deploy).commands[-1]["input"] == "signal"
    assert by_button.turn(deploy).commands[-1]["input"] == "button"


def test_a_wait_for_another_signal_is_not_answered_by_buttons() -> None:
    @Assay().workflow
    def other(ctx: Context) -> Any:
        steps = ctx.steps("Approval")
        with steps.step("Approval", actions=["approve"]):
            return ctx.wait_for_signal("news")

    past = press(Past(), "Approval", "approve")

    assert past.turn(other).commands[-1] == {"type": "WaitForSignal", "name": "news"}


def test_a_button_is_waited_for_and_says_who_pressed_it() -> None:
    past = Past()
    assert kinds(past.turn(buttons)) == ["RecordSnapshot", "ScheduleTimer", "WaitForSignal"]
    assert past.turn(buttons).commands[-1] == {"type": "WaitForSignal", "name": "step_action"}
    press(past.timer(1, 60).awaiting("step_action"), "Approval", "approve", "ada")

    turn = past.turn(buttons)
    assert kinds(turn) == ["RecordSnapshot", "CancelTimer", "WaitForSignal"]
    assert statuses(turn) == ["done", "running"]
    assert shown(turn)["steps"][1]["actions"] == ["go"]
    press(past.timer_cancelled(1).awaiting("step_action"), "Deploy", "go")
    assert result(past.unrolled(buttons)) == ["Approval", "approve", "ada", None]


def test_nobody_pressing_gives_none_and_a_step_that_failed() -> None:
    turn = Past().timer(1, 60).awaiting("step_action").fired(1).unrolled(buttons)

    assert result(turn) is None
    assert statuses(turn) == ["failed", "skipped"]
    assert "actions" not in shown(turn)["steps"][0]


def test_what_is_pressed_for_another_step_is_there_for_it() -> None:
    past = Past().timer(1, 60).awaiting("step_action")
    press(past, "Deploy", "go", "eve")
    press(past, "Approval", "dance", "eve")
    past.signal("step_action", "nonsense")
    assert kinds(past.turn(buttons)) == ["RecordSnapshot", "WaitForSignal"]

    press(past, "Approval", "reject", "ada")

    assert result(past.unrolled(buttons)) == ["Approval", "reject", "ada", "eve"]


def test_a_signal_that_was_passed_over_goes_along_to_the_next_run() -> None:
    @Assay().workflow
    def again(ctx: Context) -> None:
        ctx.steps("A", "B").await_action("B", ["go"])
        ctx.continue_as_new()

    past = press(press(press(Past(), "A", "go"), "B", "go"), "B", "go")

    assert past.turn(again).commands[-1]["unread_signals"] == [2, 4]


def test_a_cancelled_wait_for_a_button_shows_the_step_as_cancelled() -> None:
    turn = Past().timer(1, 60).awaiting("step_action").cancel_requested("stop").unrolled(buttons)

    assert kinds(turn)[-2:] == ["CancelTimer", "CancelWorkflow"]
    assert statuses(turn) == ["cancelled", "skipped"]


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda ctx, steps: steps.step("Biuld").__enter__(), "no step 'Biuld': this run's steps are Build, Deploy"),
        (lambda ctx, steps: steps.skip("Test"), "no step 'Test'"),
        (lambda ctx, steps: (steps.skip("Build"), steps.skip("Build")), "step 'Build' is skipped already"),
        (lambda ctx, steps: steps.await_action("Build", "go"), "actions are a list of labels: ['go'], not 'go'"),
        (lambda ctx, steps: steps.await_action("Build", []), "needs actions to wait for"),
        (lambda ctx, steps: steps.step("Build", [""]).__enter__(), "an action is a label"),
        (lambda ctx, steps: ctx.steps("More"), "ctx.steps() was called before"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(wrong: Any, said: str) -> None:
    @Assay().workflow
    def mistaken(ctx: Context) -> None:
        wrong(ctx, ctx.steps("Build", "Deploy"))

    assert said in trouble(Past().turn(mistaken))


@pytest.mark.parametrize(
    ("names", "said"),
    [((), "needs the names"), (("A", "A"), "two steps 'A'"), ((["A", "B"],), "is a string"), (("",), "is not empty")],
)
def test_steps_have_names_each_its_own(names: Any, said: str) -> None:
    @Assay().workflow
    def mistaken(ctx: Context) -> None:
        ctx.steps(*names)

    assert said in trouble(Past().turn(mistaken))


def test_a_step_is_used_once() -> None:
    @Assay().workflow
    def looping(ctx: Context) -> None:
        steps = ctx.steps("Try")
        for _ in range(2):
            with steps.step("Try"):
                pass

    assert "step 'Try' is done already: a step is used once" in trouble(Past().turn(looping))
