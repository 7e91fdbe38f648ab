"""Races about schedules: two who take one tick, and a tick against those who change its schedule or end its run.

Each function runs its race and gives what went wrong.
"""

from __future__ import annotations

from assay_wsgi.domain.requests import NewSchedule
from tests.engine.stories import rows

from . import racer
from .contest import Contest
from .contest import Duel
from .contest import act
from .ground import code
from .ground import events

HOUR = 3601.0  # and a second: a tick is due


def two_who_take_a_tick(contest: Contest) -> list[str]:
    _given(contest, "s")
    with contest.rivals() as (one, two):
        Duel(one, two, *(act("expire", after_secs=HOUR) for _ in range(2)))
    return _each_started_once(contest)


def ticks_of_many(contest: Contest, times: int) -> list[str]:
    names = [f"s{number}" for number in range(times)]
    _given(contest, *names)
    with contest.rivals() as (one, two):
        contest.storm(one, two, ([[act("expire", after_secs=HOUR)]] * 2, [[act("expire", after_secs=HOUR)]] * 2))
    return _each_started_once(contest)


def a_change_and_a_tick(contest: Contest) -> list[str]:
    """No tick of the old definition comes once the change was acknowledged."""
    faults = []
    for name, change in (("paused", "pause_schedule"), ("changed", "change_schedule"), ("gone", "delete_schedule")):
        _given(contest, name)
        with contest.rivals() as (one, two):
            duel = Duel(one, two, act("expire", after_secs=HOUR), act(change, name=name))
        if code(duel.second) != "ok":
            faults.append(f"{change}: {duel.second}")
        faults += _as_it_was_said(contest, name, change, duel)
    return faults


def a_trigger_and_a_tick(contest: Contest) -> list[str]:
    _given(contest, "s")
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("expire", after_secs=HOUR), act("trigger_schedule", name="s"))
    with contest.engine() as engine:
        open_runs = rows(engine, "SELECT workflow_id FROM workflows WHERE status IN ('PENDING', 'RUNNING')")
    if code(duel.second) != "ok":
        return [f"the trigger was not taken: {duel.second}"]
    return [] if len(open_runs) == 1 else [f"{len(open_runs)} runs are open: {open_runs}"]


def the_end_of_a_run_and_a_tick_that_is_to_wait_for_it(contest: Contest) -> list[str]:
    """The tick that saw the run open is buffered when the run has ended already: nobody will wake the sidecar."""
    _given(contest, "s", overlap_policy="queue")
    with contest.engine() as engine:
        first = engine.schedules.trigger("s")["workflow_id"]
    with contest.rivals() as (one, two):
        duel = Duel(one, two, act("expire", after_secs=HOUR), act("terminate", workflow_id=first))
        two.does("expire", after_secs=HOUR)  # by the same clock: else it would look at what was written ahead of it
    with contest.engine() as engine:
        waiting = rows(engine, "SELECT tick FROM schedule_runs WHERE state = 'buffered'")
        ended = events(engine, first)[-1]
    if (code(duel.second), ended) != ("ok", "WorkflowTerminated"):
        return [f"the run did not end: {duel.second}, {ended}"]
    return [f"waits for ever: {waiting}"] if waiting else []


def _given(contest: Contest, *names: str, **more: str) -> None:
    """Make schedules that fire every hour, and make up for an hour's tick."""
    with contest.engine() as engine:
        for name in names:
            told = {"workflow_type": "Race", "cron_expr": "@every 1h", "task_queue": racer.QUEUE, **more}
            engine.schedules.create(NewSchedule(name=name, catchup_window_secs=7200.0, **told))


def _each_started_once(contest: Contest) -> list[str]:
    with contest.engine() as engine:
        started = rows(
            engine,
            "SELECT s.name, s.runs_started, COUNT(w.run_key) FROM workflow_schedules s "
            "LEFT JOIN workflows w ON w.schedule_key = s.schedule_key GROUP BY s.schedule_key, s.name, s.runs_started",
        )
    return [f"{name}: counted {counted}, started {found}" for name, counted, found in started if found != 1]


def _as_it_was_said(contest: Contest, name: str, change: str, duel: Duel) -> list[str]:
    """Give what is wrong with a schedule that was changed while its tick was taken."""
    with contest.engine() as engine:
        found = {one["name"]: one for one in engine.schedules.list()}
        runs = rows(engine, "SELECT input FROM workflows WHERE workflow_id LIKE ?", f"{name}-%")
    late = [f"{change}: a run came after it was acknowledged"] if runs and not duel.second_waited else []
    if change == "delete_schedule":
        return [*late, *([f"{change}: it is there"] if name in found else [])]
    undone = not found[name]["paused"] if change == "pause_schedule" else found[name]["input"] != '"new"'
    return [*late, *([f"{change}: it was undone"] if undone else [])]
