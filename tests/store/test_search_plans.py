"""Lists and counts are led by an index among many runs: none reads all of them, and what is sorted is little.

The runs are those of `make bench-scale`, fewer of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.errors import TooSlow
from assay_wsgi.domain.filters import search_of
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.engine import Engine
from assay_wsgi.store import fsck
from assay_wsgi.store import leads
from assay_wsgi.store import lists
from assay_wsgi.store import queues
from assay_wsgi.store import store as opened
from assay_wsgi.store.store import Store
from bench.filling import BEGAN
from bench.filling import fill
from tests.store.heard import Heard
from tests.store.plans import plan

if TYPE_CHECKING:
    from tests.conftest import Clock

CLOSED, OPEN = 12_000, 1_500
ENDED = BEGAN + CLOSED * 0.1
SORTS = re.compile(r"TEMP B-TREE FOR ORDER BY|^\s*(->\s+)?Sort\b", re.MULTILINE)
READS_ALL = re.compile(
    r"Seq Scan on (workflows|workflow_attributes|workflow_tasks)|SCAN (w|x|a|t)(?! USING COVERING INDEX)"
)
READS_CLOSED = re.compile(
    r"(Seq Scan on|SCAN) (workflows|workflow_activities)\b(?! USING (COVERING )?INDEX \w*_(claim|owner))"
)

WALKED: list[tuple[dict[str, Any], str]] = [
    ({}, "workflows_listed"),
    ({"status": "RUNNING"}, "workflows_status"),
    ({"status": "TIMED_OUT"}, "workflows_status"),
    ({"workflow_type": "Type3"}, "workflows_type"),
    ({"created_before": BEGAN + 500.0}, "workflows_listed"),
    ({"created_after": BEGAN + 100.0, "created_before": BEGAN + 900.0}, "workflows_listed"),
    ({"closed_before": ENDED - 50}, "workflows_listed"),
    ({"search_attrs": {"env": "prod"}}, "workflow_attributes_value"),
    ({"q": "env = 'prod' AND NOT WorkflowType = 'x'"}, "workflow_attributes_value"),
    ({"q": "Status IN ('COMPLETED', 'FAILED')"}, "workflows_listed"),
    ({"q": "WorkflowId STARTS_WITH 'w'"}, "workflows_listed"),
    ({"q": "ORDER BY StartTime ASC"}, "workflows_listed"),
    ({"q": "CloseTime IS NOT NULL ORDER BY CloseTime DESC"}, "workflows_closed"),
]
FEW: list[tuple[dict[str, Any], str]] = [
    ({"claimed_by": "ann"}, "workflow_tasks_owner"),
    ({"parent_id": "w7"}, "workflows_children"),
    ({"closed_after": BEGAN + 100.0, "closed_before": BEGAN + 110.0}, "workflows_closed"),
    ({"closed_after": ENDED + 1e6}, "workflows_closed"),
    ({"search_attrs": {"env": "prod", "customer": "c-77"}}, "workflow_attributes_value"),
    ({"search_attrs": {"customer": "c-77"}, "status": "COMPLETED"}, "workflow_attributes_value"),
    ({"q": "customer STARTS_WITH 'c-77'"}, "workflow_attributes_value"),
    ({"q": "customer > 'c-99' AND customer < 'c-999'"}, "workflow_attributes_value"),
    ({"q": "WorkflowId IN ('w5', 'w6')"}, "workflows_newest"),
    ({"q": "WorkflowId STARTS_WITH 'w77'"}, "workflows_newest"),
    ({"q": "ScheduleId = 'nightly'"}, "workflows_scheduled"),
    ({"q": "TaskQueue = 'queue1' AND Status = 'TIMED_OUT' ORDER BY TaskQueue"}, "workflows_status"),
]  # fmt: skip


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def many(request: pytest.FixtureRequest, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database of many runs."""
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path_factory.mktemp('many')}/assay.db"
    else:
        url = request.getfixturevalue("postgres").database()
    Store.open(url).close()
    fill(url, closed=CLOSED, open_runs=OPEN)
    store = Store.open(url, wrap=heard.wrap)
    yield store
    store.close()
    if request.param == "postgres":
        request.getfixturevalue("postgres").drop(url)


