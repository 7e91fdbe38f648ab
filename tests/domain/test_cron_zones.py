"""Wall times that are left out or come twice, held against a clock on the wall that is watched minute by minute.

The watcher knows nothing of how ticks are computed: it goes through the moments around a change, looks at what the
zone's clock shows, and asks the expression's own numbers. A wall time that was shown before does not count.
The seed is printed; ASSAY_TEST_SEED chooses its expressions again. ASSAY_TEST_LONG=1 watches every change.
"""

from __future__ import annotations

import os
import random
import struct
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from assay_wsgi.domain.cron import parse
from assay_wsgi.domain.errors import InvalidCron
from tests.domain.expressions import FIVE
from tests.domain.expressions import SIX
from tests.domain.expressions import Expression
from tests.domain.expressions import always
from tests.domain.expressions import chosen
from tests.domain.test_cron import moment

LONG = bool(os.environ.get("ASSAY_TEST_LONG"))
SEED = int(os.environ.get("ASSAY_TEST_SEED") or 1)
HOUR, DAY = 3600, 86400

# What each of these is watched for: all kinds of change that there were since 1970.
ZONES = {
    "Europe/Berlin": "an hour, at 2:00",
    "Europe/London": "an hour, at 1:00",
    "Europe/Dublin": "summer is the standard time: winter's offset is negative",
    "America/New_York": "west of Greenwich",
    "America/Los_Angeles": "",
    "America/St_Johns": "half hours, and changes at 0:01 until 2011",
    "America/Sao_Paulo": "midnight left out; 23:00 to 24:00 twice",
    "America/Santiago": "changes at 24:00",
    "America/Asuncion": "midnight; ended in 2024",
    "America/Havana": "0:00 to 1:00 left out",
    "America/Nuuk": "changes on a Saturday evening",
    "America/Caracas": "half an hour back in 2007, forward in 2016",
    "Australia/Lord_Howe": "half an hour",
    "Australia/Sydney": "south of the equator",
    "Pacific/Auckland": "",
    "Pacific/Chatham": "three quarters, at 2:45",
    "Pacific/Apia": "30 December 2011 was left out",
    "Pacific/Fakaofo": "30 December 2011 was left out",
    "Pacific/Kwajalein": "21 August 1993 was left out",
    "Asia/Kathmandu": "a quarter of an hour in 1986",
    "Asia/Pyongyang": "half hours in 2015 and 2018",
    "Asia/Tehran": "half past, by another calendar",
    "Asia/Beirut": "midnight left out",
    "Asia/Gaza": "short summers",
    "Africa/Cairo": "midnight; several changes in one year",
    "Africa/Casablanca": "Ramadan",
    "Africa/Monrovia": "44 minutes and 30 seconds in 1972",
    "Antarctica/Troll": "two hours",
    "Antarctica/Casey": "three hours, there and back",
    "Europe/Istanbul": "",
    "Europe/Moscow": "changes of the standard time",
}


class Change(NamedTuple):
    """A moment at which a zone's clock jumps."""

    at: int
    before: int  # offsets from UTC, in seconds
    after: int


def size(change: Change) -> int:
    """How far the clock jumps."""
    return abs(change.after - change.before)


def changes(name: str) -> list[Change]:
    """Every change since 1970 that the zone's own file lists: rules that go on for ever it lists up to a year."""
    found = []
    offset = 0
    for at, after in _listed(name):
        if at > DAY and after != offset:
            found.append(Change(at, offset, after))
        offset = after
    return found


def _listed(name: str) -> Iterator[tuple[int, int]]:
    """Read the 64-bit transitions of a TZif file (RFC 9636)."""
    places = [Path(directory, name) for directory in zoneinfo.TZPATH]
    places.append(Path(str(resources.files("tzdata") / "zoneinfo" / name)))
    data = next(place for place in places if place.exists()).read_bytes()
    at = 0
    for width in (4, 8):  # the first block is for readers of the last century
        assert data[at : at + 4] == b"TZif"
        isutc, isstd, leaps, times, types, chars = struct.unpack(">6l", data[at + 20 : at + 44])
        at += 44
        if width == 4:
            at += times * 5 + types * 6 + chars + leaps * 8 + isstd + isutc
    moments = struct.unpack(f">{times}q", data[at : at + 8 * times])
    kinds = data[at + 8 * times : at + 9 * times]
    offsets = [
        struct.unpack(">l", data[start : start + 4])[0]
        for start in range(at + 9 * times, at + 9 * times + 6 * types, 6)
    ]
    yield -(1 << 40), offsets[0]
    yield from ((each, offsets[kind]) for each, kind in zip(moments, kinds, strict=True))


def test_no_zone_is_changed_and_changed_back_within_four_days():
    """zones.stretches looks at the offset two days before a day and two days after it, to see whether it changes."""
    shortest = min(
        second.at - first.at
        for name in zoneinfo.available_timezones()
        for first, second in pairwise(changes(name))
        if first.before == second.after
    )

    assert shortest > 6 * DAY  # Boa Vista tried summer time for a week in 2000


def test_the_changes_are_those_that_python_sees():
    for name in ZONES:
        zone = ZoneInfo(name)
        for change in changes(name):
            seen = [datetime.fromtimestamp(at, zone).utcoffset() for at in (change.at - 1, change.at)]
            assert seen == [timedelta(seconds=change.before), timedelta(seconds=change.after)]


