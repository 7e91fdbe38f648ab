"""The storm, small: what `make storm` does in full. Real processes, really killed; nothing here is about speed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.processes import Ground

from . import family
from .listeners import listeners
from .scene import SIDECAR
from .scene import Site
from .schedules import schedules
from .timers import timers
from .trees import trees
from .vanishing import vanishing


@pytest.fixture
def site(backend: str, tmp_path: Path) -> Site:
    """A fresh database of each kind, and a directory to run in."""
    chance = random.Random(random.randrange(2**32))  # of the seed that the test run prints
    return Site(ground=Ground(tmp_path / "ground"), url=backend, chance=chance, pause_secs=(1.0, 2.0))


def test_each_timer_fires_once_and_none_early_while_sidecars_are_killed(site: Site) -> None:
    found = timers(site, runs=100, each=5, spread_secs=1.0, killing=True)

    assert found.faults == []
    assert found.kills[SIDECAR] >= 1


def test_trees_end_as_their_roots_do_while_sidecars_and_workers_are_killed(site: Site) -> None:
    found = trees(site, width=10, timeout_secs=4.0)

    assert found.faults == []
    assert found.kills[SIDECAR] >= 1


def test_each_tick_of_every_second_schedules_has_one_fate_while_sidecars_are_killed(site: Site) -> None:
    found = schedules(site, count=16, secs=1.5, packed=2)

    assert found.faults == []
    assert found.kills[SIDECAR] >= 1


def test_each_who_listens_hears_all_of_it_once_and_in_order_while_web_processes_are_killed(site: Site) -> None:
    found = listeners(site, each=4, kills=2, runs=240)

    assert found.faults == []
    assert found.kills["web process"] == 2


def test_an_activity_whose_workers_vanish_fails_by_its_time_out_and_its_run_goes_on(site: Site) -> None:
    found = vanishing(site, killing=False)

    assert found.faults == []
    assert found.kills["worker"] == 13


# ------------------------------------------------------------------------------ how a family must end, by hand


def a_member(name: str, how: str = "request_cancel", *below: family.Member, at_cancel: str = "cancelled",
             patient: bool = False) -> family.Member:  # fmt: skip
    return {"id": name, "parent_close": how, "at_cancel": at_cancel, "patient": patient, "below": list(below)}


@pytest.mark.parametrize(
    ("reason", "patient", "expected"),
    [
        ("terminated", False, "a terminated, b terminated, c terminated, d open, e open, f terminated"),
        ("timed_out", False, "a timed_out, b failed, c terminated, d open, e open, f terminated"),
        ("cancelled", False, "a cancelled, b failed, c terminated, d open, e open, f terminated"),
        ("cancelled", True, "a cancelled, b failed, c cancelled, d completed, e terminated, f terminated"),
    ],
)
def test_how_each_member_of_a_family_must_end(reason: str, patient: bool, expected: str) -> None:
    root = a_member(
        "a",
        "request_cancel",
        a_member("b", "request_cancel", a_member("f", "terminate"), at_cancel="failed"),
        a_member("c", "terminate"),
        a_member("d", "abandon", a_member("e", "terminate"), at_cancel="completed"),
        patient=patient,
    )

    ends = family.ends(root, reason)

    assert ", ".join(f"{name} {end}" for name, end in sorted(ends.items())) == expected
