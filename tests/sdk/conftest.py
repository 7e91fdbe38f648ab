"""A client on a network that answers by a script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from assay_wsgi.sdk import Client
from assay_wsgi.sdk.transport import Connection
from tests.sdk.network import Network


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def client(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    session = requests.Session()
    session.mount("http://", network)
    connection = Connection("http://engine:8080/", "secret", session)
    yield Client("http://engine:8080", namespace="shop", queue="q", connection=connection)
    connection.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("assay_wsgi.sdk.caller.time.sleep", slept.append)
    return slept
