"""A token's three parts, read strictly. Nothing here is trusted yet: that takes the signature.

Whatever two readers could understand differently is refused: base64 of another alphabet or with spare bits, a
member that is there twice, NaN. So is every header that would have us fetch a key or take one from the token.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from typing import NamedTuple

from ..domain.errors import InvalidToken
from .strict import read_object

MAX_TOKEN_CHARS = 8192
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEYS_FROM_THE_TOKEN = ("jku", "jwk", "x5u", "x5c")
_OTHER_RULES = ("crit", "b64", "zip", "enc", "cty")  # extensions, detached payloads, encryption, a token in a token
# What the header may call the token; without a word many issuers mean the same.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Header(NamedTuple):
    """What a token says of its own signature."""

    algorithm: str
    key_id: str


def read_header(token: str) -> Header:
    """Check the form of the whole token and what its header asks for. Raises InvalidToken."""
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidToken("longer than 8 KiB")
    segments = token.split(".")
    if len(segments) != 3:
        raise InvalidToken("not of three parts")
    raw, _, _ = (_decoded(segment) for segment in segments)
    members = read_members(raw)
    for name in _KEYS_FROM_THE_TOKEN:
        if name in members:
            raise InvalidToken(f"the header names a key by {name}")
    for name in _OTHER_RULES:
        if name in members:
            raise InvalidToken(f"the header has {name}")
    kind = members.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidToken("the header calls it another type of token")
    algorithm, key_id = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str):
        raise InvalidToken("the header names no algorithm")
    if not isinstance(key_id, str) or _KEY_ID.fullmatch(key_id) is None:
        raise InvalidToken("the header names no key by a plain kid")
    return Header(algorithm, key_id)


def read_members(raw: bytes) -> dict[str, Any]:
    """Read the JSON object that a part of the token is. Raises InvalidToken."""
    try:
        return read_object(raw)
    except ValueError:
        raise InvalidToken("a part is no JSON object, or one with a member twice") from None


def _decoded(segment: str) -> bytes:
    if _SEGMENT.fullmatch(segment) is None:
        raise InvalidToken("a part is not base64url")
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise InvalidToken("a part is not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode():
        raise InvalidToken("a part is base64url with spare bits")
    return raw
