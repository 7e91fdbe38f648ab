"""A run's history as people read it: one step an activity, timer, child or signal, from its first event to its last.

One table from event type to the function that notes it; types that it does not name are no steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import dataclass
from typing import Any

from ..output import printable


@dataclass(slots=True, kw_only=True)
class Step:
    """Something that a run did or met."""

    seq: int  # of its first event
    kind: str
    name: str
    began_at: float
    ended_at: float | None = None
    outcome: str | None = None  # None while it is under way
    attempts: int | None = None
    due_at: float | None = None  # of a timer
    detail: Any = None  # result, payload or value
    error: str | None = None
    activity_id: int | None = None
    progress: dict[str, Any] | None = None  # of an activity that is under way

    def end(self, outcome: str, at: float, detail: Any = None, error: str | None = None) -> None:
        """Note how it ended."""
        self.outcome, self.ended_at, self.error = outcome, at, error
        self.detail = self.detail if detail is None else detail

    @property
    def told(self) -> dict[str, Any]:
        """The step as a record, with its duration."""
        took = None if self.ended_at is None else round(self.ended_at - self.began_at, 6)
        return {**asdict(self), "took_secs": took}


class Story:
    """The steps of a history."""

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.steps: list[Step] = []
        self.timers: dict[int, Step] = {}  # by the number of their command
        self._open: dict[tuple[str, Any], Step] = {}
        for event in events:
            note = _NOTES.get(event["event_type"])
            if note is not None:
                text = event["payload"]
                note(self, event, json.loads(text) if text else None)

    def begin(self, event: dict[str, Any], key: tuple[str, Any], name: str, detail: Any = None, **more: Any) -> Step:
        """Note a step that goes on until an event ends it."""
        step = Step(seq=event["seq"], kind=key[0], name=name, began_at=event["timestamp"], detail=detail, **more)
        self.steps.append(step)
        self._open[key] = step
        return step

    def once(self, event: dict[str, Any], kind: str, name: str, outcome: str, detail: Any = None) -> None:
        """Note what is over when it happens."""
        at = event["timestamp"]
        self.steps.append(
            Step(seq=event["seq"], kind=kind, name=name, began_at=at, ended_at=at, outcome=outcome, detail=detail)
        )

    def ended(self, key: tuple[str, Any]) -> Step | None:
        """Give the step that an event ends."""
        return self._open.pop(key, None)

    def close(self, at: float, left_to: str) -> None:
        """End what the run's end leaves without an event of its own; children go on, `left_to` somebody or nobody."""
        for step in self._open.values():
            if step.outcome is None:
                step.end(left_to if step.kind == "child" else "ended with the run", at)
        self._open.clear()


def _activity_scheduled(story: Story, event: dict[str, Any], told: Any) -> None:
    story.begin(event, ("activity", told["activity_seq"]), told["name"], activity_id=told.get("activity_id"))


def _activity_ended(outcome: str) -> Callable[[Story, dict[str, Any], Any], None]:
    def note(story: Story, event: dict[str, Any], told: Any) -> None:
        step = story.ended(("activity", told["activity_seq"]))
        if step is not None:
            step.end(outcome, event["timestamp"], told.get("result"), told.get("error"))
            step.attempts = told.get("final_attempt")

    return note


def _timer_scheduled(story: Story, event: dict[str, Any], told: Any) -> None:
    number = told["timer_seq"]
    step = story.begin(event, ("timer", number), span(told.get("duration_secs") or 0.0), due_at=told.get("fire_at"))
    story.timers[number] = step


def _timer_ended(outcome: str) -> Callable[[Story, dict[str, Any], Any], None]:
    def note(story: Story, event: dict[str, Any], told: Any) -> None:
        step = story.ended(("timer", told["timer_seq"]))
        if step is not None:
            step.end(outcome, event["timestamp"])
        bounded = story.ended(("bound", told["timer_seq"])) if outcome == "fired" else None
        if bounded is not None and bounded.outcome is None:
            bounded.end("timed out", event["timestamp"])
            story.ended(("signal", bounded.name))

    return note


