"""Searches find what a model in Python finds, whatever is asked and from whichever index they begin."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.domain.errors import Invalid
from assay_wsgi.domain.filters import search_of
from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.jsontext import dumps
from assay_wsgi.jsontext import loads
from assay_wsgi.store import attributes
from assay_wsgi.store import leads
from assay_wsgi.store import lists
from assay_wsgi.store.mapping import ATTRIBUTES
from assay_wsgi.store.mapping import RUNS
from assay_wsgi.store.store import Store
from tests.domain.given import a_run
from tests.store.filters import HOSTILE
from tests.store.filters import MANY
from tests.store.filters import NAMES
from tests.store.filters import UNORDERED
from tests.store.filters import VALUES
from tests.store.filters import Asked
from tests.store.filters import Row
from tests.store.filters import Runs
from tests.store.filters import value_of

if TYPE_CHECKING:
    from tests.conftest import Clock

ROUNDS = 20 if os.environ.get("ASSAY_TEST_LONG") else 1


@pytest.fixture(params=["sqlite", "postgres"])
def runs(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Runs]:
    store = Store.open(request.getfixturevalue(f"{request.param}_url"), clock=clock)
    yield Runs(store, seed=7)
    store.close()


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches begin now from an index that finds few runs, now from one that finds many."""
    chosen, widths = leads.chosen, random.Random(5)

    def begin(*of: Any) -> Any:
        monkeypatch.setattr(leads, "NARROW", widths.choice((0, 4, 2000)))
        return chosen(*of)

    monkeypatch.setattr(leads, "chosen", begin)


@pytest.mark.usefixtures("_narrow")
def test_random_filters_find_what_the_model_finds(runs: Runs) -> None:
    asked = Asked(runs)
    for _ in range(120 * ROUNDS):
        text, holds = asked.condition()
        if len(text) > 4000:
            continue

        expected = runs.expected(holds)

        assert runs.found(q=text) == expected, text
        assert runs.found(q=text, limit=7) == expected, text
        assert runs.count(q=text) == len(expected), text


@pytest.mark.usefixtures("_narrow")
def test_random_orders_are_the_models_page_by_page(runs: Runs) -> None:
    asked = Asked(runs)
    fields = [name for name in runs.rows[0] if name[0].isupper() and name not in UNORDERED]
    for number in range(40 * ROUNDS):
        text, holds = asked.condition(depth=3)
        own = number % 3 > 0
        name = runs.chance.choice(fields if own else NAMES)
        down = runs.chance.random() < 0.5
        written = name if own else "`" + name.replace("`", "``") + "`"
        q = f"{text} ORDER BY {written} {'DESC' if down else 'asc'}"
        fitting = [row for row in runs.rows if holds(row)]

        def place(row: Row, name: str = name, own: bool = own) -> Any:
            value = value_of(row, name, own=own)
            if not own:
                value = attributes.written(value).value  # held to be in order by a test of its own
            return value.encode() if isinstance(value, str) else value, row["key"]

        having = [row for row in fitting if value_of(row, name, own=own) is not None]
        lacking = [row["key"] for row in fitting if value_of(row, name, own=own) is None]
        expected = [row["key"] for row in sorted(having, key=place, reverse=down)] + sorted(lacking, reverse=down)

        assert runs.found(q=q) == expected, q
        assert runs.found(q=q, limit=5) == expected, q


@pytest.mark.usefixtures("_narrow")
def test_whatever_a_key_and_a_value_hold_they_mean_themselves(runs: Runs) -> None:
    for name in NAMES:
        for value in (*HOSTILE, *VALUES[:8]):
            expected = runs.expected(
                lambda row, name=name, value=value: (
                    name in row["attributes"]  # type: ignore[misc]
                    and type(row["attributes"][name]) is type(value)
                    and row["attributes"][name] == value
                )
            )
            assert runs.found(search_attrs={name: value}) == expected, (name, value)
    for value in HOSTILE:
        for wanted in ("workflow_type", "claimed_by", "parent_id", "namespace"):
            assert runs.found(**{wanted: value}) == [], (wanted, value)
    assert len(runs.found()) == MANY


