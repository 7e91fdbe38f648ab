"""The service with a counter between it and its driver. For gunicorn: `bench.service:create_app()`.

Slower than the service itself, so no figure of speed comes from it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import assay_wsgi
from assay_wsgi.engine import Engine
from assay_wsgi.settings import Settings

from . import counting

if TYPE_CHECKING:
    from flask import Flask


def create_app() -> Flask:
    """Make what `assay_wsgi.create_app` makes, on an engine that counts."""
    settings = Settings.from_env()
    counter = counting.Counter(Path(os.environ[counting.DIRECTORY]))
    engine = Engine.open(settings.database_url, settings=settings, wrap=counter)
    return assay_wsgi.create_app(settings, engine)
