"""When a schedule fires: cron expressions, in zones, as ticks in seconds since the epoch.

`parse` takes an expression to a `Cron`; all rules stand in docs/reference/cron.md. Nothing here knows what a
schedule is, what time it is, or that there is a database.

    fields    the text of one field -> the numbers that it names
    days      which days of a month match
    zones     the names of zones; which wall times a day has, and when
    ticks     what every kind of expression can be asked; those that follow a calendar
    every     those that count seconds
"""

from __future__ import annotations

from .expression import parse
from .ticks import Cron
from .ticks import LeftOut

__all__ = ["Cron", "LeftOut", "parse"]
