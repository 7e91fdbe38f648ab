"""`assay worker MODULE:APP`: run a worker. The SDK does it; here are only the options."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

import click

from ...settings import inherited_environ
from ..failures import Failed
from ..options import GIVEN
from ..options import SharedOption
from ..profile import presumed


@click.command(params=[SharedOption("--config", metavar="FILE", help="The config file.  [env: ASSAY_CONFIG_FILE]")])
@click.argument("app", metavar="MODULE:APP")
@click.option("--url", help="The service.  [default: the app's, else $ASSAY_ENGINE_URL, else the config file's]")
@click.option(
    "--namespace", help="The namespace to work in.  [default: the app's, else $ASSAY_NAMESPACE, else the config file's]"
)
@click.option("--queue", help="The task queue to work on.  [default: the app's, else $ASSAY_QUEUE]")
@click.option("--worker-id", help="A name that stays, so that a crash costs no time.")
@click.option("--workflow-slots", type=click.IntRange(0), metavar="N", help="Workflow tasks at once.")
@click.option("--activity-slots", type=click.IntRange(0), metavar="N", help="Activities at once.")
@click.option("--grace", type=float, metavar="SECS", help="For activities to finish at the end.")
@click.option("--reload", is_flag=True, help="Start again whenever a Python file that was imported changes.")
@click.option("--reload-fd", type=int, hidden=True)
def worker(app: str, *, reload: bool, reload_fd: int | None, **options: str | int | float | None) -> None:
    """Run the workflows and activities of an app: MODULE:APP, as in hello:app."""
    if ":" not in app:
        raise click.UsageError(f"'{app}' names no app: write MODULE:APP, as in {app}:app")
    if reload:
        sys.exit(_reloading(app, options))
    if reload_fd is not None:
        _run_reported(app, reload_fd, options)
    _run(app, options)


def _run(app: str, options: Mapping[str, Any]) -> NoReturn:
    from ...sdk.launch import BrokenModule
    from ...sdk.launch import main
    from ...sdk.surroundings import presume

    presume(presumed(_config(), inherited_environ({})))
    try:
        sys.exit(main(app, **options))
    except BrokenModule as error:
        raise Failed(str(error)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _config() -> str | None:
    """Give the config file that was named, here or before the command."""
    named: str | None = click.get_current_context().meta.get(GIVEN, {}).get("config")
    return named


def _run_reported(app: str, fd: int, options: Mapping[str, Any]) -> NoReturn:
    """Run as the child of a reloader."""
    from .reloaded import Reporter

    reporter = Reporter(fd)
    try:
        _run(app, options)
    except Exception as error:
        reporter.failed(error)
        raise


def _reloading(app: str, options: Mapping[str, Any]) -> int:
    from ...sdk.worker import GRACE_SECS
    from .reload import Reloader

    given = {name: value for name, value in options.items() if value is not None}
    config = [f"--config={named}" for named in (_config(),) if named is not None]
    arguments = [app, *config, *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]
    return Reloader(arguments, grace_secs=given.get("grace", GRACE_SECS)).run()
