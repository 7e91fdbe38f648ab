"""`assay schedule create` and `patch`: say what is started, and when."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote
from typing import Any
from typing import TypeVar

import click

from ..failures import BadData
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from ..remote.values import Given
from ..remote.values import Json

Command = TypeVar("Command", bound=Callable[..., Any])

OVERLAPS = "skip, buffer_one, buffer_all (queue), cancel_other (cancel_old), terminate_other or allow_all"

overlap = click.option("--overlap", "overlap_policy", metavar="RULE", help=f"While a run of it is open: {OVERLAPS}.")
_DEFINITION = (
    click.option("--timezone", metavar="ZONE", help="Whose wall times: an IANA name.  [default: UTC]"),
    click.option("--input", type=Json(), help="What each run begins with."),
    overlap,
    click.option(
        "--catchup-window", "catchup_window_secs", type=float, metavar="SECS",
        help="How old a missed tick may be that is made up for.",
    ),
    click.option("--search-attrs", "search_attributes", type=Json(), help="A flat object, to find its runs by."),
    click.option("--run-timeout", "run_timeout_secs", type=float, metavar="SECS", help="Longest time of a run."),
    click.option(
        "--execution-timeout", "execution_timeout_secs", type=float, metavar="SECS",
        help="Longest time with all runs that continue it.",
    ),
    asking.idempotency_key,
)  # fmt: skip


def definition(command: Command) -> Command:
    """Add the options that say what a schedule does."""
    for option in reversed(_DEFINITION):
        command = option(command)
    return command


@click.command(cls=EngineCommand)
@click.argument("name")
@click.option("--type", "workflow_type", required=True, metavar="NAME", help="The workflow to run.")
@click.option("--cron", "cron_expr", required=True, metavar="EXPR", help="When: '0 2 * * *', @daily or '@every 90s'.")
@click.option(
    "--queue", "task_queue", default="default", show_default=True, metavar="NAME",
    help="The task queue of its workers.",
)  # fmt: skip
@definition
@pass_session
def create(session: Session, name: str, idempotency_key: str | None, **given: Any) -> None:
    """Make a schedule; its first run is at its next time."""
    body = {"name": name, "namespace": session.profile.namespace, **_body(given)}
    made = session.service.post(f"create schedule {name}", "schedules", body=body, key=idempotency_key)
    session.out.record(made)
    session.hint(f"when it fires: assay schedule next {quote(name)}")


@click.command(cls=EngineCommand)
@click.argument("name")
@click.option("--type", "workflow_type", metavar="NAME", help="The workflow to run.")
@click.option("--cron", "cron_expr", metavar="EXPR", help="When.")
@click.option("--queue", "task_queue", metavar="NAME", help="The task queue of its workers.")
@definition
@pass_session
def patch(session: Session, name: str, idempotency_key: str | None, **given: Any) -> None:
    """Change a schedule; what is not given stays as it is. Exit code 64 where nothing is given."""
    body = _body(given)
    if not body:
        raise BadData(f"change schedule {name}: say what is to be another way, for instance --cron")
    path, query = ("schedules", name), {"namespace": session.profile.namespace}
    changed = session.service.call(f"change schedule {name}", "PATCH", path, query, body, key=idempotency_key)
    session.out.record(changed.body)


def _body(given: dict[str, Any]) -> dict[str, Any]:
    """Make the members of a body; what was not given is left out."""
    values = {name: value.value if isinstance(value, Given) else value for name, value in given.items()}
    return {name: value for name, value in values.items() if value is not None}
