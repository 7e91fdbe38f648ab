"""Races of what the old way and its neighbours do: deletions of namespaces, starts by signals, added activities,
reports without a token, polls one by one.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence

from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from tests.engine.old_way import OldWorker
from tests.engine.stories import rows
from tests.engine.stories import told

from . import racer
from .contest import Contest
from .contest import Duel
from .contest import Said
from .contest import act
from .ground import code
from .ground import events
from .ground import given_runs
from .ground import given_taken_runs
from .ground import given_work

# ------------------------------------------------------------- a start in a namespace that is being deleted


def a_start_during_a_deletion(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        engine.namespaces.create("shop")
    with contest.rivals() as (one, two):
        deletion = act("delete_namespace", name="shop")
        Duel(one, two, deletion, act("start", workflow_id="w", namespace="shop"))
    return _homeless(contest)


def starts_during_deletions(contest: Contest, times: int) -> list[str]:
    shops = [f"shop-{time}" for time in range(times)]
    with contest.engine() as engine:
        for shop in shops:
            engine.namespaces.create(shop)
    starts = [[act("start", workflow_id=f"w-{client}", namespace=shop) for shop in shops] for client in range(2)]
    deletions = [[act("delete_namespace", name=shop) for shop in shops]]
    by_force = [[act("delete_namespace_with_all", name=shop) for shop in shops]]
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, ([*deletions, starts[0]], [*by_force, starts[1]]), in_step=True)
    allowed = [{"ok", "namespace_not_empty", "namespace_not_found"}, {"ok"}] * 2
    faults = [
        f"{shops[place]}: {code(outcome)}"
        for client, codes in zip(said, allowed, strict=True)
        for place, outcome in enumerate(client)
        if code(outcome) not in codes
    ]
    return [*faults, *_homeless(contest)]


def _homeless(contest: Contest) -> list[str]:
    return [rule for rule in contest.broken_rules() if rule.startswith("namespaces")]


# ----------------------------------------------------------------------------- two starts by a signal each


def two_starts_by_signals(contest: Contest) -> list[str]:
    with contest.engine():
        pass
    with contest.rivals() as (one, two):
        duel = Duel(one, two, *(act("signal_with_start", workflow_id="w", payload=payload) for payload in "12"))
    return _one_with_all(contest, "w", [duel.first, duel.second], [1, 2])


def starts_by_signals(contest: Contest, times: int) -> list[str]:
    with contest.engine():
        pass
    names = [f"w-{time}" for time in range(times)]
    clients = [
        [act("signal_with_start", workflow_id=name, payload=str(client)) for name in names] for client in range(8)
    ]
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, (clients[:4], clients[4:]), in_step=True)
    faults = []
    for place, name in enumerate(names):
        faults += _one_with_all(contest, name, [client[place] for client in said], list(range(8)))
    return faults


def _one_with_all(contest: Contest, name: str, said: Sequence[Said], payloads: list[int]) -> list[str]:
    """One run of the name was started, once, and every signal is in its history."""
    with contest.engine() as engine:
        runs = [run_id for (run_id,) in rows(engine, "SELECT run_id FROM workflows WHERE workflow_id = ?", name)]
        if len(runs) != 1:
            return [f"{name}: open runs: {sorted(runs)}"]
        found = told(engine, RunRef(workflow_id=name, namespace="main"), "SignalReceived")
    started = Counter(answer.get("started") for _, answer in said)
    got = sorted(signal["payload"] for signal in found)
    if started != {True: 1, False: len(said) - 1} or got != payloads:
        return [f"{name}: started {started}, signals {got}, said {said}"]
    return []


# ------------------------------------------------------------ two reports without a token on one activity


def two_reports_without_token(contest: Contest) -> list[str]:
    ids = _given_polled_work(contest, 1)
    (key,) = ids
    with contest.rivals() as (one, two):
        duel = Duel(one, two, *(act("report_without_token", activity_id=key, result=text) for text in "12"))
    return _one_outcome(contest, {key: [duel.first, duel.second]})


def reports_without_token(contest: Contest, times: int) -> list[str]:
    ids = _given_polled_work(contest, times)
    clients = [[act("report_without_token", activity_id=key, result=str(n)) for key in ids] for n in range(4)]
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, (clients[:2], clients[2:]), in_step=True)
    return _one_outcome(contest, {key: [client[place] for client in said] for place, key in enumerate(ids)})


def _given_polled_work(contest: Contest, count: int) -> list[int]:
    with contest.engine() as engine:
        given_work(engine, ["host"], count)
        engine.workflows.signal(RunRef(workflow_id="host", namespace="main"), "go")  # it is awake already
        worker = OldWorker(engine)
        polled = [worker.polls_work(queue=racer.QUEUE) for _ in range(count)]
        return [work["id"] for work in polled if work is not None]


def _one_outcome(contest: Contest, said: Mapping[int, Sequence[Said]]) -> list[str]:
    faults = []
    with contest.engine() as engine:
        completed = told(engine, RunRef(workflow_id="host", namespace="main"), "ActivityCompleted")
        results = {key: [done["result"] for done in completed if done["activity_id"] == key] for key in said}
        for key, outcomes in said.items():
            codes = Counter(code(outcome) for outcome in outcomes)
            if codes != {"ok": 1, "lease_lost": len(outcomes) - 1}:
                faults.append(f"not one report was taken: {dict(codes)}")
            (winner, *_) = [place for place, outcome in enumerate(outcomes) if code(outcome) == "ok"]
            first = 1 if len(outcomes) == 2 else 0  # what the duel's reports say is counted from 1
            if results[key] != [winner + first]:
                faults.append(f"another outcome is recorded than the one that was taken: {results[key]}")
    return faults


# -------------------------------------------------- an activity from outside and a turn with the same number


def an_addition_during_a_turn(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, ["w"])
    with contest.rivals() as (one, two):
        duel = Duel(one, two, _turn(tokens["w"]), act("add_activity", workflow_id="w", seq=1))
    return _one_activity(contest, {"w": [duel.first, duel.second]})


def additions_during_turns(contest: Contest, times: int) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, [f"w-{time}" for time in range(times)])
    turns = [[_turn(token) for token in tokens.values()]]
    additions = [[act("add_activity", workflow_id=name, seq=1) for name in tokens]]
    with contest.rivals() as (one, two):
        ones, twos = contest.storm(one, two, (turns, additions), in_step=True)
    return _one_activity(contest, dict(zip(tokens, zip(ones, twos, strict=True), strict=True)))


def _turn(token: str) -> tuple[str, dict[str, object]]:
    commands = (ScheduleActivity(seq=1, name="work"), WaitForSignal(name="go"))
    return act("turn", token=token, commands=commands)


def _one_activity(contest: Contest, said: Mapping[str, Sequence[Said]]) -> list[str]:
    faults = []
    with contest.engine() as engine:
        for name, outcomes in said.items():
            codes = [code(outcome) for outcome in outcomes]
            if codes != ["ok", "ok"]:
                faults.append(f"{name}: not both were taken: {codes}")
            scheduled = events(engine, name).count("ActivityScheduled")
            if scheduled != 1:
                faults.append(f"{name}: scheduled {scheduled} times")
    return faults


# ------------------------------------------------------------------------------------ two pollers, one by one


def two_polls_held(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_work(engine, ["host-1", "host-2"], 1)  # a claim locks the activity's run, too
        given_runs(engine, ["a", "b"])
    taken = []
    with contest.rivals() as (one, two):
        for kind in ("workflow", "activity"):
            polls = (act("poll", worker_id=worker, kind=kind) for worker in "ab")
            duel = Duel(one, two, *polls, held_at=racer.FOUND)
            taken += [key for _, key in (duel.first, duel.second)]
    return _handed_out(taken, 4)


def polls_one_by_one(contest: Contest, times: int) -> list[str]:
    with contest.engine() as engine:
        given_work(engine, ["host"], 10 * times)
        given_runs(engine, [f"w-{number}" for number in range(10 * times)])
    clients = [
        [[act("poll_until_none", worker_id=f"{process}-{kind}-{n}", kind=kind)] for kind in ("workflow", "activity")
         for n in range(2)]
        for process in "ab"
    ]  # fmt: skip
    with contest.rivals() as (one, two):
        said = contest.storm(one, two, (clients[0], clients[1]))
    return _handed_out([key for ((_, taken),) in said for key in taken], 20 * times)


def _handed_out(taken: Sequence[object], wanted: int) -> list[str]:
    counted = Counter(key for key in taken if key is not None)
    faults = [f"handed out {times} times: {key}" for key, times in counted.items() if times > 1]
    return faults if len(counted) == wanted else [*faults, f"{len(counted)} of {wanted} were handed out"]
