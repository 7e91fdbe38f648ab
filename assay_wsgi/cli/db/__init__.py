"""`assay db`: what is done to a database as a whole. A command a module."""

from __future__ import annotations

import click

from ..groups import LazyGroup

COMMANDS = {
    "migrate": "db.migrate:migrate",
    "status": "db.status:status",
    "backup": "db.backup:backup",
    "doctor": "db.doctor:doctor",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def db() -> None:
    """Look after the database itself."""
