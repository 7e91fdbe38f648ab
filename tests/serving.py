"""The service's processes as an operator starts them, what they print, and the server that they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.processes import children
from tests.processes import command_line
from tests.processes import gone
from tests.processes import until

ASSAY = [sys.executable, "-m", "assay_wsgi"]
REPOSITORY = Path(__file__).parent.parent


class Process:
    """A process under test, what it prints, and the server that it is."""

    def __init__(self, log: Path, argv: list[str], **environ: str) -> None:
        self.log = log
        with log.open("w") as output:
            self.popen = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ},
                cwd=REPOSITORY,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text()

    def url(self) -> str:
        """The address in its start line."""
        return until(lambda: self.said().partition(" at http://")[2].partition(",")[0].split("\n")[0])

    def post(self, path: str, body: object, **options: float) -> requests.Response:
        return requests.post(f"http://{self.url()}/api/v1{path}", json=body, timeout=60, **options)

    def ready(self) -> dict[str, object]:
        """Wait until it is ready and a sidecar leads; what /readyz says then."""
        return until(self._ready)

    def _ready(self) -> dict[str, object] | None:
        try:
            answer = requests.get(f"http://{self.url()}/readyz", timeout=10)
        except requests.RequestException:
            return None
        return answer.json() if answer.ok and answer.json()["sidecar_leads"] else None

    def child(self, named: str) -> int:
        """Wait for the child with `named` in its command line."""
        return until(lambda: next((p for p in children(self.popen.pid) if named in command_line(p)), None))

    def family(self) -> list[int]:
        """Itself and all below it."""
        pids = [self.popen.pid]
        for pid in pids:
            pids += children(pid)
        return pids

    def ends(self) -> int:
        return self.popen.wait(timeout=60)


@contextmanager
def processes_in(directory: Path) -> Iterator[Callable[..., Process]]:
    """Give a function that starts a process from its arguments and environment; all are ended with the block."""
    processes: list[Process] = []

    def started(*argv: str, **environ: str) -> Process:
        processes.append(Process(directory / f"{len(processes)}.log", list(argv), **environ))
        return processes[-1]

    yield started
    for process in processes:
        family = process.family()
        for pid in family:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        process.popen.wait()
        # What is left over follows by its lifeline; a database must not be dropped under it.
        until(lambda family=family: all(gone(pid) for pid in family))
