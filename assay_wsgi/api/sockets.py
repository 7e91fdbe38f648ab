"""The feed over a WebSocket: what a stream tells, one record a frame, as JSON text.

flask-sock shakes hands and frees the thread afterwards. What a request must be is checked before, while it can still
be refused over HTTP; what may go out, and how long it may take, is seen to below it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint
from flask import Response
from flask import g
from flask import request
from flask_sock import Sock

from ..auth.roles import Access
from ..domain.errors import Forbidden
from ..domain.errors import Invalid
from ..engine.feed import Follower
from ..jsontext import dumps
from . import access as entry
from . import records
from .connections import Outlet
from .context import admission
from .context import engine
from .contract import operation
from .feeds import FeedQuery
from .feeds import cursor_text
from .feeds import engine_draining
from .feeds import line
from .feeds import wanted
from .fields import Checked

log = logging.getLogger(__name__)

PING_SECS = 20
LARGEST_MESSAGE = 64 * 1024
GOING_AWAY = 1001
BROKEN = 1011
_FAREWELL_SECS = 2.0  # for the client to answer that the socket is closed
_PORTS = {"http": 80, "https": 443}
# What flask-sock gives to each socket of an app. A host that has said so itself is left its way.
OPTIONS = {
    "ping_interval": PING_SECS,
    "max_message_size": LARGEST_MESSAGE,
    "thread_class": partial(threading.Thread, daemon=True),
}

View = Callable[..., Response]

bp = Blueprint("assay_sockets", __name__)


class SocketQuery(FeedQuery):
    """Which notices are wanted, and from where on."""

    after = Checked(cursor_text, load_default=None, says="The cursor to go on from; `oldest` = all that is kept.")


@bp.get("/ws")
@operation(
    access=Access.READ, by_ticket=True, query=SocketQuery, returns=records.Notice, status=101,
    refuses=("upgrade_required", "origin_not_allowed", "invalid_cursor", "too_many_streams"),
)  # fmt: skip
def plain(query: dict[str, Any]) -> Any:
    """Tell what happens over a WebSocket, one record a frame, for as long as you listen."""
    if not request.url_rule.websocket:  # type: ignore[union-attr]  # it has brought us here
        raise Invalid("this is a WebSocket: open it as ws:// or wss://, as its clients do", "upgrade_required")
    if request.headers.get("Sec-WebSocket-Version") != "13" or not request.headers.get("Sec-WebSocket-Key"):
        raise Invalid("a WebSocket is opened with Sec-WebSocket-Version 13 and a key", "upgrade_required")
    _refuse_strangers()
    opened = _Opened(entry.caller_gone())
    g.assay_socket = opened, engine().feed.follower(query["after"], wanted=wanted(query), client_gone=opened.gone)
    return Response()  # nobody is sent it: the socket opens


class _Line:
    """The socket below: it sends what it is given whole and at once, whichever thread sends it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, data: bytes) -> int:
        with self._sending:
            self._connection.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Deaf(list[Any]):
    """Where messages of the client go: it has nothing to say."""

    def append(self, _: Any) -> None:
        return


class _Opened:
    """A WebSocket that is about to be opened, or is open."""

    def __init__(self, caller_gone: Callable[[], bool] | None) -> None:
        self.ws: Any = None
        self._caller_gone = caller_gone

    def gone(self) -> bool:
        hung_up = self.ws is not None and not self.ws.connected
        return hung_up or (self._caller_gone is not None and self._caller_gone())


def _admitted(view: View) -> View:
    """Refuse over HTTP what must not become a socket; keep its place while it is one."""

    @wraps(view)
    def answer() -> Response:
        plain()
        # Without it nobody offers to compress: what is compressed may be a bomb.
        request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        with admission().stream():
            return view()

    return answer


class _Admitted:
    """The blueprint as flask-sock sees it."""

    def route(self, path: str, **options: Any) -> Callable[[View], View]:
        return lambda view: bp.route(path, **options)(_admitted(view))


@Sock().route("/ws", bp=_Admitted())  # type: ignore[untyped-decorator]
def follow(ws: Any) -> None:
    opened, follower = g.assay_socket
    ws.input_buffer = _Deaf()
    outlet = Outlet(ws.sock)
    ws.sock = _Line(ws.sock)
    opened.ws = ws
    code = GOING_AWAY
    try:
        _tell(ws, follower, outlet)
    except Exception:  # an answer of HTTP would be noise on this line
        code = BROKEN
        log.exception("a WebSocket broke off")
    finally:
        _close(ws, code)


def _tell(ws: Any, follower: Follower, outlet: Outlet) -> None:
    with contextlib.closing(line(follower, draining=engine_draining())) as told:
        for piece in told:
            for record in piece:
                if not ws.connected or not outlet.has_room():
                    return
                try:
                    ws.send(dumps(record))
                except OSError:  # it has gone, or a part of this has been sent and no more can be
                    return


def _close(ws: Any, code: int) -> None:
    """Say good-bye, give the client a moment to say so too, and see that nothing is left of the connection."""
    with contextlib.suppress(Exception):
        ws.close(code)
    ws.thread.join(_FAREWELL_SECS)
    with contextlib.suppress(OSError):
        ws.sock.shutdown(socket.SHUT_RDWR)


def _refuse_strangers() -> None:
    """Refuse a page of another site that opens a socket with its reader's rights. Programs send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    try:
        said, asked = urlsplit(origin), urlsplit(f"//{request.headers.get('Host', '')}")
        default = _PORTS.get(said.scheme)
        same = (said.hostname, said.port or default) == (asked.hostname, asked.port or default)
    except ValueError:
        same = False
    if not same or default is None:
        raise Forbidden(f"a page of {origin[:200]} may not open this WebSocket", "origin_not_allowed")
