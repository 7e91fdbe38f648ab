"""Namespaces: they go when they are empty, or with all that is in them, piece by piece, while others start in them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import NamespaceNotEmpty
from assay_wsgi.domain.errors import NamespaceProtected
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.engine import namespaces
from assay_wsgi.engine.operations import BeginSession
from assay_wsgi.engine.operations import DeleteNamespace
from assay_wsgi.engine.operations import DropRun
from assay_wsgi.engine.operations import TerminateRun
from tests.engine.old_way import registered
from tests.engine.stories import QUEUE
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import a_snapshot
from tests.engine.stories import a_start
from tests.engine.stories import an_activity
from tests.engine.stories import code
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine

KEY = Idempotency(scope="shops", key="k1", hash="delete shop")
BELOW = (
    "workflow_tasks", "workflow_events", "workflow_activities", "activity_attempts", "workflow_signals",
    "workflow_snapshots", "workflow_attributes", "workflows",
)  # fmt: skip


def names(engine: Engine) -> list[str]:
    """Give the namespaces that there are."""
    return [row["name"] for row in engine.namespaces.list()]


def given_a_full_shop(engine: Engine) -> Played:
    """Have runs in `shop`: one that is closed, one that is parked with work and a signal, one that nobody took."""
    worker = Played(engine, namespace="shop")
    run, _ = given_a_parked(
        engine, "parked", an_activity(), a_snapshot("1"), WaitForSignal(name="go"), namespace="shop", worker=worker
    )
    worker.fails(worker.takes_work())
    engine.workflows.signal(run, "go")
    worker.cannot(worker.takes())
    _, _, task = given_a_running(engine, "closed", namespace="shop", worker=worker)
    worker.reports(task, CompleteWorkflow())
    given_a_run(engine, "new", namespace="shop")
    return worker


# --------------------------------------------------------------------------------------------- empty ones


def test_an_empty_namespace_is_deleted_and_may_be_made_again(engine: Engine) -> None:
    engine.namespaces.create("shop")

    assert engine.namespaces.delete("shop") == {"ok": True, "done": True}

    assert names(engine) == ["main"]
    with pytest.raises(NotFound) as refusal:
        engine.namespaces.delete("shop")
    assert refusal.value.code == "namespace_not_found"
    engine.namespaces.create("shop")
    assert names(engine) == ["main", "shop"]


def test_one_that_has_a_run_open_or_closed_is_not_deleted(engine: Engine) -> None:
    run = given_a_run(engine, namespace="shop")
    with pytest.raises(NamespaceNotEmpty):
        engine.namespaces.delete("shop")
    engine.workflows.terminate(run)

    with pytest.raises(NamespaceNotEmpty):
        engine.namespaces.delete("shop")

    assert names(engine) == ["main", "shop"]


def test_one_that_has_a_schedule_goes_only_by_force(engine: Engine) -> None:
    engine.schedules.create("nightly", "Order", "@daily", namespace="shop")

    with pytest.raises(NamespaceNotEmpty):
        engine.namespaces.delete("shop")
    assert engine.namespaces.delete_with_all("shop") == {"ok": True, "done": True, "deleted_workflows": 0}

    assert rows(engine, "SELECT name FROM workflow_schedules") == []
    assert names(engine) == ["main"]


def test_main_is_always_there(engine: Engine) -> None:
    for delete in (engine.namespaces.delete, engine.namespaces.delete_with_all):
        with pytest.raises(NamespaceProtected):
            delete("main")

    assert names(engine) == ["main"]


def test_its_workers_are_retired_with_it_also_those_that_came_in_the_same_unit(engine: Engine) -> None:
    before = registered(engine, namespace="shop")
    coming = BeginSession("shop", "late", QUEUE, None, WorkerInfo(identity="late"), (1, 1))

    outcomes = engine.committer.submit([coming, DeleteNamespace("shop")])

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert engine.workers.list("shop") == []
    known = "SELECT worker_id FROM workflow_workers WHERE retired_at IS NOT NULL ORDER BY worker_id"
    assert rows(engine, known) == [("late",), (before.worker_id,)]


# ------------------------------------------------------------------------------------------- with all in it


def test_by_force_all_of_it_goes_and_nothing_of_others(engine: Engine) -> None:
    worker = given_a_full_shop(engine)
    given_a_parked(engine, "mine", an_activity(), a_snapshot("2"))
    engine.workflows.signal(RunRef(workflow_id="mine"), "go")
    kept = {table: rows(engine, f"SELECT * FROM {table} WHERE run_key IN ({_IN_MAIN})") for table in BELOW}

    assert engine.namespaces.delete_with_all("shop") == {"ok": True, "done": True, "deleted_workflows": 3}

    assert names(engine) == ["main"]
    assert {table: rows(engine, f"SELECT * FROM {table}") for table in BELOW} == kept
    assert worker.exchange(workflow_slots=5, activity_slots=5)["workflow_tasks"] == []


def test_reports_on_what_went_are_refused_and_change_nothing(engine: Engine) -> None:
    worker = Played(engine, namespace="shop")
    given_a_parked(engine, "a", an_activity(), namespace="shop", worker=worker)
    work = worker.takes_work()
    _, _, task = given_a_running(engine, "b", namespace="shop", worker=worker)
    engine.namespaces.delete_with_all("shop")

    said = [worker.reports(task, CompleteWorkflow()), worker.completes(work), worker.beats(work)]

    assert [code(each) for each in said] == ["lease_lost"] * 3
    assert rows(engine, "SELECT run_key FROM workflow_events") == []


def test_it_goes_in_bounded_passes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.engine.namespaces.PASS", 2)
    for n in range(5):
        given_a_run(engine, f"w{n}", namespace="shop")
    passes: list[int] = []
    submit = engine.committer.submit

    def counting(operations: Any, *more: Any) -> Any:
        passes.append(len(operations))
        return submit(operations, *more)

    monkeypatch.setattr(engine.committer, "submit", counting)

    assert engine.namespaces.delete_with_all("shop")["deleted_workflows"] == 5

    assert [count for count in passes if count][:6] == [2, 2, 2, 2, 1, 1]  # terminate and drop, pass by pass
    assert max(passes) == 2


def test_what_is_not_done_in_time_is_done_by_the_next_call(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        given_a_run(engine, f"w{n}", namespace="shop")
    with monkeypatch.context() as patch:
        patch.setattr("assay_wsgi.engine.namespaces.EMPTYING_SECS", -1.0)
        assert engine.namespaces.delete_with_all("shop") == {"ok": True, "done": False, "deleted_workflows": 0}
    assert engine.namespaces.stats("shop")["total_workflows"] == 3

    assert engine.namespaces.delete_with_all("shop") == {"ok": True, "done": True, "deleted_workflows": 3}


def test_a_repeat_under_a_key_does_not_empty_a_namespace_that_was_made_again(engine: Engine) -> None:
    given_a_run(engine, "old", namespace="shop")
    first = engine.namespaces.delete_with_all("shop", idempotency=KEY)
    given_a_run(engine, "new", namespace="shop")

    again = engine.namespaces.delete_with_all("shop", idempotency=KEY)

    assert again == first == {"ok": True, "done": True, "deleted_workflows": 1}
    assert [run["id"] for run in engine.workflows.list(ListFilter(namespace="shop"))[0]] == ["new"]


def test_one_that_is_not_there_cannot_be_deleted_by_force(engine: Engine) -> None:
    with pytest.raises(NotFound):
        engine.namespaces.delete_with_all("shop")


def test_starts_while_it_is_deleted_never_leave_a_run_in_a_namespace_that_is_not_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the test looks for such runs (fsck: namespaces)."""
    monkeypatch.setattr("assay_wsgi.engine.namespaces.EMPTYING_SECS", 0.2)
    stop = threading.Event()

    def start_on_and_on() -> int:
        count = 0
        while not stop.is_set():
            engine.workflows.start_batch([a_start(f"w{count + n}", namespace="shop") for n in range(3)])
            count += 3
        return count

    starting = [Beside(start_on_and_on) for _ in range(2)]
    outcomes = {_deleted(engine) for _ in range(5)}
    stop.set()
    for each in starting:
        each.answer()
    while _deleted(engine) in {"done False", "namespace_not_empty"}:
        pass

    assert outcomes <= {"done True", "done False", "namespace_not_found", "namespace_not_empty"}
    assert rows(engine, "SELECT run_key FROM workflows") == []
    assert names(engine) == ["main"]


