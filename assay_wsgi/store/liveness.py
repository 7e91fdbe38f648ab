"""Who was seen when: workers and polled queues, written at most every ten seconds each.

The beats wait here until some unit takes them along; nobody's answer waits for them. A row that somebody
else holds is left out: it will be seen again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from dataclasses import field

from ..domain.model import ENDED
from .connection import Connection
from .mapping import QUEUES
from .mapping import QueueRow

EVERY_SECS = 10.0
_REMEMBERED_AT_MOST = 10_000


@dataclass(slots=True)
class Beats:
    """What one unit takes along."""

    workers: set[tuple[str, str]] = field(default_factory=set)  # (namespace, worker_id)
    queues: set[tuple[str, str]] = field(default_factory=set)  # (namespace, queue)

    def write(self, db: Connection, now: float) -> None:
        """Write them, passing over rows that are held."""
        if self.workers:
            free = _free(db, "workflow_workers", "worker_id", self.workers)
            db.run(
                "UPDATE workflow_workers SET last_seen = x.seen, retired_at = NULL FROM "
                f"{db.dialect.records(_SEEN)} "
                "WHERE workflow_workers.namespace = x.namespace AND workflow_workers.worker_id = x.name "
                f"AND (session IS NULL OR substr(session, 1, 1) <> '{ENDED}')",
                (_parameter(db, free, now),),
            )
        if self.queues:
            free = _free(db, "queues", "task_queue", self.queues)
            db.run(
                f"UPDATE queues SET last_poll_at = x.seen FROM {db.dialect.records(_SEEN)} "
                "WHERE queues.namespace = x.namespace AND queues.task_queue = x.name",
                (_parameter(db, free, now),),
            )
            new = [QueueRow(*key, now) for key in sorted(self.queues - free)]
            if new:
                db.dialect.insert(db, QUEUES, new)


_SEEN = (("namespace", "text"), ("name", "text"), ("seen", "double precision"))


def _free(db: Connection, table: str, column: str, seen: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Lock those of the rows that are there and nobody holds."""
    rows = db.rows(
        f"SELECT t.namespace, t.{column} FROM {table} t WHERE (t.namespace, t.{column}) IN "
        f"(SELECT x.namespace, x.name FROM {db.dialect.records(_SEEN[:2])}) {db.dialect.claim_lock('t')}",
        (db.dialect.records_of(("namespace", "name"), sorted(seen)),),
    )
    return {(namespace, name) for namespace, name in rows}


def _parameter(db: Connection, free: set[tuple[str, str]], now: float) -> str:
    return db.dialect.records_of(("namespace", "name", "seen"), [(*key, now) for key in sorted(free)])


class Liveness:
    """The beats of this process that are due."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = Beats()
        self._written: dict[tuple[str, ...], float] = {}

    def worker_seen(self, namespace: str, worker_id: str, *, revive: bool = False) -> None:
        """Note that a worker was heard of; one that must be revived is written at the next chance."""
        with self._lock:
            if self._is_due(("worker", namespace, worker_id)) or revive:
                self._due.workers.add((namespace, worker_id))

    def queue_polled(self, namespace: str, queue: str) -> None:
        """Note that a worker asked for work of a queue."""
        with self._lock:
            if self._is_due(("queue", namespace, queue)):
                self._due.queues.add((namespace, queue))

    @property
    def pending(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._due.workers or self._due.queues)

    def take(self) -> Beats:
        """Take what is due."""
        with self._lock:
            beats, self._due = self._due, Beats()
            return beats

    def give_back(self, beats: Beats) -> None:
        """Put back what a unit that was rolled back had taken."""
        with self._lock:
            self._due.workers |= beats.workers
            self._due.queues |= beats.queues

    def _is_due(self, key: tuple[str, ...]) -> bool:
        at = time.monotonic()
        if at - self._written.get(key, float("-inf")) < EVERY_SECS:
            return False
        if len(self._written) > _REMEMBERED_AT_MOST:
            self._written.clear()
        self._written[key] = at
        return True
