"""Who was seen when: workers, polled queues, API keys, written at most every so often each; and who was refused.

All of it waits here until some unit takes it along; nobody's answer waits for it. A row that somebody
else holds is left out: it will be seen again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from dataclasses import field

from ..domain.model import ENDED
from ..domain.model import Deed
from .connection import Connection
from .mapping import DEEDS
from .mapping import QUEUES
from .mapping import QueueRow

log = logging.getLogger(__name__)

EVERY_SECS = 10.0
KEY_EVERY_SECS = 60.0
REFUSALS_AT_MOST = 1000  # that wait; a flood of them must not fill the memory
_REMEMBERED_AT_MOST = 10_000


@dataclass(slots=True)
class Beats:
    """What one unit takes along."""

    workers: set[tuple[str, str]] = field(default_factory=set)  # (namespace, worker_id)
    queues: set[tuple[str, str]] = field(default_factory=set)  # (namespace, queue)
    keys: set[str] = field(default_factory=set)  # hashes of API keys
    refusals: list[Deed] = field(default_factory=list)
    left_out: int = 0  # refusals for which there was no room

    def any(self) -> bool:
        """Say whether there is anything to be written."""
        return bool(self.workers or self.queues or self.keys or self.refusals)

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
        if self.keys:
            _write_keys(db, self.keys, now)
        if self.refusals:
            db.dialect.insert(db, DEEDS, self.refusals)
        if self.left_out:
            log.warning("left out of the audit log, for want of room: refusals=%s", self.left_out)


_SEEN = (("namespace", "text"), ("name", "text"), ("seen", "double precision"))


def _free(db: Connection, table: str, column: str, seen: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Lock those of the rows that are there and nobody holds."""
    rows = db.rows(
        f"SELECT t.namespace, t.{column} FROM {table} t WHERE (t.namespace, t.{column}) IN "
        f"(SELECT x.namespace, x.name FROM {db.dialect.records(_SEEN[:2])}) {db.dialect.claim_lock('t')}",
        (db.dialect.records_of(("namespace", "name"), sorted(seen)),),
    )
    return {(namespace, name) for namespace, name in rows}


def _write_keys(db: Connection, hashes: set[str], now: float) -> None:
    these = db.dialect.in_list("k.key_hash")
    free = db.rows(
        f"SELECT k.key_hash FROM api_keys k WHERE {these} {db.dialect.claim_lock('k')}",
        (db.dialect.list_of(sorted(hashes)),),
    )
    used = db.dialect.list_of(sorted(key_hash for (key_hash,) in free))
    db.run(f"UPDATE api_keys SET last_used_at = ? WHERE {db.dialect.in_list('key_hash')}", (now, used))


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
            if self._is_due(EVERY_SECS, "worker", namespace, worker_id) or revive:
                self._due.workers.add((namespace, worker_id))

    def queue_polled(self, namespace: str, queue: str) -> None:
        """Note that a worker asked for work of a queue."""
        with self._lock:
            if self._is_due(EVERY_SECS, "queue", namespace, queue):
                self._due.queues.add((namespace, queue))

    def key_used(self, key_hash: str) -> None:
        """Note that an API key opened the door."""
        with self._lock:
            if self._is_due(KEY_EVERY_SECS, "key", key_hash):
                self._due.keys.add(key_hash)

    def refused(self, deed: Deed) -> None:
        """Note for the audit log that somebody was refused something."""
        with self._lock:
            if len(self._due.refusals) < REFUSALS_AT_MOST:
                self._due.refusals.append(deed)
            else:
                self._due.left_out += 1

    @property
    def pending(self) -> bool:
        """Whether something waits to be written."""
        return self._due.any()

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
            self._due.keys |= beats.keys
            self._due.refusals[:0] = beats.refusals
            self._due.left_out += beats.left_out

    def _is_due(self, every_secs: float, *key: str) -> bool:
        at = time.monotonic()
        if at - self._written.get(key, float("-inf")) < every_secs:
            return False
        if len(self._written) > _REMEMBERED_AT_MOST:
            self._written.clear()
        self._written[key] = at
        return True
