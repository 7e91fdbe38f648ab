"""What a design without the rules of the core was once seen to do: each of it must not happen here.

The places where somebody is held are functions of the store; `Place` stops the first who comes there. What
needs another process stands in `tests/races`; here two engines on one database are enough, since each has
its own committer and its own connections.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import StoreBusy
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.engine import Engine
from assay_wsgi.engine import committer
from assay_wsgi.engine.operations import GiveBackActivity
from assay_wsgi.engine.operations import GiveBackTask
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations import ReportActivity
from assay_wsgi.engine.operations import TakeTurn
from assay_wsgi.engine.slow_lane import SlowLane
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store import load
from assay_wsgi.store import unit
from assay_wsgi.store.claims import Taker
from assay_wsgi.store.unit import Submission
from assay_wsgi.store.unit import perform
from tests.engine.stories import QUEUE
from tests.engine.stories import Beside
from tests.engine.stories import Played
from tests.engine.stories import given_a_run
from tests.engine.stories import given_a_running
from tests.engine.stories import given_an_activity_at_work
from tests.engine.stories import history
from tests.engine.stories import rows
from tests.processes import PATIENCE_SECS
from tests.processes import until
from tests.races.contest import Contest
from tests.races.contest import act
from tests.races.driver import Sightings
from tests.races.places import Place
from tests.races.places import a_signal
from tests.races.places import engines
from tests.races.places import started
from tests.races.places import starts
from tests.races.places import units
from tests.races.places import until_somebody_waits_for_a_lock

PATIENT = EngineSettings(store_wait_secs=PATIENCE_SECS)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Place:
    """The place where a unit has loaded what it decides about."""
    place = Place()
    monkeypatch.setattr(unit, "load", place.after(unit.load))
    return place


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Place:
    """The place where a unit has written everything but its notices."""
    place = Place()
    monkeypatch.setattr(unit, "insert_notices", place.before(unit.insert_notices))
    return place


def until_queued(engine: Engine, count: int) -> None:
    """Wait until so many stand in the committer's queue."""
    until(lambda: len(engine.committer._queue) == count)


# ---------------------------------------------------------------------------- a duplicate start in a batch


def test_in_a_batch_only_the_duplicates_are_refused(engine: Engine) -> None:
    given_a_run(engine, "w-3")
    names = [*(f"w-{number}" for number in range(13)), "w-5", "w-3", "w-11"]
    before = units(engine)

    said = starts(engine, *names)

    refused = [place for place, outcome in enumerate(said) if outcome != "ok"]
    assert (refused, {said[place] for place in refused}) == ([3, 13, 14, 15], {"workflow_already_started"})
    assert units(engine) == before + 1


def test_among_threads_whose_starts_share_a_batch_only_the_duplicates_are_refused(
    engine: Engine, loaded: Place
) -> None:
    before = units(engine)
    loaded.hold_next()
    leader = Beside(lambda: starts(engine, "w-3"))
    loaded.until_reached()
    others = [Beside(lambda name=f"w-{number % 13}": starts(engine, name)) for number in range(16)]  # type: ignore[misc]
    until_queued(engine, 16)

    loaded.let_go()

    said = [outcome for other in others for outcome in other.answer()]
    assert leader.answer() == ["ok"]
    assert sorted(said) == ["ok"] * 12 + ["workflow_already_started"] * 4
    assert said[3] == "workflow_already_started"
    assert units(engine) == before + 2


def test_a_name_that_another_takes_meanwhile_costs_the_batch_nothing(postgres_url: str, loaded: Place) -> None:
    seen = Sightings()
    with engines(postgres_url, wrap=seen.wrap) as (ours, theirs):
        loaded.hold_next()
        batch = Beside(lambda: starts(ours, *(f"w-{number}" for number in range(16))))
        loaded.until_reached()
        taken = given_a_run(theirs, "w-3")
        before = units(ours)
        loaded.let_go()

        assert batch.answer() == ["ok"] * 3 + ["workflow_already_started"] + ["ok"] * 12

        assert units(ours) == before + 1
        assert ours.workflows.describe(RunRef(workflow_id="w-3", namespace="main"))["run_id"] == taken.run_id
        assert seen.counted["unique violation"] == 0


