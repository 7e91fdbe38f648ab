"""SQLite: one writer at a time, so nothing is ever held by somebody else once a unit has begun.

WAL with synchronous=FULL: a commit that was acknowledged survives a power cut.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peewee

from ..jsontext import dumps
from .dialect import Server
from .dialect import Trouble
from .dialect import Wrap
from .mapping import Table

_BUSY_MS = 10_000  # for strangers only: our own writers pass the turnstile first
_STEPS = 50_000  # of SQLite's machine between two looks at the time: about a millisecond


class _Database(peewee.SqliteDatabase):
    """A Peewee database whose driver connection can be wrapped."""

    def __init__(self, path: str, wrap: Wrap | None, pragmas: dict[str, Any]) -> None:
        self._wrap = wrap
        super().__init__(path, pragmas=pragmas, thread_safe=False, check_same_thread=False, timeout=_BUSY_MS / 1000)

    def _connect(self) -> Any:
        raw = super()._connect()  # type: ignore[misc]  # Peewee's stubs leave it out
        return self._wrap(raw) if self._wrap else raw


class Sqlite:
    """The SQLite dialect for one file, or for `:memory:`."""

    name = "sqlite"
    writers_queue = True

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def in_memory(self) -> bool:
        """Whether the database lives in one connection only."""
        return self.path == ":memory:"

    def database(self, wrap: Wrap | None, *, role: str) -> peewee.Database:
        pragmas = {"journal_mode": "wal", "synchronous": "full", "journal_size_limit": 64 * 2**20,
                   "cache_size": -64_000, "temp_store": "memory", "wal_autocheckpoint": 4000}  # fmt: skip
        if role == "reader" and not self.in_memory:
            pragmas = {"query_only": 1, "cache_size": -16_000}
        return _Database(self.path, wrap, pragmas)

    def sql(self, text: str) -> str:
        return text

    def in_list(self, column: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(?))"

    def list_of(self, values: Iterable[Any]) -> Any:
        return dumps(list(values))

    def records(self, columns: Sequence[tuple[str, str]]) -> str:
        picked = ", ".join(f"value ->> {place} AS {name}" for place, (name, _) in enumerate(columns))
        return f"(SELECT {picked} FROM json_each(?)) x"

    def records_of(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
        return dumps([list(row) for row in rows])

    def lock_runs(self, *, wait: bool) -> str | None:
        return None

    def lock_schedules(self, *, wait: bool) -> str | None:
        return None

    def clock(self) -> str | None:
        return None

    @property
    def mark(self) -> str:
        return "id"

    @property
    def horizon(self) -> str:
        return "(SELECT COALESCE(MAX(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'notices')"

    def claim_lock(self, tables: str) -> str:
        return ""

    def share_lock(self) -> str:
        return ""

    def delete_lock(self, *, wait: bool) -> str:
        return ""

    def keep_lock(self) -> str:
        return ""

    def insert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        marks = ", ".join("?" * len(table.names))
        count: int = db.many(f"INSERT INTO {table.name} ({table.listed}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows)
        return count

    def update(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        settings = ", ".join(f"{column.name} = ?" for column in table.changing)
        where = " AND ".join(f"{name} = ?" for name in table.key)
        count: int = db.many(f"UPDATE {table.name} SET {settings} WHERE {where}", list(map(table.update_values, rows)))
        return count

    def upsert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(table.names))
        settings = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.changing)
        db.many(
            f"INSERT INTO {table.name} ({table.listed}) VALUES ({marks}) "
            f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {settings}",
            rows,
        )

    def exact(self, text: str) -> str:
        return text

    def whole(self, number: str) -> str:
        return f"CAST({number} AS integer)"

    def bound(self, db: Any, secs: float | None) -> None:
        raw = db.database.connection()
        if secs is None:
            raw.set_progress_handler(None, 0)
            return
        until = time.monotonic() + secs
        raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)

    def stopped(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError) and str(error) == "interrupted"

    def check_durability(self, db: Any) -> None:
        """WAL and synchronous=FULL are set on each writing connection; nothing to ask."""

    def now(self, db: Any) -> float:
        return time.time()

    def server(self, db: Any) -> Server:
        pages, size = db.one("PRAGMA page_count")[0], db.one("PRAGMA page_size")[0]
        journal = Path(f"{self.path}-wal")
        return Server(
            version=f"SQLite {db.one('SELECT sqlite_version()')[0]}",
            bytes=pages * size,
            journal_bytes=journal.stat().st_size if journal.exists() else 0,
        )

    def estimated_rows(self, db: Any, table: str) -> int | None:
        return None

    def host_refusal(self, database: Any) -> str | None:
        if self.in_memory:
            return "an engine in memory has a connection of its own, which no other program can share: use a file"
        if not isinstance(database, peewee.SqliteDatabase):
            return f"the engine is on a SQLite file, so it needs a peewee.SqliteDatabase, not {_kind(database)}"
        return None

    @property
    def begin_to_write(self) -> tuple[str, ...]:
        return ("IMMEDIATE",)

    def transaction_state(self, raw: Any) -> str:
        return "open" if raw.in_transaction else "none"

    def plain_cursor(self, raw: Any) -> Any:
        cursor = raw.cursor()
        cursor.row_factory = None
        return cursor

    def place(self, db: Any) -> tuple[str, ...]:
        files = {name: path for _, name, path in db.rows("PRAGMA database_list")}
        return (str(Path(files["main"]).resolve()) if files.get("main") else "in memory",)

    def enter_host(self, db: Any, wait_secs: float) -> str:
        return ""

    def leave_host(self, db: Any, before: str) -> None:
        """Nothing was set."""

    def trouble(self, error: BaseException) -> Trouble:
        text = str(error)
        if isinstance(error, (sqlite3.OperationalError, peewee.OperationalError)):  # Peewee's: while connecting
            if "locked" in text:
                return Trouble.CONFLICT
            if "full" in text or "I/O" in text:
                return Trouble.FULL
            if "unable to open" in text:
                return Trouble.LOST
        if isinstance(error, (sqlite3.ProgrammingError, peewee.InterfaceError)) and "closed" in text:
            return Trouble.LOST
        if isinstance(error, ConnectionError):
            return Trouble.LOST
        return Trouble.REFUSED


def _kind(database: Any) -> str:
    return f"{type(database).__module__}.{type(database).__name__}"
