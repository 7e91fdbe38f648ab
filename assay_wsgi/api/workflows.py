"""Runs: start, list, describe, history, signal, cancel, terminate, state."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint
from flask import request

from ..domain.errors import AssayError
from ..domain.requests import MAIN
from ..domain.requests import ListFilter
from ..domain.requests import RunRef
from ..domain.requests import StartRun
from . import checks
from . import records
from .context import admission
from .context import engine
from .contract import Answer
from .contract import operation
from .errors import refusal
from .fields import Body
from .fields import Checked
from .fields import ListQuery
from .fields import Query
from .fields import load
from .fields import query_attributes
from .fields import query_integer
from .fields import query_time
from .idempotency import idempotency

MAX_BATCH = 1000
MAX_PAGE = 1000
MAX_CURSOR_CHARS = 1000
STATUSES = ("PENDING", "RUNNING", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
ID_CONFLICT = ("fail", "use_existing", "terminate_existing")
ID_REUSE = ("allow", "allow_failed_only", "reject")

bp = Blueprint("assay_workflows", __name__)

_Id = partial(Checked, checks.identifier)


class OneRun(Query):
    """Which run of an id, in which namespace."""

    namespace = _Id(load_default=None)
    run_id = _Id(checks.MAX_RUN_ID_CHARS, load_default=None)


def _ref(workflow_id: str, query: dict[str, Any]) -> RunRef:
    return RunRef(workflow_id=workflow_id, namespace=query["namespace"], run_id=query["run_id"])


# ---------------------------------------------------------------------------------------------------- start


class StartBody(Body):
    """A run to start."""

    workflow_type = _Id(required=True)
    workflow_id = _Id(load_default=None)
    namespace = _Id(load_default=MAIN)
    task_queue = _Id(load_default=MAIN)
    input = Checked(checks.payload, load_default=None)
    search_attributes = Checked(checks.attributes, load_default=None)
    id_conflict = Checked(checks.choice, ID_CONFLICT, load_default="fail")
    id_reuse = Checked(checks.choice, ID_REUSE, load_default="allow")


class BatchBody(Body):
    """Runs to start together; each is checked on its own."""

    workflows = Checked(checks.items, MAX_BATCH, required=True)


_ONE_START = StartBody()


@bp.post("/workflows")
@operation(body=StartBody, returns=records.RunStarted, status=201)
def start(body: dict[str, Any], raw: bytes) -> Any:
    """Start a run."""
    wanted, key = StartRun(**body), idempotency(raw)
    with admission().waiting():
        answer = engine().workflows.start(wanted, idempotency=key)
    return Answer(answer, 200) if answer.get("already_started") else answer


@bp.post("/workflows/batch")
@operation(body=BatchBody, returns=records.BatchStarted)
def start_batch(body: dict[str, Any], raw: bytes) -> Any:
    """Start up to 1,000 runs, each with an outcome of its own."""
    results: list[dict[str, Any] | None] = []
    wanted = []
    for item in body["workflows"]:
        try:
            wanted.append(StartRun(**load(_ONE_START, item)))
            results.append(None)
        except AssayError as error:
            results.append(refusal(error))
    key = idempotency(raw)
    with admission().waiting():
        outcomes = iter(engine().workflows.start_batch(wanted, idempotency=key) if wanted else [])
    return {"results": [_outcome(next(outcomes)) if result is None else result for result in results]}


def _outcome(outcome: dict[str, Any] | AssayError) -> dict[str, Any]:
    return refusal(outcome) if isinstance(outcome, AssayError) else outcome


# ----------------------------------------------------------------------------------------------------- read


class RunsQuery(ListQuery):
    """Which runs, newest first."""

    namespace = _Id(load_default=MAIN)
    status = Checked(checks.choice, STATUSES, "invalid_filter", load_default=None)
    workflow_type = _Id(load_default=None, data_key="type")
    search_attrs = Checked(query_attributes, load_default=None)
    claimed_by = _Id(load_default=None)
    parent_id = _Id(load_default=None)
    created_after = Checked(query_time, load_default=None)
    created_before = Checked(query_time, load_default=None)
    closed_after = Checked(query_time, load_default=None)
    closed_before = Checked(query_time, load_default=None)
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=50)
    offset = Checked(query_integer, 0, 2**62, load_default=0)
    cursor = _Id(MAX_CURSOR_CHARS, load_default=None)


@bp.get("/workflows")
@operation(query=RunsQuery, returns=records.RunRecord)
def list_runs(query: dict[str, Any]) -> Any:
    """List runs, newest first; the Link header names the next page."""
    found, cursor = engine().workflows.list(ListFilter(**query))
    if cursor is None:
        return found
    return Answer(found, 200, {"Link": f'<{_page_at(cursor)}>; rel="next"'})


def _page_at(cursor: str) -> str:
    kept = [(name, value) for name, value in request.args.items() if name not in ("cursor", "offset")]
    return f"{request.script_root}{request.path}?{urlencode([*kept, ('cursor', cursor)])}"


@bp.get("/workflows/<workflow_id>")
@operation(query=OneRun, returns=records.RunRecord)
def describe(workflow_id: str, query: dict[str, Any]) -> Any:
    """Describe a run."""
    return engine().workflows.describe(_ref(workflow_id, query))


class EventsQuery(ListQuery):
    """Which part of a history."""

    namespace = _Id(load_default=None)
    run_id = _Id(checks.MAX_RUN_ID_CHARS, load_default=None)
    after_seq = Checked(query_integer, load_default=0)
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=None)
    order = Checked(checks.choice, ("asc", "desc"), "invalid_filter", load_default="asc")


@bp.get("/workflows/<workflow_id>/events")
@operation(query=EventsQuery, returns=records.EventRecord)
def events(workflow_id: str, query: dict[str, Any]) -> Any:
    """Show a run's history."""
    return engine().workflows.events(
        _ref(workflow_id, query), after_seq=query["after_seq"], limit=query["limit"], order=query["order"]
    )


@bp.get("/workflows/<workflow_id>/state")
@operation(query=OneRun, returns=records.State)
def state(workflow_id: str, query: dict[str, Any]) -> Any:
    """Show what the run last answered to queries."""
    return engine().workflows.state(_ref(workflow_id, query))


# ------------------------------------------------------------------------------------------------- act on it


class SignalBody(Body):
    """What comes with a signal."""

    payload = Checked(checks.payload, load_default=None)
    signal_id = _Id(load_default=None)


class ReasonBody(Body):
    """Why."""

    reason = Checked(checks.text, load_default=None)


@bp.post("/workflows/<workflow_id>/signal/<name>")
@operation(body=SignalBody, query=OneRun, returns=records.SignalTaken)
def signal(workflow_id: str, name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Send a signal to a run."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.signal(
            _ref(workflow_id, query), name, body["payload"], signal_id=body["signal_id"], idempotency=key
        )


@bp.post("/workflows/<workflow_id>/cancel")
@operation(body=ReasonBody, query=OneRun, returns=records.Done)
def cancel(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Ask a run to end."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.cancel(_ref(workflow_id, query), reason=body["reason"], idempotency=key)


@bp.post("/workflows/<workflow_id>/terminate")
@operation(body=ReasonBody, query=OneRun, returns=records.Done)
def terminate(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """End a run now."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.terminate(_ref(workflow_id, query), reason=body["reason"], idempotency=key)
