"""Namespaces and queues, for those who look after them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..domain.errors import IdempotencyKeyReused
from ..domain.errors import NamespaceNotEmpty
from ..domain.errors import NamespaceProtected
from ..domain.errors import NotFound
from ..domain.model import OPEN
from ..domain.model import Status
from ..domain.requests import MAIN
from ..domain.requests import Idempotency
from ..jsontext import loads
from ..store import queues
from ..store import reads
from ..store import schedule_reads
from ..store.connection import Connection
from ..store.store import Store
from ..store.tables import Namespace as NamespaceTable
from .committer import Committer
from .operations import CreateNamespace
from .operations import DeleteNamespace
from .operations import DropRun
from .operations import DropSchedule
from .operations import Keyed
from .operations import TerminateRun

PASS = 100  # runs
MANY = 100_000  # closed runs: to count so many takes longer than to answer
KEPT_SECS = 5.0  # how long the count of so many holds
EMPTYING_SECS = 10.0  # how long one call empties a namespace


class Namespaces:
    """The namespaces of an engine. `main` is always there."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer
        self._counted: dict[str, tuple[float, dict[str, int]]] = {}  # namespace: when, its many closed runs by status

    def create(self, name: str, *, idempotency: Idempotency | None = None) -> dict[str, Any]:
        """Make a namespace. Raises NamespaceExists, IdempotencyKeyReused."""
        operation = Keyed.of(CreateNamespace(name), idempotency, self._store.settings)
        answer: dict[str, Any] = self._committer.do(operation)
        return answer

    def list(
        self, *, among: frozenset[str] | None = None, limit: int = 1000, offset: int = 0
    ) -> Sequence[dict[str, Any]]:
        """Give the namespaces by name, or those `among` them that are there: name, created_at."""
        query = NamespaceTable.select().order_by(NamespaceTable.name).limit(limit).offset(offset).dicts()
        if among is not None:
            query = query.where(NamespaceTable.name.in_(sorted(among)))
        with self._store.read() as db:
            return [dict(row) for row in query.execute(db.database)]

    def stats(self, name: str) -> dict[str, Any]:
        """Count a namespace's runs by status, its schedules and workers. Raises NotFound.

        Of more than a hundred thousand closed runs the counts may be five seconds old; all others are those of now.
        """
        with self._store.read() as db:
            if db.one("SELECT 1 FROM namespaces WHERE name = ?", (name,)) is None:
                raise NotFound(f"not found: namespace {name}", code="namespace_not_found")
            by_status = reads.runs_by_status(db, name, sorted(OPEN)) | self._closed(db, name)
            schedules, workers = reads.namespace_counts(db, name)
        return {
            "namespace": name,
            "total_workflows": sum(by_status.values()),
            "running": by_status.get("RUNNING", 0),
            "pending": by_status.get("PENDING", 0),
            "completed": by_status.get("COMPLETED", 0),
            "failed": by_status.get("FAILED", 0),
            "cancelled": by_status.get("CANCELLED", 0),
            "timed_out": by_status.get("TIMED_OUT", 0),
            "schedules": schedules,
            "workers": workers,
        }

    def _closed(self, db: Connection, name: str) -> dict[str, int]:
        """Count the closed runs; whoever asks again soon gets the count of many again."""
        at, counts = self._counted.get(name, (float("-inf"), {}))
        if time.monotonic() - at < KEPT_SECS:
            return counts
        counts = reads.runs_by_status(db, name, sorted(set(Status) - OPEN))
        self._counted.pop(name, None)
        if sum(counts.values()) > MANY:
            self._counted[name] = time.monotonic(), counts
        return counts

    def delete(self, name: str, *, idempotency: Idempotency | None = None) -> dict[str, Any]:
        """Remove a namespace that holds neither runs nor schedules.

        Raises NotFound, NamespaceNotEmpty, NamespaceProtected, IdempotencyKeyReused.
        """
        self._refuse_main(name)
        self._counted.pop(name, None)
        answer: dict[str, Any] = self._committer.do(Keyed.of(DeleteNamespace(name), idempotency, self._store.settings))
        return answer

    def delete_with_all(self, name: str, *, idempotency: Idempotency | None = None) -> dict[str, Any]:
        """Remove all schedules of a namespace, terminate and remove its runs, in bounded units, then itself.

        Works for ten seconds at most; `done` says whether it came to the end, else call again. Raises as `delete`.
        """
        self._refuse_main(name)
        self._counted.pop(name, None)
        before = self._answered(idempotency)
        if before is not None:  # what has come into the namespace since is not what the caller meant
            return before
        until = time.monotonic() + EMPTYING_SECS
        removed = 0
        while True:
            with self._store.read() as db:
                planned = schedule_reads.keys_in(db, name, PASS)
                runs = reads.runs_in(db, name, PASS)
            if planned:  # they go first: no tick starts another run
                self._committer.submit([DropSchedule(schedule_key) for schedule_key in planned])
            elif not runs:
                try:
                    last = DeleteNamespace(name, told={"deleted_workflows": removed})
                    answer: dict[str, Any] = self._committer.do(Keyed.of(last, idempotency, self._store.settings))
                    return answer
                except NamespaceNotEmpty:  # somebody begins runs in it all the time
                    if time.monotonic() > until:
                        raise
                    continue
            if time.monotonic() > until:
                return {"ok": True, "done": False, "deleted_workflows": removed}
            removed += self._remove(name, runs)

    def _remove(self, name: str, runs: Sequence[reads.RunInNamespace]) -> int:
        """Terminate those that are open, then drop all. Returns how many were dropped."""
        reason = f"namespace {name} is deleted"
        self._committer.submit(
            [TerminateRun(name, run.workflow_id, run.run_key, run.run_id, reason, None) for run in runs if run.open]
        )
        outcomes = self._committer.submit([DropRun(run.run_key) for run in runs])
        return sum(outcome.error is None and bool(outcome.answer) for outcome in outcomes)

    def _answered(self, idempotency: Idempotency | None) -> dict[str, Any] | None:
        """Give the answer that this key has had already. Raises IdempotencyKeyReused."""
        if idempotency is None:
            return None
        with self._store.read() as db:
            found = reads.stored_answer(db, idempotency.scope, idempotency.key)
        if found is None:
            return None
        if found[0] != idempotency.hash:
            raise IdempotencyKeyReused("this Idempotency-Key was used for another request")
        answer: dict[str, Any] = loads(found[1])
        return answer

    def _refuse_main(self, name: str) -> None:
        if name == MAIN:
            raise NamespaceProtected(f"namespace {MAIN} is always there: it cannot be deleted")


class Queues:
    """The task queues of an engine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stats(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Count, per queue, what waits and runs, its workers, and since when the oldest task is ready."""
        with self._store.read() as db:
            heard_since = self._store.now() - self._store.settings.worker_quiet_secs
            return [dict(row) for row in queues.stats(db, namespace, heard_since)]

    def backlog(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Tell, per queue that has any, what waits and what fails, by type, and how many live workers take it."""
        with self._store.read() as db:
            now = self._store.now()
            return [
                dict(row) for row in queues.backlog(db, namespace, now - self._store.settings.worker_quiet_secs, now)
            ]
