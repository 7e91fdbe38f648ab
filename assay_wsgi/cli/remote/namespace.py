"""`assay namespace`: make, count and delete namespaces."""

from __future__ import annotations

import sys

import click

from ..failures import Failed
from ..output import Column
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session

COLUMNS = (Column("NAME", "name"), Column("CREATED", "created_at", time=True))


@click.group(cls=EngineGroup)
def namespace() -> None:
    """Make, count and delete namespaces."""


@namespace.command()
@click.argument("name")
@pass_session
def create(session: Session, name: str) -> None:
    """Make a namespace."""
    session.service.post(f"create namespace {name}", "namespaces", body={"name": name})
    session.out.done(f"namespace {name} was made")


@namespace.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", help="How many at most.  [default: 1000]")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@pass_session
def list_namespaces(session: Session, limit: int | None, offset: int | None) -> None:
    """List the namespaces, by name."""
    session.out.records(session.service.pages("list namespaces", "namespaces", limit=limit, offset=offset), COLUMNS)


@namespace.command()
@click.argument("name")
@pass_session
def describe(session: Session, name: str) -> None:
    """Count what a namespace holds."""
    session.out.record(session.service.get(f"describe namespace {name}", "namespaces", name))


@namespace.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="With all that is in it: its runs are ended and removed.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before --force.")
@pass_session
def delete(session: Session, name: str, force: bool, yes: bool) -> None:
    """Delete a namespace: an empty one, or with --force all that is in it, too."""
    what = f"delete namespace {name}"
    if not force:
        session.service.call(what, "DELETE", ("namespaces", name))
        session.out.done(f"namespace {name} was deleted")
        return
    if not yes:
        _ask(session, name)
    removed = 0
    while True:
        answer = session.service.call(what, "DELETE", ("namespaces", name), {"force": "true"}).body
        removed += answer.get("deleted_workflows", 0)
        if answer["done"]:
            break
        session.say(f"{_runs(removed)} removed, more are left")
    session.out.done(f"namespace {name} was deleted with {_runs(removed)}", deleted_workflows=removed)


def _ask(session: Session, name: str) -> None:
    """Ask a person; without one there must be a --yes."""
    counts = session.service.get(f"describe namespace {name}", "namespaces", name)
    loss = f"namespace {name} with {_runs(counts['total_workflows'])}"
    if not sys.stdin.isatty():
        raise Failed(f"{loss} would be lost: say --yes")
    if not click.confirm(f"Delete {loss}?", err=True):
        raise Failed("nothing was deleted")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
