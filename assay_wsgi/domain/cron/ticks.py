"""What every kind of expression can be asked; and the ticks of those that follow a calendar."""

from __future__ import annotations

import math
from abc import ABC
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from . import zones
from .days import Days
from .fields import FIRST_YEAR
from .fields import LAST_YEAR
from .zones import DAY
from .zones import Stretch

BEGIN = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())


class LeftOut(NamedTuple):
    """Wall times that would have been ticks, had the clocks not been put forward over them."""

    first: int  # wall seconds, as in zones
    last: int
    times: int  # how many they are, those two included


class Cron(ABC):
    """A series of ticks, in whole seconds since the epoch, from 1970 up to the end of 2100."""

    @abstractmethod
    def after(self, moment: float) -> float | None:
        """Give the first tick that is later than a moment; None when there is none any more."""

    @abstractmethod
    def latest(self, after: float, until: float) -> float | None:
        """Give the newest tick that is later than `after` and not later than `until`; None when there is none."""

    @abstractmethod
    def count(self, after: float, until: float, at_most: int | None = None) -> int:
        """Count the ticks that are later than `after` and not later than `until`.

        It costs some microseconds a day that has ticks. With `at_most` it stops there: what is counted is then
        enough to say "so many, or more".
        """

    def left_out(self, after: float, until: float) -> Iterator[LeftOut]:  # noqa: ARG002  (not of all kinds)
        """Give what no clock shows between two moments and would have been ticks, oldest first."""
        return iter(())

    def upcoming(self, moment: float, n: int) -> list[float]:
        """Give the first n ticks that are later than a moment, or as many as there are."""
        found: list[float] = []
        while len(found) < n:
            tick = self.after(found[-1] if found else moment)
            if tick is None:
                break
            found.append(tick)
        return found


class Times(NamedTuple):
    """The times of a day at which an expression fires: every hour with every minute with every second, in order.

    So the k-th one and the number of those before another can be computed: no time is ever walked over.
    """

    hours: list[int]
    minutes: list[int]
    seconds: list[int]

    def rank(self, second: int) -> int:
        """Count the times before a second of the day."""
        hours, minutes, seconds = self
        hour, minute = second // 3600, second // 60 % 60
        h, m = bisect_left(hours, hour), bisect_left(minutes, minute)
        if h == len(hours) or hours[h] != hour:
            return h * len(minutes) * len(seconds)
        if m == len(minutes) or minutes[m] != minute:
            return (h * len(minutes) + m) * len(seconds)
        return (h * len(minutes) + m) * len(seconds) + bisect_left(seconds, second % 60)

    def at(self, place: int) -> int:
        """Give the second of the day of the time that so many others are before."""
        rest, second = divmod(place, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return self.hours[hour] * 3600 + self.minutes[minute] * 60 + self.seconds[second]


class _Run(NamedTuple):
    """Times of one day that follow one another: from the place `first` up to the one before `stop`."""

    first: int
    stop: int
    midnight: int  # the moment that the wall time 0:00 would have


class Calendar(Cron):
    """Ticks at wall times of a zone."""

    def __init__(self, days: Days, times: Times, zone: ZoneInfo) -> None:
        self._days = days
        self._times = times
        self._zone = zone

    def after(self, moment: float) -> float | None:
        """Give the first tick that is later than a moment; None when there is none any more."""
        first = first_after(moment)
        for run in self._runs(self._days.onwards(self._day(first)), first, END - 1):
            return float(run.midnight + self._times.at(run.first))
        return None

    def latest(self, after: float, until: float) -> float | None:
        """Give the newest tick that is later than `after` and not later than `until`; None when there is none."""
        first, last = first_after(after), last_until(until)
        oldest = self._day(first)
        days = takewhile(lambda day: day >= oldest, self._days.backwards(self._day(last) + 1))
        for run in self._runs(days, first, last, step=-1):
            return float(run.midnight + self._times.at(run.stop - 1))
        return None

    def count(self, after: float, until: float, at_most: int | None = None) -> int:
        """Count the ticks that are later than `after` and not later than `until`."""
        first, last = first_after(after), last_until(until)
        newest = self._day(last) + 1
        counted = 0
        for run in self._runs(takewhile(lambda day: day <= newest, self._days.onwards(self._day(first))), first, last):
            counted += run.stop - run.first
            if at_most is not None and counted >= at_most:
                return at_most
        return counted

    def left_out(self, after: float, until: float) -> Iterator[LeftOut]:
        """Give what no clock shows between two moments and would have been ticks, oldest first."""
        begins, ends = (zones.wall(each, self._zone) for each in (first_after(after) - 1, last_until(until)))
        for day in takewhile(lambda day: day <= ends // DAY, self._days.onwards(begins // DAY)):
            shown = midnight = day * DAY
            for start, stop, _ in (*zones.stretches(day, self._zone), Stretch(midnight + DAY, midnight + DAY, 0)):
                first, beyond = self._times.rank(shown - midnight), self._times.rank(start - midnight)
                if first < beyond and begins < start and shown <= ends:
                    yield LeftOut(
                        midnight + self._times.at(first), midnight + self._times.at(beyond - 1), beyond - first
                    )
                shown = stop

    def has_a_date(self) -> bool:
        """Whether any date matches, be its times left out or not."""
        return next(self._days.onwards(0), None) is not None

    def _runs(self, days: Iterable[int], first: int, last: int, step: int = 1) -> Iterator[_Run]:
        """Give what fires on some days from one moment to another, both included."""
        for day in days:
            midnight = day * DAY
            for start, stop, offset in zones.stretches(day, self._zone)[::step]:
                begins = self._times.rank(max(start, first + offset) - midnight)
                ends = self._times.rank(min(stop, last + 1 + offset) - midnight)
                if begins < ends:
                    yield _Run(begins, ends, midnight - offset)

    def _day(self, moment: int) -> int:
        """Give the day that the zone's clocks show.

        The times of an earlier day have all been then. Of the next day some may have been: a clock that was put
        back over midnight has shown them.
        """
        return zones.wall(moment, self._zone) // DAY


def first_after(after: float) -> int:
    """Give the first whole second that is later than a moment and may be a tick."""
    return math.floor(min(max(after, BEGIN - 1), END)) + 1


def last_until(until: float) -> int:
    """Give the last whole second that is not later than a moment and may be a tick."""
    return math.floor(min(max(until, BEGIN - 1), END - 1))
