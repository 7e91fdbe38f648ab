"""Every route and every way in which it succeeds: what is sent, and what comes back.

`test_routes.py` holds this table against the routes that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import requests

from tests.contract import shapes
from tests.contract.service import Caller
from tests.websockets import HANDSHAKE

Send = Callable[[Caller], requests.Response]
_ANY: Any = object()


@dataclass(frozen=True)
class Success:
    """What is sent to a route, the status that it answers and what the answer holds."""

    method: str
    rule: str  # as the app has it
    status: int
    send: Send
    has: set[str] = field(default_factory=set)  # members of the object, or of each object of the list
    is_: Any = _ANY  # the whole answer, where that is known
    says: dict[str, Any] = field(default_factory=dict)  # members and their values

    def __str__(self) -> str:
        return f"{self.method} {self.rule} {self.status}"

    def check(self, answer: requests.Response) -> None:
        """Assert that this is the answer."""
        assert answer.status_code == self.status, answer.text
        if self.has:
            shapes.holds(answer, self.has)
        if self.is_ is not _ANY:
            assert answer.json() == self.is_
        if self.says:
            body = answer.json()
            assert {name: body[name] for name in self.says} == self.says


API = "/api/v1"


def _api(method: str, rule: str, status: int, send: Send, **expected: Any) -> Success:
    return Success(method, API + rule, status, send, **expected)


def _snapshot(w: Caller) -> str:
    task = w.leased()
    state = {"type": "RecordSnapshot", "state": {"stage": "half"}}
    waits = {"type": "WaitForSignal", "name": "go"}, {"type": "WaitForCondition", "name": "all_there"}
    assert w.commands(task, state, *waits).status_code == 200
    return str(task["workflow_id"])


def _known(w: Caller, path: str, **query: Any) -> requests.Response:
    """Ask again with the ETag of the first answer."""
    first = w.get(path, **query)
    return w.send("GET", path, params=query, headers={"If-None-Match": first.headers["ETag"]})


def _exchange(w: Caller, **more: Any) -> requests.Response:
    body = {
        "worker": {"identity": "played by hand"}, "session": "s-1", "n": 1, "queue": w.queue, **more,
    }  # fmt: skip
    return w.post(f"/workers/{w.worker}/exchange", body)


def _old_session(w: Caller) -> requests.Response:
    _exchange(w, session="s-0")
    _exchange(w)
    return _exchange(w, worker=None, session="s-0", n=2, workflow_slots=1)


def _failing(w: Caller) -> requests.Response:
    task = w.leased()
    w.post(f"/workflow-tasks/{task['workflow_id']}/fail", {"task_token": task["task_token"]}).raise_for_status()
    return w.post(f"/workflows/{task['workflow_id']}/retry-now", [])


def _in_namespace(w: Caller) -> str:
    w.started(namespace=w.id("space"))
    return w.id("space")


def _made(w: Caller) -> str:
    name = w.fresh("space")
    assert w.post("/namespaces", {"name": name}).status_code == 201
    return name


def _key(w: Caller) -> str:
    """Make an API key that nobody would miss."""
    return str(w.post("/api-keys", {"roles": ["viewer"]}).json()["prefix"])


def _second_time(w: Caller, path: str, body: dict[str, Any]) -> requests.Response:
    w.post(path, body)
    return w.post(path, body)


def _seq_1(w: Caller) -> dict[str, Any]:
    return {"name": "greet", "seq": 1, "task_queue": w.queue}


def _child(w: Caller, **more: Any) -> dict[str, Any]:
    return {"type": "StartChildWorkflow", "workflow_type": "Child", "workflow_id": w.fresh("child"), **more}


def _parent(w: Caller) -> str:
    """Let a run start a child."""
    task = w.leased()
    assert w.commands(task, _child(w)).status_code == 200
    return str(task["workflow_id"])


def _cancels_its_child(w: Caller) -> requests.Response:
    task, child = w.leased(), _child(w, task_queue=w.id("elsewhere"))
    w.commands(task, child).raise_for_status()
    w.post(f"/workflows/{task['workflow_id']}/signal/go", []).raise_for_status()  # wakes it
    return w.commands(w.polled(), child, {"type": "RequestCancelChild", "workflow_id": child["workflow_id"]})


# Turns of timers, children and chains, one for each command and its members.
TURNS: list[Callable[[Caller], list[dict[str, Any]]]] = [
    lambda _: [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 0}, {"type": "CancelTimer", "timer_seq": 1}],
    lambda _: [{"type": "ScheduleTimer", "seq": 1, "duration_secs": 9.5},
               {"type": "WaitForSignal", "name": "go", "timer_seq": 1}],
    lambda w: [{**_seq_1(w), "type": "ScheduleActivity", "schedule_to_start_secs": 5, "schedule_to_close_secs": 9},
               {"type": "CancelActivity", "activity_seq": 1}],
    lambda w: [_child(w, seq=1, input={"n": 1}, task_queue=w.queue, search_attributes={"env": "test"})],
    lambda w: [_child(w, parent_close="abandon", execution_timeout_secs=60, run_timeout_secs=30)],
    lambda _: [{"type": "ContinueAsNew", "input": {"n": 2}}],
    lambda w: [{"type": "ContinueAsNew", "workflow_id": w.fresh(), "workflow_type": "Next", "task_queue": w.queue,
                "unread_signals": []}],
]  # fmt: skip

RUNS = [
    _api("POST", "/workflows", 201, lambda w: w.post("/workflows", w.a_start()), has=shapes.STARTED),
    _api("POST", "/workflows", 201, lambda w: w.post("/workflows", {"workflow_type": "Nameless"}), has=shapes.STARTED),
    _api("POST", "/workflows", 200,
         lambda w: _second_time(w, "/workflows", w.a_start(id_conflict="use_existing")),
         has=shapes.STARTED, says={"already_started": True}),
    _api("POST", "/workflows", 201,
         lambda w: w.post("/workflows", w.a_start(execution_timeout_secs=3600, run_timeout_secs=0.001)),
         has=shapes.STARTED),
    _api("POST", "/workflows/batch", 200, lambda w: w.post("/workflows/batch", {"workflows": [w.a_start(), {}]}),
         has={"results"}),
    _api("GET", "/workflows", 200, lambda w: w.get("/workflows", namespace=_in_namespace(w)), has=shapes.RUN),
    _api("GET", "/workflows", 200, lambda w: w.get("/workflows", namespace=w.id("nowhere")), is_=[]),
    _api("GET", "/workflows", 304, lambda w: _known(w, "/workflows", namespace=_in_namespace(w))),
    _api("GET", "/workflows", 200, lambda w: w.get("/workflows", namespace=_in_namespace(w), q="Status = 'PENDING'"),
         has=shapes.RUN),
    _api("GET", "/workflows/count", 200, lambda w: w.get("/workflows/count", namespace=_in_namespace(w)),
         is_={"count": 1}),
    _api("GET", "/workflows/count", 200,
         lambda w: w.get("/workflows/count", namespace=_in_namespace(w), group_by="status"),
         is_={"count": 1, "group_by": "status", "groups": [{"value": "PENDING", "count": 1}], "truncated": False}),
    _api("GET", "/workflows/count", 304, lambda w: _known(w, "/workflows/count", namespace=_in_namespace(w))),
    _api("GET", "/workflows/<workflow_id>", 200, lambda w: w.get(f"/workflows/{w.started()}"), has=shapes.RUN),
    _api("GET", "/workflows/<workflow_id>", 304, lambda w: _known(w, f"/workflows/{w.started()}")),
    _api("GET", "/workflows/<workflow_id>/events", 200, lambda w: w.get(f"/workflows/{w.started()}/events"),
         has=shapes.EVENT),
    _api("GET", "/workflows/<workflow_id>/children", 200, lambda w: w.get(f"/workflows/{w.started()}/children"),
         is_=[]),
    _api("GET", "/workflows/<workflow_id>/children", 200, lambda w: w.get(f"/workflows/{_parent(w)}/children"),
         has=shapes.RUN),
    _api("GET", "/workflows/<workflow_id>/tree", 200, lambda w: w.get(f"/workflows/{w.started()}/tree"),
         has=shapes.TREE, says={"children": [], "truncated": False}),
    _api("GET", "/workflows/<workflow_id>/tree", 200, lambda w: w.get(f"/workflows/{_parent(w)}/tree", limit=1),
         has=shapes.TREE, says={"children": [], "truncated": True}),
    _api("GET", "/workflows/<workflow_id>/tree", 304, lambda w: _known(w, f"/workflows/{_parent(w)}/tree")),
    _api("GET", "/workflows/<workflow_id>/state", 200, lambda w: w.get(f"/workflows/{_snapshot(w)}/state"),
         has={"event_seq", "created_at"}, says={"state": {"stage": "half"}}),
    _api("GET", "/workflows/<workflow_id>/state/<name>", 200, lambda w: w.get(f"/workflows/{_snapshot(w)}/state/stage"),
         has={"event_seq", "created_at"}, says={"value": "half"}),
    _api("POST", "/workflows/<workflow_id>/signal/<name>", 200,
         lambda w: w.post(f"/workflows/{w.started()}/signal/go", {"payload": 1}), has=shapes.DONE,
         says={"ok": True, "event_seq": 2}),
    _api("POST", "/workflows/<workflow_id>/signal-with-start", 201,
         lambda w: w.post(f"/workflows/{w.fresh()}/signal-with-start", {"workflow_type": "Hello", "signal": "go"}),
         has=shapes.STARTED, says={"started": True, "event_seq": 2}),
    _api("POST", "/workflows/<workflow_id>/signal-with-start", 200,
         lambda w: w.post(f"/workflows/{w.started()}/signal-with-start", {"workflow_type": "Hello", "signal": "go"}),
         has=shapes.STARTED, says={"started": False, "event_seq": 2}),
    _api("POST", "/workflows/<workflow_id>/retry-now", 200, lambda w: _failing(w), has=shapes.DONE,
         says={"ok": True, "task": True, "activities": 0}),
    _api("POST", "/workflows/<workflow_id>/retry-now", 200,
         lambda w: w.post(f"/workflows/{w.started()}/retry-now", {"activities": False}), has=shapes.DONE,
         says={"ok": True, "task": False, "activities": 0}),
    _api("POST", "/workflows/<workflow_id>/cancel", 200, lambda w: w.post(f"/workflows/{w.started()}/cancel", {}),
         has=shapes.DONE, says={"ok": True}),
    _api("POST", "/workflows/<workflow_id>/terminate", 200,
         lambda w: w.post(f"/workflows/{w.started()}/terminate", {"reason": "enough"}),
         has=shapes.DONE, says={"ok": True}),
    _api("POST", "/workflows/<workflow_id>/continue-as-new", 201,
         lambda w: w.post(f"/workflows/{w.started()}/continue-as-new", {"input": {"n": 2}}), has=shapes.STARTED,
         says={"status": "PENDING"}),
    _api("POST", "/workflows/<workflow_id>/continue-as-new", 201,
         lambda w: w.post(f"/workflows/{w.closed()}/continue-as-new", []), has=shapes.STARTED,
         says={"status": "PENDING"}),
    _api("POST", "/workflows/<workflow_id>/activities", 201,
         lambda w: w.post(f"/workflows/{w.started()}/activities", _seq_1(w)), has=shapes.ACTIVITY),
    _api("POST", "/workflows/<workflow_id>/activities", 200,
         lambda w: _second_time(w, f"/workflows/{w.started()}/activities", _seq_1(w)), has=shapes.ACTIVITY),
    _api("GET", "/activities/<activity_id>", 200, lambda w: w.get(f"/activities/{w.at_work()['id']}"),
         has=shapes.ACTIVITY),
]  # fmt: skip

WORKERS = [
    _api("POST", "/workers/register", 200,
         lambda w: w.post("/workers/register", {"identity": "me", "queue": w.queue}), has={"worker_id"}),
    _api("POST", "/workers/heartbeat", 200, lambda w: w.post("/workers/heartbeat", {"worker_id": w.registered()}),
         is_={"ok": True, "registered": True}),
    _api("POST", "/workers/heartbeat", 200, lambda w: w.post("/workers/heartbeat", {"worker_id": "w-nobody"}),
         is_={"ok": True, "registered": False}),
    _api("GET", "/workers", 200,
         lambda w: [w.registered(namespace=w.id("space")), w.get("/workers", namespace=w.id("space"))][1],
         has=shapes.WORKER),
    _api("POST", "/workers/<worker_id>/exchange", 200, _exchange, has=shapes.EXCHANGED),
    _api("POST", "/workers/<worker_id>/exchange", 200, lambda w: _exchange(w, worker=None), has=shapes.EXCHANGED,
         says={"code": "session_unknown"}),
    _api("POST", "/workers/<worker_id>/exchange", 200, _old_session, has=shapes.EXCHANGED,
         says={"code": "session_replaced"}),
    _api("POST", "/workflow-tasks/poll", 200,
         lambda w: w.post("/workflow-tasks/poll", {"queue": w.queue, "worker_id": w.worker}), is_=None),
    _api("POST", "/workflow-tasks/poll", 200,
         lambda w: [w.started(), w.post("/workflow-tasks/poll", {"queue": w.queue, "worker_id": w.worker})][1],
         has=shapes.TURN | shapes.LEASE | {"history_seq"}),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 200,
         lambda w: w.commands(w.leased(), {"type": "CompleteWorkflow"}), is_={"ok": True}),
    *(
        _api("POST", "/workflow-tasks/<workflow_id>/commands", 200,
             lambda w, commands=commands: w.commands(w.leased(), *commands(w)), is_={"ok": True})
        for commands in TURNS
    ),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 200, _cancels_its_child, is_={"ok": True}),
    _api("POST", "/workflow-tasks/<workflow_id>/fail", 200,
         lambda w: _of_task(w, "fail", {"message": "no such module"}), is_={"ok": True}),
    _api("POST", "/workflow-tasks/<workflow_id>/heartbeat", 200, lambda w: _of_task(w, "heartbeat", {}),
         has={"lease_expires_at"}, says={"ok": True, "cancel_requested": False}),
    _api("POST", "/tasks/poll", 200, lambda w: w.post("/tasks/poll", {"queue": w.queue, "worker_id": w.worker}),
         is_={"task": None}),
    _api("POST", "/tasks/poll", 200,
         lambda w: [w.commands(w.leased(), {"type": "ScheduleActivity", "seq": 1, "name": "a", "task_queue": w.queue}),
                    w.post("/tasks/poll", {"queue": w.queue, "worker_id": w.worker})][1],
         has=shapes.ACTIVITY | shapes.LEASE),
    _api("POST", "/tasks/<activity_id>/complete", 200,
         lambda w: w.post(f"/tasks/{w.at_work()['id']}/complete", {"result": 1}), is_={"ok": True}),
    _api("POST", "/tasks/<activity_id>/complete", 200, lambda w: _twice(w), is_={"ok": True, "repeated": True}),
    _api("POST", "/tasks/<activity_id>/fail", 200,
         lambda w: w.post(f"/tasks/{w.at_work()['id']}/fail", {"error": "boom"}), is_={"ok": True}),
    _api("POST", "/tasks/<activity_id>/heartbeat", 200,
         lambda w: w.post(f"/tasks/{w.at_work()['id']}/heartbeat", {"details": {"page": 1}}),
         has=shapes.BEATEN, says={"ok": True, "cancel_requested": False}),
    _api("POST", "/tasks/<activity_id>/release", 200, lambda w: w.post(f"/tasks/{w.at_work()['id']}/release", {}),
         is_={"ok": True}),
]  # fmt: skip

SERVICE = [
    _api("POST", "/namespaces", 201, lambda w: w.post("/namespaces", {"name": w.fresh("space")}), has=shapes.NAMESPACE),
    _api("GET", "/namespaces", 200, lambda w: w.get("/namespaces"), has=shapes.NAMESPACE),
    _api("GET", "/namespaces/<name>", 200, lambda w: w.get(f"/namespaces/{_in_namespace(w)}"), has=shapes.STATS,
         says={"total_workflows": 1, "pending": 1}),
    _api("DELETE", "/namespaces/<name>", 200, lambda w: w.delete(f"/namespaces/{_made(w)}"),
         is_={"ok": True, "done": True}),
    _api("DELETE", "/namespaces/<name>", 200, lambda w: w.delete(f"/namespaces/{_in_namespace(w)}", force="true"),
         is_={"ok": True, "done": True, "deleted_workflows": 1}),
    _api("POST", "/api-keys", 201, lambda w: w.post("/api-keys", {"label": w.id("key")}),
         has={*shapes.API_KEY, "plaintext"}, says={"roles": ["admin", "worker"], "namespaces": None}),
    _api("POST", "/api-keys", 201,
         lambda w: w.post("/api-keys", {"roles": ["viewer"], "namespaces": ["main"], "expires_in_secs": 60}),
         has={*shapes.API_KEY, "plaintext"}, says={"label": None, "roles": ["viewer"], "namespaces": ["main"]}),
    _api("POST", "/api-keys", 200, lambda w: _second_time(w, "/api-keys", {"label": w.id("key"), "idempotent": True}),
         has=shapes.API_KEY),
    _api("GET", "/api-keys", 200, lambda w: [_key(w), w.get("/api-keys")][1], has=shapes.API_KEY),
    _api("POST", "/api-keys/<prefix>/rotate", 201, lambda w: w.post(f"/api-keys/{_key(w)}/rotate", []),
         has={*shapes.API_KEY, "plaintext"}, says={"replaced_by": None}),
    _api("DELETE", "/api-keys/<prefix>", 204, lambda w: w.delete(f"/api-keys/{_key(w)}")),
    _api("POST", "/events/ticket", 201, lambda w: w.post("/events/ticket"), has={"ticket", "expires_in_secs"}),
    _api("GET", "/audit", 200, lambda w: w.get("/audit"), is_=[]),
    _api("GET", "/queues", 200, lambda w: w.get("/queues", namespace=_in_namespace(w)), has=shapes.QUEUE),
    _api("GET", "/backlog", 200, lambda w: w.get("/backlog", namespace=_in_namespace(w)), has=shapes.BACKLOG),
    _api("GET", "/events", 200, lambda w: w.get("/events", after="oldest", limit=1), has=shapes.NOTICES,
         says={"reset": None, "retry_after": None}),
    _api("GET", "/events", 200, lambda w: w.get("/events", after="0-1-1"),
         says={"events": [], "reset": "another_database"}),
    _api("GET", "/events/stream", 200, lambda w: w.send("GET", "/events/stream", stream=True)),
    _api("GET", "/ws", 101, lambda w: w.send("GET", "/ws", headers=HANDSHAKE, stream=True)),
    _api("GET", "/health", 200, lambda w: w.get("/health"), is_={"status": "ok", "service": "assay-workflow"}),
    _api("GET", "/version", 200, lambda w: w.get("/version"), has={"version", "build_profile"}),
    _api("GET", "/openapi.json", 200, lambda w: w.get("/openapi.json"), has={"openapi", "info", "paths"}),
    Success("GET", "/livez", 200, lambda w: w.send("GET", "/livez", root=True), has={"status"}),
    Success("GET", "/readyz", 200, lambda w: w.send("GET", "/readyz", root=True),
            says={"ready": True, "database": "ok", "draining": False}),
    Success("GET", "/workflow/", 200, lambda w: w.send("GET", "/workflow/", root=True)),
    Success("GET", "/workflow", 308, lambda w: w.send("GET", "/workflow", root=True)),
    Success("GET", "/", 308, lambda w: w.send("GET", "/", root=True)),
]  # fmt: skip

SCHEDULES = [
    _api("POST", "/schedules", 201,
         lambda w: w.post("/schedules", {"name": w.fresh(), "workflow_type": "Report", "cron_expr": "0 2 * * *"}),
         has={*shapes.SCHEDULE, "next_runs"},
         says={"timezone": "UTC", "namespace": "main", "task_queue": "main", "overlap_policy": "skip"}),
    _api("GET", "/schedules", 200,
         lambda w: [w.scheduled(namespace=w.id("space")), w.get("/schedules", namespace=w.id("space"))][1],
         has=shapes.SCHEDULE),
    _api("GET", "/schedules", 200, lambda w: w.get("/schedules", namespace=w.id("nowhere")), is_=[]),
    _api("GET", "/schedules/<name>", 200, lambda w: w.get(f"/schedules/{w.scheduled()}"), has=shapes.SCHEDULE),
    _api("GET", "/schedules/<name>", 304, lambda w: _known(w, f"/schedules/{w.scheduled()}")),
    _api("PATCH", "/schedules/<name>", 200,
         lambda w: w.patch(f"/schedules/{w.scheduled()}", {"cron_expr": "@daily", "overlap_policy": "queue"}),
         has=shapes.SCHEDULE, says={"cron_expr": "@daily", "overlap_policy": "queue"}),
    _api("DELETE", "/schedules/<name>", 200, lambda w: w.delete(f"/schedules/{w.scheduled()}"), is_={"ok": True}),
    _api("POST", "/schedules/<name>/pause", 200, lambda w: w.post(f"/schedules/{w.scheduled()}/pause", {}),
         has=shapes.SCHEDULE, says={"paused": True}),
    _api("POST", "/schedules/<name>/resume", 200, lambda w: w.post(f"/schedules/{w.scheduled()}/resume", {}),
         has=shapes.SCHEDULE, says={"paused": False}),
    _api("POST", "/schedules/<name>/trigger", 200, lambda w: w.post(f"/schedules/{w.scheduled()}/trigger", {}),
         has={"schedule", "tick", "outcome", "reason", "workflow_id", "run_id"}, says={"outcome": "started"}),
    _api("POST", "/schedules/<name>/backfill", 200,
         lambda w: w.post(f"/schedules/{w.scheduled()}/backfill", {"start": 1_600_000_000, "end": 1_640_000_000}),
         is_={"ticks": 1, "queued": 1, "known": 0, "left": 0}),
    _api("GET", "/schedules/<name>/next", 200, lambda w: w.get(f"/schedules/{w.scheduled()}/next", n=2),
         has={"name", "timezone", "paused", "next_runs"}),
]  # fmt: skip

SUCCESSES = [*RUNS, *WORKERS, *SERVICE, *SCHEDULES]


def _of_task(w: Caller, what: str, body: dict[str, Any]) -> requests.Response:
    task = w.leased()
    return w.post(f"/workflow-tasks/{task['workflow_id']}/{what}", {"task_token": task["task_token"], **body})


def _twice(w: Caller) -> requests.Response:
    activity = w.at_work()
    body = {"result": 1, "task_token": activity["task_token"]}
    return _second_time(w, f"/tasks/{activity['id']}/complete", body)
