"""Bad input and its exact answer: one rule for every route, new ones too.

What only a real server shows is in test_raw_requests.py, what is too large in test_size_caps.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from assay_wsgi import jsontext
from assay_wsgi.api import checks
from assay_wsgi.api import commands
from assay_wsgi.api import openapi
from assay_wsgi.api.contract import Operation
from assay_wsgi.api.fields import Checked
from assay_wsgi.api.fields import ListQuery

RUNS = "/api/v1/workflows"
DIGITS_5000 = b'{"a": ' + b"1" * 5000 + b"}"
DEEP = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def routes(door: FlaskClient) -> Iterator[tuple[str, str, Rule, Operation]]:
    """Give (method, path with `1` for each variable, rule, what it declares) of every route."""
    for rule, operation, _ in openapi.operations(door.application):
        path = openapi.VARIABLE.sub("1", rule.rule)
        yield openapi.method_of(rule), path, rule, operation


def refused(response: Any, status: int, code: str) -> Any:
    body = response.get_json()
    assert (response.status_code, body["code"]) == (status, code), (response.request.path, body)
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert len(body["error"]) < 500
    return body


# ---------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b" ", 400, "invalid_json"),
        (b'{"a": 1} x', 400, "invalid_json"),
        (b'{"a": 1}{"a": 1}', 400, "invalid_json"),
        (b'{"a": 01}', 400, "invalid_json"),
        (b"{'a': 1}", 400, "invalid_json"),
        (b'{"a": "\xff"}', 400, "invalid_json"),
        (b'{"a": "\xed\xa0\x80"}', 400, "invalid_json"),
        ('{"a": 1}'.encode("utf-16"), 400, "invalid_json"),
        ('{"a": 1}'.encode("utf-16-le"), 400, "invalid_json"),
        (b'"text"', 422, "invalid_type"),
        (b"[1]", 422, "invalid_type"),
        (b"[[]]", 422, "invalid_type"),
        (b"true", 422, "invalid_type"),
        (b"0", 422, "invalid_type"),
        (b'{"a": 1, "a": 1}', 400, "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', 400, "duplicate_key"),
        (b'{"a": ":", "a": 1, "b": "\\u003a"}', 400, "duplicate_key"),
        (b'{"b": "\\u003a", "a": 1, "a": 2}', 400, "duplicate_key"),
        (b'{"a": [{"b": {"c": 1, "c": 2}}]}', 400, "duplicate_key"),
        (b'{"a": NaN}', 400, "non_finite_number"),
        (b'{"a": Infinity}', 400, "non_finite_number"),
        (b'{"a": [-Infinity]}', 400, "non_finite_number"),
        (b'{"a": 1e400}', 400, "non_finite_number"),
        (DIGITS_5000, 400, "number_too_long"),
        (DEEP, 400, "too_deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, 400, "too_deep"),
        (b'{"a": "\\ud800"}', 400, "invalid_unicode"),
        (b'{"\\udfff": 1}', 400, "invalid_unicode"),
        (b'{"a": "\\ude00\\ud83d"}', 400, "invalid_unicode"),
        (b" " * (4 * 1024 * 1024 + 1), 413, "payload_too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_route_refuses_a_body_that_is_no_json_object(
    door: FlaskClient, raw: bytes, status: int, code: str
) -> None:
    asked = 0
    for method, path, _, operation in routes(door):
        if operation.body is not None:
            refused(door.open(path, method=method, data=raw, content_type="application/json"), status, code)
            asked += 1

    assert asked >= 20


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": ""},
     {"Content-Type": "application/json", "Content-Encoding": "gzip"},
     {"Content-Type": "application/json", "Content-Encoding": "br"}],
    ids=str,
)  # fmt: skip
def test_every_route_refuses_what_is_not_said_to_be_plain_json(door: FlaskClient, headers: dict[str, str]) -> None:
    for method, path, _, operation in routes(door):
        if operation.body is not None:
            refused(door.open(path, method=method, data=b"{}", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}"])
def test_every_route_takes_nothing_null_and_an_empty_array_for_an_empty_object(door: FlaskClient, raw: bytes) -> None:
    """assay 0.1.8's Lua worker writes empty tables as arrays."""
    for method, path, _, operation in routes(door):
        if operation.body is not None:
            response = door.open(path, method=method, data=raw, content_type="application/json")
            empty = door.open(path, method=method, json={})

            assert response.status_code == empty.status_code
            assert response.status_code in (200, 201, 404, 422)
            assert response.get_json().get("code") in (None, "not_found", "missing_field")


