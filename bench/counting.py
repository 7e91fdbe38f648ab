"""Counts what goes through a driver: statements, commits and rows written, in every process of the service.

Each connection counts in a slot of its own of a small file that the process shares with whoever reads it, so
that counting takes no lock and the counts outlive the process.
"""

from __future__ import annotations

import itertools
import mmap
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

DIRECTORY = "BENCH_COUNTS"  # the environment variable that names the directory of the files

_SLOTS = 1024
_STATEMENTS, _COMMITS, _ROWS = range(3)
_WIDTH = 3
_SILENT = ("BEGIN", "ROLLBACK", "SET", "SHOW", "PRAGMA")  # no work of their own
_READING = ("SELECT",)


@dataclass(frozen=True)
class Counts:
    """So much went through the drivers."""

    statements: int = 0  # a statement for many rows counts once
    commits: int = 0
    rows: int = 0  # inserted, updated or deleted

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(self.statements - earlier.statements, self.commits - earlier.commits, self.rows - earlier.rows)


def read(directory: Path) -> Counts:
    """Add up what all processes have counted in a directory so far."""
    totals = [0] * _WIDTH
    for path in directory.glob("*.counts"):
        values = memoryview(path.read_bytes()).cast("q")
        for kind in range(_WIDTH):
            totals[kind] += sum(values[kind::_WIDTH])
    return Counts(*totals)


class Counter:
    """`wrap` of one process: takes driver connections, gives counting ones."""

    def __init__(self, directory: Path) -> None:
        path = directory / f"{os.getpid()}.counts"
        path.write_bytes(bytes(8 * _WIDTH * _SLOTS))
        with path.open("r+b") as file:
            self._values = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
        self._slots = itertools.count()

    def __call__(self, connection: Any) -> Any:
        """Count what goes through a connection from now on."""
        at = next(self._slots) % _SLOTS * _WIDTH
        slot = self._values[at : at + _WIDTH]
        return _Sqlite(connection, slot) if isinstance(connection, sqlite3.Connection) else _Psycopg(connection, slot)


class _Connection:
    """Behaves like the connection it was made of."""

    def __init__(self, raw: Any, slot: memoryview[int]) -> None:
        self._raw = raw
        self._slot = slot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def commit(self) -> None:
        self._raw.commit()
        self._slot[_COMMITS] += 1


class _Sqlite(_Connection):
    """SQLite itself knows how many rows a connection has changed."""

    def __init__(self, raw: sqlite3.Connection, slot: memoryview[int]) -> None:
        super().__init__(raw, slot)

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, params: Any = ()) -> Any:
                if not sql.startswith(_SILENT):
                    slot[_STATEMENTS] += 1
                return super().execute(sql, params)

            def executemany(self, sql: str, params: Any) -> Any:
                slot[_STATEMENTS] += 1
                return super().executemany(sql, params)

        self._cursor = Cursor

    def cursor(self) -> Any:
        return self._raw.cursor(self._cursor)

    def commit(self) -> None:
        super().commit()
        self._slot[_ROWS] = self._raw.total_changes


class _Psycopg(_Connection):
    """What a statement that writes reports is what it wrote; for one that claims, what it handed out."""

    def __init__(self, raw: psycopg.Connection[Any], slot: memoryview[int]) -> None:
        super().__init__(raw, slot)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
                text = str(query)
                if not text.startswith(_SILENT):
                    slot[_STATEMENTS] += 1
                done = super().execute(query, params, **options)
                if not text.startswith(_SILENT + _READING):
                    slot[_ROWS] += max(self.rowcount, 0)
                return done

            def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
                slot[_STATEMENTS] += 1
                super().executemany(query, params_seq, **options)
                slot[_ROWS] += max(self.rowcount, 0)

        raw.cursor_factory = Cursor
