"""Idempotency-Key: who repeats a request gets the first answer, and nothing happens twice."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

URL = "/api/v1/workflows"
KEY = {"Idempotency-Key": "k-1"}


def history(client: FlaskClient, workflow_id: str) -> list[str]:
    return [event["event_type"] for event in client.get(f"{URL}/{workflow_id}/events").get_json()]


def test_a_repeated_start_gets_the_first_answer(client: FlaskClient) -> None:
    body = {"workflow_type": "Hello"}

    first = client.post(URL, json=body, headers=KEY)
    again = client.post(URL, json=body, headers=KEY)
    other = client.post(URL, json=body, headers={"Idempotency-Key": "k-2"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert other.get_json()["run_id"] != first.get_json()["run_id"]
    assert len(client.get(URL).get_json()) == 2


def test_a_start_that_found_a_run_is_repeated_as_one(client: FlaskClient) -> None:
    body = {"workflow_type": "Hello", "workflow_id": "a", "id_conflict": "use_existing"}
    client.post(URL, json=body)

    first = client.post(URL, json=body, headers=KEY)
    client.post(f"{URL}/a/terminate")
    again = client.post(URL, json=body, headers=KEY)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.get_json() == first.get_json()


def test_a_repeated_batch_gets_the_first_answers(client: FlaskClient) -> None:
    body = {"workflows": [{"workflow_type": "Hello"}, {"workflow_type": ""}, {"workflow_type": "Hello"}]}

    first = client.post(f"{URL}/batch", json=body, headers=KEY)
    again = client.post(f"{URL}/batch", json=body, headers=KEY)

    assert first.status_code == again.status_code == 200
    assert again.get_json() == first.get_json()
    assert len(client.get(URL).get_json()) == 2


@pytest.mark.parametrize(("act", "event"), [("signal/go", "SignalReceived"), ("terminate", "WorkflowTerminated")])
def test_a_repeated_act_happens_once(client: FlaskClient, act: str, event: str) -> None:
    client.post(URL, json={"workflow_type": "Hello", "workflow_id": "a"})

    first = client.post(f"{URL}/a/{act}", headers=KEY)
    again = client.post(f"{URL}/a/{act}", headers=KEY)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.get_json() == first.get_json()
    assert history(client, "a").count(event) == 1


def test_a_repeated_cancel_of_a_run_that_it_closed_is_not_404(client: FlaskClient) -> None:
    client.post(URL, json={"workflow_type": "Hello", "workflow_id": "a"})

    first = client.post(f"{URL}/a/cancel", headers=KEY)
    again = client.post(f"{URL}/a/cancel", headers=KEY)

    assert (first.status_code, again.status_code) == (200, 200)
    assert client.post(f"{URL}/a/cancel").status_code == 404


def test_the_same_key_for_another_request_is_422(client: FlaskClient) -> None:
    for workflow_id in ("a", "b"):
        client.post(URL, json={"workflow_type": "Hello", "workflow_id": workflow_id})
    first: dict[str, Any] = {"json": {"payload": 1}, "headers": KEY}
    assert client.post(f"{URL}/a/signal/go", **first).status_code == 200

    for target, body in (
        (f"{URL}/a/signal/go", {"payload": 2}),
        (f"{URL}/a/signal/stop", {"payload": 1}),
        (f"{URL}/b/signal/go", {"payload": 1}),
        (f"{URL}/a/signal/go?namespace=main", {"payload": 1}),
        (f"{URL}/a/terminate", {"payload": 1}),
        (URL, {"workflow_type": "Hello"}),
    ):
        response = client.post(target, json=body, headers=KEY)
        assert (response.status_code, response.get_json()["code"]) == (422, "idempotency_key_reused"), target
    assert client.post(f"{URL}/a/signal/go", **first).status_code == 200
    assert history(client, "a") == ["WorkflowStarted", "SignalReceived"]
    assert history(client, "b") == ["WorkflowStarted"]


def test_refusals_are_not_kept(client: FlaskClient) -> None:
    body = {"workflow_type": "Hello", "workflow_id": "a"}
    client.post(URL, json=body)
    assert client.post(URL, json=body, headers=KEY).status_code == 409
    client.post(f"{URL}/a/terminate")

    assert client.post(URL, json=body, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä", "a\tb"])
def test_a_key_is_visible_ascii(door: FlaskClient, key: str) -> None:
    response = door.post(URL, json={"workflow_type": "Hello"}, headers={"Idempotency-Key": key})

    assert (response.status_code, response.get_json()["code"]) == (422, "invalid_idempotency_key")
    assert door.get(URL).get_json() == []
