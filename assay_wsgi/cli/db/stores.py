"""Opening a database for a command that looks at it, and does not want one made by a typing error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal

from ...domain.errors import AssayError
from ...domain.errors import Unavailable
from ...settings import BackendUrl
from ...settings import Settings
from ...store import schema
from ...store.connection import Connection
from ...store.dialect import Dialect
from ...store.dialect import Trouble
from ...store.postgres import Postgres
from ...store.sqlite import Sqlite
from ...store.store import Store
from ..failures import Failed

if TYPE_CHECKING:
    import peewee

_DRIVERS = ("sqlite3", "psycopg", "peewee")  # whose exceptions say what is wrong with the database


def dialect_of(backend: BackendUrl) -> Dialect:
    """The dialect that a URL names."""
    return Postgres(backend.dsn) if backend.dialect == "postgres" else Sqlite(backend.path)


@contextmanager
def database(dialect: Dialect, role: Literal["reader", "writer"]) -> Iterator[peewee.Database]:
    """Connect to a database, as it is. Raises Unavailable where it does not answer."""
    connected = dialect.database(None, role=role)
    try:
        with connected.connection_context():
            yield connected
    except Exception as error:
        if dialect.trouble(error) is Trouble.LOST:
            raise Unavailable(f"the database does not answer: {error}") from error
        raise


@contextmanager
def looked_at(backend: BackendUrl) -> Iterator[Connection]:
    """Open a database for reading, as it is: nothing is made, migrated or set.

    Raises Failed with what is wrong with it.
    """
    if backend.dialect == "sqlite":
        _refuse_no_file(backend)
    dialect = dialect_of(backend)
    try:
        with database(dialect, "reader") as connected:
            yield Connection(dialect, connected)
    except AssayError as error:
        raise Failed(f"{backend.shown}: {error}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] in _DRIVERS:
            raise Failed(f"{backend.shown} cannot be read: {str(error).strip()}") from error
        raise


def _refuse_no_file(backend: BackendUrl) -> None:
    if backend.in_memory:
        raise Failed("sqlite://:memory: is another database in each process: name a file")
    if not Path(backend.path).exists():
        raise Failed(f"{backend.shown}: there is no file {backend.path}; `assay db migrate` makes a database")
    if not Path(backend.path).is_file():
        raise Failed(f"{backend.shown}: {backend.path} is no plain file: name the database file")


@contextmanager
def existing_store(settings: Settings) -> Iterator[Store]:
    """Open a database of this build's version; nothing is made or migrated.

    Raises FileNotFoundError, SchemaMismatch, Unavailable.
    """
    backend = settings.backend
    if backend.dialect == "sqlite" and not Path(backend.path).exists():
        raise FileNotFoundError(f"there is no file {backend.path}")
    with database(dialect_of(backend), "reader") as connected:
        schema.verify(connected, backend.dialect)
    store = Store.open(settings.database_url, settings=settings.engine)
    try:
        yield store
    finally:
        store.close()
