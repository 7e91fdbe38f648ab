"""`assay schedule check`: try a cron expression out. It asks no service, and loads nothing of one."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

import click

from ...domain.cron import LeftOut
from ...domain.cron import parse
from ...domain.errors import InvalidCron
from ...domain.errors import InvalidTimezone
from ..failures import Failed
from ..remote import asking
from ..remote.commands import EngineCommand
from ..remote.commands import Session
from ..remote.commands import pass_session
from . import times

NOTES_AT_MOST = 5


@click.command(cls=EngineCommand)
@click.argument("expression", metavar="EXPR")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose wall times: an IANA name.")
@click.option(
    "--from", "start", type=asking.Moment(), default="0s", metavar="TIME",
    help="List what comes after this moment.  [default: now]",
)  # fmt: skip
@times.count
@pass_session
def check(session: Session, expression: str, timezone: str, start: float, n: int) -> None:
    """Say when a cron expression fires, or what is wrong with it. No service is asked.

    The expression is one argument: put it in quotes. Wall times that clocks leave out on the way, when they are put
    forward, are told on standard error.
    """
    try:
        cron = parse(expression, timezone)
    except (InvalidCron, InvalidTimezone) as error:
        raise Failed(error.message) from None
    moments = cron.upcoming(start, n)
    if not moments:
        raise Failed(f"{expression!r} fires no more: its years are over")
    session.out.records([times.rows(moments, timezone)], times.TIMES)
    for number, left_out in enumerate(cron.left_out(start, moments[-1])):
        if number == NOTES_AT_MOST:
            session.say("note: there are more that clocks leave out")
            break
        session.say(f"note: {_told(left_out)}: the clocks of {timezone} are put forward then")


def _told(left_out: LeftOut) -> str:
    first, last = (f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M:%S}" for wall in left_out[:2])
    if left_out.times == 1:
        return f"{first} is left out"
    return f"{first} to {last} are left out, {left_out.times} times in all"
