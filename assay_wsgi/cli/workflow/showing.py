"""`assay workflow show`: a run told so that one sees at once what it did, what failed, and what it waits for."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

import click

from ..output import Output
from ..output import aligned
from ..output import printable
from ..output import wide
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from ..remote.service import Answered
from .following import Follower
from .following import outcome_of
from .story import Step
from .story import Story
from .story import span

ASKED_ABOUT = 20  # activities under way whose attempts are looked up
SHORT = 60  # letters of a value in a table


@click.command(cls=EngineCommand)
@click.argument("workflow_id", metavar="ID")
@click.option(
    "--compact/--full", default=True, help="One line a step, or every event with its payload.  [default: compact]"
)
@asking.run_id
@pass_session
def show(session: Session, workflow_id: str, compact: bool, run_id: str | None) -> None:
    """Tell a run's history: its steps with their outcomes, what it waits for, failures in full."""
    follower = Follower(session, workflow_id)
    record = follower.record(run_id)
    events = [event for page in follower.events(record) for event in page]
    story = Story(events)
    steps = story.steps
    for step in [step for step in steps if step.kind == "activity" and step.outcome is None][:ASKED_ABOUT]:
        step.progress = _progress(session, step)
    out = session.out
    if not out.table:
        told = {"run": record, "steps": [step.told for step in steps]}
        out.record(told if compact else {**told, "events": events})
        return
    _head(out, record)
    if compact:
        _steps(out, steps)
    else:
        _events(out, events)
    _end(out, record, story)


def _progress(session: Session, step: Step) -> dict[str, Any] | None:
    """Look up how far an activity is. It may have ended meanwhile, or be gone."""
    try:
        found = session.service.get(f"describe activity {step.activity_id}", "activities", str(step.activity_id))
    except Answered as error:
        if error.status == 404:
            return None
        raise
    names = ("status", "attempt", "max_attempts", "claimed_by", "visible_at", "last_heartbeat", "last_failure")
    return {name: found[name] for name in names}


def _head(out: Output, record: dict[str, Any]) -> None:
    out.line(f"{record['id']}  {record['workflow_type']}  {record['status']}")
    out.line(f"run {record['run_id']}, namespace {record['namespace']}, queue {record['task_queue']}")
    began, ended = record["created_at"], record["completed_at"]
    over = "" if ended is None else f", ended {out.time(ended)} after {span(ended - began)}"
    out.line(f"started {out.time(began)}{over}")
    for name in ("parent_id", "continued_from", "continued_to"):
        if record[name] is not None:
            out.line(f"{name.replace('_', ' ')} {record[name]}")
    if record["input"] is not None:
        out.line(f"input {printable(record['input'])}")


def _steps(out: Output, steps: list[Step]) -> None:
    if not steps:
        return
    rows = [["SEQ", "STEP", "OUTCOME", "TOOK", "DETAIL"]]
    rows += [
        [str(step.seq), f"{step.kind} {out.cell(step.name)}", _outcome(step), _took(step), _detail(out, step)]
        for step in steps
    ]
    widths = [max(map(wide, cells)) for cells in zip(*rows, strict=True)]
    out.line("")
    for row in rows:
        out.line(aligned(row, widths))


def _outcome(step: Step) -> str:
    if step.outcome is not None:
        return step.outcome if not step.attempts or step.attempts == 1 else f"{step.outcome}, attempt {step.attempts}"
    if step.progress is None:
        return "waiting" if step.kind in ("signal", "timer") else "under way"
    return f"{step.progress['status'].lower()}, attempt {step.progress['attempt']}"


def _took(step: Step) -> str:
    return "-" if step.ended_at is None else span(step.ended_at - step.began_at)


def _detail(out: Output, step: Step) -> str:
    if step.outcome is None and step.due_at is not None:
        return f"due {out.time(step.due_at)}"
    if step.error is not None:
        return out.cell(_short(step.error.splitlines()[0] if step.error else ""))
    if step.progress is not None and step.progress["last_failure"]:
        return out.cell(_short(str(step.progress["last_failure"].get("error"))))
    return "-" if step.detail is None else printable(_short(out.compact(step.detail)))


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."


def _events(out: Output, events: list[dict[str, Any]]) -> None:
    for event in events:
        out.line("")
        out.line(f"{event['seq']}  {out.time(event['timestamp'])}  {event['event_type']}")
        if event["payload"]:
            _block(out, out.pretty(json.loads(event["payload"])))


def _end(out: Output, record: dict[str, Any], story: Story) -> None:
    for step in story.steps:
        if step.error is not None:
            _failure(out, f"{step.kind} {step.name} {step.outcome}", step.error)
        elif step.progress is not None and step.progress["last_failure"]:
            said = step.progress["last_failure"]
            _failure(out, f"{step.kind} {step.name}, attempt {said.get('attempt')} failed", str(said.get("error")))
    if record["task_failure"] is not None:
        _task_failure(out, record["task_failure"])
    out.line("")
    if record["paused"] is not None:
        out.line(f"paused: {out.compact(record['paused'])}")
    if record["cancel_requested_at"] is not None and record["completed_at"] is None:
        out.line(f"asked to cancel at {out.time(record['cancel_requested_at'])}")
    if record["completed_at"] is None:
        waits = [
            f"{one['kind']} {_named(story, one)}, since {out.time(one['since'])}" for one in record["waiting_for"] or ()
        ]
        out.line(f"waits for {'; '.join(map(printable, waits))}" if waits else _next(record))
        return
    if record["status"] == "COMPLETED":
        out.line(f"result {printable(record['result'] or 'null')}")
    else:
        _block(out, outcome_of(record), "")


def _named(story: Story, awaited: dict[str, Any]) -> str:
    """Name what a run waits for: a timer by its duration, not by the number of its command."""
    if awaited["kind"] != "timer":
        return str(awaited["name"])
    timer = story.timers.get(int(awaited["name"]))
    return str(awaited["name"]) if timer is None else timer.name


def _task_failure(out: Output, failure: dict[str, Any]) -> None:
    count, at = failure["count"], out.time(failure["last_at"])
    times = f"once, at {at}" if count == 1 else f"{count} times, last at {at}"
    _failure(out, f"its workflow task fails ({failure['cause']}), {times}", failure["message"] or "")
    _block(out, failure.get("trace") or "")


def _next(record: dict[str, Any]) -> str:
    """Say what an open run that waits for nothing of its own will come to."""
    if record["claimed_by"] is not None:
        return printable(f"worker {record['claimed_by']} has its task")
    if record["task_failure"] is not None:
        at_once = f"assay workflow retry-now {quote(record['id'])}"
        return printable(f"its task is tried again by itself, ten minutes later at most; at once: {at_once}")
    return printable(f"waits for a worker of queue {record['task_queue']} that knows {record['workflow_type']}")


def _failure(out: Output, what: str, text: str) -> None:
    out.line("")
    out.line(f"{printable(what)}:")
    _block(out, text)


def _block(out: Output, text: str, indent: str = "    ") -> None:
    """Print a text of others, line by line, without what a terminal might obey."""
    for line in text.splitlines():
        out.line(f"{indent}{printable(line.replace(chr(9), '    '))}".rstrip())
