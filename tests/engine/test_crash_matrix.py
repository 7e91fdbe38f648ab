"""The crash matrix: each operation, a fault at each call of the driver, on both databases.

The operation happens whole or not at all, and what its caller was told agrees; handed in once more without
a fault, it comes to the same end wherever the fault struck. How that is found out: laboratory.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.change import Change
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import OutcomeUnknown
from assay_wsgi.domain.errors import StoreBusy
from assay_wsgi.domain.errors import Unavailable
from assay_wsgi.engine.operations import Keyed
from assay_wsgi.engine.operations import OnActivity
from assay_wsgi.engine.operations import OnRun
from assay_wsgi.engine.operations import OnSchedule
from assay_wsgi.engine.operations import OnTask
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations.keys import OnKeys
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store.needs import Needs
from assay_wsgi.store.rows import Rows
from tests.engine.crash_cases import CASES
from tests.engine.crash_cases import PAIRS
from tests.engine.crash_cases import SECONDS
from tests.engine.crash_schedules import MORE_OF_SCHEDULES
from tests.engine.crash_schedules import MORE_SCHEDULE_PAIRS
from tests.engine.crash_schedules import SCHEDULE_SECONDS
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import signal
from tests.engine.crash_steps import start
from tests.engine.faults import Fault
from tests.engine.faults import Kind
from tests.engine.faults import Lasts
from tests.engine.faults import Mortals
from tests.engine.faults import When
from tests.engine.laboratory import Laboratory
from tests.engine.laboratory import Reference
from tests.engine.laboratory import Trial
from tests.engine.laboratory import check
from tests.engine.laboratory import claimed
from tests.engine.laboratory import reference_of
from tests.processes import until

if TYPE_CHECKING:
    from tests.databases import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """One database for all tests of this file: each empties it, which costs less than another one."""
    mortals = Mortals()  # before anything is opened
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path_factory.mktemp('matrix')}/assay.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.database()
    laboratory = Laboratory(url, mortals)
    try:
        yield laboratory
    finally:
        laboratory.close()
        mortals.close()
        if request.param == "postgres":
            server.give_back(url)


@pytest.fixture
def laboratory(opened: Laboratory) -> Laboratory:
    """An engine whose connections fail when they are told to, on an empty database."""
    opened.begin()
    return opened


def _each(cases: Sequence[Case]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


# ----------------------------------------------------------------------------------- the matrix is whole


def _subclasses(of: type) -> Iterator[type]:
    """Every operation that the package has; what other tests make up is theirs."""
    for subclass in of.__subclasses__():
        if subclass.__module__.startswith("assay_wsgi."):
            yield subclass
        yield from _subclasses(subclass)


def test_each_class_of_operation_is_in_the_matrix(laboratory: Laboratory) -> None:
    acts = []
    for case in CASES:
        trial = laboratory.trial()
        laboratory.prepare(case, [trial])
        acts.append(trial.act)

    handed_in = {type(operation) for act in acts for operation in act.operations}
    handed_in |= {type(one.operation) for act in acts for one in act.operations if isinstance(one, Keyed)}
    takers = [act.taker for act in acts if act.taker is not None]

    assert handed_in == set(_subclasses(Operation)) - {OnRun, OnActivity, OnTask, OnSchedule, OnKeys}
    assert any(taker.workflow_slots for taker in takers)
    assert any(taker.activity_slots for taker in takers)
    assert any(act.beats for act in acts)


# ---------------------------------------------------------------------------------------------- the matrix

_COMMIT = (
    (When.BEFORE, Kind.REFUSED),
    (When.AFTER, Kind.REFUSED),
    (When.BEFORE, Kind.CONFLICT),
    (When.BEFORE, Kind.LOST),
    (When.AFTER, Kind.LOST),
    (When.BEFORE, Kind.DEATH),
    (When.AFTER, Kind.DEATH),
)
_REFUSED, _BEGINS_AGAIN = _COMMIT[:2], _COMMIT[2:5]


def _once(calls: int) -> list[Fault]:
    """Each call fails before and after, and in one of the ways that make the engine begin again: these take long."""
    faults = [
        Fault(call, when, kind) for call in range(1, calls) for when, kind in (*_REFUSED, _BEGINS_AGAIN[call % 3])
    ]
    return [*faults, *(Fault(calls, when, kind) for when, kind in _COMMIT), Fault(calls, When.BEFORE, Kind.FULL)]


def _all(calls: int) -> list[Fault]:
    """Everything at each call: for the long tier."""
    when_and_kind = [(when, kind) for when in When for kind in Kind if kind is not Kind.TORN]
    return [Fault(call, when, kind) for call in range(1, calls + 1) for when, kind in when_and_kind]


@_each((*CASES, *PAIRS))
def test_a_fault_leaves_all_or_nothing(laboratory: Laboratory, case: Case) -> None:
    reference = reference_of(laboratory, case)
    trials = laboratory.strike(case, _once(reference.calls))
    _assert_met(laboratory, reference, trials)
    check(laboratory, case, reference, trials)


@_each(SECONDS)
def test_a_fault_leaves_nothing_half_done_for_the_others_of_a_batch(laboratory: Laboratory, case: Case) -> None:
    reference = reference_of(laboratory, case)
    lost = (When.AFTER, Kind.LOST)
    refused = (When.BEFORE, Kind.REFUSED)
    faults = [Fault(call, *(refused if call % 3 else lost)) for call in range(1, reference.calls, 2)]
    faults += [Fault(reference.calls, when, kind) for when, kind in _COMMIT[:5]]
    trials = laboratory.strike(case, faults)
    _assert_met(laboratory, reference, trials)
    check(laboratory, case, reference, trials)


@pytest.mark.slow
@_each((*CASES, *PAIRS, *SECONDS, *SCHEDULE_SECONDS, *MORE_OF_SCHEDULES, *MORE_SCHEDULE_PAIRS))
def test_any_fault_anywhere_leaves_all_or_nothing(laboratory: Laboratory, case: Case) -> None:
    reference = reference_of(laboratory, case)
    trials = laboratory.strike(case, _all(reference.calls))
    _assert_met(laboratory, reference, trials)
    check(laboratory, case, reference, trials)


def _assert_met(laboratory: Laboratory, reference: Reference, trials: Sequence[Trial]) -> None:
    """Each fault struck; and where it told the engine that nothing was written, the engine began again."""
    for trial in trials:
        fault = trial.fault
        assert fault is not None
        assert trial.struck, str(trial)
        met_again = {Kind.LOST, Kind.CONFLICT} if laboratory.conflicts_are_met_again else {Kind.LOST}
        met_again |= {Kind.REFUSED} if len(trial.act.operations) > 1 else set()  # then they run singly
        if fault.kind in met_again or (fault.call == reference.calls and fault.kind is not Kind.DEATH):
            assert trial.error is None, f"the engine should have begun again: {trial}"
            assert claimed(trial.act) == reference.claims, str(trial)


@_each((*CASES, *PAIRS))
def test_a_fault_that_stays_is_told_and_leaves_nothing(
    laboratory: Laboratory, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay_wsgi.store.writer._SETTLE_SECS", 0.0)
    monkeypatch.setattr("assay_wsgi.store.writer._PAUSE_SECS", 0.0)
    reference = reference_of(laboratory, case)
    last = reference.calls
    faults = [
        Fault(call, When.BEFORE, (Kind.REFUSED, Kind.FULL, Kind.LOST)[call % 3], Lasts.STAYS)
        for call in range(1, last)
    ]  # fmt: skip
    faults += [Fault(last, when, Kind.LOST, Lasts.STAYS) for when in When]

    trials = laboratory.strike(case, faults)

    for trial, fault in zip(trials, faults, strict=True):
        assert trial.error is not None, str(trial)
        if fault.call == last:
            assert isinstance(trial.error, OutcomeUnknown), str(trial)
        elif fault.kind is not Kind.REFUSED:
            assert isinstance(trial.error, Unavailable), str(trial)
    check(laboratory, case, reference, trials)


_HELD_BACK = {"start_under_a_key", "take_a_turn_of_many_commands", "a_turn_and_a_signal", "two_reports"}


@_each([case for case in (*CASES, *PAIRS) if case.claims != (0, 0) or case.name in _HELD_BACK])
def test_a_conflict_in_each_unit_is_told_and_hands_nothing_out(laboratory: Laboratory, case: Case) -> None:
    """A pair may come apart here: one of the two fits into a unit that ends before the fault."""
    laboratory.begin(EngineSettings(store_wait_secs=0.1))
    reference = reference_of(laboratory, case)
    fault = Fault(reference.calls - 1, When.AFTER, Kind.CONFLICT, Lasts.EACH_UNIT)
    trials = laboratory.strike(case, [fault])
    check(laboratory, case, reference, trials)


# ------------------------------------------------------------------------------- decisions that break, poison


@pytest.mark.parametrize("break_with", [RuntimeError("a bug"), NotFound("not there")], ids=["bug", "refusal"])
def test_a_decision_that_breaks_touches_nobody_else_of_its_batch(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, break_with: Exception
) -> None:
    decided = [case for case in SECONDS if len(case.again) > 1]
    alone, broken = ([laboratory.trial() for _ in decided] for _ in range(2))
    for case, one, other in zip(decided, alone, broken, strict=True):
        laboratory.prepare(case, [one, other])
        one.act = Act(one.act.operations[:1])
        laboratory.hand_in(one)
        with monkeypatch.context() as patch:
            _break(patch, other.act.operations[1], break_with)
            other.act = Act(other.act.operations)
            laboratory.hand_in(other)

        assert other.said == [*one.said, type(break_with)], case.name

    dumps = laboratory.dumps()
    for case, one, other in zip(decided, alone, broken, strict=True):
        assert dumps[other.namespace] == dumps[one.namespace], case.name


def _break(patch: pytest.MonkeyPatch, victim: Operation, error: Exception) -> None:
    """Let an operation's decision fail when it is all but made."""
    decide = type(victim).decide

    def decide_and_break(operation: Operation, rows: Rows, now: float) -> Change:
        change = decide(operation, rows, now)
        if operation is victim:
            raise error
        return change

    patch.setattr(type(victim), "decide", decide_and_break)


