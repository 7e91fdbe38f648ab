"""A service that really listens, and requests that no client library would send."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import PATIENCE_SECS
from tests.processes import children
from tests.processes import gone
from tests.processes import until

REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer off the wire."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """Give what the body says."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Live:
    """A service under test."""

    port: int
    database_url: str
    log: Path

    def connect(self) -> socket.socket:
        """Open a connection; whoever reads from it does not wait for ever."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECS)

    def send(self, raw: bytes) -> Reply:
        """Send these bytes and read one answer."""
        with self.connect() as connection:
            send_all(connection, raw)
            reply = read_reply(connection)
        assert reply is not None, "closed without an answer"
        return reply

    def ask(self, method: str, target: str | bytes, body: bytes | None = None, *headers: str) -> Reply:
        """Send a request with this target, as it is; a body is said to be JSON."""
        target = target.encode("latin-1") if isinstance(target, str) else target
        lines = [f"{method} ".encode() + target + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
        if body is not None and not any(header.lower().startswith("transfer-encoding") for header in headers):
            lines.append(b"Content-Length: %d" % len(body))
        if body is not None and not any(header.lower().startswith("content-type") for header in headers):
            lines.append(b"Content-Type: application/json")
        lines += [header.encode("latin-1") for header in headers]
        return self.send(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))


@contextmanager
def live(directory: Path) -> Iterator[Live]:
    """Run the service, without a sidecar, on a SQLite database in a directory."""
    log, url = directory / "service.log", f"sqlite://{directory}/assay.db"
    argv = [sys.executable, "-m", "assay_wsgi", "serve", "--backend", url, "--port", "0", "--no-sidecar"]
    with log.open("w") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, cwd=REPOSITORY)
    try:
        port = until(lambda: log.read_text().partition(" at http://127.0.0.1:")[2].partition(",")[0])
        service = Live(int(port), url, log)
        until(lambda: _is_ready(service))
        yield service
    finally:
        family = [process.pid]
        for pid in family:
            family += children(pid)
        process.terminate()
        try:
            process.wait(timeout=PATIENCE_SECS)
        finally:
            for pid in family:
                if not gone(pid):
                    os.kill(pid, signal.SIGKILL)


def send_all(connection: socket.socket, raw: bytes) -> None:
    """Send; a service that has refused early may have closed before it has read all."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(raw)


def read_reply(connection: socket.socket, *, head_only: bool = False) -> Reply | None:
    """Read one answer; None where the service closes without a whole one."""
    raw = b""
    try:
        while b"\r\n\r\n" not in raw:
            if not (more := connection.recv(65536)):
                return None
            raw += more
            if raw.startswith(b"HTTP/1.1 100 "):  # go on, and then comes the answer
                raw = raw.partition(b"\r\n\r\n")[2]
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        wanted = 0 if head_only or status in (204, 304) else int(headers.get("content-length", "-1"))
        while wanted < 0 or len(body) < wanted:
            if not (more := connection.recv(65536)):
                break
            body += more
    except ConnectionResetError:
        return None
    return Reply(status, headers, body)


def _is_ready(service: Live) -> bool:
    try:
        return service.ask("GET", "/readyz").status == 200
    except (ConnectionError, AssertionError):
        return False
