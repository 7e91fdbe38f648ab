"""How the times of a schedule are shown: the moment, and what the clocks of its zone say then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

import click

from ..output import Column

TIMES = (Column("AT", "at", time=True), Column("DAY", "day"), Column("WALL", "wall"))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # strftime's depend on the locale

count = click.option(
    "-n", "n", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N", help="How many times."
)


def rows(moments: Iterable[float], timezone: str) -> list[dict[str, Any]]:
    """Make records of moments; what the clocks say is null where this machine does not know the zone."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return [{"at": at, "day": None, "wall": None} for at in moments]
    walls = ((at, datetime.fromtimestamp(at, zone)) for at in moments)
    return [{"at": at, "day": _WEEKDAYS[wall.weekday()], "wall": wall.isoformat()} for at, wall in walls]
