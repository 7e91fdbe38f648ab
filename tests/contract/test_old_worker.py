"""The session of a worker of assay 0.1.8, request by request, as its Lua SDK makes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.contract.service import Caller
from tests.contract.service import Service
from tests.contract.shapes import refused
from tests.processes import until


class OldWorker:
    """Does what the Lua worker does: one thing at a time, no tokens, `[]` for a body without members."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.worker_id = ""

    def begins(self, workflows: list[str], activities: list[str]) -> None:
        assert self.caller.get("/health").status_code == 200
        body = {
            "identity": "assay-worker-host", "namespace": "main", "queue": self.caller.queue,
            "workflows": workflows, "activities": activities,
            "max_concurrent_workflows": 10, "max_concurrent_activities": 20,
        }  # fmt: skip
        answer = self.caller.post("/workers/register", body)
        assert answer.status_code == 200
        self.worker_id = answer.json()["worker_id"]

    def beats(self) -> None:
        assert self.caller.post("/workers/heartbeat", {"worker_id": self.worker_id}).status_code == 200

    def task(self) -> Any:
        """Its turn of the loop: a heartbeat, then a poll. Answers the workflow task or None."""
        self.beats()
        return self.caller.polled(self.worker_id)

    def activity(self) -> Any:
        self.beats()
        found = self.caller.polled_activity(self.worker_id)
        return found if "id" in found else None

    def turn(self, workflow_id: str, *commands: dict[str, Any]) -> requests.Response:
        body = {"worker_id": self.worker_id, "commands": list(commands)}
        return self.caller.post(f"/workflow-tasks/{workflow_id}/commands", body)

    def does(self, workflow_id: str, *commands: dict[str, Any]) -> None:
        """Take the workflow task and answer it."""
        assert self.task()["workflow_id"] == workflow_id
        assert self.turn(workflow_id, *commands).status_code == 200

    def schedule(self, seq: int, name: str, **more: Any) -> dict[str, Any]:
        return {"type": "ScheduleActivity", "seq": seq, "name": name, "task_queue": self.caller.queue, **more}


@pytest.fixture
def worker(caller: Caller) -> OldWorker:
    return OldWorker(caller)


@pytest.fixture
def impatient_worker(impatient: Service) -> Iterator[OldWorker]:
    caller = Caller(impatient)
    yield OldWorker(caller)
    caller.close()


@pytest.fixture
def attended_worker(attended: Service) -> Iterator[OldWorker]:
    caller = Caller(attended)
    yield OldWorker(caller)
    caller.close()


def test_a_session_from_registration_to_a_completed_run(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], ["greet"])
    assert worker.task() is None
    assert worker.activity() is None

    workflow_id = caller.started(input={"who": "you"})
    task = worker.task()
    assert (task["workflow_type"], task["input"]) == ("Hello", {"who": "you"})
    assert worker.turn(workflow_id, worker.schedule(1, "greet", input=task["input"])).json() == {"ok": True}

    activity = worker.activity()
    assert (activity["name"], json.loads(activity["input"])) == ("greet", {"who": "you"})
    assert caller.post(f"/tasks/{activity['id']}/complete", {"result": "hello"}).json() == {"ok": True}

    history = worker.task()["history"]
    assert [event["event_type"] for event in history] == ["WorkflowStarted", "ActivityScheduled", "ActivityCompleted"]
    assert worker.turn(workflow_id, {"type": "CompleteWorkflow", "result": history[2]["payload"]["result"]}).ok
    assert worker.task() is None
    record = caller.record(workflow_id)
    assert (record["status"], record["result"]) == ("COMPLETED", '"hello"')


def test_an_activity_that_gives_nothing_completes(caller: Caller, worker: OldWorker) -> None:
    """assay 0.1.8 refuses the `[]` that its own worker sends then, and the run waits for ever."""
    worker.begins(["Hello"], ["greet"])
    workflow_id = caller.started()
    worker.does(workflow_id, worker.schedule(1, "greet"))

    activity = worker.activity()
    assert caller.post(f"/tasks/{activity['id']}/heartbeat", []).status_code == 200
    assert caller.post(f"/tasks/{activity['id']}/complete", []).status_code == 200

    assert worker.task()["history"][-1]["payload"]["result"] is None


def test_a_turn_without_commands_parks_the_run(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], [])
    workflow_id = caller.started()

    worker.does(workflow_id)

    assert worker.task() is None
    assert caller.record(workflow_id)["status"] == "RUNNING"
    caller.post(f"/workflows/{workflow_id}/signal/go", []).raise_for_status()
    assert worker.task()["workflow_id"] == workflow_id


