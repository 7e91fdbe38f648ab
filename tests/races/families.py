"""Races of time and family: two who fire a timer, a signal against the end of its wait, and ends that cross.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from tests.engine.stories import Played
from tests.engine.stories import rows

from . import racer
from .contest import Contest
from .contest import Duel
from .contest import act
from .ground import code
from .ground import given_runs

WAIT_SECS = 60.0

# ------------------------------------------------------------------------------------- timers and waits


def two_who_fire_a_timer(contest: Contest) -> list[str]:
    _given_a_bounded_wait(contest)
    with contest.rivals() as (one, two):
        Duel(one, two, *(act("expire", after_secs=WAIT_SECS + 1.0) for _ in range(2)))
    fired = _history(contest, "w").count("TimerFired")
    return [] if fired == 1 else [f"fired {fired} times"]


def a_signal_and_the_end_of_its_wait(contest: Contest) -> list[str]:
    _given_a_bounded_wait(contest)
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("expire", after_secs=WAIT_SECS + 1.0), act("signal", workflow_id="w"))
    ends = sorted(event for event in _history(contest, "w") if event in ("TimerFired", "TimerCancelled"))
    faults = [] if len(ends) == 1 else [f"the wait ended {len(ends)} times: {ends}"]
    return faults if code(duel.second) == "ok" else [*faults, f"the signal was not taken: {duel.second}"]


def _given_a_bounded_wait(contest: Contest) -> None:
    with contest.engine() as engine:
        given_runs(engine, ["w"])
        worker = Played(engine, "host", queue=racer.QUEUE)
        wait = (ScheduleTimer(seq=1, duration_secs=WAIT_SECS), WaitForSignal(name="go", timer_seq=1))
        assert worker.reports(worker.takes(), *wait) == {"ok": True}
        _wake(engine, "w")  # it is awake already: else the key of its task would be a guard, too


# ----------------------------------------------------------------------------------------- ends that cross


def a_childs_end_and_its_parents(contest: Contest) -> list[str]:
    child, _ = _given_a_family(contest)
    with contest.rivals() as (one, two):
        Duel(one, two, _turn(child, CompleteWorkflow(result="1")), act("terminate", workflow_id="p"))
    found = _history(contest, "p")
    if _open_runs(contest, "p"):
        return [f"its end was undone: {found}"]
    return [] if found[-1] == "WorkflowTerminated" else [f"told after its end: {found}"]


def a_childs_end_and_a_parent_that_continues(contest: Contest) -> list[str]:
    child, parent = _given_a_family(contest)
    with contest.rivals() as (one, two):
        duel = Duel(one, two, _turn(child, CompleteWorkflow(result="1")), _turn(parent, ContinueAsNew(workflow_id="p")))
    with contest.engine() as engine:
        told = rows(
            engine,
            "SELECT w.status, w.seen_seq < e.seq FROM workflow_events e JOIN workflows w ON w.run_key = e.run_key "
            "WHERE w.workflow_id = 'p' AND e.event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed')",
        )
    # An outcome that nobody has read stands in a run that is open: somebody will.
    unread = [status for status, is_unread in told if is_unread and status not in ("PENDING", "RUNNING")]
    if _open_runs(contest, "p") != 1:
        return [f"its end was undone: {told}"]
    if code(duel.first) != "ok" or len(told) != 1:
        return [f"told {len(told)} times: {told}, {duel.first}, {duel.second}"]
    return [f"told to a run that has ended: {told}"] if unread else []


# Whoever is held may have to begin again, knowing more, and then come second.
_ONE_OF_TWO = [["ok", "workflow_already_started"], ["workflow_already_started", "ok"]]


def two_who_continue_a_run(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_runs(engine, ["newest", "one"])
        run_id = engine.workflows.describe(RunRef(workflow_id="one", namespace="main"))["run_id"]
    with contest.rivals() as (one, two):
        newest = Duel(one, two, *[act("proceed", workflow_id="newest")] * 2)
        same = Duel(one, two, *[act("proceed", workflow_id="one", run_id=run_id)] * 2)
    return [
        # Who names the id only continues the successor; who names the run finds its id taken by that.
        *_one_line(contest, "newest", [code(newest.first), code(newest.second)], [["ok", "ok"]]),
        *_one_line(contest, "one", [code(same.first), code(same.second)], _ONE_OF_TWO),
    ]


def continuations_of_one_run(contest: Contest, times: int) -> list[str]:
    with contest.engine() as engine:
        given_runs(engine, [f"w-{time}" for time in range(times)])
        refs = {name: RunRef(workflow_id=name, namespace="main") for name in (f"w-{time}" for time in range(times))}
        run_ids = {name: engine.workflows.describe(ref)["run_id"] for name, ref in refs.items()}
    acts = [[act("proceed", workflow_id=name, run_id=run_id) for name, run_id in run_ids.items()]]
    with contest.rivals() as (one, two):
        ones, twos = contest.storm(one, two, (acts, acts), in_step=True)
    faults = []
    for name, said, answered in zip(run_ids, ones, twos, strict=True):
        faults += _one_line(contest, name, [code(said), code(answered)], _ONE_OF_TWO)
    return faults


def _one_line(contest: Contest, name: str, told: list[str], wanted: list[list[str]]) -> list[str]:
    """Give what is wrong with a chain: it is one line, of as many more runs as were acknowledged, the last open."""
    with contest.engine() as engine:
        chain = rows(
            engine,
            "SELECT run_id, continued_from, continued_to, status FROM workflows WHERE workflow_id = ? ORDER BY run_key",
            name,
        )
    runs = [run_id for run_id, *_ in chain]
    line = [
        (run_id, before, after)
        for run_id, before, after in zip(runs, [None, *runs[:-1]], [*runs[1:], None], strict=True)
    ]
    faults = []
    if [tuple(row[:3]) for row in chain] != line:
        faults.append(f"{name}: the chain forks: {chain}")
    if told not in wanted or len(chain) != 1 + told.count("ok"):
        faults.append(f"{name}: {told}, and {len(chain)} runs")
    if [row[3] for row in chain] != [*["COMPLETED"] * (len(chain) - 1), "PENDING"]:
        faults.append(f"{name}: open or closed where it must not be: {chain}")
    return faults


def _given_a_family(contest: Contest) -> tuple[str, str]:
    """Have a parent and its child, both taken. Gives the child's token and the parent's."""
    with contest.engine() as engine:
        given_runs(engine, ["p"])
        worker = Played(engine, "host", queue=racer.QUEUE)
        start = StartChildWorkflow(workflow_type="Race", workflow_id="c", seq=1)
        assert worker.reports(worker.takes(), start) == {"ok": True}
        child = worker.takes()["task_token"]
        _wake(engine, "p")
        return child, worker.takes()["task_token"]


def _wake(engine: Engine, workflow_id: str) -> None:
    engine.workflows.signal(RunRef(workflow_id=workflow_id, namespace="main"), "noise")


def _open_runs(contest: Contest, workflow_id: str) -> int:
    with contest.engine() as engine:
        sql = "SELECT count(*) FROM workflows WHERE workflow_id = ? AND status IN ('PENDING', 'RUNNING')"
        return int(rows(engine, sql, workflow_id)[0][0])


def _turn(token: str, command: object) -> tuple[str, dict[str, object]]:
    return act("turn", token=token, commands=(command,))


def _history(contest: Contest, workflow_id: str) -> list[str]:
    """The types of a run's events as they stand, whatever their numbers."""
    with contest.engine() as engine:
        found = rows(
            engine,
            "SELECT e.event_type FROM workflow_events e JOIN workflows w ON w.run_key = e.run_key "
            "WHERE w.workflow_id = ? ORDER BY e.seq, e.timestamp",
            workflow_id,
        )
    return [event_type for (event_type,) in found]
