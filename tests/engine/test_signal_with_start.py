"""Signal with start: one operation that signals the open run of an id, or starts one with the signal."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import SignalLimit
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import SentSignal
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import a_start
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told
from tests.engine.stories import until_waiting
from tests.engine.stories import without_a_watcher

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine

NEWEST = RunRef(workflow_id="w", namespace="main")


def signals(engine: Engine, signal_id: str | None = None, payload: str = "1", **more: Any) -> Wire:
    """Signal `w`, or start it."""
    return engine.workflows.signal_with_start(
        a_start(**{"workflow_id": "w", **more}), SentSignal(name="go", payload=payload, signal_id=signal_id)
    )


def test_where_no_run_is_one_is_started_with_the_signal_in_its_history(engine: Engine) -> None:
    answer = signals(engine, input='{"n":1}')

    run = record(engine, NEWEST)
    assert answer == {
        "workflow_id": "w", "run_id": run["run_id"], "status": "PENDING", "started": True, "event_seq": 2,
    }  # fmt: skip
    assert history(engine, NEWEST) == ["WorkflowStarted", "SignalReceived"]
    assert told(engine, NEWEST, "SignalReceived") == [{"signal": "go", "payload": 1}]
    task = Played(engine).takes()
    assert (task["input"], task["history_seq"]) == ({"n": 1}, 2)


def test_without_an_id_the_run_of_a_stranger_who_made_the_same_name_is_left_alone(engine: Engine) -> None:
    taken = f"wf-order-{int(T0 * 1000)}"
    stranger = given_a_run(engine, taken)

    answer = signals(engine, workflow_id=None)

    assert answer["started"] is True
    assert answer["workflow_id"] == f"wf-order-{int(T0 * 1000) + 1}"
    assert history(engine, stranger) == ["WorkflowStarted"]


def test_an_open_run_is_signalled_and_keeps_its_input(engine: Engine) -> None:
    without_a_watcher(engine)
    run, worker = given_a_parked(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=120.0))
    until_waiting(engine)

    answer = signals(engine, input='"another"', workflow_type="Other")

    assert answer == {
        "workflow_id": "w", "run_id": run.run_id, "status": "RUNNING", "started": False, "event_seq": 3,
    }  # fmt: skip
    assert waiting.answer()["history_seq"] == 3
    assert (record(engine, run)["input"], record(engine, run)["workflow_type"]) == (None, "Order")


def test_a_repeated_signal_id_neither_signals_nor_starts_even_after_the_run_has_closed(engine: Engine) -> None:
    first = signals(engine, "s1")
    worker = Played(engine)
    worker.reports(worker.takes(), CompleteWorkflow())

    again = signals(engine, "s1", "2")

    assert again == {**first, "status": "COMPLETED", "started": False, "repeated": True}
    assert rows(engine, "SELECT COUNT(*) FROM workflows") == [(1,)]
    assert told(engine, NEWEST, "SignalReceived") == [{"signal": "go", "payload": 1, "signal_id": "s1"}]


def test_after_a_closed_run_another_one_is_started_with_the_signal_alone(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())

    answer = signals(engine, "s1")

    assert answer["started"] is True
    assert answer["run_id"] != run.run_id
    assert history(engine, run) == ["WorkflowStarted", "WorkflowCompleted"]
    assert history(engine, NEWEST) == ["WorkflowStarted", "SignalReceived"]
    with pytest.raises(WorkflowClosed):
        engine.workflows.signal(run, "go")


@pytest.mark.parametrize("reuse", ["reject", "allow_failed_only"])
def test_where_id_reuse_forbids_another_run_nothing_happens(engine: Engine, reuse: str) -> None:
    run, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())

    with pytest.raises(AlreadyStarted) as refusal:
        signals(engine, id_reuse=reuse)

    assert refusal.value.members["run_id"] == run.run_id
    assert rows(engine, "SELECT COUNT(*) FROM workflow_signals") == [(0,)]


@pytest.mark.parametrize("conflict", ["fail", "use_existing", "terminate_existing"])
def test_an_open_run_is_signalled_whatever_id_conflict_says(engine: Engine, conflict: str) -> None:
    run = given_a_run(engine)

    answer = signals(engine, id_conflict=conflict)

    assert (answer["run_id"], answer["started"]) == (run.run_id, False)
    assert history(engine, run) == ["WorkflowStarted", "SignalReceived"]


def test_it_makes_the_namespace_that_it_names(engine: Engine) -> None:
    signals(engine, namespace="shop")

    assert engine.namespaces.stats("shop")["pending"] == 1


def test_a_run_takes_so_many_signals_and_no_more(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_wsgi.domain.workflows.SIGNALS_AT_MOST", 3)
    run = given_a_run(engine)
    first = engine.workflows.signal(run, "go", signal_id="s1")
    engine.workflows.signal(run, "go")
    signals(engine)

    with pytest.raises(SignalLimit):
        engine.workflows.signal(run, "go")
    with pytest.raises(SignalLimit):
        signals(engine)

    assert engine.workflows.signal(run, "go", signal_id="s1") == {**first, "repeated": True}
    assert history(engine, run) == ["WorkflowStarted", *["SignalReceived"] * 3]
    given_a_run(engine, "another")
    assert engine.workflows.signal(RunRef(workflow_id="another"), "go")["event_seq"] == 2
