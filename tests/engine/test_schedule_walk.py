"""A random walk over schedules of all policies, held against a book that is kept beside.

fsck cannot tell what was missed. Here every fate of a tick is written down: it started one run, which its schedule
still names, or was skipped for a reason; nothing that was paused, deleted or changed started one afterwards; and
when everything has come to rest nothing waits.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import OVERLAP_POLICIES
from assay_wsgi.domain.requests import Backfill
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import SchedulePatch
from assay_wsgi.store import fsck
from tests.engine.scheduling import given_a_schedule
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import rows
from tests.engine.test_random_walk import LONG
from tests.engine.test_random_walk import SEEDS

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

STEPS = 1000 if LONG else 120
FSCK_EVERY = 20
EXPRESSIONS = ("*/10 * * * * *", "@every 7s", "*/15 * * * * *")


class ScheduleWalk:
    """Keeps a few schedules, lets time pass, works on their runs."""

    def __init__(self, engine: Engine, clock: Clock, seed: int) -> None:
        self.engine = engine
        self.clock = clock
        self.chance = random.Random(seed)
        self.worker = Played(engine)
        self.tasks: list[Wire] = []
        self.made = 0
        self.silent: dict[str, tuple[float, int]] = {}  # paused schedules: since when, and their runs by the clock
        self.did: Counter[str] = Counter()
        self.steps: list[tuple[Callable[[], Any], int]] = [
            (self.create, 2), (self.change, 5), (self.pause, 3), (self.resume, 4), (self.delete, 1),
            (self.trigger, 5), (self.backfill, 3), (self.take, 14), (self.turn, 30), (self.end, 3),
            (self.time_passes, 30), (self.clock_is_set_back, 1),
        ]  # fmt: skip
        for policy in OVERLAP_POLICIES:
            self.create(policy)

    def step(self) -> None:
        """Do something; what is refused changes nothing."""
        acts, weights = zip(*self.steps, strict=True)
        (act,) = self.chance.choices(acts, weights)
        try:
            act()
        except AssayError as refused:
            self.did[refused.code] += 1
        else:
            self.did[act.__name__] += 1

    # -- by those who keep them

    def somebody(self) -> str:
        return str(self.chance.choice([one["name"] for one in self.engine.schedules.list()] or ["nobody"]))

    def create(self, policy: str | None = None) -> None:
        self.made += 1
        given_a_schedule(
            self.engine, f"s{self.made}", overlap_policy=policy or self.chance.choice(OVERLAP_POLICIES),
            cron_expr=self.chance.choice(EXPRESSIONS), catchup_window_secs=30.0,
        )  # fmt: skip

    def change(self) -> None:
        patch = self.chance.choice(
            [
                {"overlap_policy": self.chance.choice(OVERLAP_POLICIES)},
                {"cron_expr": self.chance.choice(EXPRESSIONS)},
                {"input": str(self.made)},
            ]
        )
        self.engine.schedules.change(self.somebody(), SchedulePatch(**patch))

    def pause(self) -> None:
        name = self.somebody()
        self.engine.schedules.pause(name)
        self.silent.setdefault(name, (self.clock.now, self.by_the_clock(name)))

    def resume(self) -> None:
        name = self.somebody()
        self.check_silence(name)
        self.engine.schedules.resume(name)
        self.silent.pop(name, None)

    def delete(self) -> None:
        name = self.somebody()
        self.check_silence(name)
        self.engine.schedules.delete(name)
        self.silent.pop(name, None)

    def trigger(self) -> None:
        policy = self.chance.choice([None, None, *OVERLAP_POLICIES])
        told = self.engine.schedules.trigger(self.somebody(), policy)
        assert (told["outcome"] == "started") == (told["run_id"] is not None)

    def backfill(self) -> None:
        now = self.clock.now
        asked = Backfill(start=now - 60.0, end=now, overlap_policy=self.chance.choice(OVERLAP_POLICIES))
        name = self.somebody()
        told = self.engine.schedules.backfill(name, asked)
        again = self.engine.schedules.backfill(name, asked)
        assert (again["queued"], again["known"]) == (0, told["ticks"])

    # -- by the worker and the clock

    def take(self) -> None:
        self.tasks += self.worker.takes_up_to(5)

    def turn(self) -> None:
        if not self.tasks:
            return
        task = self.tasks.pop(self.chance.randrange(len(self.tasks)))
        ends = [CompleteWorkflow(), CompleteWorkflow(), FailWorkflow(error="no"), ContinueAsNew(), CancelWorkflow()]
        self.worker.reports(task, self.chance.choice([*ends, WaitForSignal(name="go")]))

    def end(self) -> None:
        found, _ = self.engine.workflows.list(ListFilter(limit=1000))
        still_open = [run["id"] for run in found if run["status"] in ("PENDING", "RUNNING")]
        act = self.chance.choice([self.engine.workflows.cancel, self.engine.workflows.terminate])
        act(self.chance.choice(still_open or ["nobody"]))

    def time_passes(self) -> None:
        self.clock.advance(self.chance.choice([0.5, 3.0, 5.0, 10.0, 25.0, 90.0]))
        if self.chance.random() < 0.7:  # the sidecar may be late
            self.engine.upkeep.expire()

    def clock_is_set_back(self) -> None:
        self.clock.advance(-20.0)
        self.engine.upkeep.expire()

    # -- what must hold

    def by_the_clock(self, name: str) -> int:
        """Count the runs that ticks of the expression have started."""
        sql = (
            "SELECT COUNT(*) FROM schedule_runs r JOIN workflow_schedules s ON s.schedule_key = r.schedule_key "
            "WHERE s.name = ? AND r.origin = 'cron' AND r.state = 'started'"
        )
        return int(rows(self.engine, sql, name)[0][0])

    def check_silence(self, name: str) -> None:
        """While it was paused the clock has started nothing."""
        if name in self.silent:
            assert self.by_the_clock(name) == self.silent[name][1], name

    def check_book(self) -> None:
        """Each tick has one run at most, each run one tick, and the schedules' counts are those of the rows."""
        began = rows(
            self.engine,
            "SELECT schedule_key, schedule_tick, COUNT(*) FROM workflows WHERE schedule_key IS NOT NULL "
            "AND continued_from IS NULL GROUP BY schedule_key, schedule_tick",
        )
        started = rows(self.engine, "SELECT schedule_key, tick FROM schedule_runs WHERE state = 'started'")
        assert sorted((key, tick) for key, tick, _ in began) == sorted(started)
        assert {count for _, _, count in began} <= {1}
        counts = rows(
            self.engine,
            "SELECT s.name, s.runs_started, COUNT(r.tick) FROM workflow_schedules s LEFT JOIN schedule_runs r "
            "ON r.schedule_key = s.schedule_key AND r.state = 'started' GROUP BY s.name, s.runs_started",
        )
        assert [(name, told) for name, told, _ in counts] == [(name, found) for name, _, found in counts]

    def rest(self) -> None:
        """Pause all schedules, finish all runs, and see that nothing waits."""
        for one in self.engine.schedules.list():
            self.engine.schedules.pause(one["name"])
        for _ in range(300):
            self.engine.upkeep.expire()
            open_runs = rows(self.engine, "SELECT workflow_id FROM workflows WHERE status IN ('PENDING', 'RUNNING')")
            waiting = rows(self.engine, "SELECT tick FROM schedule_runs WHERE state = 'buffered'")
            if not open_runs and not waiting:
                return
            for (workflow_id,) in open_runs:
                self.engine.workflows.terminate(workflow_id)
        raise AssertionError(f"it does not come to rest: {open_runs}, {waiting}")


@pytest.mark.parametrize("seed", SEEDS)
def test_each_tick_has_one_fate_whatever_is_done_to_its_schedule(engine: Engine, clock: Clock, seed: int) -> None:
    print(f"schedule walk: ASSAY_TEST_SEED={seed}")  # noqa: T201 - a failure is walked again by it
    walk = ScheduleWalk(engine, clock, seed)
    for step in range(1, STEPS + 1):
        walk.step()
        if step % FSCK_EVERY == 0:
            walk.check_book()
            assert fsck.check(engine.store) == []

    for name in walk.silent:
        walk.check_silence(name)
    walk.rest()

    walk.check_book()
