"""Options that several commands about runs share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from typing import TypeVar

import click

from .values import Given
from .values import Json

Command = TypeVar("Command", bound=Callable[..., Any])

_AGO = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_UNIT_SECS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

run_id = click.option("--run-id", metavar="ID", help="This run of the id, not its newest.")
idempotency_key = click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Repeats with this key are answered, not done again.  [default: a fresh one]",
)
reason = click.option("--reason", metavar="TEXT", help="Why; the run's history keeps it.")
signal_id = click.option("--signal-id", metavar="ID", help="A run takes a signal of this id once.")

_NEW_RUN = (
    click.option("--type", "workflow_type", required=True, metavar="NAME", help="The workflow to run."),
    click.option("--input", type=Json(), help="What it begins with."),
    click.option(
        "--queue", default="default", show_default=True, metavar="NAME", help="The task queue of its workers."
    ),
    click.option("--search-attrs", type=Json(), help="A flat object, to find the run by."),
    click.option("--id-reuse", metavar="RULE", help="Of a closed run's id: allow, allow_failed_only or reject."),
    click.option("--run-timeout", type=float, metavar="SECS", help="Longest time of this run."),
    click.option(
        "--execution-timeout", type=float, metavar="SECS", help="Longest time with all runs that continue it."
    ),
)
_START = (
    click.option("--id", "workflow_id", metavar="ID", help="The run's id.  [default: made by the service]"),
    click.option("--id-conflict", metavar="RULE", help="While it is taken: fail, use_existing or terminate_existing."),
)  # fmt: skip


def new_run(command: Command) -> Command:
    """Add the options that say what a new run is."""
    return _with(_NEW_RUN, command)


def start_options(command: Command) -> Command:
    """Add the options of a start."""
    return _with(_START, new_run(command))


def _with(options: tuple[Callable[[Any], Any], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def new_run_body(given: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Make the body of a start from its options; what was not given is left out."""
    body = {
        "workflow_type": given["workflow_type"],
        "workflow_id": given.get("workflow_id"),
        "namespace": namespace,
        "task_queue": given["queue"],
        "input": value_of(given["input"]),
        "search_attributes": value_of(given["search_attrs"]),
        "id_conflict": given.get("id_conflict"),
        "id_reuse": given["id_reuse"],
        "run_timeout_secs": given["run_timeout"],
        "execution_timeout_secs": given["execution_timeout"],
    }
    return {name: value for name, value in body.items() if value is not None}


def value_of(given: Given | None) -> Any:
    """Take JSON out of what was given; null where nothing was."""
    return None if given is None else given.value


class Moment(click.ParamType[Any]):
    """A moment: seconds since the epoch, ISO 8601 (local time without an offset), or so long ago (90s, 2h, 7d)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it as seconds since the epoch."""
        if not isinstance(value, str):
            return value
        if ago := _AGO.fullmatch(value):
            # The one place where the command line tells the time: the service's clock is not asked for "an hour ago".
            return time.time() - float(ago[1]) * _UNIT_SECS[ago[2]]  # noqa: TID251
        try:
            return float(value)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(
                f"'{value}' is no time: write 1700000000, 2026-11-25T14:00:00+00:00, or 2h for two hours ago",
                param,
                ctx,
            )


class Span(click.ParamType[float]):
    """A span of time: a number and its unit, as in 90d or 12h. It is seconds to the command."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        found = _AGO.fullmatch(value)
        if found is None:
            self.fail(f"'{value}' is no span of time: write 90d, 12h, 30m or 45s", param, ctx)
        return float(found[1]) * _UNIT_SECS[found[2]]
