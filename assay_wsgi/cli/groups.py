"""Groups of commands that are imported when they are called, and the root that all of them hang from."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from typing import NoReturn

import click

from . import failures
from .options import refuse_unheeded


class LazyGroup(click.Group):
    """A group whose commands live in modules of this package: {name: "module:attribute"}."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        """Name the commands in the order in which they are declared."""
        return [*self._lazy, *(name for name in self.commands if name not in self._lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, importing its module if it was not needed before."""
        if cmd_name in self._lazy and cmd_name not in self.commands:
            module, _, attribute = self._lazy[cmd_name].partition(":")
            self.add_command(getattr(import_module(f".{module}", __package__), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was meant, and see that it heeds what stood before it.

        Raises UsageError: with the nearest names where there is none.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=3, cutoff=0.5)
            meant = (
                f"; did you mean {' or '.join(near)}?" if near else f"; there are {_listed(self.list_commands(ctx))}"
            )
            raise click.UsageError(f"there is no command '{name}'{meant}", ctx)
        found, command, rest = super().resolve_command(ctx, args)
        if command is not None and not isinstance(command, click.Group):
            refuse_unheeded(ctx, name, command)
        return found, command, rest


def _listed(names: list[str]) -> str:
    return ", ".join(names)


class Root(LazyGroup):
    """`assay` itself: from what went wrong to words and an exit code."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line and end the process. See failures.py for the exit codes."""
        code: Any = 0
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except click.Abort:
            code = failures.INTERRUPTED
        except click.ClickException as error:
            failures.report(error)
            code = error.exit_code
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; who only wanted the help may leave early."""
        with failures.reader_may_leave():
            return super().make_context(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the root's own options."""
        if not args and not ctx.resilient_parsing:
            raise failures.NothingGiven("", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and see that all it has printed is out."""
        with failures.reader_may_leave():
            answer = super().invoke(ctx)
            sys.stdout.flush()
            return answer
