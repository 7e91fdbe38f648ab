"""Chains that move on while somebody looks for their newest run: on PostgreSQL another process may be in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from assay_wsgi.store import load
from assay_wsgi.store import unit
from tests.engine.stories import Beside
from tests.engine.stories import given_a_parked
from tests.engine.stories import history
from tests.engine.stories import rows
from tests.races.places import Place
from tests.races.places import engines
from tests.races.places import until_somebody_waits_for_a_lock

CHILD = StartChildWorkflow(workflow_type="Order", workflow_id="c", seq=1, task_queue="elsewhere")
WAIT = WaitForSignal(name="go")


def newest(workflow_id: str) -> RunRef:
    return RunRef(workflow_id=workflow_id, namespace="main")


def moves_on(engine: Engine, workflow_id: str = "p", to: str | None = "p") -> None:
    """Let the newest run of an id continue as new."""
    engine.workflows.continue_as_new(newest(workflow_id), ContinueAsNew(workflow_id=to))


def told(engine: Engine) -> list[int]:
    """Give the run keys of those that were told of a child's end."""
    sql = "SELECT run_key FROM workflow_events WHERE event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed')"
    return [run_key for (run_key,) in rows(engine, sql)]


def key_of_newest(engine: Engine, workflow_id: str) -> int:
    sql = "SELECT run_key FROM workflows WHERE workflow_id = ? ORDER BY created_at DESC LIMIT 1"
    return int(rows(engine, sql, workflow_id)[0][0])


def before_each_lock(monkeypatch: pytest.MonkeyPatch, times: int, do: Callable[[], None]) -> list[int]:
    """Have something done by another when runs were found and are not locked. Gives a list that grows with it."""
    lock = load._lock_and_load
    done: list[int] = []
    doing: list[bool] = []

    def somebody_first(*what: Any, **more: Any) -> None:
        if len(done) < times and not doing:
            doing.append(True)
            do()
            done.append(len(done))
            doing.clear()
        lock(*what, **more)

    monkeypatch.setattr(load, "_lock_and_load", somebody_first)
    return done


@pytest.mark.parametrize("moves", [1, 7])
def test_the_end_of_a_child_finds_the_parent_that_followed_while_it_looked(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    with engines(postgres_url) as (ours, theirs):
        given_a_parked(ours, "p", CHILD, WAIT)
        done = before_each_lock(monkeypatch, moves, lambda: moves_on(theirs))

        ours.workflows.terminate(newest("c"))

        assert len(done) == moves
        assert told(ours) == [key_of_newest(ours, "p")]


def test_the_end_of_a_child_finds_the_parent_that_followed_while_it_waited(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Place()
    monkeypatch.setattr(unit, "insert_notices", written.before(unit.insert_notices))
    with engines(postgres_url) as (ours, theirs):
        given_a_parked(ours, "p", CHILD, WAIT)
        written.hold_next()
        moving = Beside(lambda: moves_on(theirs))
        written.until_reached()
        ending = Beside(lambda: ours.workflows.terminate(newest("c")))
        until_somebody_waits_for_a_lock(theirs)
        written.let_go()

        moving.answer()
        ending.answer()

        assert told(ours) == [key_of_newest(ours, "p")]


@pytest.mark.parametrize("to", ["c", None])
def test_a_parents_request_finds_the_child_that_followed_while_it_looked(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, to: str | None
) -> None:
    with engines(postgres_url) as (ours, theirs):
        parent, worker = given_a_parked(ours, "p", CHILD, WAIT)
        ours.workflows.signal(parent, "noise")
        task = worker.takes()
        done = before_each_lock(monkeypatch, 1, lambda: moves_on(theirs, "c", to))

        assert worker.reports(task, RequestCancelChild(workflow_id="c"), WAIT) == {"ok": True}

        assert done == [0]
        assert history(ours, newest(to or "c-continued-1")) == [
            "WorkflowStarted", "WorkflowCancelRequested", "WorkflowCancelled",
        ]  # fmt: skip
        assert told(ours) == [key_of_newest(ours, "p")]
