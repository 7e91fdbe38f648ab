"""What time does: leases and attempts that run out, workers that fall silent, rows that have served.

Each duty is a bounded pass; whoever calls it (the sidecar, an embedder's thread, a test) decides when.
Several may do it at once: each row is decided again in its unit, under its run's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from ..domain.errors import AssayError
from ..store import pruning
from ..store import reads
from ..store.store import Store
from .committer import Committer
from .operations import ExpireActivity
from .operations import ExpireTask
from .operations import GiveBackActivity
from .operations import GiveBackTask
from .operations import Operation
from .operations import RetireWorker
from .wakeups import SIDECAR
from .wakeups import Wakeups

log = logging.getLogger(__name__)

PASS = 200  # rows
LOOK_EVERY_SECS = 1.0
_RETIRE_EVERY_SECS = 5.0
_PRUNE_EVERY_SECS = 60.0


class Upkeep:
    """The duties of the sidecar."""

    def __init__(self, store: Store, committer: Committer, wakeups: Wakeups) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups

    def expire(self, limit: int = PASS) -> int:
        """Take back leases and end attempts whose deadline is due. Returns how many rows were looked at."""
        now = self._store.now()
        with self._store.read() as db:
            runs = reads.due_tasks(db, now, limit)
            attempts = reads.due_activities(db, now, limit)
        expired = self._done([*map(ExpireTask, runs), *map(ExpireActivity, attempts)])
        if expired:
            log.info("leases taken back and attempts ended count=%s", expired)
        return len(runs) + len(attempts)

    def retire_dead_workers(self, limit: int = PASS) -> int:
        """Retire workers that are silent, free what retired ones hold. Returns how many workers were retired."""
        since = self._store.now() - self._store.settings.worker_silence_secs
        with self._store.read() as db:
            silent = reads.silent_workers(db, since, limit)
        retired = self._done([RetireWorker(namespace, worker_id, since) for namespace, worker_id in silent])
        if retired:
            log.info("silent workers retired count=%s", retired)
        with self._store.read() as db:
            runs = reads.leases_of_retired(db, "workflow", limit)
            attempts = reads.leases_of_retired(db, "activity", limit)
        freed = self._done(
            [
                *(GiveBackTask(lease.key, lease.token_hash, (lease.namespace, lease.owner)) for lease in runs),
                *(GiveBackActivity(lease.key, lease.token_hash, (lease.namespace, lease.owner)) for lease in attempts),
            ]
        )
        if freed:
            log.info("leases of retired workers freed count=%s", freed)
        return retired

    def prune(self) -> int:
        """Remove what has served: stored answers, notices, rows of closed connections. Returns how many rows."""
        now = self._store.now()
        removed = 0
        for remove in pruning.DUTIES:
            with self._store.administer() as db:
                removed += remove(db, now, self._store.settings)
        if removed:
            log.info("rows pruned count=%s", removed)
        return removed

    def next_deadline(self) -> float | None:
        """Give the earliest deadline, on the store's clock."""
        with self._store.read() as db:
            return reads.next_deadline(db)

    def wait(self, timeout_secs: float) -> bool:
        """Wait until a unit wrote a deadline that is near, or time is up. Returns whether one did."""
        self._wakeups.start()
        with self._wakeups.waiters.wait_for([SIDECAR]) as waiter:
            return waiter.wait(timeout_secs)

    def run(self, stop: threading.Event) -> None:
        """Do all duties until `stop` is set: for programs that embed the engine and run no sidecar."""
        retired = pruned = float("-inf")
        while not stop.is_set():
            at = time.monotonic()
            try:
                self.expire()
                if at - retired >= _RETIRE_EVERY_SECS:
                    retired = at
                    self.retire_dead_workers()
                if at - pruned >= _PRUNE_EVERY_SECS:
                    pruned = at
                    self.prune()
            except Exception:
                log.exception("upkeep failed, it goes on")
            stop.wait(LOOK_EVERY_SECS)

    def _done(self, operations: Sequence[Operation]) -> int:
        """Have operations done; count those that found their row still due. One bad row stops no other."""
        if not operations:
            return 0
        done = 0
        for operation, outcome in zip(operations, self._committer.submit(operations), strict=True):
            if outcome.error is None:
                done += bool(outcome.answer)
            elif isinstance(outcome.error, AssayError):
                log.warning("%s left for the next pass reason=%s", operation, outcome.error)
            else:
                log.error("%s failed", operation, exc_info=outcome.error)
        return done
