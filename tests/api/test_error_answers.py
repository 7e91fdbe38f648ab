"""Every refusal has the same shape, whoever refuses; and nothing leaks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask.testing import FlaskClient

from assay_wsgi.api import errors
from assay_wsgi.api.codes import CODES
from assay_wsgi.domain import errors as kinds
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.notices import CursorLost

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine

URL = "/api/v1/workflows"


def all_kinds(kind: type[AssayError] = AssayError) -> list[type[AssayError]]:
    return [kind, *(below for one in kind.__subclasses__() for below in all_kinds(one))]


def checked(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert the shape of a refusal."""
    body: dict[str, Any] = response.get_json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.content_type == "application/json"
    assert body["status"] == status
    assert body["error"] == body["detail"] != ""
    assert body["title"]
    assert body["type"] == f"urn:assay:error:{code}"
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert all(set(detail) == {"field", "issue"} for detail in body["details"])
    if status == 404:
        assert body["error"].startswith("not found: ")
    return body


def answered(error: Exception) -> Response:
    with Flask("errors").test_request_context("/x"):
        return errors.answer(error)


# Told to programs that embed the engine, by methods that no route calls, or otherwise over HTTP.
NOT_OVER_HTTP = {kinds.WrongTransaction, CursorLost}


@pytest.mark.parametrize(
    "kind", [one for one in all_kinds() if one not in NOT_OVER_HTTP], ids=lambda kind: kind.__name__
)
def test_every_kind_of_refusal_is_in_the_table(kind: type[AssayError]) -> None:
    assert kind.code in CODES


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (kinds.NotFound("no run a"), 404),
        (kinds.AlreadyStarted("a runs", run_id="r", run_status="RUNNING"), 409),
        (kinds.AlreadyTerminal("not found: a is closed", run_id="r"), 404),
        (kinds.WorkflowClosed("a is closed"), 409),
        (kinds.LeaseLost("too late"), 409),
        (kinds.StaleAttempt("too late"), 409),
        (kinds.UnhandledEvents("a signal waits"), 409),
        (kinds.Nondeterminism("seq 1 is another"), 409),
        (kinds.AmbiguousNamespace("name one"), 409),
        (kinds.NamespaceExists("there"), 409),
        (kinds.SessionReplaced("another began"), 409),
        (kinds.Invalid("bad"), 422),
        (kinds.BadCommand("bad", index=3), 422),
        (kinds.IdempotencyKeyReused("other"), 422),
        (kinds.StoreBusy("held"), 503),
        (kinds.Unavailable("gone"), 503),
        (kinds.OutcomeUnknown("who knows"), 503),
        (kinds.Unavailable("too much", code="overloaded"), 503),
    ],
    ids=lambda value: getattr(value, "code", value),
)
def test_each_refusal_has_its_status_and_the_one_shape(error: AssayError, status: int) -> None:
    response = answered(error)

    body = checked(response, status, error.code)
    assert error.members.items() <= body.items()
    assert response.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_a_code_that_the_table_lacks_goes_by_its_kind() -> None:
    assert answered(kinds.Conflict("new", code="brand_new")).status_code == 409
    assert answered(kinds.NotFound("new", code="brand_new")).status_code == 404


def test_what_a_refusal_names_never_replaces_the_shape() -> None:
    body = checked(answered(kinds.Conflict("busy", status="RUNNING", error="x", run_id="r")), 409, "conflict")

    assert (body["status"], body["error"], body["run_id"]) == (409, "busy", "r")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "unknown_route"),
        ("GET", "/api/v1/nowhere", 404, "unknown_route"),
        ("GET", "/api/v1/workflows/", 404, "unknown_route"),
        ("GET", "/api/v1//workflows", 404, "unknown_route"),
        ("POST", "/api/v1/workflows/a/signal/", 404, "unknown_route"),
        ("DELETE", "/api/v1/workflows", 405, "method_not_allowed"),
        ("TRACE", "/api/v1/workflows/a", 405, "method_not_allowed"),
        ("GET", "/api/v1/workers/w/exchange", 405, "method_not_allowed"),
        ("GET", "/api/v1/workflows/a%00", 400, "invalid_path"),
        ("GET", "/api/v1/workflows/a%0D%0Ab", 400, "invalid_path"),
        ("GET", "/api/v1/workflows/..", 422, "invalid_id"),
        ("GET", "/api/v1/workflows/" + "x" * 256, 422, "invalid_id"),
        ("GET", "/api/v1/workflows/none", 404, "not_found"),
        ("POST", "/api/v1/workflows", 422, "missing_field"),
    ],
)
def test_routes_refuse_in_the_one_shape(door: FlaskClient, method: str, path: str, status: int, code: str) -> None:
    response = door.open(path, method=method)

    checked(response, status, code)
    assert ("Allow" in response.headers) == (status == 405)


