"""Hints between the processes of one machine: Unix datagrams that say where work became ready.

Each process binds a socket in a folder that is named after the store; a hint goes to every other socket
there. Nothing depends on them: a hint may be lost (a full queue, a process that just starts), and where
no socket can be made everybody still finds the work by looking, within a second.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ..jsontext import dumps
from ..jsontext import loads

log = logging.getLogger(__name__)

_DATAGRAM_BYTES = 60_000
_LISTING_SECS = 1.0
_GONE = (errno.ECONNREFUSED, errno.ENOENT)


class Hint(NamedTuple):
    """So many pieces of work became ready there."""

    kind: str  # workflow | activity | sidecar | notices
    namespace: str
    queue: str
    ready: int


class Hints:
    """This process's socket: `start` listens, `send` tells the others.

    Made in the process that uses it: a child of a fork gets none of it and makes its own.
    """

    def __init__(self, store_id: str, on_hint: Callable[[list[Hint]], None], *, directory: Path | None = None) -> None:
        """`on_hint` is called in the listening thread. `directory` instead of the machine's temporary one."""
        self._on_hint = on_hint
        self._pid = os.getpid()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._others: tuple[str, ...] = ()
        self._listed_at = float("-inf")
        self._socket: socket.socket | None = None
        self._path = Path()
        try:
            folder = _private_folder(directory or Path(tempfile.gettempdir()), store_id)
            self._path = folder / f"{self._pid}-{secrets.token_hex(4)}"
            self._socket = _bound(self._path)
        except OSError as error:
            log.warning("no hints between processes, work is found by looking reason=%s", error)

    @property
    def available(self) -> bool:
        """Whether hints are sent and heard here."""
        return self._socket is not None and not self._closing and self._pid == os.getpid()

    def start(self) -> None:
        """Listen, in a thread of its own."""
        if self._socket is not None and self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="assay-hints", daemon=True)
            self._thread.start()

    def send(self, hints: Iterable[tuple[str, str, str, int]]) -> None:
        """Tell every other process. Never waits, never raises."""
        if not self.available:
            return
        for datagram in _datagrams(hints):
            for other in self._listing():
                self._send_to(other, datagram)

    def close(self) -> None:
        """Stop listening and take the socket away. In a child of a fork: leave the parent's alone."""
        if self._socket is None or self._closing:
            return
        self._closing = True
        if self._pid == os.getpid():
            self._path.unlink(missing_ok=True)
            if self._thread is not None:
                self._socket.shutdown(socket.SHUT_RDWR)  # ends the recv under way
                if self._thread is not threading.current_thread():
                    self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        assert self._socket is not None
        while not self._closing:
            try:
                datagram = self._socket.recv(_DATAGRAM_BYTES + 1)
            except OSError as error:
                if not self._closing:
                    log.warning("hints are not heard any more reason=%s", error)
                return
            hints = _read(datagram)
            if not hints:
                continue
            try:
                self._on_hint(hints)
            except Exception:
                log.exception("a hint was not taken")

    def _listing(self) -> tuple[str, ...]:
        now = time.monotonic()
        if now - self._listed_at >= _LISTING_SECS:
            try:
                names = os.listdir(self._path.parent)
            except OSError:
                names = []
            self._others = tuple(str(self._path.parent / name) for name in names if name != self._path.name)
            self._listed_at = now
        return self._others

    def _send_to(self, other: str, datagram: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.sendto(datagram, socket.MSG_DONTWAIT, other)
        except OSError as error:
            if error.errno in _GONE:  # nobody listens there any more, and nobody will: names are used once
                self._listed_at = float("-inf")
                try:
                    os.unlink(other)
                except OSError:
                    return


def _private_folder(directory: Path, store_id: str) -> Path:
    """Make the folder of this store, which no other user can write to. Raises OSError."""
    uid = os.getuid()
    mine = directory / f"assay-{uid}"
    folder = mine / sha256(store_id.encode()).hexdigest()[:16]
    for path in (mine, folder):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
                raise PermissionError(f"{path} is not a folder of this user alone") from None
    return folder


def _bound(path: Path) -> socket.socket:
    """Bind a datagram socket. Raises OSError, also where the path is longer than a socket's may be."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.bind(str(path))
    except OSError:
        found.close()
        raise
    return found


def _datagrams(hints: Iterable[tuple[str, str, str, int]]) -> Iterator[bytes]:
    """Write hints as JSON lists, each small enough for one datagram."""
    parts: list[bytes] = []
    size = 2
    for hint in hints:
        part = dumps(list(hint)).encode()
        if parts and size + len(part) + 1 > _DATAGRAM_BYTES:
            yield b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        if len(part) + 2 <= _DATAGRAM_BYTES:
            parts.append(part)
            size += len(part) + 1
    if parts:
        yield b"[" + b",".join(parts) + b"]"


def _read(datagram: bytes) -> list[Hint]:
    """Read a datagram; what is no list of hints reads as none."""
    try:
        told = loads(datagram)
        return [_hint(*item) for item in told]
    except (TypeError, ValueError, RecursionError):
        return []


def _hint(kind: object, namespace: object, queue: object, ready: object) -> Hint:
    if not (isinstance(kind, str) and isinstance(namespace, str) and isinstance(queue, str)):
        raise TypeError("a hint names a kind, a namespace and a queue")
    if type(ready) is not int or ready < 1:
        raise ValueError("a hint counts from 1")
    return Hint(kind, namespace, queue, ready)
