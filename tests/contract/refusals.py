"""Every route and the ways in which it refuses: what is sent, the status and the code.

`test_routes.py` holds this table against the routes and against the table of codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tests.contract.service import Caller
from tests.contract.successes import API
from tests.websockets import HANDSHAKE

Send = Callable[[Caller], requests.Response]


@dataclass(frozen=True)
class Refusal:
    """What is sent to a route that it refuses, and how."""

    method: str
    rule: str
    status: int
    code: str
    send: Send

    def __str__(self) -> str:
        return f"{self.method} {self.rule} {self.status} {self.code}"


def _api(method: str, rule: str, status: int, code: str, send: Send) -> Refusal:
    return Refusal(method, API + rule, status, code, send)


def _raw(body: bytes) -> Send:
    return lambda w: w.send("POST", "/workflows", data=body, headers={"Content-Type": "application/json"})


def _start(**more: Any) -> Send:
    return lambda w: w.post("/workflows", w.a_start(**more))


def _keyed(key: str) -> Send:
    return lambda w: w.post("/workflows", w.a_start(), headers={"Idempotency-Key": key})


def _key_of_another(w: Caller) -> requests.Response:
    key = {"Idempotency-Key": w.id("key")}
    w.post("/workflows", w.a_start(), headers=key)
    return w.post("/workflows", w.a_start(), headers=key)


def _same_id(w: Caller) -> requests.Response:
    return w.post("/workflows", w.a_start(workflow_id=w.started()))


def _in_two_namespaces(w: Caller) -> str:
    workflow_id = w.fresh()
    for number in (1, 2):
        w.started(workflow_id=workflow_id, namespace=w.id(f"space{number}"))
    return workflow_id


NONE = "/workflows/nothing-has-this-id"

# What every route that reads a body refuses, shown on the first of them.
UNREADABLE = [
    _api("POST", "/workflows", 400, "invalid_json", _raw(b"{")),
    _api("POST", "/workflows", 400, "invalid_unicode", _raw(b'{"workflow_type": "\\ud800"}')),
    _api("POST", "/workflows", 400, "non_finite_number", _raw(b'{"workflow_type": "a", "input": NaN}')),
    _api("POST", "/workflows", 400, "number_too_long", _raw(b'{"workflow_type": "a", "input": ' + b"9" * 5000 + b"}")),
    _api("POST", "/workflows", 400, "duplicate_key", _raw(b'{"workflow_type": "a", "workflow_type": "b"}')),
    _api("POST", "/workflows", 400, "too_deep", _raw(b'{"input": ' + b"[" * 65 + b"]" * 65 + b"}")),
    _api("POST", "/workflows", 413, "payload_too_large", _raw(b'{"input": "' + b"x" * (4 * 1024 * 1024) + b'"}')),
    _api("POST", "/workflows", 415, "unsupported_media_type",
         lambda w: w.send("POST", "/workflows", data=b"{}", headers={"Content-Type": "text/plain"})),
    _api("POST", "/workflows", 422, "invalid_type", _raw(b"5")),
]  # fmt: skip

STARTS = [
    _api("POST", "/workflows", 409, "workflow_already_started", _same_id),
    _api("POST", "/workflows", 422, "missing_field", lambda w: w.post("/workflows", {})),
    _api("POST", "/workflows", 413, "payload_too_large", _start(input="x" * (2 * 1024 * 1024))),
    _api("POST", "/workflows", 422, "control_character", _start(workflow_id="a\x00b")),
    _api("POST", "/workflows", 422, "forbidden_character", _start(workflow_id="a\u202eb")),
    _api("POST", "/workflows", 422, "invalid_attribute", _start(search_attributes={"nested": {}})),
    _api("POST", "/workflows", 422, "invalid_id", _start(workflow_id="")),
    _api("POST", "/workflows", 422, "invalid_type", _start(workflow_id=5)),
    _api("POST", "/workflows", 422, "invalid_value", _start(id_conflict="whatever")),
    _api("POST", "/workflows", 422, "too_many_items", _start(search_attributes={f"a{n}": n for n in range(101)})),
    _api("POST", "/workflows", 422, "out_of_range", _start(execution_timeout_secs=0)),
    _api("POST", "/workflows", 422, "out_of_range", _start(run_timeout_secs=-1)),
    _api("POST", "/workflows", 422, "out_of_range", _start(run_timeout_secs=1e12)),
    _api("POST", "/workflows", 422, "invalid_type", _start(execution_timeout_secs="1h")),
    _api("POST", "/workflows", 422, "invalid_type", _start(run_timeout_secs=True)),
    _api("POST", "/workflows", 422, "invalid_idempotency_key", _keyed("two words")),
    _api("POST", "/workflows", 422, "idempotency_key_reused", _key_of_another),
    _api("POST", "/workflows/batch", 422, "missing_field", lambda w: w.post("/workflows/batch", [])),
    _api("POST", "/workflows/batch", 422, "too_many_items",
         lambda w: w.post("/workflows/batch", {"workflows": [{}] * 1001})),
    _api("POST", "/workflows/<workflow_id>/signal-with-start", 422, "missing_field",
         lambda w: w.post(f"/workflows/{w.fresh()}/signal-with-start", {"workflow_type": "Hello"})),
    _api("POST", "/workflows/<workflow_id>/signal-with-start", 409, "workflow_already_started",
         lambda w: w.post(f"/workflows/{w.closed()}/signal-with-start",
                          {"workflow_type": "Hello", "signal": "go", "id_reuse": "reject"})),
]  # fmt: skip

READS = [
    _api("GET", "/workflows", 422, "invalid_filter", lambda w: w.get("/workflows", colour="red")),
    _api("GET", "/workflows", 422, "invalid_filter", lambda w: w.get("/workflows", status="TIRED")),
    _api("GET", "/workflows", 422, "invalid_filter", lambda w: w.get("/workflows", search_attrs="{")),
    _api("GET", "/workflows", 422, "invalid_filter", lambda w: w.get("/workflows", type=["a", "b"])),
    _api("GET", "/workflows", 422, "invalid_filter", lambda w: w.get("/workflows", q="Status = ")),
    _api("GET", "/workflows/count", 422, "invalid_filter", lambda w: w.get("/workflows/count", group_by="colour")),
    _api("GET", "/workflows/count", 422, "invalid_filter", lambda w: w.get("/workflows/count", limit=1)),
    _api("GET", "/workflows", 422, "out_of_range", lambda w: w.get("/workflows", limit=1001)),
    _api("GET", "/workflows", 422, "invalid_cursor", lambda w: w.get("/workflows", cursor="x")),
    _api("GET", "/workflows/<workflow_id>", 404, "not_found", lambda w: w.get(NONE)),
    _api("GET", "/workflows/<workflow_id>", 409, "ambiguous_namespace",
         lambda w: w.get(f"/workflows/{_in_two_namespaces(w)}")),
    _api("GET", "/workflows/<workflow_id>", 400, "invalid_path", lambda w: w.get("/workflows/a%00")),
    _api("GET", "/workflows/<workflow_id>/events", 404, "not_found", lambda w: w.get(f"{NONE}/events")),
    _api("GET", "/workflows/<workflow_id>/events", 422, "invalid_filter",
         lambda w: w.get(f"/workflows/{w.started()}/events", order="up")),
    _api("GET", "/workflows/<workflow_id>/children", 404, "not_found", lambda w: w.get(f"{NONE}/children")),
    _api("GET", "/workflows/<workflow_id>/children", 422, "out_of_range",
         lambda w: w.get(f"/workflows/{w.started()}/children", limit=0)),
    _api("GET", "/workflows/<workflow_id>/children", 422, "invalid_cursor",
         lambda w: w.get(f"/workflows/{w.started()}/children", cursor="x")),
    _api("GET", "/workflows/<workflow_id>/tree", 404, "not_found", lambda w: w.get(f"{NONE}/tree")),
    _api("GET", "/workflows/<workflow_id>/tree", 422, "invalid_filter",
         lambda w: w.get(f"/workflows/{w.started()}/tree", depth=3)),
    _api("GET", "/workflows/<workflow_id>/tree", 422, "out_of_range",
         lambda w: w.get(f"/workflows/{w.started()}/tree", limit=0)),
    _api("GET", "/workflows/<workflow_id>/state", 404, "not_found",
         lambda w: w.get(f"/workflows/{w.started()}/state")),
    _api("GET", "/workflows/<workflow_id>/state/<name>", 404, "not_found",
         lambda w: w.get(f"/workflows/{w.started()}/state/stage")),
    _api("GET", "/activities/<activity_id>", 404, "not_found", lambda w: w.get("/activities/999999999")),
    _api("GET", "/activities/<activity_id>", 404, "not_found", lambda w: w.get("/activities/none")),
    _api("GET", "/workers", 422, "invalid_filter", lambda w: w.get("/workers", colour="red")),
    _api("GET", "/queues", 422, "invalid_filter", lambda w: w.get("/queues", colour="red")),
    _api("GET", "/backlog", 422, "invalid_filter", lambda w: w.get("/backlog", colour="red")),
    _api("GET", "/api-keys", 422, "invalid_filter", lambda w: w.get("/api-keys", colour="red")),
    _api("GET", "/audit", 422, "invalid_filter", lambda w: w.get("/audit", colour="red")),
    _api("GET", "/audit", 422, "out_of_range", lambda w: w.get("/audit", limit=0)),
    _api("GET", "/events", 422, "invalid_filter", lambda w: w.get("/events", type="workflow_begun")),
    _api("GET", "/events", 422, "out_of_range", lambda w: w.get("/events", limit=0)),
    _api("GET", "/events", 422, "invalid_cursor", lambda w: w.get("/events", after="yesterday")),
    _api("GET", "/ws", 426, "upgrade_required", lambda w: w.get("/ws")),
    _api("GET", "/ws", 422, "invalid_filter", lambda w: w.get("/ws", colour="red")),
    _api("GET", "/ws", 422, "invalid_cursor", lambda w: w.send("GET", "/ws?after=1", headers=HANDSHAKE)),
    _api("GET", "/ws", 403, "origin_not_allowed",
         lambda w: w.send("GET", "/ws", headers={**HANDSHAKE, "Origin": "https://evil.example"})),
    _api("GET", "/events/stream", 422, "invalid_filter", lambda w: w.get("/events/stream", colour="red")),
    _api("GET", "/events/stream", 422, "invalid_cursor", lambda w: w.get("/events/stream", last_event_id="1")),
    _api("GET", "/namespaces", 422, "invalid_filter", lambda w: w.get("/namespaces", colour="red")),
    _api("GET", "/namespaces/<name>", 404, "namespace_not_found", lambda w: w.get(f"/namespaces/{w.id('none')}")),
]  # fmt: skip

ACTS = [
    _api("POST", "/workflows/<workflow_id>/signal/<name>", 404, "not_found",
         lambda w: w.post(f"{NONE}/signal/go", [])),
    _api("POST", "/workflows/<workflow_id>/signal/<name>", 409, "workflow_closed",
         lambda w: w.post(f"/workflows/{w.closed()}/signal/go", [])),
    _api("POST", "/workflows/<workflow_id>/retry-now", 404, "not_found", lambda w: w.post(f"{NONE}/retry-now", [])),
    _api("POST", "/workflows/<workflow_id>/retry-now", 409, "workflow_closed",
         lambda w: w.post(f"/workflows/{w.closed()}/retry-now", [])),
    _api("POST", "/workflows/<workflow_id>/retry-now", 422, "invalid_type",
         lambda w: w.post(f"/workflows/{w.started()}/retry-now", {"activities": "all"})),
    _api("POST", "/workflows/<workflow_id>/cancel", 404, "not_found", lambda w: w.post(f"{NONE}/cancel", [])),
    # assay 0.1.8 answers 404 here, and its dashboard and CLI count on it.
    _api("POST", "/workflows/<workflow_id>/cancel", 404, "already_terminal",
         lambda w: w.post(f"/workflows/{w.closed()}/cancel", [])),
    _api("POST", "/workflows/<workflow_id>/cancel", 422, "out_of_range",
         lambda w: w.post(f"/workflows/{w.started()}/cancel", {"reason": "x" * 4097})),
    _api("POST", "/workflows/<workflow_id>/terminate", 404, "not_found", lambda w: w.post(f"{NONE}/terminate", [])),
    _api("POST", "/workflows/<workflow_id>/terminate", 404, "already_terminal",
         lambda w: w.post(f"/workflows/{w.closed()}/terminate", [])),
    _api("POST", "/workflows/<workflow_id>/continue-as-new", 404, "not_found",
         lambda w: w.post(f"{NONE}/continue-as-new", [])),
    *(
        _api("POST", "/workflows/<workflow_id>/continue-as-new", 409, "workflow_already_started",
             lambda w, one=one: w.post(f"/workflows/{one(w)}/continue-as-new", {"workflow_id": w.started()}))
        for one in (Caller.started, Caller.closed)
    ),
    _api("POST", "/workflows/<workflow_id>/continue-as-new", 422, "invalid_id",
         lambda w: w.post(f"/workflows/{w.started()}/continue-as-new", {"workflow_id": ""})),
    _api("POST", "/workflows/<workflow_id>/continue-as-new", 422, "invalid_type",
         lambda w: w.post(f"/workflows/{w.started()}/continue-as-new", {"workflow_type": 5})),
    _api("POST", "/workflows/<workflow_id>/activities", 404, "not_found",
         lambda w: w.post(f"{NONE}/activities", {"name": "a", "seq": 1})),
    _api("POST", "/workflows/<workflow_id>/activities", 409, "workflow_closed",
         lambda w: w.post(f"/workflows/{w.closed()}/activities", {"name": "a", "seq": 1})),
    _api("POST", "/workflows/<workflow_id>/activities", 409, "nondeterminism", lambda w: _another_name(w)),
    _api("POST", "/workflows/<workflow_id>/activities", 422, "too_many_pending", lambda w: _one_activity_more(w)),
    _api("POST", "/workflows/<workflow_id>/activities", 409, "lease_lost",
         lambda w: w.post(f"/workflows/{w.started()}/activities", {"name": "a", "seq": 1, "task_token": "w.1.x"})),
    _api("POST", "/workflows/<workflow_id>/activities", 422, "out_of_range",
         lambda w: w.post(f"/workflows/{w.started()}/activities", {"name": "a", "seq": 0})),
    _api("POST", "/namespaces", 422, "missing_field", lambda w: w.post("/namespaces", {})),
    _api("POST", "/namespaces", 409, "namespace_exists", lambda w: w.post("/namespaces", {"name": "main"})),
    _api("POST", "/api-keys", 422, "invalid_value", lambda w: w.post("/api-keys", {"roles": ["owner"]})),
    _api("POST", "/api-keys", 422, "invalid_value", lambda w: w.post("/api-keys", {"roles": []})),
    _api("POST", "/api-keys", 422, "out_of_range", lambda w: w.post("/api-keys", {"namespaces": []})),
    _api("POST", "/api-keys", 422, "missing_field", lambda w: w.post("/api-keys", {"idempotent": True})),
    _api("POST", "/api-keys", 422, "out_of_range", lambda w: w.post("/api-keys", {"expires_in_secs": 0})),
    _api("POST", "/api-keys", 422, "invalid_type", lambda w: w.post("/api-keys", {"expires_in_secs": "30d"})),
    _api("POST", "/api-keys/<prefix>/rotate", 404, "not_found", lambda w: w.post("/api-keys/assay_0/rotate", {})),
    _api("POST", "/api-keys/<prefix>/rotate", 409, "key_replaced", lambda w: _rotated_before(w)),
    _api("DELETE", "/api-keys/<prefix>", 404, "not_found", lambda w: w.delete("/api-keys/assay_00000000...")),
    _api("DELETE", "/namespaces/<name>", 404, "namespace_not_found", lambda w: w.delete(f"/namespaces/{w.id('none')}")),
    _api("DELETE", "/namespaces/<name>", 409, "namespace_protected", lambda w: w.delete("/namespaces/main")),
    _api("DELETE", "/namespaces/<name>", 409, "namespace_not_empty",
         lambda w: [w.started(namespace=w.id("space")), w.delete(f"/namespaces/{w.id('space')}")][1]),
]  # fmt: skip

A_CHILD = {"type": "StartChildWorkflow", "workflow_type": "Child", "workflow_id": "child"}
A_TIMER = {"type": "ScheduleTimer", "seq": 1, "duration_secs": 1}

# Turns of timers, children and chains that nobody can take.
BAD_TURNS: list[list[dict[str, Any]]] = [
    [{"type": "ScheduleTimer", "seq": 1}],
    [{**A_TIMER, "duration_secs": -1}],
    [{**A_TIMER, "duration_secs": "soon"}],
    [{"type": "CancelTimer"}],
    [{"type": "CancelTimer", "timer_seq": 1}],
    [{"type": "CancelActivity", "activity_seq": 1}],
    [A_TIMER, {"type": "WaitForSignal", "name": "go", "timer_seq": 0}],
    [{"type": "WaitForCondition"}],
    [{"type": "StartChildWorkflow", "workflow_type": "Child"}],
    [{**A_CHILD, "workflow_type": None}],
    [{**A_CHILD, "parent_close": "adopt"}],
    [{**A_CHILD, "run_timeout_secs": 0}],
    [{**A_CHILD, "search_attributes": {"nested": {}}}],
    [{"type": "RequestCancelChild"}],
    [{"type": "RequestCancelChild", "workflow_id": "no-child-of-mine"}],
    [{"type": "ContinueAsNew", "unread_signals": "all"}],
    [{"type": "ContinueAsNew"}, A_TIMER],
    [{"type": "ContinueAsNew"}, {"type": "CompleteWorkflow"}],
    [{"type": "ScheduleActivity", "seq": 1, "name": "a", "schedule_to_close_secs": 0}],
]

TURNS = [
    _api("POST", "/workers/register", 422, "missing_field", lambda w: w.post("/workers/register", {"queue": "q"})),
    _api("POST", "/workers/heartbeat", 422, "missing_field", lambda w: w.post("/workers/heartbeat", [])),
    _api("POST", "/workers/<worker_id>/exchange", 422, "missing_field", lambda w: w.post("/workers/w/exchange", [])),
    _api("POST", "/workflow-tasks/poll", 422, "missing_field", lambda w: w.post("/workflow-tasks/poll", [])),
    _api("POST", "/tasks/poll", 422, "missing_field", lambda w: w.post("/tasks/poll", {"queue": "q"})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 422, "missing_field",
         lambda w: w.post(f"/workflow-tasks/{w.started()}/commands", [])),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "lease_lost",
         lambda w: w.post(f"/workflow-tasks/{w.started()}/commands", {"worker_id": w.worker, "commands": []})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "lease_lost",
         lambda w: w.commands({"workflow_id": w.started(), "task_token": "nonsense"})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "ambiguous_run", lambda w: _two_leases(w)),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "workflow_closed",
         lambda w: w.commands(_closed_task(w), {"type": "CompleteWorkflow"})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "unhandled_events",
         lambda w: w.commands(_signalled_task(w), {"type": "CompleteWorkflow"})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "nondeterminism",
         lambda w: w.commands(w.leased(), *({"type": "ScheduleActivity", "seq": 1, "name": name} for name in "ab"))),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 422, "bad_command",
         lambda w: w.commands(w.leased(), {"type": "MakeCoffee"})),
    *(
        _api("POST", "/workflow-tasks/<workflow_id>/commands", 422, "bad_command",
             lambda w, commands=commands: w.commands(w.leased(), *commands))
        for commands in BAD_TURNS
    ),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "id_taken",
         lambda w: w.commands(w.leased(), {"type": "ContinueAsNew", "workflow_id": _another_open_run(w)})),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 409, "nondeterminism",
         lambda w: w.commands(w.leased(), *({**A_CHILD, "workflow_id": w.id("child"), "workflow_type": of}
                                            for of in ("Child", "Other")))),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 422, "too_many_items",
         lambda w: w.commands(w.leased(), *[{"type": "WaitForSignal", "name": "go"}] * 1001)),
    _api("POST", "/workflow-tasks/<workflow_id>/commands", 422, "too_many_pending", lambda w: _too_many_activities(w)),
    _api("POST", "/workflow-tasks/<workflow_id>/fail", 409, "lease_lost",
         lambda w: w.post(f"/workflow-tasks/{w.started()}/fail", {"worker_id": w.worker})),
    _api("POST", "/workflow-tasks/<workflow_id>/heartbeat", 409, "lease_lost",
         lambda w: w.post(f"/workflow-tasks/{w.started()}/heartbeat", {"worker_id": w.worker})),
    *(
        _api("POST", f"/workflow-tasks/<workflow_id>/{what}", 409, "workflow_closed",
             lambda w, what=what: _late(w, what))
        for what in ("fail", "heartbeat")
    ),
    *(
        refusal
        for what in ("complete", "fail", "heartbeat", "release")
        for refusal in (
            _api("POST", f"/tasks/<activity_id>/{what}", 404, "not_found",
                 lambda w, what=what: w.post(f"/tasks/999999999/{what}", [])),
            _api("POST", f"/tasks/<activity_id>/{what}", 409, "workflow_closed",
                 lambda w, what=what: w.post(f"/tasks/{_closed_activity(w)}/{what}", [])),
            _api("POST", f"/tasks/<activity_id>/{what}", 409, "lease_lost",
                 lambda w, what=what: w.post(f"/tasks/{_reported_activity(w)}/{what}", [])),
            _api("POST", f"/tasks/<activity_id>/{what}", 409, "stale_attempt",
                 lambda w, what=what: _stale(w, what)),
        )
    ),
]  # fmt: skip

# What every route that names a run by its id refuses.
AMBIGUOUS = [
    *(
        _api("GET", f"/workflows/<workflow_id>/{rest}", 409, "ambiguous_namespace",
             lambda w, rest=rest: w.get(f"/workflows/{_in_two_namespaces(w)}/{rest}"))
        for rest in ("events", "children", "tree", "state", "state/<name>")
    ),
    *(
        _api("POST", f"/workflows/<workflow_id>/{rest}", 409, "ambiguous_namespace",
             lambda w, rest=rest, body=body: w.post(f"/workflows/{_in_two_namespaces(w)}/{rest}", body))
        for rest, body in (
            ("signal/<name>", []), ("retry-now", []), ("cancel", []), ("terminate", []), ("continue-as-new", []),
            ("activities", {"name": "a", "seq": 1}),
        )
    ),
    *(
        _api("POST", f"/workflow-tasks/<workflow_id>/{rest}", 409, "ambiguous_run",
             lambda w, rest=rest: _two_leases(w, rest))
        for rest in ("fail", "heartbeat")
    ),
]  # fmt: skip

NO_SCHEDULE = "/schedules/nothing-has-this-name"


def _schedule(**more: Any) -> Send:
    told = {"workflow_type": "Report", "cron_expr": "0 2 * * *", **more}
    return lambda w: w.post("/schedules", {"name": w.fresh(), **told})


# What can be read of a schedule, and what it was told, is said where it is made; where it is acted on, that it is gone.
SCHEDULES = [
    _api("POST", "/schedules", 409, "schedule_exists",
         lambda w: w.post("/schedules", {"name": w.scheduled(), "workflow_type": "W", "cron_expr": "@daily"})),
    _api("POST", "/schedules", 422, "missing_field", lambda w: w.post("/schedules", {"name": w.fresh()})),
    _api("POST", "/schedules", 422, "invalid_cron", _schedule(cron_expr="0 0 31 2 *")),
    _api("POST", "/schedules", 422, "invalid_cron", _schedule(cron_expr="*" * 300)),
    _api("POST", "/schedules", 422, "invalid_timezone", _schedule(timezone="../../etc/passwd")),
    _api("POST", "/schedules", 422, "invalid_value", _schedule(overlap_policy="queue_all")),
    _api("POST", "/schedules", 422, "out_of_range", _schedule(catchup_window_secs=0.5)),
    _api("POST", "/schedules", 422, "invalid_id", _schedule(name="x" * 241)),
    _api("GET", "/schedules", 422, "invalid_filter", lambda w: w.get("/schedules", colour="red")),
    _api("GET", "/schedules/<name>", 404, "not_found", lambda w: w.get(NO_SCHEDULE)),
    _api("GET", "/schedules/<name>/next", 404, "not_found", lambda w: w.get(f"{NO_SCHEDULE}/next")),
    _api("GET", "/schedules/<name>/next", 422, "out_of_range",
         lambda w: w.get(f"/schedules/{w.scheduled()}/next", n=101)),
    _api("DELETE", "/schedules/<name>", 404, "not_found", lambda w: w.delete(NO_SCHEDULE)),
    _api("PATCH", "/schedules/<name>", 404, "not_found", lambda w: w.patch(NO_SCHEDULE, {"input": 1})),
    _api("PATCH", "/schedules/<name>", 422, "invalid_cron",
         lambda w: w.patch(f"/schedules/{w.scheduled()}", {"cron_expr": "61 * * * *"})),
    _api("PATCH", "/schedules/<name>", 422, "invalid_timezone",
         lambda w: w.patch(f"/schedules/{w.scheduled()}", {"timezone": "localtime"})),
    *(
        _api("POST", f"/schedules/<name>/{what}", 404, "not_found",
             lambda w, what=what, body=body: w.post(f"{NO_SCHEDULE}/{what}", body))
        for what, body in (("pause", []), ("resume", []), ("trigger", []), ("backfill", {"start": 0}))
    ),
    _api("POST", "/schedules/<name>/trigger", 422, "invalid_value",
         lambda w: w.post(f"/schedules/{w.scheduled()}/trigger", {"overlap_policy": "often"})),
    _api("POST", "/schedules/<name>/backfill", 422, "too_many_items",
         lambda w: w.post(f"/schedules/{w.scheduled(cron_expr='* * * * *')}/backfill", {"start": 1_700_000_000})),
    _api("POST", "/schedules/<name>/backfill", 422, "out_of_range",
         lambda w: w.post(f"/schedules/{w.scheduled()}/backfill", {"start": 4_000_000_000})),
]  # fmt: skip

REFUSALS = [*UNREADABLE, *STARTS, *READS, *ACTS, *TURNS, *AMBIGUOUS, *SCHEDULES]


def _rotated_before(w: Caller) -> requests.Response:
    path = f"/api-keys/{w.post('/api-keys', {'roles': ['viewer']}).json()['prefix']}/rotate"
    w.post(path, []).raise_for_status()
    return w.post(path, [])


def _another_name(w: Caller) -> requests.Response:
    path = f"/workflows/{w.started()}/activities"
    w.post(path, {"name": "a", "seq": 1})
    return w.post(path, {"name": "b", "seq": 1})


def _two_leases(w: Caller, rest: str = "commands") -> requests.Response:
    workflow_id = _in_two_namespaces(w)
    for _ in range(2):
        assert w.polled()["workflow_id"] == workflow_id
    return w.post(f"/workflow-tasks/{workflow_id}/{rest}", {"worker_id": w.worker})


def _another_open_run(w: Caller) -> str:
    return w.started(task_queue=w.id("elsewhere"))


def _closed_task(w: Caller) -> dict[str, Any]:
    task = w.leased()
    w.post(f"/workflows/{task['workflow_id']}/terminate", [])
    return task


def _late(w: Caller, what: str) -> requests.Response:
    task = _closed_task(w)
    return w.post(f"/workflow-tasks/{task['workflow_id']}/{what}", {"task_token": task["task_token"]})


def _signalled_task(w: Caller) -> dict[str, Any]:
    task = w.leased()
    w.post(f"/workflows/{task['workflow_id']}/signal/go", [])
    return task


def _too_many_activities(w: Caller) -> requests.Response:
    return w.commands(_with_full_run(w), {"type": "ScheduleActivity", "seq": 2001, "name": "a"})


def _one_activity_more(w: Caller) -> requests.Response:
    return w.post(f"/workflows/{_with_full_run(w)['workflow_id']}/activities", {"name": "a", "seq": 2001})


def _with_full_run(w: Caller) -> dict[str, Any]:
    """Have a run with as many activities as it may have. Answers its next task."""
    workflow_id = w.started()
    for first in (1, 1001):
        task = w.polled()
        scheduled = ({"type": "ScheduleActivity", "seq": first + n, "name": "a"} for n in range(1000))
        assert w.commands(task, *scheduled).status_code == 200
        w.post(f"/workflows/{workflow_id}/signal/go", [])
    task: dict[str, Any] = w.polled()
    return task


def _closed_activity(w: Caller) -> int:
    activity = w.at_work()
    w.post(f"/workflows/{activity['workflow_id']}/terminate", [])
    return int(activity["id"])


def _reported_activity(w: Caller) -> int:
    activity_id = int(w.at_work()["id"])
    w.post(f"/tasks/{activity_id}/complete", [])
    return activity_id


def _stale(w: Caller, what: str) -> requests.Response:
    """Report with the token of the first attempt while the second is under way."""
    first = w.at_work(initial_interval_secs=0)
    w.post(f"/tasks/{first['id']}/fail", {"error": "boom"})
    assert w.polled_activity()["attempt"] == 2
    return w.post(f"/tasks/{first['id']}/{what}", {"task_token": first["task_token"]})
