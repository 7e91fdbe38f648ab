"""A worker that takes one activity, says what it got, and dies by kill -9 at the moment that it was told."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable

from .wire import Session
from .wire import Wire


def at_once(_session: Session, _work: Wire) -> None:
    """Die before the first heartbeat."""


def after_a_heartbeat(session: Session, work: Wire) -> None:
    """Die when a heartbeat has been answered."""
    beat = {"task_token": work["task_token"], "details": {"done by attempt": work["attempt"]}}
    session.exchange(heartbeats=[beat])


def after_its_result(session: Session, work: Wire) -> None:
    """Die between a result and the answer to it."""
    session.hand_in(activity_results=[{"task_token": work["task_token"], "result": "done"}])


def after_its_failure(session: Session, work: Wire) -> None:
    """Die between the report of a failure and the answer to it."""
    session.hand_in(activity_results=[{"task_token": work["task_token"], "failure": {"error": "no luck"}}])


MOMENTS: dict[str, Callable[[Session, Wire], None]] = {
    moment.__name__: moment for moment in (at_once, after_a_heartbeat, after_its_result, after_its_failure)
}


def main() -> None:
    """Take an activity of the queue that the command line names, and vanish."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm.vanisher")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--worker-id", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument("--moment", choices=MOMENTS, required=True)
    asked = parser.parse_args()
    session = Session(asked.port, asked.worker_id, asked.queue)
    work: list[Wire] = []
    while not work:
        work = session.exchange(activity_slots=1, wait_secs=20)["activity_tasks"]
    said = {name: work[0][name] for name in ("attempt", "heartbeat_details")}
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()
    MOMENTS[asked.moment](session, work[0])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
