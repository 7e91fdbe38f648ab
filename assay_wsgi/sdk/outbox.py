"""Finished work on its way to the service: reports wait here until an exchange takes them along.

Not thread-safe: the worker calls it under its lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from .cache import CachedRun
from .jsontext import dumps

MAX_REPORTS = 100  # of each kind in one exchange
MAX_BYTES = 2 << 20  # in one exchange; a single greater report goes alone


class Report:
    """One finished task, ready to be sent."""

    __slots__ = ("closes", "kind", "label", "run", "state", "substitute", "text", "token")

    def __init__(self, kind: str, token: str, label: str, content: dict[str, Any]) -> None:
        self.kind = kind  # workflow or activity
        self.token = token
        self.label = label  # whose it is, for the log
        self.text = dumps({"task_token": token, **content})
        self.run: CachedRun | None = None  # the history of a turn's run
        self.state: bytes | None = None  # what queries show if the turn is accepted
        self.closes = False
        self.substitute = False  # sent in place of a report that the service cannot read

    def refused(self, why: str) -> Report:
        """Return the failure that is reported in place of this report."""
        if self.kind == "workflow":
            failure: dict[str, Any] = {
                "cause": "refused",
                "message": f"the service cannot take this turn: {why}",
            }
        else:
            failure = {
                "error": f"ResultRefused: the service cannot take this result: {why}",
                "error_type": "ResultRefused",
                "non_retryable": True,
            }
        report = Report(self.kind, self.token, self.label, {"failure": failure})
        report.substitute = True
        return report


class Batch:
    """The reports that one exchange carries."""

    __slots__ = ("activities", "workflows")

    def __init__(self, workflows: Iterable[Report] = (), activities: Iterable[Report] = ()) -> None:
        self.workflows = list(workflows)
        self.activities = list(activities)

    def __len__(self) -> int:
        return len(self.workflows) + len(self.activities)

    def reports(self) -> list[Report]:
        """All of them, in the order of the answer's results."""
        return self.workflows + self.activities


class Outbox:
    """Reports in order of arrival, and those that must wait a little."""

    def __init__(self) -> None:
        self._limit = 2 * MAX_REPORTS  # reports in one exchange
        self._ready: dict[str, deque[Report]] = {"workflow": deque(), "activity": deque()}
        self._later: list[tuple[float, Report]] = []

    def __len__(self) -> int:
        return sum(map(len, self._ready.values())) + len(self._later)

    def put(self, report: Report) -> None:
        """Add a report."""
        self._ready[report.kind].append(report)

    def put_later(self, report: Report, delay: float) -> None:
        """Add a report that is not to be sent before `delay` seconds have passed."""
        self._later.append((time.monotonic() + delay, report))

    def give_back(self, reports: Iterable[Report]) -> None:
        """Put reports whose exchange failed in front again."""
        for report in reversed(list(reports)):
            self._ready[report.kind].appendleft(report)

    def due_in(self) -> float | None:
        """Return the seconds until there is something to take: 0 = now, None = nothing is there."""
        if self._ready["workflow"] or self._ready["activity"]:
            return 0.0
        if not self._later:
            return None
        return max(0.0, min(due for due, _ in self._later) - time.monotonic())

    def take(self) -> Batch:
        """Take what one exchange may carry, oldest first."""
        if self._later:
            now = time.monotonic()
            for due, report in self._later:
                if due <= now:
                    self.put(report)
            self._later = [(due, report) for due, report in self._later if due > now]
        room, count = MAX_BYTES, 0
        taken: dict[str, list[Report]] = {}
        for kind, waiting in self._ready.items():
            reports = taken[kind] = []
            while waiting and len(reports) < MAX_REPORTS and count < self._limit:
                size = len(waiting[0].text)
                if size > room and room < MAX_BYTES:
                    break
                room -= size
                count += 1
                reports.append(waiting.popleft())
        return Batch(taken["workflow"], taken["activity"])

    def halve(self, size: int) -> None:
        """Send less at once: a batch of `size` was refused, and which report is to blame is not known."""
        self._limit = max(1, size // 2)

    def widen(self) -> None:
        """Send more at once again."""
        self._limit = min(2 * MAX_REPORTS, self._limit * 2)
