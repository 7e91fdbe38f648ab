"""`assay workflow signal`, `retry-now`, `cancel`, `terminate` and `continue-as-new`."""

from __future__ import annotations

from shlex import quote
from typing import Any

import click

from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from ..remote.values import Given
from ..remote.values import Json


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("name")
@click.argument("payload", type=Json(), required=False)
@asking.signal_id
@asking.run_id
@asking.idempotency_key
@pass_session
def signal(
    session: Session,
    workflow_id: str,
    name: str,
    payload: Given | None,
    signal_id: str | None,
    run_id: str | None,
    idempotency_key: str | None,
) -> None:
    """Send a signal to a run."""
    body = {"payload": asking.value_of(payload)}
    if signal_id is not None:
        body["signal_id"] = signal_id
    answer = session.service.post(
        f"signal {workflow_id}", "workflows", workflow_id, "signal", name,
        body=body, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    again = " already" if answer.get("repeated") else ""
    _done(session, f"signal {name} was{again} sent to {workflow_id}", answer)


@click.command("retry-now", cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option(
    "--activities/--no-activities", default=True,
    help="Whether activities between attempts are tried, too.  [default: they are]",
)  # fmt: skip
@asking.run_id
@asking.idempotency_key
@pass_session
def retry_now(
    session: Session, workflow_id: str, activities: bool, run_id: str | None, idempotency_key: str | None
) -> None:
    """Try at once what failed and waits for its back-off: when its worker is mended, say.

    The wait after the next failure is short again. Attempts of activities stay counted.
    """
    answer = session.service.post(
        f"retry {workflow_id} now", "workflows", workflow_id, "retry-now",
        body={"activities": activities}, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    task, count = answer["task"], answer["activities"]
    told = ["its workflow task"] * task + [f"{count} activit{'y' if count == 1 else 'ies'}"] * (count > 0)
    waited = f"tries again now: {' and '.join(told)}" if told else "has nothing that waits to be tried again"
    session.out.done(f"{workflow_id} {waited}", **{name: answer[name] for name in ("run_id", "task", "activities")})


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@asking.reason
@asking.run_id
@asking.idempotency_key
@pass_session
def cancel(
    session: Session, workflow_id: str, reason: str | None, run_id: str | None, idempotency_key: str | None
) -> None:
    """Ask a run to end: its code hears of it at its next step."""
    answer = session.service.post(
        f"cancel {workflow_id}", "workflows", workflow_id, "cancel",
        body={"reason": reason}, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    _done(session, f"{workflow_id} was asked to cancel", answer)
    session.hint(f"assay workflow wait {quote(workflow_id)} --target CANCELLED")


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@asking.reason
@asking.run_id
@asking.idempotency_key
@pass_session
def terminate(
    session: Session, workflow_id: str, reason: str | None, run_id: str | None, idempotency_key: str | None
) -> None:
    """End a run now: its code is not asked."""
    answer = session.service.post(
        f"terminate {workflow_id}", "workflows", workflow_id, "terminate",
        body={"reason": reason}, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    _done(session, f"{workflow_id} was terminated", answer)


@click.command("continue-as-new", cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--input", type=Json(), help="What the next run begins with.")
@click.option("--new-id", metavar="ID", help="Id of the next run.  [default: ID-continued-N]")
@click.option("--type", "workflow_type", metavar="NAME", help="Another workflow to go on with.")
@click.option("--queue", metavar="NAME", help="Another task queue to go on in.")
@asking.run_id
@asking.idempotency_key
@pass_session
def continue_as_new(
    session: Session,
    workflow_id: str,
    input: Given | None,
    new_id: str | None,
    workflow_type: str | None,
    queue: str | None,
    run_id: str | None,
    idempotency_key: str | None,
) -> None:
    """Close a run and start the next one like it; of a closed run, start a fresh one like it.

    Its input is what is given here, null without --input: that of the run before is not taken over.
    """
    body: dict[str, Any] = {
        "input": asking.value_of(input), "workflow_id": new_id, "workflow_type": workflow_type, "task_queue": queue,
    }  # fmt: skip
    answer = session.service.post(
        f"continue {workflow_id} as new", "workflows", workflow_id, "continue-as-new",
        body=body, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    session.out.record(answer)
    session.hint(f"assay workflow show {quote(answer['workflow_id'])}")


def _done(session: Session, sentence: str, answer: dict[str, Any]) -> None:
    """Say what was done, and to which run."""
    told = {name: value for name, value in answer.items() if name in ("run_id", "event_seq", "repeated")}
    session.out.done(sentence, **told)
