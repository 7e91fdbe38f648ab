"""`assay workflow wait`, `result` and `run`: until a run is closed, and how it went as an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from shlex import quote
from typing import Any

import click

from ..failures import INTERRUPTED
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from .following import CONTINUED
from .following import OPEN
from .following import Follower
from .following import fail_by
from .story import event_line

STATUSES = ("PENDING", "RUNNING", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
REASONS = ("TERMINATED", "CONTINUED_AS_NEW")  # finer than a status

_timeout = click.option(
    "--timeout", type=click.FloatRange(0), default=300.0, show_default=True, metavar="SECS", help="Longest wait."
)


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@_timeout
@click.option(
    "--target",
    type=click.Choice([*STATUSES, *REASONS], case_sensitive=False),
    metavar="STATUS",
    help=f"Wait for this instead: {', '.join([*STATUSES, *REASONS])}.",
)
@asking.run_id
@pass_session
def wait(session: Session, workflow_id: str, timeout: float, target: str | None, run_id: str | None) -> None:
    """Wait until a run is closed (or has a status).

    Exit code 0: it completed (or has the status); 1: it ended otherwise; 2: the time was up first.
    If the service goes away meanwhile, it is asked again for 30 s, within --timeout; the run itself goes on.
    """
    follower = Follower(session, workflow_id, timeout)
    for record in follower.records(run_id):
        if target is not None and _is(record, target.upper()):
            _print(session, record)
            return
        if record["status"] not in OPEN:
            _print(session, record)
            if record.get("close_reason") == CONTINUED:
                session.say("{} goes on as {} (run {})".format(workflow_id, *follower.successor(record)))
            fail_by(record)
            if target is not None:
                click.echo(f"error: {workflow_id} is {record['status']}, not {target}", err=True)
                raise click.exceptions.Exit(1)
            return


def _is(record: dict[str, Any], target: str) -> bool:
    if target == "WAITING":  # never a status: as the list's filter understands it
        return record["status"] in OPEN and any(one["kind"] == "signal" for one in record["waiting_for"] or ())
    return target in (record["status"], (record.get("close_reason") or "").upper())


def _print(session: Session, record: dict[str, Any]) -> None:
    if not session.out.table:
        session.out.record(record)
    elif session.out.tty:
        session.out.line(f"{record['id']} {record['status']}")


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@_timeout
@asking.run_id
@pass_session
def result(session: Session, workflow_id: str, timeout: float, run_id: str | None) -> None:
    """Wait for a run and print its result, as JSON and nothing else.

    Where it continued as new, the last run's. Exit code 1: it did not complete; 2: the time was up first.
    """
    follower = Follower(session, workflow_id, timeout)
    *_, (record, _) = _ended(follower, run_id)
    fail_by(record)
    session.out.record(_result(record))


@click.command(cls=EngineCommand)
@asking.start_options
@click.option("--timeout", type=click.FloatRange(0), metavar="SECS", help="Longest wait.  [default: for ever]")
@click.option("--quiet", "-q", is_flag=True, help="Do not tell of its steps on standard error.")
@asking.idempotency_key
@pass_session
def run(session: Session, timeout: float | None, quiet: bool, idempotency_key: str | None, **given: Any) -> None:
    """Start a run, follow it, and print its result.

    Its steps are told on standard error. Ctrl-C ends the following, not the run. Exit codes as of `wait`.
    """
    body = asking.new_run_body(given, session.profile.namespace)
    started = session.service.post(f"start {body['workflow_type']}", "workflows", body=body, key=idempotency_key)
    follower = Follower(session, started["workflow_id"], timeout, known=True)
    try:
        if not quiet:
            session.say(f"{started['workflow_id']} is started (run {started['run_id']})")
        for ended, event in _ended(follower, started["run_id"], told=not quiet):
            record = ended
            if event is not None:
                session.say(event_line(event, session.out.time))
    except KeyboardInterrupt:
        name = quote(follower.workflow_id)
        session.say(
            f"\n{name} goes on. Look again: assay workflow show {name}; wait: assay workflow result {name}; "
            f"end it: assay workflow cancel {name}"
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    fail_by(record)
    session.out.record(_result(record))


def _ended(
    follower: Follower, run_id: str | None, *, told: bool = False
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Follow a run, and those that continue it, to the end: give its records, with the events if they are told."""
    while True:
        seen, record = 0, {}
        for record in follower.records(run_id):
            # Of the newest run of an id: from now on this one is meant.
            for page in follower.events(record, seen) if told else ():
                for event in page:
                    yield record, event
                    seen = event["seq"]
            if run_id is None:
                run_id = record["run_id"]
            if record["status"] not in OPEN:
                break
        if record.get("close_reason") != CONTINUED:
            yield record, None
            return
        follower.workflow_id, run_id = follower.successor(record)


def _result(record: dict[str, Any]) -> Any:
    return None if record["result"] is None else json.loads(record["result"])
