"""Which days of a month match: by their number, by their weekday, by both or either."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from .fields import FIRST_YEAR
from .fields import LAST_YEAR
from .fields import Field

_EPOCH = date(1970, 1, 1).toordinal()


class Days:
    """The days on which an expression fires, as days since the epoch.

    A month is known by its length and the weekday that it begins with: there are 28 kinds, each looked at once.
    """

    def __init__(self, day: Field, month: Field, weekday: Field, year: Field | None, *, either: bool) -> None:
        self._day = day
        self._weekday = weekday
        self._either = either
        self._months = sorted(month.values)
        self._years = sorted(year.values) if year else range(FIRST_YEAR, LAST_YEAR + 1)
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}

    def onwards(self, first: int) -> Iterator[int]:
        """Give the matching days from `first` on, oldest first."""
        start = date.fromordinal(_EPOCH + first)
        for year in self._years:
            if year >= start.year:
                for month in self._months:
                    if (year, month) >= (start.year, start.month):
                        yield from (day for day in self._month(year, month) if day >= first)

    def backwards(self, last: int) -> Iterator[int]:
        """Give the matching days up to `last`, newest first."""
        end = date.fromordinal(_EPOCH + last)
        for year in reversed(self._years):
            if year <= end.year:
                for month in reversed(self._months):
                    if (year, month) <= (end.year, end.month):
                        yield from (day for day in reversed(self._month(year, month)) if day <= last)

    def _month(self, year: int, month: int) -> list[int]:
        begins = date(year, month, 1).toordinal()
        ends = date(year, month + 1, 1).toordinal() if month < 12 else begins + 31
        kind = (ends - begins, begins % 7)  # day 0 of the ordinals was a Sunday
        if kind not in self._known:
            self._known[kind] = tuple(self._matching(*kind))
        return [begins - _EPOCH + day - 1 for day in self._known[kind]]

    def _matching(self, length: int, first: int) -> list[int]:
        days = self._numbered(length, first)
        weekdays = self._on_weekdays(length, first)
        return sorted(days | weekdays if self._either else days & weekdays)

    def _numbered(self, length: int, first: int) -> set[int]:
        days = {day for day in self._day.values if day <= length}
        days |= {length - before for before in self._day.before_last if before < length}
        days |= {_workday(day, length, first) for day in self._day.workdays if day <= length}
        return days | {_workday(length, length, first)} if self._day.last_workday else days

    def _on_weekdays(self, length: int, first: int) -> set[int]:
        days = {day for day in range(1, length + 1) if (first + day - 1) % 7 in self._weekday.values}
        days |= {length - (first + length - 1 - weekday) % 7 for weekday in self._weekday.last}
        nth = {1 + (weekday - first) % 7 + 7 * (count - 1) for weekday, count in self._weekday.nth}
        return days | {day for day in nth if day <= length}


def _workday(day: int, length: int, first: int) -> int:
    """Give the Monday to Friday nearest to a day, within its month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day
