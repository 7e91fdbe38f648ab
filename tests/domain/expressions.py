"""Cron expressions by chance, which say by themselves, from the numbers they were made of, when they fire."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from functools import partial

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
BOUNDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (0, 6),  # from Sunday on
    "year": (2024, 2029),
}
FIVE = ("minute", "hour", "day", "month", "weekday")
SIX = ("second", *FIVE)
SEVEN = (*SIX, "year")


@dataclass(frozen=True)
class Item:
    """A star, a number, a range; each with a step or without."""

    form: str  # * a a-b */n a/n a-b/n
    low: int
    high: int
    step: int = 1

    def text(self, write: Callable[[int], str]) -> str:
        body = "*" if self.form[0] == "*" else write(self.low)
        if "-" in self.form:
            body += f"-{write(self.high)}"
        return f"{body}/{self.step}" if "/" in self.form else body

    def __contains__(self, value: int) -> bool:
        return self.low <= value <= self.high and (value - self.low) % self.step == 0


@dataclass(frozen=True)
class Expression:
    """Fields by name. With five of them vixie's rules hold, else the reference's."""

    fields: dict[str, list[Item]]
    named: bool  # months and weekdays by name

    @property
    def ours(self) -> str:
        """The text that is read by us."""
        return self._text(0 if len(self.fields) == 5 else 1)

    @property
    def from_zero(self) -> str:
        """The text in which Sunday is 0, whatever the number of fields."""
        return self._text(0)

    def fires(self, time: datetime) -> bool:
        """Whether it fires at a wall time."""
        means = self._means
        if (
            time.minute not in means["minute"]
            or time.hour not in means["hour"]
            or time.second not in means.get("second", {0})
            or time.month not in means["month"]
            or time.year not in means.get("year", {time.year})
        ):
            return False
        day, weekday = time.day in means["day"], time.isoweekday() % 7 in means["weekday"]
        starred = any(self.fields[name][0].form[0] == "*" for name in ("day", "weekday"))
        return day or weekday if len(self.fields) == 5 and not starred else day and weekday

    @cached_property
    def _means(self) -> dict[str, set[int]]:
        return {
            name: {
                value for value in range(BOUNDS[name][0], BOUNDS[name][1] + 1) if any(value in item for item in items)
            }
            for name, items in self.fields.items()
        }

    def _text(self, sunday: int) -> str:
        def write(field: str, value: int) -> str:
            if self.named and field == "month":
                return MONTHS[value - 1]
            if field == "weekday":
                return WEEKDAYS[value] if self.named else str(value + sunday)
            return str(value)

        return " ".join(
            ",".join(item.text(partial(write, name)) for item in items) for name, items in self.fields.items()
        )


def chosen(chance: random.Random, names: tuple[str, ...]) -> Expression:
    """Make an expression that has these fields."""
    return Expression({name: _field(chance, *BOUNDS[name], name) for name in names}, named=chance.random() < 0.5)


def always(names: tuple[str, ...]) -> Expression:
    """Make the expression of stars."""
    return Expression({name: [Item("*", *BOUNDS[name])] for name in names}, named=False)


def _field(chance: random.Random, low: int, high: int, name: str) -> list[Item]:
    if chance.random() < (0.5 if name in ("day", "month", "weekday", "year") else 0.2):
        return [Item("*", low, high)]
    return [_item(chance, low, high, name) for _ in range(chance.choice((1, 1, 2, 3)))]


def _item(chance: random.Random, low: int, high: int, name: str) -> Item:
    size = high - low + 1
    # The fields of years begin with 1970 where ours do: a step from the star would count from there.
    form = chance.choice(("a", "a", "a-b", "a-b/n") if name == "year" else ("a", "a", "a-b", "*/n", "a/n", "a-b/n"))
    start = low if form[0] == "*" else chance.randint(low, high)
    if form == "a":
        return Item(form, start, start)
    end = high
    if "-" in form:
        start = min(start, high - 1)
        end = chance.randint(start + 1, high)  # not a-a: croniter reads a star there
    return Item(form, start, end, chance.randint(1, size) if "/" in form else 1)
