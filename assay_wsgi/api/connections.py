"""The connection below a request: whether its client is still there, and whether it reads."""

from __future__ import annotations

import logging
import select
import socket
import struct
from collections.abc import Callable

from flask import request

log = logging.getLogger(__name__)

_CLOSED = select.POLLRDHUP | select.POLLERR | select.POLLHUP | select.POLLNVAL
PATIENCE_SECS = 30.0  # with a client that does not read


def client_gone() -> Callable[[], bool] | None:
    """Give what tells whether this request's client has closed; None where the server does not show its socket."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    return None if connection is None else closed_by_peer(connection)


def closed_by_peer(connection: socket.socket) -> Callable[[], bool]:
    """Give what tells whether the other side has closed; it reads nothing off the socket."""

    def gone() -> bool:
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN | select.POLLRDHUP)
            found = poll.poll(0)
            if not found:
                return False
            if found[0][1] & _CLOSED:  # whatever stands unread before the end
                return True
            return connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True
        except ValueError:  # TLS sockets cannot peek, and a closed one has no descriptor
            return connection.fileno() < 0

    return gone


class Outlet:
    """Where an endless answer goes out: never into a connection whose client does not read.

    A thread that sends waits for as long as the client likes; here it waits for `patience_secs` at most.
    """

    def __init__(self, connection: socket.socket | None, patience_secs: float = PATIENCE_SECS) -> None:
        self._connection = connection
        self._patience_secs = patience_secs
        if connection is not None:  # for what does not fit although there was some room
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(patience_secs), 0))

    @classmethod
    def of_request(cls) -> Outlet:
        """The way out of this request; one without limits where the server does not show its socket."""
        return cls(request.environ.get("gunicorn.socket"))

    def has_room(self) -> bool:
        """Wait for room to send something; where there is none for too long, cut the connection."""
        if self._connection is None:
            return True
        poll = select.poll()
        try:
            poll.register(self._connection, select.POLLOUT)
            if poll.poll(self._patience_secs * 1000):
                return True
            log.info("a client does not read what it asked for: its connection is cut")
            self._connection.shutdown(socket.SHUT_RDWR)
        except (OSError, ValueError):
            return False
        return False
