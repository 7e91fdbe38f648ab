"""From the text of one field to the numbers that it names, or a refusal that says where it is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

from ..errors import InvalidCron

ITEMS_AT_MOST = 64  # a list of 20,000 items took 56 ms to read
FIRST_YEAR, LAST_YEAR = 1970, 2100

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_NUMBER = re.compile(r"[0-9]{1,4}")
_FORMS = "*, a, a-b, */n, a/n, a-b/n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What may stand in one place of an expression."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # the name of `low`, of `low + 1`, ...
    open: bool = False  # may be `?`
    also: int | None = None  # one number beyond `high` that is allowed: 7 for Sunday
    remark: str = ""  # on its numbers, for people
    more_forms: str = ""

    def wrong(self, item: str, column: int, why: str) -> InvalidCron:
        """Say what is wrong with an item that stands at a column of the expression."""
        return InvalidCron(f"{self.name}: {item!r} {why}", cron_field=self.name, position=column)

    def number(self, text: str, item: str, column: int) -> int:
        """Read a number or a name. Raises InvalidCron."""
        if _NUMBER.fullmatch(text):
            value = int(text)
            if self.low <= value <= self.high or value == self.also:
                return value
            raise self.wrong(item, column, f"is out of range: {self.range}")
        if len(text) >= 3 and text.isalpha():
            for value, name in enumerate(self.names, self.low):
                if name.startswith(text.lower()):
                    return value
        raise self.wrong(
            item, column, f"cannot be read: {self.range}, in the forms {_FORMS}{self.more_forms}, and lists of these"
        )

    @property
    def ends(self) -> tuple[str, str]:
        """The first and the last one, by name if they have names."""
        if not self.names:
            return str(self.low), str(self.high)
        return self.names[0][:3].upper(), self.names[-1][:3].upper()

    @property
    def range(self) -> str:
        """What numbers are allowed, in words."""
        names = f" or {' to '.join(self.ends)}" if self.names else ""
        return f"{self.name} is {self.low} to {self.high if self.also is None else self.also}{self.remark}{names}"

    @property
    def of_weekdays(self) -> bool:
        """Whether it names days of the week."""
        return self.names is _WEEKDAYS


SECOND = Kind(name="second", low=0, high=59)
MINUTE = Kind(name="minute", low=0, high=59)
HOUR = Kind(name="hour", low=0, high=23)
DAY = Kind(name="day of month", low=1, high=31, open=True, more_forms=", L, L-3, 15W, LW")
MONTH = Kind(name="month", low=1, high=12, names=_MONTHS)
WEEKDAY = Kind(  # of five fields
    name="day of week", low=0, high=6, also=7, names=_WEEKDAYS, open=True,
    remark=" (0 and 7 are Sunday)", more_forms=", FRIL, MON#2",
)  # fmt: skip
WEEKDAY_FROM_1 = replace(WEEKDAY, low=1, high=7, also=None, remark=" (1 is Sunday)")  # of six and seven
YEAR = Kind(name="year", low=FIRST_YEAR, high=LAST_YEAR)


@dataclass(slots=True)
class Field:
    """What one field names. Weekdays are 0 to 6 from Sunday on, whatever the expression's numbers."""

    starred: bool = False  # begins with `*` or `?`: as vixie cron has it, `*/2` restricts nothing
    values: set[int] = field(default_factory=set)
    before_last: set[int] = field(default_factory=set)  # L = 0, L-3 = 3: days before the last one of the month
    workdays: set[int] = field(default_factory=set)  # 15W = 15: the workday nearest to this day
    last_workday: bool = False  # LW
    last: set[int] = field(default_factory=set)  # FRIL = 5: the last such weekday of the month
    nth: set[tuple[int, int]] = field(default_factory=set)  # MON#2 = (1, 2)


def read(text: str, kind: Kind, column: int) -> Field:
    """Read a field that begins at a column of its expression. Raises InvalidCron."""
    items = text.split(",")
    if len(items) > ITEMS_AT_MOST:
        raise kind.wrong(f"{text[:20]}...", column, f"has {len(items)} items: at most {ITEMS_AT_MOST} stand in a field")
    found = Field(starred=text[0] in "*?")
    for item in items:
        if not item:
            raise kind.wrong(text, column, "has a comma without an item beside it")
        if not _special(item, kind, column, found):
            found.values.update(_numbers(item, kind, column))
        column += len(item) + 1
    if kind.of_weekdays:
        found.values = {(value - kind.low) % 7 for value in found.values}
    return found


def _numbers(item: str, kind: Kind, column: int) -> Iterable[int]:
    body, slash, step_text = item.partition("/")
    start_text, dash, end_text = body.partition("-")
    if body == "*" or (body == "?" and kind.open and not slash):
        start, end = kind.low, kind.high
    elif body == "?":
        raise kind.wrong(item, column, "does not fit here: ? stands alone, as the day of month or the day of week")
    elif dash:
        start, end = kind.number(start_text, item, column), kind.number(end_text, item, column)
        if end < start and kind.of_weekdays and end == kind.low and not end_text.isdigit():
            end += 7  # FRI-SUN: a week may end with its Sunday
        if end < start:
            first, last = kind.ends
            around = "" if kind is YEAR else f": write {start_text}-{last},{first}-{end_text} to go round"
            raise kind.wrong(item, column, f"runs backwards{around}")
    else:
        start = kind.number(body, item, column)
        end = max(start, kind.high) if slash else start
    return range(start, end + 1, _step(step_text, item, kind, column) if slash else 1)


def _step(text: str, item: str, kind: Kind, column: int) -> int:
    size = kind.high - kind.low + 1
    if not _NUMBER.fullmatch(text):
        raise kind.wrong(item, column, f"has a step that is not 1 to {size}")
    if not 1 <= int(text) <= size:
        longer = kind in (SECOND, MINUTE, HOUR) and int(text) > size
        rather = f"; for a longer time between two ticks there is @every {text}{kind.name[0]}" if longer else ""
        raise kind.wrong(item, column, f"has a step that is not 1 to {size}{rather}")
    return int(text)


def _special(item: str, kind: Kind, column: int, found: Field) -> bool:
    """Read what Quartz has beyond numbers: L, W and #. False for everything else."""
    upper = item.upper()
    if kind is DAY:
        if upper == "LW":
            found.last_workday = True
        elif upper == "L":
            found.before_last.add(0)
        elif upper.startswith("L-"):
            if not _NUMBER.fullmatch(item[2:]) or not 1 <= int(item[2:]) <= 30:
                raise kind.wrong(item, column, "is no day before the last one: L-1 to L-30")
            found.before_last.add(int(item[2:]))
        elif upper.endswith("W"):
            found.workdays.add(kind.number(item[:-1], item, column))
        else:
            return False
        return True
    if not kind.of_weekdays:
        return False
    name, sharp, count = item.partition("#")
    if sharp:
        if count not in ("1", "2", "3", "4", "5"):
            raise kind.wrong(item, column, "is no weekday of the month: MON#1 to MON#5")
        found.nth.add(((kind.number(name, item, column) - kind.low) % 7, int(count)))
        return True
    if upper == "L":
        raise kind.wrong(item, column, "names no weekday: the last Friday of the month is FRIL")
    if upper.endswith("L"):
        found.last.add((kind.number(item[:-1], item, column) - kind.low) % 7)
        return True
    return False
