"""A durable workflow engine: as a service, inside a Flask application, or as a library.

This module imports nothing but its version: a worker loads assay_wsgi.sdk where none of the server's packages
are installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .app import create_app as create_app
    from .app import init_app as init_app
    from .domain.errors import AlreadyStarted as AlreadyStarted
    from .domain.errors import AssayError as AssayError
    from .domain.errors import NotFound as NotFound
    from .domain.errors import ScheduleExists as ScheduleExists
    from .domain.errors import StoreBusy as StoreBusy
    from .domain.errors import WorkflowClosed as WorkflowClosed
    from .domain.errors import WrongTransaction as WrongTransaction
    from .domain.requests import Backfill as Backfill
    from .domain.requests import Idempotency as Idempotency
    from .domain.requests import NewSchedule as NewSchedule
    from .domain.requests import RunRef as RunRef
    from .domain.requests import SchedulePatch as SchedulePatch
    from .domain.requests import SentSignal as SentSignal
    from .domain.requests import StartRun as StartRun
    from .engine import Engine as Engine

_ERRORS = (
    "AlreadyStarted", "AssayError", "NotFound", "ScheduleExists", "StoreBusy", "WorkflowClosed", "WrongTransaction",
)  # fmt: skip
_HOMES = {
    "create_app": "app",
    "init_app": "app",
    "Engine": "engine",
    **dict.fromkeys(
        ("Backfill", "Idempotency", "NewSchedule", "RunRef", "SchedulePatch", "SentSignal", "StartRun"),
        "domain.requests",
    ),
    **dict.fromkeys(_ERRORS, "domain.errors"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
