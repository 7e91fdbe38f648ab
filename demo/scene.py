"""The processes of the demo: the service, two workers, what their activities call; and its database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.databases import Reader
from bench.processes import Child
from bench.processes import Failed
from bench.processes import Ground
from bench.processes import ending
from bench.processes import free_port
from bench.processes import get
from bench.processes import serve
from bench.processes import wait_ready
from bench.processes import wait_until

from . import proc
from .blows import Watch

WORKERS = ("demo-1", "demo-2")
DOCUMENTS, SHOP = "examples.documents.service", "examples.checkout.backend"
CALLED = {DOCUMENTS: "/stats", SHOP: "/books"}  # what the activities call, and where it answers
_LOOK_SECS = 0.1


class Scene:
    """What is on the stage. The names of its parts are those of the blows."""

    def __init__(self, ground: Ground, url: str, serve: Child, port: int, called: Mapping[str, int]) -> None:
        """`called`: the ports of what the activities call, by module."""
        self.ground = ground
        self.url = url
        self.port = port
        self.service_url = f"http://127.0.0.1:{port}"
        self.reader = Reader(url)
        self.web: tuple[int, ...] = ()  # web processes, as of the last look
        self.watch = Watch(lambda: self.web)
        self.workers: dict[str, Child] = {}
        self._serve = serve
        self._called = called
        self._ended = threading.Event()
        threading.Thread(target=self._look, name="look", daemon=True).start()

    @property
    def ledgers(self) -> dict[str, Path]:
        """The file of each worker."""
        return {worker: self.ground.directory / f"ledger-{worker}.jsonl" for worker in WORKERS}

    def start_worker(self, worker: str) -> None:
        """Start a worker, or start it again under the same id."""
        self.workers[worker] = self.ground.start(
            worker,
            (
                *("-m", "assay_wsgi", "worker", "demo.worker:app"),
                *("--url", self.service_url, "--worker-id", worker),
            ),
            {
                "DOCUMENTS_SERVICE_URL": f"http://127.0.0.1:{self._called[DOCUMENTS]}",
                "CHECKOUT_BACKEND_URL": f"http://127.0.0.1:{self._called[SHOP]}",
                "DEMO_LEDGER": str(self.ledgers[worker]),
            },
        )

    def books(self) -> list[dict[str, Any]]:
        """What the shop has done, in order."""
        return list(json.loads(get(self._called[SHOP], CALLED[SHOP])[1]))

    def master(self) -> int | None:
        """The present master of gunicorn."""
        return self._child_of_serve("gunicorn")

    def web_processes(self) -> tuple[int, ...]:
        """The present web processes."""
        master = self.master()
        return tuple(proc.children(master)) if master is not None else ()

    def leader(self) -> int | None:
        """The sidecar that leads, by the database's word."""
        held = self.reader.rows("SELECT owner, expires_at FROM leases WHERE name = 'sidecar' AND owner IS NOT NULL")
        if not held or held[0][1] <= time.time():
            return None
        return int(held[0][0].split("/")[1])

    def sidecar(self) -> int | None:
        """The present sidecar of `assay serve`."""
        return self._child_of_serve("sidecar")

    def check(self) -> None:
        """Raise Failed when a process has ended that nobody killed."""
        for child in (self._serve, *self.workers.values()):
            if not child.alive:
                raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")

    def close(self) -> None:
        """End the workers in peace, then let go of the database."""
        self._ended.set()
        for child in self.workers.values():
            child.stop()
        self.reader.close()

    def _child_of_serve(self, word: str) -> int | None:
        return next((pid for pid, line in proc.children(self._serve.pid).items() if word in line), None)

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECS):
            self.web = self.web_processes()


@contextmanager
def scene(ground: Ground, url: str, delay: float) -> Iterator[Scene]:
    """Set the stage. `delay`: seconds that whatever the activities call takes for a request."""
    port, called = free_port(), {module: free_port() for module in CALLED}
    with ExitStack() as ends:
        children = {
            module: ends.enter_context(ending(ground.start(module, _argv(module, called[module], delay))))
            for module in CALLED
        }
        service = ends.enter_context(ending(serve(ground, url, port)))
        wait_ready(service, port)
        for module, child in children.items():
            wait_until(partial(_answers, child, called[module], CALLED[module]), 20, f"{module} answers")
        set_ = ends.enter_context(closing(Scene(ground, url, service, port, called)))
        for worker in WORKERS:
            set_.start_worker(worker)
        yield set_


def _argv(module: str, port: int, delay: float) -> tuple[str, ...]:
    return ("-m", module, "--port", str(port), "--delay", str(delay))


def _answers(child: Child, port: int, path: str) -> bool:
    if not child.alive:
        raise Failed(f"{child.name} ended with {child.process.returncode}:\n{child.tail()}")
    try:
        return get(port, path)[0] == 200
    except OSError:
        return False