# -------------------------------------------------------------------------------------------- lock order


def test_units_that_name_the_same_runs_in_another_order_never_deadlock(postgres_url: str) -> None:
    seen, rounds = Sightings(), 200
    with engines(postgres_url, wrap=seen.wrap) as (one, two):
        runs = [given_a_run(one, name) for name in ("a", "b")]
        step = threading.Barrier(2)

        def signals(engine: Engine, *names: str) -> None:
            waiting = engine.store.writer("slow")
            for _ in range(rounds):
                submission = Submission([a_signal(name) for name in names])
                step.wait(PATIENCE_SECS)
                perform(waiting, [submission], engine.store.floors, engine.store.liveness, rounds=1000, wait=True)
                assert all(outcome.answer for outcome in submission.outcomes)
            waiting.drop()

        both = [Beside(lambda: signals(one, "a", "b")), Beside(lambda: signals(two, "b", "a"))]
        for each in both:
            each.answer()

        assert seen.counted["deadlock"] == 0
        assert [len(history(one, run)) for run in runs] == [1 + 2 * rounds] * 2


def test_batches_that_start_the_same_ids_in_another_order_never_deadlock(postgres_url: str) -> None:
    seen, rounds = Sightings(), 100
    with engines(postgres_url, wrap=seen.wrap) as (one, two):
        step = threading.Barrier(2)

        def batches(engine: Engine, order: int) -> list[list[str]]:
            said = []
            for number in range(rounds):
                step.wait(PATIENCE_SECS)
                said.append(starts(engine, *[f"{name}-{number}" for name in "abcdefgh"[::order]])[::order])
            return said

        both = [Beside(lambda: batches(one, 1)), Beside(lambda: batches(two, -1))]
        ours, theirs = (each.answer() for each in both)

        for mine, other in zip(ours, theirs, strict=True):
            assert [sorted(pair) for pair in zip(mine, other, strict=True)] == [["ok", "workflow_already_started"]] * 8
        assert seen.counted["deadlock"] == seen.counted["unique violation"] == 0


# -------------------------------------------------------------------------------- a held row, a held name


@contextmanager
def held_run(url: str, run: RunRef) -> Iterator[psycopg.Connection[Any]]:
    """Hold a run's row in a stranger's transaction."""
    with psycopg.connect(url) as stranger:
        stranger.execute("SELECT 1 FROM workflows WHERE run_id = %s FOR UPDATE", (run.run_id,))
        yield stranger


def test_a_held_run_delays_only_those_who_want_it(postgres_url: str) -> None:
    with engines(postgres_url, 1, settings=PATIENT) as (engine,):
        worker = Played(engine)
        wanted, other = given_a_run(engine, "wanted"), given_a_run(engine, "other")
        with held_run(postgres_url, wanted) as stranger:
            held = Beside(lambda: engine.workflows.signal(wanted, "go"))
            until_somebody_waits_for_a_lock(engine)

            assert engine.workflows.signal(other, "go")["ok"]
            assert starts(engine, "third") == ["ok"]
            assert sorted(task["workflow_id"] for task in worker.takes_up_to(10)) == ["other", "third"]
            with_held = Beside(lambda: engine.committer.submit([a_signal("wanted"), a_signal("third")]))
            until(lambda: "SignalReceived" in history(engine, RunRef(workflow_id="third", namespace="main")))

            assert (held.over, with_held.over) == (False, False)
            stranger.rollback()

        assert held.answer()["ok"]
        assert [outcome.answer["ok"] for outcome in with_held.answer()] == [True, True]
        assert history(engine, wanted) == ["WorkflowStarted", "SignalReceived", "SignalReceived"]


def test_who_wants_a_run_that_is_held_too_long_is_told_that_nothing_was_written(postgres_url: str) -> None:
    with engines(postgres_url, 1, settings=EngineSettings(store_wait_secs=0.2)) as (engine,):
        run = given_a_run(engine, "w")
        with held_run(postgres_url, run):
            with pytest.raises(StoreBusy):
                engine.workflows.signal(run, "go")
            with pytest.raises(StoreBusy):
                engine.workflows.terminate(run)

        assert history(engine, run) == ["WorkflowStarted"]
        assert engine.workflows.signal(run, "go")["ok"]


