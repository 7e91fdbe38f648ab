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
from ..options import GIVEN
from ..options import VERBOSE
from ..options import SharedOption
from ..options import record_options
from ..output import Output
from ..profile import Profile
from ..profile import resolve
from .service import HTTP_SECS
from .service import Service

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def _be_verbose(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.meta[VERBOSE] = True
        logs.configure("debug")


def engine_options() -> list[SharedOption]:
    """Make the options anew: each command owns its own."""
    return [
        SharedOption(
            "--engine-url", metavar="URL", help="The service.  [env: ASSAY_ENGINE_URL; default: http://127.0.0.1:8080]"
        ),
        SharedOption("--api-key", metavar="KEY", help="Who asks.  [env: ASSAY_API_KEY_FILE, ASSAY_API_KEY]"),
        SharedOption("--namespace", metavar="NAME", help="[env: ASSAY_NAMESPACE; default: main]"),
        *record_options(),
        SharedOption(
            "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECS",
            help=f"How long to wait for an answer.  [default: {HTTP_SECS:g}]",
        ),
        SharedOption("--utc", is_flag=True, help="Times of tables in UTC, not in local time."),
        SharedOption("--epoch", is_flag=True, help="Times of tables in seconds since 1970, as on a pipe."),
        SharedOption("--verbose", "-v", is_flag=True, callback=_be_verbose, help="Log requests to standard error."),
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
                (shared if isinstance(param, SharedOption) else own).append(record)
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
        return Service(self.profile, self.timeout_secs(HTTP_SECS))

    @cached_property
    def out(self) -> Output:
        """Standard output, in the format that is wanted."""
        return Output(self.profile.output, self._given.get("times"))

    def timeout_secs(self, unsaid: float) -> float:
        """Say how long to wait for an answer: as long as was said, or as the command knows."""
        said: float = self._given.get("timeout", unsaid)
        return said

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