# ---------------------------------------------------------------------------------------------------- fields

BAD_NAMES = [
    (5, "invalid_type"), (True, "invalid_type"), (["a"], "invalid_type"), ({}, "invalid_type"),
    ("", "invalid_id"), (" a", "invalid_id"), ("a ", "invalid_id"), (".", "invalid_id"), ("..", "invalid_id"),
    ("a\x00b", "control_character"), ("a\nb", "forbidden_character"), ("a\x1bb", "forbidden_character"),
    ("a\x7fb", "forbidden_character"), ("a\x85b", "forbidden_character"), ("a\u202eb", "forbidden_character"),
    ("a\u2066b", "forbidden_character"), ("a\u200bb", "forbidden_character"), ("a\ufeffb", "forbidden_character"),
    ("a\u2028b", "forbidden_character"), ("a\ufdd0b", "forbidden_character"), ("a\uffffb", "forbidden_character"),
    ("a\U0010ffffb", "forbidden_character"),
]  # fmt: skip
BAD_VALUES: dict[Any, list[tuple[Any, str]]] = {
    checks.identifier: BAD_NAMES,
    checks.integer: [
        (True, "invalid_type"), (1.0, "invalid_type"), ("1", "invalid_type"), (-1, "out_of_range"),
        (2**63, "out_of_range"), (2**70, "out_of_range"),
    ],
    checks.number: [
        (True, "invalid_type"), ("1", "invalid_type"), (-0.5, "out_of_range"), (1e10, "out_of_range"),
        (10**400, "out_of_range"),
    ],
    checks.boolean: [(1, "invalid_type"), ("true", "invalid_type")],
    checks.choice: [(1, "invalid_type"), ("nothing of the kind", "invalid_value")],
    checks.text: [(1, "invalid_type"), ("a\x00", "control_character"), ("x" * 4097, "out_of_range")],
    checks.report: [(1, "invalid_type")],
    checks.token: [(1, "invalid_type"), ("x" * 257, "out_of_range")],
    checks.items: [({}, "invalid_type"), ([0] * 1001, "too_many_items")],
    checks.payload: [("x" * (2 * 1024 * 1024), "payload_too_large")],
    checks.attributes: [
        (5, "invalid_type"), ([1], "invalid_type"), ({f"k{n}": 1 for n in range(101)}, "too_many_items"),
    ],
    commands.error_types: [("a", "invalid_type"), (["a"] * 101, "too_many_items"), ([""], "invalid_id")],
}  # fmt: skip


def test_every_field_of_every_body_refuses_what_it_must_not_be(door: FlaskClient) -> None:
    asked = set()
    for method, path, _, operation in routes(door):
        for name, field in () if operation.body is None else operation.body.fields.items():
            check = field.check if isinstance(field, Checked) else None
            for value, issue in BAD_VALUES.get(check, []):
                response = door.open(path, method=method, json={name: value})

                details = response.get_json()["details"]
                assert {"field": f"/{name}", "issue": issue} in details, (path, name, value)
                assert response.status_code in (413, 422)
                asked.add(check)

    assert asked == BAD_VALUES.keys()


