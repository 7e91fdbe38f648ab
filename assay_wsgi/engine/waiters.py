"""Who waits for work in this process: long-polls and the feed's readers, woken by the commits that make it.

A wake is a hint that somebody should look, never the work itself. None is lost: one that comes before the
waiter waits is kept for it, and one that a waiter leaves with unused goes on to the next.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

ANY = ""  # as a Key's namespace: whichever


class Key(NamedTuple):
    """What can be waited for."""

    kind: str  # workflow | activity | sidecar | notices
    namespace: str  # or ANY
    queue: str


class _Wake(NamedTuple):
    """A wake on its way: kept when it is passed on, so that it comes to nobody twice."""

    key: Key | None  # None: the process shuts down
    serial: int  # wakes are numbered: who looks after wake 7 sees what 6 and 7 were about


class Waiters:
    """All waiters of a process, each queue of them in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[Key, OrderedDict[Waiter, None]] = {}
        self._inside: set[Waiter] = set()
        self._serial = 0

    def wait_for(self, keys: Sequence[Key]) -> Waiter:
        """Give a waiter for any of `keys`; it counts from the moment its `with` block is entered."""
        return Waiter(self, tuple(dict.fromkeys(keys)))

    def wake(self, key: Key, count: int = 1) -> int:
        """Wake up to `count` waiters for `key`, longest-waiting first. Returns how many were woken."""
        woken = 0
        with self._lock:
            self._serial += 1
            while woken < count and (queue := self._queues.get(key)):
                self._rouse(next(iter(queue)), _Wake(key, self._serial))
                woken += 1
        return woken

    def wake_all(self) -> int:
        """Wake everybody, whatever they wait for: the process shuts down. Returns how many were woken."""
        with self._lock:
            sleepers = {waiter for queue in self._queues.values() for waiter in queue}
            for waiter in sleepers:
                self._rouse(waiter, _Wake(None, self._serial))
            return len(sleepers)

    def waited_for(self) -> list[Key]:
        """Give what is waited for now."""
        with self._lock:
            return list(self._queues)

    def __len__(self) -> int:
        """Count those who are inside their `with` block, the woken included."""
        return len(self._inside)

    def _pass_on(self, wake: _Wake, *, heard_below: float) -> None:
        """Give a wake to the first in its queue whose newest wake is older than that."""
        if wake.key is None:
            return
        for waiter in self._queues.get(wake.key, ()):
            if waiter._heard < heard_below:
                self._rouse(waiter, wake)
                return

    def _rouse(self, waiter: Waiter, wake: _Wake) -> None:
        self._dequeue(waiter)
        waiter._pending = wake
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
        self._pending: _Wake | None = None  # has not ended a wait yet
        self._taken: _Wake | None = None  # ended the last wait
        self._heard = 0  # serial of the newest wake that ended a wait; a look follows

    def wait(self, timeout_secs: float) -> bool:
        """Wait on the monotonic clock. Returns whether it was woken; the next `wait` waits anew."""
        self._taken = None
        patience = min(max(timeout_secs, 0.0), threading.TIMEOUT_MAX)
        if not self._gate.acquire(timeout=patience):
            return False
        with self._waiters._lock:
            self._taken, self._pending = self._pending, None
            if self._taken is not None:
                self._heard = max(self._heard, self._taken.serial)
            self._waiters._enqueue(self)
        return True

    def pass_on(self) -> None:
        """Give the wake that ended the last wait to the next in the queue, and go on waiting or leave.

        For one who looked and found nothing that it can take (other types, a session that was replaced), or
        whose client is gone. Where there was no wake it does nothing; nobody gets the same wake twice.
        """
        with self._waiters._lock:
            wake, self._taken = self._taken, None
            if wake is not None:
                self._waiters._pass_on(wake, heard_below=wake.serial)

    def __enter__(self) -> Waiter:
        with self._waiters._lock:
            self._waiters._inside.add(self)
            self._waiters._enqueue(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._waiters._lock:
            self._waiters._inside.discard(self)
            self._waiters._dequeue(self)
            unused, self._pending = self._pending, None
            if unused is not None:
                self._waiters._pass_on(unused, heard_below=math.inf)