def test_an_operation_that_the_database_will_never_take_stops_no_other(laboratory: Laboratory) -> None:
    good, bad = laboratory.trial(), laboratory.trial()
    for trial in (good, bad):
        trial.act = Act([start(trial.namespace, "a"), start(trial.namespace, "b")])
    good.act = Act([*good.act.operations, signal(good.namespace, "s1", "a")])
    poisoned = start(bad.namespace, "poison", input='"bad for you"')
    bad.act = Act([*bad.act.operations, poisoned, signal(bad.namespace, "s1", "a")])

    laboratory.hand_in(good)
    with laboratory.faults.poisoned("bad for you"):
        laboratory.hand_in(bad)

    assert [said for said in bad.said if said is not type(bad.error)] == good.said
    assert bad.said.index(type(bad.error)) == 2
    dumps = laboratory.dumps()
    assert dumps[bad.namespace] == dumps[good.namespace]


# ------------------------------------------------------------------- what the matrix does not reach by itself


def test_a_connection_that_begins_badly_is_not_lost_for_good(laboratory: Laboratory) -> None:
    """The first unit of a connection writes its row of `units` and fetches a block of keys beforehand."""
    started = []
    for call in range(1, 6):
        for when, kind in _COMMIT[:5]:
            laboratory.reopen(EngineSettings())
            trial = laboratory.trial()
            trial.act = Act([start(trial.namespace)])
            with laboratory.faults.armed(Fault(call, when, kind), from_begin=False):
                outcome = _try_to_start(laboratory, trial)
                assert laboratory.faults.struck == 1
            if outcome is not None:
                laboratory.hand_in(trial)
                assert trial.error is None, f"call {call}: {kind} {when}: {trial}"
            started.append(trial.namespace)

    dumps = laboratory.dumps()
    assert len({dumps[namespace] for namespace in started}) == 1


