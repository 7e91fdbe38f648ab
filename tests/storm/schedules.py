"""Schedules that fire every second while the sidecars that fire them are killed, and a worker completes their runs.

Whatever dies, each tick has one fate: it started one run, was skipped by its policy, or was missed, and is counted
as that. Of the ticks that pass while nobody leads, the newest is made up for.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.requests import OVERLAP_POLICIES
from assay_wsgi.domain.requests import NewSchedule
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine import Engine
from bench.databases import Reader
from bench.load import quantile
from bench.processes import fsck
from tests.engine.stories import Played
from tests.processes import until

from .scene import Blows
from .scene import Found
from .scene import Site
from .scene import looking
from .scene import sidecars

QUEUE = "schedules"
SLOTS = 50  # tasks at once
_IDLE_SECS = 0.02
_OTHERWISE = {"unhandled_events", "workflow_closed", "lease_lost"}  # a run that its schedule ends meanwhile


def schedules(site: Site, *, count: int, secs: float, packed: int) -> Found:
    """Have `count` every-second schedules, of all policies, fired by `packed` sidecars that are killed for `secs`."""
    found = Found(title=f"{count} every-second schedules, {packed} sidecars killed for {secs:g} s")
    with (
        closing(Engine.open(site.url)) as engine,
        looking(site) as reader,
        sidecars(site, reader, packed) as pack,
    ):
        worker = Played(engine, queue=QUEUE)
        first = _make(engine, count)
        with Blows([pack], site) as blows:
            _work(worker, until_moment=time.monotonic() + secs)
            blows.strike_leader(pack)
            _work(worker, until_moment=time.monotonic() + 1.0)
        found.kills = blows.kills
        for name in first:
            engine.schedules.pause(name)
        until(lambda: _drained(worker, reader))
        lateness = _judge(reader, first, found)
    found.figures |= {
        "late": f"p50 {statistics.median(lateness) * 1000:.0f} p99 {quantile(lateness, 0.99) * 1000:.0f} ms"
    }
    dirty = fsck(site.ground, site.url)
    found.faults += [f"fsck: {dirty}"] if dirty else []
    return found


def _make(engine: Engine, count: int) -> dict[str, float]:
    """Make the schedules. Gives the first tick of each."""
    first = {}
    for number in range(count):
        policy = OVERLAP_POLICIES[number % len(OVERLAP_POLICIES)]
        made = engine.schedules.create(
            NewSchedule(
                name=f"{policy}-{number}", workflow_type="Tick", cron_expr="* * * * * *", task_queue=QUEUE,
                overlap_policy=policy, catchup_window_secs=3600.0,
            )
        )  # fmt: skip
        first[made["name"]] = made["next_run_at"]
    return first


def _work(worker: Played, until_moment: float) -> None:
    """Complete whatever is ready, until then."""
    while time.monotonic() < until_moment:
        if not _complete_some(worker):
            time.sleep(_IDLE_SECS)


def _complete_some(worker: Played) -> int:
    """Take tasks and complete their runs. Gives how many were there."""
    tasks = worker.exchange(workflow_slots=SLOTS)["workflow_tasks"]
    if tasks:
        turns = tuple(TurnReport(task_token=task["task_token"], commands=(CompleteWorkflow(),)) for task in tasks)
        refused = [said for said in worker.exchange(workflow_results=turns)["results"] if "code" in said]
        assert {said["code"] for said in refused} <= _OTHERWISE, refused
    return len(tasks)


def _drained(worker: Played, reader: Reader) -> bool:
    """Whether no run is open and no tick waits."""
    _complete_some(worker)
    waiting = reader.one("SELECT COALESCE(SUM(buffered), 0) FROM workflow_schedules")
    return not waiting and not reader.one("SELECT COUNT(*) FROM workflows WHERE status IN ('PENDING', 'RUNNING')")


def _judge(reader: Reader, first: dict[str, float], found: Found) -> list[float]:
    """Look at each tick and its run. Gives by how many seconds each of those that started at once was late."""
    counted = {
        name: (key, int(started), int(skipped), int(missed))
        for key, name, started, skipped, missed in reader.rows(
            "SELECT schedule_key, name, runs_started, ticks_skipped, ticks_missed FROM workflow_schedules"
        )
    }
    ticks = reader.rows(
        "SELECT r.schedule_key, r.tick, r.state, r.overlap_policy, w.workflow_id, w.created_at FROM schedule_runs r "
        "LEFT JOIN workflows w ON w.run_key = r.run_key"
    )
    runs = reader.rows("SELECT schedule_key, workflow_id FROM workflows")
    if len({workflow_id for _, workflow_id in runs}) != len(runs):
        found.faults.append("an id has two runs")
    lateness = []
    started_in_all = missed_in_all = 0
    for name, (key, started, skipped, missed) in counted.items():
        own = [row for row in ticks if row[0] == key]
        begun = [row for row in own if row[2] == "started"]
        if (len(begun), len(own) - len(begun)) != (started, skipped):
            found.faults.append(f"{name} counts {started} started, {skipped} skipped; {len(begun)} of {len(own)} were")
        if sorted(f"{name}-{tick:.0f}" for _, tick, *_ in begun) != sorted(one for of, one in runs if of == key):
            found.faults.append(f"{name}: its runs are not those of its ticks")
        if begun and any(at < tick for _, tick, _, _, _, at in begun):
            found.faults.append(f"{name}: a run began before its tick")
        last = max((tick for _, tick, *_ in own), default=first[name] - 1.0)
        if len(own) + missed != last - first[name] + 1:
            found.faults.append(f"{name}: {len(own)} ticks and {missed} missed, of {last - first[name] + 1:.0f}")
        lateness += [at - tick for _, tick, _, policy, _, at in begun if policy == "allow_all"]
        started_in_all += started
        missed_in_all += missed
    found.figures = {"runs": str(started_in_all), "missed": str(missed_in_all)}
    return sorted(lateness)
