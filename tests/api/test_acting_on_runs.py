"""POST: signal, retry now, cancel, terminate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay_wsgi.api import records

if TYPE_CHECKING:
    from tests.api.played_worker import WorkerOverHttp

URL = "/api/v1/workflows"


@pytest.fixture(autouse=True)
def a_run(client: FlaskClient) -> dict[str, Any]:
    started: dict[str, Any] = client.post(URL, json={"workflow_type": "Hello", "workflow_id": "a"}).get_json()
    return started


def event_types(client: FlaskClient) -> list[str]:
    return [event["event_type"] for event in client.get(f"{URL}/a/events").get_json()]


def test_a_signal_is_200_and_in_the_history(client: FlaskClient, a_run: dict[str, Any]) -> None:
    response = client.post(f"{URL}/a/signal/approve", json={"payload": {"by": "Ada"}, "signal_id": "s-1"})

    assert response.status_code == 200
    assert response.get_json() == {"ok": True, "run_id": a_run["run_id"], "event_seq": 2}
    assert set(response.get_json()) < set(records.SignalTaken().fields)
    event = client.get(f"{URL}/a/events?after_seq=1").get_json()[0]
    assert json.loads(event["payload"]) == {"signal": "approve", "payload": {"by": "Ada"}, "signal_id": "s-1"}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"payload": null}'])
def test_a_signal_needs_no_payload(client: FlaskClient, body: bytes) -> None:
    """assay 0.1.8's Lua worker sends [] for an empty table."""
    response = client.post(f"{URL}/a/signal/go", data=body, content_type="application/json")

    assert response.status_code == 200
    event = client.get(f"{URL}/a/events?after_seq=1").get_json()[0]
    assert json.loads(event["payload"])["payload"] is None


def test_a_signal_id_that_is_known_adds_nothing(client: FlaskClient) -> None:
    first = client.post(f"{URL}/a/signal/go", json={"signal_id": "s-1"}).get_json()

    again = client.post(f"{URL}/a/signal/go", json={"signal_id": "s-1"})

    assert again.status_code == 200
    assert again.get_json() == {**first, "repeated": True}
    assert event_types(client) == ["WorkflowStarted", "SignalReceived"]


def test_signal_names_may_hold_anything_but_slashes(client: FlaskClient) -> None:
    assert client.post(f"{URL}/a/signal/step%20done%3F").status_code == 200

    event = client.get(f"{URL}/a/events?after_seq=1").get_json()[0]
    assert json.loads(event["payload"])["signal"] == "step done?"


@pytest.mark.parametrize("act", ["signal/go", "retry-now", "cancel", "terminate"])
def test_acting_on_an_unknown_run_is_404(client: FlaskClient, act: str) -> None:
    for target in (
        f"{URL}/none/{act}",
        f"{URL}/a/{act}?namespace=elsewhere",
        f"{URL}/a/{act}?run_id=run-a-0",
    ):
        response = client.post(target)

        assert (response.status_code, response.get_json()["code"]) == (404, "not_found"), target
        assert response.get_json()["error"].startswith("not found: ")


def test_a_signal_to_a_closed_run_is_409(client: FlaskClient, a_run: dict[str, Any]) -> None:
    client.post(f"{URL}/a/terminate")

    response = client.post(f"{URL}/a/signal/go")

    refused = response.get_json()
    assert (response.status_code, refused["code"]) == (409, "workflow_closed")
    assert (refused["run_id"], refused["run_status"], refused["status"]) == (a_run["run_id"], "FAILED", 409)


def test_a_closed_run_has_nothing_to_retry(client: FlaskClient) -> None:
    client.post(f"{URL}/a/terminate")

    response = client.post(f"{URL}/a/retry-now")

    assert (response.status_code, response.get_json()["code"]) == (409, "workflow_closed")


def test_a_failing_task_is_tried_again_at_once(
    client: FlaskClient, worker: WorkerOverHttp, a_run: dict[str, Any]
) -> None:
    failure = {"cause": "bug", "message": "it broke"}
    worker.exchange(workflow_results=[{"task_token": worker.task()["task_token"], "failure": failure}])

    response = client.post(f"{URL}/a/retry-now")

    answer = response.get_json()
    assert (response.status_code, set(answer)) == (200, set(records.RetriedNow().fields))
    assert answer == {"ok": True, "run_id": a_run["run_id"], "task": True, "activities": 0}
    assert worker.task()["workflow_id"] == "a"


@pytest.mark.parametrize("act", ["cancel", "terminate"])
def test_cancel_and_terminate_of_a_closed_run_are_404(client: FlaskClient, act: str) -> None:
    """assay 0.1.8 answers so, and its clients count on it."""
    client.post(f"{URL}/a/terminate")

    response = client.post(f"{URL}/a/{act}")

    assert (response.status_code, response.get_json()["code"]) == (404, "already_terminal")
    assert response.get_json()["error"].startswith("not found: ")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"reason": null}', b'{"reason": "not needed"}'])
def test_terminate_ends_the_run_at_once(client: FlaskClient, a_run: dict[str, Any], body: bytes) -> None:
    response = client.post(f"{URL}/a/terminate", data=body, content_type="application/json")

    assert response.status_code == 200
    assert response.get_json() == {"ok": True, "run_id": a_run["run_id"]}
    record = client.get(f"{URL}/a").get_json()
    assert (record["status"], record["close_reason"]) == ("FAILED", "terminated")
    assert event_types(client)[-1] == "WorkflowTerminated"


def test_cancel_of_a_run_that_nobody_took_ends_it(client: FlaskClient, a_run: dict[str, Any]) -> None:
    response = client.post(f"{URL}/a/cancel", json={"reason": "not needed"})

    assert response.status_code == 200
    assert response.get_json() == {"ok": True, "run_id": a_run["run_id"]}
    assert client.get(f"{URL}/a").get_json()["status"] == "CANCELLED"


def test_cancel_of_a_run_at_work_is_a_request_and_said_once(client: FlaskClient, worker: WorkerOverHttp) -> None:
    worker.turn(worker.task()["task_token"], {"type": "WaitForSignal", "name": "go"})

    assert client.post(f"{URL}/a/cancel").status_code == 200
    assert client.post(f"{URL}/a/cancel").status_code == 200

    assert event_types(client).count("WorkflowCancelRequested") == 1
    assert client.get(f"{URL}/a").get_json()["status"] == "RUNNING"
    worker.turn(worker.task()["task_token"], {"type": "CancelWorkflow"})
    assert client.get(f"{URL}/a").get_json()["status"] == "CANCELLED"


def test_a_reason_is_a_text_without_nul(client: FlaskClient) -> None:
    assert client.post(f"{URL}/a/cancel", json={"reason": 5}).get_json()["code"] == "invalid_type"
    assert client.post(f"{URL}/a/cancel", json={"reason": "a\x00"}).get_json()["code"] == "control_character"
    assert client.post(f"{URL}/a/cancel", json={"reason": "x" * 4097}).get_json()["code"] == "out_of_range"
    assert client.post(f"{URL}/a/cancel", json={"reason": "two\nlines"}).status_code == 200
