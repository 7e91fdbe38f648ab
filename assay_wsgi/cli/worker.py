"""`assay worker MODULE:APP`: run a worker. The SDK does it; here are only the options."""

from __future__ import annotations

import sys

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
def worker(app: str, **options: str | int | float | None) -> None:
    """Run the workflows and activities of an app: MODULE:APP, as in hello:app."""
    if ":" not in app:
        raise click.UsageError(f"'{app}' names no app: write MODULE:APP, as in hello:app")
    from ..sdk.app import main

    try:
        sys.exit(main(app, **options))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
