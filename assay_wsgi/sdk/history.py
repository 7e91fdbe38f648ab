"""The history of a run, indexed as its events come in: what replay asks, answered by dictionary look-ups.

One table from event type to the method that notes it; types that it does not name are ignored, so a
server may add to them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Callable
from typing import NamedTuple


class HistoryGap(Exception):
    """Events are missing between those held and those that came."""


class Recorded(NamedTuple):
    """A command as history holds it."""

    kind: str  # activity, timer, child workflow, side effect, attributes
    name: str
    event: int  # seq of its event
    detail: str = ""  # for people: a timer's duration, a child's type


class Outcome(NamedTuple):
    """How the step of a command ended."""

    event: int  # seq of its event
    result: Any = None
    failure: Any = None  # the payload of the event, of a step that failed
    cancelled: bool = False


class CancelRequest(NamedTuple):
    """Somebody asked for the run's end."""

    event: int
    reason: Any


class History:
    """What happened to one run, up to event `last_seq`."""

    __slots__ = (
        "_child_numbers",
        "cancelled",
        "child_cancels",
        "child_runs",
        "commands",
        "input",
        "last_command",
        "last_seq",
        "outcomes",
        "own_turns",
        "seen",
        "side_effects",
        "signals",
        "times",
    )

    def __init__(self, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self.last_seq = 0
        self.input: Any = None
        self.times = array("d")  # of each event, seconds since the epoch; that of event 1 first
        self.commands: dict[int, Recorded] = {}  # by command number
        self.last_command = 0  # the highest of them
        self.outcomes: dict[int, Outcome] = {}  # by command number
        self.side_effects: dict[int, Any] = {}
        self.signals: dict[str, list[tuple[int, Any]]] = {}  # event, payload; in order of arrival
        self.child_runs: dict[int, str] = {}  # run ids of the children that were started, by command number
        self.child_cancels: set[str] = set()  # ids of the children that were asked to end
        self.cancelled: CancelRequest | None = None
        self.seen = 0  # code that needs nothing after this event has run before: it is being replayed
        self.own_turns = False  # whether `seen` is known, or only concluded from what turns have written
        self._child_numbers: dict[str, int] = {}
        self.extend(events)

    def extend(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in events, oldest first; those held already are passed over. Raises HistoryGap."""
        for event in events:
            seq = event["seq"]
            if seq <= self.last_seq:
                continue
            if seq != self.last_seq + 1:
                raise HistoryGap(f"event {seq} came after event {self.last_seq}")
            self.last_seq = seq
            self.times.append(event["timestamp"])
            note = _NOTES.get(event["event_type"])
            if note is not None:
                note(self, seq, event["payload"])

    def turn_accepted(self) -> None:
        """Remember that the code has run as far as these events take it."""
        self.own_turns = True
        self.seen = self.last_seq

    def _turned(self, seq: int) -> None:
        if not self.own_turns:  # a turn wrote this event, so the code before it has run
            self.seen = seq

    def _command(self, number: int, kind: str, name: str, seq: int, detail: str = "") -> None:
        self.commands[number] = Recorded(kind, name, seq, detail)
        self._turned(seq)
        if number > self.last_command:
            self.last_command = number

    def _started(self, _seq: int, payload: Any) -> None:
        self.input = payload

    def _activity_scheduled(self, seq: int, payload: Any) -> None:
        self._command(payload["activity_seq"], "activity", payload["name"], seq)

    def _activity_completed(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["activity_seq"]] = Outcome(seq, payload.get("result"))

    def _activity_failed(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["activity_seq"]] = Outcome(seq, failure=payload)

    def _activity_cancelled(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["activity_seq"]] = Outcome(seq, cancelled=True)
        self._turned(seq)

    def _timer_scheduled(self, seq: int, payload: Any) -> None:
        self._command(payload["timer_seq"], "timer", "", seq, f"{payload.get('duration_secs', 0):g} s")

    def _timer_fired(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["timer_seq"]] = Outcome(seq)

    def _timer_cancelled(self, seq: int, payload: Any) -> None:
        # Not noted as written by a turn: a signal that meets its wait cancels the wait's timer.
        self.outcomes[payload["timer_seq"]] = Outcome(seq, cancelled=True)

    def _side_effect(self, seq: int, payload: Any) -> None:
        number = payload["side_effect_seq"]
        self._command(number, "side effect", payload["name"], seq)
        self.side_effects[number] = payload.get("value")

    def _attributes(self, seq: int, payload: Any) -> None:
        number = payload.get("upsert_seq")
        if number is not None:  # else it did not come from a numbered command
            self._command(number, "attributes", "", seq)

    # Of a child only the event that answers its command is read by number. Its outcome is found by id: a run
    # that continues another is told of its predecessor's children too, under numbers that mean other commands.

    def _child_started(self, seq: int, payload: Any) -> None:
        number, child = payload.get("child_seq"), payload["child_workflow_id"]
        if number is not None:
            self._command(number, "child workflow", child, seq, payload.get("workflow_type") or "")
            self.child_runs[number] = payload.get("child_run_id") or ""
            self._child_numbers[child] = number

    def _child_completed(self, seq: int, payload: Any) -> None:
        self._child_ended(payload, Outcome(seq, payload.get("result")))

    def _child_failed(self, seq: int, payload: Any) -> None:
        number = payload.get("child_seq")
        if payload.get("close_reason") != "already_started":
            self._child_ended(payload, Outcome(seq, failure=payload))
        elif number is not None:
            self._command(number, "child workflow", payload["child_workflow_id"], seq)
            self.outcomes[number] = Outcome(seq, failure=payload)

    def _child_ended(self, payload: Any, outcome: Outcome) -> None:
        number = self._child_numbers.get(payload["child_workflow_id"])
        if number is not None:
            self.outcomes.setdefault(number, outcome)

    def _child_cancel(self, seq: int, payload: Any) -> None:
        self.child_cancels.add(payload["child_workflow_id"])
        self._turned(seq)

    def _signal(self, seq: int, payload: Any) -> None:
        self.signals.setdefault(payload["signal"], []).append((seq, payload.get("payload")))

    def _awaiting(self, seq: int, _payload: Any) -> None:
        self._turned(seq)

    def _cancel(self, seq: int, payload: Any) -> None:
        if self.cancelled is None:
            self.cancelled = CancelRequest(seq, (payload or {}).get("reason"))


_NOTES: dict[str, Callable[[History, int, Any], None]] = {
    "WorkflowStarted": History._started,
    "ActivityScheduled": History._activity_scheduled,
    "ActivityCompleted": History._activity_completed,
    "ActivityFailed": History._activity_failed,
    "ActivityCancelled": History._activity_cancelled,
    "TimerScheduled": History._timer_scheduled,
    "TimerFired": History._timer_fired,
    "TimerCancelled": History._timer_cancelled,
    "SideEffectRecorded": History._side_effect,
    "SearchAttributesUpserted": History._attributes,
    "ChildWorkflowStarted": History._child_started,
    "ChildWorkflowCompleted": History._child_completed,
    "ChildWorkflowFailed": History._child_failed,
    "ChildWorkflowCancelRequested": History._child_cancel,
    "SignalReceived": History._signal,
    "WorkflowAwaitingSignal": History._awaiting,
    "WorkflowCancelRequested": History._cancel,
}
