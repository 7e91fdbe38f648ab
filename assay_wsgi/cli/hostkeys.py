"""API keys of a database, made and ended on its host, without the service: whoever may write to it is let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..settings import Settings
from .failures import Failed

if TYPE_CHECKING:
    from ..engine.keys import ApiKeys


@contextmanager
def host_keys(settings: Settings) -> Iterator[ApiKeys]:
    """Open a database, made ready where it is empty, for its API keys. What is refused ends the command."""
    import peewee

    from ..domain.errors import AssayError
    from ..engine import Engine

    shown = settings.backend.shown
    if settings.backend.in_memory:
        raise click.UsageError("sqlite://:memory: is made anew in each process: name the service's database")
    try:
        engine = Engine.open(settings.database_url, settings=settings.engine)
        try:
            yield engine.api_keys
        finally:
            engine.close()
    except AssayError as error:
        raise Failed(f"{shown}: {error}") from None
    except peewee.DatabaseError as error:
        raise Failed(f"{shown} cannot be used: {error}") from None


def print_new_key(settings: Settings) -> None:
    """Make a key that may do everything; print it alone on standard output, as assay's own command does."""
    from ..domain.requests import NewKey

    with host_keys(settings) as keys:
        record, _ = keys.create(NewKey())
    click.echo(record["plaintext"])
    click.echo(f"{record['prefix']} may do everything. It is shown this once", err=True)


def print_keys(settings: Settings) -> None:
    """Print prefix and label of each key, as assay's own command does."""
    with host_keys(settings) as keys:
        for record in keys.list():
            click.echo(f"{record['prefix']}  {record['label'] or '-'}")
