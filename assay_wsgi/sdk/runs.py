"""A run, as its starter sees it: what has become of it, its history and state, and what can be done to it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Generic
from typing import TypeVar
from typing import overload

from .caller import PAGE
from .caller import Caller
from .caller import decoded
from .convert import decoder
from .definitions import R
from .definitions import WorkflowCall
from .definitions import WorkflowDefinition
from .durations import Duration
from .durations import seconds
from .errors import WorkflowCancelledError
from .errors import WorkflowFailed
from .errors import WorkflowTimedOut
from .transport import segment

T = TypeVar("T")

OPEN = frozenset({"PENDING", "RUNNING"})
FIRST_PAUSE = 0.01  # seconds between two looks at a run; they get longer
LAST_PAUSE = 1.0


class WorkflowHandle(Generic[R]):
    """A run, or (without `run_id`) the newest run of an id."""

    def __init__(
        self,
        caller: Caller,
        namespace: str,
        workflow_id: str,
        run_id: str | None,
        definition: WorkflowDefinition[..., R] | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self._caller = caller
        self._namespace = namespace
        self._definition = definition

    def __repr__(self) -> str:
        return f"<WorkflowHandle {self.workflow_id!r} run_id={self.run_id!r}>"

    # ------------------------------------------------------------------------------------- look at it

    def describe(self) -> dict[str, Any]:
        """Return the run's record, its input, result and search attributes decoded."""
        return decoded(self._get(""))

    def result(self, timeout: Duration | None = None) -> R:
        """Wait for the end of the run, and of those that continue it, and return the last one's result.

        Raises WorkflowFailed (WorkflowTimedOut), WorkflowCancelledError, and TimeoutError after `timeout`, which is
        seconds or a timedelta.
        """
        deadline = None if timeout is None else time.monotonic() + seconds(timeout)
        pause, run = FIRST_PAUSE, self
        while True:
            record = run._get("")
            if record.get("close_reason") == "continued_as_new":
                run = run._successor(record)
                pause = FIRST_PAUSE
                continue
            if record["status"] not in OPEN:
                return run._outcome(decoded(record))  # type: ignore[no-any-return]  # its annotation says R
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"workflow '{run.workflow_id}' is still {record['status']}")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LAST_PAUSE)

    def events(self, after_seq: int = 0, follow: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the history after an event, oldest first, payloads decoded.

        With `follow`, wait for more until the run is closed, whatever way: the closing event is the last one.
        Without a `run_id` it is the history of the run that is the newest at the beginning, to its end.
        """
        pause = FIRST_PAUSE
        run = self if self.run_id else self._same(self.workflow_id, self._get("")["run_id"])
        while True:
            # First the status, then the events: of a run that is closed by now, this reads them all.
            closing = not follow or run._get("")["status"] not in OPEN
            for event in run._events(after_seq):
                after_seq = event["seq"]
                pause = FIRST_PAUSE
                yield event
            if closing:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, LAST_PAUSE)

    def children(self) -> Iterator[dict[str, Any]]:
        """Yield the records of the run's children, newest first."""
        for page in self._caller.pages(self._path("/children"), limit=PAGE, **self._which()):
            for record in page:
                yield decoded(record)

    def tree(self, limit: int = PAGE) -> dict[str, Any]:
        """Return the run's record with those of all runs below it, each in its parent's `children`.

        `truncated` says whether there are more than `limit`.
        """
        return _decoded_tree(self._get("/tree", limit=limit))

    def state(self, name: str | None = None) -> Any:
        """Return what the run's queries show, as a dict by name; with a name the same as `query`. Raises NotFound."""
        return self._get("/state")["state"] if name is None else self.query(name)

    @overload
    def query(self, name: str, into: None = None) -> Any: ...

    @overload
    def query(self, name: str, into: type[T]) -> T: ...

    def query(self, name: str, into: Any = None) -> Any:
        """Return what one of the run's queries shows, as an `into` if given. Raises NotFound."""
        value = self._get(f"/state/{segment(name)}")["value"]
        decode = decoder(into)
        return decode(value) if decode else value

    # ------------------------------------------------------------------------------------- act on it

    def signal(self, name: str, payload: Any = None, signal_id: str | None = None) -> None:
        """Send a signal: once, however often the sending is repeated. Raises NotFound, WorkflowClosed."""
        self._post(f"/signal/{segment(name)}", {"payload": payload, "signal_id": signal_id or uuid.uuid4().hex})

    def retry_now(self, activities: bool = True) -> bool:
        """Have what failed and waits to be tried again tried at once: once its worker is mended, say.

        That is the run's workflow task, and its `activities` between attempts. Returns whether anything waited.
        Raises NotFound, WorkflowClosed.
        """
        answer = self._post("/retry-now", {"activities": activities})
        return bool(answer["task"] or answer["activities"])

    def cancel(self, reason: str | None = None) -> None:
        """Ask the run to end: its code hears of it at its next step. Raises NotFound if it is closed."""
        self._post("/cancel", {"reason": reason})

    def terminate(self, reason: str | None = None) -> None:
        """End the run now; its code hears nothing of it. Raises NotFound if it is closed."""
        self._post("/terminate", {"reason": reason})

    @overload
    def continue_as_new(
        self, call: WorkflowCall[T], /, *, queue: str | None = None, id: str | None = None
    ) -> WorkflowHandle[T]: ...

    @overload
    def continue_as_new(
        self, input: Any = None, *, queue: str | None = None, id: str | None = None
    ) -> WorkflowHandle[R]: ...

    def continue_as_new(self, input: Any = None, *, queue: str | None = None, id: str | None = None) -> Any:
        """Close the run and start the next of its chain; of a closed run, start a fresh one like it.

        `input` is the next run's whole input, or a prepared call of the workflow that it shall run. The next run
        has the queue of this one, and an id made of this one's, unless others are given.
        """
        body = {"workflow_id": id, "task_queue": queue}
        definition = self._definition
        if isinstance(input, WorkflowCall):
            definition = input.workflow
            body["workflow_type"] = definition.name
            body["task_queue"] = queue or definition.queue
            input = definition.binding.pack(input.args, input.kwargs)
        body = {name: value for name, value in body.items() if value is not None}
        started = self._post("/continue-as-new", {**body, "input": input})
        return WorkflowHandle(self._caller, self._namespace, started["workflow_id"], started["run_id"], definition)

    # ------------------------------------------------------------------------------------- inside

    def _same(self, workflow_id: str, run_id: str) -> WorkflowHandle[R]:
        return WorkflowHandle(self._caller, self._namespace, workflow_id, run_id, self._definition)

    def _successor(self, record: dict[str, Any]) -> WorkflowHandle[R]:
        """Return a handle on the run that continues a closed one: its last event names it."""
        closed = self._same(self.workflow_id, record["run_id"])
        (event,) = closed._events(record["last_seq"] - 1)
        named = event["payload"]
        return self._same(named["workflow_id"], named["new_run_id"])

    def _outcome(self, record: dict[str, Any]) -> Any:
        status, definition = record["status"], self._definition
        if status == "COMPLETED":
            result = record.get("result")
            if definition is not None and definition.name == record.get("workflow_type", definition.name):
                return definition.decode_result(result)
            return result
        if status == "CANCELLED":
            raise WorkflowCancelledError(self.workflow_id, record["run_id"], record.get("error"))
        failed = WorkflowTimedOut if status == "TIMED_OUT" else WorkflowFailed
        reason = record.get("close_reason") or status.lower()
        raise failed(self.workflow_id, record["run_id"], record.get("error"), reason)

    def _events(self, after_seq: int) -> Iterator[dict[str, Any]]:
        pages = self._caller.pages(self._path("/events"), "after_seq", **self._which(), after_seq=after_seq, limit=PAGE)
        for page in pages:
            for event in page:
                yield decoded(event, ("payload",))

    def _get(self, tail: str, **params: Any) -> Any:
        return self._caller.get(self._path(tail), **self._which(), **params)

    def _post(self, tail: str, body: Mapping[str, Any]) -> Any:
        return self._caller.post(self._path(tail), body, **self._which())

    def _path(self, tail: str) -> str:
        return f"/workflows/{segment(self.workflow_id)}{tail}"

    def _which(self) -> dict[str, Any]:
        return {"namespace": self._namespace, "run_id": self.run_id}


def _decoded_tree(record: dict[str, Any]) -> dict[str, Any]:
    top: dict[str, Any] = {}
    waiting = [(record, top)]  # a stack, not recursion: a tree may be deeper than Python's stack
    while waiting:
        source, found = waiting.pop()
        found.update(decoded(source))
        found["children"] = [{} for _ in source["children"]]
        waiting.extend(zip(source["children"], found["children"]))
    return top
