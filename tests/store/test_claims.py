"""Claims: in what order, to whom, and that each query is answered by its index, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.engine import Engine
from assay_wsgi.store import reads
from assay_wsgi.store.claims import Floors
from assay_wsgi.store.claims import Taker
from assay_wsgi.store.claims import claim
from assay_wsgi.store.liveness import Liveness
from assay_wsgi.store.mapping import ACTIVITIES
from assay_wsgi.store.mapping import RUNS
from assay_wsgi.store.mapping import TASKS
from assay_wsgi.store.store import Store
from assay_wsgi.store.unit import Submission
from assay_wsgi.store.unit import perform
from tests.domain.given import a_ready_task
from tests.domain.given import a_run
from tests.domain.given import pending_work
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.store.heard import Heard
from tests.store.plans import assert_served_by
from tests.store.plans import plan

if TYPE_CHECKING:
    from tests.conftest import Clock


def a_taker(worker_id: str = "ann", **more: Any) -> Taker:
    """Give a taker of the old way, which has no session to check."""
    asked: dict[str, Any] = {
        "namespace": "main", "queue": QUEUE, "worker_id": worker_id, "session": None, "exchange": 1,
        "workflow_slots": 0, "activity_slots": 0, "workflow_types": None, "activity_names": None, "lease_secs": 30.0,
    }  # fmt: skip
    return Taker(**{**asked, **more})


def claims(engine: Engine, *takers: Taker) -> None:
    """Have takers claim in one unit."""
    writer = engine.store.writer()
    try:
        perform(writer, [Submission((), taker) for taker in takers], Floors(kept=False), Liveness())
    finally:
        writer.drop()


def runs_of(taker: Taker) -> list[str]:
    return [claimed.workflow_id for claimed in taker.workflows]


def works_of(taker: Taker) -> list[str]:
    return [claimed.activity.name for claimed in taker.activities]


# ------------------------------------------------------------------------------------------------ the order


def given_runs(engine: Engine, clock: Clock, *names: str, **more: Any) -> None:
    for name in names:
        given_a_run(engine, name, **more)
        clock.advance(1.0)


def test_the_longest_ready_goes_first(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, "c", "a", "b")
    taker = a_taker(workflow_slots=2)

    claims(engine, taker)

    assert runs_of(taker) == ["c", "a"]


def test_a_lower_priority_number_goes_before_age(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, "old", "young", "urgent")
    put(engine, "UPDATE workflow_tasks SET priority = -1 WHERE ready_at = ?", T0 + 2.0)
    taker = a_taker(workflow_slots=3)

    claims(engine, taker)

    assert runs_of(taker) == ["urgent", "old", "young"]


def test_what_was_ready_again_goes_to_the_end(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, "a", "b")
    worker = Played(engine)
    (first,) = worker.takes_up_to(1)
    clock.advance(30.0)
    engine.upkeep.expire()
    taker = a_taker(workflow_slots=2)

    claims(engine, taker)

    assert first["workflow_id"] == "a"
    assert runs_of(taker) == ["b", "a"]


def test_takers_that_ask_alike_are_dealt_to_in_turn(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, *(f"r{n}" for n in range(7)))
    one, two, three = (a_taker(name, workflow_slots=slots) for name, slots in (("a", 10), ("b", 1), ("c", 10)))

    claims(engine, one, two, three)

    assert [runs_of(taker) for taker in (one, two, three)] == [["r0", "r3", "r5"], ["r1"], ["r2", "r4", "r6"]]


def test_activities_are_dealt_by_age_priority_and_name(engine: Engine, clock: Clock) -> None:
    commands = [ScheduleActivity(seq=n, name=name) for n, name in enumerate(["a", "b", "c", "d"], start=1)]
    for place, command in enumerate(commands):
        given_a_parked(engine, f"w{place}", command)
        clock.advance(1.0)
    put(engine, "UPDATE workflow_activities SET priority = -1 WHERE name = ?", "d")
    picky, one, two = (
        a_taker("p", activity_slots=5, activity_names=("c", "x")),
        a_taker("o", activity_slots=5),
        a_taker("t", activity_slots=5),
    )

    claims(engine, picky, one, two)

    assert [works_of(taker) for taker in (picky, one, two)] == [["c"], ["d", "b"], ["a"]]
    (claimed,) = picky.activities
    assert (claimed.activity.status, claimed.activity.owner, claimed.activity.started_at) == ("RUNNING", "p", T0 + 4.0)
    assert claimed.activity.deadline_at == T0 + 304.0


def test_a_taker_that_takes_no_names_gets_none_of_that_kind(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, "a")
    nothing = a_taker(workflow_slots=5, workflow_types=(), activity_slots=5)

    claims(engine, nothing)

    assert runs_of(nothing) == []


def test_a_types_filter_reaches_what_stands_behind_others(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, *(f"r{n}" for n in range(20)))
    given_runs(engine, clock, "wanted", workflow_type="Refund")
    taker = a_taker(workflow_slots=1, workflow_types=("Refund", "Never"))

    claims(engine, taker)

    assert runs_of(taker) == ["wanted"]


def test_nothing_is_handed_out_before_its_time_nor_of_a_paused_run(engine: Engine, clock: Clock) -> None:
    run, _ = given_a_parked(engine, "p", ScheduleActivity(seq=1, name="a"))
    engine.workflows.signal(run, "go")
    put(engine, "UPDATE workflows SET paused = '{}'")
    put(engine, "UPDATE workflow_tasks SET paused = (1 = 1)")
    given_runs(engine, clock, "later")
    put(engine, "UPDATE workflow_tasks SET ready_at = ? WHERE NOT paused", T0 + 100.0)
    taker = a_taker(workflow_slots=5, activity_slots=5)

    claims(engine, taker)
    assert (runs_of(taker), works_of(taker)) == ([], [])

    clock.advance(100.0)
    claims(engine, taker)
    assert runs_of(taker) == ["later"]


def test_a_claim_that_is_rolled_back_hands_out_nothing(engine: Engine, clock: Clock) -> None:
    given_runs(engine, clock, "a")
    writer, taker = engine.store.writer(), a_taker(workflow_slots=1)

    def claim_and_stumble() -> None:
        with writer.unit(keys=0) as db:
            now, mark = writer.moment(db)
            claim(db, [taker], Floors(kept=False), mark, now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        claim_and_stumble()
    assert runs_of(taker) == ["a"]
    writer.drop()

    assert Played(engine).takes()["workflow_id"] == "a"


# ------------------------------------------------------------------------------------------------- the plans

MANY = 4000


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def crowded(backend: str, clock: Clock, heard: Heard) -> Iterator[Store]:
    """A database with many tasks and activities, every second one leased; not one that fsck would like."""
    store = Store.open(backend, clock=clock, wrap=heard.wrap)
    runs, tasks, works = [], [], []
    for n in range(1, MANY + 1):
        at, due = 1.6e9 + n, 1.8e9 + n
        queue = "other" if n % 3 == 0 else QUEUE
        lease = {"token": f"h{n}", "owner": "bob", "deadline_at": due} if n % 2 == 0 else {}
        status = "RUNNING" if n % 2 == 0 else "PENDING"
        run = {"run_key": n, "task_queue": queue}
        runs.append(a_run(workflow_id=f"w{n}", run_id=f"run-w{n}-{n}", created_at=at, **run))
        tasks.append(a_ready_task(ready_at=at, workflow_type=f"type{n % 7}", **run, **lease))
        works.append(
            pending_work(activity_key=MANY + n, visible_at=at, status=status, name=f"act{n % 7}", **run, **lease)
        )
    with store.administer() as db:
        for table, new in ((RUNS, runs), (TASKS, tasks), (ACTIVITIES, works)):
            assert db.dialect.insert(db, table, new) == MANY
        db.run("ANALYZE")
    heard.clear()
    yield store
    store.close()


TYPES = ("type1", "type2")
NAMES = ("act1", "act2")
CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("workflow_tasks_claim", {"workflow_slots": 5}),
    ("workflow_tasks_claim", {"workflow_slots": 5, "workflow_types": TYPES}),
    ("workflow_activities_claim", {"activity_slots": 5}),
    ("workflow_activities_claim", {"activity_slots": 5, "activity_names": NAMES}),
]
QUERIES: list[tuple[str, Any]] = [
    ("workflow_tasks_deadline", lambda db: reads.due_tasks(db, 1.8e9 + 50, 200)),
    ("workflow_activities_deadline", lambda db: reads.due_activities(db, 1.8e9 + 50, 200)),
    ("workflow_tasks_deadline", reads.next_deadline),
    ("workflow_activities_deadline", reads.next_deadline),
    ("workflow_tasks_claim", lambda db: reads.is_ready(db, "workflow", "main", QUEUE, None, T0)),
    ("workflow_tasks_claim", lambda db: reads.is_ready(db, "workflow", "main", QUEUE, TYPES, T0)),
    ("workflow_activities_claim", lambda db: reads.is_ready(db, "activity", "main", QUEUE, None, T0)),
    ("workflow_activities_claim", lambda db: reads.is_ready(db, "activity", "main", QUEUE, NAMES, T0)),
    ("workflow_tasks_claim", lambda db: reads.next_ready(db, "workflow", [("main", QUEUE), ("x", "y")])),
    ("workflow_activities_claim", lambda db: reads.next_ready(db, "activity", [("main", QUEUE)])),
]


def test_a_claim_walks_its_index(crowded: Store, heard: Heard) -> None:
    for index, asked in CLAIMS:
        taker = a_taker(**asked)
        writer = crowded.writer()
        heard.clear()

        perform(writer, [Submission((), taker)], Floors(kept=False), Liveness())
        writer.drop()

        assert len(taker.workflows) + len(taker.activities) == 5
        (query,) = [said for said in heard.statements if said.sql.startswith("SELECT") and " LIMIT " in said.sql]
        assert_served_by(crowded, index, plan(crowded, "writer", query))


def test_what_the_watcher_and_the_sidecar_ask_is_answered_by_an_index(crowded: Store, heard: Heard) -> None:
    for index, ask in QUERIES:
        heard.clear()
        with crowded.read() as db:
            ask(db)
        table = index.rpartition("_")[0]

        (query,) = [said for said in heard.statements if f" {table} " in f"{said.sql} "]

        assert_served_by(crowded, index, plan(crowded, "reader", query))
