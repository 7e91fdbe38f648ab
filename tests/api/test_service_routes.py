"""Health, liveness, readiness and the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.api import records
from assay_wsgi.domain.errors import Unavailable

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock


def test_health_is_in_the_references_words(door: FlaskClient) -> None:
    """assay 0.1.8's CLI and dashboard look for these."""
    response = door.get("/api/v1/health")

    assert (response.status_code, response.get_json()) == (200, {"status": "ok", "service": "assay-workflow"})


def test_the_process_lives_even_without_a_database(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "health", gone)

    assert client.get("/livez").status_code == 200


def gone() -> Any:
    raise Unavailable("the database does not answer")


def test_ready_says_whether_a_sidecar_leads(client: FlaskClient, engine: Engine, clock: Clock) -> None:
    alone = client.get("/readyz")
    assert alone.status_code == 200
    assert alone.get_json() == {"ready": True, "database": "ok", "sidecar_leads": False, "draining": False}
    assert set(alone.get_json()) == set(records.Readiness().fields)

    engine.store.leases.acquire("sidecar", "host-1", 15)
    assert client.get("/readyz").get_json()["sidecar_leads"] is True
    clock.advance(16)
    assert client.get("/readyz").get_json()["sidecar_leads"] is False


def test_not_ready_without_a_database(client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "health", gone)

    response = client.get("/readyz")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.get_json() == {
        "ready": False, "database": "unavailable", "sidecar_leads": False, "draining": False,
    }  # fmt: skip


def test_not_ready_while_draining(client: FlaskClient, engine: Engine) -> None:
    engine.drain()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.get_json() == {"ready": False, "database": "ok", "sidecar_leads": False, "draining": True}
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/", "/workflow"])
def test_browsers_are_sent_to_the_page(door: FlaskClient, path: str) -> None:
    response = door.get(path)

    assert (response.status_code, response.headers["Location"]) == (308, "/workflow/")


def test_the_page_links_to_what_is_there(door: FlaskClient) -> None:
    page = door.get("/workflow/")

    assert page.content_type == "text/html; charset=utf-8"
    links = re.findall(r'href="([^"]+)"', page.text)
    assert "/api/v1/workflows" in links
    for link in links:
        assert door.get(link).status_code == 200


def test_every_route_of_the_api_is_an_operation(app: Flask) -> None:
    told = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")]
    paths = {rule.rule for rule in told if not rule.websocket}
    for rule in told:
        if rule.websocket:  # it is told, and its caller asked, by the view of the same path
            assert rule.rule in paths
        else:
            operation = app.view_functions[rule.endpoint].operation  # type: ignore[attr-defined]
            assert (operation.returns is None) == (operation.status == 204), rule
            assert app.view_functions[rule.endpoint].__doc__, rule
