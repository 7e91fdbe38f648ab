"""Lists of runs and counts of them: a search becomes one query, and pages follow each other by a cursor.

The keys of a page are found first, among narrow columns; its rows are fetched by key then, in the same statement.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from hashlib import blake2b
from typing import Any
from typing import NamedTuple

from ..domain.errors import Invalid
from ..domain.filters import NEWEST_FIRST
from ..domain.filters import All
from ..domain.filters import Kind
from ..domain.filters import Search
from ..domain.filters import Test
from ..domain.model import Run
from ..jsontext import dumps
from ..jsontext import loads
from . import leads
from .conditions import Sql
from .conditions import Writer
from .conditions import joined
from .conditions import of_attribute
from .conditions import order_column
from .connection import Connection
from .mapping import RUNS
from .pages import filled
from .pages import size_of
from .reads import CLAIMED_BY
from .reads import PARENT_ID
from .reads import SeenRun

MAX_GROUPS = 1000
_DAY_SECS = 86400
_WIDTH = len(RUNS.names) + 2
_SHOWN = f"{RUNS.prefixed('w')}, {CLAIMED_BY}, {PARENT_ID}"
_GROUPED = {"status": "w.status", "type": "w.workflow_type", "queue": "w.task_queue", "close_reason": "w.close_reason"}

Place = tuple[Any, ...]  # what a run is ordered by (None = it does not have it), then its key


class _Placed(NamedTuple):
    seen: SeenRun
    place: Place


def workflows(db: Connection, search: Search) -> tuple[list[SeenRun], str | None]:
    """Give a page of runs, and the cursor of the next one. Raises Invalid."""
    query = _Query(db, search)
    start = None if search.cursor is None else _read_cursor(search)

    def fetch(last: _Placed | None, count: int) -> list[_Placed]:
        return query.after(start if last is None else last.place, count, 0 if last else search.offset)

    rows, more = filled(fetch, lambda row: _size(row.seen), search.limit)
    return [row.seen for row in rows], _cursor(search, rows[-1].place) if more else None


def count(db: Connection, search: Search) -> int:
    """Count runs."""
    lead = _lead_of_count(db, search)
    if lead is not None and not leads.left_of(search, lead):
        return int(db.one(f"SELECT COUNT(*) FROM ({lead.keys.text}) k", lead.keys.params)[0])
    before, runs = _counted(db, search, lead)
    return int(db.one(f"{before} SELECT COUNT(*) {runs.text}", runs.params)[0])


def groups(db: Connection, search: Search, by: str) -> tuple[list[tuple[str | None, int]], bool]:
    """Count runs by what they have in common, the largest groups first, and say whether there are more groups."""
    before, runs = _counted(db, search, _lead_of_count(db, search))
    column = db.dialect.whole(f"(w.created_at / {_DAY_SECS})") if by == "day" else _GROUPED[by]
    found = db.rows(
        f"{before} SELECT {column}, COUNT(*) {runs.text} GROUP BY 1 ORDER BY 2 DESC LIMIT {MAX_GROUPS + 1}", runs.params
    )
    named = [(_day(one) if by == "day" else one, rows) for one, rows in found[:MAX_GROUPS]]
    named.sort(key=lambda group: (-group[1], group[0] is not None, group[0]))
    return named, len(found) > MAX_GROUPS


def _lead_of_count(db: Connection, search: Search) -> leads.Lead | None:
    """Give where to begin where no order is asked for: among wide indexes of one table the planner is as good."""
    lead = leads.chosen(db, search)
    return lead if lead is not None and (lead.narrow or lead.apart) else None


def _counted(db: Connection, search: Search, lead: leads.Lead | None) -> tuple[str, Sql]:
    """Write what stands before the SELECT, and FROM and WHERE with the parameters of all."""
    source = _source(search, lead)
    which = joined((source.where, Writer(db.dialect).condition(All(leads.left_of(search, lead)))), " AND ")
    runs = f"FROM {source.tables} WHERE {which.text}"
    return source.before.text, Sql(runs, (*source.before.params, *which.params))


def descendants(db: Connection, chain: int, limit: int) -> tuple[list[SeenRun], bool]:
    """Give the runs below a chain, generation by generation, oldest first, and whether there are more.

    Of a child that continued as new all runs are there.
    """
    rows: list[SeenRun] = []
    above = [chain]
    while above:
        found = db.rows(
            f"SELECT {_SHOWN} FROM workflows w WHERE "
            f"w.parent_chain_key IS NOT NULL AND {db.dialect.in_list('w.parent_chain_key')} "
            "ORDER BY w.created_at, w.run_key LIMIT ?",
            (db.dialect.list_of(above), limit - len(rows) + 1),
        )
        generation = [_seen(row) for row in found]
        if len(rows) + len(generation) > limit:
            return [*rows, *generation][:limit], True
        rows += generation
        above = sorted({seen.run.first_run_key for seen in generation if seen.run.has_children})
    return rows, False


class _Source(NamedTuple):
    """Where the runs `w` come from."""

    before: Sql  # a WITH, where the lead is found first
    tables: str
    where: Sql
    start: tuple[str, str]  # columns that have the order of starts


def _source(search: Search, lead: leads.Lead | None) -> _Source:
    parts = [] if search.chain is None else [Sql("w.parent_chain_key = ?", (search.chain,))]
    if lead is not None and lead.narrow:
        few = Sql(f"WITH few AS MATERIALIZED ({lead.keys.text})", lead.keys.params)
        where = joined([Sql("w.run_key = few.run_key"), *parts], " AND ")
        return _Source(few, "few CROSS JOIN workflows w", where, ("w.created_at", "w.run_key"))
    if lead is not None:
        where = joined([Sql("w.run_key = x.run_key"), lead.which, *parts], " AND ")
        return _Source(Sql(""), f"{lead.tables} CROSS JOIN workflows w", where, ("x.created_at", "x.run_key"))
    where = joined([Sql("w.namespace = ?", (search.namespace,)), *parts], " AND ")
    return _Source(Sql(""), "workflows w", where, ("w.created_at", "w.run_key"))


class _Query:
    """A search on its way: written once, run for each piece of a page."""

    def __init__(self, db: Connection, search: Search) -> None:
        self._db = db
        self._field = search.order.field
        self._descending = search.order.descending
        by_start = self._field.name == "StartTime"
        lead = leads.chosen(db, search)
        if lead is not None and not lead.narrow and not (lead.apart and lead.walked and by_start):
            lead = None
        walks = by_start and (lead is None or not lead.narrow)
        tests = leads.left_of(search, lead) + (leads.implied(search) if walks else ())
        writer = Writer(db.dialect, leads.leads_astray) if walks else Writer(db.dialect)
        condition = writer.condition(All(tests))
        self._source = _source(search, lead)
        self._where = joined((self._source.where, condition), " AND ")
        self._column = self._source.start[0] if by_start else order_column(db.dialect, self._field)

    def after(self, place: Place | None, count: int, offset: int) -> list[_Placed]:
        """Give so many runs after a place: those that have what they are ordered by, then those that have not."""
        rows: list[_Placed] = []
        if place is None or place[0] is not None:
            rows = self._having(place, count, offset)
        if len(rows) < count and not self._field.always:
            rows += self._lacking(place if place is not None and place[0] is None else None, count - len(rows))
        return rows

    def _having(self, place: Place | None, count: int, offset: int) -> list[_Placed]:
        tables, parts = self._source.tables, [self._where]
        if self._field.kind is Kind.ATTRIBUTE:
            own = of_attribute("o", Test(self._field, "has"))
            tables += " CROSS JOIN workflow_attributes o"
            parts.append(Sql(f"o.run_key = w.run_key AND {own.text}", own.params))
        elif not self._field.always:
            parts.append(Sql(f"{self._column} IS NOT NULL"))
        return self._piece(tables, parts, (self._column,), place, count, offset)

    def _lacking(self, place: Place | None, count: int) -> list[_Placed]:
        lacks = Writer(self._db.dialect).condition(Test(self._field, "has", turned=True))
        found = self._piece(self._source.tables, [self._where, lacks], (), place and place[-1:], count, 0)
        return [row._replace(place=(None, *row.place)) for row in found]

    def _piece(
        self, tables: str, parts: list[Sql], columns: Sequence[str], place: Place | None, count: int, offset: int
    ) -> list[_Placed]:
        by = (*columns, self._source.start[1])
        way, sign = ("DESC", "<") if self._descending else ("ASC", ">")
        if place is not None:
            parts = [*parts, Sql(f"({', '.join(by)}) {sign} ({', '.join('?' * len(by))})", place)]
        where = joined(parts, " AND ")
        placed = [f"o{number}" for number in range(len(by))]
        found = self._db.rows(
            f"{self._source.before.text} SELECT {_SHOWN}, {', '.join(f'k.{name}' for name in placed)} FROM "
            f"(SELECT {', '.join(f'{column} AS {name}' for column, name in zip(by, placed, strict=True))} "
            f"FROM {tables} WHERE {where.text} ORDER BY {', '.join(f'{column} {way}' for column in by)} "
            f"LIMIT {count:d} OFFSET {offset:d}) k CROSS JOIN workflows w WHERE w.run_key = k.{placed[-1]}",
            (*self._source.before.params, *where.params),
        )
        rows = [_Placed(_seen(row[:_WIDTH]), tuple(row[_WIDTH:])) for row in found]
        return sorted(rows, key=lambda row: row.place, reverse=self._descending)


def _seen(row: Sequence[Any]) -> SeenRun:
    return SeenRun(Run._make(row[:-2]), row[-2], row[-1])


def _size(seen: SeenRun) -> int:
    run = seen.run
    return size_of(run.input, run.result, run.error, run.search_attributes)


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * _DAY_SECS, UTC).date().isoformat()


def _cursor(search: Search, place: Place) -> str:
    return base64.urlsafe_b64encode(dumps([*place, *_order(search)]).encode()).decode().rstrip("=")


def _order(search: Search) -> list[str]:
    """Give what a cursor says of the order that it belongs to."""
    if search.order == NEWEST_FIRST:
        return []
    field, way = search.order.field, "desc" if search.order.descending else "asc"
    return [blake2b(f"{field.kind} {field.name} {way}".encode(), digest_size=6).hexdigest()]


def _read_cursor(search: Search) -> Place:
    """Read where a page ended. Raises Invalid for a cursor that is none of ours, or of a list in another order."""
    cursor = search.cursor or ""
    try:
        value, run_key, *order = loads(base64.urlsafe_b64decode((cursor + "=" * (-len(cursor) % 4)).encode("ascii")))
        if order != _order(search) or type(run_key) is not int or abs(run_key) >= 2**63:
            raise ValueError
        if value is None and search.order.field.always:
            raise ValueError
        return None if value is None else _fitting(search.order.field.kind, value), run_key
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise Invalid(
            "this is no cursor of ours for this order: take it from the Link header", code="invalid_cursor"
        ) from error


def _fitting(kind: Kind, value: Any) -> Any:
    """Give a value as the database compares it. Raises ValueError, TypeError."""
    if kind in (Kind.TIME, Kind.DURATION, Kind.NUMBER):
        if type(value) not in (int, float):
            raise ValueError
        return float(value)
    if "\x00" in value.encode().decode():
        raise ValueError
    return value
