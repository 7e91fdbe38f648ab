"""What can go wrong, on both sides of the wire.

Three families: what workflow and activity code raises or sees (ApplicationError, the StepErrors, the
cancellations), what the client sees (ApiError and the ends of a run), and the signals that the SDK sends
through user code. The last derive from BaseException, so that `except Exception` never swallows them.
"""

from __future__ import annotations

from typing import Any

from .durations import Duration
from .durations import seconds


class ApplicationError(Exception):
    """Raise it to fail with a type of your own: an activity's attempt, or the run itself.

    `type` is what `Retry(non_retryable=[...])` matches; `details` must be JSON. `next_retry_delay` (seconds)
    takes the place of the back-off before the next attempt.
    """

    def __init__(
        self,
        message: str,
        type: str | None = None,  # the word of the public API
        non_retryable: bool = False,
        details: Any = None,
        next_retry_delay: Duration | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.type = type
        self.non_retryable = non_retryable
        self.details = details
        self.next_retry_delay = None if next_retry_delay is None else seconds(next_retry_delay)

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type else self.message


class Misfit(ValueError):
    """JSON does not fit the type that it was declared to have. The message says where: `order.lines[2].sku: ...`.

    An activity whose input does not fit fails its attempt, which is made again as its Retry says, maybe by a
    worker that knows better; a workflow task fails, and its run waits for code that fits.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def inside(self, place: str) -> Misfit:
        """Say where the value is: `.member`, `[3]`, or a name at the very beginning."""
        self.path = place + self.path
        return self

    def __str__(self) -> str:
        path = self.path[1:] if self.path.startswith(".") else self.path
        return f"{path}: {self.problem}" if path else self.problem


class StepError(Exception):
    """A step of a workflow did not come to a result. One that escapes the workflow function fails the run."""


class ActivityError(StepError):
    """An activity failed for good: its last attempt, or one that must not be repeated."""

    def __init__(
        self,
        name: str,
        message: str,
        type: str | None = None,
        attempt: int | None = None,
        details: Any = None,
        timeout_type: str | None = None,
    ) -> None:
        super().__init__(f"activity '{name}' failed: {message}")
        self.name = name
        self.message = message
        self.type = type
        self.attempt = attempt
        self.details = details
        self.timeout_type = timeout_type


class ActivityCancelledError(ActivityError):
    """The workflow itself cancelled the activity."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "cancelled")
        self.args = (f"activity '{name}' was cancelled",)


class TimerCancelledError(StepError):
    """The workflow itself cancelled the timer."""

    def __init__(self) -> None:
        super().__init__("the timer was cancelled")


class ChildWorkflowError(StepError):
    """A child did not complete.

    `close_reason` says why: failed, cancelled, terminated, timed_out, or already_started (another run has its
    id: this child was never started).
    """

    def __init__(self, workflow_id: str, close_reason: str, message: str, type: str | None = None) -> None:
        super().__init__(f"child workflow '{workflow_id}' {close_reason}: {message}")
        self.workflow_id = workflow_id
        self.close_reason = close_reason
        self.message = message
        self.type = type  # of workflow, None where history does not tell


class CompensationError(StepError):
    """A saga could not undo all that it had to. `error` is why it had to, `failures` what went wrong then."""

    def __init__(self, error: BaseException, failures: list[StepError]) -> None:
        super().__init__(f"{error}; then the compensation failed: {'; '.join(map(str, failures))}")
        self.error = error
        self.failures = failures


class Suspend(BaseException):
    """Leave the workflow function because what it waits for has not happened yet. Never catch it."""


class WorkflowCancelled(BaseException):
    """Somebody asked for the run's end. Raised where the code would go on to something new.

    Code may catch it to return a result of its own, or to clean up inside `with ctx.shield():`. Outside of
    that every further new step raises it again.
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "cancelled")
        self.reason = reason


class ContinueAsNew(BaseException):
    """Leave the workflow function because another run continues it. Never catch it."""

    def __init__(self, command: dict[str, Any]) -> None:
        super().__init__("continues as new")
        self.command = command


class ActivityCancelled(BaseException):
    """Nobody waits for this attempt any more. Raised by `heartbeat()`."""


class NondeterminismError(BaseException):
    """The code asks for something else than its history holds."""


# ------------------------------------------------------------------------------------------- client


class ApiError(Exception):
    """The service refused. `code` is stable, `message` is for people, `body` is the whole answer."""

    def __init__(self, status: int, code: str, message: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.message = message
        self.body = body or {}


class NotFound(ApiError):
    """The named thing is not there, or is closed already (code `already_terminal`)."""


class Conflict(ApiError):
    """The named thing is in a state that does not allow this."""


class FeedReset(Exception):
    """The feed cannot go on from this cursor without a hole: look at the runs anew, then go on from `cursor`.

    `reason`: pruned (older than what is kept), another_database (restored since, or another one), set_back.
    """

    def __init__(self, reason: str, cursor: str) -> None:
        super().__init__(
            f"the feed cannot go on from there ({reason}): look at the runs anew, then go on from {cursor}"
        )
        self.reason = reason
        self.cursor = cursor


class WorkflowAlreadyStarted(Conflict):
    """A run of this id is open, or `id_reuse` forbids another one."""

    @property
    def run_id(self) -> str | None:
        """The run that has the id."""
        return self.body.get("run_id")


class WorkflowClosed(Conflict):
    """The run is closed."""


class Invalid(ApiError):
    """The request itself is wrong."""


class Unauthorized(ApiError):
    """No valid token came with the request, or it does not allow this."""


class Unavailable(ApiError):
    """The service could not be reached, or could not do it now, until patience ran out."""


class WorkflowFailed(Exception):
    """`result()` of a run that failed, was terminated or timed out; `close_reason` says which."""

    def __init__(self, workflow_id: str, run_id: str, error: str | None, close_reason: str) -> None:
        why = close_reason.replace("_", " ")
        said = error if error and error.startswith(f"{why}: ") else f"{why}: {error}" if error else why
        super().__init__(f"workflow '{workflow_id}' {said}")
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.error = error
        self.close_reason = close_reason


class WorkflowTimedOut(WorkflowFailed):
    """`result()` of a run that took longer than its run or execution time-out."""


class WorkflowCancelledError(Exception):
    """`result()` of a run that was cancelled."""

    def __init__(self, workflow_id: str, run_id: str, error: str | None = None) -> None:
        super().__init__(f"workflow '{workflow_id}' was cancelled" + (f": {error}" if error else ""))
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.error = error


def type_name(kind: type) -> str:
    """Name an error type: bare for builtins, with its module for others."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
