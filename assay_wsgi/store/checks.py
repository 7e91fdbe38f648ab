"""What a check of fsck is, and what several of them say."""

from __future__ import annotations

from dataclasses import dataclass

OPEN = "('PENDING', 'RUNNING')"


@dataclass(frozen=True, slots=True)
class Check:
    """A rule and the query that finds who breaks it."""

    name: str
    text: str
    sql: str
    only: str | None = None  # the dialect that it is for
    timed: bool = False  # its one parameter is the moment before which things are overdue
