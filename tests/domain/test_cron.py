"""The grammar of cron expressions: what each form means, and what is refused in which words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from assay_wsgi.domain.cron import parse
from assay_wsgi.domain.errors import InvalidCron
from assay_wsgi.domain.errors import InvalidTimezone

WEDNESDAY = "2026-07-01T00:00:00"  # the moment after which the ticks of these tables come


def moment(text: str, timezone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp()


def upcoming(expression: str, n: int, timezone: str = "UTC", after: str = WEDNESDAY) -> list[str]:
    ticks = parse(expression, timezone).upcoming(moment(after, timezone), n)
    return [f"{datetime.fromtimestamp(tick, ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}" for tick in ticks]


def told(expression: Any, timezone: str = "UTC") -> tuple[str, int | None]:
    with pytest.raises(InvalidCron) as refused:
        parse(expression, timezone)
    return refused.value.message, refused.value.members.get("position")


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 1 * *", ["2026-08-01", "2026-09-01", "2026-10-01"]),
        ("0 0 * 2 *", ["2027-02-01", "2027-02-02", "2027-02-03"]),
        ("0 0 * * 0", ["2026-07-05", "2026-07-12", "2026-07-19"]),
        ("0 0 * * 7", ["2026-07-05", "2026-07-12", "2026-07-19"]),
        ("0 0 * * SUN", ["2026-07-05", "2026-07-12", "2026-07-19"]),
        ("0 0 * * 5-7", ["2026-07-03", "2026-07-04", "2026-07-05"]),
        ("0 0 * * FRI-SUN", ["2026-07-03", "2026-07-04", "2026-07-05"]),
        ("0 0 * * 1-5", ["2026-07-02", "2026-07-03", "2026-07-06"]),
        ("0 0 * * mon,thurs", ["2026-07-02", "2026-07-06", "2026-07-09"]),
        ("0 0 * * */2", ["2026-07-02", "2026-07-04", "2026-07-05"]),
        ("0 0 1 JAN-mar *", ["2027-01-01", "2027-02-01", "2027-03-01"]),
        ("0 0 1 sept *", ["2026-09-01", "2027-09-01", "2028-09-01"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("0 0 31 * *", ["2026-07-31", "2026-08-31", "2026-10-31"]),
        # Five fields: both restricted are either; one that begins with a star restricts nothing.
        ("0 0 13 * FRI", ["2026-07-03", "2026-07-10", "2026-07-13"]),
        ("0 0 */2 * FRI", ["2026-07-03", "2026-07-17", "2026-07-31"]),
        ("0 0 ? * FRI", ["2026-07-03", "2026-07-10", "2026-07-17"]),
        ("0 0 L * FRIL", ["2026-07-31", "2026-08-28", "2026-08-31"]),
        # Six and seven fields: both must match, and 1 is Sunday.
        ("0 0 0 13 * FRI", ["2026-11-13", "2027-08-13", "2028-10-13"]),
        ("0 0 0 ? * 1", ["2026-07-05", "2026-07-12", "2026-07-19"]),
        ("0 0 0 ? * 7", ["2026-07-04", "2026-07-11", "2026-07-18"]),
        ("0 0 0 ? * SAT-SUN", ["2026-07-04", "2026-07-05", "2026-07-11"]),
        ("0 0 0 ? * 2-6", ["2026-07-02", "2026-07-03", "2026-07-06"]),
        ("0 0 0 1 1 ? 2030", ["2030-01-01"]),
        ("0 0 0 1 1 ? 2030-2034/2", ["2030-01-01", "2032-01-01", "2034-01-01"]),
        ("0 0 0 1 1 ? 2099/1", ["2099-01-01", "2100-01-01"]),
        # What Quartz has beyond that, in both.
        ("0 0 L * *", ["2026-07-31", "2026-08-31", "2026-09-30"]),
        ("0 0 L-3 * *", ["2026-07-28", "2026-08-28", "2026-09-27"]),
        ("0 0 L-30 * *", ["2026-08-01", "2026-10-01", "2026-12-01"]),
        ("0 0 LW * *", ["2026-07-31", "2026-08-31", "2026-09-30"]),
        ("0 0 LW 1,2,5 *", ["2027-01-29", "2027-02-26", "2027-05-31"]),
        ("0 0 1W * *", ["2026-08-03", "2026-09-01", "2026-10-01"]),
        ("0 0 15w * *", ["2026-07-15", "2026-08-14", "2026-09-15"]),
        ("0 0 31W 5,6,7 *", ["2026-07-31", "2027-05-31", "2027-07-30"]),
        ("0 0 31W 10 *", ["2026-10-30", "2027-10-29", "2028-10-31"]),
        ("0 0 * * FRIL", ["2026-07-31", "2026-08-28", "2026-09-25"]),
        ("0 0 * * 0L", ["2026-07-26", "2026-08-30", "2026-09-27"]),
        ("0 0 0 ? * 1L", ["2026-07-26", "2026-08-30", "2026-09-27"]),
        ("0 0 * * MON#2", ["2026-07-13", "2026-08-10", "2026-09-14"]),
        ("0 0 * * 3#1", ["2026-08-05", "2026-09-02", "2026-10-07"]),
        ("0 0 0 ? * 4#5", ["2026-07-29", "2026-09-30", "2026-12-30"]),
        ("0 0 1,L * *", ["2026-07-31", "2026-08-01", "2026-08-31"]),
        ("@yearly", ["2027-01-01", "2028-01-01", "2029-01-01"]),
        ("@annually", ["2027-01-01", "2028-01-01", "2029-01-01"]),
        ("@monthly", ["2026-08-01", "2026-09-01", "2026-10-01"]),
        ("@weekly", ["2026-07-05", "2026-07-12", "2026-07-19"]),
        ("@daily", ["2026-07-02", "2026-07-03", "2026-07-04"]),
        ("@Midnight", ["2026-07-02", "2026-07-03", "2026-07-04"]),
    ],
)
def test_days(expression: str, days: list[str]):
    assert upcoming(expression, 3) == [f"{day} 00:00:00" for day in days]


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("* * * * *", ["00:01:00", "00:02:00", "00:03:00"]),
        ("*/20 * * * *", ["00:20:00", "00:40:00", "01:00:00"]),
        ("5/20 * * * *", ["00:05:00", "00:25:00", "00:45:00"]),
        ("10-30/10 * * * *", ["00:10:00", "00:20:00", "00:30:00"]),
        ("7,3,5,3 * * * *", ["00:03:00", "00:05:00", "00:07:00"]),
        ("5-5 * * * *", ["00:05:00", "01:05:00", "02:05:00"]),
        ("*/60 * * * *", ["01:00:00", "02:00:00", "03:00:00"]),
        ("030 09-010 * * *", ["09:30:00", "10:30:00"]),
        (" \t 15  6\t*  *  * ", ["06:15:00"]),
        ("* * * * * *", ["00:00:01", "00:00:02", "00:00:03"]),
        ("30/15 * * * * ?", ["00:00:30", "00:00:45", "00:01:30"]),
        ("1-2 59 23 * * ? 2026", ["23:59:01", "23:59:02"]),
        ("@hourly", ["01:00:00", "02:00:00", "03:00:00"]),
        ("@every 1s", ["00:00:01", "00:00:02", "00:00:03"]),
        ("@every 90s", ["00:01:30", "00:03:00", "00:04:30"]),
        ("@every 15m", ["00:15:00", "00:30:00", "00:45:00"]),
        ("@EVERY 2h30m", ["02:30:00", "05:00:00", "07:30:00"]),
    ],
)
def test_times(expression: str, times: list[str]):
    assert upcoming(expression, len(times)) == [f"2026-07-01 {time}" for time in times]


def test_every_counts_from_the_epoch_whatever_the_zone():
    assert parse("@every 1d", "Asia/Tokyo").after(0.0) == 86400.0
    assert parse("@every 7s").upcoming(20.5, 2) == [21.0, 28.0]


def test_a_tick_is_strictly_later_than_the_moment():
    assert parse("* * * * *").after(60.0) == 120.0
    assert parse("* * * * *").after(59.999) == 60.0
    assert parse("@every 60s").after(60.0) == 120.0


def test_an_expression_whose_years_are_over_has_no_next_tick():
    assert parse("0 0 0 1 1 ? 2020").after(moment(WEDNESDAY)) is None
    assert parse("0 0 0 1 1 ? 2020").latest(0.0, moment(WEDNESDAY)) == moment("2020-01-01T00:00:00")


def test_time_begins_in_1970_and_ends_with_2100():
    every_second, every_day = parse("* * * * * *"), parse("@every 1d")

    assert every_second.after(-1e300) == every_day.after(-1e300) == 0.0
    assert every_second.after(1e300) is None
    assert every_day.after(1e300) is None
    assert every_second.latest(0.0, 1e300) == moment("2100-12-31T23:59:59")
    assert every_day.latest(0.0, 1e300) == moment("2100-12-31T00:00:00")
    assert every_second.count(-1e300, 1e300) == moment("2101-01-01T00:00:00")


@pytest.mark.parametrize(
    ("expression", "says", "position"),
    [
        ("", "'' has 0 fields: five are minute hour day month weekday, six", None),
        ("* * * *", "has 4 fields", None),
        ("* * * * * * * *", "has 8 fields", None),
        ("60 * * * *", "minute: '60' is out of range: minute is 0 to 59", 1),
        ("* 24 * * *", "hour: '24' is out of range: hour is 0 to 23", 3),
        ("* * 0 * *", "day of month: '0' is out of range: day of month is 1 to 31", 5),
        ("* * 32 * *", "day of month: '32' is out of range", 5),
        ("* * * 13 *", "month: '13' is out of range: month is 1 to 12 or JAN to DEC", 7),
        ("* * * * 8", "day of week: '8' is out of range: day of week is 0 to 7 (0 and 7 are Sunday) or SUN to SAT", 9),
        ("0 0 0 ? * 0", "day of week: '0' is out of range: day of week is 1 to 7 (1 is Sunday) or SUN to SAT", 11),
        ("0 0 0 ? * 8", "day of week: '8' is out of range", 11),
        ("0 0 0 1 1 ? 1969", "year: '1969' is out of range: year is 1970 to 2100", 13),
        ("0 0 0 1 1 ? 2101", "year: '2101' is out of range", 13),
        ("1,61 * * * *", "minute: '61' is out of range", 3),
        ("1,,2 * * * *", "minute: '1,,2' has a comma without an item beside it", 3),
        (",1 * * * *", "minute: ',1' has a comma without", 1),
        ("-1 * * * *", "minute: '-1' cannot be read", 1),
        ("1- * * * *", "minute: '1-' cannot be read", 1),
        ("1-2-3 * * * *", "minute: '1-2-3' cannot be read", 1),
        ("+1 * * * *", "minute: '+1' cannot be read", 1),
        ("1.5 * * * *", "minute: '1.5' cannot be read: minute is 0 to 59, in the forms *, a, a-b", 1),
        ("00001 * * * *", "minute: '00001' cannot be read", 1),
        ("\u0661 * * * *", "minute: '\u0661' cannot be read", 1),
        ("1\n * * * *", "minute: '1\\n' cannot be read", 1),
        ("* * * MAYO *", "month: 'MAYO' cannot be read", 7),
        ("* * * ma *", "month: 'ma' cannot be read", 7),
        ("MON * * * *", "minute: 'MON' cannot be read", 1),
        ("* * * MON *", "month: 'MON' cannot be read", 7),
        ("30-10 * * * *", "minute: '30-10' runs backwards: write 30-59,0-10 to go round", 1),
        ("* * * * FRI-MON", "day of week: 'FRI-MON' runs backwards: write FRI-SAT,SUN-MON to go round", 9),
        ("* * * NOV-2 *", "month: 'NOV-2' runs backwards: write NOV-DEC,JAN-2 to go round", 7),
        ("*/0 * * * *", "minute: '*/0' has a step that is not 1 to 60", 1),
        ("*/ * * * *", "minute: '*/' has a step that is not 1 to 60", 1),
        ("*/x * * * *", "minute: '*/x' has a step that is not 1 to 60", 1),
        ("*/5/5 * * * *", "minute: '*/5/5' has a step that is not 1 to 60", 1),
        ("*/90 * * * *", "has a step that is not 1 to 60; for a longer time between two ticks there is @every 90m", 1),
        ("* */36 * * *", "there is @every 36h", 3),
        ("* * */32 * *", "day of month: '*/32' has a step that is not 1 to 31", 5),
        ("? * * * *", "minute: '?' does not fit here: ? stands alone, as the day of month or the day of week", 1),
        ("* * ?/2 * *", "day of month: '?/2' does not fit here", 5),
        ("** * * * *", "minute: '**' cannot be read", 1),
        ("L * * * *", "minute: 'L' cannot be read", 1),
        ("* * L-31 * *", "is no day before the last one: L-1 to L-30", 5),
        ("* * L-x * *", "is no day before the last one", 5),
        ("* * W * *", "day of month: 'W' cannot be read", 5),
        ("* * 32W * *", "day of month: '32W' is out of range", 5),
        ("* * 15W/2 * *", "day of month: '15W/2' cannot be read", 5),
        ("* * * * L", "day of week: 'L' names no weekday: the last Friday of the month is FRIL", 9),
        ("* * * * MON#6", "day of week: 'MON#6' is no weekday of the month: MON#1 to MON#5", 9),
        ("* * * * MON#", "day of week: 'MON#' is no weekday of the month", 9),
        ("* * * * #2", "day of week: '#2' cannot be read", 9),
        ("* * H * *", "day of month: 'H' cannot be read: day of month is 1 to 31, in the forms *, a, a-b, */n, a/n", 5),
        ("@reboot", "is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, @every 90s", 1),
        ("@daily 5", "is none of @yearly", 1),
        (" @", "is none of @yearly", 2),
        ("@every", "one time follows @every, for instance 90s, 15m or 2h30m", None),
        ("@every 1 h", "one time follows @every", None),
        ("@every 90", "@every: '90' is no time: write it like 90s, 15m, 2h30m or 1d", 8),
        ("@every 1m1h", "@every: '1m1h' is no time", 8),
        ("@every 1.5h", "@every: '1.5h' is no time", 8),
        ("@every -1s", "@every: '-1s' is no time", 8),
        ("@every 500ms", "@every: '500ms' is no time", 8),
        ("@every 0s", "@every: '0s' is not between 1s and 366d", 8),
        ("@every 367d", "@every: '367d' is not between 1s and 366d", 8),
        ("CRON_TZ=UTC 0 0 * * *", "'CRON_TZ=UTC': the zone does not stand in the expression but beside it", 1),
        ("TZ=UTC 0 0 * * *", "'TZ=UTC': the zone does not stand in the expression but beside it", 1),
        (f"{'1,' * 64}1 * * * *", "minute: '1,1,1,1,1,1,1,1,1,1,...' has 65 items: at most 64 stand in a field", 1),
        (" " * 257, "the cron expression has 257 characters: 256 are allowed", 257),
        (5, "a cron expression is a text, not 5", None),
        (None, "a cron expression is a text, not None", None),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_would_be_right(expression: Any, says: str, position: int | None):
    text, column = told(expression)

    assert says in text
    assert column == position


@pytest.mark.parametrize(
    "expression", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 29 2 ? 2025", "0 0 0 29 2 MON 2028"]
)
def test_what_fits_no_date_never_fires_and_is_refused(expression: str):
    text, _ = told(expression)

    assert text == f"{expression!r} never fires: no date from 1970 to 2100 fits its day, month, weekday and year"


def test_what_fits_only_gaps_never_fires_and_is_refused():
    text, _ = told("0 30 2 29 3 ? 2026", "Europe/Berlin")

    assert text.endswith("never fires: whenever its time comes, the clocks of Europe/Berlin are put forward over it")
    assert upcoming("0 30 2 29 3 ? 2026", 1) == []  # over, in UTC, but not without any time


def test_a_machine_without_zones_has_those_of_a_package():
    asked = "from assay_wsgi.domain.cron import parse; print(parse('0 0 * * *', 'Europe/Berlin').after(0.0))"
    environ = {**os.environ, "PYTHONTZPATH": ""}

    done = subprocess.run([sys.executable, "-c", asked], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout == "82800.0\n"


def test_the_longest_expression_and_the_longest_list_are_read():
    longest = "1," * 63 + "1"

    assert upcoming(f"{longest} * * * *", 1) == ["2026-07-01 00:01:00"]
    assert upcoming(" " * 247 + "* * * * *", 1) == ["2026-07-01 00:01:00"]


@pytest.mark.parametrize(
    ("timezone", "says"),
    [
        ("europe/berlin", "timezone 'europe/berlin' is not known: did you mean 'Europe/Berlin'?"),
        ("Europe/Berlim", "did you mean 'Europe/Berlin'?"),
        ("Mars/Olympus_Mons", "give an IANA name, for instance 'Europe/Berlin' or 'UTC'"),
        ("", "timezone '' is not known: give an IANA name"),
        ("UTC+2", "is not known"),
        ("../../etc/passwd", "is not known"),
        ("posix/Europe/Berlin", "is not known"),
        ("localtime", "is not known"),
        ("posixrules", "is not known"),
        ("Factory", "is not known"),
        ("Europe/Berlin\x00", "is not known"),
        ("x" * 65, "is not known: give an IANA name"),
        (None, "timezone None is not known"),
        (7, "timezone 7 is not known"),
    ],
)
def test_a_zone_that_is_not_known_is_refused_with_one_that_may_be_meant(timezone: Any, says: str):
    with pytest.raises(InvalidTimezone) as refused:
        parse("0 0 * * *", timezone)

    assert says in refused.value.message


@pytest.mark.parametrize(
    "timezone", ["UTC", "Etc/GMT+5", "EST5EDT", "America/Argentina/ComodRivadavia", "Asia/Kolkata"]
)
def test_a_zone_has_an_iana_name(timezone: str):
    assert len(upcoming("0 0 * * *", 3, timezone)) == 3


@settings(deadline=None)
@given(
    st.text(alphabet=st.one_of(st.sampled_from("0123456789*/-,?LW# @MONJAFRSUhdms\t"), st.characters()), max_size=60)
)
def test_whatever_is_sent_is_read_or_refused(text: str):
    refusal = ""
    try:
        assert parse(text).after(-1.0) is not None
    except InvalidCron as refused:
        refusal = refused.message

    assert refusal.isprintable()


def test_texts_of_refusals_stay_short():
    long = "x" * 255

    assert len(told(f"{long}")[0]) < 600
    assert len(told(f"@every {long[:240]}")[0]) < 400


def calls(asked: Callable[[], object]) -> int:
    """How many calls of functions of Python it takes to answer."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        asked()
    finally:
        sys.setprofile(before)
    return counted


