"""What assay 0.1.8's workers and clients need of a service that takes its place, point by point."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.parse import urlsplit

import pytest

from tests.contract.service import Caller
from tests.contract.service import Service
from tests.contract.shapes import refused
from tests.processes import until


def raw(service: Service, method: str, path: str) -> tuple[int, Any]:
    """Send a path byte by byte as it is, which no client library does."""
    host, port = urlsplit(service.root).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
def impatient_caller(impatient: Service) -> Iterator[Caller]:
    made = Caller(impatient)
    yield made
    made.close()


# ---------------------------------------------------------------------------------- 1: bodies


@pytest.mark.parametrize("nothing", [b"", b"[]", b"null", b"{}"])
def test_1_what_the_lua_worker_sends_for_no_members_does_what_no_members_do(nothing: bytes, caller: Caller) -> None:
    def send(path: str) -> int:
        return caller.send("POST", path, data=nothing, headers={"Content-Type": "application/json"}).status_code

    activity = caller.at_work()
    workflow_id = activity["workflow_id"]

    assert send(f"/tasks/{activity['id']}/heartbeat") == 200
    assert send(f"/tasks/{activity['id']}/complete") == 200
    assert send(f"/workflows/{workflow_id}/signal/go") == 200
    assert send(f"/workflows/{workflow_id}/cancel") == 200
    assert send(f"/workflows/{workflow_id}/terminate") == 200
    events = {event["event_type"]: event["payload"] for event in caller.events(workflow_id)}
    assert json.loads(events["ActivityCompleted"])["result"] is None
    assert json.loads(events["SignalReceived"]) == {"signal": "go", "payload": None}
    assert json.loads(events["WorkflowCancelRequested"]) == {"reason": None}
    assert json.loads(events["WorkflowTerminated"])["reason"] is None


@pytest.mark.parametrize("details", [{"page": 1}, [1, 2], "page 1", 1, 0.5, True, None, [], {}])
def test_1_the_details_of_a_heartbeat_are_any_json(details: Any, caller: Caller) -> None:
    activity = caller.at_work()

    assert caller.post(f"/tasks/{activity['id']}/heartbeat", {"details": details}).status_code == 200

    assert caller.get(f"/activities/{activity['id']}").json()["heartbeat_details"] == details


# ---------------------------------------------------------------------------------- 2: polls


def test_2_a_poll_that_finds_nothing_is_told_so_in_assays_words(caller: Caller) -> None:
    body = {"queue": caller.queue, "worker_id": caller.worker}

    workflow_task, activity = caller.post("/workflow-tasks/poll", body), caller.post("/tasks/poll", body)

    assert (workflow_task.status_code, workflow_task.content) == (200, b"null")
    assert (activity.status_code, activity.content) == (200, b'{"task":null}')


def test_2_a_poll_may_ask_for_more_waiting_than_it_gets(caller: Caller) -> None:
    workflow_id = caller.started()

    assert caller.polled(wait_secs=3600)["workflow_id"] == workflow_id


# ---------------------------------------------------------------------------------- 3: encodings in polls


@pytest.mark.parametrize("value", [{"n": [1, None]}, [], "text", 0, 1.5, False, None])
def test_3_a_workflow_task_is_decoded_and_an_activitys_input_is_text(value: Any, caller: Caller) -> None:
    task = caller.leased(input=value)
    (started,) = task["history"]
    assert (task["input"], started["payload"]) == (value, value)

    schedule = {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": caller.queue, "input": value}
    assert caller.commands(task, schedule).status_code == 200
    activity = caller.polled_activity()

    assert activity["input"] == (None if value is None else json.dumps(value, separators=(",", ":")))
    caller.post(f"/tasks/{activity['id']}/complete", {"result": value})
    _, scheduled, completed = caller.polled()["history"]
    assert scheduled["payload"]["input"] == value
    assert completed["payload"]["result"] == value


# ---------------------------------------------------------------------------------- 4: once


def test_4_a_turn_that_comes_again_adds_nothing(caller: Caller) -> None:
    commands = [
        {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": caller.queue},
        {"type": "RecordSideEffect", "seq": 1, "name": "issue", "value": "token-1"},
        {"type": "WaitForSignal", "name": "go"},
    ]
    task = caller.leased()
    workflow_id = task["workflow_id"]
    assert caller.commands(task, *commands).status_code == 200
    told = caller.told(workflow_id)
    assert told == ["WorkflowStarted", "ActivityScheduled", "SideEffectRecorded", "WorkflowAwaitingSignal"]

    caller.post(f"/workflows/{workflow_id}/signal/other", [])  # it wakes the run, and the worker replays it
    commands[1]["value"] = "token-2"
    assert caller.commands(caller.polled(), *commands).status_code == 200

    assert caller.told(workflow_id) == [*told, "SignalReceived"]
    assert caller.polled_activity()["seq"] == 1
    assert caller.polled_activity() == {"task": None}


# ---------------------------------------------------------------------------------- 5: statuses, ids


ODD_IDS = [
    "a:b@c",
    "a;b,c=d&e+f",
    "a!b$c'd(e)f*g~h",
    "a|b^c`d{e}f[g]h",
    'a"b<c>d\\e',
    "a..b",
]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_5_an_id_may_hold_whatever_is_no_slash_encoded_or_not(odd: str, caller: Caller) -> None:
    workflow_id = caller.started(workflow_id=f"{odd}-{caller.mark}")

    for written in (workflow_id, quote(workflow_id, safe="")):
        status, body = raw(caller.service, "GET", f"/api/v1/workflows/{written}")
        assert (status, body["id"]) == (200, workflow_id)
        status, body = raw(caller.service, "POST", f"/api/v1/workflows/{written}/signal/{written}")
        assert (status, body["ok"]) == (200, True)

    signals = [json.loads(event["payload"])["signal"] for event in caller.events(quote(workflow_id))[1:]]
    assert signals == [workflow_id, workflow_id]


# Bytes beyond ASCII stand in no request line: gunicorn refuses it, and no client library sends it.
@pytest.mark.parametrize("odd", ["Ünïcode-工作", "a b", "a?b", "a#b", "a%b", "a%2Fb", "a/b", "a/b/signal/c"])
def test_5_what_cannot_stand_in_a_path_is_encoded(odd: str, caller: Caller) -> None:
    workflow_id = caller.started(workflow_id=f"{odd}-{caller.mark}")

    status, body = raw(caller.service, "GET", f"/api/v1/workflows/{quote(workflow_id, safe='')}")

    assert (status, body["id"]) == (200, workflow_id)


# ---------------------------------------------------------------------------------- 6: events


def test_6_the_events_that_workers_read_have_the_members_that_they_read(caller: Caller) -> None:
    task = caller.leased(input={"who": "you"})
    workflow_id = task["workflow_id"]
    caller.commands(
        task,
        {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": caller.queue, "input": {"n": 1}},
        {"type": "ScheduleActivity", "seq": 2, "name": "break", "task_queue": caller.queue, "max_attempts": 1},
        {"type": "RecordSideEffect", "seq": 1, "name": "issue", "value": {"token": "t"}},
        {"type": "WaitForSignal", "name": "go"},
    ).raise_for_status()
    ids = {one["name"]: one["id"] for one in (caller.polled_activity(), caller.polled_activity())}
    greet, broken = ids["greet"], ids["break"]
    caller.post(f"/tasks/{greet}/complete", {"result": "hello"})
    caller.post(f"/tasks/{broken}/fail", {"error": "steps.lua:3: boom"})
    caller.post(f"/workflows/{workflow_id}/signal/go", {"payload": {"by": "me"}})
    caller.post(f"/workflows/{workflow_id}/cancel", {"reason": "enough"})
    history = caller.polled()["history"]

    told = {event["event_type"]: event["payload"] for event in history}
    assert [event["seq"] for event in history] == list(range(1, 10))
    assert told["WorkflowStarted"] == {"who": "you"}
    assert {"activity_id", "activity_seq", "name", "task_queue", "input"} <= set(told["ActivityScheduled"])
    assert told["ActivityCompleted"] == {
        "activity_id": greet, "activity_seq": 1, "name": "greet", "result": "hello",
    }  # fmt: skip
    assert told["ActivityFailed"] == {
        "activity_id": broken, "activity_seq": 2, "name": "break", "error": "steps.lua:3: boom", "final_attempt": 1,
    }  # fmt: skip
    assert told["SideEffectRecorded"] == {"side_effect_seq": 1, "name": "issue", "value": {"token": "t"}}
    assert told["WorkflowAwaitingSignal"] == {"signal": "go"}
    assert told["SignalReceived"] == {"signal": "go", "payload": {"by": "me"}}
    assert told["WorkflowCancelRequested"] == {"reason": "enough"}


@pytest.mark.parametrize(
    ("command", "last", "payload", "status"),
    [
        ({"type": "CompleteWorkflow", "result": {"n": 1}}, "WorkflowCompleted", {"n": 1}, "COMPLETED"),
        ({"type": "CompleteWorkflow"}, "WorkflowCompleted", None, "COMPLETED"),
        ({"type": "FailWorkflow", "error": "a.lua:1: boom"}, "WorkflowFailed", {"error": "a.lua:1: boom"}, "FAILED"),
        ({"type": "CancelWorkflow"}, "WorkflowCancelled", None, "CANCELLED"),
    ],
)
def test_6_a_run_ends_with_one_event_that_says_how(
    command: dict[str, Any], last: str, payload: Any, status: str, caller: Caller
) -> None:
    task = caller.leased()

    assert caller.commands(task, command).status_code == 200

    _, end = caller.events(task["workflow_id"])
    assert (end["event_type"], end["payload"] and json.loads(end["payload"])) == (last, payload)
    assert caller.record(task["workflow_id"])["status"] == status


@pytest.mark.parametrize("limit", ["execution", "run"])
def test_6_a_run_that_outlives_its_time_limit_is_ended_and_says_which(limit: str, attended: Service) -> None:
    caller = Caller(attended)
    limits = {"execution_timeout_secs": 3600, "run_timeout_secs": 3600, f"{limit}_timeout_secs": 0.1}

    workflow_id = caller.started(**limits)

    until(lambda: caller.record(workflow_id)["completed_at"])
    _, end = caller.events(workflow_id)
    assert (end["event_type"], json.loads(end["payload"])) == ("WorkflowTimedOut", {"timeout_type": limit})
    assert caller.record(workflow_id)["status"] == "TIMED_OUT"
    caller.close()


def test_6_a_tree_shows_every_run_below_with_its_own_children(caller: Caller) -> None:
    def starts_child(task: dict[str, Any], workflow_id: str) -> None:
        child = {"type": "StartChildWorkflow", "workflow_type": "Child", "workflow_id": workflow_id}
        assert caller.commands(task, child).status_code == 200

    top, child, grandchild = (caller.id(name) for name in ("top", "child", "grandchild"))
    starts_child(caller.leased(workflow_id=top), child)
    starts_child(caller.polled(), grandchild)

    tree = caller.get(f"/workflows/{top}/tree").json()

    (below,) = tree["children"]
    (lowest,) = below["children"]
    assert (tree["id"], below["id"], lowest["id"]) == (top, child, grandchild)
    assert (tree["parent_id"], below["parent_id"], lowest["parent_id"]) == (None, top, child)
    assert (lowest["children"], tree["truncated"]) == ([], False)


# ---------------------------------------------------------------------------------- 7: who gets what


def test_7_whoever_is_not_registered_may_poll_for_anything(caller: Caller) -> None:
    workflow_id = caller.started(namespace=caller.id("space"))

    assert caller.polled("w-nobody-knows-me")["workflow_id"] == workflow_id


def test_7_a_registered_worker_gets_its_own_namespaces_tasks_only(caller: Caller) -> None:
    worker = caller.registered(namespace=caller.id("here"))
    caller.started(namespace=caller.id("there"))

    assert caller.polled(worker) is None
    here = caller.started(namespace=caller.id("here"))

    assert caller.polled(worker)["workflow_id"] == here


# What is registered: whether it is given a task of type Hello, and an activity named greet.
@pytest.mark.parametrize(
    ("listed", "takes_hello", "takes_greet"),
    [
        ({"workflows": ["Hello"], "activities": ["greet"]}, True, True),
        ({"workflows": ["Other"], "activities": ["other"]}, False, False),
        ({}, True, True),
        ({"workflows": ["Other"]}, False, True),
        ({"activities": ["other"]}, True, False),
        ({"workflows": [], "activities": ["greet"]}, False, True),
        ({"workflows": ["Hello"], "activities": []}, True, False),
        ({"workflows": [], "activities": []}, True, True),
    ],
)
def test_7_a_registered_worker_gets_what_it_listed(
    listed: dict[str, list[str]], takes_hello: bool, takes_greet: bool, caller: Caller
) -> None:
    schedule = {"type": "ScheduleActivity", "seq": 1, "name": "greet", "task_queue": caller.queue}
    caller.commands(caller.leased(), schedule).raise_for_status()
    caller.started()
    worker = caller.registered(**listed)

    assert (caller.polled(worker) is not None) == takes_hello
    assert ("id" in caller.polled_activity(worker)) == takes_greet


# ---------------------------------------------------------------------------------- 8, 9: who was away


def test_8_a_worker_that_was_given_up_is_there_again_with_its_next_heartbeat(impatient_caller: Caller) -> None:
    caller = impatient_caller
    space = caller.id("space")
    worker = caller.registered(namespace=space)

    def listed() -> list[str]:
        return [one["id"] for one in caller.get("/workers", namespace=space).json()]

    until(lambda: listed() == [])

    def beats() -> bool:  # once may be too long ago by the time that we look
        assert caller.post("/workers/heartbeat", {"worker_id": worker}).json() == {"ok": True, "registered": True}
        return listed() == [worker]

    until(beats)


def test_9_a_worker_that_lost_its_lease_changes_nothing(impatient_caller: Caller) -> None:
    caller = impatient_caller
    workflow_id = caller.started()
    late = caller.polled("w-late")
    path = f"/workflow-tasks/{workflow_id}/commands"

    taken = until(lambda: caller.polled("w-prompt"))  # the lease runs out, somebody else gets the task

    finished = [{"type": "CompleteWorkflow", "result": "too late"}]
    by_id = caller.post(path, {"worker_id": "w-late", "commands": finished})
    by_token = caller.post(path, {"task_token": late["task_token"], "commands": finished})
    assert taken["workflow_id"] == workflow_id
    refused(by_id, 409, "lease_lost")
    refused(by_token, 409, "lease_lost")
    assert caller.told(workflow_id) == ["WorkflowStarted"]
    assert caller.record(workflow_id)["status"] == "RUNNING"
