"""Opening a database for a command that looks at it, and does not want one made by a typing error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal

from ..domain.errors import Unavailable
from ..settings import BackendUrl
from ..settings import Settings
from ..store import schema
from ..store.dialect import Dialect
from ..store.dialect import Trouble
from ..store.postgres import Postgres
from ..store.sqlite import Sqlite
from ..store.store import Store

if TYPE_CHECKING:
    import peewee


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
