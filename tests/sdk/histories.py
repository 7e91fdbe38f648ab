"""Histories as the service would write them, for replay without one."""

from __future__ import annotations

from typing import Any

from assay_wsgi.sdk.context import RunInfo
from assay_wsgi.sdk.history import History
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

    def turn(self, definition: Any, activities: Any = None, shown: bytes | None = None) -> Turn:
        return replay(definition, RUN, History(self.events), activities, shown)


def kinds(turn: Turn) -> list[str]:
    return [command["type"] for command in turn.commands]
