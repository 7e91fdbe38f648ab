"""Workers: one request hands in finished work and takes new work."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from flask import Blueprint
from flask import request

from . import records
from .admission import retry_after_secs
from .context import admission
from .context import engine
from .contract import operation
from .exchange import ExchangeBody
from .exchange import HandedIn
from .exchange import put_back
from .exchange import read_exchange
from .exchange import with_wait

bp = Blueprint("assay_workers", __name__)


@bp.post("/workers/<worker_id>/exchange")
@operation(body=ExchangeBody, returns=records.Exchanged)
def exchange(worker_id: str, body: dict[str, Any]) -> Any:
    """Hand in finished work, take new work."""
    handed_in = read_exchange(worker_id, body)
    wanted = handed_in.exchange
    wait_secs = min(wanted.wait_secs, admission().long_poll_max_secs)
    if not wait_secs or not (wanted.workflow_slots or wanted.activity_slots):
        return _carry_out(handed_in, 0.0)
    with admission().long_poll() as may_wait:
        answer = _carry_out(handed_in, wait_secs if may_wait else 0.0)
    if not may_wait and not answer["workflow_tasks"] and not answer["activity_tasks"]:
        answer["retry_after"] = retry_after_secs(worker_id, wanted.n)
    return answer


def _carry_out(handed_in: HandedIn, wait_secs: float) -> dict[str, Any]:
    answer: dict[str, Any] = engine().workers.exchange(
        with_wait(handed_in.exchange, wait_secs),
        client_gone=_client_gone(request.environ.get("gunicorn.socket")),
        waiting=admission().waiting,
    )
    if handed_in.refused_results:
        answer["results"] = put_back(answer["results"], handed_in.refused_results)
    if handed_in.refused_heartbeats:
        answer["heartbeats"] = put_back(answer["heartbeats"], handed_in.refused_heartbeats)
    return answer


def _client_gone(connection: socket.socket | None) -> Callable[[], bool] | None:
    """Give what tells whether the client has closed; None where the server does not show its socket."""
    if connection is None:
        return None

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
