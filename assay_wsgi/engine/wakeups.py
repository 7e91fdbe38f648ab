"""Who waits for work learns of it: threads of this process at once, other processes by a datagram.

Behind both stands one watcher a process: it looks at most once a second at all queues that are waited
for, and again when the next back-off falls due. So a lost hint, another host, or work that becomes ready
without a commit costs a second, never more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

from ..store import reads
from ..store.store import Store
from ..store.unit import Left
from .hints import Hint
from .hints import Hints
from .waiters import ANY
from .waiters import Key
from .waiters import Waiters

log = logging.getLogger(__name__)

LOOK_EVERY_SECS = 1.0
TELL_EVERY_SECS = 0.05
SIDECAR = Key("sidecar", "", "")
NOTICES = Key("notices", "", "")
MANY = 1_000_000


class Wakeups:
    """The waiters of one process, and those who wake them."""

    def __init__(self, store: Store, *, at_each_look: Callable[[], None]) -> None:
        self._store = store
        self._at_each_look = at_each_look
        self.waiters = Waiters()
        self._hints: Hints | None = None
        self._look = threading.Event()
        self._told_at = float("-inf")  # monotonic: when others were last told of notices
        self._closing = False
        self._watcher: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin to listen and to watch. Once a process, and only after a fork."""
        if self._watcher is not None:
            return
        with self._starting:
            if self._watcher is not None or self._closing:
                return
            if not self._store.dialect.in_memory:
                self._hints = Hints(self._store.store_id, self._heard)
                self._hints.start()
            self._watcher = threading.Thread(target=self._watch, name="assay-watcher", daemon=True)
            self._watcher.start()

    def close(self) -> None:
        """Stop listening and watching."""
        with self._starting:
            self._closing = True
            self._look.set()
        if self._hints is not None:
            self._hints.close()
        if self._watcher is not None:
            self._watcher.join()

    def committed(self, left: Left) -> None:
        """Wake as many waiters as a commit left work for; tell the other processes of the rest."""
        self.start()
        told = []
        for (kind, namespace, queue), count in left.ready.items():
            woken = self._wake(kind, namespace, queue, count)
            if woken < count:
                told.append((kind, namespace, queue, count - woken))
        if left.soonest_deadline is not None and left.soonest_deadline < self._store.now_here() + LOOK_EVERY_SECS:
            self.waiters.wake(SIDECAR, MANY)
            told.append((*SIDECAR, 1))
        if left.notices:
            self.waiters.wake(NOTICES)
            # Who reads the feed in another process looks on for as long as it finds something: now and then will do.
            now = time.monotonic()
            if now - self._told_at >= TELL_EVERY_SECS:
                self._told_at = now
                told.append((*NOTICES, 1))
        if told and self._hints is not None:
            self._hints.send(told)

    def look(self) -> None:
        """Look for ready work now, and for what is new in the feed."""
        self._look.set()
        self.waiters.wake(NOTICES)

    def _heard(self, hints: Iterable[Hint]) -> None:
        for kind, namespace, queue, count in hints:
            self._wake(kind, namespace, queue, count)

    def _wake(self, kind: str, namespace: str, queue: str, count: int) -> int:
        """Wake those who wait for this queue, then those who wait for it in any namespace."""
        woken = self.waiters.wake(Key(kind, namespace, queue), count)
        if woken < count and namespace != ANY:
            woken += self.waiters.wake(Key(kind, ANY, queue), count - woken)
        return woken

    def _watch(self) -> None:
        pause = LOOK_EVERY_SECS
        while not self._closing:
            self._look.wait(pause)
            self._look.clear()
            try:
                pause = self._look_once()
                self._at_each_look()
            except Exception as error:  # noqa: BLE001 - the database may be away: look again
                log.warning("looking for ready work failed reason=%s", error)
                pause = LOOK_EVERY_SECS

    def _look_once(self) -> float:
        """Wake whoever's work is due. Returns the seconds until the next look."""
        keys = [key for key in self.waiters.waited_for() if key.kind in ("workflow", "activity")]
        if not keys:
            return LOOK_EVERY_SECS
        now = self._store.now()
        soonest = now + LOOK_EVERY_SECS
        with self._store.read() as db:
            for kind in ("workflow", "activity"):
                queues = {(key.namespace, key.queue) for key in keys if key.kind == kind}
                if any(namespace == ANY for namespace, _ in queues):
                    queues = _in_all(queues, reads.namespaces(db))
                if not queues:
                    continue
                for (namespace, queue), moment in reads.next_ready(db, kind, queues).items():
                    if moment <= now:
                        self._wake(kind, namespace, queue, MANY)
                    else:
                        soonest = min(soonest, moment)
        return max(soonest - now, 0.001)


def _in_all(queues: Iterable[tuple[str, str]], namespaces: Sequence[str]) -> set[tuple[str, str]]:
    """Write each queue that is waited for in any namespace as that queue in each of them."""
    return {(name, queue) for namespace, queue in queues for name in (namespaces if namespace == ANY else (namespace,))}
