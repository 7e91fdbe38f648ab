"""The command `assay` itself: its groups, and how its refusals look."""

from __future__ import annotations

import click

from ..version import __version__
from .db import db
from .fsck import fsck
from .serve import serve
from .sidecar import sidecar
from .worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A durable workflow engine: run the service, its workers and its upkeep."""


@cli.command()
def version() -> None:
    """Say which version this is."""
    click.echo(f"assay {__version__}")


for command in (serve, sidecar, worker, fsck, db):
    cli.add_command(command)
