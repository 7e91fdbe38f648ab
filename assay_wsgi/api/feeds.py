"""The feed over HTTP: pages for clients that poll, a stream of server-sent events, and what it shares with a WebSocket.

A stream holds a thread, a cursor and nothing else: no compute slot, no database connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from typing import Any

from flask import Blueprint
from flask import Response
from flask import request

from ..auth.roles import Access
from ..domain.errors import Unavailable
from ..domain.notices import CURSOR
from ..domain.notices import DRAIN
from ..domain.notices import NOTICES
from ..domain.notices import RESET
from ..domain.notices import CursorLost
from ..domain.notices import Wanted
from ..engine.feed import Follower
from ..jsontext import dumps
from . import records
from .access import caller_gone
from .admission import retry_after_secs
from .checks import BadValue
from .connections import Outlet
from .context import admission
from .context import engine
from .context import request_id
from .contract import operation
from .fields import Checked
from .fields import ListQuery
from .fields import query_integer
from .references import MAX_PAGE
from .references import Id

MAX_WAIT_SECS = 60
MAX_CURSOR_CHARS = 120
RETRY_MS = 3000
SIGN_OF_LIFE_SECS = 15.0
PIECE = 100  # notices at once
_CHUNK_BYTES = 4096
_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

Json = dict[str, Any]
Pieces = Generator[list[Json], None, None]

bp = Blueprint("assay_feeds", __name__)


def notice_types(text: str) -> tuple[str, ...]:
    """Read a list of types of notices from a query."""
    types = tuple(text.split(","))
    if unknown := [one for one in types if one not in NOTICES]:
        raise BadValue("invalid_filter", f"there is no type {unknown[0][:100]!r}; there are {', '.join(NOTICES)}")
    return types


def cursor_text(text: str) -> str:
    """Check the length of a cursor; what it says is for the engine to find out."""
    if len(text) > MAX_CURSOR_CHARS:
        raise BadValue("invalid_cursor", "this is no cursor of the feed: take it from a notice, unchanged")
    return text


class FeedQuery(ListQuery):
    """Which notices are wanted."""

    namespace = Id(load_default=None, says="Of this namespace; without it, of all that you may see.")
    workflow_id = Id(load_default=None, says="Of runs of this id.")
    type = Checked(notice_types, load_default=None, says="Of these types, with commas between them.")


class PageQuery(FeedQuery):
    """Which notices are wanted, and from where on."""

    after = Checked(
        cursor_text, load_default=None,
        says="The cursor to go on from; `oldest` = all that is kept. Without it you are told the cursor of now.",
    )  # fmt: skip
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=PIECE, says="How many at most.")
    wait = Checked(
        query_integer, 0, MAX_WAIT_SECS, load_default=0,
        says="For how many seconds to wait where there is nothing; `ASSAY_LONG_POLL_MAX_SECS` at most.",
    )  # fmt: skip


class StreamQuery(FeedQuery):
    """Which notices are wanted; the header `Last-Event-ID` counts before `last_event_id`."""

    last_event_id = Checked(
        cursor_text, load_default=None, says="The cursor to go on from, as the header `Last-Event-ID` says it, too."
    )


@bp.get("/events")
@operation(
    access=Access.READ, query=PageQuery, returns=records.NoticePage, refuses=("invalid_cursor",),
    asks={"after": "oldest"},
)  # fmt: skip
def read(query: Json) -> Any:
    """Tell what happened after a cursor, oldest first; wait for it if you like."""
    wait_secs = min(float(query.pop("wait")), admission().long_poll_max_secs)
    after, limit = query.pop("after"), query.pop("limit")
    if not wait_secs:
        return {**_page(after, limit, 0.0, query), "retry_after": None}
    with admission().long_poll() as may_wait:
        page = _page(after, limit, wait_secs if may_wait else 0.0, query)
    hurried = not may_wait and not page["events"] and not page["reset"]
    return {**page, "retry_after": retry_after_secs(request_id(), 0) if hurried else None}


def _page(after: str | None, limit: int, wait_secs: float, query: Json) -> Json:
    return engine().feed.read(
        after, limit=limit, wait_secs=wait_secs, wanted=wanted(query), waiting=admission().waiting,
        client_gone=caller_gone(),
    )  # fmt: skip


@bp.get("/events/stream")
@operation(
    access=Access.READ, by_ticket=True, query=StreamQuery, returns=records.SentEvent, media="text/event-stream",
    refuses=("invalid_cursor", "too_many_streams"), asks={"type": "workflow_completed,workflow_failed"},
)  # fmt: skip
def stream(query: Json) -> Response:
    """Tell what happens, as server-sent events, for as long as you listen."""
    after = request.headers.get("Last-Event-ID") or query["last_event_id"]
    follower = engine().feed.follower(after, wanted=wanted(query), client_gone=caller_gone())
    if request.method == "HEAD":  # nobody will run through what it answers
        return Response(b"", headers=_HEADERS, content_type="text/event-stream")
    place = admission().stream()
    place.take()
    told = line(follower, draining=engine_draining())
    response = Response(_sent(told, Outlet.of_request()), headers=_HEADERS, content_type="text/event-stream")
    response.call_on_close(place.leave)  # a body that was never begun is closed, too
    return response


def wanted(query: Json) -> Wanted:
    """Say which of the notices that the caller may see a query wants."""
    return Wanted(namespace=query["namespace"], workflow_id=query["workflow_id"], types=query["type"] or ())


def engine_draining() -> Callable[[], bool]:
    """Give what tells whether this process is about to end."""
    serving = engine()
    return lambda: serving.draining


def line(follower: Follower, *, draining: Callable[[], bool]) -> Pieces:
    """Give what a client is told, in pieces, until it has gone or the process is about to end.

    First, and as a sign of life, comes the cursor alone: a client that has seen no notice yet can resume as well.
    """
    with follower:
        yield [_beside(follower, CURSOR)]
        while not follower.deserted():
            if draining():
                yield [_beside(follower, DRAIN)]
                return
            try:
                told = _taken(follower)
            except Unavailable:  # the client keeps its place; a client that was cut off would only come again
                follower.rest()
                told = []
            if follower.deserted():  # or it would be told something that it may not see any more
                return
            if told or not draining():
                yield told or [_beside(follower, CURSOR)]


def _taken(follower: Follower) -> list[Json]:
    try:
        return follower.take(PIECE, SIGN_OF_LIFE_SECS)
    except CursorLost as lost:
        follower.begin_now()
        return [_beside(follower, RESET, reason=lost.reason)]


def _beside(follower: Follower, event_type: str, **payload: str) -> Json:
    return {
        "id": str(follower.cursor), "event_type": event_type, "workflow_id": None, "payload": dumps(payload),
    }  # fmt: skip


def _sent(told: Pieces, outlet: Outlet) -> Iterator[bytes]:
    """Write records as server-sent events, in chunks that fit where there is room; none to a client that reads none."""
    yield f"retry: {RETRY_MS}\n".encode()
    with contextlib.closing(told):
        for chunk in _chunks(told):
            if not outlet.has_room():
                return
            yield chunk


def _chunks(told: Iterator[list[Json]]) -> Iterator[bytes]:
    for piece in told:
        chunk = b""
        for record in piece:
            chunk += _event(record)
            if len(chunk) >= _CHUNK_BYTES:
                yield chunk
                chunk = b""
        if chunk:
            yield chunk


def _event(record: Json) -> bytes:
    cursor = record["id"]
    if record["event_type"] == CURSOR:  # moves the client's Last-Event-ID and is no event
        return f": still here\nid: {cursor}\n\n".encode()
    data = dumps({name: value for name, value in record.items() if name != "id"})
    return f"id: {cursor}\nevent: {record['event_type']}\ndata: {data}\n\n".encode()
