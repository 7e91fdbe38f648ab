"""The runs that this worker holds: histories by run id, the longest unused given up first.

A run is in use from the moment its task comes until its result is settled. Not thread-safe: the worker
calls it under its lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from .history import History
from .history import HistoryGap

MAX_RUNS = 2_000
MAX_EVENTS = 500_000  # over all runs held
OFFERED = 200  # runs named in one exchange


class CachedRun:
    """One run's history, and the state that its queries last showed."""

    __slots__ = ("busy", "history", "run_id", "shown")

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.history = History()
        self.shown: bytes | None = None
        self.busy = False  # a turn is being taken, or its result is under way


class RunCache:
    """Histories, bounded in runs and in events."""

    def __init__(self, max_runs: int = MAX_RUNS, max_events: int = MAX_EVENTS) -> None:
        self._runs: OrderedDict[str, CachedRun] = OrderedDict()  # longest unused first
        self._max_runs = max_runs
        self._max_events = max_events
        self._events = 0

    def __len__(self) -> int:
        return len(self._runs)

    def take(self, task: dict[str, Any]) -> CachedRun:
        """Bring the task's run up to date and return it, in use. Raises HistoryGap, and forgets the run."""
        run_id, held_from = task["run_id"], task["history_from"]
        run = self._runs.get(run_id)
        if run is not None and (held_from == 0 or run.busy or run.history.last_seq < held_from):
            # A whole history replaces what is held. One in use belongs to a turn whose lease was lost.
            self.evict(run)
            run = None
        if run is None:
            if held_from:
                raise HistoryGap(f"the history begins after event {held_from}, which is not held here")
            run = self._runs[run_id] = CachedRun(run_id)
        before = run.history.last_seq
        try:
            run.history.extend(task["history"])
            if run.history.last_seq != task["history_seq"]:
                raise HistoryGap(f"the history ends with event {run.history.last_seq}, not {task['history_seq']}")
        except HistoryGap:
            self._events += run.history.last_seq - before
            self.evict(run)
            raise
        self._events += run.history.last_seq - before
        run.busy = True
        self._runs.move_to_end(run_id)
        return run

    def evict(self, run: CachedRun) -> None:
        """Forget a run; no harm if another copy of it has taken its place."""
        if self._runs.get(run.run_id) is run:
            del self._runs[run.run_id]
            self._events -= run.history.last_seq

    def trim(self) -> None:
        """Give up what is beyond the bounds, the longest unused first."""
        while self._runs and (len(self._runs) > self._max_runs or self._events > self._max_events):
            self.evict(next(iter(self._runs.values())))

    def offer(self) -> dict[str, int]:
        """Return the last seq held of the most recently used runs."""
        return {run.run_id: run.history.last_seq for run in self._newest(OFFERED)}

    def _newest(self, count: int) -> Iterator[CachedRun]:
        for run in reversed(self._runs.values()):
            if count == 0:
                return
            count -= 1
            yield run
