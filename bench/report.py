"""From repetitions to a table: medians, their spread, what a workflow costs, the distance to the ground floor."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

Counts = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure: where it is found, how it is written."""

    key: str
    title: str
    unit: str
    workload: str = ""  # whose counts stand beside it
    floors: tuple[str, ...] = ()  # what it is compared with


ROWS = (
    Row(key="starts_per_s", title="single starts, 32 connections", unit="/s", workload="starts",
        floors=("flask_per_s", "commits_per_s")),
    Row(key="starts_p50_ms", title="  p50", unit="ms", floors=("flask_p50_ms",)),
    Row(key="starts_p99_ms", title="  p99", unit="ms", floors=("flask_p99_ms",)),
    Row(key="batched_starts_per_s", title="starts in batches of 100, 4 conn.", unit="/s", workload="batches",
        floors=("commits_per_s",)),
    Row(key="hellos_per_s", title="hello through the SDK, 2 workers", unit="/s", workload="hello",
        floors=("flask_per_s", "commits_per_s")),
    Row(key="hello_p50_ms", title="hello one at a time, p50", unit="ms", workload="latency"),
    Row(key="hello_p99_ms", title="  p99", unit="ms"),
    Row(key="commits_per_s", title="(bare driver: 3 inserts, commit)", unit="/s"),
    Row(key="flask_per_s", title="(bare gunicorn and Flask, 32 conn.)", unit="/s"),
)  # fmt: skip
COUNTED = ("events", "rows", "statements", "commits", "fsyncs", "bytes")
_FLOOR_NAMES = {
    "flask_per_s": "bare Flask",
    "flask_p50_ms": "bare Flask's",
    "flask_p99_ms": "bare Flask's",
    "commits_per_s": "bare commits",
}


def median(repetitions: Sequence[Mapping[str, float]], key: str) -> float:
    """The middle one of a figure's values."""
    return statistics.median(one[key] for one in repetitions)


def table(title: str, repetitions: Sequence[Mapping[str, float]], counts: Mapping[str, Counts]) -> str:
    """One side on one database."""
    lines = [f"{title:36} {'median':>11} {'min .. max':>20}   of the ground floor", "-" * 106]
    for row in ROWS:
        values = [one[row.key] for one in repetitions]
        spread = f"{_number(min(values))} .. {_number(max(values))}"
        shares = ", ".join(
            f"{median(repetitions, row.key) / median(repetitions, floor):.2f} x {_FLOOR_NAMES[floor]}"
            for floor in row.floors
        )
        middle = _number(statistics.median(values))
        lines.append(f"{row.title:36} {middle:>8} {row.unit:2} {spread:>20}   {shares}".rstrip())
    lines += ["", f"{'a workflow costs':36} " + " ".join(f"{name:>11}" for name in COUNTED), "-" * 106]
    for row in ROWS:
        if row.workload in counts:
            found = counts[row.workload]
            lines.append(f"{row.title:36} " + " ".join(f"{_count(name, found[name]):>11}" for name in COUNTED))
    return "\n".join(lines)


def comparison(
    names: tuple[str, str], earlier: Sequence[Mapping[str, float]], present: Sequence[Mapping[str, float]]
) -> str:
    """Two sides of one run, beside each other."""
    head = f"{'':36} {names[0]:>14} {names[1]:>14}  ratio"
    lines = [head, "-" * len(head)]
    for row in ROWS:
        before, now = median(earlier, row.key), median(present, row.key)
        beside = f"{_number(before):>11} {row.unit:2} {_number(now):>11} {row.unit:2}"
        lines.append(f"{row.title:36} {beside}  {now / before:.2f}")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _count(name: str, value: float | None) -> str:
    if value is None:
        return "not counted"
    return f"{value:,.0f}" if name == "bytes" else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