def plans(store: Store, heard: Heard, **wanted: Any) -> list[str]:
    """List a page, and give how each statement of that was carried out, the last one's at the end."""
    heard.clear()
    with store.search() as db:
        lists.workflows(db, search_of(ListFilter(**wanted)))
    said = [one for one in heard.statements if one.sql.lstrip().startswith(("SELECT", "WITH"))]
    return [plan(store, "reader", one) for one in said]


def steps_of(plan: str) -> str:
    return plan.partition("\n")[2]


@pytest.mark.parametrize(("wanted", "index"), WALKED, ids=str)
def test_a_list_walks_an_index_in_its_order(many: Store, heard: Heard, wanted: dict[str, Any], index: str) -> None:
    found = plans(many, heard, **wanted)

    assert index in steps_of(found[-1]), found[-1]
    assert SORTS.search(steps_of(found[-1])) is None, found[-1]
    assert READS_ALL.search(steps_of(found[-1])) is None, found[-1]


@pytest.mark.parametrize(("wanted", "index"), FEW, ids=str)
def test_few_runs_are_found_by_an_index_and_sorted(
    many: Store, heard: Heard, wanted: dict[str, Any], index: str
) -> None:
    found = plans(many, heard, **wanted)

    assert index in steps_of(found[-1]), found[-1]
    assert "few" in found[-1]
    assert READS_ALL.search(steps_of(found[-1])) is None, found[-1]


def test_what_is_counted_first_is_counted_to_a_bound(many: Store, heard: Heard) -> None:
    _, counting, _ = [None, *plans(many, heard, search_attrs={"env": "prod"}, status="COMPLETED")][-3:]

    assert counting is not None
    assert counting.count(f"LIMIT {leads.NARROW + 1}") == 2


def test_what_queues_hold_is_counted_without_reading_closed_runs(many: Store, heard: Heard) -> None:
    heard.clear()
    with many.read() as db:
        queues.stats(db, "main", 0.0)

    for said in list(heard.statements):
        assert READS_CLOSED.search(steps_of(plan(many, "reader", said))) is None, said.sql


def test_the_runs_of_the_benchmark_are_what_fsck_likes(many: Store) -> None:
    assert fsck.check(many) == []


def test_a_search_that_takes_too_long_is_stopped_and_says_what_is_quick(
    many: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ListFilter(q=" OR ".join(f"customer STARTS_WITH '{n}'" for n in range(100)) + " OR HistoryLength > 99")
    monkeypatch.setattr(opened, "SEARCH_SECS", 0.0)

    def search() -> None:
        with many.search() as db:
            if many.dialect.name == "postgres":  # its readers come with their time-out
                db.run("SET statement_timeout = 1")
            lists.workflows(db, search_of(asked))

    with pytest.raises(TooSlow, match="Ask for less: a search attribute by =") as refusal:
        search()

    assert refusal.value.code == "search_too_slow"
    with many.search() as db:
        assert db.one("SELECT 1") == (1,)


def test_a_search_is_planned_for_what_it_asks_however_often_it_is_asked(many: Store) -> None:
    """After ten times PostgreSQL took a plan for any parameters: the same list took a hundred times as long."""
    plain = Store(many.dialect)
    for _ in range(12):
        with plain.search() as db:
            lists.workflows(db, search_of(ListFilter(search_attrs={"env": "prod", "customer": "c-77"})))

    with plain.read() as db:
        if many.dialect.name == "postgres":
            assert db.rows("SELECT statement FROM pg_prepared_statements") == []
    plain.close()


def test_an_engine_answers_from_there(many: Store, clock: Clock) -> None:
    engine = Engine(many)

    assert engine.workflows.count(ListFilter(status="PENDING")) == {"count": OPEN // 2}
    assert engine.namespaces.stats("main")["total_workflows"] == CLOSED + OPEN
