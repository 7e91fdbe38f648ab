"""The engine: what a program needs of assay-wsgi, without HTTP.

    engine = Engine.open("sqlite:///srv/flow.db")
    engine.workflows.start("Ingest", "ingest-7", input={"n": 1})

It starts a committer and a watcher and nothing else: timers fire and leases run out by a sidecar, or by a
thread of the program's own: `Engine.open(url, upkeep=True)`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import peewee

from ..domain.errors import AssayError
from ..domain.model import Deed
from ..settings import EngineSettings
from ..settings import Settings
from ..store.dialect import Wrap
from ..store.guest import Guest
from ..store.store import Store
from ..version import __version__
from .activities import Activities
from .audit import Audit
from .committer import Committer
from .feed import Feed
from .handout import Handout
from .keys import ApiKeys
from .namespaces import Namespaces
from .namespaces import Queues
from .schedules import Schedules
from .steering import Names
from .steering import Steering
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
        self._names = Names(store.now_here)
        self.workflows = Workflows(store, self.committer, self._names)
        handout = Handout(store, self.committer, self._wakeups, self._draining)
        self.workers = Workers(store, self.committer, self._wakeups, handout, self._draining)
        self.tasks = Tasks(store, self.committer, self._wakeups, handout, self._draining)
        self.activities = Activities(store, self.committer)
        self.namespaces = Namespaces(store, self.committer)
        self.queues = Queues(store)
        self.schedules = Schedules(store, self.committer)
        self.audit = Audit(store)
        self.api_keys = ApiKeys(store, self.committer)
        self.feed = Feed(store, self._wakeups, self._draining)
        self.upkeep = Upkeep(store, self.committer, self._wakeups)
        self._stop_upkeep = threading.Event()
        self._upkeep_thread: threading.Thread | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        settings: Settings | EngineSettings | None = None,
        clock: Callable[[], float] | None = None,
        wrap: Wrap | None = None,
        upkeep: bool = False,
    ) -> Engine:
        """Open an engine on a database URL; an empty database is made ready.

        `upkeep` does the sidecar's duties in a thread of this process until `close`: timers, time-outs, leases.
        `clock` gives seconds since the epoch, for tests. `wrap` takes each driver connection and gives
        one that behaves like it, for fault tests. Raises ValueError, SchemaMismatch, Unavailable.
        """
        chosen = settings.engine if isinstance(settings, Settings) else settings
        engine = cls(Store.open(url, clock=clock, wrap=wrap, settings=chosen))
        if upkeep:
            engine._begin_upkeep()
        return engine

    def close(self) -> None:
        """Close everything. Requests under way should have ended: see `drain`."""
        self.drain()
        if self._upkeep_thread is not None:
            self._stop_upkeep.set()
            self.upkeep.look()
            self._upkeep_thread.join()
        self.feed.close()
        self._wakeups.close()
        with contextlib.suppress(AssayError):  # what is lost then nobody was promised
            self._write_beats()
        self.committer.close()
        self.store.close()

    def drain(self) -> None:
        """Begin to stop: those who wait for work are answered at once, and nobody gets any more."""
        self._draining.set()
        self._wakeups.waiters.wake_all()
        self.feed.drain()

    @property
    def draining(self) -> bool:
        """Whether the engine is about to stop."""
        return self._draining.is_set()

    @contextlib.contextmanager
    def transaction(self, db: peewee.Database | peewee.Proxy) -> Iterator[Steering]:
        """Begin a transaction on a program's own database, for its rows and runs together; commit it at the end.

        On SQLite it waits for its turn among all writers. `with engine.transaction(db) as flow:` gives what
        `within` gives. Any exception rolls all of it back. Raises WrongTransaction, StoreBusy.
        """
        guest = self._guest(db)
        with guest.begun():
            yield Steering(guest, self._names, self.store.settings)

    def within(self, db: peewee.Database | peewee.Proxy) -> Steering:
        """Start and steer runs inside the transaction that a program has begun on its own database.

        What it does is committed or rolled back with that transaction; a refusal leaves the transaction usable.
        Raises WrongTransaction where `db` cannot carry it; its methods raise that outside a transaction, and
        StoreBusy where somebody is in the way.
        """
        return Steering(self._guest(db), self._names, self.store.settings)

    def wake(self) -> None:
        """Look for ready work now: for programs that wrote to the database themselves."""
        self._wakeups.start()
        self._wakeups.look()

    def note_refusal(self, deed: Deed) -> None:
        """Have the audit log say that somebody was refused something, within a second or so."""
        self.store.liveness.refused(deed)
        self._wakeups.start()

    def health(self) -> dict[str, Any]:
        """Ask the database for a sign of life. Raises Unavailable."""
        with self.store.read() as db:
            db.one("SELECT 1")
        return {"database": "ok"}

    def _guest(self, db: peewee.Database | peewee.Proxy) -> Guest:
        return Guest(self.store, db, on_commit=self.committer.tell)

    def _begin_upkeep(self) -> None:
        self._upkeep_thread = threading.Thread(
            target=self.upkeep.run, args=(self._stop_upkeep,), name="assay-upkeep", daemon=True
        )
        self._upkeep_thread.start()

    def _write_beats(self) -> None:
        """Write who was seen, where no unit took it along."""
        if self.store.liveness.pending:
            self.committer.submit(())
