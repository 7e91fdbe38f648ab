"""All the fixtures there are: a settable clock, a fresh database of each kind, a store and an engine on it.

Every test that used the store or the engine ends with the check that fsck makes on a live database, and every
event that an engine has written is one that `domain/events.py` declares.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from assay_wsgi.store.store import Store
    from tests.databases import PostgresServer

# What the developer's shell says is no part of a test, nor of the processes that a test starts.
for _name in list(os.environ):
    if (_name.startswith("ASSAY_") and not _name.startswith("ASSAY_TEST_")) or _name == "DATABASE_URL":
        del os.environ[_name]

# Nor is the deaf ear of a test process that another one started: its children would not hear Ctrl-C either.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Clock:
    """Says what time it is; time passes when a test says so."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now  # seconds since the epoch

    def __call__(self) -> float:
        return self.now

    def advance(self, secs: float) -> None:
        """Let time pass."""
        self.now += secs


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is set."""
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this session; it starts when the first test asks for it."""
    from tests.databases import postgres_server

    with postgres_server(os.environ.get("ASSAY_TEST_DATABASE_URL")) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that is not there yet."""
    return f"sqlite://{tmp_path}/assay.db"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a PostgreSQL database that holds the schema and nothing else."""
    url = postgres.database()
    yield url
    postgres.give_back(url)


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(backend: str, clock: Clock) -> Iterator[Store]:
    """An open store on a fresh database."""
    from assay_wsgi.store import fsck
    from assay_wsgi.store.store import Store

    opened = Store.open(backend, clock=clock)
    try:
        yield opened
        assert fsck.check(opened) == []
    finally:
        opened.close()


@pytest.fixture
def engine(backend: str, clock: Clock) -> Iterator[Engine]:
    """An open engine on a fresh database."""
    from assay_wsgi.engine import Engine
    from assay_wsgi.store import fsck
    from tests.declared_events import undeclared

    opened = Engine.open(backend, clock=clock)
    try:
        yield opened
        assert fsck.check(opened.store) == []
        assert undeclared(opened.store) == []
    finally:
        opened.close()
