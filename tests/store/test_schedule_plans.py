"""What is asked about schedules again and again is answered by an index, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.model import Tick
from assay_wsgi.settings import EngineSettings
from assay_wsgi.store import pruning
from assay_wsgi.store import reads
from assay_wsgi.store import schedule_reads
from assay_wsgi.store.mapping import RUNS
from assay_wsgi.store.mapping import SCHEDULES
from assay_wsgi.store.mapping import TICKS
from assay_wsgi.store.needs import Needs
from assay_wsgi.store.rows import Rows
from assay_wsgi.store.schedules import load_schedules
from assay_wsgi.store.store import Store
from tests.domain.given import a_closed_run
from tests.domain.given import a_run
from tests.domain.test_schedules import a_schedule
from tests.store.heard import Heard
from tests.store.test_claims import plan

if TYPE_CHECKING:
    from tests.conftest import Clock

MANY = 3000


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def crowded(backend: str, clock: Clock, heard: Heard) -> Iterator[Store]:
    """A database with many schedules, of which every tenth has a tick that waits; not one that fsck would like."""
    store = Store.open(backend, clock=clock, wrap=heard.wrap)
    schedules, runs, ticks = [], [], []
    for n in range(1, MANY + 1):
        due, waits = 1.8e9 + n, n % 10 == 0
        schedules.append(
            a_schedule(schedule_key=n, name=f"s{n}", next_run_at=due, due_at=due, buffered=1 if waits else 0)
        )
        run = {"run_key": n, "workflow_id": f"w{n}", "run_id": f"run-w{n}-{n}", "schedule_key": n}
        runs.append(a_run(**run) if n % 2 == 0 else a_closed_run(**run))
        state = "buffered" if waits else "skipped"
        ticks.append(Tick(n, 1.6e9, state, "cron", None, None if waits else "overlap", None, 1.6e9 + n))
    with store.administer() as db:
        for table, new in ((SCHEDULES, schedules), (RUNS, runs), (TICKS, ticks)):
            assert db.dialect.insert(db, table, new) == MANY
        db.run("ANALYZE")
    heard.clear()
    yield store
    store.close()


def served_by(store: Store, heard: Heard, role: str, table: str, *indexes: str) -> None:
    """The statement about a table that was heard uses these indexes and reads no table through."""
    (query,) = [said for said in heard.statements if f" {table} " in f"{said.sql} " and "EXPLAIN" not in said.sql]
    steps = plan(store, role, query).partition("\n")[2]
    for index in indexes:
        assert index in steps, steps
    assert "Seq Scan" not in steps, steps
    whole = [step for step in steps.splitlines() if step.startswith("SCAN ") and "VIRTUAL" not in step]
    assert all("INDEX workflow_schedules_waiting" in step for step in whole), steps
    heard.clear()


def test_what_the_sidecar_asks_about_schedules(crowded: Store, heard: Heard) -> None:
    with crowded.read() as db:
        reads.next_deadline(db)
        served_by(crowded, heard, "reader", "workflow_schedules", "workflow_schedules_due")
        assert len(schedule_reads.due(db, 1.8e9 + 50, 60)) == 50
        (due, freed) = [said for said in heard.statements if " workflow_schedules " in said.sql]
    heard.statements[:] = [due]
    served_by(crowded, heard, "reader", "workflow_schedules", "workflow_schedules_due")
    heard.statements[:] = [freed]
    served_by(crowded, heard, "reader", "workflow_schedules", "workflow_schedules_waiting", "workflows_schedule")


def test_what_a_unit_asks_about_the_schedules_that_it_has_locked(crowded: Store, heard: Heard) -> None:
    needs = Needs(open_runs_of={2, 4, 6}, ticks={(2, 1.6e9, 1.6e9), (4, 0.0, 1.7e9)})
    writer = crowded.writer()
    rows = Rows(iter(range(10)).__next__)
    with writer.alone() as db:
        load_schedules(db, needs, rows.schedules)
    writer.close()

    assert rows.schedules.open_runs_of == {2: [2], 4: [4], 6: [6]}
    ticks, runs = [said for said in heard.statements if "schedule_key = x.schedule_key" in said.sql]
    heard.statements[:] = [ticks]
    served_by(crowded, heard, "writer", "schedule_runs")
    heard.statements[:] = [runs]
    served_by(crowded, heard, "writer", "workflows", "workflows_schedule")


def test_ticks_that_have_served_are_found_by_their_age(crowded: Store, heard: Heard) -> None:
    heard.clear()
    with crowded.administer() as db:
        removed = pruning.ticks(db, 1.6e9 + pruning.TICKS_KEPT_SECS + 100.0, EngineSettings())

    assert removed == 90
    heard.statements[:] = [said for said in heard.statements if said.sql.startswith("DELETE FROM schedule_runs")]
    served_by(crowded, heard, "writer", "schedule_runs", "schedule_runs_age")
