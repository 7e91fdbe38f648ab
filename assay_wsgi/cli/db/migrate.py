"""`assay db migrate`: bring a schema to what this build needs."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from ...domain.errors import AssayError
from ...settings import BackendUrl
from ..options import backend_option
from ..options import with_settings


@click.command()
@backend_option
def migrate(*, backend: str | None) -> None:
    """Bring the database's schema to what this build needs; make it where the database is empty."""
    from ...store.store import Store

    settings, _ = with_settings(backend)
    shown = settings.backend.shown
    if settings.backend.in_memory:
        raise click.UsageError("sqlite://:memory: is made anew each time: there is nothing to migrate")
    try:
        reached = _migrated(settings.backend)
        Store.open(settings.database_url).close()  # fills an empty one, verifies any other
    except AssayError as error:
        click.echo(f"assay db migrate: {shown}: {error}", err=True)
        sys.exit(1)
    if reached is None:
        click.echo(f"{shown}: made")
    elif reached:
        click.echo(f"{shown}: migrated to version {', '.join(map(str, reached))}")
    else:
        click.echo(f"{shown}: nothing to do")


def _migrated(backend: BackendUrl) -> list[int] | None:
    """Run the steps that are missing. None where there is nothing yet to take a step from."""
    from ...store import schema
    from ...store.turnstile import Turnstile
    from .stores import database
    from .stores import dialect_of

    dialect = dialect_of(backend)
    turn: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if dialect.writers_queue:
        turn = Turnstile(backend.path)
    with turn, database(dialect, "writer") as connected:
        if not connected.get_tables():
            return None
        return schema.migrate(connected, backend.dialect)
