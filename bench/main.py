"""The command line of the benchmark: repetitions in turn, the counted pass, the table.

A repetition is a fresh database, a fresh service, all five workloads, `assay fsck`, and the ground floor's own
speed. With AGAINST=<commit> that commit and the working tree take turns.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import limits
from . import report
from . import workloads
from .counted import all_counts
from .databases import BACKENDS
from .databases import PostgresServer
from .databases import SqliteFiles
from .databases import databases
from .processes import TREE
from .processes import Failed
from .processes import Ground
from .processes import fsck
from .processes import service
from .workloads import QUICK
from .workloads import NotOffered
from .workloads import Site
from .workloads import Sizes

Sides = dict[str, Ground]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = _options(arguments)
    sizes = QUICK if options.quick else Sizes()
    repetitions = options.repetitions or (1 if options.quick else 3)
    backends = BACKENDS if options.backend == "both" else (options.backend,)
    found: dict[str, Any] = {"machine": machine(), "quick": options.quick, "backends": {}}
    try:
        with tempfile.TemporaryDirectory(prefix="assay-ground-") as made:
            sides = _sides(Path(made), options.against)
            print(_heading(found["machine"], repetitions, options))
            for backend in backends:
                found["backends"][backend] = _measure(backend, sides, repetitions, sizes)
    except Failed as failure:
        print(f"\nno figures: {failure}", file=sys.stderr)
        return 1
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _measure(backend: str, sides: Sides, repetitions: int, sizes: Sizes) -> dict[str, Any]:
    results: dict[str, list[workloads.Figures]] = {name: [] for name in sides}
    with databases(backend) as place:
        for number in range(1, repetitions + 1):
            for name, ground in sides.items():
                _progress(f"{place.version}, {name}, repetition {number} of {repetitions}")
                results[name].append(repetition(ground, place, sizes))
        counts = {}
        for name, ground in sides.items():
            _progress(f"{place.version}, {name}, counting")
            counts[name] = all_counts(ground, place, sizes)
        version = place.version
    for name in sides:
        print(f"\n{report.table(f'{version}, {name}', results[name], counts[name])}")
    if len(sides) > 1:
        earlier, present = sides
        print(f"\n{report.comparison((earlier, present), results[earlier], results[present])}")
    print("\nfsck: clean, every time")
    return {"version": version, "repetitions": results, "counts": counts}


def repetition(ground: Ground, place: SqliteFiles | PostgresServer, sizes: Sizes) -> workloads.Figures:
    """Measure everything once, on a fresh database. Raises Failed, also where fsck is not content."""
    figures: workloads.Figures = {"commits_per_s": limits.commits_per_s(place, sizes.limit_secs)}
    figures |= limits.flask_per_s(ground, place.backend, sizes.limit_secs)
    with place.fresh() as url:
        with service(ground, url) as port:
            site = Site(ground=ground, url=url, port=port)
            figures |= workloads.starts(site, secs=sizes.start_secs)
            figures |= workloads.batches(site, secs=sizes.batch_secs)
            figures |= workloads.hellos(site, total=sizes.hellos, workers=sizes.workers)
            with suppress(NotOffered):
                figures |= workloads.polling(site, total=sizes.polled, workers=sizes.polling_workers)
            figures |= workloads.latency(site, total=sizes.singles)
        dirty = fsck(ground, url)
        if dirty:
            raise Failed(f"the benchmark's database is not clean:\n{dirty}")
    del figures["runs"]
    return figures


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    processors = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processors[0].partition(":")[2].strip() if processors else platform.machine(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "commit": _commit_here(),
        "settings": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("ASSAY_")},
    }


def _sides(directory: Path, against: str | None) -> Sides:
    if not against:
        return {"this tree": Ground(directory / "present")}
    try:
        commit = _git("rev-parse", "--short", f"{against}^{{commit}}").decode().strip()
        packed = _git("archive", "--format=tar", commit)
    except subprocess.CalledProcessError as error:
        raise Failed(f"there is no commit {against!r} here: {error.stderr.decode().strip()}") from None
    code = directory / "code"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(code, filter="data")
    return {commit: Ground(directory / "earlier", code), "this tree": Ground(directory / "present")}


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=TREE, capture_output=True, check=True).stdout


def _commit_here() -> str:
    try:
        changed = " with changes" if _git("status", "--porcelain").strip() else ""
        return _git("rev-parse", "--short", "HEAD").decode().strip() + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _heading(found: dict[str, Any], repetitions: int, options: argparse.Namespace) -> str:
    lines = [
        f"assay-wsgi at {found['commit']}, {found['cores']} cores ({found['processor']}), Python {found['python']}, "
        f"load {found['load']:.2f} before",
        f"medians of {repetitions}{', quick: sizes too small to quote' if options.quick else ''}; "
        "every commit is flushed; starts carry no Idempotency-Key",
    ]
    if found["settings"]:
        lines.append(f"with {', '.join(f'{name}={value}' for name, value in found['settings'].items())}")
    return "\n".join(lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--backend", choices=(*BACKENDS, "both"), default="both")
    parser.add_argument("--quick", action="store_true", help="once, and little: does it run?")
    parser.add_argument("--repetitions", type=int, metavar="N", help="3, or 1 with --quick")
    parser.add_argument("--against", default=os.environ.get("AGAINST") or None, metavar="COMMIT",
                        help="measure that commit too, in turns  [default: $AGAINST]")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    return parser.parse_args(arguments)


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"  {what} ...", file=sys.stderr)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