def test_ids_have_at_most_255_characters_whatever_their_bytes(door: FlaskClient) -> None:
    long = "\U0001f600" * 255

    assert door.post(RUNS, json={"workflow_type": "a", "workflow_id": long}).status_code == 201
    assert door.get(f"{RUNS}/{quote(long)}").get_json()["id"] == long
    refused(door.post(RUNS, json={"workflow_type": "a", "workflow_id": long + "a"}), 422, "invalid_id")


@pytest.mark.parametrize("text", ["\x00", "\u202e\u200b\ufeff", "a\u2028b", "\ufdd0"], ids=ascii)
def test_payloads_may_hold_what_names_may_not(client: FlaskClient, text: str) -> None:
    started = client.post(RUNS, json={"workflow_type": "a", "workflow_id": "a", "input": {text: text}})
    signal = client.post(f"{RUNS}/a/signal/go", json={"payload": [text]})

    assert (started.status_code, signal.status_code) == (201, 200)
    assert client.get(f"{RUNS}/a/events").status_code == 200


@pytest.mark.parametrize(
    ("attributes", "status", "code"),
    [
        ({"": 1}, 422, "invalid_attribute"),
        ({"1a": 1}, 422, "invalid_attribute"),
        ({"a b": 1}, 422, "invalid_attribute"),
        ({'a"': 1}, 422, "invalid_attribute"),
        ({"a'": 1}, 422, "invalid_attribute"),
        ({"ä": 1}, 422, "invalid_attribute"),
        ({"a\n": 1}, 422, "invalid_attribute"),
        ({"a" * 65: 1}, 422, "invalid_attribute"),
        ({"a": []}, 422, "invalid_attribute"),
        ({"a": {}}, 422, "invalid_attribute"),
        ({"a": "\x00"}, 422, "control_character"),
        ({"a": 2**63}, 422, "out_of_range"),
        ({"a": -(2**63) - 1}, 422, "out_of_range"),
        ({"a": "x" * 2049}, 413, "payload_too_large"),
        ({"a": "ü" * 1025}, 413, "payload_too_large"),
        ({f"k{n}": "x" * 2000 for n in range(21)}, 413, "payload_too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_attributes_are_few_flat_and_small(door: FlaskClient, attributes: Any, status: int, code: str) -> None:
    refused(door.post(RUNS, json={"workflow_type": "a", "search_attributes": attributes}), status, code)


def test_attributes_at_their_limits_are_found_again(client: FlaskClient) -> None:
    attributes = {"A_.:-9" + "z" * 58: 2**63 - 1, "low": -(2**63), "text": "ü" * 1024, "yes": True, "none": None}
    client.post(RUNS, json={"workflow_type": "a", "workflow_id": "a", "search_attributes": attributes})

    for key, value in attributes.items():
        found = client.get(RUNS, query_string={"search_attrs": jsontext.dumps({key: value})})
        assert [run["id"] for run in found.get_json()] == ["a"], key


POLICIES = [
    ("max_attempts", -1, "out_of_range"), ("max_attempts", 10_001, "out_of_range"),
    ("max_attempts", True, "invalid_type"),
    ("initial_interval_secs", -1, "out_of_range"), ("initial_interval_secs", 1e10, "out_of_range"),
    ("max_interval_secs", -1, "out_of_range"), ("backoff_coefficient", 0.5, "out_of_range"),
    ("backoff_coefficient", 101, "out_of_range"), ("jitter", 1.5, "out_of_range"),
    ("start_to_close_secs", 0, "out_of_range"), ("start_to_close_secs", 400_000_000, "out_of_range"),
    ("heartbeat_timeout_secs", 0, "out_of_range"), ("non_retryable", "a", "invalid_type"), ("seq", 0, "out_of_range"),
    ("seq", 2**31, "out_of_range"), ("seq", True, "invalid_type"), ("name", "a\x00", "control_character"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "issue"), POLICIES, ids=str)
def test_policies_out_of_bounds_are_refused_by_route_and_by_command(
    door: FlaskClient, field: str, value: Any, issue: str
) -> None:
    wanted = {"name": "charge", "seq": 1, field: value}
    door.post(RUNS, json={"workflow_type": "a", "workflow_id": "a"})
    turn = door.post("/api/v1/workflow-tasks/poll", json={"queue": "main", "worker_id": "w"}).get_json()
    held = {"task_token": turn["task_token"]}

    by_route = refused(door.post(f"{RUNS}/a/activities", json=wanted), 422, issue)
    command = {"type": "ScheduleActivity", **wanted}
    by_command = door.post("/api/v1/workflow-tasks/a/commands", json={**held, "commands": [command]})

    assert by_route["details"] == [{"field": f"/{field}", "issue": issue}]
    said = refused(by_command, 422, "bad_command")
    assert (said["index"], said["field"], said["issue"]) == (0, field, issue)
    assert [event["event_type"] for event in door.get(f"{RUNS}/a/events").get_json()] == ["WorkflowStarted"]


def test_no_end_of_attempts_is_a_policy(door: FlaskClient) -> None:
    door.post(RUNS, json={"workflow_type": "a", "workflow_id": "a"})

    added = door.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 1, "max_attempts": 0})
    assert (added.status_code, added.get_json()["max_attempts"]) == (201, 0)


# ------------------------------------------------------------------------------------------- paths and queries


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ("%00", 400, "invalid_path"),
        ("a%0D%0Ab", 400, "invalid_path"),
        ("a%C2%85b", 400, "invalid_path"),
        ("..", 422, "invalid_id"),
        ("%2E", 422, "invalid_id"),
        ("%20a", 422, "invalid_id"),
        ("x" * 256, 422, "invalid_id"),
        ("a%E2%80%AEb", 422, "forbidden_character"),
        ("a%EF%B7%91b", 422, "forbidden_character"),
    ],
)
def test_every_route_refuses_an_id_in_its_path_that_is_no_text(
    door: FlaskClient, sent: str, status: int, code: str
) -> None:
    for method, _, rule, operation in routes(door):
        if rule.arguments:
            path = openapi.VARIABLE.sub(sent, rule.rule)
            refused(door.open(path, method=method, **({} if operation.body is None else {"json": {}})), status, code)


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PUT"])
def test_every_route_answers_a_method_that_it_does_not_know_with_405(door: FlaskClient, method: str) -> None:
    for own, path, _, _ in routes(door):
        response = door.open(path, method=method)

        refused(response, 405, "method_not_allowed")
        assert own in response.headers["Allow"].split(", ")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=-1", "out_of_range"),
        ("limit=0", "out_of_range"),
        ("limit=1000000000", "out_of_range"),
        ("limit=abc", "out_of_range"),
        ("limit=1.0", "out_of_range"),
        ("limit=" + "9" * 5000, "out_of_range"),
        ("offset=9223372036854775808", "out_of_range"),
        ("offset=4611686018427387905", "out_of_range"),
        ("colour=blue", "invalid_filter"),
        ("limit=1&limit=2", "invalid_filter"),
        ("namespace=", "invalid_id"),
        ("namespace=a%00", "control_character"),
    ],
)
def test_every_list_refuses_a_bad_parameter(door: FlaskClient, query: str, code: str) -> None:
    asked = 0
    parameter = query.partition("=")[0]
    for method, path, _, operation in routes(door):
        if isinstance(operation.query, ListQuery) and (parameter in operation.query.fields or parameter == "colour"):
            refused(door.open(f"{path}?{query}", method=method), 422, code)
            asked += 1

    assert asked >= 4


