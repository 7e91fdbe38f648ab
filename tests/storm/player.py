"""A process that plays the families' worker on an engine of its own, to be killed anywhere, in a commit too."""

from __future__ import annotations

import argparse
import os
import secrets
import time

from assay_wsgi.domain.errors import Unavailable
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.engine import Engine
from tests.engine.stories import Played
from tests.engine.stories import Wire

from .family import QUEUE
from .family import turn

SLOTS = 10
EXPECTED = {
    "lease_lost",  # the run was taken away meanwhile
    "workflow_closed",
    "unhandled_events",  # something came while the last turn was made up
    "store_busy",
}


def play(worker: Played) -> None:
    """Take turns for as long as whoever started this process lives."""
    parent = os.getppid()
    turns: tuple[TurnReport, ...] = ()
    while os.getppid() == parent:
        try:
            answer = worker.exchange(workflow_results=turns, workflow_slots=SLOTS, wait_secs=1.0)
        except Unavailable:
            time.sleep(0.05)
            continue
        bad = [said for said in answer["results"] if said.get("code", "lease_lost") not in EXPECTED]
        if bad:
            raise SystemExit(f"refused: {bad}")
        turns = tuple(_report(task) for task in answer["workflow_tasks"])


def _report(task: Wire) -> TurnReport:
    return TurnReport(task_token=task["task_token"], commands=turn(task))


def main() -> None:
    """Play on the database that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm.player")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--worker-id", required=True)
    asked = parser.parse_args()
    play(Played(Engine.open(asked.backend), asked.worker_id, session=secrets.token_hex(8), queue=QUEUE))


if __name__ == "__main__":
    main()
