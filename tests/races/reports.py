"""Races on one run: signals, completions, and whoever steers or ends it.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.requests import RunRef
from tests.engine.stories import Played
from tests.engine.stories import put
from tests.engine.stories import rows

from . import racer
from .contest import Contest
from .contest import Duel
from .contest import Said
from .contest import act
from .ground import Act
from .ground import code
from .ground import events
from .ground import given_runs
from .ground import given_taken_runs
from .ground import given_work


def a_signal_and_a_completion(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_work(engine, ["busy"], 1)
        (work,) = Played(engine, queue=racer.QUEUE).takes_work_up_to(1)
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("signal", workflow_id="busy"), act("report", token=work["task_token"]))
    told = [code(duel.first), code(duel.second)]
    return [] if told == ["ok", "ok"] else [f"not both were taken: {told}"]


def signals_and_completions(contest: Contest, times: int) -> list[str]:
    clients, each = 4, 40
    with contest.engine() as engine:
        for time in range(times):
            given_work(engine, [f"busy-{time}"], clients * each)
        tokens: dict[str, list[str]] = {}
        worker = Played(engine, queue=racer.QUEUE)
        while taken := worker.takes_work_up_to(200):
            for work in taken:
                tokens.setdefault(work["workflow_id"], []).append(work["task_token"])
    faults = []
    with contest.rivals() as (one, two):
        for name, theirs in sorted(tokens.items()):
            reporters = [[act("report", token=token) for token in theirs[place::clients]] for place in range(clients)]
            signallers = [[act("signal", workflow_id=name)] * each] * clients
            said = contest.storm(one, two, (reporters[:2] + signallers[:2], reporters[2:] + signallers[2:]))
            counted = Counter(code(outcome) for client in said for outcome in client)
            if counted != {"ok": 2 * clients * each}:
                faults.append(f"{name}: not all were taken: {counted}")
            numbers = [answer["event_seq"] for client in said for _, answer in client if "event_seq" in answer]
            if len(numbers) != clients * each or len(set(numbers)) != len(numbers):
                faults.append(f"{name}: numbers of signals were given twice")
    with contest.engine() as engine:
        for name in tokens:
            kinds = Counter(events(engine, name))
            if (kinds["SignalReceived"], kinds["ActivityCompleted"]) != (clients * each, clients * each):
                faults.append(f"{name}: acknowledged and not there: {kinds}")
    return faults


def a_writer_beside_a_busy_one(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_runs(engine, ["slow", "busy"])
    with contest.rivals() as (one, two):
        one.does("hold_at", place=racer.LOADED, every_time=True)
        one.begins("signal", workflow_id="slow")
        overtaken = 0
        while one.is_held():
            two.begins("signal", workflow_id="busy", tells_waits=True)
            waits = two.next()[0] == racer.WAITS
            one.goes_on()
            if waits:
                two.answers()
            overtaken += not waits
        outcome = code(one.answers())
    return [] if (outcome, overtaken) == ("ok", 0) else [f"{outcome} after it was overtaken {overtaken} times"]


# ------------------------------------------------------- complete, fail, cancel, terminate, signal: pairs

STEERS = ("complete", "fail", "cancel", "terminate", "signal")
_EVENT_OF = {
    "complete": "WorkflowCompleted", "fail": "WorkflowFailed", "cancel": "WorkflowCancelRequested",
    "terminate": "WorkflowTerminated", "signal": "SignalReceived",
}  # fmt: skip


def steer(how: str, workflow_id: str, token: str) -> Act:
    """Name the act that steers a run so."""
    if how == "complete":
        return act("turn", token=token, commands=(CompleteWorkflow(result='"done"'),))
    if how == "fail":
        return act("turn", token=token, commands=(FailWorkflow(error="no luck"),))
    return act(how, workflow_id=workflow_id)


def in_turn(first: str, second: str) -> tuple[str, str, list[str]]:
    """Tell what must come of two acts, one after the other: both outcomes, and the history."""
    turns, history = ("complete", "fail"), ["WorkflowStarted", _EVENT_OF[first]]
    if first in turns and second in turns:
        return "ok", "repeated", history
    if first in turns or first == "terminate":
        return "ok", "already_terminal" if second in ("cancel", "terminate") else "workflow_closed", history
    if second in turns:
        return "ok", "unhandled_events", history
    if (first, second) != ("cancel", "cancel"):
        history = [*history, _EVENT_OF[second]]
    return "ok", "ok", history


def pairs_held(contest: Contest) -> list[str]:
    pairs = {f"{first}-{second}": (first, second) for first in STEERS for second in STEERS}
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, pairs)
    outcomes = {}
    with contest.rivals() as (one, two):
        for name, (first, second) in pairs.items():
            duel = Duel(one, two, *(steer(how, name, tokens[name]) for how in (first, second)))
            outcomes[name] = (code(duel.first), code(duel.second))
    faults = []
    with contest.engine() as engine:
        for name, (first, second) in pairs.items():
            seen = (*outcomes[name], events(engine, name))
            if seen != in_turn(first, second):
                faults.append(f"{name}: {seen}")
    return faults


def pairs(contest: Contest, times: int) -> list[str]:
    both = [(first, second) for first in STEERS for second in STEERS]
    names = {f"{first}-{second}-{time}": (first, second) for time in range(times) for first, second in both}
    tokens: dict[str, str] = {}
    with contest.engine() as engine:
        for time in range(times):
            tokens |= given_taken_runs(engine, [name for name in names if name.endswith(f"-{time}")], f"old-{time}")
    acts = [[steer(how[place], name, tokens[name]) for name, how in names.items()] for place in (0, 1)]
    with contest.rivals() as (one, two):
        ones, twos = contest.storm(one, two, ([acts[0]], [acts[1]]), in_step=True)
    faults = []
    with contest.engine() as engine:
        for (name, (first, second)), said, answered in zip(names.items(), ones, twos, strict=True):
            history = events(engine, name)
            wanted = in_turn(first, second)
            turned = in_turn(second, first)
            if (code(said), code(answered), history) not in (wanted, (turned[1], turned[0], turned[2])):
                faults.append(f"{name}: {code(said)}, {code(answered)}: {history}")
    return faults


# --------------------------------------------------------------------------- a signal while a run closes


def a_signal_during_a_close(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, ["w"])
    with contest.rivals() as (one, two):
        duel = Duel(one, two, steer("complete", "w", tokens["w"]), act("signal", workflow_id="w"))
    return never_lost(contest, {"w": (duel.first, duel.second)})


def signals_during_closes(contest: Contest, times: int) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, [f"w-{time}" for time in range(times)])
    closes = [[steer("complete", name, token) for name, token in tokens.items()]]
    signals = [[act("signal", workflow_id=name) for name in tokens]]
    with contest.rivals() as (one, two):
        ones, twos = contest.storm(one, two, (closes, signals), in_step=True)
    return never_lost(contest, dict(zip(tokens, zip(ones, twos, strict=True), strict=True)))


def never_lost(contest: Contest, said: Mapping[str, tuple[Said, Said]]) -> list[str]:
    """Give what is wrong with (close, signal) pairs."""
    faults = []
    with contest.engine() as engine:
        for name, (close, signal) in said.items():
            outcome = (code(close), code(signal))
            found = engine.workflows.events(RunRef(workflow_id=name, namespace="main"))
            kinds = [event["event_type"] for event in found]
            if outcome == ("ok", "workflow_closed") and kinds == ["WorkflowStarted", "WorkflowCompleted"]:
                continue
            ready = rows(
                engine,
                "SELECT 1 FROM workflow_tasks t JOIN workflows w ON w.run_key = t.run_key "
                "WHERE w.workflow_id = ? AND t.token IS NULL",
                name,
            )
            if outcome == ("unhandled_events", "ok") and kinds == ["WorkflowStarted", "SignalReceived"] and ready:
                continue
            faults.append(f"{name}: accepted and lost: {outcome}, {kinds}, ready: {bool(ready)}")
    return faults


# ------------------------------------------------- an operator's "retry now" beside who works on the task


def a_retry_during_a_failing_turn(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, ["w"])
        put(engine, "UPDATE workflow_tasks SET attempt = 9")
    with contest.rivals() as (one, two):
        Duel(one, two, act("fail_turn", token=tokens["w"]), act("retry_now", workflow_id="w"))
    return _still_waits(contest, ["w"])


def retries_during_failing_turns(contest: Contest, times: int) -> list[str]:
    with contest.engine() as engine:
        tokens = given_taken_runs(engine, [f"w-{time}" for time in range(times)])
        put(engine, "UPDATE workflow_tasks SET attempt = 9")
    fails = [[act("fail_turn", token=token) for token in tokens.values()]]
    retries = [[act("retry_now", workflow_id=name) for name in tokens]]
    with contest.rivals() as (one, two):
        contest.storm(one, two, (fails, retries), in_step=True)
    return _still_waits(contest, tokens)


def _still_waits(contest: Contest, names: Iterable[str]) -> list[str]:
    """Give the runs that wait long although they were to be tried at once; a second after a first failure is none."""
    with contest.engine() as engine:
        found = rows(
            engine, "SELECT w.workflow_id, t.token, t.attempt FROM workflow_tasks t JOIN workflows w USING (run_key)"
        )
    left = {name: (token, attempt) for name, token, attempt in found}
    return [f"{name}: still waits: {left[name]}" for name in names if left[name] not in ((None, 0), (None, 1))]


def a_claim_during_a_retry(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        given_runs(engine, ["w"])
        put(engine, "UPDATE workflow_tasks SET attempt = 9")
        Played(engine, "a", queue=racer.QUEUE).begins()
    with contest.rivals() as (one, two):
        claim = act("claim", worker_id="a", session="s1", workflow=1)
        duel = Duel(one, two, act("retry_now", workflow_id="w", activities=False), claim)
    taken = len(duel.second[1]["taken"])
    with contest.engine() as engine:
        ((leased,),) = rows(engine, "SELECT COUNT(*) FROM workflow_tasks WHERE token IS NOT NULL")
    return [] if leased == taken else [f"handed out {taken} times, leased {leased} times"]
