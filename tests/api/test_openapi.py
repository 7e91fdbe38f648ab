"""The description of the API, and that the answers are what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields as marshmallow_fields
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from assay_wsgi.api import jsonschemas
from assay_wsgi.api import openapi
from assay_wsgi.api.commands import load_commands
from assay_wsgi.api.contract import Operation
from assay_wsgi.api.fields import Checked
from assay_wsgi.api.fields import load
from assay_wsgi.app import init_app

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine

API = "/api/v1"
URL = f"{API}/openapi.json"


def document(client: FlaskClient, url: str = URL) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200
    found: dict[str, Any] = response.get_json()
    return found


def pointed(described: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][path][method]
    return found


def checked_fields(app: Flask) -> list[Checked]:
    """Give every field of ours that a route takes, nested ones too."""
    schemas = [schema for _, op, _ in openapi.operations(app) for schema in (op.body, op.query) if schema is not None]
    found: list[Checked] = []
    for schema in schemas:
        for field in schema.fields.values():
            if isinstance(field, marshmallow_fields.Nested):
                schemas.append(field.schema)
            else:
                assert isinstance(field, Checked), field
                found.append(field)
    return found


def test_the_document_is_valid_openapi_3_1(door: FlaskClient) -> None:
    described = document(door)

    validate(described)
    assert described["openapi"] == "3.1.0"
    assert described["info"]["version"] == door.get(f"{API}/version").get_json()["version"]


def test_every_route_of_the_api_is_in_it_and_nothing_else(door: FlaskClient) -> None:
    rules = {
        (openapi.method_of(rule).lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in door.application.url_map.iter_rules()
        if rule.rule.startswith(f"{API}/") or rule.rule in ("/livez", "/readyz")
    }

    described = document(door)["paths"]

    assert {(method, path) for path, methods in described.items() for method in methods} == rules


def test_every_operation_is_told_apart_and_described(door: FlaskClient) -> None:
    described = [operation for methods in document(door)["paths"].values() for operation in methods.values()]

    assert len({operation["operationId"] for operation in described}) == len(described)
    assert all(operation["summary"].endswith(".") for operation in described)
    assert all(len(operation["tags"]) == 1 for operation in described)


def test_every_check_of_a_field_has_a_schema(door: FlaskClient) -> None:
    checks = {field.check for field in checked_fields(door.application)}

    assert checks - jsonschemas.DESCRIBED.keys() == set()
    for field in checked_fields(door.application):
        OAS31Validator.check_schema(jsonschemas.schema_of(field))


def test_a_check_without_a_schema_is_an_error() -> None:
    with pytest.raises(KeyError):
        jsonschemas.schema_of(Checked(lambda value: value))


def test_bounds_of_checks_stand_in_the_schema(door: FlaskClient) -> None:
    schemas = document(door)["components"]["schemas"]

    attempts = schemas["ActivityBody"]["properties"]["max_attempts"]
    assert attempts.pop("description") == "How often it is tried; 0 = without end."
    assert attempts == {"type": ["integer", "null"], "minimum": 0, "maximum": 10_000}
    assert schemas["BatchBody"]["properties"]["workflows"].items() >= {"type": "array", "maxItems": 1000}.items()
    assert schemas["BatchBody"]["required"] == ["workflows"]
    conflict = schemas["StartBody"]["properties"]["id_conflict"]
    assert conflict["anyOf"][0]["enum"] == ["fail", "use_existing", "terminate_existing"]
    assert conflict["default"] == "fail"


@pytest.mark.parametrize(
    ("text", "good"),
    [("a", True), ("a b", True), ("ü/:", True), ("x" * 255, True), ("", False), ("x" * 256, False), (" a", False),
     ("a ", False), (".", False), ("..", False), ("a\x00", False), ("a\u202eb", False), ("a\ufdd0", False)],
    ids=ascii,
)  # fmt: skip
def test_the_schema_of_a_name_lets_pass_what_the_service_lets_pass(door: FlaskClient, text: str, good: bool) -> None:
    schema = document(door)["components"]["schemas"]["Name"]

    assert OAS31Validator(schema).is_valid(text) is good
    assert door.post(f"{API}/workflows", json={"workflow_type": text}).status_code == (201 if good else 422)


def test_a_body_without_required_fields_may_be_nothing_null_or_an_empty_array(door: FlaskClient) -> None:
    described = document(door)

    cancel = pointed(described, f"{API}/workflows/{{workflow_id}}/cancel", "post")["requestBody"]
    assert cancel["required"] is False
    schema = {**cancel["content"]["application/json"]["schema"], "components": described["components"]}
    assert [OAS31Validator(schema).is_valid(body) for body in (None, [], {}, [1], "x")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert pointed(described, f"{API}/workflows", "post")["requestBody"]["required"] is True


def test_a_body_that_needs_one_of_two_members_says_so(door: FlaskClient) -> None:
    described = document(door)

    beat = pointed(described, f"{API}/workflow-tasks/{{workflow_id}}/heartbeat", "post")["requestBody"]
    schema = {**beat["content"]["application/json"]["schema"], "components": described["components"]}
    bodies: list[Any] = [{"worker_id": "w"}, {"task_token": "t"}, {"task_token": None}, {}, [], None]
    assert [OAS31Validator(schema).is_valid(body) for body in bodies] == [True, True, False, False, False, False]
    for body in bodies:
        status = door.post(f"{API}/workflow-tasks/none/heartbeat", json=body).status_code
        assert (status == 422) is not OAS31Validator(schema).is_valid(body)


def test_a_filter_of_attributes_is_json_in_the_query(door: FlaskClient) -> None:
    parameters = pointed(document(door), f"{API}/workflows", "get")["parameters"]

    (attributes,) = [parameter for parameter in parameters if parameter["name"] == "search_attrs"]
    assert OAS31Validator(attributes["content"]["application/json"]["schema"]).is_valid({"k": 1})
    assert "schema" not in attributes


def test_the_examples_are_such_as_the_routes_take(door: FlaskClient) -> None:
    shown = 0
    for _, operation, _ in openapi.operations(door.application):
        if operation.example is not None:
            assert operation.body is not None
            body = load(operation.body, operation.example)
            load_commands(body.get("commands"))
            shown += 1
        if operation.asks:
            assert operation.query is not None
            asked = {(operation.query.fields[name].data_key or name): str(one) for name, one in operation.asks.items()}
            load(operation.query, asked, pointers=False)

    assert shown == sum(operation.body is not None for _, operation, _ in openapi.operations(door.application))


def test_refusals_are_the_one_problem(door: FlaskClient) -> None:
    described = document(door)
    responses = pointed(described, f"{API}/workflows/{{workflow_id}}/signal/{{name}}", "post")["responses"]

    assert set(responses) == {"200", "400", "401", "403", "404", "409", "413", "415", "421", "422", "429", "500", "503"}
    problem = {**described["components"]["schemas"]["Problem"]}
    for answer in (door.get(f"{API}/workflows/none"), door.post(f"{API}/workflows", json={"workflow_type": 1})):
        OAS31Validator(problem).validate(answer.get_json())


def test_keys_and_tags_are_told(door: FlaskClient) -> None:
    described = document(door)

    def headers(method: str, path: str) -> list[str]:
        return [p["name"] for p in pointed(described, API + path, method)["parameters"] if p["in"] == "header"]

    assert headers("post", "/workflows") == ["Idempotency-Key"]
    assert headers("delete", "/namespaces/{name}") == ["Idempotency-Key"]
    assert headers("post", "/tasks/poll") == headers("get", "/workflows") == []
    assert "304" in pointed(described, f"{API}/workflows", "get")["responses"]
    assert "Link" in pointed(described, f"{API}/workflows", "get")["responses"]["200"]["headers"]


def test_below_a_prefix_the_paths_have_it_and_the_hosts_own_are_not_told(engine: Engine) -> None:
    shop = Flask("shop")
    shop.get("/shop")(lambda: "welcome")
    init_app(shop, engine, url_prefix="/flow")

    plain = document(shop.test_client(), "/flow/api/v1/openapi.json")
    response = shop.test_client().get("/flow/api/v1/openapi.json", environ_overrides={"SCRIPT_NAME": "/mnt"})

    assert all(path.startswith("/flow/") for path in plain["paths"])
    assert plain["servers"] == [{"url": "/"}]
    assert response.get_json()["servers"] == [{"url": "/mnt"}]


class Tour:
    """Asks, and holds each good answer against what its route has declared."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.app = client.application
        self.described = document(client)
        self.visited: set[str] = set()

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        given = {} if body is None else {"json": body}
        response = self.client.open(path, method=method, **given)
        assert response.status_code == status, response.text
        rule, _ = self.app.url_map.bind("localhost").match(path.partition("?")[0], method, return_rule=True)
        self.visited.add(rule.endpoint)
        operation: Operation = self.app.view_functions[rule.endpoint].operation  # type: ignore[attr-defined]
        answer = response.get_json()
        self._hold_members(operation, answer)
        self._hold_schema(rule.rule.replace("<", "{").replace(">", "}"), method.lower(), status, answer)
        return answer

    def streams(self, path: str) -> None:
        """Listen to a stream until it tells of something."""
        response = self.client.get(path)
        rule, _ = self.app.url_map.bind("localhost").match(path.partition("?")[0], "GET", return_rule=True)
        self.visited.add(rule.endpoint)
        told = pointed(self.described, rule.rule, "get")["responses"]["200"]
        assert [response.mimetype] == list(told["content"])
        assert any(b"\ndata: {" in chunk for chunk in response.iter_encoded())
        response.close()

    def _hold_members(self, operation: Operation, answer: Any) -> None:
        if answer in operation.instead:
            return
        if operation.returns is None:
            assert answer is None
            return
        assert isinstance(answer, list) == operation.many
        declared = set(operation.returns().fields)
        sometimes = operation.returns.sometimes  # type: ignore[attr-defined]
        for one in answer if operation.many else [answer]:
            assert declared - sometimes <= set(one) <= declared

    def _hold_schema(self, path: str, method: str, status: int, answer: Any) -> None:
        told = pointed(self.described, path, method)["responses"][str(status)]
        if answer is None and "content" not in told:
            return
        schema = told["content"]["application/json"]["schema"]
        OAS31Validator({**schema, "components": self.described["components"]}).validate(answer)


