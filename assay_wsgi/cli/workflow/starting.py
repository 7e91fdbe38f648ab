"""`assay workflow start`, `start-batch` and `signal-with-start`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from shlex import quote
from typing import Any

import click

from ..failures import BadData
from ..failures import Failed
from ..output import Column
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from ..remote.values import Given
from ..remote.values import Json
from ..remote.values import parse
from ..remote.values import read

BATCH = 1000  # starts in one request
OUTCOMES = (
    Column("WORKFLOW_ID", "workflow_id"),
    Column("RUN_ID", "run_id"),
    Column("STATUS", "status"),
    Column("ERROR", "error"),
)


@click.command(cls=EngineCommand)
@asking.start_options
@asking.idempotency_key
@pass_session
def start(session: Session, idempotency_key: str | None, **given: Any) -> None:
    """Start a run."""
    body = asking.new_run_body(given, session.profile.namespace)
    started = session.service.post(f"start {body['workflow_type']}", "workflows", body=body, key=idempotency_key)
    session.out.record(started)
    name = quote(started["workflow_id"])
    session.hint(f"assay workflow show {name}; wait for it: assay workflow result {name}")


@click.command("start-batch", cls=EngineCommand)
@click.argument("file", metavar="@FILE|-")
@pass_session
def start_batch(session: Session, file: str) -> None:
    """Start many runs: each line of FILE is the JSON body of a start.

    {"workflow_type": ..., "workflow_id": ..., "input": ...}: the members are the API's, the namespace and the
    queue `default` are filled in. One outcome a line, in the order given; exit code 1 if any run was not started.
    """
    failed: list[Any] = []

    def outcomes() -> Iterator[list[dict[str, Any]]]:
        starts = _starts(file, session.profile.namespace)
        while batch := list(islice(starts, BATCH)):
            answer = session.service.post("start runs", "workflows", "batch", body={"workflows": batch})
            failed.extend(one for one in answer["results"] if "error" in one)
            yield answer["results"]

    session.out.records(outcomes(), OUTCOMES)
    if failed:
        raise Failed(f"{len(failed)} of the runs were not started")


def _starts(file: str, namespace: str) -> Iterator[dict[str, Any]]:
    text = read(file if file.startswith(("@", "-")) else f"@{file}", "FILE")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        body = parse(line, f"line {number}")
        if not isinstance(body, dict):
            raise BadData(f"line {number} is not a JSON object")
        yield {"namespace": namespace, "task_queue": "default", **body}


@click.command("signal-with-start", cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("signal", metavar="NAME")
@click.argument("payload", type=Json(), required=False)
@asking.new_run
@asking.signal_id
@asking.idempotency_key
@pass_session
def signal_with_start(
    session: Session,
    workflow_id: str,
    signal: str,
    payload: Given | None,
    signal_id: str | None,
    idempotency_key: str | None,
    **given: Any,
) -> None:
    """Signal the open run of an id, or start one with that signal."""
    body = asking.new_run_body(given, session.profile.namespace)
    body |= {"signal": signal, "payload": asking.value_of(payload), "signal_id": signal_id}
    answer = session.service.post(
        f"signal {workflow_id} or start it", "workflows", workflow_id, "signal-with-start",
        body=body, key=idempotency_key,
    )  # fmt: skip
    session.out.record(answer)
