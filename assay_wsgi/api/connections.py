"""The connection below a request: whether its client is still there."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from flask import request


def client_gone() -> Callable[[], bool] | None:
    """Give what tells whether this request's client has closed; None where the server does not show its socket."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    return None if connection is None else closed_by_peer(connection)


def closed_by_peer(connection: socket.socket) -> Callable[[], bool]:
    """Give what tells whether the other side has closed; it reads nothing off the socket."""

    def gone() -> bool:
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            found = poll.poll(0)
            if not found:
                return False
            if found[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                return True
            return connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True
        except ValueError:  # TLS sockets cannot peek, and a closed one has no descriptor
            return connection.fileno() < 0

    return gone
