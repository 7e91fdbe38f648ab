"""The running service, asked over HTTP: one method an HTTP verb, and every refusal in words with an exit code."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from ...version import __version__
from ..failures import Failed
from ..failures import Refused
from ..profile import Profile

if TYPE_CHECKING:
    from ...sdk.transport import Connection
    from ...sdk.transport import Reply

log = logging.getLogger(__name__)

HTTP_SECS = 30.0
PATIENCE_SECS = 30.0  # that a command which follows a run waits for a service that has gone away
AWAY = frozenset({429, 502, 503, 504})
_REFUSES = frozenset({401, 403})
_PATH_ONLY = frozenset({"", ".", ".."})  # they are no names, and proxies would fold them out of the path


class Unreachable(Failed):
    """Nothing answers, or not the engine."""


class Answered(Failed):
    """The service answered with an error: `status`, and its stable `code`."""

    def __init__(self, message: str, status: int, code: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RefusedAnswer(Answered, Refused):
    """The service asks for (another) key."""

    exit_code = Refused.exit_code


class Service:
    """Asks one service. What is asked for is named in words, for the error that may come of it."""

    def __init__(self, profile: Profile, timeout_secs: float = HTTP_SECS) -> None:
        self._profile = profile
        self._timeout = timeout_secs
        self._opened: Connection | None = None

    def get(self, what: str, *path: str, **query: Any) -> Any:
        """Read something. Raises Answered, Unreachable."""
        return self.call(what, "GET", path, query).body

    def post(self, what: str, *path: str, body: Mapping[str, Any], key: str | None = None, **query: Any) -> Any:
        """Have something done: once for a key, even where an answer was lost. Raises Answered, Unreachable."""
        return self.call(what, "POST", path, query, body, key=key or secrets.token_hex(16)).body

    def pages(self, what: str, *path: str, follow: bool = True, **query: Any) -> Iterator[list[Any]]:
        """Read a list page by page: the first, or all of them."""
        while True:
            reply = self.call(what, "GET", path, query)
            yield reply.body
            cursor = next_page(reply) if follow else None
            if not cursor:
                return
            query.update(cursor)

    def call(
        self,
        what: str,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Reply:
        """Send one request. Raises Answered for an answer that is none, Unreachable without one."""
        from ...sdk import transport
        from ...sdk.jsontext import dumps

        for name in path:
            if name in _PATH_ONLY:
                raise Failed(f"{what}: '{name}' cannot be an id or a name")
        route = "/" + "/".join(transport.segment(name) for name in path)
        headers = {"User-Agent": f"assay-cli/{__version__}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        began = time.monotonic()
        try:
            text = None if body is None else dumps(body)
        except ValueError as error:
            raise Failed(f"{what}: an argument is not text that can be sent: {error}") from None
        try:
            reply = self._connection().call(method, route, text, self._timeout, query, headers)
        except transport.Unreachable as error:
            raise Unreachable(
                f"{what}: engine unreachable at {self._profile.engine_url}: {_reason(error, self._timeout)}"
            ) from None
        log.debug(
            "%s %s query=%s status=%s ms=%.0f", method, route, query, reply.status, 1e3 * (time.monotonic() - began)
        )
        if reply.status >= 300:
            raise answered(what, reply, keyed=self._profile.api_key is not None)
        return reply

    def steadily(self, ask: Callable[[], Any], say: Callable[[str], None], left_secs: float | None = None) -> Any:
        """Ask again and again while the service is away, for a while: who follows a run outlives a restart.

        `left_secs`: how much time there is at most. Raises the last answer's Failed.
        """
        patience = PATIENCE_SECS if left_secs is None else min(PATIENCE_SECS, left_secs)
        since = None
        while True:
            try:
                return ask()
            except (Unreachable, Answered) as error:
                if isinstance(error, Answered) and error.status not in AWAY:
                    raise
                now = time.monotonic()
                if since is None:
                    since = now
                    say(f"{error.message}; asking again for {patience:.3g} s")
                if now - since >= patience:
                    raise
                time.sleep(min(0.5, patience - (now - since)))

    def _connection(self) -> Connection:
        if self._opened is None:
            from ...sdk.transport import Connection

            self._opened = Connection(self._profile.engine_url, self._profile.api_key)
        return self._opened


def answered(what: str, reply: Reply, *, keyed: bool) -> Answered:
    """Put an answer that refuses into words: the operation, the status, and what the service says."""
    code = reply.member("code")
    said = reply.member("error") or _NO_REASON.get(reply.status, "the service gave no reason")
    named = f" {code}" if code else ""
    hint = ""
    if reply.status in _REFUSES:
        hint = "; is it the right key?" if keyed else "; give a key: --api-key, ASSAY_API_KEY or ASSAY_API_KEY_FILE"
    elif reply.status >= 500 and reply.member("request_id"):
        hint = f" (request {reply.member('request_id')})"
    kind = RefusedAnswer if reply.status in _REFUSES else Answered
    return kind(f"{what}: HTTP {reply.status}{named}: {said}{hint}", reply.status, code)


_NO_REASON = {
    301: "what is there sends elsewhere: give the engine's own URL",
    302: "what is there sends elsewhere: give the engine's own URL",
    308: "what is there sends elsewhere: give the engine's own URL",
    401: "no valid API key",
    403: "this key does not allow it",
    404: "there is no such route: is this an assay engine?",
    502: "a proxy gets no answer from the engine",
    504: "a proxy waits no longer for the engine",
}


def next_page(reply: Reply) -> dict[str, str]:
    """Say what to ask for next, by the Link header; nothing where this was the last page."""
    from requests.utils import parse_header_links

    for link in parse_header_links(reply.headers.get("Link") or ""):
        if link.get("rel") == "next":
            asked = parse_qs(urlsplit(link["url"]).query)
            return {
                name: asked[name][0] for name in ("cursor", "after_seq", "before_seq", "before_id") if name in asked
            }
    return {}


def _reason(error: Exception, timeout_secs: float) -> str:
    """Put a library's words for a network's trouble into ours."""
    import requests

    cause = error.__cause__
    if isinstance(cause, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(cause, requests.Timeout):
        return f"no answer in {timeout_secs:g} s"
    if isinstance(cause, requests.exceptions.SSLError):
        return f"no safe connection: {_innermost(cause)}"
    if isinstance(cause, requests.RequestException):
        return _innermost(cause)
    return str(error)


def _innermost(error: BaseException) -> str:
    """Find the operating system's own words below the layers of a library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        reason = getattr(seen, "reason", None)
        inner = reason if isinstance(reason, BaseException) else seen.__cause__ or seen.__context__
        if inner is None:
            inner = next((one for one in seen.args if isinstance(one, BaseException)), None)
        if inner is None:
            return str(seen)
        seen = inner
    return str(error)
