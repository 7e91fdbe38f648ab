"""A copy of a SQLite database that is at work: taken at one moment, checked, a file that stands alone.

PostgreSQL has pg_dump for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from ..domain.errors import Unavailable
from . import fsck
from . import lives
from . import schema
from .connection import Connection
from .dialect import Trouble
from .sqlite import Sqlite

_PAGES = 1000  # a step: four megabytes between two signs of life


def copy(source: Sqlite, target: Path, tell: fsck.Tell = fsck.untold) -> None:
    """Write what the database holds at this moment into the empty file `target`. Writers go on meanwhile.

    `tell` hears of pages. Raises Unavailable where there is no room for it.
    """
    reader = Connection(source, source.database(None, role="reader"))
    try:
        # The read transaction holds the moment. Without it each commit of another process would make the
        # copying begin again, and under load it would never end.
        reader.begin()
        reader.one("SELECT COUNT(*) FROM meta")
        with _opened(target) as copied:
            reader.database.connection().backup(
                copied.database.connection(), pages=_PAGES, progress=lambda _, left, whole: tell(whole - left, whole)
            )
    except Exception as error:
        if source.trouble(error) is Trouble.FULL:
            raise Unavailable(f"the copy cannot be written: {error}") from error
        raise
    finally:
        reader.rollback()
        reader.close()


def damage(file: Path) -> list[str]:
    """Read a copy from end to end and say what SQLite finds wrong with it."""
    with _opened(file) as db:
        try:
            return [text for (text,) in db.rows("PRAGMA integrity_check") if text != "ok"]
        except Exception as error:
            if db.dialect.trouble(error) is Trouble.REFUSED:
                return [str(error)]  # so damaged that it cannot be read to its end
            raise


def emancipate(file: Path) -> None:
    """Make a copy stand alone: one file, with a life of its own, so that a follower of the feed begins anew."""
    with _opened(file) as db:
        db.rows("PRAGMA journal_mode = delete")  # WAL would leave a second file beside it
        lives.forget(db)


def broken_rules(file: Path, tell: fsck.Tell = fsck.untold) -> list[fsck.Finding]:
    """Hold a database file that nobody uses against the rules of fsck. Raises SchemaMismatch."""
    with _opened(file) as db:
        schema.verify(db.database, "sqlite")
        return fsck.examine(db, tell=tell)


@contextmanager
def _opened(file: Path) -> Iterator[Connection]:
    """Open a file as it is: neither in WAL mode nor synced at each step."""
    database: Any = peewee.SqliteDatabase(str(file), pragmas={"synchronous": "off"}, thread_safe=False)
    db = Connection(Sqlite(str(file)), database)
    try:
        yield db
    finally:
        db.close()