def test_an_activity_that_fails_is_tried_again_and_only_its_last_failure_is_history(
    caller: Caller, worker: OldWorker
) -> None:
    worker.begins(["Hello"], ["flaky"])
    workflow_id = caller.started()
    worker.does(workflow_id, worker.schedule(1, "flaky", max_attempts=2, initial_interval_secs=0.05))

    first = worker.activity()
    assert caller.post(f"/tasks/{first['id']}/fail", {"error": "families.lua:1: boom"}).json() == {"ok": True}
    assert caller.told(workflow_id) == ["WorkflowStarted", "ActivityScheduled"]
    second = until(worker.activity)
    assert (second["id"], first["attempt"], second["attempt"]) == (first["id"], 1, 2)
    caller.post(f"/tasks/{second['id']}/fail", {"error": "families.lua:1: again"}).raise_for_status()

    failed = worker.task()["history"][-1]
    assert failed["event_type"] == "ActivityFailed"
    assert (failed["payload"]["error"], failed["payload"]["final_attempt"]) == ("families.lua:1: again", 2)


def test_activities_side_by_side_wake_the_run_one_by_one(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], ["greet"])
    workflow_id = caller.started()
    both = [worker.schedule(1, "greet"), worker.schedule(2, "greet")]
    worker.does(workflow_id, *both)

    first = worker.activity()
    caller.post(f"/tasks/{first['id']}/complete", []).raise_for_status()
    missing = [command for command in both if command["seq"] != first["seq"]]
    worker.does(workflow_id, *missing)  # the worker asks again for what is missing
    assert worker.task() is None
    second = worker.activity()
    caller.post(f"/tasks/{second['id']}/complete", []).raise_for_status()

    assert worker.activity() is None
    types = [event["event_type"] for event in worker.task()["history"]]
    assert types == ["WorkflowStarted", *["ActivityScheduled"] * 2, *["ActivityCompleted"] * 2]


def test_a_sleep_is_over_when_its_timer_fires(attended_worker: OldWorker) -> None:
    worker, caller = attended_worker, attended_worker.caller
    worker.begins(["Hello"], [])
    workflow_id = caller.started()

    worker.does(workflow_id, {"type": "ScheduleTimer", "seq": 1, "duration_secs": 0.2})

    started, scheduled, fired = until(worker.task)["history"]
    assert [one["event_type"] for one in (started, scheduled, fired)] == [
        "WorkflowStarted", "TimerScheduled", "TimerFired",
    ]  # fmt: skip
    assert (scheduled["payload"]["timer_seq"], fired["payload"]["timer_seq"]) == (1, 1)
    assert fired["timestamp"] >= scheduled["payload"]["fire_at"]
    assert worker.turn(workflow_id, {"type": "CompleteWorkflow"}).status_code == 200
    assert caller.record(workflow_id)["status"] == "COMPLETED"


def test_a_wait_for_a_signal_may_run_out_and_the_signal_then_comes_too_late(attended_worker: OldWorker) -> None:
    worker, caller = attended_worker, attended_worker.caller
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    wait = [
        {"type": "ScheduleTimer", "seq": 1, "duration_secs": 0.2},
        {"type": "WaitForSignal", "name": "decide", "timer_seq": 1},
    ]
    worker.does(workflow_id, *wait)

    task = until(worker.task)
    caller.post(f"/workflows/{workflow_id}/signal/decide", {"payload": "yes"}).raise_for_status()
    assert [event["event_type"] for event in task["history"]] == [
        "WorkflowStarted", "TimerScheduled", "WorkflowAwaitingSignal", "TimerFired",
    ]  # fmt: skip
    assert worker.turn(workflow_id, {"type": "CompleteWorkflow", "result": "nobody decided"}).status_code == 200

    assert caller.record(workflow_id)["result"] == '"nobody decided"'
    assert caller.told(workflow_id)[4:] == ["SignalReceived", "SignalsUnhandled", "WorkflowCompleted"]


def test_a_signal_in_time_ends_the_timer_of_its_wait(attended_worker: OldWorker) -> None:
    worker, caller = attended_worker, attended_worker.caller
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    worker.does(
        workflow_id,
        {"type": "ScheduleTimer", "seq": 1, "duration_secs": 3600},
        {"type": "WaitForSignal", "name": "decide", "timer_seq": 1},
    )

    caller.post(f"/workflows/{workflow_id}/signal/decide", {"payload": "yes"}).raise_for_status()

    signalled, cancelled = worker.task()["history"][3:]
    assert signalled["payload"] == {"signal": "decide", "payload": "yes"}
    assert (cancelled["event_type"], cancelled["payload"]) == ("TimerCancelled", {"timer_seq": 1})


