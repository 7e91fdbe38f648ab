"""The ledger beside the history: what activities really did, and what the service says they did."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.databases import Reader

from .blows import MASTER
from .blows import WEB
from .blows import WORKER
from .blows import Blow

Key = tuple[str, int]  # run_id, seq of the activity
ENDED = ("COMPLETED", "FAILED", "CANCELLED")  # what an activity of a closed run may be


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line: this attempt has done its work and was about to say so."""

    run_id: str
    seq: int
    attempt: int
    name: str
    at: float
    worker: str

    @property
    def key(self) -> Key:
        """The activity."""
        return self.run_id, self.seq


def read(paths: Mapping[str, Path]) -> list[Entry]:
    """Read the ledgers of the workers, oldest line first."""
    entries = []
    for worker, path in paths.items():
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            found = json.loads(line)
            entries.append(
                Entry(worker=worker, **{name: found[name] for name in ("run_id", "seq", "attempt", "name", "at")})
            )
    return sorted(entries, key=lambda entry: entry.at)


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """An activity as the database has it."""

    status: str
    recorded: int  # ActivityCompleted events
    failed_attempts: frozenset[int]  # attempts that were reported as failed: by script, refused, or timed out


def recorded(reader: Reader) -> dict[Key, Scheduled]:
    """Read all activities of the database."""
    completions: dict[Key, int] = {
        (run_id, seq): number
        for run_id, seq, number in reader.rows(
            "SELECT w.run_id, e.ref_seq, count(*) FROM workflow_events e JOIN workflows w ON w.run_key = e.run_key "
            "WHERE e.event_type = 'ActivityCompleted' GROUP BY w.run_id, e.ref_seq"
        )
    }
    failures: defaultdict[Key, set[int]] = defaultdict(set)
    for run_id, seq, attempt in reader.rows(
        "SELECT w.run_id, a.seq, f.attempt FROM activity_attempts f "
        "JOIN workflow_activities a ON a.activity_key = f.activity_key JOIN workflows w ON w.run_key = a.run_key"
    ):
        failures[run_id, seq].add(attempt)
    return {
        (run_id, seq): Scheduled(
            status=status,
            recorded=completions.get((run_id, seq), 0),
            failed_attempts=frozenset(failures[run_id, seq]),
        )
        for run_id, seq, status in reader.rows(
            "SELECT w.run_id, a.seq, a.status FROM workflow_activities a JOIN workflows w ON w.run_key = a.run_key"
        )
    }


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What laying one beside the other gives."""

    activities: int
    lines: int
    failed_attempts: int
    repeats: Mapping[str, int]  # cause -> second lines that it explains
    faults: Sequence[str]  # what must not be


def judge(entries: Iterable[Entry], activities: Mapping[Key, Scheduled], blows: Sequence[Blow]) -> Verdict:
    """Each that completed is done at least once and recorded exactly once; a second line must have its cause.

    Whether one may fail or be cancelled is a matter of its run.
    """
    lines: defaultdict[Key, list[Entry]] = defaultdict(list)
    for entry in entries:
        lines[entry.key].append(entry)
    faults = [
        f"{run_id} activity {seq}: in the ledger and not in the database"
        for run_id, seq in lines.keys() - activities.keys()
    ]
    repeats: defaultdict[str, int] = defaultdict(int)
    for key, activity in activities.items():
        label = f"{key[0]} activity {key[1]}"
        completed = activity.status == "COMPLETED"
        if activity.status not in ENDED or activity.recorded != completed:
            faults.append(f"{label}: {activity.status}, recorded {activity.recorded} times")
        if completed and not lines[key]:
            faults.append(f"{label}: recorded, and nobody did it")
        for earlier, later in zip(lines[key], lines[key][1:], strict=False):
            cause = _cause(earlier, later, activity, blows)
            if cause is None:
                faults.append(
                    f"{label}: done by {earlier.worker} (attempt {earlier.attempt}) and by {later.worker} "
                    f"(attempt {later.attempt}) {later.at - earlier.at:.2f} s later, and nothing explains it"
                )
            else:
                repeats[cause] += 1
    return Verdict(
        activities=len(activities),
        lines=sum(map(len, lines.values())),
        failed_attempts=sum(len(activity.failed_attempts) for activity in activities.values()),
        repeats=dict(repeats),
        faults=faults,
    )


def _cause(earlier: Entry, later: Entry, activity: Scheduled, blows: Sequence[Blow]) -> str | None:
    """Why an activity was done again: its word that it was done was lost between the two lines."""
    between = [blow for blow in blows if earlier.at <= blow.at <= later.at]
    if any(blow.kind == WORKER and blow.worker == earlier.worker for blow in between):
        return "kill of its worker"
    if any(blow.kind in (WEB, MASTER) for blow in between):
        return "kill of a web process"
    if earlier.attempt in activity.failed_attempts and later.attempt > earlier.attempt:
        return "failure of the document service"
    return None
