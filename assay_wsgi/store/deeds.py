"""The audit log, read: filters become one query, pages follow each other by the lines' ids."""

from __future__ import annotations

from typing import Any

from ..domain.requests import DeedFilter
from .connection import Connection
from .tables import AuditEntry


def deeds(db: Connection, wanted: DeedFilter) -> tuple[list[dict[str, Any]], bool]:
    """Give lines, newest first, and whether more follow."""
    table = AuditEntry
    query = table.select().order_by(table.id.desc()).limit(wanted.limit + 1).dicts()
    if isinstance(wanted.namespace, str):
        query = query.where(table.namespace == wanted.namespace)
    elif wanted.namespace is not None:
        query = query.where(table.namespace.in_(sorted(wanted.namespace)))
    for name in ("principal", "action", "target", "outcome"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(table, name) == value)
    if wanted.after is not None:
        query = query.where(table.at > wanted.after)
    if wanted.before is not None:
        query = query.where(table.at < wanted.before)
    if wanted.before_id is not None:
        query = query.where(table.id < wanted.before_id)
    found = [dict(row) for row in query.execute(db.database)]
    return found[: wanted.limit], len(found) > wanted.limit
