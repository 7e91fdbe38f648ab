"""From an expression to its ticks: which grammar it is in, and what its fields say together."""

from __future__ import annotations

import re

from ..errors import InvalidCron
from . import fields
from . import zones
from .days import Days
from .every import every
from .fields import Field
from .fields import Kind
from .ticks import BEGIN
from .ticks import Calendar
from .ticks import Cron
from .ticks import Times

LONGEST_CHARS = 256
_WORD = re.compile(r"[^ \t]+")
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIVE = (fields.MINUTE, fields.HOUR, fields.DAY, fields.MONTH, fields.WEEKDAY)
_SIX = (fields.SECOND, fields.MINUTE, fields.HOUR, fields.DAY, fields.MONTH, fields.WEEKDAY_FROM_1)
_GRAMMARS: dict[int, tuple[Kind, ...]] = {5: _FIVE, 6: _SIX, 7: (*_SIX, fields.YEAR)}


def parse(expression: str, timezone: str = "UTC") -> Cron:
    """Read a cron expression whose wall times are those of a zone. Raises InvalidCron, InvalidTimezone.

    One that never fires is refused. One that fired in the past only is not: its `after(now)` is None.
    """
    zone = zones.zone(timezone)
    if type(expression) is not str:
        raise InvalidCron(f"a cron expression is a text, not {expression!r:.60}")
    if len(expression) > LONGEST_CHARS:
        raise InvalidCron(
            f"the cron expression has {len(expression):,} characters: {LONGEST_CHARS} are allowed",
            position=LONGEST_CHARS + 1,
        )
    words = [(match[0], match.start() + 1) for match in _WORD.finditer(expression)]
    if words and words[0][0].startswith("@"):
        name, column = words[0]
        if name.lower() == "@every":
            return every(*_only(words[1:], expression))
        if name.lower() not in _NICKNAMES or len(words) > 1:
            raise InvalidCron(f"{expression!r} is none of {', '.join(_NICKNAMES)}, @every 90s", position=column)
        words = [(word, column) for word in _NICKNAMES[name.lower()].split()]
    found = _read(words, expression)
    ticks = Calendar(
        Days(
            found["day of month"],
            found["month"],
            found["day of week"],
            found.get("year"),
            either=len(words) == 5 and not (found["day of month"].starred or found["day of week"].starred),
        ),
        Times(*(sorted(found[name].values) if name in found else [0] for name in ("hour", "minute", "second"))),
        zone,
    )
    if ticks.after(BEGIN - 1) is None:
        raise InvalidCron(f"{expression!r} never fires: {_why_never(ticks, timezone)}")
    return ticks


def _read(words: list[tuple[str, int]], expression: str) -> dict[str, Field]:
    if words and "TZ=" in words[0][0]:
        raise InvalidCron(
            f"{words[0][0]!r}: the zone does not stand in the expression but beside it, in `timezone`",
            position=words[0][1],
        )
    grammar = _GRAMMARS.get(len(words))
    if grammar is None:
        raise InvalidCron(
            f"{expression!r} has {len(words)} fields: five are minute hour day month weekday, six begin with the "
            "second, seven end with the year"
        )
    return {kind.name: fields.read(text, kind, column) for kind, (text, column) in zip(grammar, words, strict=True)}


def _only(words: list[tuple[str, int]], expression: str) -> tuple[str, int]:
    if len(words) != 1:
        raise InvalidCron(f"{expression!r}: one time follows @every, for instance 90s, 15m or 2h30m")
    return words[0]


def _why_never(ticks: Calendar, timezone: str) -> str:
    if ticks.has_a_date():
        return f"whenever its time comes, the clocks of {timezone} are put forward over it"
    return f"no date from {fields.FIRST_YEAR} to {fields.LAST_YEAR} fits its day, month, weekday and year"