@pytest.mark.parametrize("stranger_commits", [True, False])
def test_a_held_name_delays_only_those_who_want_it(
    postgres_url: str, written: Place, monkeypatch: pytest.MonkeyPatch, stranger_commits: bool
) -> None:
    seen, before_the_lane = Sightings(), []
    with engines(postgres_url, 1) as (theirs,), engines(postgres_url, 1, wrap=seen.wrap, settings=PATIENT) as (ours,):
        enter = SlowLane.enter

        def entered(lane: SlowLane, operation: Operation) -> Any:
            before_the_lane.append(seen.counted["lock time-out"])
            return enter(lane, operation)

        monkeypatch.setattr(SlowLane, "enter", entered)
        written.hold_next()
        stranger = Beside(lambda: starts(theirs, "w"))
        written.until_reached()
        held = Beside(lambda: starts(ours, "w"))
        until_somebody_waits_for_a_lock(theirs)

        assert starts(ours, "x", "y", "z") == ["ok"] * 3
        until(lambda: before_the_lane)
        together = Beside(lambda: starts(ours, "v", "w"))
        until(lambda: rows(ours, "SELECT 1 FROM workflows WHERE workflow_id = 'v'"))
        until(lambda: len(before_the_lane) == 2)

        assert not held.over
        assert before_the_lane[0] <= 2  # once in its batch, once alone: nobody else waits any longer for it
        written.let_go(None if stranger_commits else ValueError("the stranger rolls back"))
        said = (stranger, held, together)
        if stranger_commits:
            assert [each.answer() for each in said] == [
                ["ok"], ["workflow_already_started"], ["ok", "workflow_already_started"]
            ]  # fmt: skip
        else:
            with pytest.raises(ValueError, match="rolls back"):
                stranger.answer()
            assert sorted(held.answer() + together.answer()[1:]) == ["ok", "workflow_already_started"]
        assert seen.counted["unique violation"] == 0


def test_who_wants_a_name_that_is_held_too_long_is_told_that_nothing_was_written(
    postgres_url: str, written: Place
) -> None:
    with engines(postgres_url, 1, settings=EngineSettings(store_wait_secs=0.2)) as (ours,):
        with engines(postgres_url, 1) as (theirs,):
            written.hold_next()
            stranger = Beside(lambda: starts(theirs, "w"))
            written.until_reached()

            assert starts(ours, "w", "x") == ["store_busy", "ok"]

            written.let_go(ValueError("the stranger rolls back"))
            with pytest.raises(ValueError, match="rolls back"):
                stranger.answer()
        assert starts(ours, "w") == ["ok"]


# ------------------------------------------------------------------------------------------ a dead leader


class Torn(BaseException):
    """What tears a thread out of its work: no Exception."""


def a_batch_behind(engine: Engine, place: Place) -> tuple[Beside, list[Beside]]:
    """Have one thread lead, held at a place, and three more wait behind it."""
    place.hold_next()
    leader = Beside(lambda: starts(engine, "leader"))
    place.until_reached()
    behind = []
    for number in range(3):
        behind.append(Beside(lambda name=f"behind-{number}": starts(engine, name)))  # type: ignore[misc]
        until_queued(engine, number + 1)
    return leader, behind


def outcome_of(beside: Beside) -> str:
    """Give in one word what came of a start."""
    try:
        (said,) = beside.answer()
    except BaseException as error:  # noqa: BLE001 - it is looked at
        return error.code if isinstance(error, AssayError) else type(error).__name__
    return str(said)


