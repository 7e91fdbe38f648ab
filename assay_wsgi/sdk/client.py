"""The client: start runs, look at them, signal, cancel, wait for results.

Every call is safe to repeat (starts carry an Idempotency-Key, signals an id), so it is repeated while the
service is away, up to `patience` seconds.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Generic
from typing import overload
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from requests.utils import parse_header_links

from .definitions import R
from .definitions import WorkflowDefinition
from .durations import seconds
from .errors import ApiError
from .errors import Conflict
from .errors import Invalid
from .errors import NotFound
from .errors import Unauthorized
from .errors import Unavailable
from .errors import WorkflowAlreadyStarted
from .errors import WorkflowCancelledError
from .errors import WorkflowClosed
from .errors import WorkflowFailed
from .errors import WorkflowTimedOut
from .jsontext import dumps
from .jsontext import loads
from .transport import DEFAULT_URL
from .transport import Connection
from .transport import Reply
from .transport import Unreachable
from .transport import segment

PATIENCE_SECS = 30.0
BATCH = 1_000  # starts in one request
PAGE = 1_000  # events in one request
AWAY = frozenset({429, 502, 503, 504})
JSON_TEXT = ("input", "result", "search_attributes")  # members of a record that hold JSON as text


class Client:
    """Talks to one service about one namespace. Threads may share it."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        namespace: str = "main",
        queue: str = "default",
        patience: float = PATIENCE_SECS,
        connection: Connection | None = None,
    ) -> None:
        self.namespace = namespace
        self.queue = queue
        self._url = url
        self._token = token
        self._patience = patience
        self._given = connection
        self._local = threading.local()  # a connection per thread

    # ------------------------------------------------------------------------------------- starts

    @overload
    def start(self, workflow: WorkflowDefinition[R], input: Any = None, **options: Any) -> WorkflowHandle[R]: ...

    @overload
    def start(self, workflow: str, input: Any = None, **options: Any) -> WorkflowHandle[Any]: ...

    def start(self, workflow: Any, input: Any = None, **options: Any) -> WorkflowHandle[Any]:
        """Start a run and return its handle.

        Options: `id` (else the service makes one), `queue`, `search_attributes`, `id_conflict`
        (fail, use_existing, terminate_existing), `id_reuse` (allow, allow_failed_only, reject), and in seconds
        or as timedelta `run_timeout` (of one run) and `execution_timeout` (of all runs of its chain).
        Raises WorkflowAlreadyStarted.
        """
        started = self._call("POST", "/workflows", self._start_body(workflow, input, options), once=True)
        definition = workflow if isinstance(workflow, WorkflowDefinition) else None
        return WorkflowHandle(self, started["workflow_id"], started["run_id"], definition)

    def start_many(self, starts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Start many runs, a thousand to a request; return one outcome each, in the order given.

        Each start has `workflow` and may have `input` and the options of `start`. An outcome holds
        workflow_id, run_id and status, or error and code.
        """
        bodies = []
        for one in starts:
            options = dict(one)
            body = self._start_body(options.pop("workflow"), options.pop("input", None), options)
            # A request whose answer was lost is sent again: an id of its own tells a run that this
            # request has started from one that was there before.
            body["_ours"] = "workflow_id" not in body
            if body["_ours"]:
                body["workflow_id"] = f"wf-{body['workflow_type'].lower()}-{uuid.uuid4().hex}"
            bodies.append(body)
        outcomes: list[dict[str, Any]] = []
        for at in range(0, len(bodies), BATCH):
            some = bodies[at : at + BATCH]
            ours = [body.pop("_ours") for body in some]
            answer = self._call("POST", "/workflows/batch", {"workflows": some}, once=True)
            for body, own, outcome in zip(some, ours, answer["results"]):
                if own and outcome.get("code") == "workflow_already_started":
                    outcome = {
                        "workflow_id": body["workflow_id"],
                        "run_id": outcome.get("run_id"),
                        "status": outcome.get("status", "PENDING"),
                    }
                outcomes.append(outcome)
        return outcomes

    def _start_body(self, workflow: Any, input: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        known = isinstance(workflow, WorkflowDefinition)
        body = {
            "workflow_type": workflow.name if known else workflow,
            "namespace": self.namespace,
            "task_queue": (workflow.queue if known else None) or self.queue,
        }
        if input is not None:
            body["input"] = input
        for option, value in options.items():
            if option not in _START_OPTIONS:
                raise TypeError(f"no such option of a start: {option}")
            if value is not None:
                body[_START_OPTIONS[option]] = seconds(value) if option in _DURATIONS else value
        return body

    # ------------------------------------------------------------------------------------- runs

    def handle(self, workflow_id: str, run_id: str | None = None) -> WorkflowHandle[Any]:
        """Return a handle on the newest run of an id, or on one run. Asks nothing of the service."""
        return WorkflowHandle(self, workflow_id, run_id, None)

    def list(self, limit: int | None = None, page: int = 100, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield records, newest first: all that match, or `limit` of them.

        Filters: status, type, search_attrs (a dict), claimed_by, parent_id, created_after and the like.
        """
        if isinstance(filters.get("search_attrs"), Mapping):
            filters["search_attrs"] = dumps(filters["search_attrs"]).decode()
        params: dict[str, Any] = {"namespace": self.namespace, "limit": page, **filters}
        left = limit
        while left is None or left > 0:
            reply = self._reply("GET", "/workflows", params=params)
            for record in reply.body[:left]:
                yield decoded(record)
            left = None if left is None else left - len(reply.body)
            params["cursor"] = _next_cursor(reply)
            if params["cursor"] is None:
                return

    # ------------------------------------------------------------------------------------- calls

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        once: bool = False,
    ) -> Any:
        return self._reply(method, path, body, params, once).body

    def _reply(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        once: bool = False,  # the service must do it only once, however often it is asked
    ) -> Reply:
        text = None if body is None else dumps(body)
        headers = {"Idempotency-Key": uuid.uuid4().hex} if once else None
        deadline = time.monotonic() + self._patience
        failures = 0
        while True:
            retry_after = None
            try:
                reply = self._connection().call(method, path, text, params=params, headers=headers)
            except Unreachable as error:
                trouble: ApiError = Unavailable(0, "unreachable", f"no answer from {self._url}: {error}")
            else:
                if reply.status < 400:
                    return reply
                trouble = error_of(reply)
                if reply.status not in AWAY:
                    raise trouble
                retry_after = reply.retry_after
            failures += 1
            delay = max(random.uniform(0.05, min(5.0, 0.1 * 2**failures)), retry_after or 0.0)
            if time.monotonic() + delay > deadline:
                raise trouble
            time.sleep(delay)

    def _connection(self) -> Connection:
        if self._given is not None:
            return self._given
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = Connection(self._url, self._token)
        return found


