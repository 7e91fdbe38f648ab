"""`assay workflow list`, `describe`, `state`, `events`, `children` and `tree`: what the service knows of runs."""

from __future__ import annotations

import json
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
from ..remote.service import next_page
from ..remote.values import Given
from ..remote.values import Json
from .following import CONTINUED
from .following import OPEN
from .following import Follower
from .following import outcome_of

PAGE = 1000
RUNS = (Column("ID", "id"), Column("TYPE", "workflow_type"), Column("STATUS", "status"), Column("QUEUE", "task_queue"))
CHILDREN = RUNS[:3]
EVENTS = (Column("SEQ", "seq"), Column("TYPE", "event_type"), Column("TIMESTAMP", "timestamp", time=True))


@click.command("list", cls=EngineCommand)
@click.option(
    "--status", metavar="STATUS", help="PENDING, RUNNING, WAITING, COMPLETED, FAILED, CANCELLED or TIMED_OUT."
)
@click.option("--type", "workflow_type", metavar="NAME", help="Runs of this workflow.")
@click.option("--search-attrs", type=Json(), help="Runs with these search attributes.")
@click.option("--claimed-by", metavar="WORKER", help="Runs that this worker has a task of.")
@click.option("--parent-id", metavar="ID", help="Children of the runs of this id.")
@click.option(
    "--created-after", type=asking.Moment(), metavar="TIME", help="1700000000, 2026-11-25T14:00, or 2h (ago)."
)
@click.option("--created-before", type=asking.Moment(), metavar="TIME")
@click.option("--closed-after", type=asking.Moment(), metavar="TIME")
@click.option("--closed-before", type=asking.Moment(), metavar="TIME")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many at most.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@click.option("--cursor", metavar="CURSOR", help="Go on from here ('' begins); the next one is told on standard error.")
@click.option("--all", "everything", is_flag=True, help="All of them, page by page.")
@pass_session
def list_runs(session: Session, limit: int, everything: bool, cursor: str | None, **filters: Any) -> None:
    """List runs, newest first."""
    query = {**filters, "cursor": cursor or None, "type": filters.pop("workflow_type")}
    query = {name: value for name, value in query.items() if name != "workflow_type"}
    query["namespace"] = session.profile.namespace
    query["status"] = query["status"] and query["status"].upper()
    if isinstance(query["search_attrs"], Given):
        query["search_attrs"] = json.dumps(query["search_attrs"].value)
    left = None if everything else limit
    more: list[str] = []

    def pages() -> Iterator[list[Any]]:
        wanted = left
        while wanted is None or wanted > 0:
            query["limit"] = PAGE if wanted is None else min(wanted, PAGE)
            reply = session.service.call("list workflows", "GET", ("workflows",), query)
            yield reply.body
            following = next_page(reply)
            if not following:
                return
            query.update(following, offset=None)
            wanted = None if wanted is None else wanted - len(reply.body)
        more.append(query["cursor"])

    session.out.records(pages(), RUNS)
    if more and (session.interactive or cursor is not None):
        session.say(f"there are more: --all, or --cursor {more[0]}")


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
