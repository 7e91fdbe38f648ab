"""What a database is and holds, read cheaply and without changing anything: `assay db status`."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from . import schema
from .checks import OPEN
from .connection import Connection
from .dialect import Server

COUNTED = 100_000  # rows; of a longer table the dialect's estimate is given
TABLES = (
    "namespaces", "workflows", "workflow_tasks", "workflow_events", "workflow_activities", "workflow_timers",
    "workflow_signals", "workflow_schedules", "workflow_workers", "queues", "notices", "followups",
    "idempotency_keys", "api_keys", "audit_log",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How many rows a table has."""

    table: str
    rows: int
    precision: Literal["exact", "estimate", "at least"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The sidecar that leads, or was the last to lead."""

    owner: str
    epoch: int
    expires_at: float
    leads: bool  # its lease has not run out


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What there is to know of a database."""

    now: float  # by the database's clock
    server: Server
    schema_version: int
    trouble: str | None  # why this build cannot work with the database, and the way out
    pending: Sequence[str] = ()  # steps that `assay db migrate` would take
    open_runs: Mapping[str, int] = field(default_factory=dict)  # by status
    leader: Leader | None = None
    tables: Sequence[Rows] = ()

    @property
    def ready(self) -> bool:
        """Whether this build can work with it."""
        return self.trouble is None


def look(db: Connection, name: schema.Dialect, *, lease: str, exact: bool = False) -> Status:
    """Look at a database as it is; `exact` counts every row. Raises SchemaMismatch where it is none of ours.

    Of a database of another version only that is told: its tables may be others.
    """
    version, now = schema.stored_version(db.database), db.dialect.now(db)
    server = db.dialect.server(db)
    try:
        schema.verify(db.database, name)
    except schema.SchemaMismatch as error:
        pending = schema.pending(version)
        return Status(now=now, server=server, schema_version=version, trouble=str(error), pending=pending)
    return Status(
        now=now,
        server=server,
        schema_version=version,
        trouble=None,
        open_runs=dict(db.rows(f"SELECT status, COUNT(*) FROM workflows WHERE status IN {OPEN} GROUP BY status")),
        leader=_leader(db, lease, now),
        tables=[_rows(db, table, exact) for table in TABLES],
    )


def _leader(db: Connection, lease: str, now: float) -> Leader | None:
    found = db.one("SELECT owner, epoch, expires_at FROM leases WHERE name = ? AND owner IS NOT NULL", (lease,))
    if found is None:
        return None
    owner, epoch, expires_at = found
    return Leader(owner=owner, epoch=epoch, expires_at=expires_at, leads=expires_at > now)


def _rows(db: Connection, table: str, exact: bool) -> Rows:
    limit = "" if exact else f"LIMIT {COUNTED + 1}"
    counted = db.one(f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} {limit}) AS found")[0]
    if exact or counted <= COUNTED:
        return Rows(table=table, rows=counted, precision="exact")
    estimate = db.dialect.estimated_rows(db, table)
    if estimate is None or estimate <= COUNTED:
        return Rows(table=table, rows=COUNTED, precision="at least")
    return Rows(table=table, rows=estimate, precision="estimate")
