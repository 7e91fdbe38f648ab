"""`assay db status`: what a database is, holds and waits for."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING
from typing import Any

import click

from ...sidecar.leader import LEASE
from ...sidecar.leader import TTL_SECS
from ..options import backend_option
from ..options import output_options
from ..options import with_settings
from ..output import Output
from ..output import aligned
from .sizes import size

if TYPE_CHECKING:
    from ...store.status import Rows
    from ...store.status import Status


@click.command()
@backend_option
@output_options
@click.option("--exact", is_flag=True, help="Count every row, however long that takes.")
def status(*, backend: str | None, output: Output, exact: bool) -> None:
    """Show schema, size, rows, open runs and the leading sidecar. Changes nothing.

    Exit code 0: this build can work with the database; 1: it cannot.
    """
    from ...store.status import look
    from .stores import looked_at

    settings, _ = with_settings(backend)
    with looked_at(settings.backend) as db:
        found = look(db, settings.backend.dialect, lease=LEASE, exact=exact)
    shown = _as_record(settings.backend.shown, found)
    if output.table:
        _print(output, found, shown)
    else:
        output.record(shown)
    sys.exit(0 if found.ready else 1)


def _as_record(database: str, found: Status) -> dict[str, Any]:
    from ...store.schema import VERSION

    leader = found.leader
    return {
        "database": database,
        "server": found.server.version,
        "ready": found.ready,
        "trouble": found.trouble,
        "schema_version": found.schema_version,
        "needed_version": VERSION,
        "pending_migrations": list(found.pending),
        "bytes": found.server.bytes,
        "journal_bytes": found.server.journal_bytes,
        "open_runs": {status: found.open_runs.get(status, 0) for status in ("PENDING", "RUNNING")},
        "leader": None
        if leader is None
        else {
            "owner": leader.owner,
            "leads": leader.leads,
            "epoch": leader.epoch,
            "renewed_secs_ago": round(found.now - (leader.expires_at - TTL_SECS), 3),
        },
        "tables": [dataclasses.asdict(each) for each in found.tables],
    }


def _print(output: Output, found: Status, shown: dict[str, Any]) -> None:
    version, needed = found.schema_version, shown["needed_version"]
    facts = [
        ("DATABASE", shown["database"]),
        ("SERVER", found.server.version),
        ("READY", "yes" if found.ready else f"no: {found.trouble}"),
        ("SCHEMA", f"version {version}" if version == needed else f"version {version}, this build needs {needed}"),
        ("MIGRATIONS", f"pending: {', '.join(found.pending)}" if found.pending else "none pending"),
        ("SIZE", _sizes(found)),
    ]
    if found.ready:
        runs = ", ".join(f"{count} {status}" for status, count in shown["open_runs"].items())
        facts += [("OPEN RUNS", runs), ("LEADER", _leader(shown["leader"]))]
        facts += [("ROWS" if not number else "", _rows(each)) for number, each in enumerate(found.tables)]
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        output.line(aligned((name, text), (width, 0)))


def _sizes(found: Status) -> str:
    journal = found.server.journal_bytes
    return size(found.server.bytes) + ("" if journal is None else f", and a journal of {size(journal)}")


def _leader(leader: dict[str, Any] | None) -> str:
    if leader is None:
        return "none: no sidecar is at work"
    said = f"{leader['owner']}, renewed {leader['renewed_secs_ago']:.1f} s ago"
    return said if leader["leads"] else f"none: the last was {said}"


def _rows(each: Rows) -> str:
    before = {"exact": "", "estimate": "about ", "at least": "over "}[each.precision]
    return f"{each.table} {before}{each.rows}"
