"""The Python SDK: workflows and activities as plain functions, the worker that runs them, the client.

Needs the standard library and `requests`; imports nothing of this package but its version, so that a worker runs where
the server is not installed. What is named here is imported when it is first asked for: the command line needs little
of it, and starts faster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .activities import ActivityInfo
    from .activities import activity_info
    from .activities import cancelled
    from .activities import heartbeat
    from .app import Assay
    from .children import ChildOptions
    from .client import Client
    from .client import ListFilters
    from .context import Context
    from .definitions import ActivityDefinition
    from .definitions import ActivityOptions
    from .definitions import Call
    from .definitions import WorkflowCall
    from .definitions import WorkflowDefinition
    from .definitions import WorkflowOptions
    from .errors import ActivityCancelled
    from .errors import ActivityCancelledError
    from .errors import ActivityError
    from .errors import ApiError
    from .errors import ApplicationError
    from .errors import ChildWorkflowError
    from .errors import CompensationError
    from .errors import Conflict
    from .errors import ContinueAsNew
    from .errors import FeedReset
    from .errors import Invalid
    from .errors import Misfit
    from .errors import NondeterminismError
    from .errors import NotFound
    from .errors import StepError
    from .errors import Suspend
    from .errors import TimerCancelledError
    from .errors import Unauthorized
    from .errors import Unavailable
    from .errors import WorkflowAlreadyStarted
    from .errors import WorkflowCancelled
    from .errors import WorkflowCancelledError
    from .errors import WorkflowClosed
    from .errors import WorkflowFailed
    from .errors import WorkflowTimedOut
    from .feed import Notice
    from .handles import ChildHandle
    from .handles import Handle
    from .info import RunInfo
    from .retry import Retry
    from .retry import RetryChanges
    from .runs import WorkflowHandle
    from .saga import Saga
    from .schedules import Backfilled
    from .schedules import ScheduleChanges
    from .schedules import ScheduleOptions
    from .schedules import ScheduleRecord
    from .schedules import Triggered
    from .starts import NewRunOptions
    from .starts import StartOptions
    from .starts import StartRequest
    from .steps import StepAction
    from .steps import Steps
    from .worker import Worker
    from .worker import WorkerOptions

__all__ = [
    "ActivityCancelled",
    "ActivityCancelledError",
    "ActivityDefinition",
    "ActivityError",
    "ActivityInfo",
    "ActivityOptions",
    "ApiError",
    "ApplicationError",
    "Assay",
    "Backfilled",
    "Call",
    "ChildHandle",
    "ChildOptions",
    "ChildWorkflowError",
    "Client",
    "CompensationError",
    "Conflict",
    "Context",
    "ContinueAsNew",
    "FeedReset",
    "Handle",
    "Invalid",
    "ListFilters",
    "Misfit",
    "NewRunOptions",
    "NondeterminismError",
    "NotFound",
    "Notice",
    "Retry",
    "RetryChanges",
    "RunInfo",
    "Saga",
    "ScheduleChanges",
    "ScheduleOptions",
    "ScheduleRecord",
    "StartOptions",
    "StartRequest",
    "StepAction",
    "StepError",
    "Steps",
    "Suspend",
    "TimerCancelledError",
    "Triggered",
    "Unauthorized",
    "Unavailable",
    "Worker",
    "WorkerOptions",
    "WorkflowAlreadyStarted",
    "WorkflowCall",
    "WorkflowCancelled",
    "WorkflowCancelledError",
    "WorkflowClosed",
    "WorkflowDefinition",
    "WorkflowFailed",
    "WorkflowHandle",
    "WorkflowOptions",
    "WorkflowTimedOut",
    "activity_info",
    "cancelled",
    "heartbeat",
]

_HOMES = {
    **dict.fromkeys(("ActivityInfo", "activity_info", "cancelled", "heartbeat"), "activities"),
    "Assay": "app",
    "ChildOptions": "children",
    **dict.fromkeys(("Client", "ListFilters"), "client"),
    "Context": "context",
    **dict.fromkeys(
        ("ActivityDefinition", "ActivityOptions", "Call", "WorkflowCall", "WorkflowDefinition", "WorkflowOptions"),
        "definitions",
    ),
    **dict.fromkeys(
        (
            "ActivityCancelled",
            "ActivityCancelledError",
            "ActivityError",
            "ApiError",
            "ApplicationError",
            "ChildWorkflowError",
            "CompensationError",
            "Conflict",
            "ContinueAsNew",
            "FeedReset",
            "Invalid",
            "Misfit",
            "NondeterminismError",
            "NotFound",
            "StepError",
            "Suspend",
            "TimerCancelledError",
            "Unauthorized",
            "Unavailable",
            "WorkflowAlreadyStarted",
            "WorkflowCancelled",
            "WorkflowCancelledError",
            "WorkflowClosed",
            "WorkflowFailed",
            "WorkflowTimedOut",
        ),
        "errors",
    ),
    "Notice": "feed",
    **dict.fromkeys(("ChildHandle", "Handle"), "handles"),
    "RunInfo": "info",
    **dict.fromkeys(("Retry", "RetryChanges"), "retry"),
    "WorkflowHandle": "runs",
    "Saga": "saga",
    **dict.fromkeys(("Backfilled", "ScheduleChanges", "ScheduleOptions", "ScheduleRecord", "Triggered"), "schedules"),
    **dict.fromkeys(("NewRunOptions", "StartOptions", "StartRequest"), "starts"),
    **dict.fromkeys(("StepAction", "Steps"), "steps"),
    **dict.fromkeys(("Worker", "WorkerOptions"), "worker"),
}


if not TYPE_CHECKING:  # else a name that is not there would be an `object`, and no error

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return __all__
