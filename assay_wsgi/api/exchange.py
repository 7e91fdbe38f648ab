"""The body of an exchange, from the wire to the domain.

Each result stands for itself: one that cannot be read is answered in its place and the others go on. Only
what nobody could be answered for (no token, no list) refuses the whole request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from typing import Any

from marshmallow import fields

from ..domain.errors import AssayError
from ..domain.errors import BadCommand
from ..domain.requests import MAIN
from ..domain.requests import ActivityFailure
from ..domain.requests import ActivityReport
from ..domain.requests import Exchange
from ..domain.requests import Heartbeat
from ..domain.requests import TaskFailure
from ..domain.requests import TurnReport
from ..domain.requests import WorkerInfo
from . import checks
from .checks import BadValue
from .commands import load_commands
from .errors import refusal
from .fields import Body
from .fields import Checked

MAX_SLOTS = 1000
MAX_RESULTS = 1000
MAX_LOST = 1000
MAX_TYPES = 1000
MAX_CACHED_RUNS = 10_000
MAX_EXCHANGES = 2**53
TYPES = "The types that it takes. Left out: any. Empty: none, unless the other list is empty, too."

_Id = partial(Checked, checks.identifier)


def names(value: Any) -> tuple[str, ...]:
    """Check the names of types or activities that a worker takes."""
    return tuple([checks.identifier(one) for one in checks.items(value, MAX_TYPES)])


def numbers(value: Any) -> tuple[int, ...]:
    """Check the numbers of exchanges."""
    return tuple([checks.integer(one, 0, MAX_EXCHANGES) for one in checks.items(value, MAX_LOST)])


def with_tokens(value: Any) -> list[dict[str, Any]]:
    """Check what must be right for each item to be answered: it is an object and has a token."""
    handed_in = checks.items(value, MAX_RESULTS)
    for index, one in enumerate(handed_in):
        if type(one) is not dict:
            raise BadValue("invalid_type", "must be an object", f"/{index}")
        if type(one.get("task_token")) is not str:
            raise BadValue("invalid_type", "must be a string", f"/{index}/task_token")
    return handed_in


def held_runs(value: Any) -> dict[str, int]:
    """Check which runs a worker holds, and up to which event."""
    cached = checks.members(value)
    if len(cached) > MAX_CACHED_RUNS:
        raise BadValue("too_many_items", f"must have at most {MAX_CACHED_RUNS} runs")
    for run_id, seq in cached.items():
        if type(seq) is not int or not 0 <= seq <= checks.MAX_INTEGER:
            raise BadValue("invalid_type", "must be the seq of an event", f"/{run_id[: checks.MAX_RUN_ID_CHARS]}")
    return cached


class WorkerBody(Body):
    """What a worker says of itself when it begins a session."""

    identity = _Id(required=True, says="What it calls itself; for people.")
    workflows = Checked(names, load_default=None, says=TYPES)
    activities = Checked(names, load_default=None, says="The activities that it takes; the same holds.")
    sdk = _Id(load_default=None, says="Which SDK it uses; for people.")


class ExchangeBody(Body):
    """Finished work, and how much more is wanted."""

    worker = fields.Nested(
        WorkerBody, load_default=None, allow_none=True,
        metadata={"description": "What the worker says of itself: it begins a session."},
    )  # fmt: skip
    session = _Id(required=True, says="Made anew by each worker process when it starts.")
    n = Checked(checks.integer, 0, MAX_EXCHANGES, required=True, says="The number of this exchange in its session.")
    ends = Checked(
        checks.boolean, load_default=False,
        says="The worker stops: its session ends when the results are in, and what it still holds is ready again.",
    )  # fmt: skip
    lost = Checked(
        numbers, load_default=(), says="Exchanges whose answers never came: what was handed out in them is ready again."
    )
    queue = _Id(required=True, says="Of which queue work is wanted.")
    namespace = _Id(load_default=MAIN, says="Of which namespace.")
    wait_secs = Checked(
        checks.number, load_default=0.0,
        says="How long to wait where there is no work; `ASSAY_LONG_POLL_MAX_SECS` at most.",
    )  # fmt: skip
    workflow_slots = Checked(
        checks.integer, 0, MAX_SLOTS, load_default=0, says="How many workflow tasks are wanted at most."
    )
    activity_slots = Checked(
        checks.integer, 0, MAX_SLOTS, load_default=0, says="How many activities are wanted at most."
    )
    workflow_results = Checked(
        with_tokens, load_default=(),
        says="Finished turns: `task_token` with `commands` or with `failure` (`cause`, `message`, `trace`).",
    )  # fmt: skip
    activity_results = Checked(
        with_tokens, load_default=(),
        says="Finished activities: `task_token` with `result`, or with `failure`, whose members are those of "
        "`POST /tasks/{id}/fail`.",
    )  # fmt: skip
    heartbeats = Checked(
        with_tokens,
        load_default=(),
        says="Activities that are still at work: `task_token`, and `details` if there are.",
    )
    cached_runs = Checked(
        held_runs, load_default=None, says="Run id -> the last event that the worker holds: only later ones are sent."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedIn:
    """An exchange for the engine, and the answers of what the engine need not see, by their place."""

    exchange: Exchange
    refused_results: dict[int, dict[str, Any]]
    refused_heartbeats: dict[int, dict[str, Any]]


def read_exchange(worker_id: str, body: dict[str, Any]) -> HandedIn:
    """Build the engine's request from a body that ExchangeBody has loaded."""
    turns = [_turn(one) for one in body.pop("workflow_results")]
    reports, refused_results = _each(_activity, body.pop("activity_results"), len(turns))
    heartbeats, refused_heartbeats = _each(_heartbeat, body.pop("heartbeats"), 0)
    worker = body.pop("worker")
    exchange = Exchange(
        worker_id=worker_id,
        worker=None if worker is None else WorkerInfo(**worker),
        workflow_results=tuple(turns),
        activity_results=tuple(reports),
        heartbeats=tuple(heartbeats),
        cached_runs=body.pop("cached_runs") or {},
        **body,
    )
    return HandedIn(exchange=exchange, refused_results=refused_results, refused_heartbeats=refused_heartbeats)


