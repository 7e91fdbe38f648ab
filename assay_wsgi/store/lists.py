"""Lists of runs: filters become one query, built by Peewee, and pages follow each other by a cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import peewee

from ..domain.errors import Invalid
from ..domain.model import Run
from ..domain.model import Status
from ..domain.requests import ListFilter
from ..jsontext import dumps
from ..jsontext import loads
from .connection import Connection
from .mapping import RUNS
from .pages import filled
from .pages import size_of
from .reads import CLAIMED_BY
from .reads import PARENT_ID
from .reads import SeenRun
from .tables import Workflow
from .tables import WorkflowTask


def workflows(db: Connection, wanted: ListFilter) -> tuple[list[SeenRun], str | None]:
    """Give runs, newest first, and the cursor of the next page. Raises Invalid."""
    w = Workflow.alias("w")
    columns = [getattr(w, name) for name in RUNS.names]
    query = w.select(*columns, peewee.SQL(CLAIMED_BY), peewee.SQL(PARENT_ID)).where(w.namespace == wanted.namespace)
    for condition in _conditions(db, w, wanted):
        query = query.where(condition)
    query = query.order_by(w.created_at.desc(), w.run_key.desc())
    start = None if wanted.cursor is None else _read_cursor(wanted.cursor)

    def fetch(last: SeenRun | None, count: int) -> list[SeenRun]:
        after = start if last is None else (last.run.created_at, last.run.run_key)
        piece = query.limit(count)
        if after is not None:
            piece = piece.where(peewee.Tuple(w.created_at, w.run_key) < peewee.Tuple(*after))
        if last is None and wanted.offset:
            piece = piece.offset(wanted.offset)
        return [SeenRun(Run._make(row[:-2]), row[-2], row[-1]) for row in piece.tuples().execute(db.database)]

    rows, more = filled(fetch, _size, wanted.limit)
    return rows, _cursor(rows[-1].run.created_at, rows[-1].run.run_key) if more else None


def descendants(db: Connection, chain: int, limit: int) -> tuple[list[SeenRun], bool]:
    """Give the runs below a chain, generation by generation, oldest first, and whether there are more.

    Of a child that continued as new all runs are there.
    """
    rows: list[SeenRun] = []
    above = [chain]
    while above:
        found = db.rows(
            f"SELECT {RUNS.prefixed('w')}, {CLAIMED_BY}, {PARENT_ID} FROM workflows w WHERE "
            f"w.parent_chain_key IS NOT NULL AND {db.dialect.in_list('w.parent_chain_key')} "
            "ORDER BY w.created_at, w.run_key LIMIT ?",
            (db.dialect.list_of(above), limit - len(rows) + 1),
        )
        generation = [SeenRun(Run._make(row[:-2]), row[-2], row[-1]) for row in found]
        if len(rows) + len(generation) > limit:
            return [*rows, *generation][:limit], True
        rows += generation
        above = sorted({seen.run.first_run_key for seen in generation if seen.run.has_children})
    return rows, False


def _size(seen: SeenRun) -> int:
    run = seen.run
    return size_of(run.input, run.result, run.error, run.search_attributes)


def _conditions(db: Connection, w: Any, wanted: ListFilter) -> list[Any]:
    found = []
    if wanted.status == "WAITING":
        parked = '%"kind":"signal"%'
        found.append((w.status == Status.RUNNING.value) & w.waiting_for.is_null(False) & (w.waiting_for**parked))
    elif wanted.status is not None:
        found.append(w.status == wanted.status)
    if wanted.workflow_type is not None:
        found.append(w.workflow_type == wanted.workflow_type)
    if wanted.claimed_by is not None:
        held = WorkflowTask.select(WorkflowTask.run_key).where(WorkflowTask.owner == wanted.claimed_by)
        found.append(w.run_key.in_(held))
    if wanted.parent_id is not None:
        parents = Workflow.select(Workflow.run_key).where(
            (Workflow.namespace == wanted.namespace) & (Workflow.workflow_id == wanted.parent_id)
        )
        found.append(w.parent_key.in_(parents))
    if wanted.parent_chain_key is not None:
        found.append(w.parent_chain_key == wanted.parent_chain_key)
    if wanted.created_after is not None:
        found.append(w.created_at > wanted.created_after)
    if wanted.created_before is not None:
        found.append(w.created_at < wanted.created_before)
    if wanted.closed_after is not None:
        found.append(w.completed_at > wanted.closed_after)
    if wanted.closed_before is not None:
        found.append(w.completed_at < wanted.closed_before)
    if wanted.search_attrs:
        found += _attributes(db, wanted.search_attrs)
    return found


def _attributes(db: Connection, attributes: Mapping[str, Any]) -> list[Any]:
    """Compare attributes for equality; keys are parameters, whatever is in them."""
    return [
        peewee.SQL(*db.dialect.has_attribute("w.search_attributes", key, value)) for key, value in attributes.items()
    ]


def _cursor(created_at: float, run_key: int) -> str:
    return base64.urlsafe_b64encode(dumps([created_at, run_key]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[float, int]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, run_key = loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        if type(created_at) not in (int, float) or type(run_key) is not int or abs(run_key) >= 2**63:
            raise ValueError
        return float(created_at), run_key
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise Invalid("this is no cursor of ours: take it from the Link header", code="invalid_cursor") from error
