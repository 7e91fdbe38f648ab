"""From which index a search begins.

A planner without statistics, or with old ones, may read a million runs for five. So the parts of a filter that an
index serves are counted first, each to NARROW at most: the fewest runs lead, and what else is asked is looked
up on them. Where none are few, runs are walked in their order until the page is full.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

from ..domain.filters import FIELDS
from ..domain.filters import All
from ..domain.filters import Condition
from ..domain.filters import Kind
from ..domain.filters import Search
from ..domain.filters import Test
from .conditions import Sql
from .conditions import Writer
from .conditions import joined
from .conditions import of_attribute
from .connection import Connection

NARROW = 2000  # runs: so many are sorted in a few milliseconds

_BOUNDS = {"StartTime": "x.created_at", "CloseTime": "x.completed_at"}
_COLUMNS = {"WorkflowId": "x.workflow_id", "WorkflowType": "x.workflow_type", "Status": "x.status"}
_WALKED = ("WorkflowType", "Status")  # one value of them is walked in the order of starts


@dataclass(frozen=True, slots=True)
class Lead:
    """Runs that an index finds: the rows `x` of tables, and the tests that these answer whole."""

    tables: str
    which: Sql
    tests: tuple[Test, ...]
    walked: bool = False  # whether the index has them in the order of their starts
    rows: int = NARROW + 1  # how many there are, as far as they were counted

    @property
    def keys(self) -> Sql:
        """A SELECT of the keys of its runs."""
        return Sql(f"SELECT x.run_key FROM {self.tables} WHERE {self.which.text}", self.which.params)

    @property
    def narrow(self) -> bool:
        """Whether these are few."""
        return self.rows <= NARROW

    @property
    def apart(self) -> bool:
        """Whether its rows are in a table of their own."""
        return self.tables == "workflow_attributes x"


def tests_of(condition: Condition) -> Sequence[Condition]:
    """Give what must all hold."""
    return condition.parts if isinstance(condition, All) else (condition,)


def chosen(db: Connection, search: Search) -> Lead | None:
    """Give where to begin; None = with all runs of the namespace."""
    leads = list(_leads(db, search))
    asked = len(tests_of(search.condition)) + (search.chain is not None)
    if not leads or (asked == 1 and leads[0].walked):
        return leads[0] if leads else None
    counts = ", ".join(f"(SELECT COUNT(*) FROM ({lead.keys.text} LIMIT {NARROW + 1}) l)" for lead in leads)
    found = db.one(f"SELECT {counts}", [value for lead in leads for value in lead.keys.params])
    counted = [replace(lead, rows=rows) for lead, rows in zip(leads, found, strict=True)]
    return min(counted, key=lambda lead: (lead.rows, not lead.walked, not lead.apart))


def left_of(search: Search, lead: Lead | None) -> tuple[Condition, ...]:
    """Give what must hold beyond what the lead answers."""
    answered = () if lead is None else lead.tests
    return tuple(part for part in tests_of(search.condition) if not any(part is test for test in answered))


def implied(search: Search) -> tuple[Test, ...]:
    """Give what follows from a filter without being said: a run that had ended by then began before."""
    ends = [
        test
        for test in tests_of(search.condition)
        if isinstance(test, Test) and not test.turned and test.field.name == "CloseTime" and test.sign in ("<", "<=")
    ]
    return tuple(Test(FIELDS["StartTime"], "<=", test.values) for test in ends)


def leads_astray(test: Test) -> bool:
    """Say whether a test has an index that does not have its runs in the order of their starts."""
    name = test.field.name
    if test.field.kind is Kind.ATTRIBUTE or test.sign == "has":
        return False
    in_order = name in _WALKED and test.sign == "=" and len(test.values) == 1
    return name == "CloseTime" or (name in _COLUMNS and not in_order)


def _leads(db: Connection, search: Search) -> Iterator[Lead]:
    if search.chain is not None:
        yield Lead("workflows x", Sql("x.parent_chain_key = ?", (search.chain,)), (), walked=True)
    writer = Writer(db.dialect)
    bounds: dict[str, list[Test]] = {}
    for test in tests_of(search.condition):
        if not isinstance(test, Test) or test.turned or test.sign == "has":
            continue
        if test.field.kind is Kind.ATTRIBUTE:
            one = test.sign == "=" and len(test.values) == 1
            which = _in_namespace(search, of_attribute("x", test))
            yield Lead("workflow_attributes x", which, (test,), walked=one)
        elif test.field.name in _BOUNDS:
            bounds.setdefault(test.field.name, []).append(test)
        elif find := _FINDERS.get((test.field.name, test.sign)):
            lead = find(search, writer, test)
            if lead is not None:
                yield lead
    for name, tests in bounds.items():
        which = joined((writer.of_column(_BOUNDS[name], test) for test in tests), " AND ")
        yield Lead("workflows x", _in_namespace(search, which), tuple(tests), walked=name == "StartTime")


def _in_namespace(search: Search, which: Sql) -> Sql:
    return Sql(f"x.namespace = ? AND {which.text}", (search.namespace, *which.params))


def _by_column(search: Search, writer: Writer, test: Test) -> Lead | None:
    if "WAITING" in test.values and test.field.name == "Status":  # no index knows these from other open runs
        return None
    which = writer.of_column(_COLUMNS[test.field.name], test)
    if test.field.name == "WorkflowId":  # its index begins with the id: of the others, none is to look better
        inside = "CASE WHEN x.namespace = ? THEN 1 ELSE 0 END > 0"
        which = Sql(f"{which.text} AND {inside}", (*which.params, search.namespace))
        return Lead("workflows x", which, (test,))
    walked = len(test.values) == 1
    return Lead("workflows x", _in_namespace(search, which), (test,), walked=walked)


def _by_parent(search: Search, _writer: Writer, test: Test) -> Lead:
    which = (
        f"p.namespace = ? AND p.workflow_id IN ({_marks(test.values)}) AND x.parent_chain_key = p.first_run_key "
        "AND x.parent_key = p.run_key"
    )
    return Lead("workflows p CROSS JOIN workflows x", Sql(which, (search.namespace, *test.values)), (test,))


def _by_schedule(search: Search, _writer: Writer, test: Test) -> Lead:
    which = f"s.namespace = ? AND s.name IN ({_marks(test.values)}) AND x.schedule_key = s.schedule_key"
    return Lead("workflow_schedules s CROSS JOIN workflows x", Sql(which, (search.namespace, *test.values)), (test,))


def _by_owner(search: Search, _writer: Writer, test: Test) -> Lead:
    which = Sql(f"x.owner IN ({_marks(test.values)}) AND x.token IS NOT NULL", test.values)
    return Lead("workflow_tasks x", _in_namespace(search, which), (test,))


def _by_run_id(search: Search, _writer: Writer, test: Test) -> Lead:
    """A run id ends in the run's key; the test itself is asked of what is found."""
    ends = [str(value).rpartition("-")[2] for value in test.values]
    keys = tuple(int(end) for end in ends if end.isascii() and end.isdigit() and len(end) <= 16)
    return Lead("workflows x", _in_namespace(search, Sql(f"x.run_key IN ({_marks(keys) or 'NULL'})", keys)), ())


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


_FINDERS: dict[tuple[str, str], Callable[[Search, Writer, Test], Lead | None]] = {
    ("WorkflowId", "="): _by_column,
    ("WorkflowId", "starts"): _by_column,
    ("WorkflowType", "="): _by_column,
    ("Status", "="): _by_column,
    ("ParentId", "="): _by_parent,
    ("ScheduleId", "="): _by_schedule,
    ("ClaimedBy", "="): _by_owner,
    ("RunId", "="): _by_run_id,
}