@pytest.mark.parametrize("where", ["find_and_lock", "load", "flush", "insert_notices"])
def test_of_a_leader_that_dies_nobody_is_told_that_it_was_done(
    engine: Engine, loaded: Place, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first, behind = a_batch_behind(engine, loaded)
    do, attempt, torn = getattr(unit, where), unit._attempt, []

    def dying(*what: Any, **more: Any) -> Any:
        answer = do(*what, **more)
        if torn == [False]:
            torn[:] = [True]
            raise Torn
        return answer

    def second_unit(*what: Any, **more: Any) -> Any:  # the first one is under way already
        torn.extend([] if torn else [False])
        return attempt(*what, **more)

    monkeypatch.setattr(unit, where, dying)
    monkeypatch.setattr(unit, "_attempt", second_unit)

    loaded.let_go()

    assert outcome_of(first) == "ok"
    assert sorted(outcome_of(each) for each in behind) == ["Torn", "outcome_unknown", "outcome_unknown"]
    assert started(engine) == ["leader"]
    assert starts(engine, "behind-0", "next") == ["ok", "ok"]


def test_a_leader_whose_unit_always_fails_answers_everybody(
    engine: Engine, loaded: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, behind = a_batch_behind(engine, loaded)
    with monkeypatch.context() as broken:
        broken.setattr(unit, "flush", lambda *what: (_ for _ in ()).throw(ValueError("a mistake of ours")))
        loaded.let_go()

        assert [outcome_of(each) for each in (first, *behind)] == ["ValueError"] * 4

    assert started(engine) == []
    assert starts(engine, "behind-0", "next") == ["ok", "ok"]


class Gate:
    """A ticket's gate, at which the waiting thread is torn away."""

    def __init__(self, real: Any, place: Place, *, has_the_lead: bool) -> None:
        self._real, self._place, self._has_the_lead = real, place, has_the_lead
        self.release = real.release

    def acquire(self, blocking: bool = True) -> bool:
        """Wait at the gate; be torn away before it opens, or when it has just opened."""
        if not blocking:
            return bool(self._real.acquire(blocking=False))
        if self._has_the_lead:
            self._real.acquire()
        self._place.come()
        raise AssertionError("nobody threw")


@pytest.mark.parametrize("has_the_lead", [False, True])
def test_a_thread_torn_out_of_its_wait_stops_nobody(
    engine: Engine, loaded: Place, monkeypatch: pytest.MonkeyPatch, has_the_lead: bool
) -> None:
    waiting = Place()

    class TornTicket(committer._Ticket):
        __slots__ = ()

        def __init__(self, submission: Submission) -> None:
            super().__init__(submission)
            self.gate = Gate(self.gate, waiting, has_the_lead=has_the_lead)  # type: ignore[assignment]

    loaded.hold_next()
    waiting.hold_next()
    first = Beside(lambda: starts(engine, "leader"))
    loaded.until_reached()
    with monkeypatch.context() as tearing:
        tearing.setattr(committer, "_Ticket", TornTicket)
        torn = Beside(lambda: starts(engine, "torn"))
        until_queued(engine, 1)
    last = Beside(lambda: starts(engine, "last"))
    until_queued(engine, 2)

    if has_the_lead:
        loaded.let_go()
        assert outcome_of(first) == "ok"
    waiting.until_reached()
    waiting.let_go(Torn())
    assert outcome_of(torn) == "Torn"
    loaded.let_go()

    assert (outcome_of(first), outcome_of(last)) == ("ok", "ok")
    assert starts(engine, "next") == ["ok"]
    assert started(engine) == ["last", "leader", "next"]


# --------------------------------------------------------------------- busy SQLite beside another process


def changes_of_turn(contest: Contest) -> int:
    """Let two processes write as fast as they can, one much more. Gives how often the turn changed hands.

    By the order in one history: each signal is a unit of its own, since each process has one client.
    """
    with contest.engine() as engine:
        run = given_a_run(engine, "w")
    with contest.rivals() as (one, two):
        busy = [act("signal", workflow_id="w", name="busy")] * 400
        seldom = [act("signal", workflow_id="w", name="seldom")] * 80
        said = contest.storm(one, two, ([busy], [seldom]))
    assert {outcome for client in said for outcome, _ in client} == {"ok"}
    assert contest.broken_rules() == []
    with contest.engine() as engine:
        turns = [event["payload"] for event in engine.workflows.events(run, after_seq=1)]
    assert len(turns) == 480
    return sum(turn != following for turn, following in itertools.pairwise(turns))


def test_beside_a_busy_writer_another_process_gets_its_turns(sqlite_url: str) -> None:
    assert changes_of_turn(Contest(sqlite_url)) >= 80  # of 160: he waits for two turns at most, on the average


def test_without_the_turnstile_one_writer_keeps_the_other_out(sqlite_url: str) -> None:
    assert changes_of_turn(Contest(sqlite_url, ["turnstile"])) < 40


# ---------------------------------------------------------------------- what another did before the lock


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> Place:
    """The place where a unit has found what it wants and has not locked it."""
    place = Place()
    monkeypatch.setattr(load, "_lock_and_load", place.before(load._lock_and_load))
    return place


def a_new_lease(engine: Engine, kind: str, token: str) -> Callable[[], str]:
    """Have another worker take what the unit before takes back, in one transaction. Gives the new token."""
    new = Played(engine, "new", session="s9")
    new.begins()
    key = int(token.split(".")[1])
    back: Operation = GiveBackTask(key, hashed(token))
    slots = {"workflow_slots": 1, "activity_slots": 0}
    if kind == "activity":
        back, slots = GiveBackActivity(key, hashed(token)), {"workflow_slots": 0, "activity_slots": 1}
    taker = Taker(
        "main", QUEUE, "new", "s9", 1, workflow_types=None, activity_names=None, lease_secs=30.0, **slots
    )  # fmt: skip

    def taken() -> str:
        (outcome,) = engine.committer.submit([back], taker)
        assert outcome.answer is True
        (claimed,) = [*taker.workflows, *taker.activities]
        return claimed.token

    return taken


def report_on(kind: str, token: str) -> Operation:
    """Give the operation that hands in a turn or an activity."""
    if kind == "activity":
        return ReportActivity(token, None, ActivityReport(task_token=token, result='"done"'))
    return TakeTurn.of(TurnReport(task_token=token, commands=(CompleteWorkflow(result='"done"'),)), None)


def a_lease(engine: Engine, kind: str) -> tuple[RunRef, str]:
    """Have a worker hold a workflow task, or an activity. Gives the run and the token."""
    given = given_a_running if kind == "workflow" else given_an_activity_at_work
    run, _, task = given(engine)
    return run, task["task_token"]


@pytest.mark.parametrize("kind", ["workflow", "activity"])
def test_a_lease_that_changed_before_the_lock_is_seen(postgres_url: str, unlocked: Place, kind: str) -> None:
    with engines(postgres_url) as (ours, theirs):
        run, token = a_lease(ours, kind)
        before, take = history(ours, run), a_new_lease(theirs, kind, token)
        unlocked.hold_next()
        stale = Beside(lambda: ours.committer.do(report_on(kind, token)))
        unlocked.until_reached()
        fresh = take()
        unlocked.let_go()

        with pytest.raises(LeaseLost):
            stale.answer()

        assert history(ours, run) == before
        assert ours.committer.do(report_on(kind, fresh)) == {"ok": True}


@pytest.mark.parametrize("kind", ["workflow", "activity"])
def test_a_lease_that_changed_while_the_lock_was_waited_for_is_seen(
    postgres_url: str, written: Place, kind: str
) -> None:
    with engines(postgres_url) as (ours, theirs):
        run, token = a_lease(ours, kind)
        before, take = history(ours, run), a_new_lease(theirs, kind, token)
        written.hold_next()
        fresh = Beside(take)
        written.until_reached()
        stale = Beside(lambda: ours.committer.do(report_on(kind, token)))
        until_somebody_waits_for_a_lock(theirs)
        written.let_go()

        with pytest.raises(LeaseLost):
            stale.answer()

        assert history(ours, run) == before
        assert ours.committer.do(report_on(kind, fresh.answer())) == {"ok": True}


@pytest.mark.parametrize("moves", [1, 7])
def test_a_signal_finds_the_run_that_followed_while_it_looked(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    with engines(postgres_url) as (ours, theirs):
        given_a_run(ours, "w")
        lock, followers = load._lock_and_load, []

        def another_follows_first(*what: Any, **more: Any) -> None:
            if len(followers) < moves and not following:
                following.append(True)
                theirs.workflows.terminate(RunRef(workflow_id="w", namespace="main"))
                followers.append(given_a_run(theirs, "w"))
                following.clear()
            lock(*what, **more)

        following: list[bool] = []
        monkeypatch.setattr(load, "_lock_and_load", another_follows_first)

        said = ours.workflows.signal(RunRef(workflow_id="w", namespace="main"), "go")

        assert len(followers) == moves
        assert said["run_id"] == followers[-1].run_id
        assert history(ours, followers[-1]) == ["WorkflowStarted", "SignalReceived"]
