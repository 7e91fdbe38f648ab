"""How the value of a search attribute is written: as a text that is ordered as the value is, on both databases.

The first letter is the kind, so values of two kinds are never equal and never compared. A number is the bits of
the nearest double, turned so that they sort, and how far it is from that: integers of 64 bits stay exact.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from ..domain.model import Run
from ..jsontext import loads
from .mapping import AttributeRow

NULL = "0"
_HEAD_CHARS = 128  # with the longest namespace and name the most that a PostgreSQL index takes
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


class Written(NamedTuple):
    """A value, in what an index holds of it and what it does not."""

    value: str
    rest: str

    @property
    def whole(self) -> bool:
        """Whether `value` alone tells it from every other value, and its place among them."""
        return len(self.value) < _HEAD_CHARS


def written(value: Any) -> Written:
    """Write a value."""
    text = _written(value)
    return Written(text[:_HEAD_CHARS], text[_HEAD_CHARS:])


def kind_bounds(value: Any) -> tuple[str, str]:
    """Give the text that values of this kind are not below, and the one that they are below."""
    letter = _written(value)[0]
    return letter, chr(ord(letter) + 1)


def rows_of(run: Run) -> Iterator[AttributeRow]:
    """Give the rows of a run's attributes."""
    return changed(run, None)


def changed(run: Run, before: str | None) -> Iterator[AttributeRow]:
    """Give the rows that differ from what a run's attributes were before."""
    known = {} if before is None else loads(before)
    for name, value in ({} if run.search_attributes is None else loads(run.search_attributes)).items():
        new = written(value)
        if name not in known or written(known[name]) != new:
            yield AttributeRow(run.run_key, name, run.namespace, *new, run.created_at)


def _written(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, bool):
        return "b1" if value else "b0"
    if isinstance(value, (int, float)):
        return _number(value)
    return f"j{json.dumps(value, sort_keys=True)}"


def _number(value: float) -> str:
    nearest = float(value) + 0.0  # no minus zero
    (bits,) = struct.unpack(">Q", struct.pack(">d", nearest))
    turned = bits ^ (_ALL if bits & _SIGN else _SIGN)
    off = value - int(nearest) if isinstance(value, int) else 0
    return f"n{turned:016x}{off + 0x8000:04x}"
