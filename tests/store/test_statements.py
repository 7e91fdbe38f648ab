"""How many statements a unit takes: a number of its own, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine import Engine
from assay_wsgi.store import fsck
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import without_a_watcher
from tests.store.heard import Heard

if TYPE_CHECKING:
    from assay_wsgi.domain.commands import Command
    from tests.conftest import Clock

FEW, MANY = 5, 50


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def engine(backend: str, clock: Clock, heard: Heard) -> Iterator[Engine]:
    """An engine whose driver is listened to, with no thread that asks on its own."""
    opened = without_a_watcher(Engine.open(backend, clock=clock, wrap=heard.wrap))
    opened._wakeups._at_each_look = lambda: None
    yield opened
    assert fsck.check(opened.store) == []
    opened.close()


def statements(heard: Heard, do: Callable[[], Any]) -> list[str]:
    """Give the beginnings of the statements that something takes, key blocks and beats left out."""
    heard.clear()
    do()
    ours = [said.sql for said in heard.statements if "key_blocks" not in said.sql]
    return [sql[:60] for sql in ours if " queues " not in sql and "FROM workflow_workers t" not in sql]


def tasks(engine: Engine, worker: Played, name: str, count: int) -> list[Any]:
    worker.takes_up_to(200)  # what an act before has left
    engine.workflows.start_batch([a_start(f"{name}{n}") for n in range(count)])
    return worker.takes_up_to(count)


def turns(tasks: list[Any], *commands: Command) -> tuple[TurnReport, ...]:
    return tuple(TurnReport(task_token=task["task_token"], commands=commands) for task in tasks)


def grows(engine: Engine, heard: Heard, act: Callable[[Played, str, int], Callable[[], Any]]) -> list[str]:
    """Give the statements of the act for many, after checking that they are those for few."""
    worker = Played(engine)
    worker.begins()
    act(worker, "warm", 1)()
    few = statements(heard, act(worker, "few", FEW))
    many = statements(heard, act(worker, "many", MANY))
    assert many == few
    return many


def test_starting_many_takes_the_statements_of_starting_few(engine: Engine, heard: Heard) -> None:
    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        return lambda: engine.workflows.start_batch([a_start(f"{name}{n}") for n in range(count)])

    assert len(grows(engine, heard, act)) <= 11


def test_hellos_exchange_takes_the_same_statements_for_few_and_many(engine: Engine, heard: Heard) -> None:
    """Hand in the finished, take the next: the whole of a worker's life."""

    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        done = turns(tasks(engine, worker, name, count), CompleteWorkflow(result='"hello"'))
        engine.workflows.start_batch([a_start(f"{name}-next{n}") for n in range(count)])
        return lambda: worker.exchange(workflow_results=done, workflow_slots=count)

    assert len(grows(engine, heard, act)) <= 20


@pytest.mark.parametrize(
    "commands",
    [
        [ScheduleActivity(seq=1, name="charge")],
        [RecordSideEffect(seq=1, name="dice", value="6"), WaitForSignal(name="go")],
        [UpsertSearchAttributes(patch={"a": 1}, seq=1), WaitForSignal(name="go")],
        [RecordSnapshot(state="1"), WaitForSignal(name="go")],
        [*(ScheduleActivity(seq=n, name="charge") for n in range(1, 21)), CompleteWorkflow()],
    ],
    ids=lambda commands: type(commands[0]).__name__ + str(len(commands)),
)
def test_turns_take_the_same_statements_for_few_and_many(engine: Engine, heard: Heard, commands: list[Command]) -> None:
    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        done = turns(tasks(engine, worker, name, count), *commands)
        return lambda: worker.exchange(workflow_results=done)

    assert len(grows(engine, heard, act)) <= 14


@pytest.mark.parametrize("what", ["result", "failure", "heartbeat"])
def test_reports_on_activities_take_the_same_statements_for_few_and_many(
    engine: Engine, heard: Heard, what: str
) -> None:
    from assay_wsgi.domain.requests import ActivityFailure

    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        worker.exchange(
            workflow_results=turns(tasks(engine, worker, name, count), ScheduleActivity(seq=1, name="charge"))
        )
        tokens = [work["task_token"] for work in worker.takes_work_up_to(count)]
        assert len(tokens) == count
        if what == "heartbeat":
            return lambda: worker.exchange(heartbeats=tuple(Heartbeat(task_token=token) for token in tokens))
        failure = ActivityFailure(error="x") if what == "failure" else None
        reports = tuple(ActivityReport(task_token=token, failure=failure) for token in tokens)
        return lambda: worker.exchange(activity_results=reports)

    assert len(grows(engine, heard, act)) <= 13


def test_taking_many_takes_the_statements_of_taking_few(engine: Engine, heard: Heard) -> None:
    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        engine.workflows.start_batch([a_start(f"{name}{n}") for n in range(count)])
        return lambda: worker.takes_up_to(count)

    assert len(grows(engine, heard, act)) <= 12


def test_firing_many_schedules_takes_the_statements_of_firing_few(engine: Engine, clock: Clock, heard: Heard) -> None:
    def act(worker: Played, name: str, count: int) -> Callable[[], Any]:
        for number in range(count):
            engine.schedules.create(f"{name}{number}", "Report", f"@every {count + 100}s")
        due = engine.schedules.describe(f"{name}0")["next_run_at"]

        def fire() -> None:
            clock.now = due
            assert engine.upkeep.fire_schedules() == count

        return fire

    assert len(grows(engine, heard, act)) <= 17


def test_a_poll_that_finds_nothing_only_reads(engine: Engine, heard: Heard) -> None:
    worker = Played(engine)
    worker.exchange(workflow_slots=5, activity_slots=5)
    heard.clear()

    worker.exchange(workflow_slots=5, activity_slots=5)

    assert {said.sql[:6] for said in heard.statements} == {"SELECT"}
    assert heard.units == []


def test_one_unit_is_one_commit(engine: Engine, heard: Heard) -> None:
    worker = Played(engine)
    done = turns(tasks(engine, worker, "w", 10), CompleteWorkflow())
    engine.workflows.start_batch([a_start(f"n{n}") for n in range(10)])
    heard.clear()

    worker.exchange(workflow_results=done, workflow_slots=10)

    assert len(heard.units) == 1
