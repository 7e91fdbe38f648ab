"""The command `assay` itself: its groups. Each command's module is imported when the command is called."""

from __future__ import annotations

import click

from ..version import __version__
from .remote.commands import EngineRoot

COMMANDS = {
    "serve": "processes.serve:serve",
    "sidecar": "processes.sidecar:sidecar",
    "workflow": "workflow:workflow",
    "schedule": "schedule:schedule",
    "events": "remote.events:events",
    "activity": "remote.activity:activity",
    "namespace": "remote.namespace:namespace",
    "worker": "remote.workers:workers",
    "queue": "remote.queue:queue",
    "apikey": "remote.apikey:apikey",
    "audit": "remote.audit:audit",
    "openapi": "remote.openapi:openapi",
    "config": "remote.config:config",
    "db": "db:db",
    "fsck": "db.fsck:fsck",
    "doctor": "remote.doctor:doctor",
    "healthcheck": "remote.healthcheck:healthcheck",
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
