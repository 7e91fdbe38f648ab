"""Operations of the upkeep on leases: let them run out, give them back."""

from __future__ import annotations

from dataclasses import dataclass

from ...domain import activities
from ...domain import tasks
from ...domain.change import Change
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class ExpireTask(Operation):
    """Take back a workflow task whose lease has run out. Answers whether it had."""

    run_key: int
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)

    def decide(self, rows: Rows, now: float) -> Change:
        run = rows.run(self.run_key)
        return Change(answer=False) if run is None else tasks.expire(run, rows.task(self.run_key), now)


@dataclass(frozen=True)
class ExpireActivity(Operation):
    """End an attempt that took too long. Answers whether it had."""

    activity_key: int

    def needs(self, needs: Needs) -> None:
        needs.activities.add(self.activity_key)

    def decide(self, rows: Rows, now: float) -> Change:
        activity = rows.activity(self.activity_key)
        run = None if activity is None else rows.run(activity.run_key)
        if activity is None or run is None:
            return Change(answer=False)
        return activities.expire(run, rows.task(run.run_key), activity, now)


@dataclass(frozen=True)
class GiveBackTask(Operation):
    """Free the lease `token_hash` of a run, uncounted; `of_retired` = only while this worker is retired."""

    run_key: int
    token_hash: str
    of_retired: tuple[str, str] | None = None
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.runs.add(self.run_key)
        if self.of_retired is not None:
            needs.workers.add(self.of_retired)

    def decide(self, rows: Rows, now: float) -> Change:
        run, task = rows.run(self.run_key), rows.task(self.run_key)
        if run is None or task is None or task.token != self.token_hash or _alive(rows, self.of_retired):
            return Change(answer=False)
        return tasks.give_back(task, now)


@dataclass(frozen=True)
class GiveBackActivity(Operation):
    """Free the attempt `token_hash` of an activity, uncounted; `of_retired` as in GiveBackTask."""

    activity_key: int
    token_hash: str
    of_retired: tuple[str, str] | None = None
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.activities.add(self.activity_key)
        if self.of_retired is not None:
            needs.workers.add(self.of_retired)

    def decide(self, rows: Rows, now: float) -> Change:
        activity = rows.activity(self.activity_key)
        run = None if activity is None else rows.run(activity.run_key)
        if activity is None or run is None or activity.token != self.token_hash or _alive(rows, self.of_retired):
            return Change(answer=False)
        return activities.give_back(run, activity, now)


def _alive(rows: Rows, worker: tuple[str, str] | None) -> bool:
    if worker is None:
        return False
    found = rows.worker(*worker)
    return found is not None and found.retired_at is None