def watched(zone: ZoneInfo, begin: int, end: int, every: int) -> list[tuple[int, datetime]]:
    """Go through the moments of a time, and note each that shows a wall time for the first time."""
    seen: set[datetime] = set()
    shown = []
    for at in range(begin, end, every):
        wall = datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)
        if wall not in seen:
            seen.add(wall)
            shown.append((at, wall))
    return shown


def check(expression: Expression, zone: str, shown: list[tuple[int, datetime]], chance: random.Random) -> None:
    """Hold the ticks of an expression against what was watched."""
    begin, end = shown[0][0], shown[-1][0]
    expected = [float(at) for at, wall in shown if expression.fires(wall)]
    try:
        cron = parse(expression.ours, zone)
    except InvalidCron:
        assert expected == []
        return
    said = f"{expression.ours!r} in {zone}, {begin} to {end}"

    ticks = cron.upcoming(begin - 1, len(expected) + 1)
    assert [tick for tick in ticks if tick <= end] == expected, said
    assert cron.latest(begin - 1, end) == (expected[-1] if expected else None), said
    assert cron.count(begin - 1, end) == len(expected), said
    for _ in range(10):
        after, until = chance.uniform(begin, end), chance.uniform(begin, end)
        among = expected[bisect_right(expected, after) : bisect_right(expected, until)]
        assert cron.latest(after, until) == (among[-1] if among else None), f"{said}: {after} to {until}"
        assert cron.count(after, until) == len(among), f"{said}: {after} to {until}"
        following = expected[bisect_right(expected, after) :]
        if following:
            assert cron.after(after) == following[0], f"{said}: after {after}"


@pytest.mark.parametrize("name", ZONES)
def test_ticks_around_a_change_are_what_a_watched_clock_shows(name: str):
    print(f"cron zones: ASSAY_TEST_SEED={SEED}")  # noqa: T201 - a failure is chosen again by it
    chance = random.Random(f"{SEED} {name}")
    zone = ZoneInfo(name)
    edges = [change for change in changes(name) if change.at < moment("2030-01-01T00:00:00")]
    # Monrovia's clocks were not whole minutes from UTC.
    step = 60 if all(change.before % 60 == 0 for change in changes(name)) else 30

    for edge in edges if LONG else {max(edges, key=size), chance.choice(edges)}:
        for every, within, names in ((step, size(edge) + 8 * HOUR, FIVE), (1, 300, SIX)):
            begin = (edge.at - within) // step * step
            # What was shown before does not come for the first time any more.
            shown = watched(zone, begin - max(0, edge.before - edge.after), edge.at + within, every)
            shown = [each for each in shown if each[0] >= begin]
            for expression in (always(names), *(chosen(chance, names) for _ in range(2))):
                check(expression, name, shown, chance)


def test_a_day_that_was_shown_before_the_clocks_went_back_over_midnight_has_fired():
    midnight = moment("2010-11-07T00:00:00", "America/St_Johns")  # a minute later it was 23:01 again
    daily = parse("0 0 * * *", "America/St_Johns")

    in_the_evening_again = midnight + 1800

    assert daily.latest(midnight - DAY, in_the_evening_again) == midnight
    assert daily.count(midnight - 1, in_the_evening_again) == 1
    assert daily.after(in_the_evening_again) == midnight + DAY + HOUR


def left_out(expression: str, zone: str, after: str, until: str) -> list[tuple[str, str, int]]:
    found = parse(expression, zone).left_out(moment(after, zone), moment(until, zone))
    return [
        (*(f"{datetime.fromtimestamp(wall, UTC):%m-%d %H:%M:%S}" for wall in wide[:2]), wide.times) for wide in found
    ]


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", [("03-30 02:30:00", "03-30 02:30:00", 1)]),
        ("*/10 * * * *", "Europe/Berlin", [("03-30 02:00:00", "03-30 02:50:00", 6)]),
        ("0 3 * * *", "Europe/Berlin", []),
        ("@every 10m", "Europe/Berlin", []),
        ("0 0 * * *", "Africa/Cairo", [("04-25 00:00:00", "04-25 00:00:00", 1)]),
        ("15 2 * * *", "Australia/Lord_Howe", [("10-05 02:15:00", "10-05 02:15:00", 1)]),
        ("15 2 * * *", "Asia/Kolkata", []),
    ],
)
def test_what_clocks_leave_out_is_told(expression: str, zone: str, expected: list[tuple[str, str, int]]):
    assert left_out(expression, zone, "2025-01-01T00:00:00", "2025-12-31T00:00:00") == expected


def test_a_day_that_is_left_out_is_told_whole():
    told = left_out("0 */6 * * *", "Pacific/Apia", "2011-12-28T00:00:00", "2012-01-02T00:00:00")

    assert told == [("12-30 00:00:00", "12-30 18:00:00", 4)]


def test_what_was_left_out_before_or_after_is_not_told():
    assert left_out("30 2 * * *", "Europe/Berlin", "2025-03-30T03:00:00", "2025-06-01T00:00:00") == []
    assert left_out("30 2 * * *", "Europe/Berlin", "2025-03-01T03:00:00", "2025-03-30T01:59:59") == []
    assert len(left_out("30 2 * * *", "Europe/Berlin", "2025-03-30T01:59:59", "2025-03-30T03:00:00")) == 1
