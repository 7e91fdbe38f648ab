"""`assay doctor`: whether this host and a service understand each other, and what to do where they do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

import click

from ...settings import is_loopback
from ...version import __version__
from ..checkup import Looked
from ..checkup import tell
from ..failures import Failed
from ..failures import Refused
from ..output import printable
from ..workflow.story import span
from .commands import EngineCommand
from .commands import Session
from .commands import pass_session
from .probe import Told
from .probe import probe
from .probe import why_not_ready
from .service import Answered
from .service import Unreachable

_PROBE_SECS = 5.0
_SKEW_SECS = 5.0
_SLACK_SECS = 2.0  # a busy host may be late
_UNPOLLED_SECS = 60.0  # a worker with a free slot asks at least every 20 s
_SHOWN = 200  # letters of a message
_NOBODY = "assay-doctor"  # a queue that nobody works on, and who asks for its work


@click.command(cls=EngineCommand)
@click.option(
    "--wait",
    "wait_secs",
    type=click.FloatRange(1, 60),
    default=4.0,
    metavar="SECS",
    show_default=True,
    help="How long a poll must be able to wait; workers wait up to 20 s.",
)
@pass_session
def doctor(session: Session, *, wait_secs: float) -> None:
    """Look at the way to a service, its key, clocks and versions, at work that nobody takes and at what fails.

    What fails: code, schedules, long polls. Each finding says what to do. Exit code 0: none; 1: there are findings.
    """
    tell(session.out, ("engine", session.profile.engine_url), list(_examine(session, wait_secs)))


def _examine(session: Session, wait_secs: float) -> Iterator[Looked]:
    yield from _secrecy(session)
    before = _now()
    try:
        alive = probe(session.profile.engine_url, "livez", _PROBE_SECS)
    except Failed as error:
        source = session.profile.sources["engine_url"]
        yield Looked("reach", error.message, f"Start it (assay serve), or name another: the URL is from {source}")
        return
    after = _now()
    if alive.status != 200 or not alive.by_an_engine:
        yield Looked(
            "reach", f"HTTP {alive.status} from something that is no assay engine", "Name the engine's own URL"
        )
        return
    yield Looked("reach", "the engine answers")
    yield _clock(alive, before, after)
    yield from _ready(probe(session.profile.engine_url, "readyz", _PROBE_SECS))
    try:
        yield _version(session)
        yield from _queues(session)
    except Refused as error:
        yield Looked("key", error.message, "Give a key that is valid there: ASSAY_API_KEY or ASSAY_API_KEY_FILE")
        return
    except Failed as error:
        yield Looked("answers", error.message, "See the service's log at this time")
        return
    yield _long_poll(session, wait_secs)


def _secrecy(session: Session) -> Iterator[Looked]:
    parts = urlsplit(session.profile.engine_url)
    if session.profile.api_key and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield Looked("secrecy", "the key travels to another host without encryption", "Use https://")


def _clock(alive: Told, before: float, after: float) -> Looked:
    """Compare with the Date of an answer, which is cut to whole seconds."""
    try:
        theirs = parsedate_to_datetime(alive.date or "").timestamp()
    except ValueError:
        return Looked("clock", "the answer has no date to compare with")
    ahead = max(before - (theirs + 1), 0.0) - max(theirs - after, 0.0)
    if abs(ahead) <= _SKEW_SECS:
        return Looked("clock", "this host's clock agrees with the engine's")
    side = "ahead of" if ahead > 0 else "behind"
    return Looked("clock", f"this host's clock is {abs(ahead):.0f} s {side} the engine's", "Keep both with NTP")


def _ready(told: Told) -> Iterator[Looked]:
    if told.status == 200:
        yield Looked("ready", "the engine is ready")
    else:
        advice = "Wait for its successor" if told.body.get("draining") else "See `assay db doctor` on its host"
        yield Looked("ready", f"the engine is not ready: {why_not_ready(told)}", advice)
    if told.body.get("database") != "ok":
        return
    if told.body.get("sidecar_leads"):
        yield Looked("sidecar", "a sidecar leads")
    else:
        yield Looked("sidecar", "no sidecar leads: timers and time-outs stand still", "Run `assay sidecar` beside it")


def _version(session: Session) -> Looked:
    theirs = session.service.get("ask for the version", "version")["version"]
    if theirs == __version__:
        return Looked("version", f"client and engine are version {theirs}")
    return Looked("version", f"the engine is version {theirs}, this client {__version__}", f"Install {theirs} here")


def _queues(session: Session) -> Iterator[Looked]:
    namespace = session.profile.namespace
    try:
        session.service.get("look at the namespace", "namespaces", namespace)
    except Answered as error:
        if error.status != 404:
            raise
        yield Looked("namespace", f"there is no namespace {namespace}", "See `assay namespace list`")
        return
    yield Looked("namespace", f"namespace {namespace} is there")
    troubles = [
        trouble
        for page in session.service.pages("look at the backlog", "backlog", namespace=namespace)
        for queue in page
        for trouble in (*_waits(queue, namespace), *_fails(queue))
    ]
    schedules = session.service.get("look at the schedules", "schedules", namespace=namespace)
    troubles += [_stands_still(schedule) for schedule in schedules if schedule["error"]]
    yield from troubles
    for check, text in _WELL.items():
        if not any(trouble.check == check for trouble in troubles):
            yield Looked(check, text)


_WELL = {
    "workers": "no queue waits without a worker",
    "types": "nothing waits that no worker takes",
    "tasks": "no run's workflow task fails",
    "schedules": "every schedule can be worked on",
}


def _waits(queue: dict[str, Any], namespace: str) -> Iterator[Looked]:
    """Tell whose work nobody takes: of the whole queue, or of a type."""
    name, waiting = printable(queue["queue"]), queue["waiting"]
    count = sum(each["count"] for each in waiting)
    run_one = f"Run one: assay worker MODULE:APP --namespace {quote(namespace)} --queue {quote(name)}"
    idle_secs = queue["unpolled_secs"]
    if count and not queue["workers"]:
        silent = f" but {queue['silent_workers']} that went silent" if queue["silent_workers"] else ""
        yield Looked("workers", f"queue {name} has {count} waiting and no worker{silent}", run_one)
        return
    if count and (idle_secs is None or idle_secs > _UNPOLLED_SECS):
        since = "was never asked for work" if idle_secs is None else f"was last asked for work {span(idle_secs)} ago"
        advice = "Its workers are busy with activities, or stuck: see `assay worker list`; run more of them"
        yield Looked("workers", f"queue {name} has {count} waiting, {queue['workers']} at work, and {since}", advice)
    for each in waiting:
        if queue["workers"] and not each["takers"]:
            what = f"{each['kind']} {printable(each['name'])}"
            yield Looked(
                "types",
                f"queue {name} has {each['count']} of {what} waiting, which no worker of it takes",
                f"Give {what} to the app of its worker, or send it to the queue of one that has it",
            )


def _fails(queue: dict[str, Any]) -> Iterator[Looked]:
    """Tell which runs' code fails, by type, with the last message of one."""
    for each in queue["failing"]:
        newest = each["newest"]
        told, run = newest["task_failure"], newest["workflow_id"]
        kind, count = printable(each["workflow_type"]), each["count"]
        runs = f"1 run of {kind} fails" if count == 1 else f"{count} runs of {kind} fail"
        message = printable(told["message"].partition("\n")[0][:_SHOWN])
        yield Looked(
            "tasks",
            f"{runs} in queue {printable(queue['queue'])}; {printable(run)}, "
            f"{told['count']} time{'s' * (told['count'] > 1)}: {printable(told['cause'])}: {message}",
            f"See `assay workflow show {quote(run)}`, mend its worker, then: assay workflow retry-now {quote(run)}",
        )


