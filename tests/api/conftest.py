"""The service over an engine, asked through Flask's test client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from flask.testing import FlaskClient

from assay_wsgi.settings import Settings
from tests.api.declared import watched
from tests.api.played_worker import WorkerOverHttp

if TYPE_CHECKING:
    from flask import Flask

    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


@pytest.fixture
def app(engine: Engine) -> Iterator[Flask]:
    """The whole service over a fresh database of each kind."""
    from assay_wsgi.app import create_app

    made = create_app(Settings(), engine)
    undeclared = watched(made)
    yield made
    assert undeclared == []


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Asks the service."""
    return app.test_client()


@pytest.fixture
def door(clock: Clock) -> Iterator[FlaskClient]:
    """Asks a service over a database in memory: for what is refused before any database is asked."""
    from assay_wsgi.app import create_app
    from assay_wsgi.engine import Engine

    engine = Engine.open("sqlite://:memory:", clock=clock)
    made = create_app(Settings(), engine)
    undeclared = watched(made)
    yield made.test_client()
    assert undeclared == []
    engine.close()


@pytest.fixture
def worker(client: FlaskClient) -> WorkerOverHttp:
    """A worker on the queue `main`."""
    return WorkerOverHttp(client)
