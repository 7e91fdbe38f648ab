"""One HTTP connection to the service: JSON out, JSON in, kept alive. Retrying is the caller's business.

A connection is for one thread at a time; a worker opens one for each of its threads that talk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from typing import Callable
from typing import NamedTuple
from typing import Union
from urllib.parse import quote

import requests

from ..version import __version__

DEFAULT_URL = "http://127.0.0.1:8080"
CONNECT_SECS = 3.05


Token = Union[str, Callable[[], str], None]  # a key that stays, or a function that gives the one that is good now


def present(token: Token) -> str | None:
    """Return the key that is good now."""
    return token() if callable(token) else token


class Unreachable(Exception):
    """No answer came, or none that the service can have given. Whether it acted is unknown."""


class Reply(NamedTuple):
    """What the service said."""

    status: int
    body: Any  # decoded JSON, None for an empty answer
    headers: Mapping[str, str]

    @property
    def retry_after(self) -> float | None:
        """Seconds to stay away, if the answer names them."""
        try:
            return max(0.0, float(self.headers.get("Retry-After", "")))
        except ValueError:
            return None  # absent, or a date: the caller's own back-off will do

    def member(self, name: str, default: Any = None) -> Any:
        """Return a member of the answer, if it is an object that has it."""
        return self.body.get(name, default) if isinstance(self.body, dict) else default


class Connection:
    """A kept-alive connection. Raises Unreachable from `call`."""

    def __init__(self, url: str, token: Token = None, session: requests.Session | None = None) -> None:
        self._base = url.rstrip("/") + "/api/v1"
        self._session = session or requests.Session()
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"assay-python/{__version__}",
        }
        self._token = token
        # The environment's proxies and certificates, looked up once: per call it costs a quarter of the call.
        self._settings = self._session.merge_environment_settings(self._base, {}, False, None, None)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        timeout: float = 30.0,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the answer, whatever its status."""
        token = present(self._token)
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        request = requests.PreparedRequest()
        # Prepared by hand, not by the session: a ~/.netrc must not replace the token.
        request.prepare(
            method=method,
            url=self._base + path,
            headers={**self._headers, **bearer, **(headers or {})},
            data=body,
            params={name: value for name, value in (params or {}).items() if value is not None},
            cookies={},
        )
        try:
            answer = self._session.send(
                request, timeout=(CONNECT_SECS, timeout), allow_redirects=False, **self._settings
            )
            content = answer.content
        except requests.RequestException as error:
            raise Unreachable(str(error)) from error
        try:
            decoded = json.loads(content) if content else None
        except ValueError as error:
            if answer.status_code < 400:
                raise Unreachable(f"{answer.status_code} without JSON: what is at {self._base}?") from error
            decoded = None  # a proxy's page: its status says enough
        return Reply(answer.status_code, decoded, answer.headers)

    def close(self) -> None:
        """Let go of the socket."""
        self._session.close()


def segment(name: str) -> str:
    """Encode an id or name as one segment of a path."""
    return quote(name, safe="")
