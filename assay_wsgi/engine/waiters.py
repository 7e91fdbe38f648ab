"""Who waits for work in this process: long-polls and the feed's readers, woken by the commits that make it.

A wake is a hint that somebody should look, never the work itself. None is lost: one that comes before the
waiter waits is kept for it, and one that a waiter leaves with unused goes on to the next.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple


class Key(NamedTuple):
    """What can be waited for."""

    kind: str  # workflow | activity | sidecar | notices
    namespace: str
    queue: str


class Waiters:
    """All waiters of a process, each queue of them in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[Key, OrderedDict[Waiter, None]] = {}
        self._inside: set[Waiter] = set()

    def wait_for(self, keys: Sequence[Key]) -> Waiter:
        """Give a waiter for any of `keys`; it counts from the moment its `with` block is entered."""
        return Waiter(self, tuple(dict.fromkeys(keys)))

    def wake(self, key: Key, count: int = 1) -> int:
        """Wake up to `count` waiters for `key`, longest-waiting first. Returns how many were woken."""
        with self._lock:
            return self._wake(key, count)

    def wake_all(self) -> int:
        """Wake everybody, whatever they wait for: the process shuts down. Returns how many were woken."""
        with self._lock:
            sleepers = {waiter for queue in self._queues.values() for waiter in queue}
            for waiter in sleepers:
                self._rouse(waiter, None)
            return len(sleepers)

    def waited_for(self) -> list[Key]:
        """Give what is waited for now."""
        with self._lock:
            return list(self._queues)

    def __len__(self) -> int:
        """Count those who are inside their `with` block, the woken included."""
        return len(self._inside)

    def _wake(self, key: Key, count: int) -> int:
        woken = 0
        while woken < count and (queue := self._queues.get(key)):
            self._rouse(next(iter(queue)), key)
            woken += 1
        return woken

    def _rouse(self, waiter: Waiter, key: Key | None) -> None:
        self._dequeue(waiter)
        waiter._pending = key
        waiter._gate.release()

    def _enqueue(self, waiter: Waiter) -> None:
        waiter._queued = True
        for key in waiter.keys:
            self._queues.setdefault(key, OrderedDict())[waiter] = None

    def _dequeue(self, waiter: Waiter) -> None:
        if not waiter._queued:
            return
        waiter._queued = False
        for key in waiter.keys:
            queue = self._queues[key]
            del queue[waiter]
            if not queue:
                del self._queues[key]


class Waiter:
    """One who waits: look for work, `wait`, look again, ... inside a `with` block, in one thread.

    While it looks it stands in its queues again, so a wake that comes meanwhile ends the next `wait` at once.
    """

    def __init__(self, waiters: Waiters, keys: tuple[Key, ...]) -> None:
        self.keys = keys
        self._waiters = waiters
        self._queued = False
        self._gate = threading.Lock()  # free = woken
        self._gate.acquire()
        self._pending: Key | None = None  # the key of the wake that has not ended a wait yet
        self._taken: Key | None = None  # the key of the wake that ended the last wait

    def wait(self, timeout_secs: float) -> bool:
        """Wait on the monotonic clock. Returns whether it was woken; the next `wait` waits anew."""
        self._taken = None
        patience = min(max(timeout_secs, 0.0), threading.TIMEOUT_MAX)
        if not self._gate.acquire(timeout=patience):
            return False
        with self._waiters._lock:
            self._taken, self._pending = self._pending, None
            if self in self._waiters._inside:
                self._waiters._enqueue(self)
        return True

    def pass_on(self) -> None:
        """Leave, and give the wake that could not be used (the client is gone) to the next in the queue."""
        self._leave(unused=self._taken)

    def __enter__(self) -> Waiter:
        with self._waiters._lock:
            self._waiters._inside.add(self)
            self._waiters._enqueue(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(unused=None)

    def _leave(self, *, unused: Key | None) -> None:
        with self._waiters._lock:
            self._waiters._inside.discard(self)
            self._waiters._dequeue(self)
            for key in (unused, self._pending):
                if key is not None:
                    self._waiters._wake(key, 1)
            self._taken = self._pending = None
