"""Which of several sidecars does the work: the one that holds a named lease in the database.

Two that both believe they lead do no harm, since every row they handle is locked and looked at again.
The lease only spares the database the double work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

LEASE = "sidecar"
TTL_SECS = 3.0  # so long nobody leads after a leader was killed
RENEW_SECS = 1.0


class Leases(Protocol):
    """engine.store.leases: named leases with an epoch."""

    def acquire(self, name: str, owner: str, ttl_secs: float) -> int | None:
        """Take or renew the lease; its epoch, or None while another holds it."""

    def left(self, name: str) -> float:
        """Say in how many seconds the lease runs out."""

    def release(self, name: str, owner: str) -> object:
        """Give the lease up."""


class Leadership:
    """This process's view of the lease."""

    def __init__(self, leases: Leases, owner: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._leases = leases
        self._owner = owner
        self._monotonic = monotonic
        self._renewed = 0.0
        self._held_until = 0.0  # counted from before the request: never later than the database counts
        self._epoch: int | None = None

    @property
    def leading(self) -> bool:
        """We hold the lease, and it has not run out since we last heard so."""
        return self._epoch is not None and self._monotonic() < self._held_until

    def renew(self) -> float | None:
        """Take or keep the lead, when it is time to ask. Raises what the store raises.

        Answers in how many seconds the present leader's lease runs out, unless it is renewed: ask again then.
        """
        now = self._monotonic()
        if self.leading and now - self._renewed < RENEW_SECS:
            return None
        epoch = self._leases.acquire(LEASE, self._owner, TTL_SECS)
        if epoch is None:
            if self._epoch is not None:
                log.warning("lost the lead owner=%s", self._owner)
            self._epoch = None
            return self._leases.left(LEASE)
        if epoch != self._epoch:
            log.info("leading owner=%s epoch=%s", self._owner, epoch)
        self._renewed, self._held_until, self._epoch = now, now + TTL_SECS, epoch
        return None

    def release(self) -> None:
        """Let another lead at once. Raises what the store raises."""
        if self._epoch is not None:
            self._epoch = None
            self._leases.release(LEASE, self._owner)