class WorkflowHandle(Generic[R]):
    """A run, or (without `run_id`) the newest run of an id."""

    def __init__(
        self,
        client: Client,
        workflow_id: str,
        run_id: str | None,
        definition: WorkflowDefinition[R] | None = None,
    ) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self._client = client
        self._definition = definition

    def describe(self) -> dict[str, Any]:
        """Return the run's record, its input, result and search attributes decoded."""
        return decoded(self._get(""))

    def result(self, timeout: float | None = None) -> R:
        """Wait for the end of the run, and of those that continue it, and return the last one's result.

        Raises WorkflowFailed (WorkflowTimedOut), WorkflowCancelledError, and TimeoutError after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, run = 0.01, self
        while True:
            record = run._get("")
            if record.get("close_reason") == "continued_as_new":
                run = run._successor(record)
                pause = 0.01
                continue
            if record["status"] not in ("PENDING", "RUNNING"):
                return run._outcome(decoded(record))  # type: ignore[no-any-return]  # its annotation says R
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"workflow '{run.workflow_id}' is still {record['status']}")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 1.0)

    def _successor(self, record: dict[str, Any]) -> WorkflowHandle[R]:
        """Return a handle on the run that continues a closed one: its last event names it."""
        closed = WorkflowHandle(self._client, self.workflow_id, record["run_id"], self._definition)
        (event,) = closed.events(after_seq=record["last_seq"] - 1)
        named = event["payload"]
        return WorkflowHandle(self._client, named["workflow_id"], named["new_run_id"], self._definition)

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

    def events(self, after_seq: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the history after an event, oldest first, payloads decoded."""
        while True:
            page = self._get("/events", after_seq=after_seq, limit=PAGE)
            for event in page:
                after_seq = event["seq"]
                text = event.get("payload")
                yield {**event, "payload": loads(text) if isinstance(text, str) else text}
            if len(page) < PAGE:
                return

    def signal(self, name: str, payload: Any = None, signal_id: str | None = None) -> None:
        """Send a signal: once, however often the sending is repeated. Raises NotFound, WorkflowClosed."""
        body = {"payload": payload, "signal_id": signal_id or uuid.uuid4().hex}
        self._post(f"/signal/{segment(name)}", body)

    def cancel(self, reason: str | None = None) -> None:
        """Ask the run to end: its code hears of it at its next step. Raises NotFound if it is closed."""
        self._post("/cancel", {"reason": reason})

    def terminate(self, reason: str | None = None) -> None:
        """End the run now; its code hears nothing of it. Raises NotFound if it is closed."""
        self._post("/terminate", {"reason": reason})

    def state(self, name: str | None = None) -> Any:
        """Return what the run's queries show: all of it as a dict, or one of them. Raises NotFound."""
        if name is None:
            return self._get("/state")["state"]
        return self._get(f"/state/{segment(name)}")["value"]

    def _get(self, tail: str, **params: Any) -> Any:
        return self._client._call("GET", self._path(tail), params={**self._which(), **params})

    def _post(self, tail: str, body: Mapping[str, Any]) -> Any:
        return self._client._call("POST", self._path(tail), body, params=self._which(), once=True)

    def _path(self, tail: str) -> str:
        return f"/workflows/{segment(self.workflow_id)}{tail}"

    def _which(self) -> dict[str, Any]:
        return {"namespace": self._client.namespace, "run_id": self.run_id}


