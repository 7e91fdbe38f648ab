"""Where operations go whose rows somebody else holds: one thread, one connection, one operation a unit.

Here, and only here, a row lock is waited for, 50 ms at a time, in turn over all operations that wait. So a
row that is held for seconds delays nobody but those who want it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ..domain.errors import StoreBusy
from ..store.needs import BeginAgain
from ..store.store import Store
from ..store.unit import Left
from ..store.unit import Operation
from ..store.unit import Outcome
from ..store.unit import Submission
from ..store.unit import perform

_PAUSE_SECS = 0.002


class _Entry:
    """An operation in the lane."""

    def __init__(self, operation: Operation, until: float) -> None:
        self.operation = operation
        self.until = until
        self.settled = threading.Event()
        self.outcome = Outcome(error=StoreBusy("the server is stopping: nothing was written, try again"))

    def wait(self) -> Outcome:
        """Wait for the outcome."""
        self.settled.wait()
        return self.outcome


class SlowLane:
    """One slow lane of a process. Its thread starts with the first operation."""

    def __init__(self, store: Store, on_commit: Callable[[Left], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._wait_secs = store.settings.store_wait_secs
        self._entries: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def enter(self, operation: Operation) -> Callable[[], Outcome]:
        """Queue an operation. Returns a function that waits for its outcome."""
        entry = _Entry(operation, time.monotonic() + self._wait_secs)
        with self._changed:
            if self._closing:
                entry.settled.set()
                return entry.wait
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="assay-slow-lane", daemon=True)
                self._thread.start()
            self._entries.append(entry)
            self._changed.notify()
        return entry.wait

    def close(self) -> None:
        """Stop; what waits is answered that nothing was written."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        writer = self._store.writer("slow")
        while (entry := self._next()) is not None:
            submission = Submission((entry.operation,))
            try:
                left = perform(writer, [submission], self._store.floors, self._store.liveness, rounds=1, wait=True)
                entry.outcome = submission.outcomes[0]
                self._settle(entry, left)
            except BeginAgain:
                self._again(entry)
            except Exception as error:  # noqa: BLE001 - it is this operation's outcome
                entry.outcome = Outcome(error=error)
                entry.settled.set()
        writer.close()
        for entry in self._entries:
            entry.settled.set()

    def _next(self) -> _Entry | None:
        with self._changed:
            while not self._entries and not self._closing:
                self._changed.wait()
            return None if self._closing else self._entries.popleft()

    def _settle(self, entry: _Entry, left: Left) -> None:
        if entry.outcome.missed:
            self._again(entry)
            return
        entry.settled.set()
        self._on_commit(left)

    def _again(self, entry: _Entry) -> None:
        if time.monotonic() >= entry.until:
            entry.outcome = Outcome(
                error=StoreBusy("rows that this needs are held by somebody else: nothing was written, try again")
            )
            entry.settled.set()
            return
        with self._changed:
            self._entries.append(entry)
            if len(self._entries) == 1:
                self._changed.wait(_PAUSE_SECS)  # the lock's time-out paces it; this keeps a mere race from spinning
