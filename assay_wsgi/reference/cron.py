"""docs/reference/cron.md: the grammar of schedules, with ticks and refusals as the parser itself gives them."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from zoneinfo import ZoneInfo

from ..domain.cron import expression
from ..domain.cron import fields
from ..domain.cron import parse
from ..domain.cron.every import LONGEST_SECS
from ..domain.errors import InvalidCron
from ..domain.errors import InvalidTimezone
from .markdown import code
from .markdown import head
from .markdown import table

_NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC).timestamp()

_INTRO = f"""
A cron expression and a time zone say when a [schedule](routes.md) fires.
An expression has five fields, six or seven, with spaces between them; or it is a nickname such as `@daily`; or `@every` and a time.
All ticks are at whole seconds, from {fields.FIRST_YEAR} to {fields.LAST_YEAR}.

## Fields

"""

_FIELDS = (
    ("five", "minute hour day month weekday", "0 and 7 are Sunday", "either fires", "POSIX, vixie cron, crontab"),
    ("six", "second minute hour day month weekday", "1 is Sunday", "both must match", "assay 0.1.8, Quartz"),
    ("seven", "second minute hour day month weekday year", "1 is Sunday", "both must match", "assay 0.1.8, Quartz"),
)

_BOTH = """
Mind the two differences between five fields and more: which number is Sunday, and what is meant when day and weekday are both restricted.
With names (`SUN`, `MON`) the first one cannot go wrong.
Of five fields, one that begins with a star restricts nothing, as in vixie cron: `0 0 */2 * FRI` is the Fridays among the odd days.

## What stands in a field

"""

# Expression -> what it means, in words.
_FORMS = {
    "*/15 * * * *": "every 15 minutes of the clock",
    "5/15 * * * *": "from the 5th minute on",
    "0 9-17 * * MON-FRI": "a range; names, in capitals or not",
    "0 9-17/4 * * *": "a range with a step",
    "0 0 1,15 * *": "a list",
    "0 0 * JAN,JUL SUN": "the Sundays of two months",
    "0 0 * * FRI-SUN": "a week may end with its Sunday",
    "0 0 13 * FRI": "five fields: each 13th and each Friday",
    "0 0 0 13 * FRI": "six fields: Friday the 13th",
    "*/10 * * * * ?": "every ten seconds; `?` is `*`, as the day or the weekday",
    "0 0 12 1 1 ? 2026-2030/2": "seven fields: with a year",
    "0 0 L * *": "the last day of the month",
    "0 0 L-2 * *": "two days before it",
    "0 0 LW * *": "the last Monday to Friday of the month",
    "0 0 15W * *": "the Monday to Friday nearest to the 15th, within its month",
    "0 0 * * FRIL": "the last Friday of the month",
    "0 0 * * MON#2": "the second Monday of the month",
    "@hourly": "`0 * * * *`",
    "@daily": "`0 0 * * *`; `@midnight` is the same",
    "@weekly": "`0 0 * * 0`",
    "@monthly": "`0 0 1 * *`",
    "@yearly": "`0 0 1 1 *`; `@annually` is the same",
    "@every 90s": "each 90 seconds",
}

_EVERY = f"""
Months and weekdays have names: three letters of them or more, `TUE` or `Tuesday`.
A range does not run backwards: write `22-23,0-2`.

## @every

