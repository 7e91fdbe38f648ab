"""The words in which stories of schedules are told. Their clock stands at T0, which is a whole ten seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.domain.requests import NewSchedule
from assay_wsgi.engine import Engine
from tests.engine.stories import QUEUE
from tests.engine.stories import T0
from tests.engine.stories import Played
from tests.engine.stories import Wire
from tests.engine.stories import rows

if TYPE_CHECKING:
    from tests.conftest import Clock

EVERY_TEN = "*/10 * * * * *"


def given_a_schedule(engine: Engine, name: str = "s", **more: Any) -> Wire:
    """Make a schedule that fires at T0 + 10, + 20, ..."""
    told = {"workflow_type": "Report", "cron_expr": EVERY_TEN, "task_queue": QUEUE, **more}
    return engine.schedules.create(NewSchedule(name=name, **told))


def at(engine: Engine, clock: Clock, secs: float) -> None:
    """Let it be T0 + secs, and the sidecar do what is due."""
    clock.now = T0 + secs
    engine.upkeep.expire()


def run_of(secs: float, name: str = "s") -> str:
    """Give the id of the run of the tick at T0 + secs."""
    return f"{name}-{T0 + secs:.0f}"


def runs(engine: Engine, namespace: str = "main") -> dict[str, str]:
    """Give the status of each run by its id, the oldest first; `CANCELLING` for one that was asked to end."""
    found, _ = engine.workflows.list(ListFilter(namespace=namespace, limit=1000))
    return {
        run["id"]: "CANCELLING" if run["status"] == "RUNNING" and run["cancel_requested_at"] else run["status"]
        for run in reversed(found)
    }


def shown(engine: Engine, *members: str, name: str = "s") -> Any:
    """Give some members of a schedule's record; of one, its value."""
    record = engine.schedules.describe(name)
    return record[members[0]] if len(members) == 1 else [record[member] for member in members]


def waiting(engine: Engine) -> list[float]:
    """Give the ticks that wait, in seconds after T0."""
    found = rows(engine, "SELECT tick FROM schedule_runs WHERE state = 'buffered' ORDER BY queued_at, tick")
    return [tick - T0 for (tick,) in found]


def skipped(engine: Engine) -> Sequence[tuple[float, str]]:
    """Give the ticks that were skipped, in seconds after T0, and why."""
    found = rows(engine, "SELECT tick, reason FROM schedule_runs WHERE state = 'skipped' ORDER BY tick")
    return [(tick - T0, reason) for tick, reason in found]


def finish(worker: Played, task: Wire | None = None) -> None:
    """Complete a run: of this task, or of the one that is ready."""
    assert worker.reports(task or worker.takes(), CompleteWorkflow()) == {"ok": True}
