"""JSON from elsewhere, read so that nobody could read it otherwise."""

from __future__ import annotations

import json
import math
from typing import Any


def read_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object, each member of which is there once and no number of which is infinite.

    Raises ValueError.
    """
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member is there twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse("an infinite number")
    return number
