"""Zones: their names, and which wall times a day has there.

A wall second is a date and time of a zone, counted as if it were UTC. A clock that is put forward leaves wall seconds
out, one that is put back repeats some. A day is told as the stretches of wall seconds that exist for the first time:
so a gap is between two stretches, and nothing comes twice.
"""

from __future__ import annotations

import difflib
import functools
import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from ..errors import InvalidTimezone

DAY = 86400
LONGEST_NAME = 64
_OF_THE_MACHINE = {"localtime", "posixrules", "Factory"}  # mean something else on each machine, or nothing


class Stretch(NamedTuple):
    """Wall seconds that follow one another, and what to take from them to have seconds since the epoch."""

    start: int
    stop: int
    offset: int


def zone(name: str) -> zoneinfo.ZoneInfo:
    """Find a zone by its IANA name. Raises InvalidTimezone."""
    if type(name) is not str or len(name) > LONGEST_NAME or name not in _names():
        raise InvalidTimezone(f"timezone {name!r:.80} is not known: {_rather(name)}")
    return zoneinfo.ZoneInfo(name)


def wall(moment: int, of: zoneinfo.ZoneInfo) -> int:
    """Give the wall second of a moment."""
    return moment + _offset(moment, of)


@functools.lru_cache(maxsize=4096)  # the day of a change takes some 40 looks at the zone, each other day two
def stretches(day: int, of: zoneinfo.ZoneInfo) -> tuple[Stretch, ...]:
    """Give the wall seconds of a day (in days since the epoch), those of the first time only."""
    # Offsets are less than a day: two days around it hold all moments of this day, and what may have shown it before.
    midnight = day * DAY
    first, last = midnight - 2 * DAY, midnight + 2 * DAY
    offset = _offset(first, of)
    if offset == _offset(last, of):  # no zone was ever changed and changed back within four days
        return (Stretch(midnight, midnight + DAY, offset),)
    found = []
    shown = midnight  # wall seconds before this one are another day's, or were there before
    for begins, ends in _periods(first, last, of):
        offset = _offset(begins, of)
        start, stop = max(begins + offset, shown), min(ends + offset, midnight + DAY)
        if start < stop:
            found.append(Stretch(start, stop, offset))
        shown = max(shown, ends + offset)
    return tuple(found)


def _periods(first: int, last: int, of: zoneinfo.ZoneInfo) -> Iterator[tuple[int, int]]:
    """Cut a time into pieces of one offset each."""
    while _offset(first, of) != _offset(last, of):
        low, high = first, last  # the offset of `first` still holds at `low`, and no longer at `high`
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(middle, of) == _offset(first, of):
                low = middle
            else:
                high = middle
        yield first, high
        first = high
    yield first, last


def _offset(moment: int, of: zoneinfo.ZoneInfo) -> int:
    offset = datetime.fromtimestamp(moment, of).utcoffset()
    assert offset is not None
    return offset.days * DAY + offset.seconds


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - _OF_THE_MACHINE)  # reads the heads of some 600 files


def _rather(name: object) -> str:
    if isinstance(name, str) and len(name) <= LONGEST_NAME:
        known = {each.casefold(): each for each in _names()}
        near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.75)
        if near:
            return f"did you mean {known[near[0]]!r}?"
    return "give an IANA name, for instance 'Europe/Berlin' or 'UTC'"