@pytest.mark.usefixtures("_narrow")
def test_the_filters_of_a_list_are_what_the_language_says_of_them(runs: Runs) -> None:
    for filters, q in [
        ({"status": "RUNNING"}, "Status = 'RUNNING'"),
        ({"status": "WAITING"}, "Status = 'WAITING'"),
        ({"workflow_type": "O'Neill"}, "WorkflowType = 'O''Neill'"),
        ({"claimed_by": "ann"}, "ClaimedBy = 'ann'"),
        ({"created_after": 1.7e9 + 20}, "StartTime > 1.70000002e9"),
        ({"created_before": 1.7e9 + 20}, "StartTime < '2023-11-14T22:13:40Z'"),
        ({"closed_after": 1.7e9 + 20}, "CloseTime > 1700000020"),
        ({"closed_before": 1.7e9 + 20}, "CloseTime < 1700000020"),
        (
            {"closed_after": 1.7e9 + 10, "closed_before": 1.7e9 + 20},
            "CloseTime > 1700000010 AND CloseTime < 1700000020",
        ),
        ({"search_attrs": {"a.b": "a"}}, "a.b = 'a'"),
        ({"status": "RUNNING", "q": "TaskQueue = 'q'"}, "Status = 'RUNNING' AND TaskQueue = 'q'"),
    ]:
        assert runs.found(**filters) == runs.found(q=q), q
    parent = next(row["ParentId"] for row in runs.rows if row["ParentId"] is not None)
    assert runs.found(parent_id=parent) == runs.expected(lambda row: row["ParentId"] == parent)


@pytest.mark.usefixtures("_narrow")
def test_counts_by_group_are_the_models(runs: Runs) -> None:
    def days(row: Row) -> str:
        return datetime.fromtimestamp(math.floor(row["StartTime"]), UTC).date().isoformat()

    groups: dict[str, Callable[[Row], str | None]] = {
        "status": lambda row: row["Status"],
        "type": lambda row: row["WorkflowType"],
        "queue": lambda row: row["TaskQueue"],
        "close_reason": lambda row: row["CloseReason"],
        "day": days,
    }
    filters: list[tuple[dict[str, Any], Callable[[Row], bool]]] = [
        ({}, lambda _: True),
        ({"status": "RUNNING"}, lambda row: row["Status"] == "RUNNING"),
        ({"search_attrs": {"env": "a"}}, lambda row: row["attributes"].get("env") == "a"),
        ({"q": "WorkflowId STARTS_WITH 'Order-1'"}, lambda row: row["WorkflowId"].startswith("Order-1")),
        ({"namespace": "nowhere"}, lambda _: False),
    ]
    for wanted, holds in filters:
        fitting = [row for row in runs.rows if holds(row)]
        assert runs.count(**wanted) == len(fitting)
        for group, of in groups.items():
            assert runs.groups(group, **wanted) == {
                value: sum(of(row) == value for row in fitting) for value in {of(row) for row in fitting}
            }


def test_values_are_written_in_their_order() -> None:
    chance = random.Random(3)
    numbers = [value for value in VALUES if isinstance(value, (int, float)) and not isinstance(value, bool)]
    numbers += [chance.randrange(-(2**63), 2**63) for _ in range(60)] + [chance.uniform(-9, 9) for _ in range(60)]
    texts = [value for value in VALUES if isinstance(value, str)]
    for values in (numbers, texts, [False, True]):
        for one in values:
            for other in values:
                assert (one < other) is (attributes.written(one) < attributes.written(other)), (one, other)
                assert (one == other) is (attributes.written(one) == attributes.written(other)), (one, other)
    assert len({attributes.written(value)[0][0] for value in (None, True, 1, "x", [1])}) == 5


def test_a_cursor_of_another_order_is_refused(runs: Runs) -> None:
    for first, then in [
        ("", "ORDER BY StartTime ASC"),
        ("ORDER BY CloseTime", ""),
        ("ORDER BY CloseTime", "ORDER BY `n`"),
    ]:
        with runs.store.search() as db:
            _, cursor = lists.workflows(db, search_of(ListFilter(q=first, limit=2)))
            with pytest.raises(Invalid) as refusal:
                lists.workflows(db, search_of(ListFilter(q=then, limit=2, cursor=cursor)))
        assert refusal.value.code == "invalid_cursor"


def test_the_longest_names_and_values_fit_into_the_index(runs: Runs) -> None:
    wide = "\U0010ffff"
    longest = a_run(
        run_key=9999,
        namespace=wide * 255,
        workflow_id="w",
        run_id="run-w-9999",
        search_attributes=dumps({wide * 255: "".join(runs.chance.choice("ßéö日😀") for _ in range(500))}),
    )
    ((name, value),) = loads(longest.search_attributes or "").items()
    with runs.store.administer() as db:
        db.dialect.insert(db, RUNS, [longest])
        db.dialect.insert(db, ATTRIBUTES, list(attributes.rows_of(longest)))

    assert runs.found(namespace=wide * 255, search_attrs={name: value}) == [9999]
    assert runs.found(namespace=wide * 255, q=f"`{name}` STARTS_WITH '{value[:400]}'") == [9999]
    assert runs.found(namespace=wide * 255, q=f"`{name}` > '{value}'") == []