def test_every_route_answers_what_it_declares(client: FlaskClient) -> None:
    visit = Tour(client)
    run = f"{API}/workflows/a"

    visit("GET", "/livez")
    visit("GET", "/readyz")
    visit("GET", f"{API}/health")
    visit("GET", f"{API}/version")
    visit("GET", URL)

    visit("POST", f"{API}/tasks/poll", {"queue": "main", "worker_id": "w"})
    visit("POST", f"{API}/workflow-tasks/poll", {"queue": "main", "worker_id": "w"})
    worker = visit("POST", f"{API}/workers/register", {"identity": "me", "queue": "main"})["worker_id"]
    visit("POST", f"{API}/workers/heartbeat", {"worker_id": worker})
    visit("GET", f"{API}/workers")

    start = {"workflow_type": "Hello", "workflow_id": "a", "input": [1], "search_attributes": {"k": 1}}
    visit("POST", f"{API}/workflows", start, status=201)
    visit("POST", f"{API}/workflows", {**start, "id_conflict": "use_existing"})
    visit("POST", f"{API}/workflows/batch", {"workflows": [{"workflow_type": "Hello", "workflow_id": "b"}, {}]})
    visit("POST", f"{run}/signal/go", {"payload": 1, "signal_id": "s"})
    assert visit("POST", f"{run}/signal/go", {"signal_id": "s"})["repeated"] is True
    both = {"signal": "go", "workflow_type": "Hello", "signal_id": "t"}
    visit("POST", f"{API}/workflows/c/signal-with-start", both, status=201)
    assert visit("POST", f"{API}/workflows/c/signal-with-start", both)["repeated"] is True
    activity = {"name": "charge", "seq": 1}
    visit("POST", f"{run}/activities", activity, status=201)
    visit("POST", f"{run}/activities", activity)
    visit("GET", f"{API}/workflows")
    visit("GET", f"{API}/workflows/count?group_by=type")
    visit("GET", f"{run}/events?limit=1")
    visit("GET", f"{run}/children")
    visit("GET", f"{run}/tree")

    mine = {"queue": "main", "worker_id": worker}
    turn = visit("POST", f"{API}/workflow-tasks/poll", mine)
    task = f"{API}/workflow-tasks/{turn['workflow_id']}"
    held = {"task_token": turn["task_token"]}
    visit("POST", f"{task}/heartbeat", held)
    commands = [{"type": "RecordSnapshot", "state": {"step": 1}}, {"type": "WaitForSignal", "name": "more"}]
    visit("POST", f"{task}/commands", {**held, "commands": commands})
    assert visit("POST", f"{task}/commands", {**held, "commands": commands})["repeated"] is True
    visit("GET", f"{API}/workflows/{turn['workflow_id']}")
    visit("GET", f"{API}/workflows/{turn['workflow_id']}/state")
    visit("GET", f"{API}/workflows/{turn['workflow_id']}/state/step")
    turn = visit("POST", f"{API}/workflow-tasks/poll", mine)
    failure = {"task_token": turn["task_token"], "cause": "bug"}
    visit("POST", f"{API}/workflow-tasks/{turn['workflow_id']}/fail", failure)
    visit("GET", f"{API}/workflows/{turn['workflow_id']}")
    visit("POST", f"{API}/workflows/{turn['workflow_id']}/retry-now", {"activities": False})

    attempt = visit("POST", f"{API}/tasks/poll", mine)
    work, held = f"{API}/tasks/{attempt['id']}", {"task_token": attempt["task_token"]}
    visit("GET", f"{API}/workers")
    visit("GET", f"{API}/queues")
    visit("GET", f"{API}/backlog")
    visit("POST", f"{work}/heartbeat", {**held, "details": {"done": 1}})
    visit("POST", f"{work}/release", held)
    attempt = visit("POST", f"{API}/tasks/poll", mine)
    visit("POST", f"{work}/fail", {"task_token": attempt["task_token"], "error": "no", "details": [1]})
    visit("GET", f"{API}/activities/{attempt['id']}")
    visit("POST", f"{run}/activities", {"name": "refund", "seq": 2}, status=201)
    attempt = visit("POST", f"{API}/tasks/poll", mine)
    report = {"task_token": attempt["task_token"], "result": 5}
    visit("POST", f"{API}/tasks/{attempt['id']}/complete", report)
    assert visit("POST", f"{API}/tasks/{attempt['id']}/complete", report)["repeated"] is True

    first = {"session": "s", "n": 1, "queue": "main", "worker": {"identity": "me"}, "workflow_slots": 5}
    visit("POST", f"{API}/workers/x/exchange", first)
    replaced = visit("POST", f"{API}/workers/x/exchange", {"session": "other", "n": 1, "queue": "main"})
    assert replaced["code"] == "session_replaced"

    visit("POST", f"{run}/cancel", {"reason": "no"})
    visit("POST", f"{API}/workflows/c/terminate", {"reason": "no"})
    visit("GET", f"{API}/workflows/c")
    visit("POST", f"{API}/workflows/c/continue-as-new", [], status=201)
    visit("POST", f"{API}/namespaces", {"name": "shop"}, status=201)
    visit("GET", f"{API}/namespaces")
    visit("GET", f"{API}/namespaces/shop")
    visit("DELETE", f"{API}/namespaces/shop")
    visit("POST", f"{API}/namespaces", {"name": "shop"}, status=201)
    visit("DELETE", f"{API}/namespaces/shop?force=true")

    daily = {"name": "nightly", "workflow_type": "Report", "cron_expr": "@daily", "search_attributes": {"k": 1}}
    schedule = f"{API}/schedules/nightly"
    visit("POST", f"{API}/schedules", daily, status=201)
    visit("GET", f"{API}/schedules")
    visit("GET", schedule)
    visit("PATCH", schedule, {"input": [1], "run_timeout_secs": 5})
    visit("GET", f"{schedule}/next?n=2")
    assert visit("POST", f"{schedule}/trigger", {})["outcome"] == "started"
    assert visit("POST", f"{schedule}/trigger", {})["reason"] == "overlap"
    visit("POST", f"{schedule}/backfill", {"start": 1_600_000_000, "end": 1_600_086_400})
    visit("POST", f"{schedule}/pause", {"reason": "rain"})
    visit("POST", f"{schedule}/resume")
    visit("DELETE", schedule)
    made = visit("POST", f"{API}/api-keys", {"label": "one", "roles": ["viewer"]}, status=201)
    visit("POST", f"{API}/api-keys", {"label": "one", "idempotent": True})
    visit("GET", f"{API}/api-keys")
    successor = visit("POST", f"{API}/api-keys/{made['prefix']}/rotate", {}, status=201)
    visit("DELETE", f"{API}/api-keys/{successor['prefix']}", status=204)
    visit("GET", f"{API}/audit")
    page = visit("GET", f"{API}/events?after=oldest")
    assert page["events"]
    visit.streams(f"{API}/events/stream?last_event_id={page['events'][0]['id']}")
    visit("POST", f"{API}/events/ticket", status=201)

    visit.visited.add("assay_sockets.plain")  # leaves HTTP: tests/api/test_sockets.py

    assert visit.visited == {rule.endpoint for rule, _, _ in openapi.operations(client.application)}
