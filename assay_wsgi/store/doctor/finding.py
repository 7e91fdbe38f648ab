"""What a check finds, and what a check is given."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass

from ..connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, and the way out."""

    check: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at. `find` gives (text, advice) pairs."""

    name: str
    text: str  # what is so where nothing is found
    find: Callable[[Connection], Iterable[tuple[str, str]]]


def examine(db: Connection, checks: Iterable[Check]) -> list[Finding]:
    """Make all the checks."""
    return [Finding(check=check.name, text=text, advice=advice) for check in checks for text, advice in check.find(db)]
