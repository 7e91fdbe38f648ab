"""A stranger's page must not do by a browser on this machine what its user may do."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from assay_wsgi.api import openapi
from assay_wsgi.app import create_app
from assay_wsgi.app import init_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import AuthSettings
from assay_wsgi.settings import HttpSettings
from assay_wsgi.settings import Settings

RUNS = "/api/v1/workflows"


def code(response: Any) -> tuple[int, str | None]:
    return response.status_code, (response.get_json() or {}).get("code") if response.status_code >= 400 else None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "10.0.0.7", "a.localhost:80"]
)
def test_the_service_answers_by_its_own_names_and_by_addresses(door: FlaskClient, host: str) -> None:
    assert door.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "[::1"],
)
def test_no_route_answers_by_another_name(door: FlaskClient, host: str) -> None:
    for rule, _, _ in openapi.operations(door.application):
        path = openapi.VARIABLE.sub("1", rule.rule)
        response = door.open(path, method=openapi.method_of(rule), headers={"Host": host})
        assert code(response) in ((421, "host_not_allowed"), (400, "bad_request")), (rule, response.text)


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, 404),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing(door: FlaskClient, headers: dict[str, str], answer: int) -> None:
    changed = door.post(f"{RUNS}/a/cancel", headers=headers)
    read = door.get(f"{RUNS}/a", headers=headers)

    assert changed.status_code == answer
    assert answer == 404 or code(changed) == (403, "cross_site")
    assert read.status_code == 404  # what it reads, the browser keeps from the page


@pytest.mark.parametrize(
    "settings",
    [
        Settings(auth=AuthSettings(allowed_hosts="one.example, Assay.Example")),
        Settings(auth=AuthSettings(api_keys=True)),
        Settings(http=HttpSettings(insecure_no_auth=True)),
    ],
    ids=["a name that is allowed", "keys are asked for", "anybody may come"],
)
def test_other_names_are_for_who_has_said_so(settings: Settings) -> None:
    engine = Engine.open("sqlite://:memory:")
    client = create_app(settings, engine).test_client()

    assert client.get("/livez", headers={"Host": "assay.example:8443"}).status_code == 200
    engine.close()


def test_no_browser_keeps_an_answer_frames_it_or_takes_it_for_something_else(door: FlaskClient) -> None:
    for rule, _, _ in openapi.operations(door.application):
        path = openapi.VARIABLE.sub("1", rule.rule)
        response = door.open(path, method=openapi.method_of(rule), buffered=False)
        headers = response.headers
        response.close()
        assert headers["X-Content-Type-Options"] == "nosniff", rule
        assert headers["Cache-Control"] in ("no-store", "no-cache, no-transform"), rule
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", rule
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'", rule
        assert "Access-Control-Allow-Origin" not in headers, rule


def test_a_host_program_answers_by_its_own_names() -> None:
    engine, app = Engine.open("sqlite://:memory:"), Flask("shop")
    init_app(app, engine, url_prefix="/flow")

    response = app.test_client().get(f"/flow{RUNS}", headers={"Host": "shop.example"})

    assert response.status_code == 200
    engine.close()
