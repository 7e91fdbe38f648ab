"""The issuer's published keys, fetched over HTTP: its discovery document, then the key set that this names.

Only the operator's issuer is asked, and only where it, or the operator, says that its keys are. A redirect, a page
that is not JSON, too much of it or too slow an answer is an issuer that cannot be reached.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3

from .jwk import KeySet
from .jwk import read_keys
from .strict import read_object
from .trust import Trust
from .trust import read_origin

log = logging.getLogger(__name__)

DEADLINE_SECS = 5.0
MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_KEYS = 100
_CHUNK_BYTES = 64 * 1024
_HEADERS = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}


class IssuerError(Exception):
    """The issuer's keys could not be had. The text says why, for the log."""


def fetch_keys(trust: Trust, clock: Callable[[], float] = time.monotonic) -> KeySet:
    """Ask the issuer for its keys, within five seconds. Raises IssuerError."""
    deadline = clock() + DEADLINE_SECS
    with requests.Session() as session:
        session.headers.update(_HEADERS)
        session.auth = _nobody
        session.trust_env = trust.origin.scheme == "https"  # no proxy leads to this machine
        described = _document(session, trust.discovery_url, deadline, clock)
        if described.get("issuer") != trust.issuer:
            raise IssuerError(
                f"{trust.discovery_url} describes the issuer {described.get('issuer')!r:.300}, "
                "which is not exactly what ASSAY_AUTH_ISSUER says"
            )
        keys_url = _checked(described.get("jwks_uri"), trust)
        published = _document(session, keys_url, deadline, clock).get("keys")
    if not isinstance(published, list) or len(published) > MAX_KEYS:
        raise IssuerError(f"{keys_url} has no list of at most {MAX_KEYS} keys")
    keys = read_keys(published, trust.algorithms)
    if not keys:  # rather a fault of the issuer than its wish that the keys known until now be forgotten
        raise IssuerError(f"{keys_url} has no key that can be used with {', '.join(trust.algorithms)}")
    return keys


def probe(trust: Trust) -> None:
    """Ask the issuer for its keys only to say in the log whether it has some."""
    try:
        keys = fetch_keys(trust)
    except IssuerError as error:
        log.warning("tokens cannot be checked yet: %s", error)
    else:
        log.info("tokens can be checked issuer=%s keys=%s", trust.issuer, len(keys))


def _checked(keys_url: Any, trust: Trust) -> str:
    """Allow the issuer to name its own host or one of the operator's, so that it cannot send us elsewhere."""
    if not isinstance(keys_url, str):
        raise IssuerError(f"{trust.discovery_url} names no jwks_uri")
    try:
        origin = read_origin(keys_url)
    except ValueError as error:
        raise IssuerError(f"the issuer's jwks_uri {keys_url!r:.300} will not do: {error}") from None
    if origin != trust.origin and origin not in trust.key_origins:
        raise IssuerError(
            f"the issuer keeps its keys at {keys_url!r:.300}: if that is right, name the host in ASSAY_AUTH_JWKS_HOSTS"
        )
    return keys_url


def _document(session: requests.Session, url: str, deadline: float, clock: Callable[[], float]) -> dict[str, Any]:
    left = max(0.1, deadline - clock())
    try:
        with session.get(url, timeout=left, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200:
                raise IssuerError(f"{url} answers {answer.status_code}")
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != "application/json" and not kind.endswith("+json"):
                raise IssuerError(f"{url} answers no JSON, but {kind!r:.100}")
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise IssuerError(f"{url} answers compressed, although it was asked not to")
            raw = _body(answer, url, deadline, clock)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise IssuerError(f"{url} does not answer: {error}") from error
    try:
        return read_object(raw)
    except ValueError as error:
        raise IssuerError(f"{url} answers no JSON object: {error}") from error


def _body(answer: requests.Response, url: str, deadline: float, clock: Callable[[], float]) -> bytes:
    # read1 gives what has come; a read of a certain size would wait for an issuer that sends a byte a second.
    raw = bytearray()
    while piece := answer.raw.read1(_CHUNK_BYTES):
        raw += piece
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise IssuerError(f"{url} answers more than 1 MiB")
        if clock() > deadline:
            raise IssuerError(f"{url} takes more than {DEADLINE_SECS:g} s")
    return bytes(raw)


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no credentials: requests would look for some in a .netrc."""
    return request
