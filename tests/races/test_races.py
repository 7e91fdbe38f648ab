"""Races between two processes on one database, each with the guard that decides it.

race                                         guard on PostgreSQL          guard on SQLite
signals and completions on one run           run lock                     BEGIN IMMEDIATE (with the turnstile)
a writer beside a busy one                   -                            IMMEDIATE (with the turnstile)
starts of one id                             unique index (open id)       either of unique index, BEGIN IMMEDIATE
starts under one Idempotency-Key             unique index (answers)       either of unique index, BEGIN IMMEDIATE
two who end, steer or signal one run         run lock                     BEGIN IMMEDIATE
a signal while its run closes                run lock                     BEGIN IMMEDIATE
a retry now while the turn fails             run lock                     BEGIN IMMEDIATE
a claim while its run is tried again now     run lock                     BEGIN IMMEDIATE
two pollers, one queue                       claim lock                   BEGIN IMMEDIATE
a poller beside one that claims              SKIP LOCKED                  -
a token after its lease was taken back       token check                  token check
a claim while its worker begins anew         session share lock           BEGIN IMMEDIATE
a claim while its worker says good-bye       session share lock           BEGIN IMMEDIATE
a start while its namespace is deleted       namespace locks              BEGIN IMMEDIATE
two starts of one id by a signal each        unique index (open id)       either of unique index, BEGIN IMMEDIATE
two reports without a token                  run lock                     BEGIN IMMEDIATE
an activity from outside during a turn       run lock                     BEGIN IMMEDIATE
two pollers of the old way                   claim lock                   BEGIN IMMEDIATE
two who fire a timer                         run lock                     BEGIN IMMEDIATE
a signal against the end of its wait         run lock                     BEGIN IMMEDIATE
a child's end against its parent's           run lock                     BEGIN IMMEDIATE
a child's end while its parent continues     run lock, unique (open id)   BEGIN IMMEDIATE, unique (open id)
two who continue one run                     run lock, unique (open id)   BEGIN IMMEDIATE, unique (open id)
two who take one tick of a schedule          schedule lock, unique (*)    BEGIN IMMEDIATE, unique (*)
a pause, change, deletion against a tick     schedule lock                BEGIN IMMEDIATE
a trigger against a tick                     schedule lock                BEGIN IMMEDIATE
a run's end against the tick it is awaited by   the sidecar's look for what waits for nothing, on both
first keys; two who end the last; rotations  keyring lock                 BEGIN IMMEDIATE
a host's start and the service's             unique index (open id)       host's lock (with the turnstile)
a host's signal while its run closes         run lock                     host's lock (with the turnstile)
a reader of the feed between two commits     horizon                      -

(*) of open ids, and of ticks: either is a second line behind the lock.

Each race is first lost without its guard: one process is held after it has looked, until the other is
through. Then it is held with all guards there (the other waits, or is through without harm), and then run
many times with nobody held. The unique index on event numbers is a second line behind the run lock: it turns
what would be lost into an internal error. The races of signal and close, and of time and family, take it away
as well, to show the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from .contest import Contest
from .contest import Duel
from .contest import act
from .families import a_childs_end_and_a_parent_that_continues
from .families import a_childs_end_and_its_parents
from .families import a_signal_and_the_end_of_its_wait
from .families import continuations_of_one_run
from .families import two_who_continue_a_run
from .families import two_who_fire_a_timer
from .feeds import a_reader_between_two_commits
from .feeds import readers_beside_writers
from .ground import code
from .ground import events
from .ground import given_taken_runs
from .hosts import a_hosts_signal_during_a_close
from .hosts import a_hosts_start_and_the_services
from .keys import a_crowd_of_first_keys
from .keys import endings_of_the_last_keys
from .keys import two_first_keys
from .keys import two_rotations_of_one_key
from .keys import two_who_end_the_last_keys
from .leases import a_claim_while_its_worker_begins_anew
from .leases import a_claim_while_its_worker_ends
from .leases import a_poller_beside_one_that_claims
from .leases import a_stale_token
from .leases import claims_while_their_worker_begins_anew
from .leases import claims_while_their_worker_ends
from .leases import stale_tokens
from .leases import two_pollers
from .leases import two_pollers_held
from .old_way import a_start_during_a_deletion
from .old_way import additions_during_turns
from .old_way import an_addition_during_a_turn
from .old_way import polls_one_by_one
from .old_way import reports_without_token
from .old_way import starts_by_signals
from .old_way import starts_during_deletions
from .old_way import two_polls_held
from .old_way import two_reports_without_token
from .old_way import two_starts_by_signals
from .reports import a_claim_during_a_retry
from .reports import a_retry_during_a_failing_turn
from .reports import a_signal_and_a_completion
from .reports import a_signal_during_a_close
from .reports import a_writer_beside_a_busy_one
from .reports import pairs
from .reports import pairs_held
from .reports import retries_during_failing_turns
from .reports import signals_and_completions
from .reports import signals_during_closes
from .reports import steer
from .schedules import a_change_and_a_tick
from .schedules import a_trigger_and_a_tick
from .schedules import the_end_of_a_run_and_a_tick_that_is_to_wait_for_it
from .schedules import ticks_of_many
from .schedules import two_who_take_a_tick
from .starts import starts_of_one_id
from .starts import starts_under_one_key
from .starts import two_starts_of_one_id
from .starts import two_starts_under_one_key


@dataclass(frozen=True)
class Race:
    """A race, and the guard that decides it."""

    name: str
    held: Callable[[Contest], list[str]]  # one is held until the other is through; gives what went wrong
    without: Mapping[str, tuple[str, ...]]  # by database: the guards to take away; none = no such race there
    fault: str  # what goes wrong without them
    faults: int = 1  # how often, at least
    freely: Callable[[Contest, int], list[str]] | None = None  # nobody is held
    times: tuple[int, int] = (1, 10)  # how often freely: always, and when `slow`


LOCKS = {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("run lock",)}
OF_SCHEDULES = {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("schedule lock",)}
KEYRING = {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("keyring lock",)}
UNNUMBERED = {kind: (*locks, "unique index (event numbers)") for kind, locks in LOCKS.items()}
RACES = (
    Race(
        "signals and completions", a_signal_and_a_completion, LOCKS, "not both were taken", 1, signals_and_completions,
    ),
    Race(
        "a busy writer", a_writer_beside_a_busy_one, {"sqlite": ("IMMEDIATE",)}, "store_busy after it was overtaken",
    ),
    Race(
        "starts of one id", two_starts_of_one_id,
        {"sqlite": ("unique index (open id)", "BEGIN IMMEDIATE"), "postgres": ("unique index (open id)",)},
        "w: open runs: ['run-w-", 1, starts_of_one_id, (15, 300),
    ),
    Race(
        "starts under one key", two_starts_under_one_key,
        {"sqlite": ("unique index (answers)", "BEGIN IMMEDIATE"), "postgres": ("unique index (answers)",)},
        "k: other answers", 1, starts_under_one_key, (16, 300),
    ),
    Race("pairs", pairs_held, LOCKS, "('WriteRefused', 'ok'", 25, pairs, (3, 40)),
    Race(
        "a signal during a close", a_signal_during_a_close,
        {kind: (*locks, "unique index (event numbers)") for kind, locks in LOCKS.items()},
        "accepted and lost: ('ok', 'ok')", 1, signals_during_closes, (80, 200),
    ),
    Race(
        "a retry now during a failing turn", a_retry_during_a_failing_turn, LOCKS, "w: still waits: (None, 10)",
        1, retries_during_failing_turns, (40, 200),
    ),
    Race(
        "a claim during a retry now", a_claim_during_a_retry, LOCKS, "handed out 1 times, leased 0 times",
    ),
    Race(
        "two pollers", two_pollers_held, {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("claim lock",)},
        "handed out 2 times", 1, two_pollers, (1, 10),
    ),
    Race(
        "a poller beside one that claims", a_poller_beside_one_that_claims, {"postgres": ("SKIP LOCKED",)},
        "the second poller waited",
    ),
    Race(
        "stale tokens", a_stale_token, dict.fromkeys(LOCKS, ("token check",)), "the stale turn was applied",
        1, stale_tokens, (2, 20),
    ),
    Race(
        "sessions", a_claim_while_its_worker_begins_anew,
        {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("session share lock",)},
        "leased in a session that is over", 1, claims_while_their_worker_begins_anew, (10, 150),
    ),
    Race(
        "good-byes", a_claim_while_its_worker_ends,
        {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("session share lock",)},
        "leased in a session that is over", 1, claims_while_their_worker_ends, (10, 150),
    ),
    Race(
        "starts during a deletion", a_start_during_a_deletion,
        {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("namespace locks",)},
        "namespaces: (('shop',)", 1, starts_during_deletions, (15, 200),
    ),
    Race(
        "starts by signals", two_starts_by_signals,
        {"sqlite": ("unique index (open id)", "BEGIN IMMEDIATE"), "postgres": ("unique index (open id)",)},
        "w: open runs: ['run-w-", 1, starts_by_signals, (15, 200),
    ),
    Race(
        "reports without a token", two_reports_without_token,
        {kind: (*locks, "unique index (event numbers)") for kind, locks in LOCKS.items()},
        "not one report was taken: {'ok': 2}", 1, reports_without_token, (40, 200),
    ),
    Race(
        "additions during a turn", an_addition_during_a_turn, LOCKS, "not both were taken: ['WriteRefused', 'ok']",
        1, additions_during_turns, (40, 200),
    ),
    Race(
        "two polls", two_polls_held, {"sqlite": ("BEGIN IMMEDIATE",), "postgres": ("claim lock",)},
        "handed out 2 times", 1, polls_one_by_one, (2, 15),
    ),
    Race("two who fire a timer", two_who_fire_a_timer, UNNUMBERED, "fired 2 times"),
    Race("a signal and the end of its wait", a_signal_and_the_end_of_its_wait, UNNUMBERED, "the wait ended 2 times"),
    Race("a child's end and its parent's", a_childs_end_and_its_parents, UNNUMBERED, "its end was undone"),
    Race(
        "a child's end and a parent that continues", a_childs_end_and_a_parent_that_continues,
        {kind: (*taken, "unique index (open id)") for kind, taken in UNNUMBERED.items()}, "its end was undone",
    ),
    Race(
        "two who continue a run", two_who_continue_a_run,
        {kind: (*taken, "unique index (open id)") for kind, taken in UNNUMBERED.items()}, "the chain forks",
        1, continuations_of_one_run, (20, 200),
    ),
    Race("first keys", two_first_keys, KEYRING, "2 first keys were made", 1, a_crowd_of_first_keys, (1, 20)),
    Race(
        "two who end the last keys", two_who_end_the_last_keys, KEYRING, "0 admins are left", 1,
        endings_of_the_last_keys, (10, 40),
    ),
    Race("two rotations of a key", two_rotations_of_one_key, KEYRING, "not one rotation: Counter({'ok': 2})"),
    Race(
        "two who take a tick", two_who_take_a_tick,
        {kind: (*taken, "unique index (open id)", "unique index (ticks)") for kind, taken in OF_SCHEDULES.items()},
        "s: counted 1, started 2", 1, ticks_of_many, (20, 200),
    ),
    Race("a change and a tick", a_change_and_a_tick, OF_SCHEDULES, "it was undone", 2),
    Race("a trigger and a tick", a_trigger_and_a_tick, OF_SCHEDULES, "2 runs are open"),
    Race(
        "the end of a run and a tick that is to wait for it", the_end_of_a_run_and_a_tick_that_is_to_wait_for_it,
        dict.fromkeys(LOCKS, ("look for the freed",)), "waits for ever",
    ),
    Race(
        "a host's start and the service's", a_hosts_start_and_the_services,
        {"sqlite": ("host's lock", "turnstile"), "postgres": ("unique index (open id)",)},
        "w: not one start and the rest refused",
    ),
    Race(
        "a host's signal during a close", a_hosts_signal_during_a_close,
        {"sqlite": ("host's lock", "turnstile"), "postgres": ("run lock", "unique index (event numbers)")},
        "('ok', ",
    ),
    Race(
        "readers of the feed", a_reader_between_two_commits, {"postgres": ("horizon",)}, "never told: slow",
        1, readers_beside_writers, (8, 100),
    ),
)  # fmt: skip


def on_each_database(races: Iterable[Race]) -> list[Any]:
    """Give each race with each database that has it."""
    return [
        pytest.param(race, kind, id=f"{race.name}, {kind}".replace(" ", "-"))
        for race in races
        for kind in ("sqlite", "postgres")
        if kind in race.without
    ]


FREE = [race for race in RACES if race.freely is not None]


@pytest.mark.parametrize(("race", "kind"), on_each_database(RACES))
def test_a_race_is_lost_without_its_guard(race: Race, kind: str, request: pytest.FixtureRequest) -> None:
    contest = Contest(request.getfixturevalue(f"{kind}_url"), race.without[kind])

    faults = race.held(contest)

    assert sum(race.fault in fault for fault in faults) >= race.faults, faults


@pytest.mark.parametrize(("race", "kind"), on_each_database(RACES))
def test_with_its_guard_who_is_held_harms_nobody(race: Race, kind: str, request: pytest.FixtureRequest) -> None:
    contest = Contest(request.getfixturevalue(f"{kind}_url"))

    assert race.held(contest) == []
    assert contest.broken_rules() == []
    assert contest.sightings["unique violation"] == 0


@pytest.mark.parametrize(("race", "kind"), on_each_database(FREE))
def test_a_race_ends_well(race: Race, kind: str, request: pytest.FixtureRequest) -> None:
    _freely(race, Contest(request.getfixturevalue(f"{kind}_url")), race.times[0])


@pytest.mark.slow
@pytest.mark.parametrize(("race", "kind"), on_each_database(FREE))
def test_a_race_ends_well_many_times(race: Race, kind: str, request: pytest.FixtureRequest) -> None:
    _freely(race, Contest(request.getfixturevalue(f"{kind}_url")), race.times[1])


def _freely(race: Race, contest: Contest, times: int) -> None:
    assert race.freely is not None
    assert race.freely(contest, times) == []
    assert contest.broken_rules() == []
    assert contest.sightings["unique violation"] == 0
    assert contest.sightings["deadlock"] == 0


@pytest.mark.parametrize("url", ["sqlite_url", "postgres_url"])
def test_a_token_and_who_takes_its_lease_back_come_one_after_the_other(
    url: str, request: pytest.FixtureRequest
) -> None:
    contest = Contest(request.getfixturevalue(url))
    with contest.engine() as engine:
        first = given_taken_runs(engine, ["turn-first"])["turn-first"]
    with contest.rivals() as (one, two):
        turn_first = Duel(one, two, steer("complete", "turn-first", first), act("expire", after_secs=31.0))
    with contest.engine() as engine:
        second = given_taken_runs(engine, ["back-first"])["back-first"]

    with contest.rivals() as (one, two):
        back_first = Duel(two, one, act("expire", after_secs=31.0), steer("complete", "back-first", second))

    assert (code(turn_first.first), turn_first.second_waited) == ("ok", True)
    assert (code(back_first.second), back_first.second_waited) == ("lease_lost", True)
    with contest.engine() as engine:
        assert events(engine, "turn-first") == ["WorkflowStarted", "WorkflowCompleted"]
        assert events(engine, "back-first") == ["WorkflowStarted"]
    assert contest.broken_rules() == []
