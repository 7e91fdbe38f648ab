"""Races of starts: of one id, under one key.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.engine.stories import rows

from .contest import Contest
from .contest import Duel
from .contest import Said
from .contest import act
from .ground import code


def two_starts_of_one_id(contest: Contest) -> list[str]:
    with contest.engine():
        pass
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("start", workflow_id="w"), act("start", workflow_id="w"))
    return one_start(contest, "w", [duel.first, duel.second])


def starts_of_one_id(contest: Contest, times: int) -> list[str]:
    with contest.engine():
        pass
    names = [f"w-{time}" for time in range(times)]
    acts = [act("start", workflow_id=name) for name in names]
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, ([acts] * 8, [acts] * 8), in_step=True)
    faults = []
    for place, name in enumerate(names):
        faults += one_start(contest, name, [client[place] for client in said])
    return faults


def one_start(contest: Contest, name: str, said: Sequence[Said]) -> list[str]:
    """Give what is wrong with starts of one id."""
    faults = []
    told = Counter(code(outcome) for outcome in said)
    if told != {"ok": 1, "workflow_already_started": len(said) - 1}:
        faults.append(f"{name}: not one start and the rest refused: {told}")
    named = {answer["run_id"] for _, answer in said if "run_id" in answer}
    with contest.engine() as engine:
        started = {run_id for (run_id,) in rows(engine, "SELECT run_id FROM workflows WHERE workflow_id = ?", name)}
    if len(started) != 1:
        faults.append(f"{name}: open runs: {sorted(started)}")
    if named != started:
        faults.append(f"{name}: told of {named}, there is {started}")
    return faults


def two_starts_under_one_key(contest: Contest) -> list[str]:
    with contest.engine():
        pass
    unnamed = act("start", workflow_id=None, key="k")
    with contest.rivals() as (one, two):
        duel = Duel(one, two, unnamed, unnamed)
    return _one_answer(contest, "k", [duel.first, duel.second])


def starts_under_one_key(contest: Contest, times: int) -> list[str]:
    with contest.engine():
        pass
    keys = [f"k-{time}" for time in range(times)]
    # Half of the keys come with an id: there two guards meet in one unit.
    acts = [act("start", workflow_id=f"w-{key}" if place % 2 else None, key=key) for place, key in enumerate(keys)]
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, ([acts] * 8, [acts] * 8), in_step=True)
    faults = []
    for place, key in enumerate(keys):
        faults += _one_answer(contest, key, [client[place] for client in said])
    with contest.engine() as engine:
        ((count,),) = rows(engine, "SELECT COUNT(*) FROM workflows")
    return faults if count == times else [*faults, f"{count} runs were started under {times} keys"]


def _one_answer(contest: Contest, key: str, said: Sequence[Said]) -> list[str]:
    answers = {(outcome, str(sorted(answer.items()))) for outcome, answer in said}
    return [] if len(answers) == 1 and said[0][0] == "ok" else [f"{key}: other answers: {sorted(answers)}"]
