"""The history of a run, indexed as its events come in: what replay asks, answered by dictionary look-ups.

One table from event type to the method that notes it; types that it does not name are ignored, so a
server may add to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Callable
from typing import NamedTuple

from .errors import ActivityError


class HistoryGap(Exception):
    """Events are missing between those held and those that came."""


class Recorded(NamedTuple):
    """A command as history holds it."""

    kind: str  # activity, side effect, attributes
    name: str
    event: int  # seq of its event


class History:
    """What happened to one run, up to event `last_seq`."""

    __slots__ = (
        "cancelled",
        "commands",
        "input",
        "last_command",
        "last_seq",
        "outcomes",
        "own_turns",
        "seen",
        "side_effects",
        "signals",
    )

    def __init__(self, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self.last_seq = 0
        self.input: Any = None
        self.commands: dict[int, Recorded] = {}  # by command number
        self.last_command = 0  # the highest of them
        self.outcomes: dict[int, tuple[int, Any, dict[str, Any] | None]] = {}  # event, result, failure
        self.side_effects: dict[int, Any] = {}
        self.signals: dict[str, list[tuple[int, Any]]] = {}  # event, payload; in order of arrival
        self.cancelled: dict[str, Any] | None = None
        self.seen = 0  # code that needs nothing after this event has run before: it is being replayed
        self.own_turns = False  # whether `seen` is known, or only concluded from what turns have written
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
            note = _NOTES.get(event["event_type"])
            if note is not None:
                note(self, seq, event["payload"])

    def failure_of(self, number: int) -> ActivityError:
        """Return the error that ended the activity of command `number`."""
        failure = self.outcomes[number][2] or {}
        return ActivityError(
            failure.get("name") or self.commands[number].name,
            failure.get("error") or "",
            type=failure.get("error_type"),
            attempt=failure.get("final_attempt"),
            details=failure.get("details"),
            timeout_type=failure.get("timeout_type"),
        )

    def turn_accepted(self) -> None:
        """Remember that the code has run as far as these events take it."""
        self.own_turns = True
        self.seen = self.last_seq

    def _turned(self, seq: int) -> None:
        if not self.own_turns:  # a turn wrote this event, so the code before it has run
            self.seen = seq

    def _command(self, number: int, kind: str, name: str, seq: int) -> None:
        self.commands[number] = Recorded(kind, name, seq)
        self._turned(seq)
        if number > self.last_command:
            self.last_command = number

    def _started(self, _seq: int, payload: Any) -> None:
        self.input = payload

    def _activity_scheduled(self, seq: int, payload: Any) -> None:
        self._command(payload["activity_seq"], "activity", payload["name"], seq)

    def _activity_completed(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["activity_seq"]] = (seq, payload.get("result"), None)

    def _activity_failed(self, seq: int, payload: Any) -> None:
        self.outcomes[payload["activity_seq"]] = (seq, None, payload)

    def _side_effect(self, seq: int, payload: Any) -> None:
        number = payload["side_effect_seq"]
        self._command(number, "side effect", payload["name"], seq)
        self.side_effects[number] = payload.get("value")

    def _attributes(self, seq: int, payload: Any) -> None:
        number = payload.get("upsert_seq")
        if number is not None:  # else it did not come from a numbered command
            self._command(number, "attributes", "", seq)

    def _signal(self, seq: int, payload: Any) -> None:
        self.signals.setdefault(payload["signal"], []).append((seq, payload.get("payload")))

    def _awaiting(self, seq: int, _payload: Any) -> None:
        self._turned(seq)

    def _cancel(self, _seq: int, payload: Any) -> None:
        self.cancelled = payload or {}


_NOTES: dict[str, Callable[[History, int, Any], None]] = {
    "WorkflowStarted": History._started,
    "ActivityScheduled": History._activity_scheduled,
    "ActivityCompleted": History._activity_completed,
    "ActivityFailed": History._activity_failed,
    "SideEffectRecorded": History._side_effect,
    "SearchAttributesUpserted": History._attributes,
    "SignalReceived": History._signal,
    "WorkflowAwaitingSignal": History._awaiting,
    "WorkflowCancelRequested": History._cancel,
}