def _awaiting_signal(story: Story, event: dict[str, Any], told: Any) -> None:
    step = story.begin(event, ("signal", told["signal"]), told["signal"])
    if told.get("timer_seq") is not None:
        story._open["bound", told["timer_seq"]] = step
        timer = story.timers.get(told["timer_seq"])
        if timer is not None:
            timer.name += f" for signal {step.name}"


def _signal_received(story: Story, event: dict[str, Any], told: Any) -> None:
    step = story.ended(("signal", told["signal"]))
    if step is None:
        story.once(event, "signal", told["signal"], "received", told.get("payload"))
    else:
        step.end("received", event["timestamp"], told.get("payload"))


def _child_started(story: Story, event: dict[str, Any], told: Any) -> None:
    story.begin(event, ("child", told["child_workflow_id"]), f"{told['child_workflow_id']} ({told['workflow_type']})")


def _child_ended(story: Story, event: dict[str, Any], told: Any) -> None:
    key = ("child", told["child_workflow_id"])
    # Of an id that was taken there is no start, and of a run that continues another it is in that one's history.
    step = story.ended(key) or story.begin(event, key, told["child_workflow_id"])
    outcome = told.get("close_reason") or ("failed" if "error" in told else "completed")
    step.end(outcome.replace("_", " "), event["timestamp"], told.get("result"), told.get("error"))
    story.ended(key)


def _side_effect(story: Story, event: dict[str, Any], told: Any) -> None:
    story.once(event, "side effect", told["name"], "recorded", told.get("value"))


def _attributes(story: Story, event: dict[str, Any], told: Any) -> None:
    story.once(event, "search attributes", ", ".join(told["patch"]), "set", told["patch"])


def _closed(left_to: str) -> Callable[[Story, dict[str, Any], Any], None]:
    def note(story: Story, event: dict[str, Any], _told: Any) -> None:
        story.close(event["timestamp"], left_to)

    return note


def _cancel_requested(story: Story, event: dict[str, Any], told: Any) -> None:
    story.once(event, "cancel", (told or {}).get("reason") or "-", "requested")


_NOTES: dict[str, Callable[[Story, dict[str, Any], Any], None]] = {
    "ActivityScheduled": _activity_scheduled,
    "ActivityCompleted": _activity_ended("completed"),
    "ActivityFailed": _activity_ended("failed"),
    "ActivityCancelled": _activity_ended("cancelled"),
    "TimerScheduled": _timer_scheduled,
    "TimerFired": _timer_ended("fired"),
    "TimerCancelled": _timer_ended("cancelled"),
    "WorkflowAwaitingSignal": _awaiting_signal,
    "SignalReceived": _signal_received,
    "ChildWorkflowStarted": _child_started,
    "ChildWorkflowCompleted": _child_ended,
    "ChildWorkflowFailed": _child_ended,
    "SideEffectRecorded": _side_effect,
    "SearchAttributesUpserted": _attributes,
    "WorkflowCancelRequested": _cancel_requested,
    **dict.fromkeys(
        ("WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled", "WorkflowTerminated", "WorkflowTimedOut"),
        _closed("not waited for"),
    ),
    "WorkflowContinuedAsNew": _closed("left to the next run"),
}

_NAMED_BY = ("name", "signal", "child_workflow_id", "reason", "error", "duration_secs")


def event_line(event: dict[str, Any], time: Callable[[float], str]) -> str:
    """Write an event on one line: when, what, and what names it."""
    told = json.loads(event["payload"]) if event["payload"] else None
    named = ""
    if isinstance(told, dict) and event["event_type"] not in ("WorkflowStarted", "WorkflowCompleted"):
        named = "  ".join(printable(str(told[name])) for name in _NAMED_BY if told.get(name) is not None)
    return f"{event['seq']:>4}  {time(event['timestamp'])}  {event['event_type']}  {named}".rstrip()


def span(secs: float) -> str:
    """Write a span of time for people: 200ms, 3.1s, 1m 12s, 2h 5m, 3d 4h."""
    if secs < 1:
        return f"{secs * 1000:.0f}ms"
    if secs < 60:
        return f"{secs:.1f}s"
    whole = round(secs)
    for unit, size, lower, below in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit} {rest}{lower}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"
