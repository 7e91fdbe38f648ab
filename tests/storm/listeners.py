"""Clients that listen to the feed and come again at random, while the web processes that they listen to are killed.

Whatever dies: what each of them has heard, over all its connections, is the outbox, each notice once and in order.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing

import requests

from assay_wsgi.engine import Engine
from bench.processes import fsck
from tests.engine.following import kept
from tests.engine.following import now
from tests.engine.following import payload
from tests.engine.stories import given_a_run
from tests.processes import PATIENCE_SECS
from tests.processes import children
from tests.processes import until
from tests.serving import ASSAY
from tests.serving import Process
from tests.serving import processes_in
from tests.websockets import Closed
from tests.websockets import WebSocket

from .scene import Found
from .scene import Site

WRITERS = 3
_MOST_HEARD_AT_ONCE = 3  # powers of ten: 1 to 1,000 notices, a connection
_AGAIN_SECS = 0.05  # after a connection that came to nothing

Heard = tuple[str, str, str]  # id, type, workflow id
Line = Callable[[str, str], Iterator[Heard]]


def over_sse(address: str, cursor: str) -> Iterator[Heard]:
    """Listen once to the stream, from a cursor on."""
    headers = {"Last-Event-ID": cursor}
    with requests.get(f"http://{address}/api/v1/events/stream", headers=headers, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        text = b""
        for chunk in answer.iter_content(None):
            *blocks, text = (text + chunk).split(b"\n\n")
            for block in blocks:
                told = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
                if "data" in told:
                    yield told["id"], told["event"], json.loads(told["data"])["workflow_id"]


def over_websocket(address: str, cursor: str) -> Iterator[Heard]:
    """Listen once to the WebSocket, from a cursor on."""
    with closing(WebSocket(address, f"/api/v1/ws?after={cursor}")) as line:
        while True:
            told = line.receive()
            if told["event_type"] != "cursor":
                yield told["id"], told["event_type"], told["workflow_id"]


class Client(threading.Thread):
    """Listens, leaves in the middle, and comes again with the cursor of what it has heard last."""

    def __init__(self, address: str, line: Line, seed: int) -> None:
        super().__init__(daemon=True)
        self.heard: list[Heard] = []
        self.connections = 0
        self.broken = 0
        self.left = threading.Event()
        self._address = address
        self._line = line
        self._chance = random.Random(seed)

    def run(self) -> None:
        while not self.left.is_set():
            self.connections += 1
            try:
                self._listen(int(10 ** self._chance.uniform(0, _MOST_HEARD_AT_ONCE)))
            except (OSError, Closed):  # requests' errors are OSErrors
                self.broken += 1
                time.sleep(_AGAIN_SECS)

    def _listen(self, count: int) -> None:
        cursor = self.heard[-1][0] if self.heard else "oldest"
        with closing(self._line(self._address, cursor)) as line:
            for told in line:
                if told[1] == "drain":
                    return
                self.heard.append(told)
                count -= 1
                if self.left.is_set() or not count:
                    return


def listeners(site: Site, *, each: int, kills: int, runs: int) -> Found:
    """Have `each` SSE and as many WebSocket clients listen while `runs` runs go on and web processes are killed."""
    found = Found(title=f"{each} SSE and {each} WebSocket clients, {runs} runs, web processes killed {kills} times")
    directory = site.ground.directory
    directory.mkdir(parents=True, exist_ok=True)
    with processes_in(directory) as start, closing(Engine.open(site.url)) as engine:
        service = start(
            *ASSAY, "serve", "--backend", site.url, "--port", "0", "--no-sidecar",
            ASSAY_WEB_WORKERS="1" if site.url.startswith("sqlite") else "2",
        )  # fmt: skip
        address = service.url()
        lines = [over_sse, over_websocket] * each
        clients = [Client(address, line, site.chance.getrandbits(32)) for line in lines]
        for client in clients:
            client.start()
        until(lambda: all(client.connections for client in clients))
        writers = [threading.Thread(target=_write, args=(engine, f"{n}", runs // WRITERS)) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        struck = 0
        while struck < kills or any(writer.is_alive() for writer in writers):
            if struck < kills:
                struck += _strike(service, site.chance)
            time.sleep(site.chance.uniform(0.2, 0.6))
        found.kills = Counter({"web process": struck})
        now(engine)
        outbox = [(told["id"], told["event_type"], told["workflow_id"]) for told in kept(engine)]
        _judge(found, engine, outbox, clients)
        for client in clients:
            client.left.set()
    dirty = fsck(site.ground, site.url)
    found.faults += [f"fsck: {dirty}"] if dirty else []
    return found


def _write(engine: Engine, name: str, runs: int) -> None:
    for number in range(runs):
        run = given_a_run(engine, f"{name}-{number}")
        engine.workflows.signal(run, "go")
        engine.workflows.terminate(run)


def _strike(service: Process, chance: random.Random) -> int:
    """Kill a web process, once one serves."""
    processes = children(service.child("gunicorn"))
    if not processes:
        return 0
    os.kill(chance.choice(processes), signal.SIGKILL)
    return 1


def _all_it_hears(client: Client, count: int) -> list[Heard]:
    """Wait until it has heard so many, or hears nothing more."""
    seen, since = -1, time.monotonic()
    while len(client.heard) < count and time.monotonic() < since + PATIENCE_SECS:
        if len(client.heard) > seen:
            seen, since = len(client.heard), time.monotonic()
        time.sleep(0.01)
    return list(client.heard)


def _judge(found: Found, engine: Engine, outbox: list[Heard], clients: list[Client]) -> None:
    for number, client in enumerate(clients):
        heard = _all_it_hears(client, len(outbox))
        if heard != outbox:
            missed, more = Counter(outbox) - Counter(heard), Counter(heard) - Counter(outbox)
            found.faults.append(
                f"client {number}: {len(heard)} heard, {len(outbox)} told; missed {list(missed)[:3]}, "
                f"too often {list(more)[:3]}, or in another order"
            )
    order: dict[str, list[str]] = {}
    for notice in kept(engine):
        order.setdefault(payload(notice)["run_id"], []).append(notice["event_type"])
    expected = ["workflow_started", "signal_received", "workflow_terminated"]
    found.faults += [f"{run_id}: {types}" for run_id, types in order.items() if types != expected]
    found.figures = {
        "notices": str(len(outbox)),
        "connections": str(sum(client.connections for client in clients)),
        "cut": str(sum(client.broken for client in clients)),
    }
