"""POST /workflows and /workflows/batch."""

from __future__ import annotations

import json
import re
from typing import Any

from flask.testing import FlaskClient

from assay_wsgi import __version__
from assay_wsgi.api import records

URL = "/api/v1/workflows"
HELLO = {"workflow_type": "Hello", "workflow_id": "hello-1"}


def described(client: FlaskClient, workflow_id: str, **query: str) -> dict[str, Any]:
    response = client.get(f"{URL}/{workflow_id}", query_string=query)
    assert response.status_code == 200, response.text
    record: dict[str, Any] = response.get_json()
    return record


def test_a_start_is_201_and_names_the_run(client: FlaskClient) -> None:
    response = client.post(URL, json={**HELLO, "input": {"name": "Ada"}, "task_queue": "greetings"})

    started = response.get_json()
    assert response.status_code == 201
    assert set(started) == {"workflow_id", "run_id", "status"} < set(records.RunStarted().fields)
    assert (started["workflow_id"], started["status"]) == ("hello-1", "PENDING")
    assert started["run_id"].startswith("run-hello-1-")

    record = described(client, "hello-1")
    assert record["run_id"] == started["run_id"]
    assert (record["workflow_type"], record["task_queue"], record["namespace"]) == (
        "Hello",
        "greetings",
        "main",
    )
    assert json.loads(record["input"]) == {"name": "Ada"}


def test_a_start_without_an_id_gets_one_that_says_its_type(client: FlaskClient) -> None:
    first = client.post(URL, json={"workflow_type": "Hello"}).get_json()
    second = client.post(URL, json={"workflow_type": "Hello"}).get_json()

    assert re.match(r"wf-hello-\d{13}", first["workflow_id"])
    assert first["workflow_id"] != second["workflow_id"]


def test_the_queue_and_the_namespace_are_main_unless_named(client: FlaskClient) -> None:
    """assay 0.1.8's REST door has these defaults."""
    client.post(URL, json=HELLO)

    record = described(client, "hello-1")
    assert (record["task_queue"], record["namespace"], record["input"]) == ("main", "main", None)


def test_runs_say_which_build_took_them_unless_the_caller_says_otherwise(client: FlaskClient) -> None:
    """assay 0.1.8 stamps every run that its API starts."""
    client.post(URL, json={**HELLO, "search_attributes": {"customer": "a"}})
    client.post(URL, json={**HELLO, "workflow_id": "own", "search_attributes": {"assay_engine_version": "7"}})

    assert json.loads(described(client, "hello-1")["search_attributes"]) == {
        "assay_engine_version": __version__,
        "customer": "a",
    }
    assert json.loads(described(client, "own")["search_attributes"]) == {"assay_engine_version": "7"}


def test_an_open_id_is_409_and_names_the_run_that_has_it(client: FlaskClient) -> None:
    first = client.post(URL, json=HELLO).get_json()

    response = client.post(URL, json=HELLO)

    refused = response.get_json()
    assert (response.status_code, refused["code"]) == (409, "workflow_already_started")
    assert (refused["run_id"], refused["run_status"], refused["status"]) == (first["run_id"], "PENDING", 409)


def test_use_existing_is_200_and_says_so(client: FlaskClient) -> None:
    first = client.post(URL, json=HELLO).get_json()

    response = client.post(URL, json={**HELLO, "id_conflict": "use_existing"})

    assert response.status_code == 200
    assert response.get_json() == {**first, "already_started": True}


def test_terminate_existing_is_201_and_ends_the_old_run(client: FlaskClient) -> None:
    first = client.post(URL, json=HELLO).get_json()

    response = client.post(URL, json={**HELLO, "id_conflict": "terminate_existing"})

    assert response.status_code == 201
    assert response.get_json()["run_id"] != first["run_id"]
    old = described(client, "hello-1", run_id=first["run_id"])
    assert (old["status"], old["close_reason"]) == ("FAILED", "terminated")


def test_id_reuse_decides_about_closed_runs(client: FlaskClient) -> None:
    client.post(URL, json=HELLO)
    client.post(f"{URL}/hello-1/cancel")

    assert client.post(URL, json={**HELLO, "id_reuse": "reject"}).status_code == 409
    assert client.post(URL, json={**HELLO, "id_reuse": "allow_failed_only"}).status_code == 201


def test_any_json_is_an_input(client: FlaskClient) -> None:
    inputs = [0, False, "", [], {}, "a\x00b", 2**70, -(2**63), 1.5, "\U0001f600", [[{"a": [None]}]]]

    for number, value in enumerate(inputs):
        assert client.post(URL, json={**HELLO, "workflow_id": f"w-{number}", "input": value}).status_code == 201
        assert json.loads(described(client, f"w-{number}")["input"]) == value


def test_fields_that_nobody_knows_are_ignored(client: FlaskClient) -> None:
    assert client.post(URL, json={**HELLO, "status": "COMPLETED", "colour": "blue"}).status_code == 201
    assert described(client, "hello-1")["status"] == "PENDING"


def test_a_batch_gives_each_item_its_own_outcome_in_order(client: FlaskClient) -> None:
    client.post(URL, json=HELLO)

    response = client.post(
        f"{URL}/batch",
        json={
            "workflows": [
                {"workflow_type": "Hello", "workflow_id": "b-1"},
                HELLO,
                {"workflow_type": 5},
                "not an object",
                {"workflow_type": "Hello", "workflow_id": "b-1"},
                {"workflow_type": "Hello", "workflow_id": "b-1", "id_conflict": "use_existing"},
                {"workflow_type": "Hello", "workflow_id": "b-2"},
            ]
        },
    )

    results = response.get_json()["results"]
    assert response.status_code == 200
    assert [one.get("workflow_id") or one["code"] for one in results] == [
        "b-1",
        "workflow_already_started",
        "invalid_type",
        "invalid_type",
        "workflow_already_started",
        "b-1",
        "b-2",
    ]
    assert results[5] == {**results[0], "already_started": True}
    assert results[2]["details"] == [{"field": "/workflow_type", "issue": "invalid_type"}]
    assert results[1]["error"]
    assert results[1]["run_status"] == "PENDING"
    assert described(client, "b-2")["status"] == "PENDING"


def test_a_batch_takes_up_to_a_thousand(client: FlaskClient) -> None:
    many = [{"workflow_type": "Hello", "workflow_id": f"m-{n}"} for n in range(1001)]

    assert client.post(f"{URL}/batch", json={"workflows": many}).get_json()["code"] == "too_many_items"
    results = client.post(f"{URL}/batch", json={"workflows": many[:1000]}).get_json()["results"]

    assert [one["workflow_id"] for one in results] == [f"m-{n}" for n in range(1000)]


def test_an_empty_batch_has_no_results(client: FlaskClient) -> None:
    assert client.post(f"{URL}/batch", json={"workflows": []}).get_json() == {"results": []}
    assert client.post(f"{URL}/batch", json={}).get_json()["code"] == "missing_field"
