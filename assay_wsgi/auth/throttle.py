"""How often an address may fail to say who it is, and how much strangers may have written down.

It slows down whoever guesses; a good credential always passes.

Each process counts for itself: with n web processes an address may fail n times as often.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..domain.errors import RateLimited

FAILURES_A_MINUTE = 20
_WINDOW_SECS = 60.0
_REMEMBERED_AT_MOST = 10_000


class Throttle:
    """Failures by address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[float, int]] = {}  # address -> when its minute began, failures since

    def failed(self, address: str) -> None:
        """Count a failure. Raises RateLimited where there were too many."""
        now = self._clock()
        with self._lock:
            began, count = self._failures.get(address, (now, 0))
            if now - began >= _WINDOW_SECS:
                began, count = now, 0
            if count == 0 and len(self._failures) >= _REMEMBERED_AT_MOST:
                self._failures.clear()
            self._failures[address] = began, count + 1
        if count >= FAILURES_A_MINUTE:
            left = began + _WINDOW_SECS - now
            raise RateLimited("too many requests from here without a good credential: wait", retry_after_secs=left)


class Allowance:
    """So many in a minute, whoever they are for."""

    def __init__(self, a_minute: int, clock: Callable[[], float]) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._began = -_WINDOW_SECS
        self._count = 0

    def take(self) -> bool:
        """Take one; say whether there was one."""
        now = self._clock()
        with self._lock:
            if now - self._began >= _WINDOW_SECS:
                self._began, self._count = now, 0
            self._count += 1
            return self._count <= self._a_minute
