"""What users get wrong, and what they are told: whose mistake it is, where, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import heartbeat
from assay_wsgi.sdk.activities import Attempt
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import trouble

app = Assay()


@dataclass
class Decision:
    by: str
    ok: bool


@app.activity
def decide(case: int) -> Decision:
    return Decision("Ada", case > 0)


@app.activity
def hold(case: int) -> Any:
    return object()


@app.activity
def tell(case: int) -> None:
    heartbeat({case: object()})


def attempted(name: str) -> str:
    """Make one attempt and return the report's text."""
    task = {"task_token": "t", "name": name, "workflow_id": "w", "run_id": "r", "seq": 1, "attempt": 1, "input": 1}
    return Attempt(task, 1, lambda: None).perform(app.activities).text.decode()


# --------------------------------------------------------------------------- a context out of its time


@pytest.mark.parametrize("waits", [True, False])
def test_a_context_of_another_run_is_refused_and_does_not_park_the_run_that_uses_it(waits: bool) -> None:
    kept: list[Context] = []

    @Assay().workflow
    def keeper(ctx: Context) -> None:
        kept.append(ctx)
        if waits:
            ctx.sleep(60)

    @Assay().workflow
    def borrower(ctx: Context) -> Any:
        return kept[0].execute_activity("work")

    assert kinds(Past().turn(keeper)) == ["ScheduleTimer" if waits else "CompleteWorkflow"]

    said = trouble(Past().turn(borrower))

    assert "the turn of Order 'order-1' that this context belongs to has ended" in said
    assert "use the context that the workflow function is given" in said


def test_a_context_in_an_activity_fails_the_attempt_and_says_what_to_give_instead() -> None:
    kept: list[Context] = []
    mistaken = Assay()

    @mistaken.activity
    def use() -> Any:
        return kept[0].execute_activity("work")

    @mistaken.workflow
    def keeper(ctx: Context) -> None:
        kept.append(ctx)
        ctx.execute_activity(use)

    Past().turn(keeper)
    task = {"task_token": "t", "name": "use", "workflow_id": "w", "run_id": "r", "seq": 1, "attempt": 1}

    assert (
        b"give activities values, not the context" in Attempt(task, 1, lambda: None).perform(mistaken.activities).text
    )


# --------------------------------------------------------------------------- what JSON cannot hold


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda ctx: object(), "TypeError: the result of workflow 'odd': JSON cannot hold this object: <object"),
        (lambda ctx: {"a": [open]}, "the result of workflow 'odd': JSON cannot hold this builtin_function_or_method"),
        (lambda ctx: float("nan"), "ValueError: the result of workflow 'odd': "),
        (lambda ctx: "\ud800", "ValueError: the result of workflow 'odd': "),
        (lambda ctx: ctx.start_activity(decide, 1), "JSON cannot hold this ActivityHandle"),
        (
            lambda ctx: ctx.execute_activity(decide, ctx),
            "the input of activity 'decide': JSON cannot hold this Context",
        ),
        (lambda ctx: ctx.start_child("Ship", object()), "the input of child workflow 'Ship': JSON cannot"),
        (lambda ctx: ctx.side_effect("token", object), "side effect 'token': JSON cannot hold"),
        (lambda ctx: ctx.upsert_search_attributes({"a": object()}), "search attributes: JSON cannot hold"),
        (lambda ctx: ctx.continue_as_new(object(), workflow="Next"), "the input of workflow 'Next': JSON cannot hold"),
    ],
)
def test_what_json_cannot_hold_fails_the_task_and_is_named(mistake: Callable[[Context], Any], says: str) -> None:
    @Assay().workflow
    def odd(ctx: Context) -> Any:
        return mistake(ctx)

    said = trouble(Past().turn(odd))

    assert says in said
    assert "JSON cannot hold" not in said or "; it holds dataclasses, dicts, lists, strings" in said


def test_an_activity_says_which_of_its_values_json_cannot_hold() -> None:
    assert "TypeError: the result of activity 'hold': JSON cannot hold this object" in attempted("hold")
    assert "TypeError: heartbeat details: JSON cannot hold this object" in attempted("tell")


# --------------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (3, "payload of signal decide: needs an object (Decision), not 3"),
        ({"by": "Ada"}, "payload of signal decide.ok: is missing"),
    ],
)
@pytest.mark.parametrize("drained", [True, False])
def test_a_signal_that_does_not_fit_is_named(payload: Any, says: str, drained: bool) -> None:
    @Assay().workflow
    def wait(ctx: Context) -> Any:
        ctx.execute_activity("look")
        return ctx.signals("decide", Decision) if drained else ctx.wait_for_signal("decide", Decision)

    past = Past().signal("decide", payload).done(1, "look", None)

    assert trouble(past.turn(wait)) == f"exception: Misfit: {says}"


def test_an_input_without_a_member_is_told_by_its_place() -> None:
    @Assay().workflow
    def judge(ctx: Context, decision: Decision) -> None: ...

    assert trouble(Past({"by": "Ada"}).turn(judge)) == (
        "bad_input: the input does not fit judge: decision.ok: is missing"
    )


# --------------------------------------------------------------------------- names and calls


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda ctx: ctx.execute_activity(decide), "decide(case): missing a required argument: 'case'"),
        (lambda ctx: ctx.execute_activity("far", 1, 2), "'far' is known by its name only: it takes one argument"),
        (lambda ctx: ctx.start_child("Far", 1, 2), "'Far' is known by its name only: it takes one argument"),
        (lambda ctx: ctx.execute_activity(len, "a"), "<built-in function len> is not an activity: decorate"),
    ],
)
def test_a_call_that_does_not_fit_names_what_was_called(mistake: Callable[[Context], Any], says: str) -> None:
    @Assay().workflow
    def wrong(ctx: Context) -> Any:
        return mistake(ctx)

    assert says in trouble(Past().turn(wrong))


def test_an_activity_that_a_worker_does_not_have_is_told_with_those_that_it_has() -> None:
    assert "UnknownActivity: this worker has no activity 'dicide' (it has: decide, hold, tell)" in attempted("dicide")


def test_a_second_definition_of_a_name_is_told_where_the_first_one_is() -> None:
    def another(case: int) -> None: ...

    with pytest.raises(
        ValueError, match=r"'decide' is registered already, as tests\.sdk\.test_mistakes\.decide; give one"
    ):
        app.activity(name="decide")(another)


@pytest.mark.parametrize("fn", [lambda: 1, lambda *, ctx: 1, lambda **more: 1])
def test_a_workflow_without_a_place_for_the_context_is_refused(fn: Any) -> None:
    with pytest.raises(TypeError, match="a workflow takes the context as its first parameter"):
        Assay().workflow(fn)