def _try_to_start(laboratory: Laboratory, trial: Trial) -> Exception | None:
    try:
        (outcome,) = laboratory.engine.committer.submit(trial.act.operations)
    except Exception as error:  # noqa: BLE001 - it is what the trial is about
        return error
    return outcome.error  # type: ignore[return-value]


def test_a_leader_that_is_torn_away_tells_nobody_that_it_was_done(laboratory: Laboratory) -> None:
    """Two gather while a third one holds the lead; the one that leads them both is interrupted in its unit."""
    committer, namespaces = laboratory.engine.committer, []
    for call in range(1, 6):
        trial, deciding, go_on = laboratory.trial(), threading.Event(), threading.Event()
        namespaces.append(trial.namespace)
        ends: list[BaseException | None] = []

        def hand_in(operation: Operation, ends: list[BaseException | None] = ends) -> None:
            try:
                committer.submit([operation])
            except BaseException as error:  # noqa: BLE001 - it is what the test is about
                ends.append(error)
            else:
                ends.append(None)

        slow = _Slow(start(trial.namespace, "first"), deciding, go_on)
        threads = [threading.Thread(target=hand_in, args=(slow,))]
        threads[0].start()
        assert deciding.wait(60)
        for name in ("second", "third"):
            threads.append(threading.Thread(target=hand_in, args=(start(trial.namespace, name),)))
            threads[-1].start()
        until(lambda: len(committer._queue) == 2)
        with laboratory.faults.armed(Fault(call, When.AFTER, Kind.TORN)):
            go_on.set()
            for thread in threads:
                thread.join()

        assert sorted(str(type(end).__name__) for end in ends) == ["KeyboardInterrupt", "NoneType", "OutcomeUnknown"]
        assert laboratory.faults.in_transaction() == 0

    alone = laboratory.trial()
    alone.act = Act([start(alone.namespace, "first")])
    laboratory.hand_in(alone)
    dumps = laboratory.dumps()
    assert [dumps[namespace] for namespace in namespaces] == [dumps[alone.namespace]] * len(namespaces)


class _Slow(Operation):
    """An operation whose decision takes until somebody says so."""

    def __init__(self, operation: Operation, deciding: threading.Event, go_on: threading.Event) -> None:
        self._operation, self._deciding, self._go_on = operation, deciding, go_on

    def needs(self, needs: Needs) -> None:
        self._operation.needs(needs)

    def decide(self, rows: Rows, now: float) -> Change:
        self._deciding.set()
        assert self._go_on.wait(60)
        return self._operation.decide(rows, now)


def test_a_lock_that_a_stranger_holds_is_told_at_once(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has waited in vain before it says so: to begin again would only wait again, ten seconds a time."""
    trial = laboratory.trial(Fault(1, When.BEFORE, Kind.CONFLICT, Lasts.STAYS))
    trial.act = Act([start(trial.namespace)])

    laboratory.begin(EngineSettings(store_wait_secs=0.1))
    laboratory.hand_in(trial)

    assert isinstance(trial.error, StoreBusy)
    if not laboratory.conflicts_are_met_again:
        assert laboratory.faults.calls == 1