@pytest.mark.parametrize(
    ("end", "event_type", "outcome"),
    [
        ({"type": "CompleteWorkflow", "result": 42}, "ChildWorkflowCompleted", {"result": 42}),
        ({"type": "CompleteWorkflow"}, "ChildWorkflowCompleted", {"result": None}),
        ({"type": "FailWorkflow", "error": "a.lua:1: boom"}, "ChildWorkflowFailed", {"error": "a.lua:1: boom"}),
    ],
)
def test_a_child_is_started_once_and_its_outcome_wakes_its_parent(
    end: dict[str, Any], event_type: str, outcome: dict[str, Any], caller: Caller, worker: OldWorker
) -> None:
    worker.begins(["Hello", "Child"], [])
    workflow_id, child_id = caller.started(), caller.fresh("child")
    child = {
        "type": "StartChildWorkflow", "workflow_type": "Child", "workflow_id": child_id, "input": {"by": 6},
        "task_queue": caller.queue,
    }  # fmt: skip
    worker.does(workflow_id, child)
    caller.post(f"/workflows/{workflow_id}/signal/other", []).raise_for_status()  # it wakes the parent, which replays

    tasks = [worker.task(), worker.task()]
    by_id = {task["workflow_id"]: task for task in tasks}
    assert (by_id[child_id]["workflow_type"], by_id[child_id]["input"]) == ("Child", {"by": 6})
    assert worker.turn(workflow_id, child).status_code == 200
    assert worker.turn(child_id, end).status_code == 200

    history = worker.task()["history"]
    assert [one["event_type"] for one in history] == [
        "WorkflowStarted", "ChildWorkflowStarted", "SignalReceived", event_type,
    ]  # fmt: skip
    assert history[-1]["payload"].items() >= {"child_workflow_id": child_id, **outcome}.items()
    assert worker.turn(workflow_id, {"type": "CompleteWorkflow"}).status_code == 200
    (listed,) = caller.get(f"/workflows/{workflow_id}/children").json()
    assert (listed["id"], listed["parent_id"]) == (child_id, workflow_id)


def test_a_run_that_continues_as_new_closes_and_the_next_one_is_there_at_once(
    caller: Caller, worker: OldWorker
) -> None:
    worker.begins(["Hello"], [])
    first = caller.started(input={"n": 1})

    for number in (1, 2):
        before = first if number == 1 else f"{first}-continued-{number - 1}"
        worker.does(before, {"type": "ContinueAsNew", "input": {"n": number + 1}})
        assert caller.record(before)["status"] == "COMPLETED"
        assert caller.told(before) == ["WorkflowStarted", "WorkflowContinuedAsNew"]

    task = worker.task()
    assert (task["workflow_id"], task["workflow_type"]) == (f"{first}-continued-2", "Hello")
    assert task["input"] == {"n": 3}
    assert [(one["event_type"], one["payload"]) for one in task["history"]] == [("WorkflowStarted", {"n": 3})]


