"""Calls to the service that are repeated until they are answered, up to a limit of patience.

Every call is safe to repeat: what changes something carries an Idempotency-Key, or is the same when done twice.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit
from weakref import WeakSet

from requests.utils import parse_header_links

from .errors import ApiError
from .errors import Conflict
from .errors import Invalid
from .errors import NotFound
from .errors import Unauthorized
from .errors import Unavailable
from .errors import WorkflowAlreadyStarted
from .errors import WorkflowClosed
from .jsontext import dumps
from .jsontext import loads
from .transport import Connection
from .transport import Reply
from .transport import Token
from .transport import Unreachable

PAGE = 1_000  # rows in one request
AWAY = frozenset({429, 502, 503, 504})
JSON_TEXT = ("input", "result", "search_attributes")  # members of a record that hold JSON as text

_BY_CODE: dict[str, type[ApiError]] = {
    "workflow_already_started": WorkflowAlreadyStarted,
    "workflow_closed": WorkflowClosed,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class Caller:
    """Calls one service. Threads may share it: each has a connection of its own, unless one is given."""

    def __init__(self, url: str, token: Token, patience: float, connection: Connection | None = None) -> None:
        self.patience = patience  # seconds
        self._url = url
        self._token = token
        self._given = connection
        self._local = threading.local()
        self._made: WeakSet[Connection] = WeakSet()
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,  # what makes the service do it only once, however often it is asked
    ) -> Reply:
        """Return the service's answer. Raises ApiError: Unavailable when patience has run out."""
        text = None if body is None else dumps(body)
        headers = None if key is None else {"Idempotency-Key": key}
        deadline = time.monotonic() + self.patience
        failures = 0
        while True:
            retry_after = None
            try:
                reply = self._connection().call(method, path, text, params=params, headers=headers)
            except Unreachable as error:
                trouble: ApiError = Unavailable(0, "unreachable", f"no answer from {self._url}: {error}")
            else:
                if reply.status < 400:
                    return reply
                trouble = error_of(reply)
                if reply.status not in AWAY:
                    raise trouble
                retry_after = reply.retry_after
            failures += 1
            delay = max(random.uniform(0.05, min(5.0, 0.1 * 2**failures)), retry_after or 0.0)
            if time.monotonic() + delay > deadline:
                raise trouble
            time.sleep(delay)

    def get(self, path: str, **params: Any) -> Any:
        """Return the body of what is at a path."""
        return self.call("GET", path, params=params).body

    def post(self, path: str, body: Mapping[str, Any], key: str | None = None, **params: Any) -> Any:
        """Have something done once, and return the body of the answer."""
        return self.call("POST", path, body, params, key or new_key()).body

    def pages(self, path: str, follow: str = "cursor", **params: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield page by page; the Link header of each says by its parameter `follow` where the next begins."""
        while True:
            reply = self.call("GET", path, params=params)
            yield reply.body
            params[follow] = _next(reply, follow)
            if params[follow] is None:
                return

    def short_pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list that has no cursor, as long as its pages are full."""
        offset = 0
        while True:
            page = self.get(path, limit=PAGE, offset=offset, **params)
            yield from page
            offset += len(page)
            if len(page) < PAGE:
                return

    def close(self) -> None:
        """Let go of the sockets that it opened. Another call opens them again."""
        with self._lock:
            made = list(self._made)
        for connection in made:
            connection.close()

    def _connection(self) -> Connection:
        if self._given is not None:
            return self._given
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = Connection(self._url, self._token)
            with self._lock:
                self._made.add(found)
        return found


def new_key() -> str:
    """Return an Idempotency-Key that nobody else has."""
    return uuid.uuid4().hex


def error_of(reply: Reply) -> ApiError:
    """Return the error that an answer stands for."""
    code = reply.member("code") or f"http_{reply.status}"
    kind = _BY_CODE.get(code) or _BY_STATUS.get(reply.status, ApiError)
    message = reply.member("error") or "the service gave no reason"
    return kind(reply.status, code, message, reply.body if isinstance(reply.body, dict) else None)


def decoded(record: Mapping[str, Any], names: tuple[str, ...] = JSON_TEXT) -> dict[str, Any]:
    """Return a record with its JSON texts decoded."""
    found = dict(record)
    for name in names:
        if isinstance(found.get(name), str):
            found[name] = loads(found[name])
    return found


def _next(reply: Reply, parameter: str) -> str | None:
    for link in parse_header_links(reply.headers.get("Link") or ""):
        if link.get("rel") == "next":
            return parse_qs(urlsplit(link["url"]).query).get(parameter, [None])[0]
    return None
