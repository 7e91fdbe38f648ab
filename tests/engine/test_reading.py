"""What people see: records, lists and their filters and pages, histories."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.errors import NamespaceExists
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.jsontext import loads
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import a_snapshot
from tests.engine.stories import a_start
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import record

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def listed(engine: Engine, **wanted: Any) -> list[str]:
    found, _ = engine.workflows.list(ListFilter(**wanted))
    return [run["id"] for run in found]


def given_runs_of_all_kinds(engine: Engine, clock: Clock) -> None:
    """Make a run each second: `parked`, `busy` with an activity, `done`, `failed`, `new`, `leased`."""
    worker = Played(engine)
    clock.advance(1.0)
    given_a_parked(engine, "parked", worker=worker, search_attributes={"city": "Bern", "n": 1, "vip": True})
    clock.advance(1.0)
    given_a_parked(engine, "busy", an_activity(), worker=worker, search_attributes={"city": "Basel", "n": 1.5})
    clock.advance(1.0)
    worker.reports(given_a_running(engine, "done", worker=worker)[2], CompleteWorkflow())
    clock.advance(1.0)
    worker.reports(given_a_running(engine, "failed", worker=worker, workflow_type="Refund")[2], FailWorkflow(error="x"))
    clock.advance(1.0)
    given_a_run(engine, "new", task_queue="other", search_attributes={"tags": ["a", {"b": None}], "none": None})
    clock.advance(1.0)
    given_a_running(engine, "leased", worker=worker, search_attributes={"city": "Bern", "o'k?%s": "%"})
    given_a_run(engine, "foreign", namespace="shop")


def test_lists_and_their_filters(engine: Engine, clock: Clock) -> None:
    given_runs_of_all_kinds(engine, clock)

    for wanted, expected in [
        ({}, ["leased", "new", "failed", "done", "busy", "parked"]),
        ({"namespace": "shop"}, ["foreign"]),
        ({"namespace": "nowhere"}, []),
        ({"status": "RUNNING"}, ["leased", "busy", "parked"]),
        ({"status": "WAITING"}, ["parked"]),
        ({"status": "PENDING"}, ["new"]),
        ({"status": "COMPLETED"}, ["done"]),
        ({"status": "FAILED", "workflow_type": "Refund"}, ["failed"]),
        ({"status": "TIMED_OUT"}, []),
        ({"workflow_type": "Order", "status": "FAILED"}, []),
        ({"claimed_by": "ann"}, ["leased"]),
        ({"claimed_by": "bob"}, []),
        ({"parent_id": "parked"}, []),
        ({"created_after": T0 + 4.0}, ["leased", "new"]),
        ({"created_before": T0 + 2.0}, ["parked"]),
        ({"created_after": T0 + 1.0, "created_before": T0 + 4.0}, ["done", "busy"]),
        ({"closed_after": T0 + 3.0}, ["failed"]),
        ({"closed_before": T0 + 4.0}, ["done"]),
        ({"search_attrs": {"city": "Bern"}}, ["leased", "parked"]),
        ({"search_attrs": {"city": "Bern", "vip": True}}, ["parked"]),
        ({"search_attrs": {"vip": False}}, []),
        ({"search_attrs": {"vip": 1}}, []),
        ({"search_attrs": {"n": 1}}, ["parked"]),
        ({"search_attrs": {"n": 1.5}}, ["busy"]),
        ({"search_attrs": {"n": "1"}}, []),
        ({"search_attrs": {"none": None}}, ["new"]),
        ({"search_attrs": {"city": None}}, []),
        ({"search_attrs": {"tags": ["a", {"b": None}]}}, ["new"]),
        ({"search_attrs": {"tags": ["a"]}}, []),
        ({"search_attrs": {"o'k?%s": "%"}}, ["leased"]),
        ({"search_attrs": {"x' OR '1'='1": "y"}}, []),
        ({"limit": 2, "offset": 1}, ["new", "failed"]),
    ]:
        assert listed(engine, **wanted) == expected, wanted


def test_pages_follow_each_other_without_a_hole_while_runs_are_started(engine: Engine) -> None:
    engine.workflows.start_batch([a_start(f"w{n:02}") for n in range(10)])

    seen: list[str] = []
    cursor = None
    while True:
        found, cursor = engine.workflows.list(ListFilter(limit=3, cursor=cursor))
        seen += [run["id"] for run in found]
        if cursor is None:
            break
        given_a_run(engine, f"late-{len(seen)}")

    assert seen == [f"w{n:02}" for n in reversed(range(10))]


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "!!", "W10", "WzEsInoiXQ", "WzEsdHJ1ZV0", "bnVsbA", "ä", "WzFlNDAwLDFd",
     pytest.param("WyJuYW4iLDFd", id="a text for a time"),
     pytest.param(base64.urlsafe_b64encode(b"[" + b"9" * 400 + b",1]").decode(), id="a time beyond all times")],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_refused(engine: Engine, cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        engine.workflows.list(ListFilter(cursor=cursor))

    assert refusal.value.code == "invalid_cursor"


def test_a_history_is_read_in_parts_and_both_ways(engine: Engine, clock: Clock) -> None:
    run = given_a_run(engine)
    for n in range(4):
        clock.advance(1.0)
        engine.workflows.signal(run, f"s{n}")

    def seqs(**how: Any) -> list[int]:
        return [event["seq"] for event in engine.workflows.events(run, **how)]

    def page(**how: Any) -> tuple[list[int], bool]:
        found, more = engine.workflows.page_of_events(run, **how)
        return [event["seq"] for event in found], more

    assert seqs() == [1, 2, 3, 4, 5]
    assert seqs(after_seq=3) == [4, 5]
    assert seqs(after_seq=1, before_seq=4) == [2, 3]
    assert seqs(after_seq=9) == []
    assert page(limit=2) == ([1, 2], True)
    assert page(after_seq=1, limit=2) == ([2, 3], True)
    assert page(after_seq=3, limit=2) == ([4, 5], False)
    assert page(descending=True, limit=2) == ([5, 4], True)
    assert page(descending=True, before_seq=3, limit=2) == ([2, 1], False)
    events = engine.workflows.events(run)
    assert len({event["id"] for event in events}) == 5
    assert [event["timestamp"] for event in events] == [T0 + n for n in range(5)]
    assert {(event["workflow_id"], event["run_id"]) for event in events} == {("w", run.run_id)}


def test_a_record_tells_all_of_a_run(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine, input='"in"')
    clock.advance(1.0)
    engine.workflows.signal(run, "go")
    worker.cannot(worker.takes(), "bug", "it broke")

    shown = record(engine, run)

    assert shown.pop("search_attributes").startswith('{"assay_engine_version":"')
    assert shown == {
        "id": "w", "namespace": "main", "run_id": run.run_id, "workflow_type": "Order", "task_queue": QUEUE,
        "status": "RUNNING", "close_reason": None, "input": '"in"', "result": None, "error": None, "parent_id": None,
        "claimed_by": None, "paused": None, "waiting_for": None,
        "task_failure": {"cause": "bug", "message": "it broke", "trace": None, "count": 1, "first_at": T0 + 1.0,
                         "last_at": T0 + 1.0},
        "cancel_requested_at": None, "deadline_at": None, "parent_close": None, "continued_from": None,
        "continued_to": None, "first_run_id": run.run_id,
        "last_seq": 3, "archived_at": None, "archive_uri": None, "created_at": T0, "updated_at": T0 + 1.0,
        "completed_at": None,
    }  # fmt: skip


def test_an_id_means_its_newest_run_and_a_run_id_the_one_it_names(engine: Engine, clock: Clock) -> None:
    old, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow(result="1"))
    clock.advance(1.0)
    new = given_a_run(engine)

    assert record(engine, RunRef(workflow_id="w"))["run_id"] == new.run_id
    assert record(engine, RunRef(workflow_id="w", run_id=old.run_id))["result"] == "1"
    assert [run["run_id"] for run in engine.workflows.list(ListFilter())[0]] == [new.run_id, old.run_id]


def test_namespaces_are_made_listed_and_counted(engine: Engine, clock: Clock) -> None:
    clock.advance(5.0)
    assert engine.namespaces.create("shop") == {"name": "shop", "created_at": T0 + 5.0}
    for taken in ("shop", "main"):
        with pytest.raises(NamespaceExists):
            engine.namespaces.create(taken)
    with pytest.raises(NotFound) as refusal:
        engine.namespaces.stats("nowhere")
    assert refusal.value.code == "namespace_not_found"

    worker = Played(engine)
    worker.reports(given_a_running(engine, "a", worker=worker)[2], CompleteWorkflow())
    worker.reports(given_a_running(engine, "b", worker=worker)[2], FailWorkflow(error="x"))
    given_a_parked(engine, "c", worker=worker)
    engine.workflows.cancel(given_a_run(engine, "d"))
    given_a_run(engine, "e")

    assert [row["name"] for row in engine.namespaces.list()] == ["main", "shop"]
    assert engine.namespaces.stats("main") == {
        "namespace": "main", "total_workflows": 5, "running": 1, "pending": 1, "completed": 1, "failed": 1,
        "cancelled": 1, "timed_out": 0, "schedules": 0, "workers": 1,
    }  # fmt: skip
    assert engine.namespaces.stats("shop")["total_workflows"] == 0


def test_the_engine_says_that_it_is_well(engine: Engine) -> None:
    assert engine.health() == {"database": "ok"}
    assert engine.upkeep.next_deadline() is None


def test_a_run_without_children_has_an_empty_list_of_them(engine: Engine) -> None:
    run = given_a_run(engine)

    assert engine.workflows.children(run, ListFilter()) == ([], None)
    with pytest.raises(NotFound):
        engine.workflows.children(RunRef(workflow_id="x"), ListFilter())


def test_single_values_of_what_a_run_shows(engine: Engine, clock: Clock) -> None:
    clock.advance(2.0)
    run, _ = given_a_parked(engine, "w", a_snapshot('{"step":3,"note":null}'), WaitForSignal(name="go"))
    seen = {"event_seq": 1, "created_at": T0 + 2.0}

    assert engine.workflows.state(run) == {"state": {"step": 3, "note": None}, **seen}
    assert engine.workflows.state_value(run, "step") == {"value": 3, **seen}
    assert engine.workflows.state_value(run, "note") == {"value": None, **seen}
    with pytest.raises(NotFound):
        engine.workflows.state_value(run, "other")


@pytest.mark.parametrize("state", ["[1]", '"text"', "null", "7"])
def test_a_state_that_is_no_object_has_no_single_values(engine: Engine, state: str) -> None:
    run, _ = given_a_parked(engine, "w", a_snapshot(state), WaitForSignal(name="go"))

    assert engine.workflows.state(run)["state"] == loads(state)
    with pytest.raises(NotFound):
        engine.workflows.state_value(run, "step")


def test_a_run_that_showed_nothing_has_no_state(engine: Engine) -> None:
    run = given_a_run(engine)

    for ask in (lambda: engine.workflows.state(run), lambda: engine.workflows.state_value(run, "step")):
        with pytest.raises(NotFound):
            ask()
