"""Sagas: what is undone, when, in which order, and what becomes of the error."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.sdk import ActivityError
from assay_wsgi.sdk import ApplicationError
from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import CompensationError
from assay_wsgi.sdk import Context
from tests.sdk.histories import Past
from tests.sdk.histories import kinds
from tests.sdk.histories import result
from tests.sdk.histories import trouble

app = Assay()


@app.activity
def release(hold: str, reason: str = "") -> None:
    """Give a reserved thing back."""


@app.workflow
def checkout(ctx: Context) -> Any:
    with ctx.saga() as saga:
        hold = ctx.execute_activity("reserve")
        saga.defer(release, hold)
        payment = ctx.execute_activity("charge")
        saga.defer("refund", payment)
        return ctx.execute_activity("ship")


def paid() -> Past:
    return Past().done(1, "reserve", "h").done(2, "charge", "p").scheduled(3, "ship")


def test_nothing_is_undone_when_all_went_well() -> None:
    assert result(paid().completed(3, "shipped").unrolled(checkout)) == "shipped"


def test_a_failure_is_undone_in_reverse_order_before_the_run_fails() -> None:
    past = paid().failed(3, "ship", "no van")

    (refund,) = past.turn(checkout).commands
    assert (refund["name"], refund["input"], refund["seq"]) == ("refund", "p", 4)
    (give_back,) = past.done(4, "refund", None).turn(checkout).commands
    assert (give_back["name"], give_back["input"], give_back["seq"]) == ("release", {"hold": "h"}, 5)
    assert past.done(5, "release", None).unrolled(checkout).commands == [
        {"type": "FailWorkflow", "error": "activity 'ship' failed: no van"}
    ]


def test_only_what_was_deferred_is_undone() -> None:
    past = Past().done(1, "reserve", "h").scheduled(2, "charge").failed(2, "charge", "declined")

    assert [one["name"] for one in past.turn(checkout).commands] == ["release"]
    past.done(3, "release", None)
    assert past.unrolled(checkout).commands == [{"type": "FailWorkflow", "error": "activity 'charge' failed: declined"}]


def test_a_cancelled_run_is_undone_behind_a_shield() -> None:
    past = paid().cancel_requested("changed my mind").done(4, "refund", None).done(5, "release", None)

    assert past.unrolled(checkout).commands == [{"type": "CancelWorkflow", "reason": "changed my mind"}]


def test_a_cancellation_that_comes_while_a_failure_is_undone_changes_nothing() -> None:
    past = paid().failed(3, "ship", "no van").scheduled(4, "refund").cancel_requested("stop").completed(4, None)

    assert [one["name"] for one in past.turn(checkout).commands] == ["release"]
    past.done(5, "release", None)
    assert kinds(past.unrolled(checkout)) == ["FailWorkflow"]


def test_a_compensation_that_fails_stops_no_other_and_is_told_with_the_error() -> None:
    past = paid().failed(3, "ship", "no van").scheduled(4, "refund").failed(4, "refund", "bank closed")

    assert [one["name"] for one in past.turn(checkout).commands] == ["release"]
    past.done(5, "release", None)
    assert past.unrolled(checkout).commands == [
        {
            "type": "FailWorkflow",
            "error": "activity 'ship' failed: no van; then the compensation failed: "
            "activity 'refund' failed: bank closed",
        }
    ]


def test_a_cancelled_run_that_could_not_be_undone_has_failed() -> None:
    past = Past().done(1, "reserve", "h").scheduled(2, "charge").cancel_requested("enough")
    past.scheduled(3, "release").failed(3, "release", "gone")

    assert past.unrolled(checkout).commands == [
        {"type": "FailWorkflow", "error": "enough; then the compensation failed: activity 'release' failed: gone"}
    ]


def test_code_may_end_well_after_what_it_caught_was_undone() -> None:
    @Assay().workflow
    def order(ctx: Context) -> Any:
        try:
            return checkout.fn(ctx)
        except CompensationError as error:
            return [type(error.error).__name__, len(error.failures), isinstance(error.__cause__, ActivityError)]
        except ActivityError as error:
            return f"undone: {error.message}"

    past = Past().done(1, "reserve", "h").scheduled(2, "charge").failed(2, "charge", "declined").scheduled(3, "release")

    failed = past.first(len(past.events)).failed(3, "release", "gone")
    assert result(past.completed(3, None).unrolled(order)) == "undone: declined"
    assert result(failed.unrolled(order)) == ["ActivityError", 1, True]


def test_the_inner_of_two_sagas_is_undone_first() -> None:
    @Assay().workflow
    def nested(ctx: Context) -> None:
        with ctx.saga() as outer:
            outer.defer("outer")
            with ctx.saga() as inner:
                inner.defer("inner")
                raise ApplicationError("no", type="Declined")

    past = Past()

    assert [one["name"] for one in past.turn(nested).commands] == ["inner"]
    assert [one["name"] for one in past.done(1, "inner", None).turn(nested).commands] == ["outer"]
    assert past.done(2, "outer", None).unrolled(nested).commands == [
        {"type": "FailWorkflow", "error": "Declined: no"},
    ]


def test_what_is_to_be_undone_is_what_was_deferred_not_what_became_of_it() -> None:
    @Assay().workflow
    def changing(ctx: Context) -> None:
        with ctx.saga() as saga:
            basket = ["apple"]
            saga.defer("empty", basket)
            basket.append("pear")
            raise ApplicationError("no")

    assert Past().turn(changing).commands[0]["input"] == ["apple"]


def test_a_run_that_continues_as_new_undoes_nothing() -> None:
    @Assay().workflow
    def handing_over(ctx: Context) -> None:
        with ctx.saga() as saga:
            saga.defer("undo")
            ctx.continue_as_new()

    assert kinds(Past().turn(handing_over)) == ["ContinueAsNew"]


# --------------------------------------------------------------------------- bugs


def test_a_bug_fails_the_turn_and_undoes_nothing() -> None:
    @Assay().workflow
    def buggy(ctx: Context) -> None:
        with ctx.saga() as saga:
            saga.defer("undo")
            raise KeyError("total")

    assert trouble(Past().turn(buggy)) == "exception: KeyError: 'total'"


@pytest.mark.parametrize("way", ["goes on", "ends", "fails"])
def test_a_bug_that_is_caught_outside_is_not_passed_over_in_silence(way: str) -> None:
    @Assay().workflow
    def forgiving(ctx: Context) -> str:
        try:
            with ctx.saga() as saga:
                saga.defer("undo")
                raise KeyError("total")
        except KeyError:
            if way == "fails":
                raise ApplicationError("bad total") from None
            if way == "goes on":
                ctx.execute_activity("more")
        return "fine"

    said = trouble(Past().turn(forgiving))

    assert "KeyError left a `with ctx.saga()` block, and its compensations did not run" in said
    assert "raise ApplicationError" in said


def test_a_bug_with_nothing_to_undo_may_be_caught() -> None:
    @Assay().workflow
    def forgiving(ctx: Context) -> str:
        try:
            with ctx.saga():
                raise KeyError("total")
        except KeyError:
            return "fine"

    assert result(Past().turn(forgiving)) == "fine"


def test_what_cannot_be_undone_is_refused_where_it_is_deferred() -> None:
    @Assay().workflow
    def wrong(ctx: Context, way: str) -> None:
        with ctx.saga() as saga:
            if way == "arguments":
                saga.defer(release, "h", colour="red")
            elif way == "function":
                saga.defer(release.fn, "h")
            elif way == "workflow":
                saga.defer(checkout)
        saga.defer(release, "h")

    assert "unexpected keyword argument 'colour'" in trouble(Past("arguments").turn(wrong))
    assert "is not an activity: decorate the function with @app.activity" in trouble(Past("function").turn(wrong))
    assert "checkout is a workflow: start it with ctx.start_child" in trouble(Past("workflow").turn(wrong))
    assert "belongs inside `with ctx.saga() as saga:`" in trouble(Past("late").turn(wrong))
