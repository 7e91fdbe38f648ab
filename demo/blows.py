"""The blows: what is killed, when it counts, and how long it took until things went on.

A kill counts only when it bit: a blow waits for such a moment, and one that missed is struck again.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import BaseHTTPResponse

from . import proc

WORKER, WEB, MASTER, SIDECAR = "worker", "web process", "gunicorn master", "sidecar"
KINDS = (WORKER, WEB, MASTER, SIDECAR)


@dataclass(kw_only=True)
class Blow:
    """One kill -9."""

    kind: str
    pid: int
    at: float  # seconds since the epoch
    worker: str = ""  # of a worker: its id
    bit: bool = False
    proof: str = ""  # what it was at
    recovered_secs: float | None = None
    recovery: str = ""  # what happened then


def kill(pid: int) -> float:
    """Kill -9. Answers when it was."""
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at


@dataclass(kw_only=True)
class Strike:
    """A kill that waits for a request: struck between its last byte and the first of its answer."""

    kind: str
    victim: Callable[[int], int]  # from the web process that has the request to the process to kill
    after_secs: float = 0.0  # from the last byte of the request: to meet it at another place each time
    blow: Blow | None = None
    struck: threading.Event = field(default_factory=threading.Event)


class Watch:
    """Sees each request of the feeder between sending and answer, and strikes there if it was told to."""

    def __init__(self, web_processes: Callable[[], Iterable[int]]) -> None:
        self._web_processes = web_processes
        self._lock = threading.Lock()
        self._armed: Strike | None = None

    def session(self) -> Session:
        """Make a session whose requests are seen."""
        session = Session()
        session.mount("http://", _Adapter(self))
        return session

    def strike(self, strike: Strike, timeout: float) -> Blow | None:
        """Wait for a request to strike at. None: there was none in `timeout` seconds."""
        with self._lock:
            self._armed = strike
        strike.struck.wait(timeout)
        with self._lock:
            self._armed = None
        if strike.blow is not None:
            strike.struck.wait()  # until it is known whether the request was answered
        return strike.blow

    def sent(self, connection: socket.socket, holder: int | None, what: str) -> Strike | None:
        """A request has been sent and waits for its answer. Answers the strike that hit it."""
        with self._lock:
            strike = self._armed
            if strike is None or holder is None or holder not in self._web_processes():
                return None
            self._armed = None
            if strike.after_secs:
                time.sleep(strike.after_secs)
            if answered(connection):
                strike.struck.set()
                return None
            victim = strike.victim(holder)
            strike.blow = Blow(kind=strike.kind, pid=victim, at=kill(victim))
            # For the master: its web process goes on for a moment, so look at once.
            strike.blow.bit = not answered(connection)
            strike.blow.proof = f"{what} was open at web process {holder}"
            return strike

    def ended(self, strike: Strike, *, answered: bool) -> None:
        """The struck request has been answered, or never will be."""
        assert strike.blow is not None
        if strike.kind == WEB:
            strike.blow.bit = not answered
        strike.blow.proof += ", answered all the same" if answered else ", never answered"
        strike.struck.set()

    def holder(self, connection: socket.socket) -> int | None:
        """Find the web process at the other end."""
        return proc.holder_of_other_end(connection, self._web_processes())


def answered(connection: socket.socket) -> bool:
    """Whether something has come back."""
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


class _Connection(HTTPConnection):
    watch: Watch
    _holder: int | None = None
    _what = ""

    def connect(self) -> None:
        self._holder = None
        super().connect()

    def request(self, method: str, url: str, *args: object, **options: object) -> None:
        self._what = f"{method} {url.partition('?')[0].removeprefix('/api/v1')}"
        super().request(method, url, *args, **options)  # type: ignore[arg-type]

    def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
        connection = self.sock
        assert connection is not None
        strike = self.watch.sent(connection, self._holder, self._what)
        try:
            answer = super().getresponse()
        except BaseException:
            if strike is not None:
                self.watch.ended(strike, answered=False)
            raise
        if strike is not None:
            self.watch.ended(strike, answered=True)
        elif self._holder is None:
            self._holder = self.watch.holder(connection)
        return answer


class _Adapter(HTTPAdapter):
    def __init__(self, watch: Watch) -> None:
        connection = type("Connection", (_Connection,), {"watch": watch})
        self._pool = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": connection})
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": self._pool}
