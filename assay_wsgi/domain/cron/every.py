"""`@every 90s`: ticks at the multiples of a time since the epoch.

Every process computes the same ticks, with nothing kept: `@every 1h` fires on the full hour of UTC, whenever the
schedule was made, and no clock that is put forward or back changes that.
"""

from __future__ import annotations

import re

from ..errors import InvalidCron
from .ticks import END
from .ticks import Cron
from .ticks import first_after
from .ticks import last_until
from .zones import DAY

LONGEST_SECS = 366 * DAY
_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_UNITS = (DAY, 3600, 60, 1)


class Every(Cron):
    """Ticks at the multiples of `secs`."""

    def __init__(self, secs: int) -> None:
        self._secs = secs

    def after(self, moment: float) -> float | None:
        """Give the first tick that is later than a moment; None when there is none any more."""
        first = -(-first_after(moment) // self._secs) * self._secs
        return float(first) if first < END else None

    def latest(self, after: float, until: float) -> float | None:
        """Give the newest tick that is later than `after` and not later than `until`; None when there is none."""
        last = last_until(until) // self._secs * self._secs
        return float(last) if last >= first_after(after) else None

    def count(self, after: float, until: float, at_most: int | None = None) -> int:
        """Count the ticks that are later than `after` and not later than `until`."""
        counted = last_until(until) // self._secs - (first_after(after) - 1) // self._secs
        return max(0, counted if at_most is None else min(counted, at_most))


def every(text: str, column: int) -> Every:
    """Read the time of an `@every`. Raises InvalidCron."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise InvalidCron(f"@every: {text!r} is no time: write it like 90s, 15m, 2h30m or 1d", position=column)
    secs = sum(int(number) * unit for number, unit in zip(match.groups("0"), _UNITS, strict=True))
    if not 1 <= secs <= LONGEST_SECS:
        raise InvalidCron(f"@every: {text!r} is not between 1s and {LONGEST_SECS // DAY}d", position=column)
    return Every(secs)
