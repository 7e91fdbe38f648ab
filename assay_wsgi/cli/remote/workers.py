"""`assay worker`: run a worker (`assay worker MODULE:APP`), and look at those that the service knows."""

from __future__ import annotations

import difflib
import re

import click

from ..output import Column
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session

_APP = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")

COLUMNS = (
    Column("ID", "id"),
    Column("IDENTITY", "identity"),
    Column("QUEUE", "task_queue"),
    Column("ACTIVE", "active_tasks"),
    Column("LAST HEARTBEAT", "last_heartbeat", time=True),
    Column("SILENT SECS", "silent_secs"),
)


class WorkerGroup(EngineGroup):
    """`assay worker hello:app` is short for `assay worker run hello:app`, wherever its options stand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell an app from a command."""
        named = set(self.list_commands(ctx)) & set(args)
        if not named and any(_APP.fullmatch(arg) for arg in args):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; tell an app without its colon. Raises UsageError."""
        name, known = args[0], self.list_commands(ctx)
        module = name.removesuffix(".py").replace("/", ".")
        is_module = all(part.isidentifier() for part in module.split("."))
        if is_module and name not in known and not difflib.get_close_matches(name, known, n=1):
            raise click.UsageError(
                f"'{name}' names no app: write MODULE:APP, as in {module}:app; there are also {', '.join(known)}", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=WorkerGroup,
    lazy={"run": "processes.worker:worker"},
    subcommand_metavar="MODULE:APP | COMMAND [ARGS]...",
)
def workers() -> None:
    """Run a worker (MODULE:APP, as in hello:app), or look at those that the service knows."""


@workers.command("list")
@pass_session
def list_workers(session: Session) -> None:
    """List the workers of a namespace that are not retired."""
    found = session.service.pages("list workers", "workers", namespace=session.profile.namespace)
    session.out.records(found, COLUMNS)
