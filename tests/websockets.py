"""A client of WebSockets for tests: it reads every frame as it comes, also one that comes along with the handshake."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from tests.processes import PATIENCE_SECS

HANDSHAKE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Closed(Exception):
    """The other side has closed; `code` is None where it did so without a word."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed: {code}")
        self.code = code


class WebSocket:
    """One connection. Raises OSError, and Closed."""

    def __init__(self, address: str, path: str, headers: dict[str, str] | None = None) -> None:
        """Shake hands with host:port. Raises Closed where it is refused; its code is the status."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECS)
        self._buffer = b""
        said = {"Host": address, **HANDSHAKE, **(headers or {})}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
        try:
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
            self.head = self._until(b"\r\n\r\n").decode("latin-1")
            status = int(self.head.split()[1])
            if status != 101:
                raise Closed(status)
        except BaseException:
            self.socket.close()
            raise

    def receive(self) -> Any:
        """Give what the next text frame says, decoded."""
        while True:
            kind, payload = self._frame()
            if kind == _TEXT:
                return json.loads(payload)
            if kind == _PING:
                self._send(_PONG, payload)
            elif kind == _CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0] if payload else None)

    def send(self, text: str) -> None:
        """Send a text frame."""
        self._send(_TEXT, text.encode())

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close()

    def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        long = struct.pack("!BQ", 0x80 | 127, size) if size > 125 else struct.pack("!B", 0x80 | size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | kind]) + long + mask + masked)

    def _frame(self) -> tuple[int, bytes]:
        first, size = self._exactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        return first & 0x0F, self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        taken, _, self._buffer = self._buffer.partition(mark)
        return taken

    def _more(self) -> None:
        more = self.socket.recv(65536)
        if not more:
            raise Closed(None)
        self._buffer += more
