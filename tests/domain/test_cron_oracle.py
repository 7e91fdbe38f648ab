"""Random expressions, held against croniter where it reads the same grammar: the days, months and years, in UTC.

The seed is printed; ASSAY_TEST_SEED chooses its expressions again, ASSAY_TEST_LONG=1 more of them.
Zones are in test_cron_zones.py: there croniter has other rules.
"""

from __future__ import annotations

import os
import random

import pytest
from croniter import CroniterBadDateError
from croniter import croniter

from assay_wsgi.domain.cron import parse
from assay_wsgi.domain.errors import InvalidCron
from tests.domain.expressions import BOUNDS
from tests.domain.expressions import FIVE
from tests.domain.expressions import SEVEN
from tests.domain.expressions import SIX
from tests.domain.expressions import Expression
from tests.domain.expressions import chosen
from tests.domain.test_cron import moment

GIVEN = os.environ.get("ASSAY_TEST_SEED")
SEEDS = [int(GIVEN)] if GIVEN else list(range(1, 51)) if os.environ.get("ASSAY_TEST_LONG") else [1]
EXPRESSIONS = 100  # of each number of fields
BEGIN, END = moment("2026-01-01T00:00:00"), moment("2028-01-01T00:00:00")
AT_A_TIME = 8


def by_croniter(text: str, after: float, *, five: bool) -> list[float] | None:
    """Its next ticks, up to the end of our years; None when it says that there is none at all."""
    ticks = croniter(text, after, day_or=five, implement_cron_bug=five, second_at_beginning=not five)
    found: list[float] = []
    try:
        while len(found) < AT_A_TIME:
            found.append(ticks.get_next())
    except CroniterBadDateError:
        return found or None
    return found


def by_us(text: str, after: float) -> list[float] | None:
    try:
        return parse(text).upcoming(after, AT_A_TIME) or None
    except InvalidCron as refused:
        if "never fires" not in refused.message:
            raise
        return None


def spells_a_star_out(expression: Expression) -> bool:
    """Whether a list names every day: croniter takes that for a star, which vixie cron and we do not."""
    return any(
        all(any(value in item for item in expression.fields[name]) for value in range(low, high + 1))
        for name, (low, high) in BOUNDS.items()
        if name in ("day", "weekday") and expression.fields[name][0].form != "*"
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("names", [FIVE, SIX, SEVEN], ids=len)
def test_random_expressions_fire_when_croniter_says(names: tuple[str, ...], seed: int):
    print(f"cron: ASSAY_TEST_SEED={seed}")  # noqa: T201 - a failure is chosen again by it
    chance = random.Random(seed)

    for _ in range(EXPRESSIONS):
        expression = chosen(chance, names)
        if spells_a_star_out(expression):
            continue
        for after in (BEGIN, chance.uniform(BEGIN, END), chance.uniform(BEGIN, END)):
            ours = by_us(expression.ours, after)
            theirs = by_croniter(expression.from_zero, after, five=names is FIVE)
            assert ours == theirs, f"{expression.ours!r} after {after}"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("0 0 L * *", "0 0 L * *"),
        ("0 0 15W * *", "0 0 15W * *"),
        ("0 0 1W * *", "0 0 1W * *"),
        ("0 0 28W * *", "0 0 28W * *"),
        ("0 0 * * FRIL", "0 0 * * L5"),
        ("0 0 * * 0L", "0 0 * * L0"),
        ("0 0 * * MON#1", "0 0 * * 1#1"),
        ("0 0 * * SUN#5", "0 0 * * 0#5"),
        ("0 0 * * 7#2", "0 0 * * 0#2"),
    ],
)
def test_what_quartz_has_beyond_numbers_fires_when_croniter_says(ours: str, theirs: str):
    ticks = croniter(theirs, BEGIN)

    assert parse(ours).upcoming(BEGIN, 60) == [ticks.get_next() for _ in range(60)]
