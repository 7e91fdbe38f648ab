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
from .client import Client
from .client import WorkflowHandle
from .context import Context
from .context import RunInfo
from .definitions import ActivityDefinition
from .definitions import Retry
from .definitions import WorkflowDefinition
from .errors import ActivityCancelled
from .errors import ActivityError
from .errors import ApiError
from .errors import ApplicationError
from .errors import Conflict
from .errors import Invalid
from .errors import NondeterminismError
from .errors import NotFound
from .errors import Suspend
from .errors import Unauthorized
from .errors import Unavailable
from .errors import WorkflowAlreadyStarted
from .errors import WorkflowCancelled
from .errors import WorkflowCancelledError
from .errors import WorkflowClosed
from .errors import WorkflowFailed
from .worker import Worker

__all__ = [
    "ActivityCancelled",
    "ActivityDefinition",
    "ActivityError",
    "ActivityInfo",
    "ApiError",
    "ApplicationError",
    "Assay",
    "Client",
    "Conflict",
    "Context",
    "Invalid",
    "NondeterminismError",
    "NotFound",
    "Retry",
    "RunInfo",
    "Suspend",
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
    "activity_info",
    "cancelled",
    "heartbeat",
]
