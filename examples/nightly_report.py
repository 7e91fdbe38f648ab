"""A report made every night: figures gathered at the same time from tills that do not always answer, one file.

    assay worker examples.nightly_report:app
    python -m examples.nightly_report --every-night                     # from now on, at 2:00 in Dublin
    python -m examples.nightly_report                                   # yesterday's, now
    python -m examples.nightly_report 2026-02-27 --until 2026-03-01     # several nights, one after the other
    assay schedule trigger nightly-report                               # as if it were 2:00
    assay schedule backfill nightly-report --from 2026-03-03T00:00Z --to 2026-03-05T00:00Z
REPORT_DIR says where the worker puts the files, ./reports by default.
"""

from __future__ import annotations

import argparse
import csv
import os
import zlib
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import activity_info

app = Assay(queue="reports")

ZONE = "Europe/Dublin"
BRANCHES = ("Bergen", "Cork", "Leeds", "Lyon", "Oslo", "Porto", "Turin", "Utrecht")
OFTEN_AWAY = ("Oslo", "Porto")  # their tills do not answer at the first call


@dataclass
class Nights:
    """Which reports: those of `day` and of the days up to `until`."""

    day: date
    until: date


@dataclass
class Figures:
    branch: str
    sales: int
    cents: int


@app.activity(retry=Retry(max_attempts=8, initial=0.5, max_interval=60.0), timeout=60.0)
def ask_till(branch: str, day: date) -> Figures:
    """Ask a branch for its day. A call that fails is made again, later each time."""
    if branch in OFTEN_AWAY and activity_info().attempt == 1:
        raise ConnectionError(f"the till of {branch} does not answer")
    sales = 40 + zlib.crc32(f"{branch} {day}".encode()) % 160  # in place of a till
    return Figures(branch, sales, sales * 1250)


@app.activity
def write_report(day: date, figures: list[Figures]) -> str:
    """Write the file and return its name. Written twice, it is the same file, and nobody sees half of it."""
    directory = Path(os.environ.get("REPORT_DIR", "reports"))
    directory.mkdir(parents=True, exist_ok=True)
    report, draft = directory / f"{day}.csv", directory / f".{day}.{os.getpid()}"
    with draft.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["branch", "sales", "total"])
        for one in figures:
            lines.writerow([one.branch, one.sales, f"{one.cents / 100:.2f}"])
        lines.writerow(["all", sum(one.sales for one in figures), f"{sum(one.cents for one in figures) / 100:.2f}"])
    draft.replace(report)
    return str(report)


@app.workflow
def NightlyReport(ctx: Context, nights: Nights | None = None) -> str:
    """Make one report; another run of the chain makes the next one, so that no history grows without end.

    A schedule says no nights: it is the one before the time for which the run was started, whenever it begins.
    """
    if nights is None:
        today = (ctx.info.scheduled_for or ctx.now()).astimezone(ZoneInfo(ZONE)).date()
        nights = Nights(today - timedelta(days=1), today - timedelta(days=1))
    figures = ctx.execute_parallel([ask_till.prepare(branch, nights.day) for branch in BRANCHES])
    report = ctx.execute_activity(write_report, nights.day, figures)
    if nights.day < nights.until:
        ctx.continue_as_new(Nights(nights.day + timedelta(days=1), nights.until))
    return report


def every_night() -> None:
    """Have the report made every night from now on. Done again, it changes nothing."""
    schedule = app.client.schedules.ensure(
        "nightly-report",
        "0 2 * * *",
        NightlyReport,
        timezone=ZONE,
        overlap="queue",  # a report that takes longer than a day delays the next one, and loses none
        catchup_window=timedelta(hours=12),  # of a service that was down at 2:00
    )
    print("next:", ", ".join(f"{datetime.fromtimestamp(at, ZoneInfo(ZONE))}" for at in schedule["next_runs"]))


def main() -> None:
    """Start the report of a night, once; wait for it. Or have one made every night."""
    yesterday = datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)
    parser = argparse.ArgumentParser(description="make the report of a day")
    parser.add_argument("day", nargs="?", type=date.fromisoformat, default=yesterday, help="[default: yesterday]")
    parser.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="and of the days up to this one")
    parser.add_argument("--every-night", action="store_true", help="that of the day before, at 2:00")
    asked = parser.parse_args()
    if asked.every_night:
        every_night()
        return
    nights = Nights(asked.day, asked.until or asked.day)
    # The id is the day's: whoever asks a second time while it is made waits for the same run.
    handle = app.client.start(NightlyReport, nights, id=f"report-{nights.day}", id_conflict="use_existing")
    print(handle.result(timeout=300))


if __name__ == "__main__":
    main()
