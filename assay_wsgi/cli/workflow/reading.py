"""`assay workflow describe`, `state`, `events`, `children` and `tree`: what the service knows of runs."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

import click

from ..output import Column
from ..output import Output
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from .following import CONTINUED
from .following import OPEN
from .following import Follower
from .following import outcome_of

PAGE = 1000
CHILDREN = (Column("ID", "id"), Column("TYPE", "workflow_type"), Column("STATUS", "status"))
EVENTS = (Column("SEQ", "seq"), Column("TYPE", "event_type"), Column("TIMESTAMP", "timestamp", time=True))


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@asking.run_id
@pass_session
def describe(session: Session, workflow_id: str, run_id: str | None) -> None:
    """Print a run's record."""
    session.out.record(
        session.service.get(f"describe {workflow_id}", "workflows", workflow_id, **session.which(run_id))
    )


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("name", required=False)
@asking.run_id
@pass_session
def state(session: Session, workflow_id: str, name: str | None, run_id: str | None) -> None:
    """Print what a run shows to queries: all of it, or the value of one."""
    path = ("workflows", workflow_id, "state", *(() if name is None else (name,)))
    session.out.record(session.service.get(f"state of {workflow_id}", *path, **session.which(run_id)))


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run is closed.")
@click.option("--after-seq", type=click.IntRange(0), default=0, metavar="SEQ", help="Only those after this one.")
@click.option("--before-seq", type=click.IntRange(0), metavar="SEQ", help="Only those before this one.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="How many at most.  [default: all]")
@click.option(
    "--order", type=click.Choice(["asc", "desc"]), default="asc", show_default=True, help="Oldest first, or newest."
)
@asking.run_id
@pass_session
def events(
    session: Session,
    workflow_id: str,
    follow: bool,
    after_seq: int,
    before_seq: int | None,
    limit: int | None,
    order: str,
    run_id: str | None,
) -> None:
    """Print a run's history, event by event."""
    if follow:
        if before_seq is not None or limit is not None or order != "asc":
            raise click.UsageError("--follow prints all that comes: --before-seq, --limit and --order are not for it")
        _follow(session, workflow_id, after_seq, run_id)
        return
    pages = session.service.pages(
        f"events of {workflow_id}", "workflows", workflow_id, "events",
        after_seq=after_seq, before_seq=before_seq, limit=PAGE if limit is None else min(limit, PAGE), order=order,
        **session.which(run_id),
    )  # fmt: skip
    session.out.records(_at_most(limit, pages), EVENTS)


def _at_most(limit: int | None, pages: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """Give pages until there are so many records."""
    left = limit
    for page in pages:
        yield page if left is None else page[:left]
        if left is not None:
            left -= len(page)
            if left <= 0:
                return


def _follow(session: Session, workflow_id: str, after_seq: int, run_id: str | None) -> None:
    """Print events as they come, to the end of the run, however it ends; say on standard error how it did."""
    follower = Follower(session, workflow_id)
    printed = session.out.growing(EVENTS)
    for record in follower.records(run_id or follower.record()["run_id"]):
        for page in follower.events(record, after_seq):
            for event in page:
                printed(event)
            after_seq = page[-1]["seq"]
        if record["status"] not in OPEN:
            break
    session.say(outcome_of(record))
    if record["close_reason"] == CONTINUED:
        next_id, next_run = follower.successor(record)
        session.say(f"it goes on: assay workflow events {quote(next_id)} --run-id {quote(next_run)} --follow")


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="How many at most.  [default: all]")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@click.option("--cursor", metavar="CURSOR", help="Go on from here: a cursor of the API.")
@asking.run_id
@pass_session
def children(
    session: Session, workflow_id: str, limit: int | None, offset: int | None, cursor: str | None, run_id: str | None
) -> None:
    """List the children of a run, newest first."""
    pages = session.service.pages(
        f"children of {workflow_id}", "workflows", workflow_id, "children",
        limit=PAGE if limit is None else min(limit, PAGE), offset=offset, cursor=cursor, **session.which(run_id),
    )  # fmt: skip
    session.out.records(_at_most(limit, pages), CHILDREN)


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1, PAGE), metavar="N", help="How many runs at most.  [default: 1000]")
@asking.run_id
@pass_session
def tree(session: Session, workflow_id: str, limit: int | None, run_id: str | None) -> None:
    """Show a run with all runs below it."""
    top = session.service.get(
        f"tree of {workflow_id}", "workflows", workflow_id, "tree", limit=limit, **session.which(run_id)
    )
    if session.out.table:
        _draw(session.out, top)
    else:
        session.out.record(top)
    if top["truncated"]:
        session.say("there are more runs below it: raise --limit, or take a lower run's id")


def _draw(out: Output, top: dict[str, Any]) -> None:
    """Draw a tree, depth first, without recursion: trees may be deep."""
    waiting: list[tuple[str, str, dict[str, Any]]] = [("", "", top)]
    while waiting:
        branch, below, node = waiting.pop()
        words = (node["id"], node["workflow_type"], node["status"])
        out.line(branch + "  ".join(out.cell(word) for word in words))
        last = len(node["children"]) - 1
        for place, child in reversed(list(enumerate(node["children"]))):
            ending = place == last
            waiting.append((below + ("└─ " if ending else "├─ "), below + ("   " if ending else "│  "), child))
