"""A guest in a stranger's app: its routes below a prefix, and the host's own left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Flask

from assay_wsgi.app import init_app

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine


@pytest.fixture
def host(engine: Engine) -> Flask:
    """A shop that has an engine below /flow."""
    shop = Flask("shop")

    @shop.get("/")
    def front_page() -> str:
        return "welcome"

    @shop.get("/broken")
    def broken() -> str:
        raise ZeroDivisionError

    init_app(shop, engine, url_prefix="/flow")
    return shop


def test_the_engine_is_served_below_its_prefix(host: Flask, engine: Engine) -> None:
    client = host.test_client()

    assert host.extensions["assay_wsgi"] is engine
    started = client.post("/flow/api/v1/workflows", json={"workflow_type": "Hello", "workflow_id": "a"})
    assert started.status_code == 201
    assert client.get("/flow/api/v1/workflows/a").get_json()["status"] == "PENDING"
    assert client.get("/flow/livez").status_code == 200
    assert client.get("/flow/readyz").status_code == 200
    assert 'href="/flow/api/v1/workflows"' in client.get("/flow/workflow/").text
    assert client.get("/api/v1/workflows/a").status_code == 404


def test_pages_of_a_list_stay_below_the_prefix(host: Flask) -> None:
    client = host.test_client()
    for name in ("a", "b"):
        client.post("/flow/api/v1/workflows", json={"workflow_type": "Hello", "workflow_id": name})

    link = client.get("/flow/api/v1/workflows?limit=1").headers["Link"]

    url = link.partition(">")[0].lstrip("<")
    assert url.startswith("/flow/api/v1/workflows?limit=1&cursor=")
    assert [run["id"] for run in client.get(url).get_json()] == ["a"]


def test_refusals_below_the_prefix_are_json(host: Flask) -> None:
    client = host.test_client()

    for method, path, status in (
        ("GET", "/flow/api/v1/nowhere", 404),
        ("GET", "/flow/api/v1//workflows", 404),
        ("PUT", "/flow/api/v1/workflows", 405),
        ("GET", "/flow/api/v1/workflows/none", 404),
    ):
        response = client.open(path, method=method)
        assert response.status_code == status
        assert response.get_json()["request_id"] == response.headers["X-Request-Id"]


def test_the_hosts_own_routes_and_errors_stay_its_own(host: Flask) -> None:
    client = host.test_client()

    assert client.get("/").text == "welcome"
    assert client.get("/nowhere").content_type.startswith("text/html")
    assert client.get("/broken").content_type.startswith("text/html")
    assert "X-Request-Id" not in client.get("/").headers


def test_two_apps_over_two_engines_answer_apart(host: Flask, sqlite_url: str) -> None:
    from assay_wsgi.engine import Engine

    other_engine = Engine.open(f"{sqlite_url}.other")
    other = Flask("other")
    init_app(other, other_engine)
    try:
        other.test_client().post("/api/v1/workflows", json={"workflow_type": "Hello", "workflow_id": "a"})

        assert other.test_client().get("/api/v1/workflows/a").status_code == 200
        assert host.test_client().get("/flow/api/v1/workflows/a").status_code == 404
    finally:
        other_engine.close()
