"""The command line of the demo: set the stage, feed, strike, wait for all to finish, judge, report."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.databases import BACKENDS
from bench.databases import databases
from bench.processes import Failed
from bench.processes import Ground
from bench.processes import fsck

from . import checkouts
from . import ledger
from . import runs
from . import timers
from .approvals import approvals
from .blows import KINDS
from .feeder import Feeder
from .report import Found
from .report import described
from .report import report
from .runs import Errand
from .scene import Scene
from .scene import scene
from .striking import strike

DELAY_SECS = 0.4  # that whatever the activities call takes: long enough for workers to be met at work
FINISH_SECS = 90.0
TRIES = 6  # for one kill to bite


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    options = _options(arguments)
    fed = {"approvals": options.approvals, "checkouts": options.checkouts}
    directory = Path(tempfile.mkdtemp(prefix="assay-demo-"))
    found = Found()
    with databases(options.backend) as place, place.fresh() as url:
        print(
            f"{options.approvals} approvals and {options.checkouts} checkouts on {place.version}, fed in about "
            f"{options.secs:g} s; kill -9 {options.rounds} times each: {', '.join(options.kinds)}",
            flush=True,
        )
        ground = Ground(directory)
        try:
            _play(ground, url, options, found)
            dirty = fsck(ground, url)
            if dirty:
                found.faults.append(f"fsck: {dirty}")
        except Failed as failure:
            found.faults.append(str(failure))
    print(report(found, options.kinds, options.rounds, fed))
    if found.faults:
        print(f"what the processes said is kept in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    return 0


def _play(ground: Ground, url: str, options: argparse.Namespace, found: Found) -> None:
    errands = runs.interleaved(approvals(options.approvals), checkouts.checkouts(options.checkouts))
    with scene(ground, url, DELAY_SECS) as stage:
        began = time.monotonic()
        every = options.secs / len(errands)
        wanted = options.rounds * len(options.kinds)
        next_at = 0.0  # when the next run is due, seconds from the beginning

        def may_feed(number: int) -> bool:
            nonlocal next_at
            now = time.monotonic() - began
            if now < next_at:
                return False
            # Behind with the kills: slower, so that some runs are left for those to come.
            behind = number / len(errands) > (len(found.blows) + 2) / max(wanted, 1) and wanted
            next_at = max(next_at, now - every) + every * (4 if behind else 1)
            return True

        feeder = Feeder(stage.service_url, stage.watch, errands, may_feed)
        feeder.start()
        try:
            _strike_all(stage, feeder, options, began, found)
            _finish(stage, feeder)
        finally:
            feeder.stop()
        found.secs = time.monotonic() - began
        _judge(stage, errands, feeder, found)


def _judge(stage: Scene, errands: Sequence[Errand], feeder: Feeder, found: Found) -> None:
    found.outcomes, faults = runs.judge(stage.reader, errands, feeder.runs)
    found.verdict = ledger.judge(ledger.read(stage.ledgers), ledger.recorded(stage.reader), found.blows)
    found.audit = checkouts.audit(stage.reader, stage.books())
    found.fired = timers.judge(stage.reader)
    found.faults += [*faults, *found.verdict.faults, *found.audit.faults, *found.fired.faults]


def _strike_all(stage: Scene, feeder: Feeder, options: argparse.Namespace, began: float, found: Found) -> None:
    """Strike in turns, spread over the time of feeding."""
    plan = [(turn, kind) for turn in range(options.rounds) for kind in options.kinds]
    for place, (turn, kind) in enumerate(plan, 1):
        due = began + options.secs * 0.92 * place / (len(plan) + 1)
        while time.monotonic() < due:
            _look(stage, feeder)
            time.sleep(0.05)
        for _ in range(TRIES):
            if feeder.done:
                break
            _look(stage, feeder)
            blow = strike(stage, kind, turn, patience_secs=10.0)
            if blow is None:
                continue
            found.blows.append(blow)
            print(f"  {blow.at - time.time() + time.monotonic() - began:6.1f} s  {described(blow)}", flush=True)
            if blow.bit and blow.recovered_secs is None:
                found.faults.append(f"after the kill of a {kind}, nothing went on")
            if blow.bit:
                break
    for kind in options.kinds:
        counted = len(found.counted(kind))
        if counted < options.rounds:
            found.faults.append(f"only {counted} of {options.rounds} kills of a {kind} bit")


def _finish(stage: Scene, feeder: Feeder) -> None:
    limit = time.monotonic() + FINISH_SECS
    while True:
        _look(stage, feeder)
        if feeder.done:
            left = stage.reader.one("SELECT count(*) FROM workflows WHERE status IN ('PENDING', 'RUNNING')")
            if not left:
                return
            if time.monotonic() > limit:
                raise Failed(f"{left} runs are not finished")
        else:
            limit = time.monotonic() + FINISH_SECS
        time.sleep(0.1)


def _look(stage: Scene, feeder: Feeder) -> None:
    stage.check()
    if feeder.error is not None:
        raise Failed(f"the feeder failed: {feeder.error!r}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite")
    parser.add_argument("--approvals", type=int, default=200, metavar="N")
    parser.add_argument("--checkouts", type=int, default=300, metavar="N")
    parser.add_argument("--secs", type=float, default=110.0, help="that feeding takes")
    parser.add_argument("--rounds", type=int, default=3, help="kills of each kind")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    return parser.parse_args(arguments)
