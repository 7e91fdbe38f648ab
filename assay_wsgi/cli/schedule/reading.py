"""`assay schedule list`, `describe` and `next`: what the service knows of schedules."""

from __future__ import annotations

import click

from ..output import Column
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from . import times

PAGE = 1000
SCHEDULES = (
    Column("NAME", "name"),
    Column("TYPE", "workflow_type"),
    Column("CRON", "cron_expr"),
    Column("TZ", "timezone"),
    Column("PAUSED", "paused"),
    Column("NEXT", "next_run_at", time=True),
)


@click.command("list", cls=EngineCommand)
@click.option("--limit", type=click.IntRange(1, PAGE), default=PAGE, show_default=True, metavar="N", help="At most.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@pass_session
def list_schedules(session: Session, limit: int, offset: int | None) -> None:
    """List the schedules of a namespace, by name."""
    found = session.service.get(
        "list schedules", "schedules", namespace=session.profile.namespace, limit=limit, offset=offset
    )
    session.out.records([found], SCHEDULES)


@click.command(cls=EngineCommand)
@click.argument("name")
@pass_session
def describe(session: Session, name: str) -> None:
    """Print a schedule's record, with its next three times."""
    session.out.record(
        session.service.get(f"describe schedule {name}", "schedules", name, namespace=session.profile.namespace)
    )


@click.command("next", cls=EngineCommand)
@click.argument("name")
@times.count
@pass_session
def next_runs(session: Session, name: str, n: int) -> None:
    """List a schedule's next times: the moments, and what the clocks of its zone say then."""
    told = session.service.get(
        f"next times of {name}", "schedules", name, "next", namespace=session.profile.namespace, n=n
    )
    session.out.records([times.rows(told["next_runs"], told["timezone"])], times.TIMES)
    if told["paused"]:
        session.say(f"{name} is paused: none of these starts a run")
