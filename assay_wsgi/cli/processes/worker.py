"""`assay worker MODULE:APP`: run a worker. The SDK does it; here are only the options."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

import click


@click.command()
@click.argument("app", metavar="MODULE:APP")
@click.option("--url", help="The service.  [default: the app's, else $ASSAY_ENGINE_URL]")
@click.option("--namespace", help="The namespace to work in.  [default: the app's, else $ASSAY_NAMESPACE]")
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
        raise click.UsageError(f"'{app}' names no app: write MODULE:APP, as in hello:app")
    if reload:
        sys.exit(_reloading(app, options))
    if reload_fd is not None:
        _run_reported(app, reload_fd, options)
    _run(app, options)


def _run(app: str, options: Mapping[str, Any]) -> NoReturn:
    from ...sdk.app import main

    try:
        sys.exit(main(app, **options))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


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
    arguments = [app, *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]
    return Reloader(arguments, grace_secs=given.get("grace", GRACE_SECS)).run()
