"""How much of everything there may be (identifiers and attributes: test_bad_input.py)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay_wsgi.api import commands
from assay_wsgi.domain import activities
from assay_wsgi.domain import workflows
from assay_wsgi.store import pages

if TYPE_CHECKING:
    from tests.api.played_worker import WorkerOverHttp

RUNS = "/api/v1/workflows"
MIB = 1024 * 1024
FITS = "x" * (2 * MIB - 2)  # with its quotes it is 2 MiB of JSON
TOO_LONG = FITS + "x"


def given_a_run(client: FlaskClient, workflow_id: str = "a", **more: Any) -> None:
    response = client.post(RUNS, json={"workflow_type": "Hello", "workflow_id": workflow_id, **more})
    assert response.status_code == 201, response.text


def history(client: FlaskClient, workflow_id: str = "a") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{RUNS}/{workflow_id}/events").get_json()
    return found


def all_pages(client: FlaskClient, url: str) -> list[list[dict[str, Any]]]:
    """Follow the Link headers to the end."""
    found = []
    while url:
        response = client.get(url)
        assert response.status_code == 200, response.text
        found.append(response.get_json())
        url = response.headers.get("Link", "").partition(">")[0].lstrip("<")
    return found


def test_a_payload_has_2_mib_wherever_it_comes_from(client: FlaskClient, worker: WorkerOverHttp) -> None:
    given_a_run(client, input=FITS)
    assert client.post(f"{RUNS}/a/signal/go", json={"payload": FITS}).status_code == 200
    token = worker.task()["task_token"]
    added = {"name": "charge", "seq": 1, "input": FITS}
    assert client.post(f"{RUNS}/a/activities", json=added).status_code == 201
    (attempt,) = worker.exchange(activity_slots=1)["activity_tasks"]
    work = f"/api/v1/tasks/{attempt['id']}"

    for path, body in [
        (RUNS, {"workflow_type": "Hello", "input": TOO_LONG}),
        (f"{RUNS}/a/signal/go", {"payload": TOO_LONG}),
        (f"{RUNS}/b/signal-with-start", {"signal": "go", "workflow_type": "Hello", "payload": TOO_LONG}),
        (f"{RUNS}/a/activities", {**added, "seq": 2, "input": TOO_LONG}),
        (f"{work}/complete", {"result": TOO_LONG}),
        (f"{work}/fail", {"details": TOO_LONG}),
        (f"{work}/heartbeat", {"details": TOO_LONG}),
    ]:
        response = client.post(path, json=body)
        assert (response.status_code, response.get_json()["code"]) == (413, "payload_too_large"), path

    assert client.post(f"{work}/complete", json={"result": FITS}).status_code == 200
    turn = worker.turn(token, {"type": "CompleteWorkflow", "result": TOO_LONG})
    assert (turn["code"], turn["issue"]) == ("bad_command", "payload_too_large")
    assert [event["event_type"] for event in history(client)] == [
        "WorkflowStarted", "SignalReceived", "ActivityScheduled", "ActivityCompleted",
    ]  # fmt: skip


def test_bytes_count_not_characters(client: FlaskClient) -> None:
    def status(text: str) -> int:
        body = json.dumps({"workflow_type": "Hello", "input": text}, ensure_ascii=False).encode()
        return client.post(RUNS, data=body, content_type="application/json").status_code

    assert status("ü" * (MIB - 1)) == 201
    assert status("ü" * MIB) == 413


def test_a_turn_has_1000_commands(client: FlaskClient, worker: WorkerOverHttp) -> None:
    given_a_run(client)
    upsert = {"type": "UpsertSearchAttributes", "patch": {"n": 1}}

    refused = worker.turn(worker.task()["task_token"], *[upsert] * (commands.MAX_COMMANDS + 1))
    assert refused["code"] == "too_many_items"
    assert [event["event_type"] for event in history(client)] == ["WorkflowStarted"]


def test_a_thousand_commands_are_taken(client: FlaskClient, worker: WorkerOverHttp) -> None:
    given_a_run(client)
    effects = [
        {"type": "RecordSideEffect", "seq": seq, "name": "n", "value": seq} for seq in range(1, commands.MAX_COMMANDS)
    ]

    done = worker.turn(worker.task()["task_token"], *effects, {"type": "CompleteWorkflow"})

    assert done["ok"] is True
    assert len(history(client)) == 1 + commands.MAX_COMMANDS


def test_a_run_has_so_many_activities_open_and_no_more(
    client: FlaskClient, worker: WorkerOverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert activities.OPEN_AT_MOST == 2000
    monkeypatch.setattr(activities, "OPEN_AT_MOST", 4)
    given_a_run(client)
    for seq in (1, 2):
        assert client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": seq}).status_code == 201
    effect = {"type": "RecordSideEffect", "seq": 9, "name": "n", "value": 1}

    token = worker.task()["task_token"]
    refused = worker.turn(
        token, effect, *({"type": "ScheduleActivity", "name": "charge", "seq": seq} for seq in (2, 3, 4, 5))
    )

    assert (refused["code"], refused["index"]) == ("too_many_pending", 4)
    assert [event["event_type"] for event in history(client)] == ["WorkflowStarted", *["ActivityScheduled"] * 2]
    for seq in (3, 4):
        assert client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": seq}).status_code == 201
    one_more = client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 5})
    assert (one_more.status_code, one_more.get_json()["code"]) == (422, "too_many_pending")
    assert client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 4}).status_code == 200


def test_an_activity_with_an_outcome_makes_room(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "OPEN_AT_MOST", 1)
    given_a_run(client)
    first = client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 1}).get_json()
    assert client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 2}).status_code == 422

    client.post("/api/v1/tasks/poll", json={"queue": "main", "worker_id": "w"})
    assert client.post(f"/api/v1/tasks/{first['id']}/complete", json={"result": 1}).status_code == 200

    assert client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": 2}).status_code == 201


def test_a_run_takes_so_many_signals_and_no_more(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert workflows.SIGNALS_AT_MOST == 10_000
    monkeypatch.setattr(workflows, "SIGNALS_AT_MOST", 3)
    given_a_run(client)
    for number in range(3):
        assert client.post(f"{RUNS}/a/signal/go", json={"signal_id": f"s{number}"}).status_code == 200

    start = {"signal": "go", "workflow_type": "Hello"}
    for refused in (
        client.post(f"{RUNS}/a/signal/go", json={}),
        client.post(f"{RUNS}/a/signal-with-start", json=start),
    ):
        assert (refused.status_code, refused.get_json()["code"]) == (429, "signal_limit")
    assert client.post(f"{RUNS}/a/signal/go", json={"signal_id": "s1"}).get_json()["repeated"] is True
    assert len(history(client)) == 4


def test_long_errors_are_cut_and_the_cut_is_told(client: FlaskClient, worker: WorkerOverHttp) -> None:
    given_a_run(client)
    for seq, error in ((1, "ü" * 4096), (2, "ü" * 4097)):
        client.post(f"{RUNS}/a/activities", json={"name": "charge", "seq": seq, "max_attempts": 1})
        (attempt,) = worker.exchange(activity_slots=1)["activity_tasks"]
        client.post(f"/api/v1/tasks/{attempt['id']}/fail", json={"error": error})
    worker.turn(worker.task()["task_token"], {"type": "FailWorkflow", "error": "y" * 5000})

    told = [json.loads(event["payload"]) for event in history(client) if event["event_type"].endswith("Failed")]
    assert [(len(payload["error"]), payload.get("truncated")) for payload in told] == [
        (4096, None), (4096, True), (4096, True),
    ]  # fmt: skip
    assert len(client.get(f"{RUNS}/a").get_json()["error"]) == 4096


def test_a_page_of_runs_has_4_mib_and_the_next_one_goes_on(client: FlaskClient) -> None:
    assert pages.PAGE_BYTES == 4 * MIB
    for number in range(3):
        given_a_run(client, f"r{number}", input="x" * (3 * MIB // 2))

    found = all_pages(client, RUNS)

    assert [[run["id"] for run in page] for page in found] == [["r2", "r1"], ["r0"]]


@pytest.mark.parametrize("path", [RUNS, f"{RUNS}?limit=7", f"{RUNS}?limit=7&status=PENDING"])
def test_pages_of_runs_lose_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 2000)
    monkeypatch.setattr(pages, "FIRST_PIECE", 3)
    for number in range(25):
        given_a_run(client, f"r{number:02}", input="ü" * ((number * 331) % 900))

    found = all_pages(client, path)

    assert [run["id"] for page in found for run in page] == [f"r{number:02}" for number in reversed(range(25))]
    assert len(found) > 5
    assert all(len(page) == 1 or sum(len(run["input"].encode()) for run in page) <= 2000 for page in found)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_events_lose_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 2000)
    monkeypatch.setattr(pages, "FIRST_PIECE", 3)
    given_a_run(client)
    for number in range(24):
        client.post(f"{RUNS}/a/signal/go", json={"payload": "x" * ((number * 331) % 900)})

    found = all_pages(client, f"{RUNS}/a/events?limit=1000&order={order}")

    seqs = [event["seq"] for page in found for event in page]
    assert seqs == (list(range(1, 26)) if order == "asc" else list(range(25, 0, -1)))
    assert len(found) > 5
    assert all(len(page) == 1 or sum(len(event["payload"] or "") for event in page) <= 2000 for page in found)
