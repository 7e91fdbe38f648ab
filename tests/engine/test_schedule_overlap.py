"""What a tick does while a run of its schedule is open: each policy as a story with its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain import overlap
from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SchedulePatch
from assay_wsgi.domain.schedules import AT_ONCE
from tests.engine.scheduling import at
from tests.engine.scheduling import finish
from tests.engine.scheduling import given_a_schedule
from tests.engine.scheduling import run_of
from tests.engine.scheduling import runs
from tests.engine.scheduling import shown
from tests.engine.scheduling import skipped
from tests.engine.scheduling import waiting
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import history
from tests.engine.stories import record

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_skip_leaves_out_each_tick_that_finds_a_run_open(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="skip")
    worker = Played(engine)
    at(engine, clock, 10.0)
    task = worker.takes()
    at(engine, clock, 20.0)
    at(engine, clock, 30.0)
    assert runs(engine) == {run_of(10): "RUNNING"}

    finish(worker, task)
    at(engine, clock, 35.0)
    assert runs(engine) == {run_of(10): "COMPLETED"}
    at(engine, clock, 40.0)

    assert runs(engine) == {run_of(10): "COMPLETED", run_of(40): "PENDING"}
    assert skipped(engine) == [(20.0, "overlap"), (30.0, "overlap")]
    assert shown(engine, "ticks_skipped", "runs_started", "buffered") == [2, 2, 0]


@pytest.mark.parametrize("policy", ["queue", "buffer_all"])
def test_queue_starts_each_tick_when_the_one_before_it_has_ended(engine: Engine, clock: Clock, policy: str) -> None:
    given_a_schedule(engine, overlap_policy=policy)
    worker = Played(engine)
    for secs in (10.0, 20.0, 30.0):
        at(engine, clock, secs)
    assert (runs(engine), waiting(engine)) == ({run_of(10): "PENDING"}, [20.0, 30.0])

    clock.now = T0 + 33.0
    finish(worker)
    at(engine, clock, 33.0)
    assert (runs(engine), waiting(engine)) == ({run_of(10): "COMPLETED", run_of(20): "PENDING"}, [30.0])
    assert shown(engine, "last_run_at", "last_workflow_id", "buffered") == [T0 + 33.0, run_of(20), 1]

    finish(worker)
    at(engine, clock, 34.0)

    assert list(runs(engine)) == [run_of(10), run_of(20), run_of(30)]
    assert (waiting(engine), skipped(engine)) == ([], [])


def test_buffer_one_keeps_the_first_tick_that_waits_and_leaves_out_the_later_ones(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="buffer_one")
    worker = Played(engine)
    for secs in (10.0, 20.0, 30.0, 40.0):
        at(engine, clock, secs)
    assert (waiting(engine), skipped(engine)) == ([20.0], [(30.0, "buffer_full"), (40.0, "buffer_full")])

    finish(worker)
    at(engine, clock, 45.0)
    at(engine, clock, 50.0)

    assert runs(engine) == {run_of(10): "COMPLETED", run_of(20): "PENDING"}
    assert waiting(engine) == [50.0]


@pytest.mark.parametrize("policy", ["cancel_old", "cancel_other"])
def test_cancel_old_asks_the_run_to_end_and_starts_the_newest_tick_once_it_has(
    engine: Engine, clock: Clock, policy: str
) -> None:
    given_a_schedule(engine, overlap_policy=policy)
    worker = Played(engine)
    at(engine, clock, 10.0)
    assert worker.reports(worker.takes(), WaitForSignal(name="go")) == {"ok": True}
    at(engine, clock, 20.0)
    at(engine, clock, 30.0)
    assert (runs(engine), waiting(engine)) == ({run_of(10): "CANCELLING"}, [30.0])
    assert skipped(engine) == [(20.0, "replaced")]
    first = RunRef(workflow_id=run_of(10))
    assert history(engine, first).count("WorkflowCancelRequested") == 1

    clock.now = T0 + 37.0
    assert worker.reports(worker.takes(), CancelWorkflow()) == {"ok": True}
    assert runs(engine) == {run_of(10): "CANCELLED"}
    at(engine, clock, 37.0)

    assert runs(engine) == {run_of(10): "CANCELLED", run_of(30): "PENDING"}
    assert record(engine, RunRef(workflow_id=run_of(30)))["created_at"] == T0 + 37.0


def test_cancel_old_replaces_a_run_that_nobody_took_at_once(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="cancel_old")
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)

    assert runs(engine) == {run_of(10): "CANCELLED", run_of(20): "PENDING"}
    assert waiting(engine) == []


def test_terminate_other_ends_the_run_and_starts_the_next_in_one_unit(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="terminate_other")
    worker = Played(engine)
    at(engine, clock, 10.0)
    task = worker.takes()
    at(engine, clock, 20.0)

    first, second = record(engine, RunRef(workflow_id=run_of(10))), record(engine, RunRef(workflow_id=run_of(20)))
    assert (first["close_reason"], second["status"]) == ("terminated", "PENDING")
    assert first["error"] == "terminated: schedule s starts its next run in place of this one"
    assert first["completed_at"] == second["created_at"] == T0 + 20.0
    assert worker.reports(task)["code"] == "workflow_closed"


def test_allow_all_starts_each_tick_whatever_is_open(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="allow_all")
    for secs in (10.0, 20.0, 30.0):
        at(engine, clock, secs)

    assert runs(engine) == {run_of(10): "PENDING", run_of(20): "PENDING", run_of(30): "PENDING"}


def test_a_run_is_open_for_as_long_as_its_chain_is(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    worker = Played(engine)
    at(engine, clock, 10.0)
    assert worker.reports(worker.takes(), ContinueAsNew(workflow_id="elsewhere")) == {"ok": True}
    at(engine, clock, 20.0)
    assert waiting(engine) == [20.0]

    finish(worker)
    at(engine, clock, 21.0)

    assert runs(engine) == {run_of(10): "COMPLETED", "elsewhere": "COMPLETED", run_of(20): "PENDING"}


def test_a_run_that_somebody_starts_like_it_is_none_of_the_schedules(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="skip")
    engine.workflows.start("Report", "by-hand", search_attributes={"ScheduledBy": "s"})
    at(engine, clock, 10.0)

    assert runs(engine) == {"by-hand": "PENDING", run_of(10): "PENDING"}


def test_the_buffer_has_a_limit_beyond_which_the_newest_ticks_are_left_out(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "BUFFER_AT_MOST", 2)
    given_a_schedule(engine, overlap_policy="queue")
    for secs in (10.0, 20.0, 30.0, 40.0):
        at(engine, clock, secs)

    assert (waiting(engine), skipped(engine)) == ([20.0, 30.0], [(40.0, "buffer_full")])


def test_what_waits_follows_the_policy_as_it_is_now(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    for secs in (10.0, 20.0, 30.0):
        at(engine, clock, secs)
    engine.schedules.change("s", SchedulePatch(overlap_policy="allow_all", input='"new"'))
    at(engine, clock, 31.0)

    assert list(runs(engine)) == [run_of(10), run_of(20), run_of(30)]
    assert record(engine, RunRef(workflow_id=run_of(30)))["input"] == '"new"'

    engine.schedules.change("s", SchedulePatch(overlap_policy="queue"))
    at(engine, clock, 40.0)
    engine.schedules.change("s", SchedulePatch(overlap_policy="skip"))
    at(engine, clock, 41.0)
    assert skipped(engine) == [(40.0, "overlap")]


def test_many_open_runs_are_ended_in_bounded_units_before_the_next_one_starts(engine: Engine, clock: Clock) -> None:
    many = 2 * AT_ONCE + 5
    given_a_schedule(engine, overlap_policy="allow_all")
    for _ in range(many):
        engine.schedules.trigger("s")
    engine.schedules.change("s", SchedulePatch(overlap_policy="terminate_other"))
    clock.now = T0 + 10.0
    for _ in range(2):
        assert engine.upkeep.fire_schedules() == 1
        assert run_of(10) not in runs(engine)
    assert engine.upkeep.fire_schedules() == 1

    found = runs(engine)
    assert found.pop(run_of(10)) == "PENDING"
    assert list(found.values()) == ["FAILED"] * many


def test_the_end_of_a_run_that_a_tick_waits_for_wakes_the_sidecar(engine: Engine, clock: Clock) -> None:
    given_a_schedule(engine, overlap_policy="queue")
    worker = Played(engine)
    at(engine, clock, 10.0)
    at(engine, clock, 20.0)
    clock.now = T0 + 25.0
    with engine.upkeep.near() as near:
        finish(worker)
        assert near.wait(60.0)
    assert engine.upkeep.expire() == 1

    assert runs(engine) == {run_of(10): "COMPLETED", run_of(20): "PENDING"}
