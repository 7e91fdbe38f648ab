"""`python -m tests.examples`: every example, end to end, against a service of its own.

One line each: its time and what was seen. The exit code is 1 where one did not do what its docstring says.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.databases import BACKENDS
from bench.databases import databases
from bench.processes import Failed

from .plays import PLAYS
from .stage import played


def main(arguments: list[str]) -> int:
    """Play those that the command line names; return the exit code."""
    options = _options(arguments)
    failed = 0
    with databases(options.backend) as place:
        say(f"on {place.version}")
        for play in PLAYS:
            if options.names and play.name not in options.names:
                continue
            directory = Path(tempfile.mkdtemp(prefix=f"assay-{play.name}-"))
            began = time.monotonic()
            try:
                seen = played(play, place, directory)
            except Exception as failure:  # noqa: BLE001  one that fails must not keep the others from being played
                failed += 1
                reason = str(failure) if isinstance(failure, Failed) else repr(failure)
                seen = f"FAILED: {reason}\n    what the processes said is kept in {directory}"
            else:
                shutil.rmtree(directory, ignore_errors=True)
            say(f"{play.name:16} {time.monotonic() - began:5.1f} s  {seen}")
    return 1 if failed else 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.examples", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*(play.name for play in PLAYS), []], help="all, if none is named")
    parser.add_argument("--backend", choices=BACKENDS, default="sqlite")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
