"""The committer: who comes while a commit is under way shares the next one; nobody starves, all are settled."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.change import Change
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import StoreBusy
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine import Engine
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations import Start
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store import fsck
from assay_wsgi.store.needs import BeginAgain
from assay_wsgi.store.needs import Needs
from assay_wsgi.store.rows import Rows
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import a_start
from tests.engine.stories import given_a_run
from tests.engine.stories import history
from tests.processes import PATIENCE_SECS
from tests.processes import until
from tests.store.heard import Heard
from tests.store.heard import inserted

if TYPE_CHECKING:
    from tests.conftest import Clock


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def engine(backend: str, clock: Clock, heard: Heard) -> Iterator[Engine]:
    """An engine whose driver is listened to."""
    settings = EngineSettings(store_wait_secs=0.2)
    opened = Engine.open(backend, clock=clock, wrap=heard.wrap, settings=settings)
    given_a_run(opened, "warm")  # its writer is registered, its keys are reserved
    heard.clear()
    yield opened
    heard.gate.set()
    assert fsck.check(opened.store) == []
    opened.close()


def starts(engine: Engine, heard: Heard) -> list[int]:
    """Give how many runs each unit started."""
    return [count for unit in heard.units if (count := inserted(unit, "workflows"))]


def test_what_a_whole_batch_lacks_is_fetched_at_once(engine: Engine, heard: Heard) -> None:
    """Each turn that continues as new asks for its unread signals, which nobody can name beforehand."""
    worker = Played(engine)
    for n in range(30):
        given_a_run(engine, f"w{n}")
    tasks = [task for task in worker.takes_up_to(40) if task["workflow_id"] != "warm"]
    heard.clear()

    said = worker.exchange(
        workflow_results=tuple(
            TurnReport(task_token=task["task_token"], commands=(ContinueAsNew(workflow_id=task["workflow_id"]),))
            for task in tasks
        )
    )

    assert [one["ok"] for one in said["results"]] == [True] * 30
    assert starts(engine, heard) == [30]


def hand_in(engine: Engine, *names: str) -> list[Beside]:
    """Hand in starts, each in a thread of its own, in this order."""
    return [_behind(engine, lambda name=name: engine.workflows.start(a_start(name))) for name in names]


def hand_in_together(engine: Engine, prefix: str, count: int) -> Beside:
    """Hand in a batch of starts in a thread."""
    return _behind(engine, lambda: engine.workflows.start_batch([a_start(f"{prefix}{n}") for n in range(count)]))


def _behind(engine: Engine, do: object) -> Beside:
    waiting = len(engine.committer._queue)
    beside = Beside(do)  # type: ignore[arg-type]
    until(lambda: len(engine.committer._queue) > waiting)
    return beside


def a_leader_held_at_its_commit(engine: Engine, heard: Heard) -> Beside:
    leader = Beside(lambda: engine.workflows.start(a_start("leader")))
    assert heard.at_the_gate.acquire(timeout=PATIENCE_SECS)
    return leader


def test_alone_an_operation_is_its_own_unit(engine: Engine, heard: Heard) -> None:
    given_a_run(engine, "a")
    given_a_run(engine, "b")

    assert starts(engine, heard) == [1, 1]


def test_who_comes_during_a_commit_shares_the_next_one(engine: Engine, heard: Heard) -> None:
    with heard.holding_commits():
        leader = a_leader_held_at_its_commit(engine, heard)
        others = hand_in(engine, *(f"w{n}" for n in range(10)))

    assert leader.answer()["status"] == "PENDING"
    assert [other.answer()["workflow_id"] for other in others] == [f"w{n}" for n in range(10)]
    assert starts(engine, heard) == [1, 10]


def test_the_second_of_a_batch_sees_the_first(engine: Engine, heard: Heard) -> None:
    with heard.holding_commits():
        a_leader_held_at_its_commit(engine, heard)
        first, second = hand_in(engine, "same", "same")

    outcomes = []
    for each in (first, second):
        try:
            outcomes.append(each.answer()["run_id"])
        except AlreadyStarted as refusal:
            outcomes.append(refusal.members["run_id"])
    assert outcomes[0] == outcomes[1]
    assert starts(engine, heard) == [1, 1]


def test_a_batch_is_capped_by_its_weight_and_a_heavier_one_goes_alone(engine: Engine, heard: Heard) -> None:
    with heard.holding_commits():
        leader = a_leader_held_at_its_commit(engine, heard)
        waiting = [
            *hand_in(engine, "a", "b"),
            hand_in_together(engine, "heavy", 126),  # 504 of 500 rows
            *hand_in(engine, "c", "d"),
        ]

    for each in (leader, *waiting):
        each.answer()
    assert starts(engine, heard) == [1, 2, 126, 2]


def test_never_two_heavy_ones_in_a_row_while_light_ones_wait(engine: Engine, heard: Heard) -> None:
    with heard.holding_commits():
        leader = a_leader_held_at_its_commit(engine, heard)
        waiting = [
            hand_in_together(engine, "one", 130), hand_in_together(engine, "two", 131),
            hand_in_together(engine, "three", 132), *hand_in(engine, "a", "b"),
        ]  # fmt: skip

    for each in (leader, *waiting):
        each.answer()
    units = starts(engine, heard)
    assert sorted(units) == sorted([1, 130, 131, 132, *([2] if 2 in units else [1, 1])])
    assert units[:3] in ([1, 130, 1], [1, 130, 2])


def test_a_light_batch_is_filled_up_to_its_weight(engine: Engine, heard: Heard) -> None:
    with heard.holding_commits():
        leader = a_leader_held_at_its_commit(engine, heard)
        waiting = [hand_in_together(engine, f"b{place}-", 40) for place in range(4)]  # 160 rows each

    for each in (leader, *waiting):
        each.answer()
    assert starts(engine, heard) == [1, 120, 40]


def test_nobody_starves_and_everybody_is_answered(engine: Engine, heard: Heard) -> None:
    def many(thread: int) -> list[str]:
        return [engine.workflows.start(a_start(f"t{thread}-{n}"))["workflow_id"] for n in range(15)]

    threads = [Beside(lambda place=place: many(place)) for place in range(8)]
    threads.append(Beside(lambda: [engine.workflows.start_batch([a_start(f"h{n}") for n in range(130)])]))

    for place, thread in enumerate(threads[:8]):
        assert thread.answer() == [f"t{place}-{n}" for n in range(15)]
    assert len(threads[8].answer()[0]) == 130
    assert sum(starts(engine, heard)) == 8 * 15 + 130
    assert engine.committer._queue == type(engine.committer._queue)()


# ----------------------------------------------------------------------------------------- what goes wrong


@dataclass(frozen=True)
class Broken(Operation):
    """An operation with a mistake in it."""

    where: str
    error: type[Exception] = ZeroDivisionError

    def needs(self, needs: Needs) -> None:
        if self.where == "needs":
            raise self.error

    def decide(self, rows: Rows, now: float) -> Change:
        raise self.error


@pytest.mark.parametrize("where", ["needs", "decide"])
def test_a_mistake_in_one_operation_concerns_nobody_else(
    engine: Engine, heard: Heard, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    with caplog.at_level(logging.CRITICAL), heard.holding_commits():
        leader = a_leader_held_at_its_commit(engine, heard)
        before = hand_in(engine, "a", "b")
        broken = _behind(engine, lambda: engine.committer.do(Broken(where)))
        after = hand_in(engine, "c")
        heard.gate.set()

        with pytest.raises(ZeroDivisionError):
            broken.answer()
        for each in (leader, *before, *after):
            assert each.answer()["status"] == "PENDING"
    assert sum(starts(engine, heard)) == 4


def test_the_operations_beside_a_mistake_in_one_submission_are_done(engine: Engine) -> None:
    bad = Broken("decide")
    first, second = (Start(a_start(name), name) for name in ("a", "b"))

    outcomes = engine.committer.submit([first, bad, second])

    assert [type(outcome.error) for outcome in outcomes] == [type(None), ZeroDivisionError, type(None)]
    assert [outcomes[place].answer["workflow_id"] for place in (0, 2)] == ["a", "b"]


def test_an_operation_that_always_begins_again_is_answered_busy_and_leaves_the_others_alone(engine: Engine) -> None:
    never = Broken("decide", BeginAgain)
    start = Start(a_start("a"), "a")

    outcomes = engine.committer.submit([start, never])

    assert outcomes[0].answer["workflow_id"] == "a"
    assert isinstance(outcomes[1].error, StoreBusy)


def test_a_refusal_writes_nothing_and_is_the_askers_alone(engine: Engine, heard: Heard) -> None:
    run = given_a_run(engine, "a")
    with heard.holding_commits():
        a_leader_held_at_its_commit(engine, heard)
        refused, done = hand_in(engine, "a", "b")

    with pytest.raises(AlreadyStarted):
        refused.answer()
    assert done.answer()["workflow_id"] == "b"
    assert history(engine, run) == ["WorkflowStarted"]
