"""`assay workflow list` and `count`: which runs there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from ..output import Column
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from ..remote.service import next_page
from ..remote.values import Given
from ..remote.values import Json

PAGE = 1000
RUNS = (Column("ID", "id"), Column("TYPE", "workflow_type"), Column("STATUS", "status"), Column("QUEUE", "task_queue"))
GROUPS = ("status", "type", "queue", "close_reason", "day")

_FILTERS = (
    click.option(
        "--query", "-q", "q", metavar="FILTER", help="A filter, such as \"Status = 'FAILED' AND env = 'prod'\"."
    ),
    click.option(
        "--status", metavar="STATUS", help="PENDING, RUNNING, WAITING, COMPLETED, FAILED, CANCELLED or TIMED_OUT."
    ),
    click.option("--type", "workflow_type", metavar="NAME", help="Runs of this workflow."),
    click.option("--search-attrs", type=Json(), help="Runs with these search attributes."),
    click.option("--claimed-by", metavar="WORKER", help="Runs that this worker has a task of."),
    click.option("--parent-id", metavar="ID", help="Children of the runs of this id."),
    click.option(
        "--created-after", type=asking.Moment(), metavar="TIME", help="1700000000, 2026-11-25T14:00, or 2h (ago)."
    ),
    click.option("--created-before", type=asking.Moment(), metavar="TIME"),
    click.option("--closed-after", type=asking.Moment(), metavar="TIME"),
    click.option("--closed-before", type=asking.Moment(), metavar="TIME"),
)


def _filtered(command: asking.Command) -> asking.Command:
    """Add the options that say which runs are meant."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _query(session: Session, filters: dict[str, Any]) -> dict[str, Any]:
    """Make the parameters of the request."""
    given = dict(filters)
    query = {"namespace": session.profile.namespace, "type": given.pop("workflow_type"), **given}
    query["status"] = query["status"] and query["status"].upper()
    if isinstance(query["search_attrs"], Given):
        query["search_attrs"] = json.dumps(query["search_attrs"].value)
    return query


@click.command("list", cls=EngineCommand)
@_filtered
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="How many at most.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="How many to pass over.")
@click.option("--cursor", metavar="CURSOR", help="Go on from here ('' begins); the next one is told on standard error.")
@click.option("--all", "everything", is_flag=True, help="All of them, page by page.")
@pass_session
def list_runs(
    session: Session, limit: int, offset: int | None, everything: bool, cursor: str | None, **filters: Any
) -> None:
    """List runs, newest first unless the query orders them."""
    query = {**_query(session, filters), "offset": offset, "cursor": cursor or None}
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


@click.command("count", cls=EngineCommand)
@_filtered
@click.option("--group-by", type=click.Choice(GROUPS), help="Count each group; a day is that of the start, in UTC.")
@pass_session
def count_runs(session: Session, group_by: str | None, **filters: Any) -> None:
    """Count runs, all of them or by group, the largest group first."""
    query = {**_query(session, filters), "group_by": group_by}
    answer = session.service.get("count workflows", "workflows", "count", **query)
    if group_by is None:
        session.out.record(answer)
        return
    session.out.records([answer["groups"]], (Column(group_by.upper(), "value"), Column("COUNT", "count")))
    if answer["truncated"]:
        session.say("there are more groups: these are the largest")
