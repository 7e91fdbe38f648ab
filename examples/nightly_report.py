"""A report made every night: figures gathered at the same time from tills that do not always answer, one file.

    assay worker examples.nightly_report:app
    python -m examples.nightly_report                                   # yesterday's
    python -m examples.nightly_report 2026-02-27 --until 2026-03-01     # several nights, one after the other

Schedules come with a later version; until then a line of cron does it, twice is no harm:
    0 2 * * *  cd /srv/reports && .venv/bin/python -m examples.nightly_report
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
from datetime import timezone
from pathlib import Path

from assay_wsgi.sdk import Assay
from assay_wsgi.sdk import Context
from assay_wsgi.sdk import Retry
from assay_wsgi.sdk import activity_info

app = Assay(queue="reports")

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
def NightlyReport(ctx: Context, nights: Nights) -> str:
    """Make one report; another run of the chain makes the next one, so that no history grows without end."""
    figures = ctx.execute_parallel([ask_till.prepare(branch, nights.day) for branch in BRANCHES])
    report = ctx.execute_activity(write_report, nights.day, figures)
    if nights.day < nights.until:
        ctx.continue_as_new(Nights(nights.day + timedelta(days=1), nights.until))
    return report


def main() -> None:
    """Start the report of a night, once; wait for it."""
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    parser = argparse.ArgumentParser(description="make the report of a day")
    parser.add_argument("day", nargs="?", type=date.fromisoformat, default=yesterday, help="[default: yesterday]")
    parser.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="and of the days up to this one")
    asked = parser.parse_args()
    nights = Nights(asked.day, asked.until or asked.day)
    # The id is the day's: whoever asks a second time while it is made waits for the same run.
    handle = app.client.start(NightlyReport, nights, id=f"report-{nights.day}", id_conflict="use_existing")
    print(handle.result(timeout=300))


if __name__ == "__main__":
    main()
