"""The counted pass: the same workloads, smaller, on a service that counts. Nothing is timed here.

Statements, commits and rows come from a wrapper around the driver's connections (counting.py), flushes to disk
from PostgreSQL's statistics, and on SQLite from strace where it is installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Union

from . import counting
from . import workloads
from .databases import PostgresServer
from .databases import Reader
from .databases import SqliteFiles
from .processes import Failed
from .processes import Ground
from .processes import ending
from .processes import free_port
from .processes import fsck
from .processes import wait_ready
from .workloads import NotOffered
from .workloads import Site
from .workloads import Sizes

Workload = Callable[[Site], workloads.Figures]
Counts = dict[str, Union[float, None]]


def all_counts(ground: Ground, place: SqliteFiles | PostgresServer, sizes: Sizes) -> dict[str, Counts | None]:
    """Count for each workload: events, rows, statements, commits, fsyncs and bytes, a workflow. None: not offered."""
    total, singles = sizes.counted, sizes.counted_singles
    asked: dict[str, Workload] = {
        "starts": lambda site: workloads.starts(site, total=total),
        "batches": lambda site: workloads.batches(site, total=total),
        "hello": lambda site: workloads.hellos(site, total=total, workers=sizes.workers),
        "polling": lambda site: workloads.polling(site, total=sizes.polled, workers=sizes.polling_workers),
        "latency": lambda site: workloads.latency(site, total=singles),
    }
    found: dict[str, Counts | None] = dict.fromkeys(asked)
    for name, workload in asked.items():
        with suppress(NotOffered):
            found[name] = count(ground, place, workload)
    return found


def count(ground: Ground, place: SqliteFiles | PostgresServer, workload: Workload) -> Counts:
    """Count for one workload, on a database and a service of its own."""
    with place.fresh() as url, tempfile.TemporaryDirectory(prefix="assay-counts-") as made:
        directory = Path(made)
        flushes = _WalFlushes(place) if isinstance(place, PostgresServer) else _TracedFlushes(directory)
        with _counting_service(ground, url, directory, flushes.argv) as port:
            with closing(Reader(url)) as reader:
                size = reader.size_bytes()
            before = counting.read(directory)
            runs = workload(Site(ground=ground, url=url, port=port))["runs"]
            through = counting.read(directory) - before
        with closing(Reader(url)) as reader:
            events = reader.one("SELECT count(*) FROM workflow_events")
            size = reader.size_bytes() - size
        dirty = fsck(ground, url)
        if dirty:
            raise Failed(f"the database of the counted pass is not clean:\n{dirty}")
        flushed = flushes.number()
    return {
        "events": events / runs,
        "rows": through.rows / runs,
        "statements": through.statements / runs,
        "commits": through.commits / runs,
        "fsyncs": None if flushed is None else flushed / runs,
        "bytes": size / runs,
    }


class _WalFlushes:
    """Flushes of the WAL while the service ran, as PostgreSQL counted them: complete once the service has ended."""

    argv: tuple[str, ...] = ()

    def __init__(self, place: PostgresServer) -> None:
        self._place = place
        self._before = place.wal_fsyncs()

    def number(self) -> int | None:
        return self._place.wal_fsyncs() - self._before


class _TracedFlushes:
    """Flushes of the web processes, as strace saw them; None where it is not installed."""

    def __init__(self, directory: Path) -> None:
        self._trace = directory / "flushes.trace"
        program = shutil.which("strace")
        # -D: strace is the grandchild, so that the process we start is the one that we end.
        self.argv: tuple[str, ...] = (
            (program, "-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(self._trace))
            if program
            else ()
        )

    def number(self) -> int | None:
        if not self.argv:
            return None
        written = -1
        while written != (written := self._trace.stat().st_size):
            time.sleep(0.2)
        # A call that another thread interrupted is written as two lines, the second without a bracket after it.
        return sum("sync(" in line for line in self._trace.read_text().splitlines())


@contextmanager
def _counting_service(ground: Ground, url: str, directory: Path, tracer: tuple[str, ...]) -> Iterator[int]:
    """Run the service as plain gunicorn and `assay sidecar`: what `assay serve` runs, with another app."""
    port = free_port()
    environ = {"DATABASE_URL": url, "ASSAY_BIND": f"127.0.0.1:{port}", counting.DIRECTORY: str(directory)}
    gunicorn = (
        *(sys.executable, "-m", "gunicorn", "-c", "python:assay_wsgi.cli.processes.gunicorn_conf"),
        "bench.service:create_app()",
    )
    with ending(ground.start("counted-gunicorn", (*tracer, *gunicorn), environ, python=False)) as web:
        wait_ready(web, port, sidecar=False)
        with ending(ground.start("counted-sidecar", ("-m", "assay_wsgi", "sidecar"), environ)):
            wait_ready(web, port)
            yield port
