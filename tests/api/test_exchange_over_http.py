"""POST /workers/{id}/exchange, played by hand."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask.testing import FlaskClient

from assay_wsgi.api import records
from assay_wsgi.api.checks import MAX_PAYLOAD_BYTES
from assay_wsgi.api.connections import closed_by_peer
from assay_wsgi.settings import HttpSettings
from assay_wsgi.settings import Settings
from tests.api.played_worker import WorkerOverHttp

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

URL = "/api/v1/workflows"


def start(client: FlaskClient, workflow_id: str = "hello-1", **more: Any) -> dict[str, Any]:
    response = client.post(URL, json={"workflow_type": "Hello", "workflow_id": workflow_id, **more})
    assert response.status_code == 201, response.text
    started: dict[str, Any] = response.get_json()
    return started


def event_types(client: FlaskClient, workflow_id: str = "hello-1") -> list[str]:
    return [event["event_type"] for event in client.get(f"{URL}/{workflow_id}/events").get_json()]


def test_hello_from_start_to_result(client: FlaskClient, worker: WorkerOverHttp) -> None:
    started = start(client, input={"name": "Ada"})

    answer = worker.exchange(workflow_slots=5, activity_slots=5)
    assert set(answer) <= set(records.Exchanged().fields)
    (task,) = answer["workflow_tasks"]
    assert (task["workflow_id"], task["run_id"], task["workflow_type"]) == (
        "hello-1",
        started["run_id"],
        "Hello",
    )
    assert [event["event_type"] for event in task["history"]] == ["WorkflowStarted"]
    assert task["history"][0]["payload"] == {"name": "Ada"}

    answer = worker.exchange(
        workflow_results=[
            {
                "task_token": task["task_token"],
                "commands": [
                    {"type": "RecordSnapshot", "state": {"step": "greeting"}},
                    {"type": "ScheduleActivity", "seq": 1, "name": "greet", "input": {"name": "Ada"}},
                ],
            }
        ],
        workflow_slots=5,
        activity_slots=5,
    )
    assert answer["results"] == [{"task_token": task["task_token"], "ok": True}]
    (activity,) = answer["activity_tasks"]
    assert (activity["name"], activity["input"], activity["attempt"]) == ("greet", {"name": "Ada"}, 1)

    answer = worker.exchange(
        heartbeats=[{"task_token": activity["task_token"], "details": {"percent": 50}}],
        activity_results=[{"task_token": activity["task_token"], "result": "Hello Ada"}],
        cached_runs={started["run_id"]: task["history"][-1]["seq"]},
        workflow_slots=5,
    )
    assert answer["results"] == [{"task_token": activity["task_token"], "ok": True}]
    (task,) = answer["workflow_tasks"]
    completed = task["history"][-1]
    assert (completed["event_type"], completed["payload"]["result"]) == ("ActivityCompleted", "Hello Ada")
    assert "WorkflowStarted" not in [event["event_type"] for event in task["history"]]

    assert worker.turn(task["task_token"], {"type": "CompleteWorkflow", "result": "Hello Ada"})["ok"] is True
    record = client.get(f"{URL}/hello-1").get_json()
    assert (record["status"], record["result"]) == ("COMPLETED", '"Hello Ada"')
    assert event_types(client) == [
        "WorkflowStarted", "ActivityScheduled", "ActivityCompleted", "WorkflowCompleted",
    ]  # fmt: skip
    assert client.get(f"{URL}/hello-1/state").get_json()["state"] == {"step": "greeting"}


def test_an_exchange_with_nothing_to_do_answers_at_once(worker: WorkerOverHttp) -> None:
    answer = worker.exchange(workflow_slots=1, activity_slots=1)

    assert (answer["results"], answer["workflow_tasks"], answer["activity_tasks"]) == ([], [], [])
    assert (answer["retry_after"], answer["drain"]) == (None, False)


def test_a_batch_with_a_bad_command_fails_its_task_and_no_other(client: FlaskClient, worker: WorkerOverHttp) -> None:
    start(client, "good")
    start(client, "bad")
    tasks = {task["workflow_id"]: task for task in worker.exchange(workflow_slots=5)["workflow_tasks"]}

    answer = worker.exchange(
        workflow_results=[
            {
                "task_token": tasks["bad"]["task_token"],
                "commands": [{"type": "WaitForSignal", "name": "go"}, {"type": "LaunchRocket"}],
            },
            {"task_token": tasks["good"]["task_token"], "commands": [{"type": "CompleteWorkflow"}]},
        ]
    )

    bad, good = answer["results"]
    assert (bad["task_token"], bad["code"], bad["index"]) == (tasks["bad"]["task_token"], "bad_command", 1)
    assert "LaunchRocket" in bad["error"]
    assert good == {"task_token": tasks["good"]["task_token"], "ok": True}
    assert event_types(client, "bad") == ["WorkflowStarted"]
    record = client.get(f"{URL}/bad").get_json()
    assert (record["status"], record["task_failure"]["cause"]) == ("RUNNING", "bad_command")


def test_a_failed_turn_is_tried_again_after_its_back_off(
    client: FlaskClient, worker: WorkerOverHttp, clock: Clock
) -> None:
    start(client)
    token = worker.task()["task_token"]

    answer = worker.exchange(
        workflow_results=[{"task_token": token, "failure": {"cause": "error", "message": "boom", "trace": "line 1"}}],
        workflow_slots=1,
    )

    assert (answer["results"], answer["workflow_tasks"]) == ([{"task_token": token, "ok": True}], [])
    failure = client.get(f"{URL}/hello-1").get_json()["task_failure"]
    assert (failure["cause"], failure["message"], failure["trace"]) == ("error", "boom", "line 1")
    clock.advance(1.0)
    assert worker.task()["workflow_id"] == "hello-1"


def test_an_activity_fails_with_all_that_it_says(client: FlaskClient, worker: WorkerOverHttp) -> None:
    start(client)
    schedule = {"type": "ScheduleActivity", "seq": 1, "name": "pay", "max_attempts": 5}
    worker.turn(worker.task()["task_token"], schedule)
    (activity,) = worker.exchange(activity_slots=1)["activity_tasks"]

    failure = {"error": "no\x00 money", "error_type": "Broke", "non_retryable": True, "details": {"owed": 7}}
    worker.exchange(activity_results=[{"task_token": activity["task_token"], "failure": failure}])

    (event,) = [e for e in worker.task()["history"] if e["event_type"] == "ActivityFailed"]
    assert event["payload"]["error"] == "no\ufffd money"
    assert event["payload"]["error_type"] == "Broke"
    assert event["payload"]["details"] == {"owed": 7}


def test_a_token_that_is_not_ours_is_lease_lost(worker: WorkerOverHttp) -> None:
    for token in ("nonsense", "w.1.abc", "a.1.1.abc", "", "w.99999999999999999999.x", "\u00e4", "x" * 5000):
        answer = worker.exchange(
            workflow_results=[{"task_token": token, "commands": []}],
            activity_results=[{"task_token": token, "result": 1}],
            heartbeats=[{"task_token": token}],
        )
        assert [result["code"] for result in answer["results"]] == ["lease_lost", "lease_lost"], token


def test_results_that_cannot_be_read_are_answered_in_their_place(client: FlaskClient, worker: WorkerOverHttp) -> None:
    start(client)
    seqs = (1, 2, 3)
    commands = [{"type": "ScheduleActivity", "seq": seq, "name": f"a{seq}"} for seq in seqs]
    worker.turn(worker.task()["task_token"], *commands)
    tokens = [task["task_token"] for task in worker.exchange(activity_slots=3)["activity_tasks"]]

    answer = worker.exchange(
        activity_results=[
            {"task_token": tokens[0], "result": "x" * MAX_PAYLOAD_BYTES},
            {"task_token": tokens[1], "result": 1},
            {"task_token": tokens[2], "failure": {"error": 5}},
        ]
    )

    large, good, odd = answer["results"]
    assert (large["task_token"], large["code"]) == (tokens[0], "payload_too_large")
    assert good == {"task_token": tokens[1], "ok": True}
    assert (odd["task_token"], odd["code"]) == (tokens[2], "invalid_type")
    assert odd["details"] == [{"field": "/failure/error", "issue": "invalid_type"}]


NAMED = {"session": "s", "n": 1, "queue": "q"}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"n": 1, "queue": "q"}, "/session", "missing_field"),
        ({"session": "s", "queue": "q"}, "/n", "missing_field"),
        ({"session": "s", "n": 1}, "/queue", "missing_field"),
        ({"session": "s", "n": True, "queue": "q"}, "/n", "invalid_type"),
        ({"session": "s", "n": -1, "queue": "q"}, "/n", "out_of_range"),
        ({**NAMED, "wait_secs": -1}, "/wait_secs", "out_of_range"),
        ({**NAMED, "wait_secs": "20"}, "/wait_secs", "invalid_type"),
        ({**NAMED, "workflow_slots": 1.5}, "/workflow_slots", "invalid_type"),
        ({**NAMED, "activity_slots": 1001}, "/activity_slots", "out_of_range"),
        ({**NAMED, "lost": 1}, "/lost", "invalid_type"),
        ({**NAMED, "lost": ["1"]}, "/lost", "invalid_type"),
        ({**NAMED, "worker": "me"}, "/worker", "invalid_type"),
        ({**NAMED, "worker": {}}, "/worker/identity", "missing_field"),
        (
            {**NAMED, "worker": {"identity": "i", "workflows": [1]}},
            "/worker/workflows", "invalid_type",
        ),
        ({**NAMED, "workflow_results": {}}, "/workflow_results", "invalid_type"),
        ({**NAMED, "workflow_results": [1]}, "/workflow_results/0", "invalid_type"),
        (
            {**NAMED, "activity_results": [{"task_token": 1}]},
            "/activity_results/0/task_token", "invalid_type",
        ),
        ({**NAMED, "heartbeats": [{}]}, "/heartbeats/0/task_token", "invalid_type"),
        ({**NAMED, "cached_runs": {"r": "5"}}, "/cached_runs/r", "invalid_type"),
        ({**NAMED, "cached_runs": [1]}, "/cached_runs", "invalid_type"),
    ],
)  # fmt: skip
def test_an_exchange_that_nobody_could_be_answered_for_is_422(
    door: FlaskClient, body: dict[str, Any], field: str, code: str
) -> None:
    response = door.post("/api/v1/workers/w-1/exchange", json=body)

    assert (response.status_code, response.get_json()["code"]) == (422, code)
    assert response.get_json()["details"] == [{"field": field, "issue": code}]


def test_empty_lists_may_come_as_null_or_as_nothing(worker: WorkerOverHttp) -> None:
    empty = dict.fromkeys(("workflow_results", "activity_results", "heartbeats", "lost", "worker", "wait_secs"))

    assert worker.send(cached_runs=[], namespace=None, **empty).status_code in (200, 409)


def test_who_waits_holds_no_slot_and_is_woken_by_a_start(engine: Engine) -> None:
    from assay_wsgi.app import create_app

    app = create_app(Settings(http=HttpSettings(compute_slots=1)), engine)
    worker = WorkerOverHttp(app.test_client())
    worker.exchange()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(worker.exchange, wait_secs=20, workflow_slots=1)
        start(app.test_client())
        (task,) = waiting.result(timeout=30)["workflow_tasks"]

    assert task["workflow_id"] == "hello-1"


def test_beyond_the_places_for_those_who_wait_the_answer_is_to_come_again(engine: Engine) -> None:
    from assay_wsgi.app import create_app

    app = create_app(Settings(http=HttpSettings(threads=33, reserved_threads=32)), engine)
    worker = WorkerOverHttp(app.test_client())

    with app.extensions["assay_wsgi.admission"].long_poll():
        answer = worker.exchange(wait_secs=20, workflow_slots=1)
        assert 1.0 <= answer["retry_after"] <= 5.0
        start(app.test_client())
        busy = worker.exchange(wait_secs=20, workflow_slots=1)
        assert len(busy["workflow_tasks"]) == 1
        assert busy["retry_after"] is None
        assert worker.exchange(wait_secs=20)["retry_after"] is None


def test_a_drained_service_sends_workers_away_at_once(engine: Engine, worker: WorkerOverHttp) -> None:
    worker.exchange()
    engine.drain()

    answer = worker.exchange(wait_secs=20, workflow_slots=1)

    assert answer["drain"] is True


def test_only_the_first_lines_of_a_session_begin_it(client: FlaskClient) -> None:
    first = WorkerOverHttp(client, session="s-1")
    first.exchange()
    second = WorkerOverHttp(client, session="s-2")
    second.exchange()
    start(client)

    replaced = first.exchange(workflow_slots=1)
    assert (replaced["code"], replaced["workflow_tasks"]) == ("session_replaced", [])
    assert len(second.exchange(workflow_slots=1)["workflow_tasks"]) == 1


def test_the_types_that_a_worker_names_are_all_it_gets(client: FlaskClient) -> None:
    start(client)
    other = WorkerOverHttp(client, "w-2")
    knows = {"identity": "i", "workflows": ["Bye"], "activities": []}
    assert other.exchange(worker=knows, workflow_slots=1)["workflow_tasks"] == []

    any_type = WorkerOverHttp(client, "w-3")
    assert len(any_type.exchange(workflow_slots=1)["workflow_tasks"]) == 1


def test_whether_the_client_is_gone_is_seen_on_its_socket() -> None:
    ours, theirs = socket.socketpair()
    gone = closed_by_peer(ours)

    assert not gone()
    theirs.send(b"the next request")
    assert not gone()
    ours.recv(100)
    theirs.close()
    assert gone()
    ours.close()
    assert gone()


def test_a_task_is_not_handed_to_a_client_that_is_gone(client: FlaskClient, worker: WorkerOverHttp) -> None:
    worker.exchange()
    start(client)
    ours, theirs = socket.socketpair()
    theirs.close()

    body = {"session": worker.session, "n": 2, "queue": "main", "workflow_slots": 1, "wait_secs": 20}
    answer = client.post(worker.url, json=body, environ_overrides={"gunicorn.socket": ours}).get_json()
    ours.close()

    assert answer["workflow_tasks"] == []
    worker.n = 2
    assert worker.task()["workflow_id"] == "hello-1"
