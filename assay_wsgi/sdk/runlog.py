"""The log of a workflow: what replay says again is not written again."""

from __future__ import annotations

import logging
from typing import Any

from .course import Course


class RunLog(logging.LoggerAdapter):  # type: ignore[type-arg]  # cannot be subscripted in Python 3.9
    """Logs with the run's name, and only what has not been logged by an earlier turn."""

    def __init__(self, course: Course) -> None:
        super().__init__(logging.getLogger(f"assay.workflow.{course.info.workflow_type}"), {})
        self._course = course

    def isEnabledFor(self, level: int) -> bool:
        """Say no during replay."""
        return self._course.live and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Put the run's name in front."""
        info = self._course.info
        return f"[{info.workflow_id} {info.run_id}] {msg}", kwargs