def test_bytes_in_a_path_that_are_not_utf8_are_400(door: FlaskClient) -> None:
    broken = door.open(environ_overrides={"PATH_INFO": f"{URL}/\xff", "REQUEST_METHOD": "GET"})
    sent = door.get(f"{URL}/%EF%BF%BD")

    checked(broken, 400, "invalid_path")
    checked(sent, 404, "not_found")


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b'{"a": NaN}', "application/json", 400, "non_finite_number"),
        (b'{"a": "\\ud800"}', "application/json", 400, "invalid_unicode"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 400, "too_deep"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b" " * (4 * 1024 * 1024 + 1), "application/json", 413, "payload_too_large"),
        (b'"text"', "application/json", 422, "invalid_type"),
        (b'{"workflow_type": true}', "application/json", 422, "invalid_type"),
        (b'{"workflow_type": "a\\u0000b"}', "application/json", 422, "control_character"),
        (b'{"workflow_type": "a", "workflow_id": ".."}', "application/json", 422, "invalid_id"),
        (b'{"workflow_type": "a", "namespace": ""}', "application/json", 422, "invalid_id"),
        (b'{"workflow_type": "a", "id_reuse": "maybe"}', "application/json", 422, "invalid_value"),
        (b'{"workflow_type": "a", "search_attributes": [1]}', "application/json", 422, "invalid_type"),
        (b'{"workflow_type": "a", "search_attributes": {"a b": 1}}', "application/json", 422,
         "invalid_attribute"),
        (b'{"workflow_type": "a", "search_attributes": {"a": "\\u0000"}}', "application/json", 422,
         "control_character"),
        (b'{"workflow_type": "a", "input": "' + b"x" * (2 * 1024 * 1024) + b'"}', "application/json", 413,
         "payload_too_large"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_bodies_are_refused_in_the_one_shape(door: FlaskClient, body: bytes, kind: str, status: int, code: str) -> None:
    checked(door.post(URL, data=body, content_type=kind), status, code)

    assert door.get(URL).get_json() == []


def test_every_bad_field_is_named(door: FlaskClient) -> None:
    body = checked(
        door.post(URL, json={"workflow_id": 5, "namespace": "a\x7fb", "search_attributes": {"k": {}}}),
        422, "missing_field",
    )  # fmt: skip

    assert body["details"] == [
        {"field": "/workflow_type", "issue": "missing_field"},
        {"field": "/namespace", "issue": "forbidden_character"},
        {"field": "/search_attributes/k", "issue": "invalid_attribute"},
        {"field": "/workflow_id", "issue": "invalid_type"},
    ]
    assert body["error"] == "workflow_type: is missing (and 3 more)"


def test_an_unexpected_failure_is_a_500_that_tells_nothing(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("SELECT secret FROM /var/lib/database")

    monkeypatch.setattr(engine.workflows, "describe", fail)
    with caplog.at_level(logging.ERROR):
        response = client.get(f"{URL}/a", headers={"X-Request-Id": "mine"})

    body = checked(response, 500, "internal")
    assert "SELECT" not in response.text
    assert "/var" not in response.text
    assert body["request_id"] == "mine"
    (record,) = caplog.records
    assert "request_id=mine" in record.getMessage()
    assert record.exc_info is not None
    assert "SELECT secret" in str(record.exc_info[1])


def test_a_failure_of_our_own_making_is_a_500_as_well(
    client: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssayError("run_key 7 is not in the map")

    monkeypatch.setattr(engine.workflows, "describe", fail)

    body = checked(client.get(f"{URL}/a"), 500, "internal")
    assert "run_key" not in body["error"]
    assert "run_key 7" in str(caplog.records[-1].exc_info)


def test_a_slot_is_free_again_after_every_refusal(client: FlaskClient, app: Flask) -> None:
    for _ in range(20):
        client.get(f"{URL}/none")
        client.post(URL, data=b"{", content_type="application/json")

    admission = app.extensions["assay_wsgi.admission"]
    assert [admission.computing.acquire(blocking=False) for _ in range(9)] == [True] * 8 + [False]


@pytest.mark.parametrize("path", [f"{URL}/none", "/nowhere", URL + "?limit=0"])
def test_problem_json_is_there_for_those_who_ask(door: FlaskClient, path: str) -> None:
    response = door.get(path, headers={"Accept": "application/problem+json, application/json;q=0.5"})

    assert response.content_type == "application/problem+json"
    assert response.get_json(force=True)["error"]


@pytest.mark.parametrize(
    "path",
    [URL, "/api/v1/health", "/livez", "/readyz", "/", "/workflow", "/workflow/", "/nowhere", f"{URL}/none"],
)
def test_every_answer_names_its_request(door: FlaskClient, path: str) -> None:
    assert door.get(path, headers={"X-Request-Id": "from-the-proxy"}).headers["X-Request-Id"] == "from-the-proxy"
    made = {door.get(path).headers["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "ä", "a\tb"])
def test_a_request_id_that_is_no_name_is_replaced(door: FlaskClient, sent: str) -> None:
    named = door.get("/livez", headers={"X-Request-Id": sent}).headers["X-Request-Id"]

    assert named != sent
    assert len(named) == 24
