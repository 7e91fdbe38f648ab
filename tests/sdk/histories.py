"""Histories as the service would write them, for replay without one."""

from __future__ import annotations

from typing import Any

from assay_wsgi.sdk.history import History
from assay_wsgi.sdk.info import RunInfo
from assay_wsgi.sdk.replay import Turn
from assay_wsgi.sdk.replay import replay

RUN = RunInfo("order-1", "run-order-1-7", "Order", "main", "orders")


class Past:
    """Writes a history event by event; the seqs come by themselves."""

    def __init__(self, input: Any = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.add("WorkflowStarted", input)

    def add(self, event_type: str, payload: Any = None) -> Past:
        seq = len(self.events) + 1
        self.events.append({"seq": seq, "event_type": event_type, "payload": payload, "timestamp": 1_000.0 + seq})
        return self

    def scheduled(self, number: int, name: str) -> Past:
        return self.add(
            "ActivityScheduled",
            {"activity_id": number, "activity_seq": number, "name": name, "task_queue": "q", "input": None},
        )

    def completed(self, number: int, result: Any) -> Past:
        return self.add(
            "ActivityCompleted", {"activity_id": number, "activity_seq": number, "name": "", "result": result}
        )

    def done(self, number: int, name: str, result: Any) -> Past:
        return self.scheduled(number, name).completed(number, result)

    def failed(self, number: int, name: str, error: str, **more: Any) -> Past:
        return self.add("ActivityFailed", {"activity_seq": number, "name": name, "error": error, **more})

    def side_effect(self, number: int, name: str, value: Any) -> Past:
        return self.add("SideEffectRecorded", {"side_effect_seq": number, "name": name, "value": value})

    def signal(self, name: str, payload: Any = None) -> Past:
        return self.add("SignalReceived", {"signal": name, "payload": payload})

    def activity_cancelled(self, number: int, name: str) -> Past:
        return self.add("ActivityCancelled", {"activity_id": number, "activity_seq": number, "name": name})

    def timer(self, number: int, secs: float) -> Past:
        due = 1_000.0 + len(self.events) + 1 + secs
        return self.add(
            "TimerScheduled", {"timer_id": number, "timer_seq": number, "fire_at": due, "duration_secs": secs}
        )

    def fired(self, number: int) -> Past:
        return self.add("TimerFired", {"timer_seq": number, "fire_at": 1_000.0})

    def timer_cancelled(self, number: int) -> Past:
        return self.add("TimerCancelled", {"timer_seq": number})

    def awaiting(self, name: str, **more: Any) -> Past:
        return self.add("WorkflowAwaitingSignal", {"signal": name, **more})

    def child_started(self, number: int, workflow_id: str, workflow_type: str = "Ship") -> Past:
        return self.add(
            "ChildWorkflowStarted",
            {
                "child_workflow_id": workflow_id,
                "workflow_type": workflow_type,
                "child_run_id": f"run-{workflow_id}-1",
                "child_seq": number,
            },
        )

    def child_completed(self, number: int, workflow_id: str, result: Any = None) -> Past:
        payload = {"child_workflow_id": workflow_id, "result": result, "child_seq": number}
        return self.add("ChildWorkflowCompleted", payload)

    def child_failed(self, number: int, workflow_id: str, close_reason: str, error: str = "") -> Past:
        payload = {"child_workflow_id": workflow_id, "error": error, "close_reason": close_reason}
        return self.add("ChildWorkflowFailed", {**payload, "child_seq": number})

    def child_cancel_requested(self, workflow_id: str) -> Past:
        return self.add("ChildWorkflowCancelRequested", {"child_workflow_id": workflow_id})

    def cancel_requested(self, reason: str | None = None) -> Past:
        return self.add("WorkflowCancelRequested", {"reason": reason})

    def turn(self, definition: Any, activities: Any = None, shown: bytes | None = None, info: RunInfo = RUN) -> Turn:
        return replay(definition, info, History(self.events), activities, shown)

    def first(self, length: int) -> Past:
        """Return this history as it was after `length` events."""
        prefix = Past()
        prefix.events = self.events[:length]
        return prefix

    def unrolled(self, definition: Any, since: int = 1) -> Turn:
        """Replay each prefix: what it asks for must be what the rest holds. Return the turn over all of it.

        The first turn was taken when there were `since` events.
        """
        full = History(self.events).commands
        for length in range(since, len(self.events)):
            turn = self.first(length).turn(definition)
            assert turn.failure is None, f"after {length} events: {turn.failure}"
            held = History(self.events[:length]).commands
            for command in turn.commands:
                number = command.get("seq")
                if number is None:
                    continue
                assert number not in held, f"after {length} events command {number} is asked for again"
                assert number in full, f"after {length} events: {command} is not what happened then"
                assert NAMES[command["type"]] == full[number].kind
                assert command.get("name", command.get("workflow_id", "")) == full[number].name
        return self.turn(definition)


NAMES = {
    "ScheduleActivity": "activity",
    "ScheduleTimer": "timer",
    "StartChildWorkflow": "child workflow",
    "RecordSideEffect": "side effect",
    "UpsertSearchAttributes": "attributes",
}


def kinds(turn: Turn) -> list[str]:
    return [command["type"] for command in turn.commands]


def result(turn: Turn) -> Any:
    """Return what the run came to."""
    assert turn.failure is None, turn.failure
    assert kinds(turn)[-1] == "CompleteWorkflow"
    return turn.commands[-1]["result"]


def trouble(turn: Turn) -> str:
    """Return cause and message of a turn that failed."""
    assert turn.failure is not None
    assert turn.commands == []
    return f"{turn.failure['cause']}: {turn.failure['message']}"
