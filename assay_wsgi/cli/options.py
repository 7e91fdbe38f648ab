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
from .profile import resolve

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

VERBOSE = "assay_wsgi.verbose"  # in the context: whether `assay -v` was said

backend_option = click.option(
    "--backend",
    metavar="URL",
    help="The database: sqlite:///abs.db, sqlite://relative.db, postgresql://...  [default: $DATABASE_URL, "
    "else sqlite://assay-workflow.db]",
)


def output_options(command: AnyFunction) -> AnyFunction:
    """Give a command that talks to no service --output and --json, and an Output as `output`."""

    @click.option(
        "--output",
        "-o",
        "wanted",
        metavar="FORMAT",
        help="table, json, jsonl or yaml.  [env: ASSAY_OUTPUT; default: table on a terminal, else json]",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as --output json.")
    @functools.wraps(command)
    def printing(*arguments: Any, wanted: str | None, as_json: bool, **options: Any) -> Any:
        profile = resolve({"output": "json" if as_json else wanted}, inherited_environ({}))
        return command(*arguments, output=Output(profile.output), **options)

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
