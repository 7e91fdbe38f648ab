"""`assay audit`: who did what, and who was refused what."""

from __future__ import annotations

import click

from ..output import Column
from .asking import Moment
from .commands import EngineCommand
from .commands import Session
from .commands import pass_session

COLUMNS = (
    Column("AT", "at", time=True),
    Column("PRINCIPAL", "principal"),
    Column("ACTION", "action"),
    Column("NAMESPACE", "namespace"),
    Column("TARGET", "target"),
    Column("OUTCOME", "outcome"),
)


@click.command(cls=EngineCommand)
@click.option("--principal", metavar="NAME", help="By this caller.")
@click.option("--action", metavar="NAME", help="Of this operation, as in workflows_cancel.")
@click.option("--target", metavar="NAME", help="About this thing.")
@click.option("--outcome", metavar="CODE", help="done, or the code of a refusal.")
@click.option("--after", type=Moment(), metavar="TIME", help="1700000000, 2026-11-25T14:00, or 2h (ago).")
@click.option("--before", type=Moment(), metavar="TIME")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", help="How many at most, or a page.  [default: 100]")
@click.option("--all", "everything", is_flag=True, help="All of it, page by page.")
@pass_session
def audit(session: Session, *, everything: bool, **filters: object) -> None:
    """Show who did what, newest first; with --namespace, in it alone."""
    found = session.service.pages(
        "read the audit log", "audit", follow=everything, namespace=session.profile.named_namespace, **filters
    )
    session.out.records(found, COLUMNS)
