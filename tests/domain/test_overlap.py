"""What becomes of ticks that wait: the plan, as a table."""

from __future__ import annotations

import pytest

from assay_wsgi.domain import overlap
from assay_wsgi.domain.model import Tick
from assay_wsgi.domain.overlap import plan
from assay_wsgi.domain.requests import OVERLAP_POLICIES

RUNNING, FREE = True, False


def waits(*policies: str) -> list[tuple[Tick, str]]:
    """Give ticks 1, 2, ... that wait under these policies, in the order in which they came."""
    return [
        (Tick(1, float(number), "buffered", "cron", None, None, None, 0.0), policy)
        for number, policy in enumerate(policies, 1)
    ]


@pytest.mark.parametrize(
    ("policies", "running", "starts", "skips", "replaces"),
    [
        ("skip", FREE, "1", {}, ""),
        ("skip", RUNNING, "", {1: "overlap"}, ""),
        ("skip skip", FREE, "1", {2: "overlap"}, ""),
        ("queue queue queue", FREE, "1", {}, ""),
        ("buffer_all buffer_all", RUNNING, "", {}, ""),
        ("buffer_one buffer_one buffer_one", FREE, "1", {3: "buffer_full"}, ""),
        ("buffer_one buffer_one", RUNNING, "", {2: "buffer_full"}, ""),
        ("buffer_all buffer_one", RUNNING, "", {}, ""),
        ("cancel_old", FREE, "1", {}, ""),
        ("cancel_old", RUNNING, "", {}, "1"),
        ("cancel_other cancel_old cancel_other", RUNNING, "", {1: "replaced", 2: "replaced"}, "3"),
        ("cancel_old cancel_old", FREE, "2", {1: "replaced"}, ""),
        ("terminate_other", RUNNING, "", {}, "1"),
        ("terminate_other terminate_other", FREE, "2", {1: "replaced"}, ""),
        ("allow_all allow_all", RUNNING, "12", {}, ""),
        ("allow_all skip", FREE, "1", {2: "overlap"}, ""),
        ("skip allow_all", FREE, "12", {}, ""),
        ("queue allow_all", RUNNING, "2", {}, ""),
        # what replaces goes first, and what waits goes on waiting for it
        ("queue cancel_old", FREE, "2", {}, ""),
        ("queue terminate_other skip", RUNNING, "", {3: "overlap"}, "2"),
    ],
)
def test_the_policy_of_each_tick_decides_over_all_that_wait(
    policies: str, running: bool, starts: str, skips: dict[int, str], replaces: str
) -> None:
    made = plan(waits(*policies.split()), lambda: running)

    assert [f"{tick.tick:.0f}" for tick in made.starts] == list(starts)
    assert {int(tick.tick): why for tick, why in made.skips} == skips
    assert (f"{made.replaces.tick:.0f}" if made.replaces else "") == replaces


def test_who_lets_all_start_need_not_know_what_runs() -> None:
    def nobody_asks() -> bool:
        raise AssertionError

    assert len(plan(waits("allow_all"), nobody_asks).starts) == 1


def test_the_buffer_keeps_the_ticks_that_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "BUFFER_AT_MOST", 2)

    made = plan(waits("queue", "queue", "queue", "skip"), lambda: RUNNING)

    assert {tick.tick: why for tick, why in made.skips} == {3.0: "buffer_full", 4.0: "overlap"}


@pytest.mark.parametrize("policy", OVERLAP_POLICIES)
def test_no_policy_loses_or_doubles_a_tick(policy: str) -> None:
    for running in (FREE, RUNNING):
        for count in range(5):
            waiting = waits(*[policy] * count)
            made = plan(waiting, lambda running=running: running)

            named = [*made.starts, *(tick for tick, _ in made.skips), *([made.replaces] if made.replaces else [])]
            assert len(named) == len(set(named))
            assert set(named) <= {tick for tick, _ in waiting}
            assert made.starts or made.replaces or running or not waiting
