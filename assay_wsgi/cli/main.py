"""The command `assay` itself: its groups. Each command's module is imported when the command is called."""

from __future__ import annotations

import click

from ..version import __version__
from .remote import EngineRoot

COMMANDS = {
    "serve": "serve:serve",
    "sidecar": "sidecar:sidecar",
    "workflow": "workflow:workflow",
    "activity": "activity:activity",
    "namespace": "namespace:namespace",
    "worker": "workers:workers",
    "queue": "queue:queue",
    "openapi": "openapi:openapi",
    "config": "config:config",
    "db": "db:db",
    "fsck": "fsck:fsck",
    "doctor": "doctor:doctor",
    "healthcheck": "healthcheck:healthcheck",
    "completion": "completion:completion",
}


@click.group(cls=EngineRoot, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", "-V", prog_name="assay", message="%(prog)s %(version)s")
def cli() -> None:
    """A durable workflow engine: run the service, its workers and its upkeep, and ask a running one."""


@cli.command(cls=click.Command)
def version() -> None:
    """Say which version this is."""
    click.echo(f"assay {__version__}")