def test_the_largest_offset_is_one(door: FlaskClient) -> None:
    assert door.get(f"{RUNS}?offset=4611686018427387904").get_json() == []


@pytest.mark.parametrize(
    "search_attrs",
    ["", "x", "[1]", "5", '{"a":', '{"a":[]}', '{"a":{}}', '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e400}',
     '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a b":1}', '{"a":9223372036854775808}', '{"a":' + "9" * 5000 + "}",
     '{"a":' + "[" * 2000 + "]" * 2000 + "}"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_filter_by_attributes_that_is_none_is_422(client: FlaskClient, search_attrs: str) -> None:
    refused(client.get(RUNS, query_string={"search_attrs": search_attrs}), 422, "invalid_filter")


def test_filters_are_data_and_never_sql(client: FlaskClient) -> None:
    client.post(RUNS, json={"workflow_type": "a", "workflow_id": "a"})

    for text in ("' OR '1'='1", "a' --", "%", "_", "a; DROP TABLE workflows", '"', "\\", "$1", "?"):
        for name in ("type", "namespace", "parent_id", "claimed_by"):
            assert client.get(RUNS, query_string={name: text}).get_json() == []
    assert len(client.get(RUNS).get_json()) == 1


# -------------------------------------------------------------------------------------- things that are not there


def test_every_route_on_a_run_answers_404_for_one_that_is_not_there(client: FlaskClient) -> None:
    bodies: dict[str, dict[str, Any]] = {"activities": {"name": "a", "seq": 1}}
    for method, _, rule, operation in routes(client):
        if not rule.rule.startswith(f"{RUNS}/<workflow_id>") or rule.rule.endswith("signal-with-start"):
            continue
        path = openapi.VARIABLE.sub("none", rule.rule)
        given = {} if operation.body is None else {"json": bodies.get(rule.rule.rpartition("/")[2], {})}

        for query in ("", "?namespace=main", "?namespace=nowhere", "?run_id=run-none-1"):
            body = refused(client.open(path + query, method=method, **given), 404, "not_found")
            assert body["error"].startswith("not found: ")


@pytest.mark.parametrize("activity_id", ["1", "0", "-1", "9" * 18, "9" * 30, "abc", "1.0", "%D9%A3", "%2F"])
def test_an_activity_that_is_not_there_is_404(client: FlaskClient, activity_id: str) -> None:
    refused(client.get(f"/api/v1/activities/{activity_id}"), 404, "not_found")


def test_what_comes_too_late_says_so(client: FlaskClient) -> None:
    client.post(RUNS, json={"workflow_type": "a", "workflow_id": "a"})
    turn = client.post("/api/v1/workflow-tasks/poll", json={"queue": "main", "worker_id": "w"}).get_json()
    client.post(f"{RUNS}/a/terminate")

    refused(client.post(f"{RUNS}/a/cancel"), 404, "already_terminal")
    refused(client.post(f"{RUNS}/a/terminate"), 404, "already_terminal")
    refused(client.post(f"{RUNS}/a/signal/go"), 409, "workflow_closed")
    refused(client.post(f"{RUNS}/a/activities", json={"name": "a", "seq": 1}), 409, "workflow_closed")
    report = {"task_token": turn["task_token"], "commands": []}
    refused(client.post("/api/v1/workflow-tasks/a/commands", json=report), 409, "workflow_closed")


@pytest.mark.parametrize("token", ["", "w", "w.1.x", "a.1.1.x", "w.99999999999999999999.x", "w.-1.x", "\x00", "ü"])
def test_a_token_that_is_none_is_a_lost_lease(client: FlaskClient, token: str) -> None:
    client.post(RUNS, json={"workflow_type": "a", "workflow_id": "a"})
    client.post(f"{RUNS}/a/activities", json={"name": "a", "seq": 1})
    attempt = client.post("/api/v1/tasks/poll", json={"queue": "main", "worker_id": "w"}).get_json()

    held = {"task_token": token}
    for path in ("workflow-tasks/a/commands", "workflow-tasks/a/fail", "workflow-tasks/a/heartbeat"):
        refused(client.post(f"/api/v1/{path}", json=held), 409, "lease_lost")
    for verb in ("complete", "fail", "heartbeat", "release"):
        refused(client.post(f"/api/v1/tasks/{attempt['id']}/{verb}", json=held), 409, "lease_lost")
