"""The client: start runs, find them, and look at the service that runs them.

Every call is safe to repeat (starts carry an Idempotency-Key, signals an id), so it is repeated while the
service is away, up to `patience` seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import Callable
from typing import TypedDict
from typing import Union
from typing import overload

from .caller import PAGE
from .caller import Caller
from .caller import decoded
from .definitions import R
from .definitions import Target
from .definitions import WorkflowCall
from .definitions import WorkflowDefinition
from .definitions import target
from .durations import Duration
from .durations import since_the_epoch
from .feed import Notice
from .feed import notices
from .jsontext import dumps
from .keys import ApiKeys
from .namespaces import Namespaces
from .runs import WorkflowHandle
from .schedules import Schedules
from .starts import NewRunOptions
from .starts import StartOptions
from .starts import StartRequest
from .starts import start_body
from .transport import DEFAULT_URL
from .transport import Connection
from .transport import Token
from .transport import segment

if TYPE_CHECKING:
    from typing import Literal
    from typing import TypeVarTuple
    from typing import Unpack

    Ts = TypeVarTuple("Ts")
    Group = Literal["status", "type", "queue", "close_reason", "day"]

PATIENCE_SECS = 30.0
BATCH = 1_000  # starts in one request
TIMES = ("created_after", "created_before", "closed_after", "closed_before")


class ListFilters(TypedDict, total=False):
    """Which runs `client.list` yields and `client.count` counts: those for which all of it holds.

    `q` is a filter in the service's filter language. Times are aware datetimes or seconds since the epoch.
    """

    status: Literal["PENDING", "RUNNING", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"] | None
    type: str | None
    search_attrs: Mapping[str, Any] | None
    claimed_by: str | None  # a worker's id
    parent_id: str | None  # the parent's workflow id
    created_after: Union[float, datetime, None]
    created_before: Union[float, datetime, None]
    closed_after: Union[float, datetime, None]
    closed_before: Union[float, datetime, None]
    q: str | None


class Client:
    """Talks to one service about one namespace. Threads may share it; `with` closes its connections."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: Token = None,
        namespace: str = "main",
        queue: str = "default",
        patience: float = PATIENCE_SECS,
        connection: Connection | None = None,  # its owner closes it
    ) -> None:
        self.namespace = namespace
        self.queue = queue
        self._caller = Caller(url, token, patience, connection)
        self.namespaces = Namespaces(self._caller)
        self.schedules = Schedules(self._caller, namespace, queue)
        self.api_keys = ApiKeys(self._caller)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the sockets. Another call opens them again."""
        self._caller.close()

    # ------------------------------------------------------------------------------------- starts

    # Any stands for the Context, which the worker gives.
    @overload
    def start(
        self, workflow: Callable[[Any, Unpack[Ts]], R], *args: Unpack[Ts], **options: Unpack[StartOptions]
    ) -> WorkflowHandle[R]: ...

    @overload
    def start(self, workflow: WorkflowCall[R], **options: Unpack[StartOptions]) -> WorkflowHandle[R]: ...

    @overload
    def start(self, workflow: str, input: Any = None, **options: Unpack[StartOptions]) -> WorkflowHandle[Any]: ...

    def start(  # type: ignore[misc]  # mypy does not see that *args takes Unpack[Ts]; the same below
        self, workflow: Any, *args: Any, **options: Any
    ) -> WorkflowHandle[Any]:
        """Start a run and return its handle.

        `workflow` is a workflow with its arguments, one that was prepared with them (`order.prepare(sku="a")`),
        or a name with the whole input. The options are those of StartOptions. Raises WorkflowAlreadyStarted.
        """
        wanted = self._target(workflow, args, options)
        key = options.pop("idempotency_key", None)
        started = self._caller.post("/workflows", self._body(wanted, options), key)
        return self._handle(started, wanted)

    @overload
    def execute(
        self,
        workflow: Callable[[Any, Unpack[Ts]], R],
        *args: Unpack[Ts],
        timeout: Duration | None = None,
        **options: Unpack[StartOptions],
    ) -> R: ...

    @overload
    def execute(
        self, workflow: WorkflowCall[R], *, timeout: Duration | None = None, **options: Unpack[StartOptions]
    ) -> R: ...

    @overload
    def execute(
        self, workflow: str, input: Any = None, *, timeout: Duration | None = None, **options: Unpack[StartOptions]
    ) -> Any: ...

    def execute(  # type: ignore[misc]
        self, workflow: Any, *args: Any, timeout: Duration | None = None, **options: Any
    ) -> Any:
        """Start a run as `start` does, wait for its end, and return its result as `handle.result(timeout)` does."""
        return self.start(workflow, *args, **options).result(timeout)

    @overload
    def signal_with_start(
        self,
        workflow: Callable[[Any, Unpack[Ts]], R],
        *args: Unpack[Ts],
        id: str,
        signal: str,
        payload: Any = None,
        signal_id: str | None = None,
        **options: Unpack[NewRunOptions],
    ) -> WorkflowHandle[R]: ...

    @overload
    def signal_with_start(
        self,
        workflow: WorkflowCall[R],
        *,
        id: str,
        signal: str,
        payload: Any = None,
        signal_id: str | None = None,
        **options: Unpack[NewRunOptions],
    ) -> WorkflowHandle[R]: ...

    @overload
    def signal_with_start(
        self,
        workflow: str,
        input: Any = None,
        *,
        id: str,
        signal: str,
        payload: Any = None,
        signal_id: str | None = None,
        **options: Unpack[NewRunOptions],
    ) -> WorkflowHandle[Any]: ...

    def signal_with_start(  # type: ignore[misc]
        self,
        workflow: Any,
        *args: Any,
        id: str,
        signal: str,
        payload: Any = None,
        signal_id: str | None = None,
        **options: Any,
    ) -> WorkflowHandle[Any]:
        """Signal the open run of an id, or start one with that signal; return the handle of the run that has it.

        The workflow is given as in `start`; it and the options matter only where no run is open.
        """
        wanted = self._target(workflow, args, options)
        key = options.pop("idempotency_key", None)
        body = self._body(wanted, options)
        body.update(signal=signal, payload=payload, signal_id=signal_id or uuid.uuid4().hex)
        return self._handle(self._caller.post(f"/workflows/{segment(id)}/signal-with-start", body, key), wanted)

    def start_many(self, starts: Iterable[StartRequest]) -> list[dict[str, Any]]:
        """Start many runs, a thousand to a request; return one outcome each, in the order given.

        Each start has `workflow`, its whole `input` if any, and may have the options of `start`, but for
        `idempotency_key`. An outcome holds workflow_id, run_id and status, or error and code.
        """
        bodies = []
        for one in starts:
            options: dict[str, Any] = dict(one)
            wanted = target(options.pop("workflow"), (), {}, {})
            body = self._body(wanted, options) if "input" not in options else self._raw_body(wanted, options)
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
            answer = self._caller.post("/workflows/batch", {"workflows": some})
            for body, own, outcome in zip(some, ours, answer["results"]):
                if own and outcome.get("code") == "workflow_already_started":
                    outcome = {
                        "workflow_id": body["workflow_id"],
                        "run_id": outcome.get("run_id"),
                        "status": outcome.get("status", "PENDING"),
                    }
                outcomes.append(outcome)
        return outcomes

    @staticmethod
    def _target(workflow: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Target:
        if isinstance(workflow, str) and "input" in options:
            args = (*args, options.pop("input"))
        return target(workflow, args, {}, {})

    def _body(self, wanted: Target, options: Mapping[str, Any]) -> dict[str, Any]:
        body = start_body(wanted, self.namespace, self.queue, options)
        input = wanted.input
        return body if input is None else {**body, "input": input}

    def _raw_body(self, wanted: Target, options: dict[str, Any]) -> dict[str, Any]:
        input = options.pop("input")
        return {**start_body(wanted, self.namespace, self.queue, options), "input": input}

    def _handle(self, started: Mapping[str, Any], wanted: Target) -> WorkflowHandle[Any]:
        return WorkflowHandle(
            self._caller, self.namespace, started["workflow_id"], started["run_id"], wanted.definition
        )

    # ------------------------------------------------------------------------------------- runs

    @overload
    def handle(
        self, workflow_id: str, workflow: WorkflowDefinition[..., R], *, run_id: str | None = None
    ) -> WorkflowHandle[R]: ...

    @overload
    def handle(self, workflow_id: str, workflow: None = None, *, run_id: str | None = None) -> WorkflowHandle[Any]: ...

    def handle(self, workflow_id: str, workflow: Any = None, *, run_id: str | None = None) -> WorkflowHandle[Any]:
        """Return a handle on the newest run of an id, or on one run. Asks nothing of the service.

        With the workflow that it runs, `result()` has the type that the workflow declares.
        """
        return WorkflowHandle(self._caller, self.namespace, workflow_id, run_id, workflow)

    def list(
        self, limit: int | None = None, page: int = 100, **filters: Unpack[ListFilters]
    ) -> Iterator[dict[str, Any]]:
        """Yield records, newest first unless `q` orders them: all that match the ListFilters, or `limit` of them."""
        params = {**self._filters(filters), "limit": page}
        left = limit
        if left is not None and left <= 0:
            return
        for rows in self._caller.pages("/workflows", **params):
            for record in rows[:left]:
                yield decoded(record)
            left = None if left is None else left - len(rows)
            if left is not None and left <= 0:
                return

    @overload
    def count(self, group_by: None = None, **filters: Unpack[ListFilters]) -> int: ...

    @overload
    def count(self, group_by: Group, **filters: Unpack[ListFilters]) -> dict[Union[str, None], int]: ...

    def count(self, group_by: Any = None, **filters: Any) -> Any:
        """Count the runs that match the ListFilters; with `group_by` those of each group, the largest first.

        Groups are a status, a type, a queue, a close_reason (None: open) or a day of starts in UTC, and a thousand
        at most.
        """
        answer = self._caller.get("/workflows/count", **self._filters(filters), group_by=group_by)
        if group_by is None:
            return answer["count"]
        return {group["value"]: group["count"] for group in answer["groups"]}

    def _filters(self, filters: Mapping[str, Any]) -> dict[str, Any]:
        params: dict[str, Any] = {"namespace": self.namespace, **filters}
        if isinstance(params.get("search_attrs"), Mapping):
            params["search_attrs"] = dumps(params["search_attrs"]).decode()
        for name in TIMES:
            if params.get(name) is not None:
                params[name] = since_the_epoch(name, params[name])
        return params

    # ------------------------------------------------------------------------------------- the service

    def workers(self) -> Iterator[dict[str, Any]]:
        """Yield the records of the namespace's workers that are not retired, by id."""
        for record in self._caller.short_pages("/workers", namespace=self.namespace):
            yield decoded(record, ("workflows", "activities"))

    def queues(self) -> Iterator[dict[str, Any]]:
        """Yield what waits and runs in each queue of the namespace."""
        yield from self._caller.get("/queues", namespace=self.namespace)

    def backlog(self) -> Iterator[dict[str, Any]]:
        """Yield what waits and what fails in each queue that has any, by type, with how many live workers take it."""
        yield from self._caller.get("/backlog", namespace=self.namespace)

    def audit(
        self,
        *,
        principal: str | None = None,
        action: str | None = None,
        target: str | None = None,
        outcome: str | None = None,
        after: float | datetime | None = None,
        before: float | datetime | None = None,
        namespace: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield who did what, newest first: in all namespaces that the client's key manages, or in one."""
        moments = {
            name: None if moment is None else since_the_epoch(name, moment)
            for name, moment in (("after", after), ("before", before))
        }
        asked = {"principal": principal, "action": action, "target": target, "outcome": outcome, "namespace": namespace}
        for page in self._caller.pages("/audit", "before_id", limit=PAGE, **asked, **moments):
            yield from page

    def events(
        self,
        after: str | None = None,
        *,
        workflow_id: str | None = None,
        types: Union[str, Iterable[str]] = (),
        everywhere: bool = False,
        follow: bool = True,
    ) -> Iterator[Notice]:
        """Yield what happens to the namespace's runs, in order and for ever: their payloads are decoded.

        It begins now, or `after` a cursor: the `id` of a notice, or "oldest" for all that is kept. Without `follow`
        it ends when there is no more. `everywhere`: of all namespaces that the key may see. Lost connections and
        restarts are outlived as in every call. Raises FeedReset, Unavailable.
        """
        return notices(self._caller, None if everywhere else self.namespace, workflow_id, types, after, follow)

    def activity(self, activity_id: Union[int, str]) -> dict[str, Any]:
        """Return the record of an activity, its input and result decoded. Raises NotFound."""
        return decoded(self._caller.get(f"/activities/{segment(str(activity_id))}", namespace=self.namespace))

    def version(self) -> dict[str, Any]:
        """Return which build answers: `version` and `build_profile`."""
        answer: dict[str, Any] = self._caller.get("/version")
        return answer
