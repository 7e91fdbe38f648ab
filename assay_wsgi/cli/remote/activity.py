"""`assay activity`: look at one, and do by hand what its worker cannot: complete it, fail it, hand it on."""

from __future__ import annotations

from typing import Any

import click

from . import asking
from .commands import EngineGroup
from .commands import Session
from .commands import pass_session
from .values import Given
from .values import Json

task_token = click.option(
    "--task-token", metavar="TOKEN", help="Only of this attempt.  [default: of whatever attempt runs]"
)


@click.group(cls=EngineGroup)
def activity() -> None:
    """Look at an activity, add one to a run, or report for a worker that cannot."""


@activity.command()
@click.argument("activity_id", metavar="ID")
@pass_session
def describe(session: Session, activity_id: str) -> None:
    """Print an activity's record."""
    session.out.record(
        session.service.get(f"describe activity {activity_id}", "activities", activity_id, **session.which(None))
    )


@activity.command()
@click.argument("workflow_id", metavar="WORKFLOW_ID")
@click.argument("name")
@click.option(
    "--seq",
    type=click.IntRange(1),
    required=True,
    metavar="N",
    help="Its number in the run: one that is taken adds nothing.",
)
@click.option("--input", type=Json(), help="What it is given.")
@click.option("--queue", "task_queue", metavar="NAME", help="[default: the run's]")
@click.option("--max-attempts", type=click.IntRange(0), metavar="N", help="0 = without end.")
@click.option("--initial-interval-secs", type=float, metavar="SECS", help="Before the second attempt.")
@click.option("--backoff-coefficient", type=float, metavar="X", help="How much longer before each further one.")
@click.option("--max-interval-secs", type=float, metavar="SECS", help="But not longer than this.")
@click.option("--jitter", type=float, metavar="X", help="0 to 1: how much of it is chance.")
@click.option("--non-retryable", multiple=True, metavar="TYPE", help="An error type that ends it; may be repeated.")
@click.option("--start-to-close-secs", type=float, metavar="SECS", help="Longest time of an attempt.")
@click.option("--heartbeat-timeout-secs", type=float, metavar="SECS", help="Longest silence of an attempt.")
@click.option("--schedule-to-start-secs", type=float, metavar="SECS", help="Longest wait for a worker.")
@click.option("--schedule-to-close-secs", type=float, metavar="SECS", help="Longest time of all attempts.")
@task_token
@asking.run_id
@asking.idempotency_key
@pass_session
def add(
    session: Session,
    workflow_id: str,
    run_id: str | None,
    idempotency_key: str | None,
    input: Given | None,
    non_retryable: tuple[str, ...],
    **given: Any,
) -> None:
    """Add an activity to a run, once per seq."""
    body = {name: value for name, value in given.items() if value is not None}
    if input is not None:
        body["input"] = input.value
    if non_retryable:
        body["non_retryable"] = list(non_retryable)
    added = session.service.post(
        f"add an activity to {workflow_id}", "workflows", workflow_id, "activities",
        body=body, key=idempotency_key, **session.which(run_id),
    )  # fmt: skip
    session.out.record(added)


@activity.command()
@click.argument("activity_id", metavar="ID")
@click.option("--result", type=Json(), help="What it gave.  [default: null]")
@task_token
@pass_session
def complete(session: Session, activity_id: str, result: Given | None, task_token: str | None) -> None:
    """Record an activity's result in place of its worker."""
    _report(session, activity_id, "complete", "was completed", task_token, result=asking.value_of(result))


@activity.command()
@click.argument("activity_id", metavar="ID")
@click.option("--error", required=True, metavar="TEXT", help="What went wrong.")
@click.option("--error-type", metavar="TYPE", help="Its kind: retry rules go by it.")
@click.option("--non-retryable", is_flag=True, default=None, help="Do not try again.")
@click.option("--next-retry-delay", type=float, metavar="SECS", help="Try again after this time.")
@click.option("--details", type=Json(), help="More of it, for the run's code.")
@task_token
@pass_session
def fail(session: Session, activity_id: str, task_token: str | None, details: Given | None, **told: Any) -> None:
    """Record that an attempt failed: it is tried again, or the activity fails for good."""
    _report(session, activity_id, "fail", "was failed", task_token, details=asking.value_of(details), **told)


@activity.command()
@click.argument("activity_id", metavar="ID")
@click.option("--details", type=Json(), help="How far it is.")
@task_token
@pass_session
def heartbeat(session: Session, activity_id: str, details: Given | None, task_token: str | None) -> None:
    """Say that an activity is still at work."""
    _report(session, activity_id, "heartbeat", "is at work", task_token, details=asking.value_of(details))


@activity.command()
@click.argument("activity_id", metavar="ID")
@task_token
@pass_session
def release(session: Session, activity_id: str, task_token: str | None) -> None:
    """Take an activity from its worker: another gets it at once, the attempt is not counted."""
    _report(session, activity_id, "release", "was released", task_token)


def _report(session: Session, activity_id: str, verb: str, done: str, task_token: str | None, **told: Any) -> None:
    body = {name: value for name, value in {**told, "task_token": task_token}.items() if value is not None}
    answer = session.service.call(
        f"{verb} activity {activity_id}", "POST", ("tasks", activity_id, verb), session.which(None), body
    ).body
    session.out.done(
        f"activity {activity_id} {done}", **{name: value for name, value in answer.items() if name != "ok"}
    )
