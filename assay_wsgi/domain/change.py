"""What one operation writes, and the pen that writes it down.

A `Change` holds rows as they stand afterwards. The store takes it whole or not at all; so an operation
is atomic, and the next one in the same unit sees it. A refusal is an exception, raised before there is a
Change. Three answers refuse a turn and yet write (the lease is freed, the failure counted): they are a
Change with `refusal` set.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..jsontext import dumps
from .errors import AssayError
from .model import Activity
from .model import ApiKey
from .model import Attempt
from .model import CloseReason
from .model import Deed
from .model import Event
from .model import Followup
from .model import Notice
from .model import Run
from .model import Schedule
from .model import Signal
from .model import Snapshot
from .model import Status
from .model import StoredAnswer
from .model import Task
from .model import Tick
from .model import Timer
from .model import Worker
from .notices import LONGEST_ERROR


@dataclass(slots=True)
class Change:
    """All that one operation writes."""

    answer: Any = None
    refusal: AssayError | None = None  # the answer, where a refusal writes
    new_namespaces: list[str] = field(default_factory=list)  # made where they are not there
    created_namespaces: list[str] = field(default_factory=list)  # refused where they are
    dropped_namespaces: list[str] = field(default_factory=list)
    dropped_runs: list[int] = field(default_factory=list)  # with everything below them
    workers: list[Worker] = field(default_factory=list)
    new_runs: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)  # runs whose open activities and timers end here
    events: list[Event] = field(default_factory=list)
    new_activities: list[Activity] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)  # new ones and changed ones
    signals: list[Signal] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    dropped_tasks: list[int] = field(default_factory=list)
    followups: list[Followup] = field(default_factory=list)
    done_followups: list[int] = field(default_factory=list)  # by id
    new_schedules: list[Schedule] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    dropped_schedules: list[int] = field(default_factory=list)  # with what waits; the ticks that were go by their age
    ticks: list[Tick] = field(default_factory=list)  # new ones and changed ones
    notices: list[Notice] = field(default_factory=list)
    stored_answers: list[StoredAnswer] = field(default_factory=list)
    api_keys: list[ApiKey] = field(default_factory=list)  # new ones and changed ones
    deeds: list[Deed] = field(default_factory=list)


class RunPen:
    """Writes what happens to one run into a Change: numbers events, wakes the run, closes it.

    An event's time is `max(now, run.updated_at)`: a run's history never goes back in time, whatever the
    clock does. What is to be handed out or done at once is due by the clock: it must not wait for a clock that
    was set back.
    """

    __slots__ = ("_columns", "_task_before", "change", "clock", "fresh", "now", "run", "task")

    def __init__(self, change: Change, run: Run, task: Task | None, now: float, *, fresh: bool = False) -> None:
        self.change = change
        self.run = run
        self.task = self._task_before = task
        self.clock = now
        self.now = max(now, run.updated_at)
        self.fresh = fresh
        self._columns: dict[str, Any] = {}

    @property
    def last_seq(self) -> int:
        """Seq of the newest event, those written with this pen included."""
        seq: int = self._columns.get("last_seq", self.run.last_seq)
        return seq

    @property
    def wake_seq(self) -> int:
        """Seq of the newest event that a worker must see."""
        seq: int = self._columns.get("wake_seq", self.run.wake_seq)
        return seq

    def set(self, **columns: Any) -> None:
        """Give columns of the run new values."""
        self._columns.update(columns)

    def get(self, column: str) -> Any:
        """Read a column as it stands now."""
        return self._columns.get(column, getattr(self.run, column))

    def event(self, event_type: str, payload: str | None, *, ref_seq: int | None = None) -> int:
        """Append an event that no worker needs to look at. Returns its seq."""
        seq = self.last_seq + 1
        self._columns["last_seq"] = seq
        self.change.events.append(Event(self.run.run_key, seq, event_type, ref_seq, payload, self.now))
        return seq

    def waking_event(self, event_type: str, payload: str | None, *, ref_seq: int | None = None) -> int:
        """Append an event that a worker must see, and see to it that one will. Returns its seq."""
        seq = self.event(event_type, payload, ref_seq=ref_seq)
        self._columns["wake_seq"] = seq
        self.wake()
        return seq

    def wake(self) -> None:
        """Make the run ready, unless it is: a row that is there keeps its place and its back-off.

        What ends a back-off is `tasks.hurried`: an operator's wish, and a cancel.
        """
        if self.task is None:
            run = self.run
            self.task = Task(
                run.run_key, run.namespace, run.task_queue, run.workflow_type, run.priority, self.clock,
                run.paused is not None, 0, 0, None, None, None, None, None, None,
            )  # fmt: skip

    def ready_at(self, moment: float) -> None:
        """Set when the task that this pen has written is handed out."""
        if self.task is not None:
            self.task = self.task._replace(ready_at=moment)

    def notice(self, event_type: str, **payload: Any) -> None:
        """Tell the feed."""
        run = self.run
        payload["namespace"] = run.namespace
        payload["run_id"] = run.run_id
        self.change.notices.append(
            Notice(run.run_key, run.namespace, run.workflow_id, event_type, dumps(payload), self.now)
        )

    def close(
        self,
        status: Status,
        reason: CloseReason,
        event_type: str,
        payload: str | None,
        *,
        result: str | None = None,
        error: str | None = None,
    ) -> None:
        """Append the terminal event and end everything below the run."""
        self.event(event_type, payload)
        self._columns.update(
            status=status.value, close_reason=reason.value, result=result, error=error,
            completed_at=self.now, deadline_at=None, waiting_for=None, awaited=None, task_failure=None,
        )  # fmt: skip
        self.task = None
        self.change.closed.append(self.run.run_key)
        told = {"error": error[:LONGEST_ERROR]} if error is not None else {}
        self.notice(_NOTICE_OF[reason], **told)

    def done(self) -> Run:
        """Put the run and its task into the Change. Returns the run as it stands."""
        run = self.run._replace(updated_at=self.now, **self._columns)
        (self.change.new_runs if self.fresh else self.change.runs).append(run)
        if self.task is not self._task_before:
            if self.task is None:
                self.change.dropped_tasks.append(run.run_key)
            else:
                self.change.tasks.append(self.task)
        return run


_NOTICE_OF = {
    CloseReason.COMPLETED: "workflow_completed",
    CloseReason.FAILED: "workflow_failed",
    CloseReason.CANCELLED: "workflow_cancelled",
    CloseReason.TERMINATED: "workflow_terminated",
    CloseReason.TIMED_OUT: "workflow_timed_out",
    CloseReason.CONTINUED_AS_NEW: "workflow_continued_as_new",
}
