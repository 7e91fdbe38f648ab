"""A random walk over everything that this engine can do, held against a small model of what was acknowledged.

The seed is printed; ASSAY_TEST_SEED walks it again, ASSAY_TEST_LONG=1 walks 2,000 steps.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.engine.walk import MARKS
from tests.engine.walk import TERMINAL
from tests.engine.walk_old_way import WholeWalk

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

GIVEN = os.environ.get("ASSAY_TEST_SEED")
LONG = bool(os.environ.get("ASSAY_TEST_LONG"))
SEEDS = [int(GIVEN)] if GIVEN else [1, 2] if not LONG else list(range(1, 6))
LONG_STEPS = 2000
STEPS = LONG_STEPS if LONG else 500
FSCK_EVERY = 25


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_walk_breaks_no_rule_and_loses_nothing(engine: Engine, clock: Clock, seed: int) -> None:
    print(f"random walk: ASSAY_TEST_SEED={seed}")  # noqa: T201 - a failure is walked again by it
    walk = WholeWalk(engine, clock, seed)
    for worker in walk.workers:
        worker.begins()

    walk.each_once()
    for step in range(1, STEPS + 1):
        walk.step()
        if step % FSCK_EVERY == 0:
            walk.check()

    walk.check()
    ends = {known.end for known in walk.runs.values()}
    happened = {effect for known in walk.runs.values() for effect, _ in known.effects}
    assert happened >= {"SignalReceived", "ActivityCompleted", "ActivityFailed", "SideEffectRecorded"}
    if STEPS < LONG_STEPS:
        return  # equals are claimed in any order: a short walk need not come by everything
    assert ends >= {"COMPLETED", "FAILED", "CANCELLED"}
    assert happened >= {*TERMINAL, *MARKS, "WorkflowStarted", "WorkflowCancelRequested"}
