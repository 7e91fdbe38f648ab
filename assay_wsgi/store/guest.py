"""Units of work inside a transaction of the program that embeds the engine, on that program's own connection.

Each unit stands between two savepoints: what it refuses, and what it meets, leaves the host's transaction as it
was. Nothing is committed here and no row of `units` is stamped: the commit is the host's. Row locks stay until then.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import peewee

from ..domain.errors import AssayError
from ..domain.errors import StoreBusy
from ..domain.errors import Unavailable
from ..domain.errors import WrongTransaction
from .connection import Connection
from .dialect import Trouble
from .liveness import Liveness
from .needs import BeginAgain
from .store import Store
from .unit import Left
from .unit import Operation
from .unit import Outcome
from .unit import Submission
from .unit import perform

_SAVEPOINT = "assay_unit"
_BUSY = "rows that this needs are held by another transaction: this one is as it was before, so try again, or roll back"
_CROSSED = (
    "another transaction is in the way and yours cannot get past it: roll yours back and begin it again "
    "(`with engine.transaction(db)` begins one that waits for its turn)"
)


class Guest:
    """Does operations in the transaction that is open on a host's Peewee database, in the calling thread."""

    def __init__(
        self, store: Store, database: peewee.Database | peewee.Proxy, *, on_commit: Callable[[Left], None]
    ) -> None:
        self.dialect = store.dialect
        self._store = store
        self._host: Any = database.obj if isinstance(database, peewee.Proxy) else database
        self._on_commit = on_commit
        self._checked = threading.local()  # .raw: this thread's connection, found to be on the engine's database
        self._keys = threading.local()  # .left: an iterator
        refusal = self.dialect.host_refusal(self._host)
        if refusal is not None:
            raise WrongTransaction(refusal)

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Begin a transaction of the host in its turn among all writers; commit it, or roll it back.

        Raises WrongTransaction where one has begun already, StoreBusy.
        """
        with contextlib.ExitStack() as block:
            self._host.connect(reuse_if_open=True)
            if self.dialect.transaction_state(self._host.connection()) != "none":
                raise WrongTransaction(
                    "a transaction has begun on this database already: use engine.within(db) inside of it"
                )
            self._check(_HostConnection(self._store, self._host))
            try:
                with self._store.turn():  # once the lock is had, nobody overtakes: the turn goes to the next at once
                    block.enter_context(self._host.transaction(*self.dialect.begin_to_write))
            except Exception as error:
                raise self._meaning(error) from error
            yield

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend the host's connection: what its transaction has written is seen."""
        yield self._connection()

    def submit(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Have operations done, each with an outcome of its own; nothing of it lasts unless the host commits.

        Raises WrongTransaction, StoreBusy, Unavailable; then nothing was written, and the savepoint is undone.
        """
        submission = Submission(operations)
        try:
            left = perform(self, [submission], self._store.floors, Liveness(), wait=True)
        except BeginAgain as error:
            raise StoreBusy(_BUSY) from error
        for outcome in submission.outcomes:
            if outcome.missed:
                outcome.error = StoreBusy(_BUSY)
        if left.ready or left.soonest_deadline is not None:
            self._tell_after_commit(left)
        return submission.outcomes

    # -------------------------------------------------------------------------- as a unit of work sees it

    @contextlib.contextmanager
    def unit(self, keys: int) -> Iterator[Connection]:
        """Run one unit between savepoints, with `keys` new keys at hand."""
        db = self._connection()
        try:
            db.run(f"SAVEPOINT {_SAVEPOINT}")
        except Exception as error:
            raise self._meaning(error) from error
        try:
            before = self.dialect.enter_host(db, self._store.settings.store_wait_secs)
            self._check(db)
            self._keys.left = iter(self._new_keys(db, keys))
            yield db
            self.dialect.leave_host(db, before)
            db.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        except BaseException as error:
            with contextlib.suppress(Exception):  # what was met says more; a transaction that is gone is undone, too
                db.run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                db.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            if not isinstance(error, Exception):
                raise
            meaning = self._meaning(error)
            if meaning is error:
                raise
            raise meaning from error

    def new_key(self) -> int:
        """Take the next key."""
        key: int | None = next(self._keys.left, None)
        if key is None:
            raise BeginAgain
        return key

    def moment(self, db: Connection, read: tuple[float, int] | None = None) -> tuple[float, int]:
        """Give the clock and the mark of the host's transaction (0 where there is none)."""
        return self._store.moment(db, read)

    # ---------------------------------------------------------------------------------------- the host

    def _connection(self) -> Connection:
        """Give the host's connection, inside its transaction. Raises WrongTransaction."""
        state = "none" if self._host.is_closed() else self.dialect.transaction_state(self._host.connection())
        if state == "none":
            raise WrongTransaction(
                "no transaction has begun on this database in this thread: use `with engine.transaction(db)`, or "
                "engine.within(db) inside `with db.atomic()`"
            )
        if state == "failed":
            raise WrongTransaction("a statement of this transaction has failed: roll it back")
        return _HostConnection(self._store, self._host)

    def _check(self, db: Connection) -> None:
        """See once a connection that it leads to the engine's own database. Raises WrongTransaction."""
        raw = self._host.connection()
        if getattr(self._checked, "raw", None) is raw:
            return
        theirs = self.dialect.place(db)
        with self._store.read() as own:
            ours = self.dialect.place(own)
        if theirs != ours:
            raise WrongTransaction(
                f"this database is not the engine's: it is {theirs[0]}, the engine is on {ours[0]}. One transaction "
                "needs one database: open the engine on the program's own"
            )
        self._checked.raw = raw

    def _new_keys(self, db: Connection, count: int) -> Sequence[int]:
        """Take keys: where writers queue they come and go with the host's transaction, else they are taken apart.

        Where they queue, this also makes the host the writer, or fails, before anything is read that might change.
        Elsewhere the row of `key_blocks` must not be held until the host commits: everybody needs it.
        """
        return self._store.take_keys(count, db if self.dialect.writers_queue else None)

    def _meaning(self, error: Exception) -> Exception:
        """Say what an exception of the driver means to the host."""
        if isinstance(error, (AssayError, BeginAgain)):
            return error
        trouble = self.dialect.trouble(error)
        if trouble is Trouble.HELD:
            return StoreBusy(_BUSY)
        if trouble is Trouble.CONFLICT:
            return StoreBusy(_CROSSED)
        if trouble is Trouble.FULL:
            return Unavailable("the database has no room or memory left: roll your transaction back")
        if trouble is Trouble.LOST:
            return Unavailable("the connection of your transaction was lost, and the transaction with it")
        return error

    def _tell_after_commit(self, left: Left) -> None:
        """Have the work found at once when Peewee commits; who commits by hand calls `engine.wake`."""
        with contextlib.suppress(ValueError):  # in manual_commit Peewee does not know of the commit
            if self._host.transaction_depth() > 0:
                self._host.after_commit(lambda: self._on_commit(left))


class _HostConnection(Connection):
    """A connection that its host opened, and goes on using."""

    def __init__(self, store: Store, database: Any) -> None:
        self.dialect = store.dialect
        self.database = database

    def _cursor(self) -> Any:
        return self.dialect.plain_cursor(self.database.connection())
