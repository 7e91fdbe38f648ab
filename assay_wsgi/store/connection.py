"""A connection: SQL texts in, rows out, through a Peewee database that one thread at a time uses.

Exceptions of the driver come out as they are; `Dialect.trouble` says what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import peewee

from .dialect import Dialect


class Connection:
    """An open connection. Not for two threads at once."""

    def __init__(self, dialect: Dialect, database: peewee.Database) -> None:
        self.dialect = dialect
        self.database: Any = database  # Peewee's stubs type neither cursor() nor connection()
        database.connect(reuse_if_open=True)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Run a statement with `?` marks and fetch all its rows."""
        cursor = self._cursor()
        cursor.execute(self.dialect.sql(sql), params)
        found: list[Any] = cursor.fetchall()
        cursor.close()
        return found

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run a statement and give its first row, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement and give the number of rows that it touched."""
        cursor = self._cursor()
        cursor.execute(self.dialect.sql(sql), params)
        count: int = cursor.rowcount
        cursor.close()
        return count

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement once a row and give the number of rows touched in all."""
        cursor = self._cursor()
        cursor.executemany(self.dialect.sql(sql), rows)
        count: int = cursor.rowcount
        cursor.close()
        return count

    def _cursor(self) -> Any:
        return self.database.cursor()

    def begin(self, mode: str = "") -> None:
        """Begin a transaction."""
        self.run(f"BEGIN {mode}".rstrip())

    def commit(self) -> None:
        """Commit. Whatever is raised here leaves the outcome open: see `Writer.settle`."""
        self.database.connection().commit()

    def rollback(self) -> None:
        """Roll back, and never raise: a connection that cannot is closed."""
        try:
            self.database.connection().rollback()
        except Exception:  # noqa: BLE001 - it is gone, which is a roll-back as well
            self.close()

    def close(self) -> None:
        """Close, and never raise."""
        try:
            self.database.close()
        except Exception:  # noqa: BLE001 - nobody can do anything about it
            self.database.init(self.database.database)

    @property
    def usable(self) -> bool:
        """Whether the connection is open, as far as this side knows."""
        return not self.database.is_closed()
