"""Signals: they arrive once, in their order, at an open run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AmbiguousNamespace
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows
from tests.engine.stories import told

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

NEWEST = RunRef(workflow_id="w", namespace="main")


def test_a_signal_wakes_a_parked_run_with_its_payload(engine: Engine, clock: Clock) -> None:
    run, worker = given_a_parked(engine)
    assert worker.finds_nothing()
    clock.advance(5.0)

    answer = engine.workflows.signal(run, "go", '{"by":"eve"}')

    assert answer == {"ok": True, "run_id": run.run_id, "event_seq": 3}
    task = worker.takes()
    assert task["history"][-1] == {
        "seq": 3, "event_type": "SignalReceived", "payload": {"signal": "go", "payload": {"by": "eve"}},
        "timestamp": T0 + 5.0,
    }  # fmt: skip


def test_signals_keep_their_order(engine: Engine) -> None:
    run = given_a_run(engine)

    seqs = [engine.workflows.signal(run, f"s{n}", str(n))["event_seq"] for n in range(5)]

    assert seqs == [2, 3, 4, 5, 6]
    assert [signal["payload"] for signal in told(engine, run, "SignalReceived")] == [0, 1, 2, 3, 4]


def test_a_repeated_signal_id_adds_nothing_even_when_the_run_is_closed(engine: Engine) -> None:
    run, worker = given_a_parked(engine)
    first = engine.workflows.signal(run, "go", "1", signal_id="a")
    other = engine.workflows.signal(run, "go", "2", signal_id="b")

    repeat = engine.workflows.signal(run, "go", "1", signal_id="a")

    assert repeat == {**first, "repeated": True}
    assert (first["event_seq"], other["event_seq"]) == (3, 4)
    worker.reports(worker.takes(), CompleteWorkflow())
    assert engine.workflows.signal(run, "go", "1", signal_id="b") == {**other, "repeated": True}
    assert history(engine, run).count("SignalReceived") == 2
    assert [payload["signal_id"] for payload in told(engine, run, "SignalReceived")] == ["a", "b"]


def test_a_signal_id_is_its_runs_own(engine: Engine) -> None:
    one, two = given_a_run(engine, "one"), given_a_run(engine, "two")

    engine.workflows.signal(one, "go", signal_id="a")

    assert engine.workflows.signal(two, "go", signal_id="a")["event_seq"] == 2


def test_a_closed_run_takes_no_signals_and_the_newest_of_an_id_does(engine: Engine) -> None:
    old, worker, task = given_a_running(engine)
    worker.reports(task, CompleteWorkflow())
    with pytest.raises(WorkflowClosed) as refusal:
        engine.workflows.signal(NEWEST, "go")
    assert refusal.value.members == {"run_id": old.run_id, "run_status": "COMPLETED"}

    new = given_a_run(engine)

    assert engine.workflows.signal(NEWEST, "go")["run_id"] == new.run_id
    with pytest.raises(WorkflowClosed):
        engine.workflows.signal(old, "go")
    assert history(engine, old)[-1] == "WorkflowCompleted"


@pytest.mark.parametrize("act", ["signal", "cancel", "terminate", "describe", "events", "state"])
def test_what_is_not_there_is_not_found(engine: Engine, act: str) -> None:
    run = given_a_run(engine)
    arguments = ("go",) if act == "signal" else ()
    strangers = [
        RunRef(workflow_id="nobody"),
        RunRef(workflow_id="nobody", namespace="main"),
        RunRef(workflow_id="w", namespace="elsewhere"),
        RunRef(workflow_id="w", namespace="main", run_id="run-w-999999"),
        RunRef(workflow_id="w", namespace="elsewhere", run_id=run.run_id),
        RunRef(workflow_id="x", namespace="main", run_id=run.run_id),
        RunRef(workflow_id="w", namespace="main", run_id="run-w-"),
        RunRef(workflow_id="w", namespace="main", run_id="run-w-1x"),
        RunRef(workflow_id="w", namespace="main", run_id=f"run-w-{'9' * 30}"),
    ]

    for stranger in strangers:
        with pytest.raises(NotFound, match=r"^not found: "):
            getattr(engine.workflows, act)(stranger, *arguments)

    assert history(engine, run) == ["WorkflowStarted"]


def test_an_id_in_several_namespaces_must_be_named_with_its_own(engine: Engine) -> None:
    given_a_run(engine)
    there = given_a_run(engine, namespace="shop")

    with pytest.raises(AmbiguousNamespace) as refusal:
        engine.workflows.signal(RunRef(workflow_id="w"), "go")

    assert refusal.value.members == {"namespaces": ["main", "shop"]}
    assert engine.workflows.signal(there, "go")["event_seq"] == 2


def test_an_idempotency_key_sends_a_signal_once(engine: Engine) -> None:
    run = given_a_run(engine)
    key = Idempotency(scope="anonymous", key="k", hash="h")

    answers = [engine.workflows.signal(run, "go", idempotency=key) for _ in range(2)]

    assert answers == [{"ok": True, "run_id": run.run_id, "event_seq": 2}] * 2
    assert history(engine, run) == ["WorkflowStarted", "SignalReceived"]


def test_a_signal_during_a_turn_makes_the_run_ready_again(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    engine.workflows.signal(run, "go")

    assert worker.reports(task, WaitForSignal(name="stop")) == {"ok": True}

    again = worker.takes()
    assert (again["history_seq"], again["attempt"]) == (3, 1)
    assert [event["event_type"] for event in again["history"]] == history(engine, run)


def test_a_signal_does_not_move_a_tasks_place_nor_its_back_off(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    worker.cannot(task)
    engine.workflows.signal(run, "go")

    assert worker.finds_nothing()
    clock.advance(0.999)
    assert worker.finds_nothing()
    clock.advance(0.001)
    assert worker.takes()["history_seq"] == 2


def test_a_close_that_missed_a_signal_comes_again_three_times_then_closes_and_names_it(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    for n in range(3):
        engine.workflows.signal(run, f"s{n}")
        said = worker.reports(task, CompleteWorkflow())
        assert said["code"] == "unhandled_events"
        task = worker.takes()
        assert (task["history_seq"], task["attempt"]) == (n + 2, 1)
    engine.workflows.signal(run, "last", "7")
    engine.workflows.signal(run, "very last")

    assert worker.reports(task, CompleteWorkflow(result="1")) == {"ok": True}

    assert history(engine, run)[-3:] == ["SignalReceived", "SignalsUnhandled", "WorkflowCompleted"]
    assert told(engine, run, "SignalsUnhandled") == [{"signals": [5, 6]}]
    assert rows(engine, "SELECT COUNT(*) FROM workflow_signals") == [(5,)]


def test_a_turn_that_does_not_close_ends_the_count_of_refused_closes(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    for _ in range(3):
        engine.workflows.signal(run, "s")
        worker.reports(task, CompleteWorkflow())
        task = worker.takes()
    worker.reports(task, WaitForSignal(name="go"))
    engine.workflows.signal(run, "go")
    task = worker.takes()
    engine.workflows.signal(run, "go")

    assert worker.reports(task, CompleteWorkflow())["code"] == "unhandled_events"


def test_a_wait_is_told_once_per_wait_and_not_once_per_replay(engine: Engine) -> None:
    run, worker = given_a_parked(engine)
    waits = WaitForSignal(name="go")
    engine.workflows.signal(run, "noise")
    worker.reports(worker.takes(), waits)
    engine.workflows.signal(run, "noise")
    worker.reports(worker.takes(), waits)
    assert history(engine, run).count("WorkflowAwaitingSignal") == 1

    engine.workflows.signal(run, "go")
    worker.reports(worker.takes(), waits)

    assert history(engine, run).count("WorkflowAwaitingSignal") == 2
    assert record(engine, run)["waiting_for"] == [{"kind": "signal", "name": "go", "since": T0}]


def test_a_wait_that_crossed_its_signal_is_over_when_the_next_one_begins(engine: Engine) -> None:
    run, worker, task = given_a_running(engine)
    waits = WaitForSignal(name="go")
    engine.workflows.signal(run, "go")
    worker.reports(task, waits)  # it did not know of the signal yet

    worker.reports(worker.takes(), waits)  # now it has taken it, and waits for another

    assert history(engine, run).count("WorkflowAwaitingSignal") == 2


def test_who_waits_is_found_by_the_list_and_says_on_what(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine)
    assert record(engine, run)["waiting_for"] == [{"kind": "signal", "name": "go", "since": T0}]
    clock.advance(1.0)

    engine.workflows.signal(run, "go")

    assert record(engine, run)["waiting_for"] is None
    assert Played(engine, "bob").takes()["workflow_id"] == "w"
