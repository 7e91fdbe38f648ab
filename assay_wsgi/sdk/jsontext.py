"""JSON text in and out. What JSON cannot hold (NaN, infinities, half surrogate pairs) is a ValueError."""

from __future__ import annotations

import json
import marshal
import math
from typing import Any

from .encoding import to_json
from .encoding import with_plain_keys

Json = Any  # opaque JSON: dict, list, str, int, float, bool or None

loads = json.loads

_encoder = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_json, check_circular=True
)


def _encode(value: Any) -> str:
    try:
        return _encoder.encode(value)
    except TypeError as error:
        if "keys must be" not in str(error):
            raise
    return _encoder.encode(with_plain_keys(value))


def dumps(value: Any) -> bytes:
    """Write `value` as compact UTF-8; dataclasses, enums, dates and the like are converted.

    Raises TypeError or ValueError for what JSON cannot hold.
    """
    return _encode(value).encode()


def plain(value: Any, what: str = "", name: str = "") -> Json:
    """Return `value` as JSON would give it back: what a later replay will see, and a copy of its own.

    Raises TypeError or ValueError for what JSON cannot hold; the text begins with what the value is for.
    """
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    try:
        if kind is str:
            value.encode()  # a lone surrogate must fail here, where its owner is known
            return value
        if kind is float and math.isfinite(value):
            return value
        return loads(_encode(value))
    except (TypeError, ValueError) as error:
        if not what:
            raise
        said = f"{what} '{name}': {error}" if name else f"{what}: {error}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(said) from error


def copied(value: Json) -> Json:
    """Copy JSON: user code may change what it gets, the cached history must stay."""
    if value.__class__ is dict or value.__class__ is list:
        return marshal.loads(marshal.dumps(value))
    return value
