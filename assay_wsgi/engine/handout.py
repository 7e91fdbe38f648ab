"""Ready work for whoever asks: one claim, and where there is nothing, waiting and claiming again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from ..domain.requests import Where
from ..store import reads
from ..store.claims import Taker
from ..store.connection import Connection
from ..store.store import Store
from .committer import Committer
from .sessions import Names
from .waiters import ANY
from .waiters import Key
from .wakeups import Wakeups

Waiting = Callable[[], contextlib.AbstractContextManager[Any]]
HELD_PAUSE_SECS = 0.05


class Wish(Protocol):
    """What somebody wants to take."""

    @property
    def keys(self) -> Sequence[Key]:
        """What to wait for."""

    def find(self, db: Connection, now: float) -> Taker | None:
        """Give the taker to claim with, or None where nothing is ready. Only reads."""


@dataclass(frozen=True)
class SlotsWish:
    """As many tasks of both kinds as one taker has slots for."""

    taker: Taker

    @property
    def keys(self) -> Sequence[Key]:
        taker = self.taker
        slots = (("workflow", taker.workflow_slots), ("activity", taker.activity_slots))
        return [Key(kind, taker.namespace, taker.queue) for kind, free in slots if free]

    def find(self, db: Connection, now: float) -> Taker | None:
        taker = self.taker
        if taker.workflow_slots and _ready(db, "workflow", taker, taker.workflow_types, now):
            return taker
        if taker.activity_slots and _ready(db, "activity", taker, taker.activity_names, now):
            return taker
        return None


@dataclass(frozen=True)
class OneWish:
    """One task of one kind, in whichever of these namespaces has one; of several, the one that has waited longest."""

    kind: str  # workflow | activity
    queue: str
    worker_id: str
    scopes: Sequence[tuple[Where, Names]]
    lease_secs: float

    @property
    def keys(self) -> Sequence[Key]:
        return [Key(self.kind, name, self.queue) for where, _ in self.scopes for name in _named(where)]

    def find(self, db: Connection, now: float) -> Taker | None:
        for where, names in self.scopes:
            if not isinstance(where, str):
                namespace = reads.namespace_with_ready(db, self.kind, self.queue, now, where)
                if namespace is not None:
                    return self._taker(namespace, names)
            elif names != () and reads.is_ready(db, self.kind, where, self.queue, names, now):
                return self._taker(where, names)
        return None

    def _taker(self, namespace: str, names: Names) -> Taker:
        slots = (1, 0) if self.kind == "workflow" else (0, 1)
        return Taker(namespace, self.queue, self.worker_id, None, None, *slots, names, names, self.lease_secs)


def _named(where: Where) -> Sequence[str]:
    """Name what is waited for; ANY where all namespaces are meant."""
    if where is None:
        return [ANY]
    return [where] if isinstance(where, str) else sorted(where)


class Handout:
    """Claims work for those who ask this process."""

    def __init__(self, store: Store, committer: Committer, wakeups: Wakeups, draining: threading.Event) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups
        self._draining = draining

    def take(
        self, wish: Wish, wait_secs: float, client_gone: Callable[[], bool] | None, waiting: Waiting,
        tried: Taker | None = None,
    ) -> Taker | None:  # fmt: skip
        """Claim; where there is nothing, wait and claim again until there is, or time is up.

        Gives the taker that was served, or the last one that was not. `tried` has claimed just now.
        """
        until = time.monotonic() + wait_secs
        taker = tried
        if taker is None:
            taker = self._find(wish)
            if taker is not None:
                if client_gone is not None and client_gone():
                    return taker
                self._claim(taker, waiting)
        if _served(taker) or wait_secs <= 0:
            return taker
        with self._wakeups.waiters.wait_for(wish.keys) as waiter:
            while not self._draining.is_set():
                held = taker is not None and taker.held
                found = taker if held else self._find(wish)
                if found is None:
                    waiter.pass_on()
                else:
                    taker = found
                    if client_gone is not None and client_gone():
                        waiter.pass_on()
                        return taker
                    self._claim(taker, waiting)
                    if taker.replaced:
                        waiter.pass_on()
                    if _served(taker):
                        return taker
                left = until - time.monotonic()
                if left <= 0:
                    return taker
                with waiting():
                    woken = waiter.wait(min(left, HELD_PAUSE_SECS) if held else left)
                if not woken and time.monotonic() >= until:
                    return taker
        return taker

    def _find(self, wish: Wish) -> Taker | None:
        now = self._store.now()
        with self._store.read() as db:
            return wish.find(db, now)

    def _claim(self, taker: Taker, waiting: Waiting) -> None:
        with waiting():
            self._committer.submit((), taker)


def _ready(db: Connection, kind: str, taker: Taker, names: Names, now: float) -> bool:
    return names != () and reads.is_ready(db, kind, taker.namespace, taker.queue, names, now)


def _served(taker: Taker | None) -> bool:
    return taker is not None and bool(taker.workflows or taker.activities or taker.replaced)
