"""Requests of an unmodified worker and client of assay 0.1.8, byte by byte, in sessions that make them meaningful.

`old_worker_requests.jsonl` holds them as they were seen on the wire; only the id of the worker, those of
activities and the prefix of a key are put in when they are sent. Each line of it is sent by one scene.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.service import Caller
from tests.contract.service import Service

LINES = [json.loads(line) for line in Path(__file__).with_name("old_worker_requests.jsonl").read_text().splitlines()]


class Session:
    """A worker and a client of the old way: sends lines of the file, and what stands around them."""

    def __init__(self, service: Service) -> None:
        self.caller = Caller(service)
        self.sent: list[int] = []
        self.started: list[str] = []
        self.worker_id = ""
        self.prefix = ""  # of an API key

    def close(self) -> None:
        for workflow_id in self.started:  # what stays open would be handed to the next scene
            self.caller.post(f"/workflows/{workflow_id}/terminate", [])
        self.caller.close()

    def worker(self, *workflows: str, activities: tuple[str, ...] = ()) -> None:
        """Register a worker that takes only this."""
        self.worker_id = self.caller.registered(queue="q", workflows=workflows, activities=activities)

    def start(self, workflow_id: str, workflow_type: str) -> None:
        self.caller.started(workflow_id=workflow_id, workflow_type=workflow_type, task_queue="q")
        self.started.append(workflow_id)

    def leased(self, workflow_id: str, workflow_type: str) -> None:
        """Start a run and lease its workflow task."""
        self.worker(workflow_type)
        self.start(workflow_id, workflow_type)
        self.poll(workflow_id)

    def poll(self, workflow_id: str, *, started: bool = False) -> dict[str, Any]:
        """Lease the workflow task of a run. `started` = by the last turn, so nobody else ends it."""
        if started:
            self.started.append(workflow_id)
        task = self.caller.polled(self.worker_id, queue="q")
        assert task["workflow_id"] == workflow_id
        return dict(task)

    def turn(self, workflow_id: str, *commands: dict[str, Any]) -> None:
        """Hand in the commands of a turn that no line of the file holds."""
        body = {"worker_id": self.worker_id, "commands": list(commands)}
        self.caller.post(f"/workflow-tasks/{workflow_id}/commands", body).raise_for_status()

    def payload(self, workflow_id: str, event_type: str) -> Any:
        """What the one event of this type says."""
        (payload,) = [one["payload"] for one in self.caller.events(workflow_id) if one["event_type"] == event_type]
        return json.loads(payload)

    def activity(self, *names: str) -> Any:
        """Lease an activity. Answers its id."""
        body = {"identity": "another", "queue": "q", "workflows": [], "activities": names}
        worker_id = self.caller.post("/workers/register", body).json()["worker_id"]
        return self.caller.post("/tasks/poll", {"queue": "q", "worker_id": worker_id}).json()["id"]

    def send(self, number: int, activity_id: Any = "") -> requests.Response:
        """Send a line of the file and hold the answer against what it says."""
        answer = self.send_anyhow(number, activity_id)
        line = LINES[number - 1]
        assert answer.status_code == line["status_expected"], answer.text
        if "answer_shape" in line:
            shape = line["answer_shape"]
            assert answer.json() is None if shape is None else set(shape) <= set(answer.json())
        return answer

    def send_anyhow(self, number: int, activity_id: Any = "") -> requests.Response:
        self.sent.append(number)
        line = LINES[number - 1]
        path = re.sub(r"^/tasks/\d+/", f"/tasks/{activity_id}/", line["path"])
        path = re.sub(r"assay_[0-9a-f]{8}", self.prefix.removesuffix("..."), path)
        if line["body"] is None:
            return self.caller.send(line["method"], path)
        body = line["body"].replace('"w-1"', json.dumps(self.worker_id))
        return self.caller.send(line["method"], path, data=body, headers={"Content-Type": "application/json"})


@pytest.fixture
def session(service: Service) -> Iterator[Session]:
    made = Session(service)
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------- scenes


def an_activity_that_gives_nothing(session: Session) -> None:
    session.send(1)
    session.worker_id = session.send(2).json()["worker_id"]
    session.send(3)
    session.send(4)
    session.send(5)
    session.start("nothingcomesback", "NothingComesBack")
    assert session.send(6).json()["workflow_id"] == "nothingcomesback"
    session.send(7)
    activity = session.send(8).json()
    assert activity["input"] == '{"n":1}'
    session.send(9, activity["id"])
    session.poll("nothingcomesback")
    session.send(10)
    record = session.caller.record("nothingcomesback")
    assert (record["status"], record["result"]) == ("COMPLETED", '{"got_nil":true}')


def an_activity_that_beats(session: Session) -> None:
    session.leased("beats", "Beats")
    session.send(11)
    activity_id = session.activity("beat")
    session.send(12, activity_id)
    session.send(13, activity_id)
    assert session.caller.get(f"/activities/{activity_id}").json()["heartbeat_details"] == {"page": 1}
    session.send(14, activity_id)
    assert session.caller.told("beats")[-1] == "ActivityCompleted"


def an_activity_with_a_time_limit(session: Session) -> None:
    session.leased("slowiscaught", "SlowIsCaught")
    session.send(15)
    activity = session.caller.get(f"/activities/{session.activity('sleepy')}").json()
    assert (activity["start_to_close_secs"], activity["max_attempts"]) == (1.0, 1)


def a_child_that_is_cancelled_while_it_waits(session: Session) -> None:
    session.leased("patientparent", "PatientParent")
    session.send(16)
    session.worker("WaitingChild")
    session.poll("child", started=True)
    session.send(17)
    session.caller.post("/workflows/child/cancel", []).raise_for_status()
    session.poll("child")
    session.send(18)
    assert session.caller.record("child")["status"] == "CANCELLED"
    assert session.caller.told("patientparent") == ["WorkflowStarted", "ChildWorkflowStarted", "ChildWorkflowFailed"]
    failed = session.payload("patientparent", "ChildWorkflowFailed")
    assert (failed["child_workflow_id"], failed["close_reason"]) == ("child", "cancelled")


def a_child_that_gives_something(session: Session) -> None:
    session.leased("parent", "Parent")
    session.send(23)
    begun = session.payload("parent", "ChildWorkflowStarted")
    assert (begun["child_workflow_id"], begun["workflow_type"]) == ("child", "Child")
    session.worker("Child")
    assert session.poll("child", started=True)["input"] == {"by": 6}
    assert session.caller.record("child")["parent_id"] == "parent"
    session.turn("child", {"type": "CompleteWorkflow", "result": {"product": 42}})
    session.worker("Parent")
    session.poll("parent")  # its child's end has woken it
    done = session.payload("parent", "ChildWorkflowCompleted")
    assert (done["child_workflow_id"], done["result"]) == ("child", {"product": 42})


def an_approval_that_comes_in_time(session: Session) -> None:
    session.leased("approvalintime", "ApprovalInTime")
    session.send(20)
    session.caller.post("/workflows/approvalintime/signal/decide", {"payload": "yes"}).raise_for_status()
    session.poll("approvalintime")
    assert session.caller.told("approvalintime") == [
        "WorkflowStarted", "TimerScheduled", "WorkflowAwaitingSignal", "SignalReceived", "TimerCancelled",
    ]  # fmt: skip
    assert session.payload("approvalintime", "TimerScheduled")["duration_secs"] == 30
    assert session.payload("approvalintime", "WorkflowAwaitingSignal") == {"signal": "decide", "timer_seq": 1}
    assert session.payload("approvalintime", "TimerCancelled") == {"timer_seq": 1}


def a_run_that_continues_as_new(session: Session) -> None:
    session.leased("again", "Again")
    session.send(27)
    session.started.append("again-continued-1")
    assert session.caller.told("again") == ["WorkflowStarted", "WorkflowContinuedAsNew"]
    told = session.payload("again", "WorkflowContinuedAsNew")
    assert (told["workflow_id"], told["workflow_type"], told["input"]) == ("again-continued-1", "Again", {"n": 1})
    assert session.poll("again-continued-1")["input"] == {"n": 1}
    assert session.caller.record("again")["status"] == "COMPLETED"


def a_run_whose_handler_breaks(session: Session) -> None:
    session.leased("boom", "Boom")
    session.send(19)
    assert session.caller.record("boom")["error"] == "steps.lua:18: the handler broke"


def a_side_effect_and_a_sleep(session: Session) -> None:
    session.leased("crash", "Crash")
    session.send(21)
    session.poll("crash")  # it wakes itself: the handler goes on with the value
    session.send(22)
    assert session.caller.told("crash") == ["WorkflowStarted", "SideEffectRecorded", "TimerScheduled"]
    timer = session.payload("crash", "TimerScheduled")
    assert (timer["timer_seq"], timer["duration_secs"]) == (1, 2)  # numbers of their own: the side effect is 1, too


def a_run_that_shows_its_state(session: Session) -> None:
    session.leased("staged", "Staged")
    session.send(24)
    session.caller.post(f"/tasks/{session.activity('work')}/complete", []).raise_for_status()
    session.poll("staged")
    session.send(25)
    assert session.caller.get("/workflows/staged/state/progress").json()["value"] == 0.5
    session.caller.post("/workflows/staged/signal/on", []).raise_for_status()
    session.poll("staged")
    session.send(26)
    assert session.caller.get("/workflows/staged/state").json()["state"] == {"stage": "done", "progress": 1.0}


def activities_side_by_side_of_which_one_breaks(session: Session) -> None:
    session.leased("fanoutbreaks", "FanOutBreaks")
    session.send(28)
    session.send(29, session.activity("explode"))
    failed = session.caller.events("fanoutbreaks")[-1]
    assert failed["event_type"] == "ActivityFailed"
    assert json.loads(failed["payload"])["error"] == "families.lua:55: boom"


def a_client_that_looks_for_what_it_tagged(session: Session) -> None:
    session.send(30)
    assert [run["id"] for run in session.send(31).json()] == ["Tagged-3"]


def a_client_that_uses_all_there_is(session: Session) -> None:
    session.started += ["surface-a", "surface-c", "surface-a-continued-1", "surface-b-continued-1"]
    for number in range(32, 41):
        session.send(number)
    assert session.caller.told("surface-a") == ["WorkflowStarted", "SignalReceived", "SignalReceived"]
    session.send(41)
    session.caller.started(workflow_id="surface-c")
    session.send(42)
    statuses = [session.caller.record(f"surface-{one}")["status"] for one in "abc"]
    assert statuses == ["PENDING", "FAILED", "CANCELLED"]
    assert session.send(43).json()["workflow_id"] == "surface-a-continued-1"
    assert session.caller.told("surface-a")[-1] == "WorkflowContinuedAsNew"
    assert session.caller.record("surface-a")["status"] == "COMPLETED"
    assert session.send(44).json()["workflow_id"] == "surface-b-continued-1"
    assert session.caller.told("surface-b")[-1] == "WorkflowTerminated"  # it stays as it was closed
    assert session.caller.record("surface-b")["status"] == "FAILED"
    fresh = [session.caller.record(f"surface-{one}-continued-1") for one in "ab"]
    assert [(one["status"], one["input"]) for one in fresh] == [("PENDING", '{"n":2}'), ("PENDING", None)]


def a_client_that_keeps_a_schedule(session: Session) -> None:
    """What it made is gone in the end, or there would be one of it already for the next service."""
    made = session.send(45).json()
    assert (made["next_run_at"] > made["created_at"], made["last_run_at"]) == (True, None)
    assert session.send(46).json() == made
    changed = session.send(47).json()
    assert changed["next_run_at"] != made["next_run_at"]
    assert session.send(48).json()["paused"] is True
    assert session.send(49).json()["next_run_at"] == changed["next_run_at"]
    assert "surface nightly (1)" in [one["name"] for one in session.send(50).json()]
    session.send(51)
    session.send(52)


def a_client_that_looks_after_namespaces(session: Session) -> None:
    for number in range(53, 59):
        session.send(number)
    session.caller.post("/namespaces", {"name": "surface-ns2"}).raise_for_status()
    session.send(59)
    assert "surface-ns2" not in [one["name"] for one in session.caller.get("/namespaces").json()]


def a_client_that_keeps_a_key(session: Session) -> None:
    made = session.send(60).json()
    session.prefix = made["prefix"]
    assert (len(made["plaintext"]), made["plaintext"][:14] + "...") == (70, session.prefix)
    assert "plaintext" not in session.send(61).json()
    assert session.prefix in [key["prefix"] for key in session.send(62).json()]
    session.send(63)
    assert session.prefix not in [key["prefix"] for key in session.caller.get("/api-keys").json()]
    assert session.caller.delete(f"/api-keys/{session.prefix}").status_code == 404


def a_client_that_looks_around(session: Session) -> None:
    for number in (64, 65, 66):
        session.send(number)


# Each scene and the lines that it sends.
SCENES: dict[Callable[[Session], None], list[int]] = {
    an_activity_that_gives_nothing: [*range(1, 11)],
    an_activity_that_beats: [11, 12, 13, 14],
    an_activity_with_a_time_limit: [15],
    a_child_that_is_cancelled_while_it_waits: [16, 17, 18],
    a_run_whose_handler_breaks: [19],
    an_approval_that_comes_in_time: [20],
    a_side_effect_and_a_sleep: [21, 22],
    a_child_that_gives_something: [23],
    a_run_that_shows_its_state: [24, 25, 26],
    a_run_that_continues_as_new: [27],
    activities_side_by_side_of_which_one_breaks: [28, 29],
    a_client_that_looks_for_what_it_tagged: [30, 31],
    a_client_that_uses_all_there_is: [*range(32, 45)],
    a_client_that_keeps_a_schedule: [*range(45, 53)],
    a_client_that_looks_after_namespaces: [*range(53, 60)],
    a_client_that_keeps_a_key: [*range(60, 64)],
    a_client_that_looks_around: [64, 65, 66],
}


def test_each_line_is_sent_by_one_scene() -> None:
    numbers = [number for lines in SCENES.values() for number in lines]

    assert sorted(numbers) == list(range(1, len(LINES) + 1))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_the_old_worker_and_client_send_is_answered_as_they_need_it(
    scene: Callable[[Session], None], session: Session
) -> None:
    scene(session)

    assert session.sent == SCENES[scene]
