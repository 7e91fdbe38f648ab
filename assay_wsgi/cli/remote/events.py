"""`assay events`: the feed, read to its end or followed. The SDK knows the way through it, Service asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import click

from ...domain.notices import RESETS
from ...sdk.errors import FeedReset
from ...sdk.feed import PAGE
from ...sdk.feed import WAIT_SECS
from ...sdk.feed import Notice
from ...sdk.feed import notices
from ..failures import Failed
from ..output import Column
from ..output import Output
from .commands import EngineCommand
from .commands import Session
from .commands import pass_session
from .service import HTTP_SECS
from .service import Service

LONGEST_DETAIL = 100  # letters in a table
COLUMNS = (
    Column("AT", "at", time=True),
    Column("TYPE", "event_type"),
    Column("NAMESPACE", "namespace"),
    Column("WORKFLOW_ID", "workflow_id"),
    Column("DETAIL", "detail"),
)
_OF_COLUMNS = frozenset({"at", "namespace", "run_id"})  # members of a payload that are no detail


@click.command(cls=EngineCommand)
@click.option("--follow", "-f", is_flag=True, help="Go on for ever: print what happens as it happens.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Of this type, as in workflow_failed; repeatable.")
@click.option("--workflow-id", metavar="ID", help="Of runs of this id.")
@click.option(
    "--after", metavar="CURSOR",
    help="Go on behind this notice: its `id`; or `oldest`, all that is kept.  [default: oldest; with --follow: now]",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="How many at most.  [default: all]")
@pass_session
def events(
    session: Session, follow: bool, types: tuple[str, ...], workflow_id: str | None, after: str | None,
    limit: int | None,
) -> None:  # fmt: skip
    """Tell what happens to runs, oldest first; with --namespace, in it alone.

    Following outlives restarts of the service, and prints a line a notice: JSON lines on a pipe. Where nobody can go on
    from the cursor without a hole, it ends with exit code 1 and says from where to go on.
    """
    if after is None and not follow:
        after = "oldest"
    found = notices(
        _Patient(session, WAIT_SECS if follow else 0), session.profile.named_namespace, workflow_id, types, after,
        follow, min(limit or PAGE, PAGE),
    )  # fmt: skip
    try:
        (_print_growing if follow else _print)(session, islice(found, limit))
    except FeedReset as lost:
        raise Failed(_meaning(lost.reason, lost.cursor)) from None


class _Patient:
    """Asks for the feed, again and again while the service is away, once it has answered at all."""

    def __init__(self, session: Session, wait_secs: int) -> None:
        # An answer may keep us waiting for as long as we said that it may, and then for as long as any other.
        self._service = Service(session.profile, wait_secs + session.timeout_secs(HTTP_SECS))
        self._say = session.say
        self._known = False

    def get(self, path: str, **query: Any) -> Any:
        """Read a page."""

        def ask() -> Any:
            return self._service.get("read the feed", path.removeprefix("/"), **query)

        answer = self._service.steadily(ask, self._say) if self._known else ask()
        self._known = True
        return answer


def _print(session: Session, found: Iterator[Notice]) -> None:
    """Print a list that has an end."""
    last: Notice | None = None

    def pages() -> Iterator[list[dict[str, Any]]]:
        nonlocal last
        while page := list(islice(found, PAGE)):
            last = page[-1]
            yield [_shown(session.out, notice) for notice in page]

    session.out.records(pages(), COLUMNS)
    if last is not None:
        session.hint(f"what comes behind: assay events --follow --after {last['id']}")


def _print_growing(session: Session, found: Iterator[Notice]) -> None:
    """Print notices as they come."""
    printed = session.out.growing(COLUMNS)
    for notice in found:
        printed(_shown(session.out, notice))


def _shown(out: Output, notice: Notice) -> dict[str, Any]:
    """Give a notice as it is printed: whole for programs, by columns for people."""
    if not out.table:
        return {**notice}
    payload = notice["payload"]
    told = [
        f"{name}={value if isinstance(value, str) else out.compact(value)}"
        for name, value in payload.items()
        if name not in _OF_COLUMNS
    ]
    detail = " ".join(told)
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[: LONGEST_DETAIL - 3]}..."
    return {**notice, "at": payload["at"], "namespace": payload["namespace"], "detail": detail}


def _meaning(reason: str, cursor: str) -> str:
    """Say what a reset means, and what to do."""
    return (
        f"the feed was reset: {RESETS.get(reason, reason)}. What happened in between cannot be told: "
        f"look at the runs (assay workflow list), then go on: --after {cursor}"
    )