def test_a_parent_hears_of_the_last_run_of_its_child_s_chain(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello", "Child"], [])
    workflow_id, child_id = caller.started(), caller.fresh("child")
    child = {"type": "StartChildWorkflow", "workflow_type": "Child", "workflow_id": child_id}
    worker.does(workflow_id, {**child, "task_queue": caller.queue})

    worker.does(child_id, {"type": "ContinueAsNew", "input": 2})
    worker.does(f"{child_id}-continued-1", {"type": "CompleteWorkflow", "result": "of the second"})

    told = worker.task()["history"][-1]
    assert told["event_type"] == "ChildWorkflowCompleted"
    assert told["payload"].items() >= {"child_workflow_id": child_id, "result": "of the second"}.items()


def test_a_cancelled_run_hears_of_it_once_and_ends_by_its_own_word(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    worker.does(workflow_id, {"type": "WaitForSignal", "name": "go"})

    assert caller.post(f"/workflows/{workflow_id}/cancel", []).status_code == 200
    assert caller.post(f"/workflows/{workflow_id}/cancel", []).status_code == 200
    assert [event["event_type"] for event in worker.task()["history"]].count("WorkflowCancelRequested") == 1
    assert worker.turn(workflow_id, {"type": "CancelWorkflow"}).status_code == 200

    assert caller.record(workflow_id)["status"] == "CANCELLED"
    assert caller.told(workflow_id)[-1] == "WorkflowCancelled"
    refused(caller.post(f"/workflows/{workflow_id}/cancel", []), 404, "already_terminal")


def test_a_cancelled_activity_is_not_reported_any_more(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], ["greet"])
    workflow_id = caller.started()
    worker.does(workflow_id, worker.schedule(1, "greet"))
    activity = worker.activity()
    caller.post(f"/workflows/{workflow_id}/terminate", []).raise_for_status()
    before = caller.told(workflow_id)

    refused(caller.post(f"/tasks/{activity['id']}/complete", {"result": 1}), 409, "workflow_closed")

    assert caller.told(workflow_id) == before
    assert caller.get(f"/activities/{activity['id']}").json()["status"] == "CANCELLED"


def test_an_old_worker_may_close_a_run_although_a_signal_has_come(caller: Caller, worker: OldWorker) -> None:
    """assay 0.1.8 lets it, and its worker would not hear of a refusal: it never looks at the answer."""
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    assert worker.task()["workflow_id"] == workflow_id
    caller.post(f"/workflows/{workflow_id}/signal/late", []).raise_for_status()

    assert worker.turn(workflow_id, {"type": "CompleteWorkflow"}).status_code == 200

    assert caller.record(workflow_id)["status"] == "COMPLETED"
    assert caller.told(workflow_id) == ["WorkflowStarted", "SignalReceived", "SignalsUnhandled", "WorkflowCompleted"]


def test_commands_that_come_twice_are_taken_once(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    worker.does(workflow_id, {"type": "WaitForSignal", "name": "go"})

    refused(worker.turn(workflow_id, {"type": "WaitForSignal", "name": "go"}), 409, "lease_lost")

    assert caller.told(workflow_id) == ["WorkflowStarted", "WorkflowAwaitingSignal"]


def test_a_bad_command_applies_nothing_of_its_turn(caller: Caller, worker: OldWorker) -> None:
    worker.begins(["Hello"], [])
    workflow_id = caller.started()
    worker.task()

    answer = worker.turn(workflow_id, worker.schedule(1, "greet"), {"type": "MakeCoffee"})

    assert refused(answer, 422, "bad_command")["index"] == 1
    assert caller.told(workflow_id) == ["WorkflowStarted"]
    assert caller.record(workflow_id)["status"] == "RUNNING"


def test_who_lost_the_lease_is_refused_and_the_other_one_finishes(impatient_worker: OldWorker) -> None:
    late, caller = impatient_worker, impatient_worker.caller
    prompt = OldWorker(caller)
    late.begins(["Hello"], [])
    prompt.begins(["Hello"], [])
    workflow_id = caller.started()
    assert late.task()["workflow_id"] == workflow_id

    until(prompt.task)
    refused(late.turn(workflow_id, {"type": "CompleteWorkflow", "result": "late"}), 409, "lease_lost")
    assert caller.told(workflow_id) == ["WorkflowStarted"]

    def finishes() -> bool:
        if prompt.turn(workflow_id, {"type": "CompleteWorkflow", "result": "prompt"}).ok:
            return True
        prompt.task()  # on a slow machine its lease has run out, too: it polls again, as workers do
        return False

    until(finishes)
    assert caller.record(workflow_id)["result"] == '"prompt"'


def test_a_worker_that_never_registered_works(caller: Caller, worker: OldWorker) -> None:
    worker.worker_id = caller.id("tests-use-such-ids")
    workflow_id = caller.started(namespace=caller.id("space"))

    assert caller.post("/workers/heartbeat", {"worker_id": worker.worker_id}).json()["registered"] is False
    worker.does(workflow_id, worker.schedule(1, "greet"))
    activity = worker.activity()
    assert caller.post(f"/tasks/{activity['id']}/complete", []).status_code == 200
    worker.does(workflow_id, {"type": "CompleteWorkflow"})

    assert caller.record(workflow_id)["status"] == "COMPLETED"


@pytest.mark.parametrize("registered", [True, False])
def test_a_poll_that_waits_is_woken_by_a_start(registered: bool, caller: Caller, worker: OldWorker) -> None:
    if registered:
        worker.begins(["Hello"], ["greet"])
    else:
        worker.worker_id = caller.worker
    with ThreadPoolExecutor() as threads:
        poll = {"queue": caller.queue, "worker_id": worker.worker_id, "wait_secs": 20}
        waits = threads.submit(requests.post, f"{caller.base}/workflow-tasks/poll", json=poll, timeout=60)

        workflow_id = caller.started()
        assert waits.result().json()["workflow_id"] == workflow_id

        waits = threads.submit(requests.post, f"{caller.base}/tasks/poll", json=poll, timeout=60)
        assert worker.turn(workflow_id, worker.schedule(1, "greet")).status_code == 200
        assert waits.result().json()["name"] == "greet"