`@every` takes days, hours, minutes and seconds, in this order: `90s`, `15m`, `2h30m`, `1d`; from 1 s to {LONGEST_SECS // 86400} days.
It counts from the epoch, not from when the schedule was made: `@every 1h` fires at each full hour of UTC, `@every 1d` at midnight UTC.
So every sidecar computes the same ticks and nothing has to be kept.
It knows no clocks that are put forward or back, and so no zone: use it for what must run each so many minutes, whatever the clock on the wall says.

## Zones

A zone is an IANA name, `Europe/Berlin` or `UTC`, as it is written: not an abbreviation, not an offset, no `TZ=` within the expression.
Where the machine has no zones of its own, those of the package `tzdata` are used.

When clocks are put forward, some wall times are left out: they do not fire.
When clocks are put back, some wall times come twice: they fire once, the first time.
This holds for every expression of fields, for one that fires each minute, too: in the hour that comes again it is silent.

"""

_NIGHTLY = ("30 2 * * *", "0 * * * *", "*/30 * * * *", "@every 30m")
_SPRING = "In Berlin on 30 March 2025 the clocks went from 2:00 to 3:00. From 1:00 to 4:00 there are these ticks:"
_AUTUMN = "On 26 October 2025 they went back from 3:00 to 2:00. From 1:00 to 4:00 there are these:"

_ELSEWHERE = """
Not everywhere it is an hour, and not everywhere at night:

"""

# Zone, expression, the day's first moment and its length in hours, and what happened.
_PLACES = (
    ("Australia/Lord_Howe", "*/15 1-2 * * *", "2025-10-05T01:30:00", 2, "half an hour was left out"),
    ("Australia/Lord_Howe", "*/15 1-2 * * *", "2025-04-06T01:15:00", 2, "half an hour came twice"),
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T00:00:00", 72, "4 November began at 1:00"),
    ("Africa/Cairo", "0 0 * * *", "2025-04-24T00:00:00", 72, "25 April began at 1:00"),
    ("Pacific/Apia", "0 12 * * *", "2011-12-29T00:00:00", 60, "there was no 30 December"),
    ("Europe/Dublin", "30 1 * * *", "2025-03-29T00:00:00", 72, "an hour was left out, as in London"),
)

_ADVICE = """
So a job for each night is best at a time that no clock jumps over: noon, 4:00, or any time of UTC.
Midnight is no such time in some zones.

## What is refused

An expression that cannot be read, or that never fires, is refused with 422 `invalid_cron` when it is written; a zone with `invalid_timezone`.
`position` in the answer is the column of what is wrong, counted from 1.

"""

_REFUSED = (
    ("* * * *", "UTC"),
    ("61 * * * *", "UTC"),
    ("0 0 0 ? * 0", "UTC"),
    ("0 22-2 * * *", "UTC"),
    ("*/90 * * * *", "UTC"),
    ("0 0 * * L", "UTC"),
    ("0 0 31 2 *", "UTC"),
    ("0 30 2 30 3 ? 2025", "Europe/Berlin"),
    ("@every 90", "UTC"),
    ("@reboot", "UTC"),
    ("CRON_TZ=Asia/Tokyo 0 0 * * *", "UTC"),
    ("0 0 * * *", "europe/berlin"),
)

_LIMITS = f"""
An expression has at most {expression.LONGEST_CHARS} characters, and a field {fields.ITEMS_AT_MOST} items.
"""


def _form(text: str, means: str) -> tuple[str, str, str]:
    ticks = parse(text).upcoming(_NEW_YEAR - 1, 3)
    return code(text), means, ", ".join(f"{datetime.fromtimestamp(tick, UTC):%a %Y-%m-%d %H:%M:%S}" for tick in ticks)


def _night(text: str, begins: str, hours: int) -> tuple[str, str]:
    return code(text), _ticks("Europe/Berlin", text, begins, hours, "%H:%M")


def _place(zone: str, text: str, begins: str, hours: int, because: str) -> tuple[str, str, str, str]:
    return zone, code(text), _ticks(zone, text, begins, hours, "%Y-%m-%d %H:%M"), because


def _ticks(zone: str, text: str, begins: str, hours: int, form: str) -> str:
    """Tell the ticks of some hours as wall times with their distance from UTC; none is said in words."""
    first = datetime.fromisoformat(begins).replace(tzinfo=ZoneInfo(zone)).timestamp()
    cron = parse(text, zone)
    ticks = cron.upcoming(first - 1, cron.count(first - 1, first + hours * 3600))
    walls = (datetime.fromtimestamp(tick, ZoneInfo(zone)) for tick in ticks)
    return ", ".join(f"{wall:{form}}{wall.isoformat()[19:]}" for wall in walls) or "none"


def _refusal(text: str, zone: str) -> tuple[str, str, str]:
    try:
        parse(text, zone)
    except (InvalidCron, InvalidTimezone) as refused:
        return code(text), zone, refused.message
    raise AssertionError(f"{text} is taken")


def rendered() -> str:
    """The text of the page."""
    return "".join(
        (
            head("Cron", "the parser's own answers"),
            _INTRO,
            table(("fields", "which", "weekday", "day and weekday both restricted", "known from"), _FIELDS),
            _BOTH,
            table(("expression", "means", "first ticks of 2025, UTC"), [_form(*each) for each in _FORMS.items()]),
            _EVERY,
            f"{_SPRING}\n\n",
            table(("expression", "ticks"), [_night(text, "2025-03-30T01:00:00", 2) for text in _NIGHTLY]),
            f"\n{_AUTUMN}\n\n",
            table(("expression", "ticks"), [_night(text, "2025-10-26T01:00:00", 4) for text in _NIGHTLY]),
            _ELSEWHERE,
            table(("zone", "expression", "ticks", "because"), [_place(*each) for each in _PLACES]),
            _ADVICE,
            table(("expression", "zone", "refused with"), [_refusal(*each) for each in _REFUSED]),
            _LIMITS,
        )
    )
