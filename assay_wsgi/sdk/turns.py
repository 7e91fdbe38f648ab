"""Workflow tasks at a worker: from the task, over the cached history and the replay, to the report."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from datetime import timezone
from typing import Any

from .cache import RunCache
from .definitions import ActivityDefinition
from .definitions import WorkflowDefinition
from .history import HistoryGap
from .info import RunInfo
from .outbox import Report
from .replay import Turn
from .replay import failed_turn
from .replay import replay

log = logging.getLogger(__name__)


class Turns:
    """Takes turns for the workflows of one worker. Shares the worker's lock for the cache."""

    def __init__(
        self,
        workflows: Mapping[str, WorkflowDefinition[..., Any]],
        activities: Mapping[str, ActivityDefinition[..., Any]],
        cache: RunCache,
        lock: threading.Lock,
    ) -> None:
        self._workflows = workflows
        self._activities = activities
        self._cache = cache
        self._lock = lock

    def take(self, task: dict[str, Any]) -> Report:
        """Take the turn that a workflow task asks for. Never raises."""
        run = None
        try:
            definition = self._workflows.get(task["workflow_type"])
            if definition is None:
                return self._report(task, failed_turn("unknown_type", self._unknown(task)))
            with self._lock:
                run = self._cache.take(task)
                self._cache.trim()
            info = RunInfo(
                task["workflow_id"],
                task["run_id"],
                task["workflow_type"],
                task["namespace"],
                task["task_queue"],
                task.get("attempt", 1),
                bool(task.get("continue_as_new_suggested")),
                _moment(task.get("scheduled_for")),
            )
            turn = replay(definition, info, run.history, self._activities, run.shown, self._workflows)
            report = self._report(task, turn)
        except HistoryGap as gap:
            return self._report(task, failed_turn("history_gap", str(gap)))
        except Exception as error:  # one bad task must not stop the others
            log.exception("workflow task cannot be read run=%s", task.get("run_id"))
            report = self._report(task, failed_turn("bad_task", f"{type(error).__name__}: {error}", error))
            turn = None
        if turn is None or turn.failure is not None:
            if run is not None:
                with self._lock:
                    self._cache.evict(run)
            return report
        report.run = run
        report.state = turn.state
        report.closes = turn.closes
        return report

    def _report(self, task: dict[str, Any], turn: Turn) -> Report:
        token, label = task["task_token"], f"{task['workflow_type']} {task['run_id']}"
        failure = turn.failure
        if failure is None:
            return Report("workflow", token, label, {"commands": turn.commands})
        log.warning(
            "workflow task failed workflow=%s run=%s cause=%s: %s\n%s",
            task["workflow_id"],
            task["run_id"],
            failure["cause"],
            failure["message"],
            failure.get("trace", ""),
        )
        try:
            return Report("workflow", token, label, {"failure": failure})
        except ValueError:  # a message that is no text: half of a surrogate pair
            words = {name: text.encode(errors="replace").decode() for name, text in failure.items()}
            return Report("workflow", token, label, {"failure": words})

    def _unknown(self, task: dict[str, Any]) -> str:
        known = ", ".join(sorted(self._workflows)) or "none"
        return f"this worker has no workflow '{task['workflow_type']}' (it has: {known})"


def _moment(secs: float | None) -> datetime | None:
    return None if secs is None else datetime.fromtimestamp(secs, timezone.utc)
