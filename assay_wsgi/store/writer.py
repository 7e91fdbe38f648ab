"""A writing connection: its transactions, its place in the turnstile, its keys, its row of `units`.

Used by one thread at a time. Each unit's last write sets the writer's row in `units` to the unit's
number; so when a commit gives no answer, reading that row on a new connection tells what happened.
Transaction ids cannot tell it: after a crash PostgreSQL gives them out again.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from ..domain.errors import OutcomeUnknown
from .connection import Connection
from .dialect import Dialect
from .dialect import Trouble
from .needs import BeginAgain
from .turnstile import Turnstile

KEY_BLOCK = 1000
_SETTLE_SECS = 10.0
_PAUSE_SECS = 0.05


class Uncommitted(Exception):
    """The commit failed and certainly wrote nothing: the unit may be run again."""


class Writer:
    """One connection that writes, in units."""

    def __init__(
        self,
        open_connection: Callable[[], Connection],
        dialect: Dialect,
        turnstile: contextlib.AbstractContextManager[Any] | Turnstile,
        clock: Callable[[], float] | None,
    ) -> None:
        self._open = open_connection
        self.dialect = dialect
        self._turnstile = turnstile
        self._clock = clock
        self._db: Connection | None = None
        self._unit_key = secrets.token_hex(16)
        self._number = 0
        self._registered = False
        self._next_key, self._last_key = 1, 0  # none left

    @property
    def db(self) -> Connection:
        """The connection, opened when it is first needed and again when it was lost."""
        if self._db is None or not self._db.usable:
            self._db = self._open()
        return self._db

    def drop(self) -> None:
        """Close the connection; the next unit opens another."""
        if self._db is None:
            return
        if self.dialect.in_memory:
            self._db.rollback()  # closing it would throw the database away
            return
        self._db.close()
        self._db = None

    def close(self) -> None:
        """Close the connection and leave the turnstile for good."""
        self.drop()
        if isinstance(self._turnstile, Turnstile):
            self._turnstile.close()

    @contextlib.contextmanager
    def unit(self, keys: int) -> Iterator[Connection]:
        """Run one transaction with at least `keys` new keys at hand.

        Commits at the end, rolls back on any exception. Raises Uncommitted, OutcomeUnknown.
        """
        with self._turnstile:
            try:
                db = self.db
                self._reserve(db, keys)
                db.begin("IMMEDIATE" if self.dialect.writers_queue else "")
                yield db
                self._stamp(db)
            except BaseException as error:
                self._abandon(error)
                raise
            try:
                db.commit()
            except BaseException as error:  # noqa: BLE001 - _settle tells what it means
                self._settle(error)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run one transaction that is no unit of work: it makes no keys and is not settled."""
        with self._turnstile:
            try:
                self.db.begin("IMMEDIATE" if self.dialect.writers_queue else "")
                yield self.db
                self.db.commit()
            except BaseException as error:
                self._abandon(error)
                raise

    @contextlib.contextmanager
    def alone(self) -> Iterator[Connection]:
        """Lend the connection, in its turn, to one who begins and commits by himself."""
        with self._turnstile:
            yield self.db

    def moment(self, db: Connection, read: tuple[float, int] | None = None) -> tuple[float, int]:
        """Give the clock and the transaction's mark (0 where there is none); `read` = they were read already."""
        return moment(self.dialect, self._clock, db, read)

    def new_key(self) -> int:
        """Take the next key of the block that `unit` reserved."""
        if self._next_key > self._last_key:
            raise BeginAgain
        key = self._next_key
        self._next_key += 1
        return key

    def _stamp(self, db: Connection) -> None:
        """Write the unit's number: the last thing that a unit writes."""
        self._number += 1
        stamped = db.run(
            "UPDATE units SET number = ?, used_at = ? WHERE unit_key = ?", (self._number, time.time(), self._unit_key)
        )
        if stamped != 1:  # pruned while this connection was idle
            self._registered = False
            raise BeginAgain

    def _abandon(self, error: BaseException) -> None:
        """Undo a unit that did not get as far as its commit."""
        if self._db is None:
            return
        if self.dialect.trouble(error) is Trouble.LOST:
            self.drop()
        else:
            self._db.rollback()

    def _reserve(self, db: Connection, keys: int) -> None:
        if not self._registered:
            # It may be there: the answer to an earlier try was lost.
            db.run(
                "INSERT INTO units (unit_key, number, used_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (self._unit_key, self._number, time.time()),
            )
            self._registered = True
        if self._last_key - self._next_key + 1 >= keys:
            return
        # A statement of its own, committed at once: the row is never held through a unit.
        block = take_keys(db, max(KEY_BLOCK, keys))
        self._next_key, self._last_key = block[0], block[-1]

    def _settle(self, error: BaseException) -> None:
        """Find out whether the unit was committed. Returns if it was, raises Uncommitted if not."""
        self.drop()
        until = time.monotonic() + _SETTLE_SECS
        while True:
            try:
                number = self._committed_number(self.db)
                break
            except Exception as trouble:
                self.drop()
                if time.monotonic() > until:
                    raise OutcomeUnknown(
                        "the connection to the database was lost during the commit: it may or may not have been applied"
                    ) from trouble
                time.sleep(_PAUSE_SECS)
        if number != self._number:
            raise Uncommitted from error

    def _committed_number(self, db: Connection) -> int:
        """Read the own row; on PostgreSQL wait for a commit that is still under way."""
        if self.dialect.writers_queue:
            return _number(db.one("SELECT number FROM units WHERE unit_key = ?", (self._unit_key,)))
        db.begin()
        try:
            db.run("SET LOCAL lock_timeout = '5s'")
            return _number(db.one("SELECT number FROM units WHERE unit_key = ? FOR UPDATE", (self._unit_key,)))
        finally:
            db.rollback()


def _number(row: Sequence[int] | None) -> int:
    """Give the number of a row of `units`; one that was pruned certainly was not stamped by the unit in question."""
    return -1 if row is None else int(row[0])


def take_keys(db: Connection, count: int) -> range:
    """Take new keys, in the transaction that is open or at once."""
    (after,) = db.one("UPDATE key_blocks SET next_key = next_key + ? WHERE name = 'keys' RETURNING next_key", (count,))
    return range(after - count, after)


def moment(
    dialect: Dialect, clock: Callable[[], float] | None, db: Connection, read: tuple[float, int] | None = None
) -> tuple[float, int]:
    """Give the clock and the transaction's mark (0 where there is none); `read` = they were read already."""
    columns = dialect.clock()
    if columns is None:
        return (clock or time.time)(), 0
    now, mark = read or db.one(f"SELECT {columns}")
    return (clock() if clock else now), mark
