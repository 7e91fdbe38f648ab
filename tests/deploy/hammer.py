"""Clients that never stop asking: starts, reads and long polls, each noting what it was answered.

Raw connections, so that nothing is repeated behind our back.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.processes import PATIENCE_SECS


class Client:
    """Asks one kind of question after the other, over fresh connections or a kept one."""

    def __init__(self, name: str, port: int, *, kept: bool) -> None:
        self.name = name
        self.port = port
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.cut: list[str] = []  # closed before the first byte of an answer, on a connection that was kept
        self._kept = kept
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the kept connection."""
        if self._connection is not None:
            self._connection.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask once; the answer's JSON, or None where there was none or it was a 5xx."""
        used = self._connection is not None
        connection = self._connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECS)
        sent = None if body is None else json.dumps(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        keep = {} if self._kept else {"Connection": "close"}
        try:
            connection.request(method, path, sent, {**kind, **keep, **headers})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connection = None
            cut = used and isinstance(error, ConnectionError)  # RemoteDisconnected is one
            (self.cut if cut else self.failures).append(f"{self.name}: {method} {path}: {error!r}")
            return None
        if answer.will_close or not self._kept:
            connection.close()
            self._connection = None
        else:
            self._connection = connection
        self.answers[answer.status] += 1
        if answer.status >= 500:
            self.failures.append(f"{self.name}: {method} {path}: {answer.status} {text[:300]!r}")
            return None
        return json.loads(text)


class Hammer:
    """Several clients at work, each in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.clients: list[Client] = []
        self.acknowledged: list[str] = []
        self.drained = 0  # long polls that were answered because their process was to end
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        for kept in (False, True):
            way = "kept" if kept else "fresh"
            for work in (self._start, self._start, self._read, self._poll, self._poll):
                client = Client(f"{way} {work.__name__[1:]} {len(self.clients)}", port, kept=kept)
                self.clients.append(client)
                self._threads.append(threading.Thread(target=work, args=(client,), name=client.name))
        for thread in self._threads:
            thread.start()

    @property
    def failures(self) -> list[str]:
        return [failure for client in self.clients for failure in client.failures]

    @property
    def cut(self) -> list[str]:
        return [cut for client in self.clients for cut in client.cut]

    @property
    def served(self) -> int:
        return sum(client.answers.total() for client in self.clients)

    def let_go(self) -> None:
        """Let each client finish its last question; a long poll takes its time."""
        self._over.set()

    def stop(self) -> None:
        """Wait until all are done."""
        self.let_go()
        for thread in self._threads:
            thread.join()
        for client in self.clients:
            client.close()

    def _start(self, client: Client) -> None:
        for n in count():
            if self._over.is_set():
                return
            name = f"{client.name.replace(' ', '-')}-{n}"
            body = {"workflow_type": "Hello", "workflow_id": name, "task_queue": "nobody"}
            answer = client.ask("POST", "/api/v1/workflows", body, **{"Idempotency-Key": name})
            if answer is None:  # a client that was cut off in the middle says it again
                answer = client.ask("POST", "/api/v1/workflows", body, **{"Idempotency-Key": name})
            if answer is not None:
                assert answer["workflow_id"] == name, answer
                self.acknowledged.append(name)

    def _read(self, client: Client) -> None:
        while not self._over.is_set():
            client.ask("GET", "/api/v1/workflows?limit=5")

    def _poll(self, client: Client) -> None:
        worker = client.name.replace(" ", "-")
        body = {
            "worker": {"identity": worker, "workflows": ["Nothing"], "activities": []},
            "session": "s1", "queue": "empty", "wait_secs": 20, "workflow_slots": 1, "activity_slots": 0,
        }  # fmt: skip
        for n in count(1):
            if self._over.is_set():
                return
            answer = client.ask("POST", f"/api/v1/workers/{worker}/exchange", {**body, "n": n})
            self.drained += bool(answer and answer.get("drain"))


@contextmanager
def hammering(port: int) -> Iterator[Hammer]:
    """Hammer at a port for as long as the block lasts."""
    hammer = Hammer(port)
    try:
        yield hammer
    finally:
        hammer.stop()
