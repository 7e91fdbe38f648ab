"""One real service for each kind of database, for all tests of the contract."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from assay_wsgi.settings import Settings
from tests.contract.service import Caller
from tests.contract.service import Service
from tests.contract.service import serving

if TYPE_CHECKING:
    from tests.databases import PostgresServer

KINDS = ("sqlite", "postgres")


@contextmanager
def database(kind: str, server: PostgresServer, tmp: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a database; what the service has left in it must stand before fsck."""
    from assay_wsgi.store import fsck
    from assay_wsgi.store.store import Store

    url = server.database() if kind == "postgres" else f"sqlite://{tmp.mktemp('contract')}/assay.db"
    yield url
    store = Store.open(url)
    try:
        assert fsck.check(store) == []
    finally:
        store.close()
        if kind == "postgres":
            server.give_back(url)


Running = Callable[..., Service]


@pytest.fixture(scope="session")
def running(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give the service on a kind of database, started when it is first asked for.

    Not one parametrised fixture: tests come in random order, and pytest keeps only one parameter alive.
    """
    found: dict[tuple[str, str], Service] = {}
    with ExitStack() as until_the_end:

        def of(kind: str, name: str = "shared", *options: str, **environ: str) -> Service:
            if (kind, name) not in found:
                url = until_the_end.enter_context(database(kind, postgres, tmp_path_factory))
                log = tmp_path_factory.mktemp("contract") / "service.log"
                found[kind, name] = until_the_end.enter_context(serving(url, log, *options, **environ))
            return found[kind, name]

        yield of


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest, running: Running) -> Service:
    """The service, on each kind of database. Nobody does its upkeep: what must stay leased stays leased."""
    return running(request.param, "shared", "--no-sidecar")


@pytest.fixture(params=KINDS)
def impatient(request: pytest.FixtureRequest, running: Running) -> Service:
    """A service that takes leases back, and thinks workers dead, after one second."""
    return running(request.param, "impatient", ASSAY_WF_DISPATCH_TIMEOUT_SECS="1", ASSAY_WORKER_SILENCE_SECS="1")


@pytest.fixture(params=KINDS)
def attended(request: pytest.FixtureRequest, running: Running) -> Service:
    """A service as it comes: its upkeep fires timers, and leases last long enough for a busy machine."""
    return running(request.param, "attended")


@pytest.fixture
def caller(service: Service) -> Iterator[Caller]:
    """Sends what a test sends."""
    made = Caller(service)
    yield made
    made.close()


@pytest.fixture(scope="session")
def app() -> Iterator[Flask]:
    """The same routes in this process: to be looked at, not to be asked."""
    from assay_wsgi.app import create_app
    from assay_wsgi.engine import Engine

    engine = Engine.open("sqlite://:memory:")
    yield create_app(Settings(), engine)
    engine.close()
