"""Options that several commands share, and the settings that they and the environment make together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from ..settings import Settings
from ..settings import SettingsError
from ..settings import inherited_environ

VERBOSE = "assay_wsgi.verbose"  # in the context: whether `assay -v` was said

backend_option = click.option(
    "--backend",
    metavar="URL",
    help="The database: sqlite:///abs.db, sqlite://relative.db, postgresql://...  [default: $DATABASE_URL, "
    "else sqlite://assay-workflow.db]",
)


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
