"""Where the code stands in its history: numbers its steps, holds them to what history has, ends its waits.

Nothing here may depend on how much of the history has come so far, only on what the code has reached:
a later replay over a longer history must take the same way. So everything is decided by the seq of events.
- A step that history holds goes on. A new one is sent, and needs an outcome that is still to come.
- A wait ends by the earliest event that it waits for; a cancel request that came before it ends it instead.
- What is done is what ended at or before the latest event that the code has waited for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from typing import NoReturn

from .errors import ContinueAsNew
from .errors import NondeterminismError
from .errors import Suspend
from .errors import WorkflowCancelled
from .history import CancelRequest
from .history import History
from .history import Recorded
from .inbox import Inbox
from .info import RunInfo


class Course:
    """The way of the code through its history, and what this turn asks for."""

    __slots__ = (
        "_cancelled",
        "_shields",
        "_suggested",
        "_thread",
        "barred",
        "broken",
        "commands",
        "history",
        "inbox",
        "info",
        "leaving",
        "live",
        "number",
        "reached",
        "suspended",
    )

    def __init__(self, info: RunInfo, history: History) -> None:
        self.info = copy.copy(info)
        self.history = history
        self.commands: list[dict[str, Any]] = []
        self.number = 0  # of the last step
        self.reached = 1  # the latest event that the code has waited for
        self.inbox = Inbox(history)
        self.live = history.seen == 0
        self.suspended: str | None = None  # what the code waits for
        self.leaving: ContinueAsNew | None = None  # what the code was left by, if not by waiting
        self.broken: NondeterminismError | None = None
        self.barred: str | None = None  # why the code may take no steps now
        self._cancelled = history.cancelled
        self._shields = 0
        self._thread = get_ident()
        self._suggested = info.continue_as_new_suggested
        self.info.continue_as_new_suggested = self.live and self._suggested

    # ------------------------------------------------------------------------------------- steps

    def take(self, kind: str, name: str = "", detail: str = "") -> tuple[int, bool]:
        """Number the next step; say whether history holds it. Raises when history holds another one there."""
        self.going()
        self.number = number = self.number + 1
        recorded = self.history.commands.get(number)
        if recorded is None:
            return number, False
        if recorded.kind != kind or recorded.name != name:
            raise self._mismatch(recorded, described(kind, name, detail))
        if kind == "child workflow" and recorded.detail not in ("", detail):
            raise self._mismatch(recorded, described(kind, name, detail))
        return number, True

    def begin(self, what: str) -> None:
        """Allow a step that history does not hold. Raises WorkflowCancelled."""
        self._check_left_over(f"asks for {what}")
        if self._cancelled is not None and not self._shields:
            raise self._cancel()

    def send(self, command: dict[str, Any]) -> None:
        """Ask for something at the end of this turn."""
        self.commands.append(command)

    def wait(self, what: str, event: int | None, commands: Iterable[dict[str, Any]] = ()) -> None:
        """Go on if `event` ends the wait and has come; else leave the code, with last commands.

        Raises WorkflowCancelled when a cancel request came before that event.
        """
        there = event is not None and event <= self.reached
        if there and self.barred is not None:
            return  # who may take no step may look at what is done
        self.going()
        if there:
            return
        cancelled = self._cancelled
        if cancelled is not None and not self._shields and (event is None or event > cancelled.event):
            self._check_left_over(f"waits for {what}")
            raise self._cancel()
        if event is None:
            self._check_left_over(f"waits for {what}")
            self.commands.extend(commands)
            self.suspended = what
            raise Suspend(what)
        self._reach(event)

    def coming(self) -> Iterator[int]:
        """Reach one event after the other, up to a cancel request that the code must hear of."""
        last, cancelled = self.history.last_seq, self._cancelled
        if cancelled is not None and not self._shields:
            last = min(last, cancelled.event - 1)
        for event in range(self.reached + 1, last + 1):
            self._reach(event)
            yield event

    def passes(self, event: int) -> bool:
        """Go on at once where nothing but `event` matters; False = let `wait` decide. Most replayed waits end here."""
        if self._cancelled is not None or self.suspended is not None or self.leaving or self.broken or self.barred:
            return False
        self._reach(event)
        return True

    def going(self) -> None:
        """Raise again what the code was left by: it must not go on in a `finally`, or by swallowing it."""
        if self.barred is not None:
            raise RuntimeError(self.barred)
        if self.suspended is not None:
            raise Suspend(self.suspended)
        if self.leaving is not None:
            raise self.leaving
        if self.broken is not None:
            raise self.broken
        if get_ident() != self._thread:
            raise RuntimeError(
                "only the thread that runs the workflow function may use its context, and only during the turn: "
                "to do things at the same time, start activities and wait for their handles"
            )

    def bar(self, why: str) -> None:
        """Let the code take no more steps, and the turn fail unless it fails by itself."""
        if self.barred is None:
            self.barred = why

    def close(self) -> None:
        """End the turn. A context that was kept must not send its Suspend through the code of another run."""
        info = self.info
        self.barred = (
            f"the turn of {info.workflow_type} '{info.workflow_id}' that this context belongs to has ended: use the "
            "context that the workflow function is given, and only while it runs; give activities values, not the "
            "context"
        )

    @contextmanager
    def looking(self, who: str) -> Iterator[None]:
        """Call code that may look, but take no steps."""
        before = self.barred
        self.barred = f"{who} may look at what the workflow function keeps and at what is done, but take no steps"
        try:
            yield
        finally:
            self.barred = before

    def check_end(self, what: str) -> None:
        """Refuse an end of the code that history goes beyond."""
        if self.history.last_command > self.number:
            raise self._left_over(self._next_recorded(), what)

    # ------------------------------------------------------------------------------------- ends

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let new steps through inside, though the run is to be cancelled."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def cancel(self, reason: str | None) -> NoReturn:
        """Cancel the run from its own code, from here on."""
        self.going()
        event = self.reached if self._cancelled is None else min(self.reached, self._cancelled.event)
        self._cancelled = CancelRequest(event, reason)
        raise self._cancel()

    def leave(self, error: ContinueAsNew) -> NoReturn:
        """Leave the code for good."""
        self.leaving = error
        raise error

    # ------------------------------------------------------------------------------------- inside

    def _reach(self, event: int) -> None:
        if event > self.reached:
            self.reached = event
        if event > self.history.seen and not self.live:
            self.live = True
            self.info.continue_as_new_suggested = self._suggested

    def _cancel(self) -> WorkflowCancelled:
        cancelled = self._cancelled
        assert cancelled is not None
        self._reach(cancelled.event)
        return WorkflowCancelled(cancelled.reason)

    def _next_recorded(self) -> int:
        commands = self.history.commands
        return next(number for number in range(self.number + 1, self.history.last_command + 1) if number in commands)

    def _check_left_over(self, what: str) -> None:
        if self.history.last_command <= self.number:
            return
        number = self._next_recorded()
        cancelled = self._cancelled
        if cancelled is not None and not self._shields and self.history.commands[number].event > cancelled.event:
            return  # a step that the code asked for after the cancellation that is about to be raised
        raise self._left_over(number, what)

    def _mismatch(self, recorded: Recorded, asked: str) -> NondeterminismError:
        self.broken = NondeterminismError(
            f"command {self.number}: history has {_as_held(recorded)} (event {recorded.event}), "
            f"but the code now asks for {asked}; code that open runs still need must keep its order of steps"
        )
        return self.broken

    def _left_over(self, number: int, what: str) -> NondeterminismError:
        recorded = self.history.commands[number]
        self.broken = NondeterminismError(
            f"command {number}: history has {_as_held(recorded)} (event {recorded.event}), "
            f"but the code now {what} before it asks for that; "
            "code that open runs still need must keep its order of steps"
        )
        return self.broken


def described(kind: str, name: str = "", detail: str = "") -> str:
    """Say what a step is."""
    if kind == "timer":
        return f"a timer of {detail}"
    if kind == "attributes":
        return "an upsert of search attributes"
    return f"{kind} '{name}' of type '{detail}'" if detail else f"{kind} '{name}'"


def _as_held(recorded: Recorded) -> str:
    return described(recorded.kind, recorded.name, recorded.detail)
