"""How a database carries a statement out, and whether an index leads."""

from __future__ import annotations

import re

from assay_wsgi.store.store import Store
from tests.store.heard import Statement


def plan(store: Store, role: str, query: Statement) -> str:
    """Ask how a statement is carried out, on a connection of the role that runs it."""
    explain = "EXPLAIN QUERY PLAN " if store.dialect.name == "sqlite" else "EXPLAIN "
    db = store._connection(role)
    cursor = db.database.cursor()
    cursor.execute(explain + query.sql, query.params)
    lines = [str(row[-1]) for row in cursor.fetchall()]
    cursor.close()
    db.close()
    return "\n".join([query.sql, *lines])


def assert_served_by(store: Store, index: str, plan: str) -> None:
    """The plan walks this index in its order: it neither reads a table through nor sorts.

    The few rows that are due may be fetched by the deadline index first and sorted then: PostgreSQL takes that
    for the cheaper way where the table's pages have been used before.
    """
    _, _, steps = plan.partition("\n")
    assert index in steps, plan
    few = index.endswith("_deadline") and f"Bitmap Index Scan on {index}" in steps
    for bad in ("TEMP B-TREE FOR ORDER BY", "Seq Scan", *(() if few else ("Sort",))):
        assert bad not in steps, plan
    whole = [step for step in steps.splitlines() if re.match(r"SCAN (?!\w+ VIRTUAL|json_each|CONSTANT)", step)]
    assert all(f"INDEX {index}" in step for step in whole), plan
