"""The Python SDK: workflows and activities as plain functions, the worker that runs them, the client.

Needs the standard library and `requests`; imports nothing else of this package, so that a worker runs where
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
from .client import WorkflowHandle
from .context import Context
from .definitions import ActivityDefinition
from .definitions import Call
from .definitions import Retry
from .definitions import WorkflowDefinition
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
from .saga import Saga
from .steps import StepAction
from .steps import Steps
from .worker import Worker

__all__ = [
    "ActivityCancelled",
    "ActivityCancelledError",
    "ActivityDefinition",
    "ActivityError",
    "ActivityInfo",
    "ApiError",
    "ApplicationError",
    "Assay",
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
    "NondeterminismError",
    "NotFound",
    "Retry",
    "RunInfo",
    "Saga",
    "StepAction",
    "StepError",
    "Steps",
    "Suspend",
    "TimerCancelledError",
    "Unauthorized",
    "Unavailable",
    "Worker",
    "WorkflowAlreadyStarted",
    "WorkflowCancelled",
    "WorkflowCancelledError",
    "WorkflowClosed",
    "WorkflowDefinition",
    "WorkflowFailed",
    "WorkflowHandle",
    "WorkflowTimedOut",
    "activity_info",
    "cancelled",
    "heartbeat",
]
