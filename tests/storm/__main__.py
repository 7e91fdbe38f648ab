"""`python -m tests.storm`: timers, schedules, trees, listeners, workers that vanish, under kill -9 all the time.

Prints what was seen, on each database; the exit code is 1 where a promise was broken. Lateness is printed and
judged by whoever reads it.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.databases import BACKENDS
from bench.databases import databases
from bench.processes import Failed
from bench.processes import Ground

from .listeners import listeners
from .scene import Found
from .scene import Site
from .schedules import schedules
from .timers import timers
from .trees import trees
from .vanishing import vanishing

PARTS: dict[str, tuple[Callable[[Site], Found], ...]] = {
    "timers": (
        partial(timers, runs=50, each=4, spread_secs=4.0, killing=False),
        partial(timers, runs=500, each=10, spread_secs=1.0, killing=False),
        partial(timers, runs=500, each=10, spread_secs=1.0, killing=True),
        partial(timers, runs=500, each=10, spread_secs=15.0, killing=True),
    ),
    "trees": (partial(trees, width=50, timeout_secs=15.0),) * 3,
    "schedules": (partial(schedules, count=50, secs=60.0, packed=5),),
    "listeners": (partial(listeners, each=20, kills=20, runs=3000),),
    "vanishing": (partial(vanishing, killing=False), partial(vanishing, killing=True)),
}


def main() -> int:
    """Play the parts that the command line names, on each database; return the exit code."""
    options = _options()
    chance = random.Random(options.seed)
    say(f"seed {options.seed}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    faults = 0
    for backend in BACKENDS if options.backend == "both" else (options.backend,):
        with databases(backend) as place:
            say(f"\n{place.version}")
            for part in options.parts or PARTS:
                for play in PARTS[part]:
                    with place.fresh() as url:
                        faults += _played(play, url, chance)
    say(f"\n{'every promise was kept' if not faults else f'{faults} faults'}")
    return 1 if faults else 0


def _played(play: Callable[[Site], Found], url: str, chance: random.Random) -> int:
    """Play a part and print what was found; what its processes said is kept where it found faults."""
    directory = Path(tempfile.mkdtemp(prefix="assay-storm-"))
    began = time.monotonic()
    try:
        found = play(Site(ground=Ground(directory), url=url, chance=chance))
    except (AssertionError, Failed) as failure:
        found = Found(title=play.func.__name__ if isinstance(play, partial) else "", faults=[str(failure)])
    say(f"{found}  ({time.monotonic() - began:.0f} s)")
    if found.faults:
        say(f"    what the processes said is kept in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return len(found.faults)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them, if none is named")
    parser.add_argument("--backend", choices=(*BACKENDS, "both"), default="both")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of whom to kill, and when")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
