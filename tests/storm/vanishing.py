"""Workers that vanish by kill -9 at every moment of an activity, three times each, and how their runs go on."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from bench.processes import Child
from bench.processes import Failed
from bench.processes import fsck
from bench.processes import service
from demo.blows import kill
from tests.processes import until

from .scene import SIDECAR
from .scene import Found
from .scene import Site
from .scene import leader
from .scene import looking
from .vanisher import after_a_heartbeat
from .vanisher import after_its_failure
from .vanisher import after_its_result
from .vanisher import at_once
from .wire import Session

TIMES = 3
FAST = {"max_attempts": TIMES, "initial_interval_secs": 0.05, "jitter": 0.0}
TIMED_OUT = {"event_type": "ActivityFailed", "final_attempt": TIMES}


@dataclass(frozen=True, kw_only=True)
class Case:
    """An activity whose workers vanish, and the event that must come of it."""

    name: str
    moment: str  # of vanisher.MOMENTS
    policy: dict[str, Any]
    outcome: dict[str, Any]
    times: int = TIMES  # that a worker vanishes
    details: tuple[Any, ...] = (None, None, None)  # what each attempt is given of the last heartbeat of the one before


@dataclass(kw_only=True)
class Errand:
    """A case under way."""

    case: Case
    session: Session
    said: list[dict[str, Any]] = field(default_factory=list)  # by each vanished worker


CASES = (
    Case(
        name="before-the-first-heartbeat",
        moment=at_once.__name__,
        policy={"heartbeat_timeout_secs": 0.3, "start_to_close_secs": 60.0},
        outcome={**TIMED_OUT, "timeout_type": "heartbeat"},
    ),
    Case(
        name="after-a-heartbeat",
        moment=after_a_heartbeat.__name__,
        policy={"heartbeat_timeout_secs": 0.3, "start_to_close_secs": 60.0},
        outcome={**TIMED_OUT, "timeout_type": "heartbeat"},
        details=(None, {"done by attempt": 1}, {"done by attempt": 2}),
    ),
    Case(
        name="without-heartbeats",
        moment=at_once.__name__,
        policy={"start_to_close_secs": 0.3},
        outcome={**TIMED_OUT, "timeout_type": "start_to_close"},
    ),
    Case(
        name="between-failure-and-answer",
        moment=after_its_failure.__name__,
        policy={"start_to_close_secs": 60.0},
        outcome={**TIMED_OUT, "error": "no luck", "timeout_type": None},
    ),
    Case(
        name="between-result-and-answer",
        moment=after_its_result.__name__,
        policy={"start_to_close_secs": 60.0},
        outcome={"event_type": "ActivityCompleted", "result": "done"},
        times=1,
    ),
)


def vanishing(site: Site, *, killing: bool) -> Found:
    """Play all cases at once, over HTTP. `killing`: the sidecar, too, once in each round."""
    found = Found(title=f"workers that vanish, {len(CASES)} ways, sidecar {'killed' if killing else 'left alone'}")
    with ExitStack() as stack:
        port = stack.enter_context(service(site.ground, site.url))
        reader = stack.enter_context(looking(site))
        errands = [_begun(case, stack.enter_context(_session(case, port))) for case in CASES]
        for attempt in range(1, TIMES + 1):
            vanishers = [
                (errand, _vanisher(site, port, errand.case, attempt))
                for errand in errands
                if attempt <= errand.case.times
            ]
            if killing:
                kill(until(lambda: leader(reader) or 0))
                found.kills[SIDECAR] += 1
            for errand, child in vanishers:
                errand.said.append(_said(child))
                found.kills["worker"] += 1
        for errand in errands:
            found.faults += _finish(errand)
        scheduled, told, ended = (
            reader.one(f"SELECT count(*) FROM workflow_events WHERE event_type IN ({types})")
            for types in ("'ActivityScheduled'", "'ActivityCompleted', 'ActivityFailed'", "'WorkflowCompleted'")
        )
        if (scheduled, told, ended) != (len(CASES),) * 3:
            found.faults.append(f"{len(CASES)} cases: {scheduled} scheduled, {told} told, {ended} runs completed")
    found.figures = {"activities": str(len(CASES))}
    dirty = fsck(site.ground, site.url)
    found.faults += [f"fsck: {dirty}"] if dirty else []
    return found


def _session(case: Case, port: int) -> closing[Session]:
    return closing(Session(port, f"{case.name}-steady", case.name))


def _begun(case: Case, session: Session) -> Errand:
    """Start a run and have it wait for its activity."""
    session.start(case.name)
    (task,) = session.exchange(workflow_slots=1)["workflow_tasks"]
    command = {"type": "ScheduleActivity", "seq": 1, "name": "vanish", **FAST, **case.policy}
    _hand_in(session, task, command)
    return Errand(case=case, session=session)


def _vanisher(site: Site, port: int, case: Case, attempt: int) -> Child:
    # Another id each time: a worker that comes back frees what it held, and the attempt does not count.
    name = f"{case.name}-{attempt}"
    argv = ("--port", str(port), "--worker-id", name, "--queue", case.name, "--moment", case.moment)
    return site.start(name, "-m", "tests.storm.vanisher", *argv)


def _said(child: Child) -> dict[str, Any]:
    """Wait until a worker has vanished, and give what it said before."""
    until(lambda: not child.alive)
    if child.process.returncode != -signal.SIGKILL:
        raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")
    said: dict[str, Any] = json.loads(child.tail(1))
    return said


def _finish(errand: Errand) -> list[str]:
    """Have the run go on with what came of its activity; lay that beside what must have come of it."""
    case, session = errand.case, errand.session
    expected = [
        {"attempt": number, "heartbeat_details": details}
        for number, details in enumerate(case.details[: case.times], 1)
    ]
    faults = [] if errand.said == expected else [f"{case.name}: its workers were given {errand.said}, not {expected}"]
    tasks = until(lambda: session.exchange(workflow_slots=1, wait_secs=5)["workflow_tasks"])
    outcomes = [
        {"event_type": event["event_type"], **event["payload"]}
        for event in tasks[0]["history"]
        if event["event_type"] in ("ActivityCompleted", "ActivityFailed")
    ]
    seen = [{name: outcome.get(name) for name in case.outcome} for outcome in outcomes]
    if seen != [case.outcome]:
        faults.append(f"{case.name}: {outcomes}, must be {case.outcome}")
    _hand_in(session, tasks[0], {"type": "CompleteWorkflow", "result": "went on"})
    return faults


def _hand_in(session: Session, task: dict[str, Any], *commands: dict[str, Any]) -> None:
    results = [{"task_token": task["task_token"], "commands": list(commands)}]
    (said,) = session.exchange(workflow_results=results)["results"]
    if "error" in said:
        raise Failed(f"a turn was refused: {said}")