def _deleted(engine: Engine) -> str:
    try:
        return f"done {engine.namespaces.delete_with_all('shop')['done']}"
    except AssayError as refusal:
        return refusal.code


# ---------------------------------------------------------------------------------- several in one unit


def test_a_run_that_is_dropped_and_started_again_in_one_batch_is_another_run(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())
    key = _key(engine)

    started = engine.committer.submit([DropRun(key), engine.workflows._start(a_start(id_reuse="reject"))])

    assert [outcome.error for outcome in started] == [None, None]
    assert started[0].answer is True
    assert started[1].answer["run_id"] != run.run_id
    assert rows(engine, "SELECT COUNT(*) FROM workflow_events") == [(1,)]


def test_a_run_is_terminated_and_dropped_in_one_batch(engine: Engine) -> None:
    given_a_run(engine)
    key = _key(engine)

    outcomes = engine.committer.submit([TerminateRun("main", "w", None, None, None, None), DropRun(key)])

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert outcomes[1].answer is True
    assert [rows(engine, f"SELECT COUNT(*) FROM {table}") for table in BELOW] == [[(0,)]] * len(BELOW)


def test_an_open_run_is_not_dropped(engine: Engine) -> None:
    given_a_run(engine)

    (outcome,) = engine.committer.submit([DropRun(_key(engine))])

    assert (outcome.answer, outcome.error) == (False, None)
    assert rows(engine, "SELECT COUNT(*) FROM workflows") == [(1,)]


def _key(engine: Engine) -> Any:
    ((key,),) = rows(engine, "SELECT run_key FROM workflows")
    return key


_IN_MAIN = "SELECT run_key FROM workflows WHERE namespace = 'main'"


def test_many_closed_runs_are_counted_now_and_then_and_open_ones_each_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> tuple[int, int, int]:
        told = engine.namespaces.stats("main")
        return told["total_workflows"], told["completed"], told["pending"]

    def completes(*ids: str) -> None:
        for workflow_id in ids:
            worker.reports(given_a_running(engine, workflow_id, worker=worker)[2], CompleteWorkflow())

    worker = Played(engine)
    monkeypatch.setattr(namespaces, "MANY", 2)
    monkeypatch.setattr(namespaces, "KEPT_SECS", 1e9)
    completes("a", "b")
    assert counted() == (2, 2, 0)
    completes("c")
    assert counted() == (3, 3, 0)  # two were not many

    completes("d")
    given_a_run(engine, "open")
    assert counted() == (4, 3, 1)  # three were
    monkeypatch.setattr(namespaces, "KEPT_SECS", 0.0)
    assert counted() == (5, 4, 1)
