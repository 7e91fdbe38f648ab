"""Options that several commands share, and the settings that they and the environment make together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import TypeVar

import click

from ..settings import Settings
from ..settings import SettingsError
from ..settings import inherited_environ
from .output import Output
from .profile import Format
from .profile import resolve

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

VERBOSE = "assay_wsgi.verbose"  # in the context: whether `assay -v` was said
GIVEN = "assay_wsgi.given"  # in the context: the shared options that were given, whichever level they stood at
_NOTED_AS = {"as_json": ("output", "json"), "utc": ("times", "utc"), "epoch": ("times", "epoch")}


def _note(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:
        name = option.name or ""
        name, value = _NOTED_AS.get(name, (name, value))
        context.meta.setdefault(GIVEN, {})[name] = value


class SharedOption(click.Option):
    """An option that may stand before and after each sub-command; the innermost counts. It is noted in GIVEN."""

    def __init__(self, *declared: str, **more: Any) -> None:
        super().__init__(declared, expose_value=False, **{"callback": _note, **more})

    @property
    def noted_as(self) -> str:
        """Its name in GIVEN."""
        return _NOTED_AS.get(self.name or "", (self.name or "",))[0]


def record_options(unsaid: str = "table on a terminal, else json") -> list[SharedOption]:
    """Make the options of every command that prints records anew: each command owns its own."""
    return [
        SharedOption(
            "--output", "-o", metavar="FORMAT",
            help=f"table, json, jsonl or yaml.  [env: ASSAY_OUTPUT; default: {unsaid}]",
        ),
        SharedOption("--json", "as_json", is_flag=True, help="The same as --output json."),
        SharedOption("--config", metavar="FILE", help="The config file.  [env: ASSAY_CONFIG_FILE]"),
    ]  # fmt: skip


def refuse_unheeded(context: click.Context, name: str, command: click.Command) -> None:
    """Refuse options that stood before a command which has none of that name. Raises UsageError."""
    given: dict[str, Any] = context.meta.get(GIVEN, {})
    heeded = {option.noted_as for option in command.params if isinstance(option, SharedOption)}
    if "engine_url" in heeded:  # it talks to a service, and heeds them all
        return
    if unheeded := [option for option in given if option not in heeded]:
        meant = " and ".join(_flag(option, given[option]) for option in unheeded)
        raise click.UsageError(f"{meant}: '{name}' has no such option, so it cannot stand before it", context)


def _flag(option: str, value: Any) -> str:
    named = {"output": "--output (--json)", "times": f"--{value}"}
    return named.get(option, f"--{option.replace('_', '-')}")


backend_option = click.option(
    "--backend",
    metavar="URL",
    help="The database: sqlite:///abs.db, sqlite://relative.db, postgresql://...  [default: $DATABASE_URL, "
    "else sqlite://assay-workflow.db]",
)


def output_options(command: AnyFunction, *, unsaid: Format | None = None) -> AnyFunction:
    """Give a command that talks to no service the options of records, and an Output as `output`.

    Where nobody has said a format, it is `unsaid`, or else a table on a terminal and JSON elsewhere.
    """

    @functools.wraps(command)
    def printing(*arguments: Any, **options: Any) -> Any:
        given = click.get_current_context().meta.get(GIVEN, {})
        profile = resolve({name: given.get(name) for name in ("output", "config")}, inherited_environ({}))
        return command(*arguments, output=Output(profile.output or unsaid), **options)

    # As click's own decorators keep them: last to first.
    printing.__click_params__ = [  # type: ignore[attr-defined]
        *getattr(command, "__click_params__", ()),
        *reversed(record_options() if unsaid is None else record_options(unsaid.value)),
    ]
    return printing  # type: ignore[return-value]  # an option more


def with_settings(backend: str | None, more: Mapping[str, str] | None = None) -> tuple[Settings, dict[str, str]]:
    """Read the settings: the options' values over the environment's. Also what a child process is given.

    Ends the command with exit code 2 where they cannot be meant.
    """
    changes = dict(more or {})
    if click.get_current_context().meta.get(VERBOSE):
        changes["ASSAY_LOG_LEVEL"] = "debug"
    if backend is not None:
        changes["DATABASE_URL"] = backend
    environ = inherited_environ(changes)
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    directory = Path(settings.backend.path).parent
    if not directory.is_dir():
        raise click.UsageError(f"{settings.backend.shown}: there is no directory {directory}")
    return settings, environ
