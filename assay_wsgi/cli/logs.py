"""Logging of our own processes: one line a fact, to standard error."""

from __future__ import annotations

import logging


def configure(level: str) -> None:
    """Send what the package logs to standard error, from `level` (debug, info, warning, error) up."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
    logging.getLogger("assay_wsgi").setLevel(level.upper())
