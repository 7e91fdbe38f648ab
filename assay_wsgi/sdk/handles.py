"""Handles: what a step will come to, while the code goes on.

A handle is done when what ended it is an event that the code has waited for already, not when history holds
that event: history is longer in a later replay.
"""

from __future__ import annotations

from typing import Any
from typing import Callable
from typing import Generic
from typing import TypeVar

from .course import Course
from .course import described
from .errors import ActivityCancelledError
from .errors import ActivityError
from .errors import ChildWorkflowError
from .errors import StepError
from .errors import TimerCancelledError
from .errors import WorkflowCancelled
from .history import Outcome
from .jsontext import copied

R_co = TypeVar("R_co", covariant=True)
Decode = Callable[[Any], Any]


class Handle(Generic[R_co]):
    """A step that was begun: an activity, a timer or a child workflow."""

    __slots__ = ("_cancelled_at", "_course", "_decode", "name", "number")

    kind = ""

    def __init__(self, course: Course, number: int, name: str, decode: Decode | None = None) -> None:
        self.number = number  # of its command
        self.name = name
        self._course = course
        self._decode = decode
        self._cancelled_at: int | None = None  # what the code had reached when it cancelled the step

    def result(self) -> R_co:
        """Wait for the end of the step and return its result. Raises StepError when it came to none."""
        course = self._course
        outcome = course.history.outcomes.get(self.number)
        if outcome is None or self._cancelled_at is not None or not course.passes(outcome.event):
            course.wait(self.what, self.ended)
        if self._cancelled_at is not None or outcome is None or outcome.cancelled:
            raise self._cancelled_error()
        if outcome.failure is not None:
            raise self._error(outcome.failure)
        value = copied(outcome.result)
        return self._decode(value) if self._decode else value  # type: ignore[no-any-return]  # the decoder's word

    @property
    def done(self) -> bool:
        """Whether `result()` comes at once, as far as the code has waited until now."""
        ended = self.ended
        return ended is not None and ended <= self._course.reached

    @property
    def ended(self) -> int | None:
        """The event that ended the step, None while there is none."""
        if self._cancelled_at is not None:
            return self._cancelled_at
        outcome = self._outcome
        return None if outcome is None else outcome.event

    @property
    def what(self) -> str:
        """The step in words."""
        return described(self.kind, self.name)

    def cancel(self) -> None:
        """Give the step up. Does nothing when it is done; else `result()` raises from now on."""
        self._course.going()
        if self.done:
            return
        if self._cancelled_at is None and self._outcome is None:
            self._course.send(self._cancel_command())
        # From here on the code has cancelled it, whatever comes in: what was under way when this turn was
        # handed in may still have been done, and a later replay must not see it.
        self._cancelled_at = self._course.reached

    @property
    def _outcome(self) -> Outcome | None:
        return self._course.history.outcomes.get(self.number)

    def _cancel_command(self) -> dict[str, Any]:
        raise NotImplementedError

    def _cancelled_error(self) -> StepError:
        raise NotImplementedError

    def _error(self, failure: dict[str, Any]) -> StepError:
        raise NotImplementedError


class ActivityHandle(Handle[R_co]):
    """An activity that was scheduled."""

    __slots__ = ()

    kind = "activity"

    def _cancel_command(self) -> dict[str, Any]:
        return {"type": "CancelActivity", "activity_seq": self.number}

    def _cancelled_error(self) -> StepError:
        return ActivityCancelledError(self.name)

    def _error(self, failure: dict[str, Any]) -> StepError:
        return ActivityError(
            failure.get("name") or self.name,
            failure.get("error") or "",
            type=failure.get("error_type"),
            attempt=failure.get("final_attempt"),
            details=copied(failure.get("details")),
            timeout_type=failure.get("timeout_type"),
        )


class TimerHandle(Handle[None]):
    """A timer that was set. Its result is None."""

    __slots__ = ()

    kind = "timer"

    @property
    def what(self) -> str:
        """The timer in words; its name is its duration."""
        return described(self.kind, detail=self.name)

    @property
    def fired(self) -> int | None:
        """The event of its firing, None while there is none."""
        outcome = self._outcome
        return None if outcome is None or outcome.cancelled else outcome.event

    def sleep(self) -> None:
        """Wait for a timer that nobody else knows; one whose wait is cancelled is cancelled itself."""
        try:
            self.result()
        except WorkflowCancelled:
            self.drop()
            raise

    def drop(self) -> None:
        """Cancel a timer that nobody waits for any more, if it was ever set."""
        if self._outcome is None and self.number in self._course.history.commands:
            self._course.send(self._cancel_command())

    def _cancel_command(self) -> dict[str, Any]:
        return {"type": "CancelTimer", "timer_seq": self.number}

    def _cancelled_error(self) -> StepError:
        return TimerCancelledError()


class ChildHandle(Handle[R_co]):
    """A child workflow that was asked for."""

    __slots__ = ("_asked_to_end", "workflow_id", "workflow_type")

    kind = "child workflow"

    def __init__(
        self, course: Course, number: int, workflow_id: str, workflow_type: str, decode: Decode | None = None
    ) -> None:
        super().__init__(course, number, workflow_id, decode)
        self.workflow_id = workflow_id
        self.workflow_type = workflow_type
        self._asked_to_end = False

    def wait_started(self) -> str:
        """Wait until the child is there and return its run id. Raises ChildWorkflowError when its id is taken."""
        self._be_told()
        self._course.wait(f"the start of {self.what}", self._begun)
        run_id = self._course.history.child_runs.get(self.number)
        if run_id is None:
            outcome = self._outcome
            assert outcome is not None
            raise self._error(outcome.failure)
        return run_id

    @property
    def started(self) -> bool:
        """Whether the child is there, as far as the code has waited until now."""
        begun = self._begun
        return begun is not None and begun <= self._course.reached and self.number in self._course.history.child_runs

    def cancel(self) -> None:
        """Ask the child to end. `result()` still waits for what it comes to."""
        self._course.going()
        if self._asked_to_end or self.done:
            return
        self._asked_to_end = True
        history = self._course.history
        # Only of a child that is there: the turn that starts one cannot cancel it. A later replay comes here again.
        there = self.number in history.child_runs and self._outcome is None
        self._be_told()
        if there and self.workflow_id not in history.child_cancels:
            self._course.send({"type": "RequestCancelChild", "workflow_id": self.workflow_id})

    def _be_told(self) -> None:
        """Have the service wake this run when the child is there, and not only when it has ended."""
        for command in self._course.commands:
            if command["type"] == "StartChildWorkflow" and command["seq"] == self.number:
                command["tell_start"] = True

    @property
    def _begun(self) -> int | None:
        recorded = self._course.history.commands.get(self.number)
        return None if recorded is None else recorded.event

    def _cancelled_error(self) -> StepError:
        return ChildWorkflowError(self.workflow_id, "cancelled", "", self.workflow_type)

    def _error(self, failure: dict[str, Any]) -> StepError:
        return ChildWorkflowError(
            self.workflow_id,
            failure.get("close_reason") or "failed",
            failure.get("error") or "",
            self.workflow_type,
        )
