"""The engine: what a program needs of assay-wsgi, without HTTP.

    engine = Engine.open("sqlite:///srv/flow.db")
    engine.workflows.start(StartRun(workflow_type="Ingest", workflow_id="ingest-7"))

It starts a committer and a watcher and nothing else: leases run out by a sidecar, or by
`engine.upkeep.run` in a thread of the program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..settings import EngineSettings
from ..settings import Settings
from ..store.dialect import Wrap
from ..store.store import Store
from ..version import __version__
from .activities import Activities
from .committer import Committer
from .handout import Handout
from .namespaces import Namespaces
from .namespaces import Queues
from .tasks import Tasks
from .upkeep import Upkeep
from .wakeups import Wakeups
from .workers import Workers
from .workflows import Workflows


class Engine:
    """One engine on one database. Safe to use from many threads; not across a fork."""

    version = __version__

    def __init__(self, store: Store) -> None:
        self.store = store
        self._draining = threading.Event()
        self._wakeups = Wakeups(store, at_each_look=self._write_beats)
        self.committer = Committer(store, on_commit=self._wakeups.committed)
        self.workflows = Workflows(store, self.committer, self.version)
        handout = Handout(store, self.committer, self._wakeups, self._draining)
        self.workers = Workers(store, self.committer, self._wakeups, handout, self._draining)
        self.tasks = Tasks(store, self.committer, self._wakeups, handout, self._draining)
        self.activities = Activities(store, self.committer)
        self.namespaces = Namespaces(store, self.committer)
        self.queues = Queues(store)
        self.upkeep = Upkeep(store, self.committer, self._wakeups)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        settings: Settings | EngineSettings | None = None,
        clock: Callable[[], float] | None = None,
        wrap: Wrap | None = None,
    ) -> Engine:
        """Open an engine on a database URL; an empty database is made ready.

        `clock` gives seconds since the epoch, for tests. `wrap` takes each driver connection and gives
        one that behaves like it, for fault tests. Raises ValueError, SchemaMismatch, Unavailable.
        """
        chosen = settings.engine if isinstance(settings, Settings) else settings
        return cls(Store.open(url, clock=clock, wrap=wrap, settings=chosen))

    def close(self) -> None:
        """Close everything. Requests under way should have ended: see `drain`."""
        self.drain()
        self._wakeups.close()
        self.committer.close()
        self.store.close()

    def drain(self) -> None:
        """Begin to stop: those who wait for work are answered at once, and nobody gets any more."""
        self._draining.set()
        self._wakeups.waiters.wake_all()

    @property
    def draining(self) -> bool:
        """Whether the engine is about to stop."""
        return self._draining.is_set()

    def wake(self) -> None:
        """Look for ready work now: for programs that wrote to the database themselves."""
        self._wakeups.start()
        self._wakeups.look()

    def health(self) -> dict[str, Any]:
        """Ask the database for a sign of life. Raises Unavailable."""
        with self.store.read() as db:
            db.one("SELECT 1")
        return {"database": "ok"}

    def _write_beats(self) -> None:
        """Write who was seen, where no unit took it along."""
        if self.store.liveness.pending and not self._draining.is_set():
            self.committer.submit(())