def _stands_still(schedule: dict[str, Any]) -> Looked:
    """Tell why a schedule starts nothing."""
    name, message = printable(schedule["name"]), printable(schedule["error"]["message"][:_SHOWN])
    advice = f"See `assay schedule describe {quote(name)}`; where a zone is not known, pip install -U tzdata there"
    return Looked("schedules", f"schedule {name} starts nothing: {message}", advice)


def _long_poll(session: Session, wait_secs: float) -> Looked:
    """Wait for work that never comes, as a worker does; whatever stands between must let it wait."""
    body = {"queue": _NOBODY, "worker_id": _NOBODY, "namespace": session.profile.namespace, "wait_secs": wait_secs}
    advice = "Between here and the engine something ends or holds up long requests: let it wait for 60 s, unbuffered"
    began = time.monotonic()
    try:
        reply = session.service.call("wait for work", "POST", ("tasks", "poll"), body=body)
    except (Unreachable, Answered) as error:
        return Looked("long-poll", f"a poll was cut after {time.monotonic() - began:.1f} s: {error.message}", advice)
    took = time.monotonic() - began
    if took > wait_secs + _SLACK_SECS:
        return Looked("long-poll", f"a poll of {wait_secs:g} s was answered after {took:.1f} s", advice)
    if took >= wait_secs * 0.9:
        return Looked("long-poll", f"a poll can wait {wait_secs:g} s")
    if reply.retry_after is not None:
        return Looked("long-poll", "the engine has no room for waiting polls", "Raise ASSAY_HTTP_THREADS there")
    return Looked(
        "long-poll",
        f"a poll of {wait_secs:g} s was answered after {took:.1f} s",
        f"Raise ASSAY_LONG_POLL_MAX_SECS there if it is that short. {advice}",
    )


def _now() -> float:
    return time.time()  # noqa: TID251  this host's own clock is what is looked at
