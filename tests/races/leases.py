"""Races about leases: two pollers, a lease that was taken back, a worker that begins anew.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from tests.engine.stories import Played
from tests.engine.stories import rows

from . import racer
from .contest import Contest
from .contest import Duel
from .contest import Rival
from .contest import act
from .ground import Act
from .ground import code
from .ground import given_runs
from .ground import given_taken_runs
from .ground import given_work


def two_pollers_held(contest: Contest) -> list[str]:
    with contest_of_pollers(contest) as (one, two, taken):
        for kind in ("workflow", "activity"):
            duel = Duel(one, two, *ten_each(kind), held_at=racer.FOUND)
            taken += [key for said in (duel.first, duel.second) for key, _ in said[1]["taken"]]
    return _handed_out(taken, 2 + 20 + 20)


def two_pollers(contest: Contest, times: int) -> list[str]:
    faults = []
    for _ in range(times):
        _given_queue(contest, runs=200, hosts=20, each=10)
        clients: list[list[list[Act]]] = [
            [
                [act("claim_until_none", worker_id=f"{process}-{number}", session="s1", workflow=7, activity=7)]
                for number in (1, 2)
            ]
            for process in "ab"
        ]
        with contest.rivals() as (one, two):
            said = contest.storm(one, two, (clients[0], clients[1]))
        faults += _handed_out([key for ((_, taken),) in said for key, _ in taken], 400)
        with contest.engine() as engine:
            _end_everything(engine)
    return faults


def a_poller_beside_one_that_claims(contest: Contest) -> list[str]:
    with contest_of_pollers(contest) as (one, two, _):
        waited = [
            kind
            for kind in ("workflow", "activity")
            if Duel(one, two, *ten_each(kind), held_at=racer.FOUND).second_waited
        ]
    return [f"{kind}: the second poller waited for the first" for kind in waited]


@contextmanager
def contest_of_pollers(contest: Contest) -> Iterator[tuple[Rival, Rival, list[Any]]]:
    """Run two pollers that have polled already, so that neither has a first poll of a queue to write down."""
    _given_queue(contest, runs=22, hosts=20, each=1)
    with contest.rivals() as (one, two):
        yield one, two, [_polled(rival, worker) for rival, worker in ((one, "a-1"), (two, "b-1"))]


def ten_each(kind: str) -> list[Act]:
    """Name two claims of ten."""
    return [act("claim", worker_id=worker, session="s1", **{kind: 10}) for worker in ("a-1", "b-1")]


def _polled(rival: Rival, worker_id: str) -> Any:
    """Have a racer take one task; its beat is written with it, and not again for ten seconds."""
    _, answer = rival.does("claim", worker_id=worker_id, session="s1", workflow=1)
    ((key, _),) = answer["taken"]
    return key


def _given_queue(contest: Contest, *, runs: int, hosts: int, each: int) -> None:
    with contest.engine() as engine:
        given_work(engine, [f"host-{number}" for number in range(hosts)], each)
        given_runs(engine, [f"task-{number}" for number in range(runs)])
        for worker in ("a-1", "a-2", "b-1", "b-2"):
            Played(engine, worker, queue=racer.QUEUE).begins()


def _end_everything(engine: Engine) -> None:
    for (name,) in rows(engine, "SELECT workflow_id FROM workflows WHERE status IN ('PENDING', 'RUNNING')"):
        engine.workflows.terminate(RunRef(workflow_id=name, namespace="main"))


def _handed_out(taken: Sequence[Any], wanted: int) -> list[str]:
    counted = Counter(taken)
    faults = [f"handed out {times} times: {key}" for key, times in counted.items() if times > 1]
    return faults if len(counted) == wanted else [*faults, f"{len(counted)} of {wanted} were handed out"]


# ------------------------------------------------------------------ a token after its lease was taken back


def a_stale_token(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_work(engine, ["host"], 1)
        stale = given_taken_runs(engine, ["w"])["w"]
        (work,) = Played(engine, "old", queue=racer.QUEUE).takes_work_up_to(1)
        Played(engine, "new", queue=racer.QUEUE).begins()
    with contest.rivals() as (one, two):
        assert two.does("expire", after_secs=301.0) == ("ok", 2)
        two.does("expire", after_secs=2.0)  # the activity's back-off
        _, fresh = two.does("claim", worker_id="new", session="s1", workflow=1, activity=1)
        said = [
            one.does("turn", token=stale, commands=(CompleteWorkflow(result='"stale"'),)),
            one.does("report", token=work["task_token"]),
        ]
        (_, token), (_, attempt) = fresh["taken"]
        after = [
            two.does("turn", token=token, commands=(CompleteWorkflow(result='"fresh"'),)),
            two.does("report", token=attempt),
        ]
    faults = []
    if [code(outcome) for outcome in said] != ["lease_lost", "stale_attempt"]:
        faults.append(f"a stale token was taken: {said}")
    if [code(outcome) for outcome in after] != ["ok", "ok"]:
        faults.append(f"the token that holds the lease was refused: {after}")
    with contest.engine() as engine:
        if engine.workflows.describe(RunRef(workflow_id="w", namespace="main"))["result"] != '"fresh"':
            faults.append("the stale turn was applied")
    return faults


def stale_tokens(contest: Contest, times: int) -> list[str]:
    faults = []
    for time in range(times):
        with contest.engine() as engine:
            tokens = given_taken_runs(engine, [f"w-{time}-{number}" for number in range(40)], f"old-{time}")
            Played(engine, f"new-{time}", queue=racer.QUEUE).begins()
        old = [act("turn", token=token, commands=(CompleteWorkflow(result='"old"'),)) for token in tokens.values()]
        new = act("take_back_and_complete", worker_id=f"new-{time}", session="s1", after_secs=31.0, result='"new"')
        with contest.rivals() as (one, two):
            ones, ((outcome, _),) = contest.storm(one, two, ([old], [[new]]))
            if outcome != "ok":
                faults.append(f"taking back: {outcome}")
        with contest.engine() as engine:
            for name, said in zip(tokens, ones, strict=True):
                record = engine.workflows.describe(RunRef(workflow_id=name, namespace="main"))
                told = (code(said), record["status"], record["result"])
                if told not in (
                    ("ok", "COMPLETED", '"old"'),
                    ("lease_lost", "COMPLETED", '"new"'),
                    ("workflow_closed", "COMPLETED", '"new"'),
                ):
                    faults.append(f"{name}: {told}")
    return faults


# ---------------------------------------------- a claim while its worker begins anew, or says good-bye


def a_claim_while_its_worker_begins_anew(contest: Contest) -> list[str]:
    return _a_claim_at_the_end(
        contest, act("begin_session", worker_id="w", session="s2"),
        act("leases_of_others", worker_id="w", session="s2"),
    )  # fmt: skip


def a_claim_while_its_worker_ends(contest: Contest) -> list[str]:
    return _a_claim_at_the_end(
        contest, act("end_session", worker_id="w", session="s1"), act("leases_of", worker_id="w", session="s1")
    )


def claims_while_their_worker_begins_anew(contest: Contest, times: int) -> list[str]:
    return _claims_at_the_end(contest, times, "begin_session", "leases_of_others", "{}-over")


def claims_while_their_worker_ends(contest: Contest, times: int) -> list[str]:
    return _claims_at_the_end(contest, times, "end_session", "leases_of", "{}")


def _a_claim_at_the_end(contest: Contest, end: Act, look: Act) -> list[str]:
    """Claim in a session while somebody else does what ends it; then look what is leased in one that is over."""
    with contest.engine() as engine:
        given_runs(engine, ["first", "second"])
        Played(engine, "w", session="s1", queue=racer.QUEUE).begins()
    with contest.rivals() as (one, two):
        _polled(one, "w")
        Duel(one, two, act("claim", worker_id="w", session="s1", workflow=1), end, held_at=racer.CHECKED)
        _, left = two.does(look[0], **look[1])
    return [f"leased in a session that is over: {left}"] if left else []


def _claims_at_the_end(contest: Contest, times: int, end: str, look: str, named: str) -> list[str]:
    """The same, many times with nobody held. `named`: which session the end and the look name."""
    with contest.engine() as engine:
        given_runs(engine, [f"task-{number}" for number in range(40)])
    faults = []
    with contest.rivals() as (one, two):
        for time in range(times):
            for claimer, ender in ((one, two), (two, one)):
                session = f"{time}-{claimer is one}"
                claimer.does("hold_at", place=racer.GATE)
                claimer.begins("claim_until_replaced", worker_id="w", session=session)
                assert claimer.is_held()
                claimer.goes_on()
                told = {"worker_id": "w", "session": named.format(session)}
                said = [ender.does(end, **told), claimer.answers()]
                if said[0] != ("ok", None) or said[1][0] != "ok" or said[1][1][0] != "session_replaced":
                    faults.append(f"{session}: {said}")
                _, left = ender.does(look, **told)
                if left:
                    faults.append(f"{session}: leased in a session that is over: {left}")
    return faults
