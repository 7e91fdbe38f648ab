"""`assay schedule pause`, `resume`, `trigger`, `backfill` and `delete`."""

from __future__ import annotations

from typing import Any

import click

from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from .defining import overlap

_REASONS = {
    "overlap": "a run of it is open",
    "buffer_full": "as many wait as may",
    "id_taken": "another run has its id",
}


@click.command(cls=EngineCommand)
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why; the schedule's record shows it.")
@asking.idempotency_key
@pass_session
def pause(session: Session, name: str, reason: str | None, idempotency_key: str | None) -> None:
    """Have a schedule start nothing; what waits of it is dropped."""
    _act(session, name, "pause", idempotency_key, reason=reason)
    session.out.done(f"schedule {name} was paused")


@click.command(cls=EngineCommand)
@click.argument("name")
@asking.idempotency_key
@pass_session
def resume(session: Session, name: str, idempotency_key: str | None) -> None:
    """Let a schedule go on at its next time; nothing is made up for."""
    record = _act(session, name, "resume", idempotency_key)
    session.out.done(f"schedule {name} goes on", next_run_at=record["next_run_at"])


@click.command(cls=EngineCommand)
@click.argument("name")
@overlap
@asking.idempotency_key
@pass_session
def trigger(session: Session, name: str, overlap_policy: str | None, idempotency_key: str | None) -> None:
    """Start a run now, paused or not, as the overlap policy allows."""
    told = _act(session, name, "trigger", idempotency_key, overlap_policy=overlap_policy)
    sentences = {
        "started": f"{told['workflow_id']} is started",
        "buffered": f"{told['workflow_id']} is started when the run before it has ended",
        "skipped": f"nothing is started: {_REASONS.get(told['reason'], told['reason'])}",
    }
    session.out.done(sentences[told["outcome"]], **told)


@click.command(cls=EngineCommand)
@click.argument("name")
@click.option(
    "--from",
    "start",
    type=asking.Moment(),
    required=True,
    metavar="TIME",
    help="The first moment: 1700000000, 2026-11-25T14:00, or 2d (ago).",
)
@click.option("--to", "end", type=asking.Moment(), metavar="TIME", help="The last moment.  [default: now]")
@overlap
@asking.idempotency_key
@pass_session
def backfill(
    session: Session,
    name: str,
    start: float,
    end: float | None,
    overlap_policy: str | None,
    idempotency_key: str | None,
) -> None:
    """Make up for the ticks of a time that has passed: one run each, however often it is asked for.

    They run one after the other, unless --overlap says otherwise.
    """  # fmt: skip
    told = _act(session, name, "backfill", idempotency_key, start=start, end=end, overlap_policy=overlap_policy)
    ticks = "1 tick" if told["ticks"] == 1 else f"{told['ticks']} ticks"
    counts = [f"{told['queued']} will run"]
    counts += [f"{told['known']} did already, or wait"] * (told["known"] > 0)
    counts += [f"{told['left']} found no room: ask again when some have run"] * (told["left"] > 0)
    session.out.done(f"{ticks} of schedule {name}: {', '.join(counts)}", **told)


@click.command(cls=EngineCommand)
@click.argument("name")
@asking.idempotency_key
@pass_session
def delete(session: Session, name: str, idempotency_key: str | None) -> None:
    """Remove a schedule and what waits of it; its open runs go on."""
    query = {"namespace": session.profile.namespace}
    session.service.call(f"delete schedule {name}", "DELETE", ("schedules", name), query, key=idempotency_key)
    session.out.done(f"schedule {name} was deleted")


def _act(session: Session, name: str, verb: str, key: str | None, **given: Any) -> Any:
    body = {member: value for member, value in given.items() if value is not None}
    return session.service.post(
        f"{verb} schedule {name}", "schedules", name, verb,
        body=body, key=key, namespace=session.profile.namespace,
    )  # fmt: skip
