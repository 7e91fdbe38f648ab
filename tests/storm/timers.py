"""Timers that are due in a short time while the sidecars that fire them are killed.

Each fires exactly once and none early; then every run is handed out once, with all its timers fired.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import closing

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine import Engine
from bench.databases import Reader
from bench.load import quantile
from bench.processes import fsck
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.processes import until

from .scene import Blows
from .scene import Found
from .scene import Site
from .scene import looking
from .scene import sidecars

QUEUE = "timers"
SLOTS = 50  # tasks at once
SIDECARS = 3


def timers(site: Site, *, runs: int, each: int, spread_secs: float, killing: bool) -> Found:
    """Have `runs` runs of `each` timers, due one after the other within `spread_secs`, fired by three sidecars."""
    total = runs * each
    found = Found(title=f"{total} timers in {spread_secs:g} s, sidecars {'killed' if killing else 'left alone'}")
    with (
        closing(Engine.open(site.url)) as engine,
        looking(site) as reader,
        sidecars(site, reader, SIDECARS) as pack,
    ):
        worker = Played(engine, queue=QUEUE)
        _schedule(worker, runs, each, spread_secs)
        if killing:
            with Blows([pack], site) as blows:
                until(lambda: _fired(reader))
                blows.strike_leader(pack)
                until(lambda: _fired(reader) == total)
            found.kills = blows.kills
        else:
            until(lambda: _fired(reader) == total)
        lateness = _judge(reader, total, found)
        found.faults += _finish(worker, runs, each)
    found.figures = _figures(lateness)
    dirty = fsck(site.ground, site.url)
    found.faults += [f"fsck: {dirty}"] if dirty else []
    return found


def _exchange(worker: Played, turns: Sequence[TurnReport]) -> list[Wire]:
    """Hand in turns and take tasks."""
    answer = worker.exchange(workflow_results=tuple(turns), workflow_slots=SLOTS)
    assert all("error" not in said for said in answer["results"]), answer["results"]
    return list(answer["workflow_tasks"])


def _schedule(worker: Played, runs: int, each: int, spread_secs: float) -> None:
    requests = [StartRun(workflow_type="Alarm", workflow_id=f"alarm-{n}", task_queue=QUEUE) for n in range(runs)]
    assert not [said for said in worker.engine.workflows.start_batch(requests) if isinstance(said, AssayError)]
    total = runs * each
    due = worker.engine.store.now() + 1.5 + total / 1500  # when all of them are scheduled
    number = 0
    tasks = _exchange(worker, ())
    while tasks:
        now = worker.engine.store.now()
        turns = []
        for task in tasks:
            moments = [due + spread_secs * (number + place * runs) / total for place in range(each)]
            commands = [ScheduleTimer(seq=seq, duration_secs=at - now) for seq, at in enumerate(moments, 1)]
            turns.append(TurnReport(task_token=task["task_token"], commands=tuple(commands)))
            number += 1
        tasks = _exchange(worker, turns)
    assert number == runs, f"{number} of {runs} runs were handed out"


def _fired(reader: Reader) -> int:
    return int(reader.one("SELECT count(*) FROM workflow_timers WHERE status = 'FIRED'"))


def _judge(reader: Reader, total: int, found: Found) -> list[float]:
    """Look at each timer and its events. Gives by how many seconds each was late."""
    rows = reader.rows(
        "SELECT t.run_key, t.seq, t.fire_at, count(e.seq), min(e.timestamp) FROM workflow_timers t "
        "LEFT JOIN workflow_events e "
        "ON e.run_key = t.run_key AND e.event_type = 'TimerFired' AND e.ref_seq = t.seq "
        "GROUP BY t.run_key, t.seq, t.fire_at"
    )
    events = reader.one("SELECT count(*) FROM workflow_events WHERE event_type = 'TimerFired'")
    if (len(rows), events) != (total, total):
        found.faults.append(f"{len(rows)} timers and {events} events that one fired, of {total}")
    for run_key, seq, fire_at, times, at in rows:
        if times != 1:
            found.faults.append(f"timer {seq} of run {run_key} fired {times} times")
        elif at < fire_at:
            found.faults.append(f"timer {seq} of run {run_key} fired {fire_at - at:.6f} s early")
    return [at - fire_at for _, _, fire_at, times, at in rows if times]


def _finish(worker: Played, runs: int, each: int) -> list[str]:
    """Take every run that the timers woke and complete it."""
    faults = []
    taken = []
    tasks = _exchange(worker, ())
    while tasks:
        for task in tasks:
            heard = sorted(
                event["payload"]["timer_seq"] for event in task["history"] if event["event_type"] == "TimerFired"
            )
            if heard != list(range(1, each + 1)):
                faults.append(f"{task['workflow_id']} was handed out with the timers {heard} fired")
            taken.append(task["workflow_id"])
        done = CompleteWorkflow(result='"rung"')
        turns = [TurnReport(task_token=task["task_token"], commands=(done,)) for task in tasks]
        tasks = _exchange(worker, turns)
    if len(taken) != runs or len(set(taken)) != runs:
        faults.append(f"{len(taken)} tasks of {len(set(taken))} runs were handed out, not one of each of {runs}")
    return faults


def _figures(lateness: Sequence[float]) -> dict[str, str]:
    ordered = sorted(lateness)
    figures = {"p50": statistics.median(ordered), "p99": quantile(ordered, 0.99), "max": ordered[-1]}
    return {"late": " ".join(f"{name} {secs * 1000:.1f}" for name, secs in figures.items()) + " ms"}
