"""What differs between the two databases: the members that sqlite.py and postgres.py both have.

SQL texts are written once, with `?` for parameters, in the common subset; a text must not hold a literal
`?` or `%`. A list parameter is written `IN ({list})`-wise through `in_list`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from typing import Protocol

import peewee

from .mapping import Table

Wrap = Callable[[Any], Any]  # takes a driver's connection, gives one that behaves like it: for fault tests


class Trouble(Enum):
    """What an exception of a driver means for the unit of work that met it."""

    CONFLICT = "conflict"  # somebody else was in the way: roll back and begin again
    HELD = "held"  # somebody else is in the way still, and was waited for as long as one waits here
    LOST = "lost"  # the connection is gone
    FULL = "full"  # the database cannot take it now: no space, no memory
    REFUSED = "refused"  # the statement itself is wrong: no use to try again


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The program that keeps the database, and what the database takes on disk."""

    version: str
    bytes: int  # without the journal
    journal_bytes: int | None = None  # None where it is not the database's own


class Dialect(Protocol):
    """One database's way of doing what the other does differently."""

    name: str
    writers_queue: bool  # whether all writers of the database pass one turnstile, so that no lock is ever held

    @property
    def in_memory(self) -> bool:
        """Whether the database lives in one connection."""

    def database(self, wrap: Wrap | None, *, role: str) -> peewee.Database:
        """Give an unopened Peewee database for one thread at a time. `role` is writer, slow or reader."""

    def sql(self, text: str) -> str:
        """Translate a text with `?` to this driver's parameter marks."""

    def in_list(self, column: str) -> str:
        """Write `column is one of the values of one list parameter`."""

    def list_of(self, values: Iterable[Any]) -> Any:
        """Give the list parameter for `in_list`."""

    def records(self, columns: Sequence[tuple[str, str]]) -> str:
        """Write a FROM item that turns one parameter (see `records_of`) into rows x(columns of (name, type))."""

    def records_of(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
        """Give the parameter for `records`."""

    def lock_runs(self, *, wait: bool) -> str | None:
        """Give the statement that locks runs by a list of keys, or None where writers queue anyway."""

    def lock_schedules(self, *, wait: bool) -> str | None:
        """Give the statement that locks schedules by a list of keys, or None where writers queue anyway."""

    def clock(self) -> str | None:
        """Write the columns (now, own transaction's mark), or None for the host's clock."""

    @property
    def mark(self) -> str:
        """Write what the feed orders notices by, before their id."""

    @property
    def horizon(self) -> str:
        """Write the lowest mark that notices may still come with."""

    def claim_lock(self, tables: str) -> str:
        """Write the clause that locks claimed rows and passes over those that are held."""

    def share_lock(self) -> str:
        """Write the clause that keeps a read row from being changed until the commit, or passes over it."""

    def delete_lock(self, *, wait: bool) -> str:
        """Write the clause that locks a row against all that keep it, before it is deleted."""

    def keep_lock(self) -> str:
        """Write the clause that keeps a read row from being deleted until the commit."""

    def insert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows, skipping those whose unique key is taken. Returns how many were inserted."""

    def update(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        """Write the changeable columns of rows. Returns how many there were."""

    def upsert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, or write the changeable columns of those that are there."""

    def exact(self, text: str) -> str:
        """Write an expression of text so that it is ordered byte by byte."""

    def whole(self, number: str) -> str:
        """Write the greatest integer that is not above an expression of a positive number."""

    def bound(self, db: Any, secs: float | None) -> None:
        """Make a reading connection one for searches: what takes longer is stopped; None = as it was before."""

    def stopped(self, error: BaseException) -> bool:
        """Say whether a statement was stopped because it took too long."""

    def check_durability(self, db: Any) -> None:
        """Refuse a database that may lose what it acknowledged. Raises Unavailable."""

    def now(self, db: Any) -> float:
        """Read the clock that this database goes by, for who only looks."""

    def server(self, db: Any) -> Server:
        """Say which program keeps the database, and how large it is."""

    def estimated_rows(self, db: Any, table: str) -> int | None:
        """Say how many rows a table has by the database's own statistics; None where it keeps none."""

    def host_refusal(self, database: Any) -> str | None:
        """Say why a program's own Peewee database cannot carry what the engine writes, or None."""

    @property
    def begin_to_write(self) -> tuple[str, ...]:
        """What Peewee's `transaction` is given, so that its BEGIN makes a writer."""

    def transaction_state(self, raw: Any) -> str:
        """Say of a driver's connection whether a transaction is open on it: none | open | failed."""

    def plain_cursor(self, raw: Any) -> Any:
        """Give a cursor of a host's connection whose rows are tuples, whatever its host likes better."""

    def place(self, db: Any) -> tuple[str, ...]:
        """Say which database a connection leads to, first in words for people. Raises WrongTransaction."""

    def enter_host(self, db: Any, wait_secs: float) -> str:
        """Set what a unit needs in a host's transaction. Gives what `leave_host` needs. Raises WrongTransaction."""

    def leave_host(self, db: Any, before: str) -> None:
        """Set everything back, after a unit; a roll-back to the savepoint does so by itself."""

    def trouble(self, error: BaseException) -> Trouble:
        """Say what a driver's exception means."""
