"""A service of 200 lines: runs, activities and the exchange, in memory, without sockets.

It knows just enough to drive real workers: leases with tokens, sessions, lost numbers, long polls. Tests
script its failures: `failures` holds what the next exchanges meet instead of an answer.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from assay_wsgi.sdk.transport import Reply
from assay_wsgi.sdk.transport import Unreachable

CLOSING = {"CompleteWorkflow": "COMPLETED", "FailWorkflow": "FAILED", "CancelWorkflow": "CANCELLED"}


class Run:
    def __init__(self, workflow_type: str, workflow_id: str, input: Any) -> None:
        self.type, self.id, self.run_id = workflow_type, workflow_id, f"run-{workflow_id}"
        self.status, self.result, self.error, self.state = "RUNNING", None, None, None
        self.history: list[dict[str, Any]] = []
        self.token: str | None = None
        self.exchange = 0
        self.ready = True
        self.attempt = 1
        self.task_failures: list[dict[str, Any]] = []
        self.add("WorkflowStarted", input)

    def add(self, event_type: str, payload: Any = None) -> None:
        seq = len(self.history) + 1
        self.history.append({"seq": seq, "event_type": event_type, "payload": payload, "timestamp": 0.0})


class Service:
    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.activities: dict[str, dict[str, Any]] = {}  # by id
        self.bodies: list[dict[str, Any]] = []  # every exchange that came
        self.failures: deque[str | Reply | None] = deque()
        self.outcomes: dict[str, dict[str, Any]] = {}  # token -> what to answer to its next report
        self.cancel_beats = False
        self.beats_expire_at: float | None = None
        self.long_history = False
        self.session: str | None = None
        self.waiting = 0  # exchanges parked in a long poll
        self.lost: set[int] = set()
        self.beats: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.closed = False
        self.drain = False
        self.namespace_made = False  # whether its answers say so
        self._tokens = itertools.count(1)
        self._changed = threading.Condition()
        self._accepted: set[str] = set()

    # ------------------------------------------------------------------------------ for the test

    def connect(self) -> Any:
        return FakeConnection(self)

    def start(self, workflow_type: str, workflow_id: str, input: Any = None) -> Run:
        with self._changed:
            run = self.runs[f"run-{workflow_id}"] = Run(workflow_type, workflow_id, input)
            self._changed.notify_all()
        return run

    def event(self, run: Run, event_type: str, payload: Any = None) -> None:
        with self._changed:
            run.add(event_type, payload)
            run.ready = True
            self._changed.notify_all()

    def signal(self, run: Run, name: str, payload: Any = None) -> None:
        self.event(run, "SignalReceived", {"signal": name, "payload": payload})

    def until(self, condition: Callable[[], Any], what: str = "the condition") -> None:
        with self._changed:
            assert self._changed.wait_for(condition, 10), f"{what} did not come about"

    def until_closed(self, run: Run) -> Run:
        self.until(lambda: run.status != "RUNNING", f"the end of {run.id}")
        return run

    def shut(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def changed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ------------------------------------------------------------------------------ the exchange

    def exchange(self, body: dict[str, Any]) -> Reply:
        with self._changed:
            self.bodies.append(body)
            self._changed.notify_all()
            failure = self.failures.popleft() if self.failures else None
            if failure == "before":
                raise Unreachable("refused")
            if isinstance(failure, Reply):
                return failure
            if "worker" in body:
                if self.session not in (None, body["session"]):
                    self._give_back(lambda exchange: True)
                self.session = body["session"]
            for number in body.get("lost", ()):
                self.lost.add(number)
                self._give_back(lambda exchange, number=number: exchange == number)
            results = [self._turn(one) for one in body.get("workflow_results", ())]
            results += [self._report(one) for one in body.get("activity_results", ())]
            beats = [self._beat(one) for one in body.get("heartbeats", ())]
            if failure == "after":
                raise Unreachable("the connection was lost")
            if body["session"] != self.session:
                return self._answer(results, beats, code="session_replaced")
            if body.get("ends"):
                self._give_back(lambda exchange: True)
                self.session = ""
                self._changed.notify_all()
                return self._answer(results, beats)
            turns, attempts = self._claim(body)
            if not turns and not attempts and body["wait_secs"] and not self.closed:
                self.waiting += 1
                self._changed.notify_all()
                self._changed.wait_for(lambda: self.closed or self._any_ready(body), body["wait_secs"])
                self.waiting -= 1
                if self.closed:
                    raise Unreachable("the service has ended")
                if body["session"] != self.session:
                    return self._answer(results, beats, code="session_replaced")
                turns, attempts = self._claim(body)
            if failure == "claimed":
                raise Unreachable("the answer was lost")
            self._changed.notify_all()
            return self._answer(results, beats, turns, attempts)

    def _answer(self, results: Any, beats: Any, turns: Any = (), attempts: Any = (), **more: Any) -> Reply:
        body = {
            "results": results,
            "workflow_tasks": list(turns),
            "activity_tasks": list(attempts),
            "heartbeats": beats,
            "retry_after": None,
            "drain": self.drain,
            **({"namespace_made": True} if self.namespace_made else {}),
            **more,
        }
        return Reply(200, json.loads(json.dumps(body)), {})

    def _give_back(self, whose: Callable[[int], bool]) -> None:
        for run in self.runs.values():
            if run.token and whose(run.exchange):
                run.token, run.ready = None, True
        for activity in self.activities.values():
            if activity["token"] and not activity["done"] and whose(activity["exchange"]):
                activity["token"] = None

    def _any_ready(self, body: dict[str, Any]) -> bool:
        return bool(
            (body["workflow_slots"] and any(self._ready_runs()))
            or (body["activity_slots"] and any(self._ready_activities()))
        )

    def _ready_runs(self) -> Any:
        return (run for run in self.runs.values() if run.ready and not run.token and run.status == "RUNNING")

    def _ready_activities(self) -> Any:
        return (one for one in self.activities.values() if not one["token"] and not one["done"])

    def _claim(self, body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        turns = []
        for run in itertools.islice(self._ready_runs(), body["workflow_slots"]):
            run.token, run.ready, run.exchange = f"w.{next(self._tokens)}", False, body["n"]
            held = body.get("cached_runs", {}).get(run.run_id, 0)
            turns.append(
                {
                    "workflow_id": run.id,
                    "run_id": run.run_id,
                    "namespace": "main",
                    "workflow_type": run.type,
                    "task_queue": "default",
                    "input": run.history[0]["payload"],
                    "history": run.history[held:],
                    "history_from": held,
                    "history_seq": len(run.history),
                    "attempt": run.attempt,
                    "task_token": run.token,
                    "lease_expires_at": 30.0,
                    "cancel_requested": False,
                    "continue_as_new_suggested": self.long_history,
                }
            )
        attempts = []
        for one in itertools.islice(self._ready_activities(), body["activity_slots"]):
            one["token"], one["exchange"] = f"a.{next(self._tokens)}", body["n"]
            one["attempt"] += 1
            attempts.append(
                {
                    "id": one["id"],
                    "workflow_id": one["run"].id,
                    "run_id": one["run"].run_id,
                    "seq": one["seq"],
                    "name": one["name"],
                    "task_queue": "default",
                    "input": one["input"],
                    "attempt": one["attempt"],
                    "max_attempts": one["max_attempts"],
                    "task_token": one["token"],
                    "lease_expires_at": None,
                    "heartbeat_timeout_secs": one["heartbeat_timeout_secs"],
                    "start_to_close_secs": 300.0,
                    "heartbeat_details": one["details"],
                }
            )
        return turns, attempts

    def _said(self, token: str) -> dict[str, Any] | None:
        if token in self._accepted:
            return {"task_token": token, "ok": True, "repeated": True}
        if token in self.outcomes:
            return {"task_token": token, **self.outcomes.pop(token)}
        return None

    def _turn(self, result: dict[str, Any]) -> dict[str, Any]:
        self.reports.append(result)
        token = result["task_token"]
        if said := self._said(token):
            return said
        run = next((run for run in self.runs.values() if run.token == token), None)
        if run is None:
            return {"task_token": token, "error": "lost", "code": "lease_lost"}
        run.token = None
        if "failure" in result:
            run.task_failures.append(result["failure"])
            run.attempt += 1
        else:
            for command in result["commands"]:
                self._apply(run, command)
        self._accepted.add(token)
        return {"task_token": token, "ok": True}

    def _apply(self, run: Run, command: dict[str, Any]) -> None:
        kind = command["type"]
        if kind == "ScheduleActivity":
            run.add("ActivityScheduled", {"activity_seq": command["seq"], "name": command["name"]})
            key = f"{run.run_id}/{command['seq']}"
            self.activities[key] = {
                "max_attempts": 3,
                "heartbeat_timeout_secs": None,
                **command,
                "id": key,
                "run": run,
                "token": None,
                "done": False,
                "attempt": 0,
                "details": None,
                "exchange": 0,
            }
        elif kind == "RecordSideEffect":
            payload = {"side_effect_seq": command["seq"], "name": command["name"], "value": command["value"]}
            run.add("SideEffectRecorded", payload)
            run.ready = True
        elif kind == "UpsertSearchAttributes":
            payload = {"patch": command["patch"], "upsert_seq": command["seq"]}
            run.add("SearchAttributesUpserted", payload)
            run.ready = True
        elif kind == "RecordSnapshot":
            run.state = command["state"]
        elif kind == "WaitForSignal":
            run.add("WorkflowAwaitingSignal", {"signal": command["name"]})
        elif kind != "WaitForCondition":
            run.status = CLOSING[kind]
            run.result, run.error = command.get("result"), command.get("error")

    def _report(self, report: dict[str, Any]) -> dict[str, Any]:
        self.reports.append(report)
        token = report["task_token"]
        if said := self._said(token):
            return said
        one = next((one for one in self.activities.values() if one["token"] == token), None)
        if one is None:
            return {"task_token": token, "error": "stale", "code": "stale_attempt"}
        failure = report.get("failure")
        if failure and not failure["non_retryable"] and one["attempt"] < one["max_attempts"]:
            one["token"] = None  # without a back-off
        else:
            one["done"] = True
            payload = {"activity_seq": one["seq"], "name": one["name"], "result": report.get("result")}
            if failure:
                payload.update(error=failure["error"], error_type=failure["error_type"], final_attempt=one["attempt"])
            one["run"].add("ActivityFailed" if failure else "ActivityCompleted", payload)
            one["run"].ready = True
        self._accepted.add(token)
        return {"task_token": token, "ok": True}

    def _beat(self, beat: dict[str, Any]) -> dict[str, Any]:
        self.beats.append(beat)
        for one in self.activities.values():
            if one["token"] == beat["task_token"]:
                one["details"] = beat["details"]
                return {
                    "task_token": beat["task_token"],
                    "cancel_requested": self.cancel_beats,
                    "lease_expires_at": self.beats_expire_at,
                }
        return {"task_token": beat["task_token"], "error": "lost", "code": "lease_lost"}


class FakeConnection:
    def __init__(self, service: Service) -> None:
        self._service = service

    def call(self, method: str, path: str, body: bytes, timeout: float = 30.0, **more: Any) -> Reply:
        assert method == "POST"
        assert path.startswith("/workers/")
        assert path.endswith("/exchange")
        return self._service.exchange(json.loads(body))

    def close(self) -> None:
        pass
