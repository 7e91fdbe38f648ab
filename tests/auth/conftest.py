"""The service with API keys, over a fresh database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from tests.api.declared import watched
from tests.auth.scenes import KEYED


@pytest.fixture
def app(engine: Engine) -> Iterator[Flask]:
    """The service, which asks everybody for a key."""
    made = create_app(KEYED, engine)
    undeclared = watched(made)
    yield made
    assert undeclared == []


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Asks the service."""
    return app.test_client()
