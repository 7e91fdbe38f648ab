"""Waiting for work: whoever waits is woken by what makes work, and sleeps through nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.engine import Engine
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import until_waiting
from tests.engine.stories import waits_for
from tests.engine.stories import without_a_watcher
from tests.processes import until

if TYPE_CHECKING:
    from tests.conftest import Clock

LONG = 120.0


@pytest.fixture
def other(backend: str, clock: Clock) -> Iterator[Engine]:
    """An engine of another process, as far as it can be told, on the same database."""
    opened = Engine.open(backend, clock=clock)
    yield opened
    opened.close()


def test_who_waits_is_woken_by_a_start(engine: Engine) -> None:
    without_a_watcher(engine)
    worker = Played(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)

    given_a_run(engine)

    assert waiting.answer()["workflow_id"] == "w"


def test_who_waits_is_woken_by_a_signal_an_activity_and_its_result(engine: Engine) -> None:
    without_a_watcher(engine)
    run, worker = given_a_parked(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)
    engine.workflows.signal(run, "go")
    task = waiting.answer()

    bob = Played(engine, "bob")
    waiting = Beside(lambda: bob.takes_work(wait_secs=LONG))
    until(lambda: waits_for(engine, "activity"))
    worker.reports(task, an_activity())
    work = waiting.answer()

    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until(lambda: waits_for(engine, "workflow"))
    bob.completes(work)
    assert waiting.answer()["history_seq"] == 5


def test_who_waits_is_woken_by_what_upkeep_frees(engine: Engine, clock: Clock) -> None:
    without_a_watcher(engine)
    given_a_running(engine)
    bob = Played(engine, "bob")
    waiting = Beside(lambda: bob.takes(wait_secs=LONG))
    until_waiting(engine)
    clock.advance(30.0)

    engine.upkeep.expire()

    assert waiting.answer()["attempt"] == 2


def test_a_back_off_that_falls_due_wakes_without_any_commit(engine: Engine, clock: Clock) -> None:
    run, worker, task = given_a_running(engine)
    worker.cannot(task)
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)
    assert not waiting.over

    clock.advance(1.0)
    engine.wake()

    assert waiting.answer()["run_id"] == run.run_id


def test_a_retry_that_falls_due_wakes_without_any_commit(engine: Engine, clock: Clock) -> None:
    _, worker, work = given_an_activity_at_work(engine)
    worker.fails(work)
    waiting = Beside(lambda: worker.takes_work(wait_secs=LONG))
    until_waiting(engine)

    clock.advance(1.0)
    engine.wake()

    assert waiting.answer()["attempt"] == 2


def test_the_watcher_looks_again_at_the_very_moment_when_the_next_back_off_is_due(engine: Engine, clock: Clock) -> None:
    _, worker, task = given_a_running(engine)
    worker.cannot(task)
    wakeups = engine._wakeups
    assert wakeups._look_once() == 1.0  # nobody waits: nothing is asked of the database
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)

    clock.advance(0.75)
    assert wakeups._look_once() == 0.25
    clock.advance(0.25)
    wakeups._look_once()

    assert waiting.answer()["attempt"] == 2


def test_a_commit_of_another_process_wakes_by_a_hint(engine: Engine, other: Engine) -> None:
    without_a_watcher(engine)
    worker = Played(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)

    given_a_run(other)  # it has never had a worker of its own

    assert waiting.answer()["workflow_id"] == "w"


def test_the_watcher_finds_what_no_hint_told(engine: Engine, other: Engine) -> None:
    without_a_watcher(other)
    worker = Played(engine)
    waiting = Beside(lambda: worker.takes(wait_secs=LONG))
    until_waiting(engine)
    other._wakeups.close()  # it can tell nobody

    given_a_run(other)

    assert waiting.answer()["workflow_id"] == "w"


def test_draining_answers_everybody_at_once_and_hands_out_nothing_more(engine: Engine) -> None:
    ann, bob = Played(engine), Played(engine, "bob")
    waiting = [Beside(lambda each=each: each.exchange(workflow_slots=1, wait_secs=LONG)) for each in (ann, bob)]
    until_waiting(engine, 2)

    engine.drain()

    for each in waiting:
        answer = each.answer()
        assert (answer["drain"], answer["workflow_tasks"]) == (True, [])
    given_a_run(engine)
    late = ann.exchange(workflow_slots=1, wait_secs=LONG)
    assert (late["drain"], late["workflow_tasks"]) == (True, [])


def test_a_draining_engine_still_takes_results(engine: Engine) -> None:
    _, worker, task = given_a_running(engine)
    engine.drain()

    assert worker.reports(task, CompleteWorkflow()) == {"ok": True}


def test_nothing_is_claimed_for_a_client_that_is_gone_and_its_wake_goes_on(engine: Engine) -> None:
    without_a_watcher(engine)
    gone = threading.Event()
    ann, bob = Played(engine), Played(engine, "bob")
    first = Beside(lambda: ann.takes_up_to(1, wait_secs=LONG, client_gone=gone.is_set))
    until_waiting(engine, 1)
    second = Beside(lambda: bob.takes_up_to(1, wait_secs=LONG))
    until_waiting(engine, 2)
    gone.set()

    given_a_run(engine)

    assert first.answer() == []
    assert [task["workflow_id"] for task in second.answer()] == ["w"]


def test_a_client_that_is_gone_before_the_first_look_gets_nothing(engine: Engine) -> None:
    worker = Played(engine)
    worker.begins()
    given_a_run(engine)

    assert worker.takes_up_to(1, client_gone=lambda: True) == []
    assert worker.takes()["attempt"] == 1


def test_a_wake_for_a_type_that_one_does_not_take_goes_on_to_one_who_does(engine: Engine) -> None:
    without_a_watcher(engine)
    picky, other = Played(engine, "pia", workflows=["Refund"]), Played(engine, "bob")
    first = Beside(lambda: picky.takes_up_to(1, wait_secs=LONG))
    until_waiting(engine, 1)
    second = Beside(lambda: other.takes_up_to(1, wait_secs=LONG))
    until_waiting(engine, 2)

    given_a_run(engine)
    assert [task["workflow_type"] for task in second.answer()] == ["Order"]
    assert not first.over
    given_a_run(engine, "r", workflow_type="Refund")

    assert [task["workflow_type"] for task in first.answer()] == ["Refund"]


def test_a_batch_of_starts_wakes_as_many_as_there_are_tasks(engine: Engine) -> None:
    without_a_watcher(engine)
    workers = [Played(engine, f"w{n}") for n in range(4)]
    waiting = [Beside(lambda each=each: each.takes_up_to(1, wait_secs=LONG)) for each in workers]
    until_waiting(engine, 4)

    engine.workflows.start_batch([a_start(f"r{n}") for n in range(4)])

    assert sorted(task["workflow_id"] for each in waiting for task in each.answer()) == ["r0", "r1", "r2", "r3"]


def test_work_that_a_full_claim_left_wakes_the_next(engine: Engine) -> None:
    without_a_watcher(engine)
    ann, bob = Played(engine), Played(engine, "bob")
    ann.begins()
    engine.workflows.start_batch([a_start(f"r{n}") for n in range(2)])
    second = Beside(lambda: bob.takes_up_to(1, wait_secs=LONG))

    first = ann.takes_up_to(1)

    assert len(first) == len(second.answer()) == 1


def test_a_session_that_is_replaced_while_it_waits_gets_nothing_and_its_wake_goes_on(engine: Engine) -> None:
    without_a_watcher(engine)
    old, new = Played(engine), Played(engine, session="s2")
    first = Beside(lambda: old.exchange(workflow_slots=1, wait_secs=LONG))
    until_waiting(engine, 1)
    second = Beside(lambda: new.exchange(workflow_slots=1, wait_secs=LONG))
    until_waiting(engine, 2)

    given_a_run(engine)

    replaced, current = first.answer(), second.answer()
    assert (replaced["code"], replaced["workflow_tasks"]) == ("session_replaced", [])
    assert [task["workflow_id"] for task in current["workflow_tasks"]] == ["w"]


def waits_for_deadlines(engine: Engine) -> bool:
    """Wait as the sidecar does. Says whether a near deadline ended it."""
    with engine.upkeep.near() as near:
        return near.wait(LONG)


def test_a_near_deadline_wakes_the_sidecar(engine: Engine, other: Engine) -> None:
    without_a_watcher(engine)
    for writer in (engine, other):
        sidecar = Beside(lambda: waits_for_deadlines(engine))
        until(lambda: len(engine._wakeups.waiters) == 1)
        name = f"w{id(writer)}"
        worker = Played(writer, name)
        given_a_parked(writer, name, an_activity(start_to_close_secs=0.5), worker=worker)

        worker.takes_work()

        assert sidecar.answer() is True


def test_a_near_deadline_that_is_written_while_the_sidecar_works_ends_its_next_wait(engine: Engine) -> None:
    with engine.upkeep.near() as near:
        given_a_parked(engine, "w", ScheduleTimer(seq=1, duration_secs=0.5))

        assert near.wait(LONG)


def test_the_next_deadline_is_asked_for_beyond_what_is_due_already(engine: Engine) -> None:
    given_a_parked(
        engine, "w", ScheduleTimer(seq=1, duration_secs=10.0), ScheduleTimer(seq=2, duration_secs=60.0)
    )  # fmt: skip

    assert engine.upkeep.next_deadline() == T0 + 10.0
    assert engine.upkeep.next_deadline(T0 + 10.0) == T0 + 60.0
    assert engine.upkeep.next_deadline(T0 + 60.0) is None


def test_a_far_deadline_lets_the_sidecar_sleep(engine: Engine) -> None:
    sidecar = Beside(lambda: waits_for_deadlines(engine))
    until(lambda: len(engine._wakeups.waiters) == 1)

    given_a_running(engine)

    assert not sidecar.over
    engine.drain()
    sidecar.answer()


def test_an_embedders_thread_does_the_upkeep_until_it_is_stopped(engine: Engine, clock: Clock) -> None:
    given_a_running(engine)
    clock.advance(30.0)
    stop = threading.Event()
    upkeep = Beside(lambda: engine.upkeep.run(stop))
    bob = Played(engine, "bob")

    assert bob.takes(wait_secs=LONG)["attempt"] == 2

    stop.set()
    upkeep.answer()


def test_an_engine_in_memory_waits_and_wakes_too(clock: Clock) -> None:
    engine = without_a_watcher(Engine.open("sqlite://:memory:", clock=clock))
    try:
        worker = Played(engine)
        waiting = Beside(lambda: worker.takes(wait_secs=LONG))
        until_waiting(engine)
        given_a_run(engine)
        assert waiting.answer()["task_queue"] == QUEUE
    finally:
        engine.close()
