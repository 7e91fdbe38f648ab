"""One question to a service that may be down, by the standard library's HTTP: it starts fast and follows nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler
from urllib.request import OpenerDirector
from urllib.request import ProxyHandler
from urllib.request import build_opener

from ...settings import is_loopback
from ..failures import Failed

_READ = 65536  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Told:
    """What a probe was answered."""

    status: int
    body: dict[str, Any]  # empty where it is no JSON object
    date: str | None

    @property
    def by_an_engine(self) -> bool:
        """Whether the answer is one that an assay engine gives."""
        return self.body.get("service") == "assay-workflow" or "ready" in self.body


def probe(engine_url: str, path: str, timeout_secs: float) -> Told:
    """Ask for a path. Raises Failed where nothing answers."""
    url = f"{engine_url}/{path}"
    try:
        with _opener(url).open(url, timeout=timeout_secs) as answer:
            return Told(answer.status, _read(answer.read(_READ)), answer.headers["Date"])
    except HTTPError as error:
        with error:
            return Told(error.code, _read(error.read(_READ)), error.headers["Date"])
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise Failed(f"engine unreachable at {engine_url}: {said}") from None


def why_not_ready(told: Told) -> str:
    """Say what an engine that is not ready says of itself."""
    if told.body.get("draining"):
        return "it is ending"
    if "database" in told.body:
        return f"its database is {told.body['database']}"
    return str(told.body.get("error") or "is this an assay engine?")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _opener(url: str) -> OpenerDirector:
    proxies = [ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    return build_opener(_NoRedirects(), *proxies)


def _read(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
