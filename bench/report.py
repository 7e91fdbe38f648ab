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
    Row(key="polled_hellos_per_s", title="the old way: one by one, 4 polling", unit="/s", workload="polling",
        floors=("flask_per_s", "commits_per_s")),
    Row(key="hello_p50_ms", title="hello one at a time, p50", unit="ms", workload="latency"),
    Row(key="hello_p99_ms", title="  p99", unit="ms"),
    Row(key="commits_per_s", title="(bare driver: 3 inserts, commit)", unit="/s"),
    Row(key="flask_per_s", title="(bare gunicorn and Flask, 32 conn.)", unit="/s"),
)  # fmt: skip
NOT_OFFERED = "-"  # that commit has nothing of the kind
COUNTED = ("events", "rows", "statements", "commits", "fsyncs", "bytes")
_FLOOR_NAMES = {
    "flask_per_s": "bare Flask",
    "flask_p50_ms": "bare Flask's",
    "flask_p99_ms": "bare Flask's",
    "commits_per_s": "bare commits",
}


def median(repetitions: Sequence[Mapping[str, float]], key: str) -> float | None:
    """The middle one of a figure's values; None where it is not offered."""
    values = [one[key] for one in repetitions if key in one]
    return statistics.median(values) if values else None


def table(title: str, repetitions: Sequence[Mapping[str, float]], counts: Mapping[str, Counts | None]) -> str:
    """One side on one database."""
    lines = [f"{title:36} {'median':>11} {'min .. max':>20}   of the ground floor", "-" * 106]
    for row in ROWS:
        values = [one[row.key] for one in repetitions if row.key in one]
        middle = median(repetitions, row.key)
        if middle is None:
            lines.append(f"{row.title:36} {NOT_OFFERED:>8}")
            continue
        spread = f"{_number(min(values))} .. {_number(max(values))}"
        shares = ", ".join(
            f"{_ratio(middle, median(repetitions, floor))} x {_FLOOR_NAMES[floor]}" for floor in row.floors
        )
        lines.append(f"{row.title:36} {_number(middle):>8} {row.unit:2} {spread:>20}   {shares}".rstrip())
    lines += ["", f"{'a workflow costs':36} " + " ".join(f"{name:>11}" for name in COUNTED), "-" * 106]
    for row in ROWS:
        if row.workload in counts:
            found = counts[row.workload]
            costs = [NOT_OFFERED if found is None else _count(name, found[name]) for name in COUNTED]
            lines.append(f"{row.title:36} " + " ".join(f"{cost:>11}" for cost in costs))
    return "\n".join(lines)


def comparison(
    names: tuple[str, str], earlier: Sequence[Mapping[str, float]], present: Sequence[Mapping[str, float]]
) -> str:
    """Two sides of one run, beside each other."""
    head = f"{'':36} {names[0]:>14} {names[1]:>14}  ratio"
    lines = [head, "-" * len(head)]
    for row in ROWS:
        before, now = median(earlier, row.key), median(present, row.key)
        beside = " ".join(f"{_figure(value, row.unit):>14}" for value in (before, now))
        lines.append(f"{row.title:36} {beside}  {_ratio(now, before)}")
    return "\n".join(lines)


def _ratio(value: float | None, other: float | None) -> str:
    return NOT_OFFERED if value is None or other is None else f"{value / other:.2f}"


def _figure(value: float | None, unit: str) -> str:
    return f"{NOT_OFFERED:2} " if value is None else f"{_number(value)} {unit:2}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _count(name: str, value: float | None) -> str:
    if value is None:
        return "not counted"
    return f"{value:,.0f}" if name == "bytes" else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