_START_OPTIONS = {
    "id": "workflow_id",
    "queue": "task_queue",
    "search_attributes": "search_attributes",
    "id_conflict": "id_conflict",
    "id_reuse": "id_reuse",
    "execution_timeout": "execution_timeout_secs",
    "run_timeout": "run_timeout_secs",
}
_DURATIONS = frozenset({"execution_timeout", "run_timeout"})

_BY_CODE: dict[str, type[ApiError]] = {
    "workflow_already_started": WorkflowAlreadyStarted,
    "workflow_closed": WorkflowClosed,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(reply: Reply) -> ApiError:
    """Return the error that an answer stands for."""
    code = reply.member("code") or f"http_{reply.status}"
    kind = _BY_CODE.get(code) or _BY_STATUS.get(reply.status, ApiError)
    message = reply.member("error") or "the service gave no reason"
    return kind(reply.status, code, message, reply.body if isinstance(reply.body, dict) else None)


def decoded(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's record with its JSON texts decoded."""
    found = dict(record)
    for name in JSON_TEXT:
        if isinstance(found.get(name), str):
            found[name] = loads(found[name])
    return found


def _next_cursor(reply: Reply) -> str | None:
    for link in parse_header_links(reply.headers.get("Link") or ""):
        if link.get("rel") == "next":
            return parse_qs(urlsplit(link["url"]).query).get("cursor", [None])[0]
    return None
