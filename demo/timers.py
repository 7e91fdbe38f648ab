"""The timers of the demo's runs: each fires once and none early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.databases import Reader


class Fired(NamedTuple):
    """What became of the timers."""

    fired: int
    cancelled: int
    latest_secs: float  # by how much the latest was late
    faults: Sequence[str]


def judge(reader: Reader) -> Fired:
    """Look at each timer and its event."""
    rows = reader.rows(
        "SELECT w.run_id, t.seq, t.status, t.fire_at, count(e.seq), min(e.timestamp) FROM workflow_timers t "
        "JOIN workflows w ON w.run_key = t.run_key LEFT JOIN workflow_events e "
        "ON e.run_key = t.run_key AND e.event_type = 'TimerFired' AND e.ref_seq = t.seq "
        "GROUP BY w.run_id, t.seq, t.status, t.fire_at"
    )
    faults = []
    late = [0.0]
    for run_id, seq, status, fire_at, times, at in rows:
        if times != (status == "FIRED") or status == "PENDING":
            faults.append(f"{run_id} timer {seq}: {status}, fired {times} times")
        elif times and at < fire_at:
            faults.append(f"{run_id} timer {seq}: fired {fire_at - at:.6f} s early")
        elif times:
            late.append(at - fire_at)
    statuses = [row[2] for row in rows]
    return Fired(statuses.count("FIRED"), statuses.count("CANCELLED"), max(late), faults)
