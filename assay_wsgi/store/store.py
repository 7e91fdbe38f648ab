"""The store: opens a database, lends connections for reading, makes writers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import cast

from ..domain.errors import StoreBusy
from ..domain.errors import TooSlow
from ..domain.errors import Unavailable
from ..settings import BackendUrl
from ..settings import EngineSettings
from . import lives
from . import schema
from .claims import Floors
from .connection import Connection
from .dialect import Dialect
from .dialect import Trouble
from .dialect import Wrap
from .leases import Leases
from .liveness import Liveness
from .postgres import Postgres
from .sqlite import Sqlite
from .turnstile import Turnstile
from .writer import KEY_BLOCK
from .writer import Writer
from .writer import moment
from .writer import take_keys

Clock = Callable[[], float]

SEARCH_SECS = 10.0  # PostgreSQL's readers are stopped by their own time-out
_NARROWER = (
    f"this search was stopped after {SEARCH_SECS:g} s: it reads too many runs. Ask for less: a search attribute by =, "
    "Status, WorkflowType, a short span of StartTime or CloseTime, or the beginning of WorkflowId"
)


class Store:
    """One database of one process."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        clock: Clock | None = None,
        wrap: Wrap | None = None,
        settings: EngineSettings | None = None,
    ) -> None:
        self.dialect = dialect
        self.settings = settings or EngineSettings()
        self.floors = Floors(kept=not dialect.writers_queue)
        self.liveness = Liveness()
        self._clock = clock
        self._wrap = wrap
        self._shared: Connection | None = None  # :memory: lives in one connection
        self._shared_lock = threading.RLock()
        self._free: list[Connection] = []
        self._slots = threading.BoundedSemaphore(1 if dialect.in_memory else self.settings.read_connections)
        self._administration = threading.Lock()
        self._administrator: Writer | None = None
        self._spare_keys: range = range(0)
        self._spare_keys_lock = threading.Lock()
        self.leases = Leases(now=self.now, read=self.read, administer=self.administer)
        self.store_id = ""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Clock | None = None,
        wrap: Wrap | None = None,
        settings: EngineSettings | None = None,
    ) -> Store:
        """Open a database; make its tables where it is empty, migrate it where it is a file.

        Raises ValueError for a URL that cannot be read, SchemaMismatch, Unavailable.
        """
        backend = BackendUrl.parse(url)
        dialect: Dialect = Sqlite(backend.path) if backend.dialect == "sqlite" else Postgres(backend.dsn)
        store = cls(dialect, clock=clock, wrap=wrap, settings=settings)
        store._prepare()
        return store

    def close(self) -> None:
        """Close all connections that are not lent out."""
        self._forget_idle()
        with self._administration:
            if self._administrator is not None:
                self._administrator.close()
                self._administrator = None
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def now(self) -> float:
        """Read the clock that events, leases and deadlines go by."""
        statement = self.dialect.clock()
        if self._clock is not None:
            return self._clock()
        if statement is None:
            return time.time()
        with self.read() as db:
            return float(db.one("SELECT extract(epoch FROM clock_timestamp())::float8")[0])

    def now_here(self) -> float:
        """Read this host's clock (or the one that was set): good enough for a hint, and free."""
        return (self._clock or time.time)()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection for reading. Raises Unavailable where the database does not answer, or not in time."""
        if self.dialect.in_memory:
            with self._shared_lock:
                yield self._connection("writer")
            return
        with self._slots:
            db = self._borrow()
            try:
                yield db
            except BaseException as error:
                db.close()
                if isinstance(error, Exception) and self.dialect.trouble(error) is Trouble.LOST:
                    self._forget_idle()
                    raise Unavailable("the database does not answer") from error
                if self.dialect.stopped(error):
                    raise Unavailable("the database took too long over this, and was stopped: try again") from error
                raise
            self._free.append(db)

    @contextlib.contextmanager
    def search(self) -> Iterator[Connection]:
        """Lend a connection for a search, which is stopped after ten seconds. Raises TooSlow, Unavailable."""
        with self.read() as db:
            self.dialect.bound(db, SEARCH_SECS)
            try:
                yield db
            except Exception as error:
                if self.dialect.stopped(error):
                    raise TooSlow(_NARROWER) from error
                raise
            finally:
                if db.usable:
                    self.dialect.bound(db, None)

    def writer(self, role: Literal["writer", "slow"] = "writer") -> Writer:
        """Make a writer with a connection, a place in the turnstile and keys of its own."""
        return Writer(lambda: self._connection(role), self.dialect, self._turnstile(), self._clock)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the turn to write, for a program that writes on a connection of its own."""
        turnstile = self._turnstile()
        try:
            with turnstile:
                yield
        finally:
            if isinstance(turnstile, Turnstile):
                turnstile.close()

    def take_keys(self, count: int, db: Connection | None) -> Sequence[int]:
        """Take new keys: in the transaction of `db`, or without one for good, whatever becomes of them."""
        if db is not None:
            return take_keys(db, count)
        with self._spare_keys_lock:
            if len(self._spare_keys) < count:
                with self.administer() as own:
                    self._spare_keys = take_keys(own, max(KEY_BLOCK, count))
            taken, self._spare_keys = self._spare_keys[:count], self._spare_keys[count:]
            return taken

    def moment(self, db: Connection, read: tuple[float, int] | None = None) -> tuple[float, int]:
        """Give the clock and the transaction's mark (0 where there is none); `read` = they were read already."""
        return moment(self.dialect, self._clock, db, read)

    def _turnstile(self) -> contextlib.AbstractContextManager[Any]:
        if self.dialect.in_memory:
            return self._shared_lock
        if self.dialect.writers_queue:
            return Turnstile(cast(Sqlite, self.dialect).path)
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def administer(self) -> Iterator[Connection]:
        """Lend a connection for a small write outside the committer, in a transaction of its own.

        For leases, pruning and administration only: state of runs is written by units of work.
        """
        with self._administration:
            if self._administrator is None:
                self._administrator = self.writer("slow")
            try:
                with self._administrator.transaction() as db:
                    yield db
            except Exception as error:
                if self.dialect.trouble(error) is Trouble.LOST:
                    raise Unavailable("the database does not answer") from error
                if self.dialect.trouble(error) in (Trouble.CONFLICT, Trouble.HELD):
                    raise StoreBusy("rows that this needs are held by somebody else: try again") from error
                raise

    def _borrow(self) -> Connection:
        if self._free:
            return self._free.pop()
        try:
            return self._connection("reader")
        except Exception as error:
            raise Unavailable("the database does not answer") from error

    def _forget_idle(self) -> None:
        """After one connection was lost the idle ones are gone too, more likely than not."""
        while self._free:
            self._free.pop().close()

    def _connection(self, role: str) -> Connection:
        if not self.dialect.in_memory:
            return Connection(self.dialect, self.dialect.database(self._wrap, role=role))
        if self._shared is None:
            self._shared = Connection(self.dialect, self.dialect.database(self._wrap, role=role))
        return self._shared

    def _prepare(self) -> None:
        name = cast(Literal["sqlite", "postgres"], self.dialect.name)
        writer = self.writer()
        try:
            with writer.alone() as db:
                schema.create(db.database, name, now=self._clock() if self._clock else time.time())
                if self.dialect.writers_queue:
                    schema.migrate(db.database, name)
                schema.verify(db.database, name)
                self._begin_life(db)
                self.store_id = db.one("SELECT value FROM meta WHERE name = 'store_id'")[0]
                self.dialect.check_durability(db)
        except Exception as error:
            if self.dialect.trouble(error) is Trouble.LOST:
                raise Unavailable(f"the database does not answer: {error}") from error
            raise
        finally:
            writer.close()

    def _begin_life(self, db: Connection) -> None:
        """Take note of it where the database was restored."""
        if isinstance(self.dialect, Postgres):
            lives.begin_if_moved(db, self.dialect)
        elif not self.dialect.in_memory:
            lives.begin_if_replaced(db, Turnstile(cast(Sqlite, self.dialect).path))  # whose turn the writer has
