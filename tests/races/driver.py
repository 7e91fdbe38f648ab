"""A driver's connection that is looked at while it works: what it raised, and nothing else changes.

`Engine.open(url, wrap=Sightings().wrap)` puts it between Peewee and the driver.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors

UNIQUE = (errors.UniqueViolation, sqlite3.IntegrityError)


def kind_of(error: BaseException) -> str:
    """Name what a driver's exception means to a race."""
    if isinstance(error, UNIQUE):
        return "unique violation"
    if isinstance(error, errors.DeadlockDetected):
        return "deadlock"
    if isinstance(error, errors.LockNotAvailable) or (isinstance(error, sqlite3.Error) and "locked" in str(error)):
        return "lock time-out"
    return type(error).__name__


class Sightings:
    """What the connections of one process raised, counted by kind."""

    def __init__(self, at_once: Callable[[str], None] = lambda kind: None) -> None:
        self.counted: Counter[str] = Counter()
        self._at_once = at_once

    def wrap(self, raw: Any) -> Any:
        """Wrap a driver's connection."""
        return Watched(raw, self)

    def note(self, error: BaseException) -> None:
        """Count an exception."""
        kind = kind_of(error)
        self.counted[kind] += 1
        self._at_once(kind)


class Watched:
    """A connection as the driver made it, whose errors are noted."""

    def __init__(self, raw: Any, seen: Sightings) -> None:
        self._raw = raw
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def cursor(self) -> Any:
        """Give a cursor whose errors are noted."""
        return _Cursor(self._raw.cursor(), self._seen)

    def commit(self) -> None:
        """Commit, and note what that raises."""
        try:
            self._raw.commit()
        except (psycopg.Error, sqlite3.Error) as error:
            self._seen.note(error)
            raise


class _Cursor:
    """A cursor as the driver made it, whose errors are noted."""

    def __init__(self, raw: Any, seen: Sightings) -> None:
        self._raw = raw
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def execute(self, *statement: Any) -> Any:
        """Run a statement, and note what it raises."""
        return self._noting(self._raw.execute, statement)

    def executemany(self, *statement: Any) -> Any:
        """Run a statement for many rows, and note what it raises."""
        return self._noting(self._raw.executemany, statement)

    def _noting(self, run: Callable[..., Any], statement: tuple[Any, ...]) -> Any:
        try:
            return run(*statement)
        except (psycopg.Error, sqlite3.Error) as error:
            self._seen.note(error)
            raise
