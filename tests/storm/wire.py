"""A worker's session over HTTP that can end between a request and its answer. One raw, kept-alive connection."""

from __future__ import annotations

import json
import secrets
from typing import Any

from bench.load import Line

Wire = dict[str, Any]


class Session:
    """One session of exchanges."""

    def __init__(self, port: int, worker_id: str, queue: str) -> None:
        self._line = Line(port)
        self._port = port
        self._path = f"/api/v1/workers/{worker_id}/exchange"
        self._session = secrets.token_hex(8)
        self._queue = queue
        self._n = 0

    def exchange(self, **what: Any) -> Wire:
        """Hand in and take; the first one begins the session. Raises ConnectionError for any status but 200."""
        self.hand_in(**what)
        return self.hear()

    def hand_in(self, **what: Any) -> None:
        """Send an exchange to the last byte and do not wait for its answer."""
        self._n += 1
        body: Wire = {"session": self._session, "n": self._n, "queue": self._queue, **what}
        if self._n == 1:
            body["worker"] = {"identity": "storm", "sdk": "storm"}
        self._send(self._path, body)

    def start(self, workflow_id: str) -> None:
        """Start a run on the session's queue."""
        self._send(
            "/api/v1/workflows", {"workflow_type": "Errand", "workflow_id": workflow_id, "task_queue": self._queue}
        )
        self.hear()

    def hear(self) -> Wire:
        """Wait for the answer to what was sent last."""
        while not self._line.receive():
            pass
        head, _, answer = self._line.heard.partition(b"\r\n\r\n")
        if not head[9:12].startswith(b"2"):
            raise ConnectionError(f"answered {head[9:12].decode()}: {answer[:600].decode()}")
        found: Wire = json.loads(answer)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._line.socket.close()

    def _send(self, path: str, body: Wire) -> None:
        text = json.dumps(body)
        self._line.send(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
        )
