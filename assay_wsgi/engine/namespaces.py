"""Namespaces and queues, for those who look after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.errors import NotFound
from ..store import reads
from ..store.store import Store
from ..store.tables import Namespace as NamespaceTable
from .committer import Committer
from .operations import CreateNamespace


class Namespaces:
    """The namespaces of an engine. `main` is always there."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer

    def create(self, name: str) -> dict[str, Any]:
        """Make a namespace. Raises NamespaceExists."""
        answer: dict[str, Any] = self._committer.do(CreateNamespace(name, self._exists(name)))
        return answer

    def list(self) -> Sequence[dict[str, Any]]:
        """Give all namespaces by name: name, created_at."""
        query = NamespaceTable.select().order_by(NamespaceTable.name).dicts()
        with self._store.read() as db:
            return [dict(row) for row in query.execute(db.database)]

    def stats(self, name: str) -> dict[str, Any]:
        """Count a namespace's runs by status, its schedules and workers. Raises NotFound."""
        if not self._exists(name):
            raise NotFound(f"not found: namespace {name}", code="namespace_not_found")
        with self._store.read() as db:
            by_status, schedules, workers = reads.namespace_counts(db, name)
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

    def _exists(self, name: str) -> bool:
        with self._store.read() as db:
            return db.one("SELECT 1 FROM namespaces WHERE name = ?", (name,)) is not None


class Queues:
    """The task queues of an engine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stats(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Count, per queue, what waits and runs, its workers, and since when the oldest task is ready."""
        with self._store.read() as db:
            return [dict(row) for row in reads.queue_stats(db, namespace)]
