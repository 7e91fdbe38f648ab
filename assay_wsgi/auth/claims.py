"""What the claims of a token must say, once its signature has proven who says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.errors import InvalidToken
from .trust import Trust

MAX_LIFE_SECS = 24 * 3600.0
MAX_SUBJECT_CHARS = 255
_LATEST = 2.0**53  # beyond it a float has no seconds
# What only an ID token has: it tells a program who has signed in, and opens nothing.
_ID_TOKEN = ("at_hash", "c_hash", "s_hash")
_ID_TOKEN_SAYS = (("typ", "ID"), ("token_use", "id"))  # Keycloak's way, and Cognito's


def check(claims: Mapping[str, Any], trust: Trust, now: float) -> str:
    """Hold the claims against what is trusted, and give the subject. Raises InvalidToken."""
    if claims.get("iss") != trust.issuer:
        raise InvalidToken("another issuer")
    _check_audience(claims.get("aud"), trust.audience)
    _check_times(claims, trust.leeway_secs, now)
    if any(name in claims for name in _ID_TOKEN) or any(claims.get(name) == says for name, says in _ID_TOKEN_SAYS):
        raise InvalidToken("an ID token")
    if "cnf" in claims:  # RFC 9449, RFC 8705: good only with a proof, which is not asked for here
        raise InvalidToken("bound to a key of its holder")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS or not subject.isprintable():
        raise InvalidToken("no subject of 1 to 255 printable characters")
    return subject


def _check_audience(held: Any, ours: str) -> None:
    audiences = held if isinstance(held, list) else [held]
    if not all(isinstance(audience, str) for audience in audiences) or ours not in audiences:
        raise InvalidToken("another audience")


def _check_times(claims: Mapping[str, Any], leeway: float, now: float) -> None:
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if expires <= now - leeway:
        raise InvalidToken("expired")
    if issued > now + leeway:
        raise InvalidToken("issued in the future")
    if not 0 < expires - issued <= MAX_LIFE_SECS:
        raise InvalidToken("good for more than a day")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise InvalidToken("not good yet")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise InvalidToken(f"no time in {name}")
    return float(value)
