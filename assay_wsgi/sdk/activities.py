"""Activities at work: an attempt, the threads that make attempts, and what activity code may ask.

`activity_info()`, `heartbeat()` and `cancelled()` are for activity code; they know their attempt by thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from datetime import timezone
from typing import Any
from typing import Callable

from .definitions import ActivityDefinition
from .errors import ActivityCancelled
from .errors import ApplicationError
from .errors import type_name
from .jsontext import copied
from .jsontext import dumps
from .jsontext import plain
from .outbox import Report
from .replay import trace_of

BEAT_SHARE = 0.8  # of the heartbeat timeout: details are sent at most this often
BEAT_SECS = 60.0  # and at least this often, if there is something to send
AUTO_BEAT_SHARE = 1 / 3  # of the heartbeat timeout: the worker itself beats this often
AUTO_BEAT_SECS = 10.0  # and at least this often: so long may a cancellation stay unheard


@dataclass(frozen=True)
class ActivityInfo:
    """Which attempt this is."""

    workflow_id: str
    run_id: str
    seq: int
    name: str
    task_queue: str
    attempt: int  # 1 for the first
    max_attempts: int  # 0 = no end
    heartbeat_details: Any  # what an earlier attempt told in its last heartbeat
    deadline: datetime | None = None  # the service takes the attempt back then; each heartbeat may move it


class Attempt:
    """One attempt of one activity, claimed by this worker."""

    __slots__ = (
        "_told",
        "auto_every",
        "beat_every",
        "cancelled",
        "details",
        "dirty",
        "exchange",
        "expires_at",
        "label",
        "sent_at",
        "task",
        "token",
    )

    def __init__(
        self, task: dict[str, Any], exchange: int, told: Callable[[], None], auto_since: float | None = None
    ) -> None:
        self.task = task
        self.token: str = task["task_token"]
        self.exchange = exchange  # number of the exchange that brought it
        self.label = f"{task['name']} of {task['run_id']}"
        self.cancelled = False
        self.expires_at: float | None = task.get("lease_expires_at")
        self.details: Any = None
        self.dirty = False  # details wait to be sent
        self.sent_at = auto_since  # monotonic
        timeout = task.get("heartbeat_timeout_secs")
        self.beat_every = min(timeout * BEAT_SHARE, BEAT_SECS) if timeout else BEAT_SECS
        auto_every = min(timeout * AUTO_BEAT_SHARE, AUTO_BEAT_SECS) if timeout else AUTO_BEAT_SECS
        self.auto_every = None if auto_since is None else auto_every  # None = only its own code beats
        self._told = told

    def info(self) -> ActivityInfo:
        """Say which attempt this is."""
        task, expires_at = self.task, self.expires_at
        return ActivityInfo(
            workflow_id=task["workflow_id"],
            run_id=task["run_id"],
            seq=task["seq"],
            name=task["name"],
            task_queue=task.get("task_queue", ""),
            attempt=task["attempt"],
            max_attempts=task.get("max_attempts", 0),
            heartbeat_details=copied(task.get("heartbeat_details")),
            deadline=None if expires_at is None else datetime.fromtimestamp(expires_at, timezone.utc),
        )

    def beat(self, details: Any) -> None:
        """Note details for the next heartbeat. Raises ActivityCancelled."""
        if self.cancelled:
            raise ActivityCancelled(f"nobody waits for {self.label} any more")
        self.details = plain(details, "heartbeat details")
        self.dirty = True
        self._told()

    def beat_in(self, now: float) -> float | None:
        """Return the seconds until the next heartbeat is due, None while there is nothing to tell."""
        if self.auto_every is not None:
            return None if self.cancelled else max(0.0, (self.sent_at or 0.0) + self.auto_every - now)
        if not self.dirty:
            return None
        return 0.0 if self.sent_at is None else max(0.0, self.sent_at + self.beat_every - now)

    def beaten(self, details: Any, now: float) -> None:
        """Note that `details` have been told."""
        self.sent_at = now
        if self.details is details:
            self.dirty = False

    def perform(self, definitions: Mapping[str, ActivityDefinition[..., Any]]) -> Report:
        """Run the activity and return the report. Never raises."""
        definition = definitions.get(self.task["name"])
        _current.attempt = self
        try:
            if definition is None:
                known = ", ".join(sorted(definitions)) or "none"
                said = f"this worker has no activity '{self.task['name']}' (it has: {known})"
                raise ApplicationError(said, type="UnknownActivity")
            args, kwargs = definition.binding.unpack(self.task.get("input"))
            return self._completed(definition.fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 -- whatever activity code raises is its outcome
            failure = self._failure(error, definition)
            if self.dirty:  # the next attempt is to know it, though no heartbeat has told it
                failure["heartbeat_details"] = self.details
            return self._report({"failure": failure})
        finally:
            _current.attempt = None

    def _completed(self, result: Any) -> Report:
        try:
            return self._report({"result": result})
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"the result of activity '{self.task['name']}': {error}") from error

    def _report(self, content: dict[str, Any]) -> Report:
        return Report("activity", self.token, self.label, content)

    @staticmethod
    def _failure(error: BaseException, definition: ActivityDefinition[..., Any] | None) -> dict[str, Any]:
        name, text, details, delay = type_name(type(error)), str(error), None, None
        if isinstance(error, ApplicationError):
            name, text, details = error.type or name, error.message, error.details
            delay = error.next_retry_delay
        final = isinstance(error, (ActivityCancelled, ApplicationError)) and getattr(error, "non_retryable", True)
        if definition is not None and definition.retry.forbids(error):
            final = True
        failure: dict[str, Any] = {
            "error": f"{name}: {text}",
            "error_type": name,
            "non_retryable": final,
            "trace": trace_of(error),
        }
        if details is not None:
            failure["details"] = details
        if delay is not None and not final:
            failure["next_retry_delay"] = delay
        try:
            dumps(failure)
        except (TypeError, ValueError):  # what came with the error is no JSON: say it in words
            failure["error"] = failure["error"].encode(errors="replace").decode()
            failure["details"] = repr(details)[:1000].encode(errors="replace").decode()
        return failure


class _Current(threading.local):
    attempt: Attempt | None = None


_current = _Current()


def _attempt() -> Attempt:
    if _current.attempt is None:
        raise RuntimeError("only activity code, in the thread that a worker called it in, may ask this")
    return _current.attempt


def activity_info() -> ActivityInfo:
    """Say which attempt is running in this thread."""
    return _attempt().info()


def heartbeat(details: Any = None) -> None:
    """Tell the service that the activity is alive, and how far it is; the next attempt gets `details`.

    Cheap: what is told too often is sent only now and then. Raises ActivityCancelled when nobody waits for
    this attempt any more.
    """
    _attempt().beat(details)


def cancelled() -> bool:
    """Say whether nobody waits for this attempt any more. The service says so in answer to a heartbeat.

    An activity with `auto_heartbeat` may ask this alone; any other learns of it by calling `heartbeat()`.
    """
    return _attempt().cancelled


class Pool:
    """Threads that make attempts: as many as were ever needed at once, at most `size`."""

    def __init__(
        self,
        size: int,
        definitions: Mapping[str, ActivityDefinition[..., Any]],
        done: Callable[[Attempt, Report], None],
    ) -> None:
        self._size = size
        self._definitions = definitions
        self._done = done
        self._waiting: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._threads = 0

    def submit(self, attempt: Attempt, running: int) -> None:
        """Have an attempt made; `running` are under way with it."""
        self._waiting.put(attempt)
        if running > self._threads and self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._work, name=f"assay-activity-{self._threads}", daemon=True).start()

    def close(self) -> None:
        """Let the threads end after what they are at."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while True:
            attempt = self._waiting.get()
            if attempt is None:
                return
            self._done(attempt, attempt.perform(self._definitions))
