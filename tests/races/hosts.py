"""Races of a program that embeds the engine: what it does in a transaction of its own, against the service.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from .contest import Contest
from .contest import Duel
from .contest import act
from .ground import given_taken_runs
from .reports import never_lost
from .reports import steer
from .starts import one_start


def a_hosts_start_and_the_services(contest: Contest) -> list[str]:
    with contest.engine():
        pass
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("in_transaction", does="start", workflow_id="w"), act("start", workflow_id="w"))
    return one_start(contest, "w", [duel.first, duel.second])


def a_hosts_signal_during_a_close(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, ["w"])
    with contest.rivals() as (one, two):
        sent = act("in_transaction", does="signal", workflow_id="w")
        duel = Duel(one, two, sent, steer("complete", "w", tokens["w"]))
    return never_lost(contest, {"w": (duel.second, duel.first)})