YEAR = 365 * 86400.0


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 31 2,4,6,9,11 *",
        "0 0 0 31 2,4,6,9,11 MON-FRI",
        "0 0 0 31W 2 ?",
        "0 0 0 29 2 MON 2026-2043",
        "0 59 23 31 12 ? 2100",
        "59 59 23 31 12 SAT 2095-2100",
    ],
)
def test_the_rarest_ticks_cost_no_more_than_the_months_up_to_2100(expression: str):
    def ask() -> None:
        with suppress(InvalidCron):
            parse(expression, "Europe/Berlin").after(0.0)

    assert calls(ask) < 15_000


def test_the_newest_of_millions_of_ticks_is_found_without_walking_over_them():
    every_second = parse("* * * * * *", "Europe/Berlin")
    noon = moment("2026-07-01T12:00:00")

    assert every_second.latest(noon - YEAR, noon + 0.5) == noon
    assert every_second.count(noon - YEAR, noon + 0.5) == int(YEAR) - 3600  # the hour that came twice
    assert calls(lambda: every_second.latest(0.0, noon)) < 50
    assert calls(lambda: every_second.count(noon - YEAR, noon)) < 10_000
    assert calls(lambda: every_second.count(0.0, noon, at_most=1_000)) < 50


def test_a_count_that_is_bounded_says_so_many_or_more():
    hourly, every_hour = parse("0 * * * *"), parse("@every 1h")

    for cron in (hourly, every_hour):
        assert cron.count(0.0, YEAR) == 8760
        assert cron.count(0.0, YEAR, at_most=1_000) == 1_000
        assert cron.count(0.0, 7200.0, at_most=1_000) == 2
        assert cron.count(7200.0, 0.0) == 0
        assert cron.latest(7200.0, 0.0) is None
        assert cron.latest(0.0, 3599.9) is None
