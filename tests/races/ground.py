"""The ground on which the races are run, and how what came of them is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from tests.engine.stories import Played
from tests.engine.stories import a_start

from . import racer
from .contest import Said

Act = tuple[str, dict[str, Any]]


def given_runs(engine: Engine, names: Iterable[str]) -> list[str]:
    """Start runs that nobody has taken."""
    names = list(names)
    for said in engine.workflows.start_batch([a_start(name, task_queue=racer.QUEUE) for name in names]):
        assert isinstance(said, dict)
    return names


def given_taken_runs(engine: Engine, names: Iterable[str], worker_id: str = "old") -> dict[str, str]:
    """Start runs and have a worker take them. Gives their tokens, by workflow id."""
    names = given_runs(engine, names)
    tasks = Played(engine, worker_id, queue=racer.QUEUE).takes_up_to(200)
    assert len(tasks) == len(names)
    return {task["workflow_id"]: task["task_token"] for task in tasks}


def given_work(engine: Engine, names: Iterable[str], each: int) -> list[str]:
    """Start runs that are parked on so many activities each and on a signal."""
    worker = Played(engine, "host", queue=racer.QUEUE)
    names = given_runs(engine, names)
    commands = (*(ScheduleActivity(seq=seq, name="work") for seq in range(1, each + 1)), WaitForSignal(name="go"))
    for task in worker.takes_up_to(200):
        assert worker.reports(task, *commands) == {"ok": True}
    return names


def events(engine: Engine, workflow_id: str) -> list[str]:
    """Give the types of the newest run's events, after seeing that their numbers have no gap."""
    found = engine.workflows.events(RunRef(workflow_id=workflow_id, namespace="main"))
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1)), found
    return [event["event_type"] for event in found]


def code(said: Said) -> str:
    """Give in one word what came of an act."""
    outcome, answer = said
    return "repeated" if outcome == "ok" and isinstance(answer, dict) and answer.get("repeated") else outcome
