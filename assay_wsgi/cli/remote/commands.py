"""Commands that talk to a running service: their common options, and what they are given to work with.

The options may stand before and after each sub-command; the innermost counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any
from typing import TypeVar

import click

from ...settings import inherited_environ
from .. import logs
from ..groups import LazyGroup
from ..groups import Root
from ..options import VERBOSE
from ..output import Output
from ..profile import Profile
from ..profile import resolve
from .service import HTTP_SECS
from .service import Service

GIVEN = "assay_wsgi.given"  # in the context: the options that were given, whichever level they stood at

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def _note(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:
        name = option.name or ""
        noted = {"as_json": ("output", "json"), "utc": ("times", "utc"), "epoch": ("times", "epoch")}
        name, value = noted.get(name, (name, value))
        context.meta.setdefault(GIVEN, {})[name] = value


def _be_verbose(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.meta[VERBOSE] = True
        logs.configure("debug")


def refuse_engine_options(context: click.Context, name: str | None, command: click.Command | None) -> None:
    """Refuse options that a command would not heed: they stood before one that talks to no service."""
    given = context.meta.get(GIVEN)
    if given and command is not None and not isinstance(command, _WithEngineOptions):
        meant = " and ".join(f"--{option.replace('_', '-')}" for option in given)
        raise click.UsageError(f"{meant}: '{name}' does not heed options that stand before it", context)


class EngineOption(click.Option):
    """An option of every command that talks to a service."""

    def __init__(self, *declared: str, **more: Any) -> None:
        super().__init__(declared, expose_value=False, **{"callback": _note, **more})


def engine_options() -> list[click.Option]:
    """Make the options anew: each command owns its own."""
    return [
        EngineOption(
            "--engine-url", metavar="URL", help="The service.  [env: ASSAY_ENGINE_URL; default: http://127.0.0.1:8080]"
        ),
        EngineOption("--api-key", metavar="KEY", help="Who asks.  [env: ASSAY_API_KEY_FILE, ASSAY_API_KEY]"),
        EngineOption("--namespace", metavar="NAME", help="[env: ASSAY_NAMESPACE; default: main]"),
        EngineOption(
            "--output", "-o", metavar="FORMAT",
            help="table, json, jsonl or yaml.  [env: ASSAY_OUTPUT; default: table on a terminal, else json]",
        ),
        EngineOption("--json", "as_json", is_flag=True, help="The same as --output json."),
        EngineOption("--config", metavar="FILE", help="The config file.  [env: ASSAY_CONFIG_FILE]"),
        EngineOption(
            "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECS",
            help=f"How long to wait for an answer.  [default: {HTTP_SECS:g}]",
        ),
        EngineOption("--utc", is_flag=True, help="Times of tables in UTC, not in local time."),
        EngineOption("--epoch", is_flag=True, help="Times of tables in seconds since 1970, as on a pipe."),
        EngineOption("--verbose", "-v", is_flag=True, callback=_be_verbose, help="Log requests to standard error."),
    ]  # fmt: skip


class _WithEngineOptions(click.Command):
    """Takes the engine options, shown in a section of their own. A command may have a --timeout that means more."""

    def __init__(self, name: str | None, params: list[click.Parameter] | None = None, **options: Any) -> None:
        own = list(params or [])
        taken = {name for param in own for name in param.opts}
        shared = [option for option in engine_options() if not taken & set(option.opts)]
        super().__init__(name, params=[*own, *shared], **options)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help: what is the command's own first."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                (shared if isinstance(param, EngineOption) else own).append(record)
        for title, records in (("Options", own), ("Engine options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class EngineCommand(_WithEngineOptions):
    """A command that talks to a running service."""


class EngineGroup(_WithEngineOptions, LazyGroup):
    """A group of such commands."""

    command_class = EngineCommand

    def __init__(self, name: str | None, **options: Any) -> None:
        super().__init__(name, **{"no_args_is_help": True, **options})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was meant, and whether it heeds what stood before it."""
        name, command, rest = super().resolve_command(ctx, args)
        refuse_engine_options(ctx, name, command)
        return name, command, rest


class EngineRoot(EngineGroup, Root):
    """`assay` itself: the options may stand before everything."""


class Session:
    """What a command works with: the service, and the output. Made when it is first asked for."""

    def __init__(self) -> None:
        given: dict[str, Any] = click.get_current_context().meta.get(GIVEN, {})
        self._given = given
        self.profile: Profile = resolve(given, inherited_environ({}))

    @cached_property
    def service(self) -> Service:
        """The service that is meant."""
        return Service(self.profile, self._given.get("timeout", HTTP_SECS))

    @cached_property
    def out(self) -> Output:
        """Standard output, in the format that is wanted."""
        return Output(self.profile.output, self._given.get("times"))

    def which(self, run_id: str | None) -> dict[str, Any]:
        """Say in a query which run of an id is meant, and where: in any namespace while nobody has named one."""
        return {"namespace": self.profile.named_namespace, "run_id": run_id}

    @property
    def interactive(self) -> bool:
        """Whether a person sits there who sees what is printed."""
        return sys.stdout.isatty() and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Tell a person something that is no result."""
        click.echo(text, err=True)

    def hint(self, text: str) -> None:
        """Tell what to do next, if a person is there."""
        if self.interactive:
            click.echo(f"hint: {text}", err=True)


def pass_session(command: AnyFunction) -> AnyFunction:
    """Give a command its Session as the first argument."""
    return click.make_pass_decorator(Session, ensure=True)(command)  # type: ignore[return-value]  # minus one argument
