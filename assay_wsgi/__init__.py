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
    from .engine import Engine as Engine

_HOMES = {"create_app": "app", "init_app": "app", "Engine": "engine"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
