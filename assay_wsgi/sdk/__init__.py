"""The Python SDK: workflows and activities as plain functions, the worker that runs them, the client.

Needs the standard library and `requests`; imports nothing of this package but its version, so that a worker runs where
the server is not installed.
"""

from __future__ import annotations

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
    "Handle",
    "Invalid",
    "ListFilters",
    "Misfit",
    "NewRunOptions",
    "NondeterminismError",
    "NotFound",
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
