"""Chance in workflow code: the same in each replay, another one in another run."""

from __future__ import annotations

from typing import Any

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import RunInfo
from tests.sdk.histories import RUN
from tests.sdk.histories import Past
from tests.sdk.histories import result

app = Assay()


@app.workflow
def dice(ctx: Context, between: bool = False) -> Any:
    first = [ctx.random().randrange(10**9), str(ctx.uuid4())]
    ctx.execute_activity("roll")
    if between:
        ctx.random().random()
    return [*first, str(ctx.uuid4()), ctx.random().randrange(10**9)]


def test_each_replay_draws_the_same_and_goes_on_from_there() -> None:
    past = Past().done(1, "roll", None)

    once, again = result(past.turn(dice)), result(past.unrolled(dice))

    assert once == again
    assert len(set(once)) == 4
    assert once[1][14] == once[2][14] == "4"


def test_numbers_and_ids_do_not_shift_each_other() -> None:
    plain, shifted = (result(Past(between).done(1, "roll", None).turn(dice)) for between in (False, True))

    assert plain[:3] == shifted[:3]
    assert plain[3] != shifted[3]


def test_another_run_draws_otherwise() -> None:
    past = Past().done(1, "roll", None)

    mine = result(past.turn(dice, info=RUN))
    other = result(past.turn(dice, info=RunInfo("order-1", "run-order-1-8")))

    assert not set(mine) & set(other)
