"""From what a filter says to SQL, in the common subset: whatever a user wrote is a parameter.

A test that does not hold may come out as NULL: that counts as false here, since a NOT stands at tests alone, and
there NULL is made false first.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from ..domain.filters import All
from ..domain.filters import Condition
from ..domain.filters import Field
from ..domain.filters import Kind
from ..domain.filters import Test
from ..domain.model import Status
from . import attributes
from .dialect import Dialect
from .reads import CLAIMED_BY
from .reads import PARENT_ID

COLUMNS = {
    "WorkflowId": "w.workflow_id",
    "RunId": "w.run_id",
    "WorkflowType": "w.workflow_type",
    "Status": "w.status",
    "CloseReason": "w.close_reason",
    "TaskQueue": "w.task_queue",
    "StartTime": "w.created_at",
    "CloseTime": "w.completed_at",
    "ExecutionDuration": "(w.completed_at - w.created_at)",
    "HistoryLength": "w.last_seq",
    "ParentId": PARENT_ID,
    "ScheduleId": "(SELECT s.name FROM workflow_schedules s WHERE s.schedule_key = w.schedule_key)",
    "FirstRunId": "w.first_run_id",
    "ClaimedBy": CLAIMED_BY,
    "Paused": "(w.paused IS NOT NULL)",
    "CancelRequested": "(w.cancel_requested_at IS NOT NULL)",
    "TaskFailing": "(w.task_failure IS NOT NULL)",
}
_TEXTS = (Kind.TEXT, Kind.CHOICE)
_LAST = chr(0x10FFFF)
_WAITING = "(w.status = ? AND w.waiting_for LIKE ?)"
_PARKED = (Status.RUNNING.value, '%"kind":"signal"%')


class Sql(NamedTuple):
    """A piece of SQL and its parameters."""

    text: str
    params: tuple[Any, ...] = ()


def joined(parts: Iterable[Sql], word: str) -> Sql:
    """Join pieces by a word."""
    found = list(parts)
    return Sql(word.join(part.text for part in found), tuple(value for part in found for value in part.params))


class Writer:
    """Writes conditions on a run `w`.

    Of `asides` no planner sees what they ask: it would follow their index, or think that they leave few runs.
    """

    def __init__(self, dialect: Dialect, asides: Callable[[Test], bool] = lambda _: False) -> None:
        self._dialect = dialect
        self._asides = asides

    def condition(self, condition: Condition) -> Sql:
        """Write a condition, in brackets where it needs them."""
        if isinstance(condition, Test):
            return self._test(condition)
        if not condition.parts:
            return Sql("1 = 1")
        word = " AND " if isinstance(condition, All) else " OR "
        inside = joined(map(self.condition, condition.parts), word)
        return Sql(f"({inside.text})", inside.params)

    def _test(self, test: Test) -> Sql:
        if test.field.kind is Kind.ATTRIBUTE:
            which = of_attribute("a", test)
            text = f"EXISTS (SELECT 1 FROM workflow_attributes a WHERE a.run_key = w.run_key AND {which.text})"
            return Sql(f"NOT {text}" if test.turned else text, which.params)
        found = self.of_column(COLUMNS[test.field.name], test)
        if test.turned:
            return Sql(f"NOT COALESCE({found.text}, 1 = 0)", found.params)
        return Sql(f"(CASE WHEN {found.text} THEN 1 ELSE 0 END > 0)", found.params) if self._asides(test) else found

    def of_column(self, column: str, test: Test) -> Sql:
        """Write a test, untouched by a NOT, on this expression."""
        if test.sign == "has":
            return Sql("1 = 1") if test.field.always else Sql(f"({column} IS NOT NULL)")
        if test.sign == "starts":
            return _within(self._dialect.exact(column), str(test.values[0]))
        if test.sign == "=":
            return self._equal(column, test)
        if test.field.kind in _TEXTS:
            column = self._dialect.exact(column)
        return Sql(f"({column} {test.sign} ?)", test.values)

    @staticmethod
    def _equal(column: str, test: Test) -> Sql:
        stored = [value for value in test.values if value != "WAITING" or test.field.name != "Status"]
        parts = [Sql(_WAITING, _PARKED)] if len(stored) < len(test.values) else []
        if len(stored) == 1:
            parts.append(Sql(f"{column} = ?", tuple(stored)))
        elif stored:
            parts.append(Sql(f"{column} IN ({', '.join('?' * len(stored))})", tuple(stored)))
        found = joined(parts, " OR ")
        return Sql(f"({found.text})", found.params)


def of_attribute(alias: str, test: Test) -> Sql:
    """Write a test, untouched by a NOT, on a row of workflow_attributes. `rest` is looked at where it must be."""
    if test.sign == "has":
        found = Sql(f"{alias}.value <> ?", (attributes.NULL,))
    elif test.sign == "starts":
        found = _attribute_starts(alias, str(test.values[0]))
    else:
        found = joined((_attribute_compares(alias, test.sign, value) for value in test.values), " OR ")
        if test.sign != "=":
            low, high = attributes.kind_bounds(test.values[0])
            sign, bound = (">=", low) if test.sign[0] == "<" else ("<", high)
            found = Sql(f"{alias}.value {sign} ? AND {found.text}", (bound, *found.params))
    return Sql(f"{alias}.name = ? AND ({found.text})", (test.field.name, *found.params))


def _attribute_compares(alias: str, sign: str, value: Any) -> Sql:
    written = attributes.written(value)
    if written.whole:
        return Sql(f"{alias}.value {sign} ?", written[:1])
    return Sql(f"({alias}.value, {alias}.rest) {sign} (?, ?)", written)


def _attribute_starts(alias: str, prefix: str) -> Sql:
    written = attributes.written(prefix)
    if written.whole:
        return _within(f"{alias}.value", written.value)
    tail = _within(f"{alias}.rest", written.rest)
    return Sql(f"{alias}.value = ? AND {tail.text}", (written.value, *tail.params))


def order_column(dialect: Dialect, field: Field) -> str:
    """Give what runs are ordered by; of an attribute, a column of its row `o`. Long texts are told apart by no more."""
    if field.kind is Kind.ATTRIBUTE:
        return "o.value"
    column = COLUMNS[field.name]
    return dialect.exact(column) if field.kind in _TEXTS else column


def _within(column: str, prefix: str) -> Sql:
    """Write `the text begins with this`, as the range that an index can serve."""
    if not prefix:
        return Sql(f"({column} IS NOT NULL)")
    above = prefix.rstrip(_LAST)
    if not above:
        return Sql(f"({column} >= ?)", (prefix,))
    following = ord(above[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:  # these are no characters
        following = 0xE000
    return Sql(f"({column} >= ? AND {column} < ?)", (prefix, above[:-1] + chr(following)))