def with_wait(exchange: Exchange, wait_secs: float) -> Exchange:
    """The same exchange, waiting so long."""
    return exchange if exchange.wait_secs == wait_secs else replace(exchange, wait_secs=wait_secs)


def put_back(answers: list[Any], refused: dict[int, dict[str, Any]]) -> list[Any]:
    """Put the answers of refused items among the others, each in the place that its item had."""
    for place in sorted(refused):
        answers.insert(place, refused[place])
    return answers


def _each(
    read: Callable[[dict[str, Any]], Any], handed_in: list[dict[str, Any]], first: int
) -> tuple[list[Any], dict[int, dict[str, Any]]]:
    good = []
    refused = {}
    for place, one in enumerate(handed_in, first):
        try:
            good.append(read(one))
        except BadValue as error:
            refused[place] = {"task_token": one["task_token"], **refusal(error.refusal())}
    return good, refused


def _turn(raw: dict[str, Any]) -> TurnReport:
    token = raw["task_token"]
    failure = raw.get("failure")
    try:
        if failure is not None:
            return TurnReport(task_token=token, failure=_task_failure(failure))
        return TurnReport(task_token=token, commands=load_commands(raw.get("commands")))
    except BadValue as error:
        return TurnReport(task_token=token, refused=BadCommand(_said(error), field=error.path, issue=error.code))
    except AssayError as error:
        return TurnReport(task_token=token, refused=error)


def _task_failure(raw: Any) -> TaskFailure:
    if type(raw) is not dict:
        raise BadValue("invalid_type", "must be an object", "/failure")
    return TaskFailure(
        cause=_member(raw, "cause", checks.report, "unknown"),
        message=_member(raw, "message", checks.report, ""),
        trace=_member(raw, "trace", checks.report, None),
    )


def _activity(raw: dict[str, Any]) -> ActivityReport:
    failure = raw.get("failure")
    if failure is not None:
        return ActivityReport(task_token=raw["task_token"], failure=_activity_failure(failure))
    result = raw.get("result")
    if result is not None:
        try:
            result = checks.payload(result)
        except BadValue as error:
            raise error.at("/result") from error
    return ActivityReport(task_token=raw["task_token"], result=result)


def _activity_failure(raw: Any) -> ActivityFailure:
    if type(raw) is not dict:
        raise BadValue("invalid_type", "must be an object", "/failure")
    return ActivityFailure(
        error=_member(raw, "error", checks.report, ""),
        error_type=_member(raw, "error_type", checks.report, None),
        non_retryable=_member(raw, "non_retryable", checks.boolean, False),
        next_retry_delay=_member(raw, "next_retry_delay", checks.number, None),
        details=_member(raw, "details", checks.payload, None),
        heartbeat_details=_member(raw, "heartbeat_details", checks.payload, None),
        trace=_member(raw, "trace", checks.report, None),
    )


def _member(raw: dict[str, Any], name: str, check: Callable[[Any], Any], default: Any) -> Any:
    value = raw.get(name)
    if value is None:
        return default
    try:
        return check(value)
    except BadValue as error:
        raise error.at(f"/failure/{name}") from error


def _heartbeat(raw: dict[str, Any]) -> Heartbeat:
    try:
        return Heartbeat(task_token=raw["task_token"], details=checks.payload(raw.get("details")))
    except BadValue as error:
        raise error.at("/details") from error


def _said(error: BadValue) -> str:
    return f"{error.path.lstrip('/')}: {error.text}"
