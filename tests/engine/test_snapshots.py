"""What a run shows to queries: one row, written when it changed, answered whoever is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import a_snapshot
from tests.engine.stories import code
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

WAIT = WaitForSignal(name="go")


def again(engine: Engine, clock: Clock, run: RunRef, worker: Played) -> Wire:
    """Let a minute pass and wake the run. Gives its task."""
    clock.advance(60.0)
    engine.workflows.signal(run, "noise")
    return worker.takes()


def test_a_run_has_one_snapshot_the_newest(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", a_snapshot('{"step":1}'), WAIT)
    assert engine.workflows.state(run) == {"state": {"step": 1}, "event_seq": 1, "created_at": T0}

    worker.reports(again(engine, clock, run, worker), a_snapshot('{"step":2}'), WAIT)

    assert engine.workflows.state(run) == {"state": {"step": 2}, "event_seq": 3, "created_at": T0 + 60.0}
    assert rows(engine, "SELECT count(*) FROM workflow_snapshots") == [(1,)]


def test_a_state_that_did_not_change_is_not_written_again(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", a_snapshot('{"step":1}'), WAIT)

    worker.reports(again(engine, clock, run, worker), a_snapshot('{"step":1}'), WAIT)

    assert engine.workflows.state(run) == {"state": {"step": 1}, "event_seq": 1, "created_at": T0}


def test_of_several_states_in_a_turn_the_last_is_shown(engine: Engine) -> None:
    run, _ = given_a_parked(engine, "w", a_snapshot("1"), a_snapshot("2"), a_snapshot("1"), WAIT)

    assert engine.workflows.state(run)["state"] == 1


def test_a_turn_that_is_refused_shows_nothing_new(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, "w", a_snapshot('{"step":1}'), WAIT)
    task = again(engine, clock, run, worker)

    said = worker.reports(task, a_snapshot('{"step":2}'), CompleteWorkflow(), WAIT)

    assert code(said) == "bad_command"
    assert engine.workflows.state(run)["state"] == {"step": 1}


def test_a_state_is_answered_with_no_worker_up(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "w", a_snapshot('{"step":1}'), WAIT)
    clock.advance(3600.0)
    assert engine.upkeep.retire_dead_workers() == 1

    assert engine.workflows.state(run)["state"] == {"step": 1}
    assert engine.workflows.state_value(run, "step")["value"] == 1


@pytest.mark.parametrize("end", ["complete", "terminate", "time out"])
def test_a_closed_run_shows_its_last_state(engine: Engine, clock: Clock, end: str) -> None:
    run, worker, task = given_a_running(engine, run_timeout_secs=3600.0)
    worker.reports(task, a_snapshot('{"step":1}'), WAIT)
    if end == "complete":
        worker.reports(again(engine, clock, run, worker), a_snapshot('{"step":9}'), CompleteWorkflow())
    elif end == "terminate":
        engine.workflows.terminate(run)
    else:
        clock.advance(3600.0)
        assert engine.upkeep.expire() == 1

    assert engine.workflows.state(run)["state"] == {"step": 9 if end == "complete" else 1}


def test_each_run_of_a_chain_shows_its_own_state(engine: Engine, clock: Clock) -> None:
    """The newest has none until its code shows one: it must not show what another run found."""
    old, worker = given_a_parked(engine, "w", a_snapshot('{"page":1}'), WAIT)
    worker.reports(again(engine, clock, old, worker), a_snapshot('{"page":2}'), ContinueAsNew(workflow_id="w"))
    newest = RunRef(workflow_id="w", namespace="main")

    assert engine.workflows.state(old)["state"] == {"page": 2}
    with pytest.raises(NotFound):
        engine.workflows.state(newest)

    worker.reports(worker.takes(), a_snapshot('{"page":3}'), WAIT)
    assert engine.workflows.state(newest)["state"] == {"page": 3}
    assert engine.workflows.state(old)["state"] == {"page": 2}


def test_a_run_that_shows_nothing_says_so(engine: Engine) -> None:
    run = given_a_run(engine)

    with pytest.raises(NotFound):
        engine.workflows.state(run)
