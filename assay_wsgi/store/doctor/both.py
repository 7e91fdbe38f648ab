"""What is looked at on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...jsontext import loads
from .. import schema
from ..connection import Connection

_AHEAD_SECS = 5.0
_SHOWN = 10
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+)")


def indexes(name: schema.Dialect) -> dict[str, str]:
    """Give the statement of every index that this build's schema has, by name."""
    text = schema.SCHEMA.read_text(encoding="utf-8")
    made = ((INDEX.match(statement), statement) for statement in schema.statements(text, name))
    return {found[1]: statement for found, statement in made if found}


def wrong_schema(db: Connection, name: schema.Dialect) -> Iterator[tuple[str, str]]:
    """Find a database that this build does not work with."""
    try:
        schema.verify(db.database, name)
    except schema.SchemaMismatch as error:
        text, _, advice = str(error).partition(": ")
        yield text, advice or "Use the build that made it"


def future_notices(db: Connection) -> Iterator[tuple[str, str]]:
    """Find a clock that was set back: what is written now would be older than what is there."""
    found = db.one("SELECT created_at FROM notices ORDER BY id DESC LIMIT 1")
    ahead = 0.0 if found is None else found[0] - db.dialect.now(db)
    if ahead > _AHEAD_SECS:
        yield (
            f"the newest change was made {ahead:.0f} s in the future: a clock was set back, or was wrong",
            "Keep the clocks with NTP. Timers and leases that were set by the wrong clock end that much later",
        )


def failing_schedules(db: Connection) -> Iterator[tuple[str, str]]:
    """Find schedules that the sidecar cannot work on."""
    failing = "SELECT namespace, name, error FROM workflow_schedules WHERE error IS NOT NULL"
    found = db.rows(f"{failing} ORDER BY namespace, name LIMIT ?", (_SHOWN,))
    for namespace, name, error in found:
        told = loads(error)
        yield (
            f"schedule {name} of namespace {namespace} failed {told['count']} times in a row: {told['message']}",
            "Bring the zones of the sidecar's host up to date (pip install -U tzdata), or change the schedule",
        )
