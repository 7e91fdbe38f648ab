"""The command line of the demo: set the stage, feed, strike, wait for all to finish, judge, report."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from bench.databases import BACKENDS
from bench.databases import Reader
from bench.databases import databases
from bench.processes import Failed
from bench.processes import Ground
from bench.processes import fsck
from examples.documents.feed import decision
from examples.documents.feed import documents
from examples.documents.workflow import Document

from . import ledger
from .blows import KINDS
from .blows import Blow
from .feeder import Feeder
from .scene import Scene
from .scene import scene
from .striking import strike

DELAY_SECS = 0.4  # that the document service takes: long enough for workers to be met at work
WORD_AFTER_SECS = 3.0
FINISH_SECS = 90.0
TRIES = 6  # for one kill to bite


@dataclass
class Found:
    """What the demo has seen."""

    blows: list[Blow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    secs: float = 0.0
    verdict: ledger.Verdict | None = None

    def counted(self, kind: str) -> list[Blow]:
        """The kills that bit."""
        return [blow for blow in self.blows if blow.kind == kind and blow.bit]


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    options = _options(arguments)
    chosen = list(itertools.islice(documents(), options.documents))
    directory = Path(tempfile.mkdtemp(prefix="assay-demo-"))
    found = Found()
    with databases(options.backend) as place, place.fresh() as url:
        print(
            f"{len(chosen)} approvals on {place.version}, fed in about {options.secs:g} s; "
            f"kill -9 {options.rounds} times each: {', '.join(options.kinds)}",
            flush=True,
        )
        ground = Ground(directory)
        try:
            _play(ground, url, chosen, options, found)
            dirty = fsck(ground, url)
            if dirty:
                found.faults.append(f"fsck: {dirty}")
        except Failed as failure:
            found.faults.append(str(failure))
    print(report(found, options.kinds, options.rounds, len(chosen)))
    if found.faults:
        print(f"what the processes said is kept in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    return 0


def _play(ground: Ground, url: str, chosen: Sequence[Document], options: argparse.Namespace, found: Found) -> None:
    with scene(ground, url, DELAY_SECS) as stage:
        began = time.monotonic()
        every = options.secs / len(chosen)
        wanted = options.rounds * len(options.kinds)
        next_at = 0.0  # when the next document is due, seconds from the beginning

        def may_feed(number: int) -> bool:
            nonlocal next_at
            now = time.monotonic() - began
            if now < next_at:
                return False
            # Behind with the kills: slower, so that some documents are left for those to come.
            behind = number / len(chosen) > (len(found.blows) + 2) / max(wanted, 1) and wanted
            next_at = max(next_at, now - every) + every * (4 if behind else 1)
            return True

        feeder = Feeder(stage.service_url, stage.watch, chosen, may_feed, WORD_AFTER_SECS)
        feeder.start()
        try:
            _strike_all(stage, feeder, options, began, found)
            _finish(stage, feeder, len(chosen))
        finally:
            feeder.stop()
        found.secs = time.monotonic() - began
        found.outcomes, faults = outcomes(stage.reader, chosen, feeder.runs)
        found.faults += faults
        found.verdict = ledger.judge(ledger.read(stage.ledgers), ledger.recorded(stage.reader), found.blows)
        found.faults += found.verdict.faults


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


def _finish(stage: Scene, feeder: Feeder, number: int) -> None:
    limit = time.monotonic() + FINISH_SECS
    while True:
        _look(stage, feeder)
        if feeder.done:
            left = stage.reader.one("SELECT count(*) FROM workflows WHERE status IN ('PENDING', 'RUNNING')")
            if not left:
                return
            if time.monotonic() > limit:
                raise Failed(f"{left} of {number} approvals are not finished")
        else:
            limit = time.monotonic() + FINISH_SECS
        time.sleep(0.1)


def _look(stage: Scene, feeder: Feeder) -> None:
    stage.check()
    if feeder.error is not None:
        raise Failed(f"the feeder failed: {feeder.error!r}")


def outcomes(reader: Reader, chosen: Sequence[Document], started: dict[str, str]) -> tuple[dict[str, int], list[str]]:
    """Count the results; list what differs from what was decided, and every start that was lost or doubled."""
    runs = {
        run_id: (workflow_id, status, result)
        for run_id, workflow_id, status, result in reader.rows(
            "SELECT run_id, workflow_id, status, result FROM workflows"
        )
    }
    faults = [f"{run_id} was started, and is not there" for run_id in started.keys() - runs.keys()]
    faults += [f"{run_id} is there, and nobody was told so" for run_id in runs.keys() - started.keys()]
    results = {workflow_id: (status, result) for workflow_id, status, result in runs.values()}
    counts: dict[str, int] = {}
    for number, document in enumerate(chosen, 1):
        word = decision(number)
        expected = ("published" if word.ok else "rejected", word.by)
        status, text = results.get(f"approve-{document.id}", ("missing", None))
        result = json.loads(text) if text else {}
        if status != "COMPLETED" or (result.get("status"), result.get("by")) != expected:
            faults.append(f"approve-{document.id} is {status} with {result}, expected {' by '.join(expected)}")
        else:
            counts[expected[0]] = counts.get(expected[0], 0) + 1
    return counts, faults


def described(blow: Blow) -> str:
    """One kill in one line."""
    name = f"{blow.kind} {blow.worker or blow.pid}"
    if not blow.bit:
        return f"{name}: {blow.proof}: not counted"
    after = "never" if blow.recovered_secs is None else f"{blow.recovered_secs:.2f} s"
    return f"{name}: {blow.proof}; {after} {blow.recovery}"


def report(found: Found, kinds: Sequence[str], rounds: int, number: int) -> str:
    """All of it on one screen."""
    done = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.outcomes.items()))
    finished = sum(found.outcomes.values())
    lines = ["", f"{finished} of {number} approvals finished as decided in {found.secs:.0f} s: {done}"]
    for kind in kinds:
        counted = found.counted(kind)
        missed = sum(blow.kind == kind and not blow.bit for blow in found.blows)
        times = " ".join("never" if blow.recovered_secs is None else f"{blow.recovered_secs:.2f}" for blow in counted)
        until = counted[0].recovery if counted else ""
        lines.append(
            f"  {kind:16} {len(counted)} of {rounds} kills bit{f' ({missed} more did not)' if missed else '':22} "
            f"recovery {times} s {until}"
        )
    if found.verdict is not None:
        verdict = found.verdict
        again = ", ".join(f"{count} by a {cause}" for cause, count in verdict.repeats.items())
        lines += [
            f"ledger: {verdict.activities} activities, {verdict.lines} lines; done again: {again or 'none'}; "
            f"{verdict.failed_attempts} attempts failed and were made again",
            "history: each activity recorded exactly once" if not verdict.faults else "history: see below",
        ]
    lines.append("fsck: clean" if not any(fault.startswith("fsck") for fault in found.faults) else "fsck: see below")
    lines += [f"FAULT {fault}" for fault in found.faults[:20]]
    if len(found.faults) > 20:
        lines.append(f"and {len(found.faults) - 20} faults more")
    return "\n".join(lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite")
    parser.add_argument("--documents", type=int, default=200, metavar="N")
    parser.add_argument("--secs", type=float, default=110.0, help="that feeding takes")
    parser.add_argument("--rounds", type=int, default=3, help="kills of each kind")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    return parser.parse_args(arguments)
