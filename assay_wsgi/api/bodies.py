"""Read a request's body: bytes, then JSON, then the object that every body of this API is."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from flask import Request

from .. import jsontext
from ..domain.errors import Invalid

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_bytes(request: Request) -> bytes:
    """Read the body whole. Raises Invalid when it is too long or says that it is not JSON."""
    length = request.environ.get("CONTENT_LENGTH")
    if length == "0":
        return b""
    framed = length is not None and length.isdecimal() and "HTTP_TRANSFER_ENCODING" not in request.environ
    if framed and int(length or 0) > MAX_BODY_BYTES:
        raise _too_long()
    try:
        raw = _read_exactly(request, int(length or 0)) if framed else _read_all(request)
    except Exception as error:  # each server has its own for chunks that are none, and for a client that has gone
        raise Invalid("the body breaks off, or its chunks are none", code="bad_request") from error
    if len(raw) > MAX_BODY_BYTES:
        raise _too_long()
    if raw and not _is_json(request.environ.get("CONTENT_TYPE", "")):
        raise Invalid("send JSON with the content type application/json", code="unsupported_media_type")
    if raw and request.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise Invalid("send the body as it is: no content encoding is understood", code="unsupported_media_type")
    return raw


def parse(raw: bytes) -> Any:
    """Read JSON. Raises Invalid."""
    try:
        value = jsontext.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _unreadable(raw, error) from error
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _too_deep(raw):
        raise _refusal_of_depth()
    if b"\\u" in raw and _SURROGATE.search(raw):
        _refuse_lone_surrogates(value)
    if b":" in raw:
        _refuse_duplicate_keys(raw, value)
    return value


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read the object that a body is: `[]`, `null` and nothing are an empty one, for assay's Lua worker."""
    if not raw:
        return {}
    value = parse(raw)
    if type(value) is dict:
        return value
    if value is None or value == []:
        return {}
    details = [{"field": "", "issue": "invalid_type"}]
    raise Invalid("the body must be a JSON object", code="invalid_type", details=details)


def _read_exactly(request: Request, length: int) -> bytes:
    # A fifth of what werkzeug's guarded stream takes for it. The server frames the body.
    raw: bytes = request.environ["wsgi.input"].read(length)
    if len(raw) < length:  # the host's app has read it before us, or the client has gone
        raw = request.get_data()
    return raw


def _read_all(request: Request) -> bytes:
    request.max_content_length = MAX_BODY_BYTES + 1  # werkzeug cuts off there without a word
    return request.get_data(cache=False)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _too_deep(raw: bytes) -> bool:
    """Peel the brackets off, one level a round. `raw` is known to be JSON."""
    bare = _ESCAPE.sub(b"", raw) if b"\\" in raw else raw
    brackets = _STRING.sub(b"", bare.translate(_ONE_KIND, _NOT_STRUCTURE))
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _refuse_lone_surrogates(value: Any) -> None:
    # orjson refuses them itself; the standard library, which reads long integers for it, does not.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Invalid("the body holds a lone surrogate", code="invalid_unicode") from error


def _refuse_duplicate_keys(raw: bytes, value: Any) -> None:
    """Refuse an object that names a member twice: each reader would take another one of the two.

    Written anew, what was read has as many colons as what was sent, unless a member was lost on the way; only an
    escape can hide one (`\\u003a`), and then the standard library reads it once more.
    """
    if b"\\u" not in raw and raw.count(b":") == jsontext.dumps(value).encode().count(b":"):
        return
    json.loads(raw, object_pairs_hook=_without_duplicates)


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        seen: set[str] = set()
        name = next(name for name, _ in members if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Invalid(f"an object has the member {name[:200]!r} twice", code="duplicate_key")
    return found


def _unreadable(raw: bytes, error: Exception) -> Invalid:
    """Say what is wrong with it. Reads it again, slowly: only refused requests come here."""
    text = str(error)
    if isinstance(error, RecursionError) or "depth limit" in text:
        return _refusal_of_depth()
    if "digits" in text:
        return Invalid("a number has too many digits", code="number_too_long")
    if "surrogate in" in text:
        return Invalid("the body holds a lone surrogate", code="invalid_unicode")
    if _has_non_finite(raw):
        return Invalid("NaN and infinities are not JSON", code="non_finite_number")
    return Invalid(f"the body is not JSON: {text[:200]}", code="invalid_json")


class _NonFiniteError(Exception):
    pass


def _has_non_finite(raw: bytes) -> bool:
    def refuse(name: str) -> None:
        raise _NonFiniteError(name)

    def finite(number: str) -> None:
        if math.isinf(float(number)):
            refuse(number)

    try:
        json.loads(raw.decode(), parse_constant=refuse, parse_float=finite)
    except _NonFiniteError:
        return True
    except (ValueError, RecursionError):
        pass
    return False


def _too_long() -> Invalid:
    return Invalid(f"the body must have at most {MAX_BODY_BYTES} bytes", code="payload_too_large")


def _refusal_of_depth() -> Invalid:
    return Invalid(f"the JSON is nested deeper than {MAX_DEPTH}", code="too_deep")
