"""Races for API keys: who makes the first, who ends the last.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from assay_wsgi.domain.requests import NewKey

from .contest import Contest
from .contest import Duel
from .contest import Said
from .contest import act
from .ground import code

CROWD = 25  # in each process


def two_first_keys(contest: Contest) -> list[str]:
    with contest.engine():
        pass
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("first_key"), act("first_key"))
    return _one_key(contest, [duel.first, duel.second])


def a_crowd_of_first_keys(contest: Contest, times: int) -> list[str]:
    """Fifty ask at once; again and again, where the first time has closed the door."""
    with contest.engine():
        pass
    clients = [[act("first_key")] * times] * CROWD
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, (clients, clients), in_step=True)
    return _one_key(contest, [outcome for client in said for outcome in client])


def _one_key(contest: Contest, said: Sequence[Said]) -> list[str]:
    told = Counter(code(outcome) for outcome in said)
    with contest.engine() as engine:
        keys = len(engine.api_keys.list())
    faults = [] if keys == 1 else [f"{keys} first keys were made"]
    return faults if told == {"ok": 1, "unauthorized": len(said) - 1} else [*faults, f"told: {told}"]


def two_who_end_the_last_keys(contest: Contest) -> list[str]:
    prefixes = _admins(contest, 2)
    with contest.rivals() as (one, two):
        duel = Duel(one, two, *(act("revoke_key", prefix=prefix) for prefix in prefixes))
    return _one_admin(contest, [duel.first, duel.second])


def endings_of_the_last_keys(contest: Contest, times: int) -> list[str]:
    prefixes = _admins(contest, 2 * times)
    with contest.rivals() as (one, two):
        clients = [[act("revoke_key", prefix=prefix)] for prefix in prefixes]
        said = contest.storm(one, two, (clients[:times], clients[times:]), in_step=True)
    return _one_admin(contest, [outcome for client in said for outcome in client])


def two_rotations_of_one_key(contest: Contest) -> list[str]:
    _, prefix = _admins(contest, 2)
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("rotate_key", prefix=prefix), act("rotate_key", prefix=prefix))
    told = Counter(code(outcome) for outcome in (duel.first, duel.second))
    return [] if told == {"ok": 1, "key_replaced": 1} else [f"not one rotation: {told}"]


def _admins(contest: Contest, count: int) -> list[str]:
    with contest.engine() as engine:
        return [engine.api_keys.create(NewKey(roles=("admin",)))[0]["prefix"] for _ in range(count)]


def _one_admin(contest: Contest, said: Sequence[Said]) -> list[str]:
    told = Counter(code(outcome) for outcome in said)
    with contest.engine() as engine:
        left = len(engine.api_keys.list())
    faults = [] if left == 1 else [f"{left} admins are left"]
    return faults if told == {"ok": len(said) - 1, "last_admin_key": 1} else [*faults, f"told: {told}"]
