"""What search attributes may be, whoever hands them in: what both databases can store, find and tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ..jsontext import dumps

KEYS_AT_MOST = 100
BYTES_AT_MOST = 40 * 1024
NAME_CHARS_AT_MOST = 255
LARGEST = 2**63 - 1


def fault(attributes: Any) -> str | None:
    """Say why these cannot be the attributes of a run, or None."""
    if not isinstance(attributes, Mapping):
        return "they are an object"
    if len(attributes) > KEYS_AT_MOST:
        return f"a run has at most {KEYS_AT_MOST}"
    for name in attributes:
        if type(name) is not str or not 0 < len(name) <= NAME_CHARS_AT_MOST:
            return f"a name is a text of 1 to {NAME_CHARS_AT_MOST} characters, not {name!r:.60}"
    try:
        for part in _parts(attributes):
            if isinstance(part, str) and "\x00" in part.encode().decode():
                return "names and texts must not hold NUL"
            if isinstance(part, int) and not -LARGEST - 1 <= part <= LARGEST:
                return "an integer has at most 64 bits"
            if isinstance(part, float) and not math.isfinite(part):
                return "a number is finite"
        if len(dumps(dict(attributes)).encode()) > BYTES_AT_MOST:
            return f"they have at most {BYTES_AT_MOST} bytes as JSON"
    except UnicodeEncodeError:
        return "half of a surrogate pair is no character"
    except ValueError as error:
        return f"they are JSON values ({error})"
    return None


def _parts(value: Any) -> Iterator[Any]:
    """Give the plain values inside a JSON value, names of members too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple)):
            waiting += one
        else:
            yield one
