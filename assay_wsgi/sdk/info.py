"""Which run the code belongs to, as its task says."""

from __future__ import annotations

from datetime import datetime


class RunInfo:
    """Which run this is.

    `continue_as_new_suggested` says that the history has grown long. It is False while the code is being
    replayed: act on it at once, by `ctx.continue_as_new()`, for a later replay will not see it here.
    `scheduled_for` is the time, in UTC, of the schedule that started the run or the first one of its chain; the run
    itself may have begun later, after another one or for a backfill. None where no schedule started it.
    """

    __slots__ = (
        "attempt",
        "continue_as_new_suggested",
        "namespace",
        "run_id",
        "scheduled_for",
        "task_queue",
        "workflow_id",
        "workflow_type",
    )

    def __init__(
        self,
        workflow_id: str,
        run_id: str,
        workflow_type: str = "",
        namespace: str = "main",
        task_queue: str = "default",
        attempt: int = 1,  # of this workflow task: more than 1 after a failed or lost turn
        continue_as_new_suggested: bool = False,
        scheduled_for: datetime | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.workflow_type = workflow_type
        self.namespace = namespace
        self.task_queue = task_queue
        self.attempt = attempt
        self.continue_as_new_suggested = continue_as_new_suggested
        self.scheduled_for = scheduled_for
