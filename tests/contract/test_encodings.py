"""How things are written on the wire: JSON in JSON, default values, ids, statuses, bare lists."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.contract.service import Caller


def test_a_run_in_a_record_carries_json_as_text_and_times_as_numbers(caller: Caller) -> None:
    task = caller.leased(input={"n": 1}, search_attributes={"env": "staging"})
    before = caller.record(task["workflow_id"])
    caller.commands(task, {"type": "CompleteWorkflow", "result": ["done", None]}).raise_for_status()

    record = caller.record(task["workflow_id"])

    assert (before["status"], before["result"], before["completed_at"]) == ("RUNNING", None, None)
    assert json.loads(record["input"]) == {"n": 1}
    assert json.loads(record["result"]) == ["done", None]
    assert json.loads(record["search_attributes"])["env"] == "staging"
    assert (record["status"], record["error"], record["parent_id"]) == ("COMPLETED", None, None)
    assert [type(record[name]) for name in ("created_at", "updated_at", "completed_at")] == [float, float, float]


def test_an_activity_in_a_record_carries_json_as_text(caller: Caller) -> None:
    activity = caller.at_work(input={"n": 1})
    caller.post(f"/tasks/{activity['id']}/complete", {"result": {"ok": True}}).raise_for_status()

    record = caller.get(f"/activities/{activity['id']}").json()

    assert json.loads(record["input"]) == {"n": 1}
    assert json.loads(record["result"]) == {"ok": True}
    assert record["status"] == "COMPLETED"


def test_an_event_in_a_list_carries_its_payload_as_text(caller: Caller) -> None:
    with_input, without = caller.started(input={"n": 1}), caller.started()

    (first,), (second,) = caller.events(with_input), caller.events(without)

    assert (first["seq"], first["event_type"], first["workflow_id"]) == (1, "WorkflowStarted", with_input)
    assert json.loads(first["payload"]) == {"n": 1}
    assert second["payload"] is None
    assert isinstance(first["timestamp"], float)


def test_what_is_left_out_of_a_start_is_as_in_assay(caller: Caller) -> None:
    workflow_id = caller.fresh()
    caller.post("/workflows", {"workflow_type": "Unheard", "workflow_id": workflow_id}).raise_for_status()

    record = caller.record(workflow_id)

    assert (record["namespace"], record["task_queue"], record["status"]) == ("main", "main", "PENDING")
    assert (record["input"], record["claimed_by"]) == (None, None)


def test_every_start_says_which_engine_made_it_unless_the_caller_does(caller: Caller) -> None:
    ours, theirs = caller.started(), caller.started(search_attributes={"assay_engine_version": "mine"})
    version = caller.get("/version").json()["version"]

    assert json.loads(caller.record(ours)["search_attributes"]) == {"assay_engine_version": version}
    assert json.loads(caller.record(theirs)["search_attributes"]) == {"assay_engine_version": "mine"}


def test_a_start_without_an_id_makes_one_from_the_type_and_the_time(caller: Caller) -> None:
    answer = caller.post("/workflows", {"workflow_type": "IngestData", "task_queue": caller.queue}).json()

    assert re.fullmatch(r"wf-ingestdata-[0-9]{13}", answer["workflow_id"])


def test_a_run_id_names_its_workflow(caller: Caller) -> None:
    answer = caller.post("/workflows", caller.a_start()).json()

    assert re.fullmatch(rf"run-{answer['workflow_id']}-[0-9]+", answer["run_id"])
    assert answer["status"] == "PENDING"
    assert caller.record(answer["workflow_id"])["run_id"] == answer["run_id"]


def test_what_is_left_out_of_an_activity_is_as_in_assay(caller: Caller) -> None:
    activity = caller.at_work()

    defaults = {
        "attempt": 1, "max_attempts": 3, "initial_interval_secs": 1.0, "backoff_coefficient": 2.0,
        "start_to_close_secs": 300.0, "heartbeat_timeout_secs": None, "status": "RUNNING", "input": None,
        "result": None, "error": None, "completed_at": None, "last_heartbeat": None,
    }  # fmt: skip
    assert {name: activity[name] for name in defaults} == defaults


def test_what_is_left_out_of_a_registration_is_as_in_assay(caller: Caller) -> None:
    worker = caller.registered(namespace=caller.id("space"), workflows=["Hello"])

    assert re.fullmatch(r"w-[0-9a-f]{16}", worker)
    (record,) = caller.get("/workers", namespace=caller.id("space")).json()
    known = {
        "id": worker, "identity": "played by hand", "task_queue": caller.queue, "max_concurrent_workflows": 10,
        "max_concurrent_activities": 10, "active_tasks": 0,
    }  # fmt: skip
    assert {name: record[name] for name in known} == known
    assert json.loads(record["workflows"]) == ["Hello"]


def test_a_worker_says_how_many_tasks_it_holds_and_a_run_who_holds_it(caller: Caller) -> None:
    space = caller.id("space")
    worker = caller.registered(namespace=space)
    workflow_id = caller.started(namespace=space)
    caller.polled(worker)

    assert [one["active_tasks"] for one in caller.get("/workers", namespace=space).json()] == [1]
    assert caller.record(workflow_id)["claimed_by"] == worker
    assert [one["id"] for one in caller.get("/workflows", namespace=space, claimed_by=worker).json()] == [workflow_id]


@pytest.mark.parametrize("path", ["/workflows", "/workers", "/queues"])
def test_a_list_is_a_bare_list_also_when_it_is_empty(path: str, caller: Caller) -> None:
    assert caller.get(path, namespace=caller.id("nowhere")).json() == []


def test_a_queue_counts_its_activities(caller: Caller) -> None:
    space = caller.id("space")
    task = caller.leased(namespace=space)
    scheduled = ({"type": "ScheduleActivity", "seq": n, "name": "a", "task_queue": caller.queue} for n in (1, 2, 3))
    caller.commands(task, *scheduled).raise_for_status()
    caller.polled_activity()

    (queue,) = caller.get("/queues", namespace=space).json()

    known = {"queue": caller.queue, "pending_activities": 2, "running_activities": 1, "workers": 0}
    assert {name: queue[name] for name in known} == known


def test_a_namespace_counts_its_runs_by_status(caller: Caller) -> None:
    space = caller.id("space")
    for command in ({"type": "CompleteWorkflow"}, {"type": "FailWorkflow", "error": "x"}, {"type": "WaitForSignal",
                    "name": "go"}):  # fmt: skip
        caller.commands(caller.leased(namespace=space), command).raise_for_status()
    caller.started(namespace=space)

    stats = caller.get(f"/namespaces/{space}").json()

    known = {
        "namespace": space, "total_workflows": 4, "running": 1, "pending": 1, "completed": 1, "failed": 1,
        "schedules": 0, "workers": 0,
    }  # fmt: skip
    assert {name: stats[name] for name in known} == known


def test_a_list_of_runs_is_narrowed_by_status_type_and_attributes(caller: Caller) -> None:
    space = caller.id("space")
    tagged = caller.started(namespace=space, workflow_type="Tagged", search_attributes={"n": 7, "env": "staging"})
    waiting = caller.started(namespace=space)
    caller.commands(caller.polled(), {"type": "WaitForSignal", "name": "go"}).raise_for_status()
    caller.commands(caller.polled(), {"type": "WaitForSignal", "name": "go"}).raise_for_status()
    closed = caller.closed(namespace=space)

    def ids(**query: Any) -> list[str]:
        return [one["id"] for one in caller.get("/workflows", namespace=space, **query).json()]

    assert ids() == [closed, waiting, tagged]
    assert ids(limit=1, offset=1) == [waiting]
    assert ids(type="Tagged") == [tagged]
    assert ids(status="FAILED") == [closed]
    assert ids(status="WAITING") == [waiting, tagged]
    assert ids(search_attrs='{"env": "staging", "n": 7}') == [tagged]
    assert ids(search_attrs='{"env": "production"}') == []


def test_a_run_that_waits_for_a_signal_stays_running(caller: Caller) -> None:
    """assay 0.1.8 has a status WAITING and never sets it."""
    task = caller.leased()

    caller.commands(task, {"type": "WaitForSignal", "name": "go"}).raise_for_status()

    assert caller.record(task["workflow_id"])["status"] == "RUNNING"


def test_a_terminated_run_has_failed(caller: Caller) -> None:
    """assay 0.1.8 has no status of its own for it."""
    workflow_id = caller.started()

    caller.post(f"/workflows/{workflow_id}/terminate", {"reason": "enough"}).raise_for_status()

    record = caller.record(workflow_id)
    assert (record["status"], record["close_reason"], record["error"]) == ("FAILED", "terminated", "terminated: enough")


def test_state_is_the_newest_snapshot_and_names_the_event_that_it_belongs_to(caller: Caller) -> None:
    task = caller.leased()
    workflow_id = task["workflow_id"]
    assert caller.get(f"/workflows/{workflow_id}/state").status_code == 404
    state = {"stage": "running", "progress": 0.25}
    caller.commands(task, {"type": "RecordSnapshot", "state": state}, {"type": "WaitForSignal", "name": "go"})

    whole, one = caller.get(f"/workflows/{workflow_id}/state"), caller.get(f"/workflows/{workflow_id}/state/progress")

    assert whole.json()["state"] == state
    assert one.json()["value"] == 0.25
    assert whole.json()["event_seq"] == one.json()["event_seq"]
    assert isinstance(whole.json()["created_at"], float)
    assert caller.get(f"/workflows/{workflow_id}/state/other").status_code == 404
