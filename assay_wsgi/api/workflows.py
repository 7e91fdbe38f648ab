"""Runs: start, list, describe, history, signal, retry now, cancel, terminate, state."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.commands import ContinueAsNew
from ..domain.errors import AssayError
from ..domain.filters import GROUPS
from ..domain.filters import STATUSES
from ..domain.requests import ID_CONFLICT
from ..domain.requests import ID_REUSE
from ..domain.requests import MAIN
from ..domain.requests import ListFilter
from ..domain.requests import SentSignal
from ..domain.requests import StartRun
from . import checks
from . import records
from .access import caller
from .commands import MIN_TIMEOUT_SECS
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
from .fields import query_filter
from .fields import query_integer
from .fields import query_time
from .idempotency import idempotency
from .references import IN_NAMESPACE
from .references import MAX_OFFSET
from .references import MAX_PAGE
from .references import WHICH_RUN
from .references import Id
from .references import OneRun
from .references import next_page
from .references import run_ref

MAX_BATCH = 1000
MAX_CURSOR_CHARS = 2000
SIGNAL_ID = "Yours: a signal with the same id is not taken twice."

bp = Blueprint("assay_workflows", __name__)


# ---------------------------------------------------------------------------------------------------- start


class NewRunBody(Body):
    """What a new run is."""

    workflow_type = Id(required=True, says="The name of the workflow function, as its worker has it.")
    namespace = Id(load_default=MAIN, says="The namespace; it is made where it is not there.")
    task_queue = Id(load_default=MAIN, says="Whose workers run it.")
    input = Checked(checks.payload, load_default=None, says="What the workflow is given.")
    search_attributes = Checked(
        checks.attributes, load_default=None, says="By what it can be found; `assay_engine_version` is added."
    )
    id_reuse = Checked(
        checks.choice,
        ID_REUSE,
        load_default="allow",
        says="Whether a closed run of this id may be followed by another.",
    )
    execution_timeout_secs = Checked(
        checks.number, MIN_TIMEOUT_SECS, load_default=None,
        says="How long the run and all that continue it may take together.",
    )  # fmt: skip
    run_timeout_secs = Checked(
        checks.number, MIN_TIMEOUT_SECS, load_default=None, says="How long each of these runs may take."
    )


class StartBody(NewRunBody):
    """A run to start."""

    workflow_id = Id(
        load_default=None, says="The run's id in its namespace; `wf-<type>-<milliseconds>` where it is left out."
    )
    id_conflict = Checked(
        checks.choice, ID_CONFLICT, load_default="fail", says="What to do where a run of this id is open."
    )


class BatchBody(Body):
    """Runs to start together; each is checked on its own."""

    workflows = Checked(checks.items, MAX_BATCH, required=True, says="Bodies as `POST /workflows` takes them.")


_ONE_START = StartBody()


@bp.post("/workflows")
@operation(
    access=Access.OPERATE,
    body=StartBody,
    returns=records.RunStarted,
    status=201,
    also=(200,),
    refuses=("workflow_already_started",),
    example={"workflow_type": "Order", "workflow_id": "order-7", "input": {"item": "lamp"}},
)
def start(body: dict[str, Any], raw: bytes) -> Any:
    """Start a run: 200 where `use_existing` found an open one."""
    wanted, key = StartRun(**body), idempotency(raw)
    with admission().waiting():
        answer = engine().workflows.start(wanted, idempotency=key)
    return Answer(answer, 200) if answer.get("already_started") else answer


@bp.post("/workflows/batch")
@operation(
    access=Access.OPERATE,
    body=BatchBody,
    returns=records.BatchStarted,
    example={"workflows": [{"workflow_type": "Order", "workflow_id": f"order-{n}"} for n in (8, 9)]},
)
def start_batch(body: dict[str, Any], raw: bytes) -> Any:
    """Start up to 1,000 runs, each with an outcome of its own."""
    results: list[dict[str, Any] | None] = []
    wanted = []
    for item in body["workflows"]:
        try:
            one = load(_ONE_START, item)
            one["namespace"] = caller().own(one["namespace"])
            wanted.append(StartRun(**one))
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


class FilterQuery(ListQuery):
    """Which runs; what is asked must all hold."""

    namespace = Id(load_default=MAIN, says="Runs of this namespace.")
    status = Checked(
        checks.choice, STATUSES, "invalid_filter", load_default=None,
        says="Runs of this status. WAITING finds the RUNNING ones that are parked on a signal.",
    )  # fmt: skip
    workflow_type = Id(load_default=None, data_key="type", says="Runs of this type.")
    search_attrs = Checked(
        query_attributes, load_default=None, says="A JSON object: runs that have all of these search attributes."
    )
    claimed_by = Id(load_default=None, says="Runs whose workflow task this worker holds.")
    parent_id = Id(load_default=None, says="Children of this workflow id.")
    created_after = Checked(query_time, load_default=None, says="Runs that were started after this moment.")
    created_before = Checked(query_time, load_default=None, says="Runs that were started before this moment.")
    closed_after = Checked(query_time, load_default=None, says="Runs that ended after this moment.")
    closed_before = Checked(query_time, load_default=None, says="Runs that ended before this moment.")
    q = Checked(query_filter, load_default=None, says="A filter in the filter language.")


class RunsQuery(FilterQuery):
    """Which runs, newest first unless `q` orders them otherwise."""

    limit = Checked(query_integer, 1, MAX_PAGE, load_default=50, says="How many at most.")
    offset = Checked(query_integer, 0, MAX_OFFSET, load_default=0, says="How many to leave out; a cursor is cheaper.")
    cursor = Id(MAX_CURSOR_CHARS, load_default=None, says="Where to go on, from the Link header.")


@bp.get("/workflows")
@operation(
    access=Access.READ,
    query=RunsQuery,
    returns=records.RunRecord,
    many=True,
    tagged=True,
    refuses=("invalid_cursor", "search_too_slow"),
    asks={"workflow_type": "Order", "status": "PENDING", "limit": 10},
)
def list_runs(query: dict[str, Any]) -> Any:
    """List runs, newest first; the Link header names the next page."""
    return _page(*engine().workflows.list(ListFilter(**query)))


class CountQuery(FilterQuery):
    """Which runs to count, and by what."""

    group_by = Checked(
        checks.choice, GROUPS, "invalid_filter", load_default=None,
        says="Count each group for itself; a `day` is that of the start, in UTC.",
    )  # fmt: skip


@bp.get("/workflows/count")
@operation(
    access=Access.READ,
    query=CountQuery,
    returns=records.RunCount,
    tagged=True,
    refuses=("search_too_slow",),
    asks={"q": "WorkflowType = 'Order'", "group_by": "status"},
)
def count_runs(query: dict[str, Any]) -> Any:
    """Count runs, all of them or by group; of groups the thousand largest are told."""
    by = query.pop("group_by")
    return engine().workflows.count(ListFilter(**query), group_by=by)


def _page(found: Any, cursor: str | None) -> Any:
    return found if cursor is None else Answer(found, 200, next_page(cursor=cursor, offset=None))


@bp.get("/workflows/<workflow_id>")
@operation(
    access=Access.READ,
    query=OneRun,
    returns=records.RunRecord,
    tagged=True,
    refuses=("not_found", "ambiguous_namespace"),
)
def describe(workflow_id: str, query: dict[str, Any]) -> Any:
    """Describe a run."""
    return engine().workflows.describe(run_ref(workflow_id, query))


class EventsQuery(ListQuery):
    """Which part of a history; without limit and order, all after `after_seq`."""

    namespace = Id(load_default=None, says=IN_NAMESPACE)
    run_id = Id(checks.MAX_RUN_ID_CHARS, load_default=None, says=WHICH_RUN)
    after_seq = Checked(query_integer, load_default=0, says="Events after this one.")
    before_seq = Checked(query_integer, load_default=checks.MAX_INTEGER, says="Events before this one.")
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=None, says="How many at most; without it, all.")
    order = Checked(
        checks.choice, ("asc", "desc"), "invalid_filter", load_default="asc", says="Oldest first, or newest first."
    )


@bp.get("/workflows/<workflow_id>/events")
@operation(
    access=Access.READ,
    query=EventsQuery,
    returns=records.EventRecord,
    many=True,
    tagged=True,
    refuses=("not_found", "ambiguous_namespace"),
    asks={"after_seq": 0, "limit": 100},
)
def events(workflow_id: str, query: dict[str, Any]) -> Any:
    """Show a run's history; of a part of it the Link header names the next one."""
    ref, after, before = run_ref(workflow_id, query), query["after_seq"], query["before_seq"]
    descending = query["order"] == "desc"
    if query["limit"] is None:
        found = engine().workflows.events(ref, after_seq=after, before_seq=before)
        return found[::-1] if descending else found
    found, more = engine().workflows.page_of_events(
        ref, after_seq=after, before_seq=before, limit=query["limit"], descending=descending
    )
    if not more:
        return found
    return Answer(found, 200, next_page(**{"before_seq" if descending else "after_seq": found[-1]["seq"]}))


class ChildrenQuery(ListQuery):
    """Which part of the children, newest first."""

    namespace = Id(load_default=None, says=IN_NAMESPACE)
    run_id = Id(checks.MAX_RUN_ID_CHARS, load_default=None, says=WHICH_RUN)
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=MAX_PAGE, says="How many at most.")
    offset = Checked(query_integer, 0, MAX_OFFSET, load_default=0, says="How many to leave out; a cursor is cheaper.")
    cursor = Id(MAX_CURSOR_CHARS, load_default=None, says="Where to go on, from the Link header.")


@bp.get("/workflows/<workflow_id>/children")
@operation(
    access=Access.READ,
    query=ChildrenQuery,
    returns=records.RunRecord,
    many=True,
    tagged=True,
    refuses=("not_found", "ambiguous_namespace", "invalid_cursor", "search_too_slow"),
)
def children(workflow_id: str, query: dict[str, Any]) -> Any:
    """List a run's children, newest first; the Link header names the next page."""
    part = ListFilter(limit=query["limit"], offset=query["offset"], cursor=query["cursor"])
    return _page(*engine().workflows.children(run_ref(workflow_id, query), part))


class TreeQuery(ListQuery):
    """How much of a tree."""

    namespace = Id(load_default=None, says=IN_NAMESPACE)
    run_id = Id(checks.MAX_RUN_ID_CHARS, load_default=None, says=WHICH_RUN)
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=MAX_PAGE, says="How many runs at most.")


@bp.get("/workflows/<workflow_id>/tree")
@operation(
    access=Access.READ,
    query=TreeQuery,
    returns=records.RunTree,
    tagged=True,
    refuses=("not_found", "ambiguous_namespace"),
)
def tree(workflow_id: str, query: dict[str, Any]) -> Any:
    """Show a run with all runs below it."""
    return engine().workflows.tree(run_ref(workflow_id, query), limit=query["limit"])


@bp.get("/workflows/<workflow_id>/state")
@operation(
    access=Access.READ, query=OneRun, returns=records.State, tagged=True, refuses=("not_found", "ambiguous_namespace")
)
def state(workflow_id: str, query: dict[str, Any]) -> Any:
    """Show what the run last answered to queries."""
    return engine().workflows.state(run_ref(workflow_id, query))


@bp.get("/workflows/<workflow_id>/state/<name>")
@operation(
    access=Access.READ,
    query=OneRun,
    returns=records.Value,
    tagged=True,
    refuses=("not_found", "ambiguous_namespace"),
    names={"name": ("What the run shows it under.", "stage")},
)
def state_value(workflow_id: str, name: str, query: dict[str, Any]) -> Any:
    """Show what the run last answered to one query."""
    return engine().workflows.state_value(run_ref(workflow_id, query), name)


# ------------------------------------------------------------------------------------------------- act on it


class SignalBody(Body):
    """What comes with a signal."""

    payload = Checked(checks.payload, load_default=None, says="What the run is given with it.")
    signal_id = Id(load_default=None, says=SIGNAL_ID)


class ReasonBody(Body):
    """Why."""

    reason = Checked(checks.text, load_default=None, says="For people; it stands in the history.")


@bp.post("/workflows/<workflow_id>/signal/<name>")
@operation(
    access=Access.OPERATE,
    body=SignalBody,
    query=OneRun,
    returns=records.SignalTaken,
    refuses=("not_found", "ambiguous_namespace", "workflow_closed", "signal_limit"),
    names={"name": ("The signal's name.", "approve")},
    example={"payload": {"by": "Ada"}, "signal_id": "approval-1"},
)
def signal(workflow_id: str, name: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Send a signal to a run."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.signal(
            run_ref(workflow_id, query), name, body["payload"], signal_id=body["signal_id"], idempotency=key
        )


class SpaceOfStart(Query):
    """In which namespace."""

    namespace = Id(load_default=MAIN, says="The namespace, where the body names none.")


class SignalWithStartBody(NewRunBody):
    """A signal, and the run to start where none is open."""

    signal = Id(required=True, says="The signal's name.")
    payload = Checked(checks.payload, load_default=None, says="What the run is given with it.")
    signal_id = Id(load_default=None, says=SIGNAL_ID)
    namespace = Id(load_default=None, says="The namespace; else the query's, else `main`. It is made at need.")


@bp.post("/workflows/<workflow_id>/signal-with-start")
@operation(
    access=Access.OPERATE,
    body=SignalWithStartBody,
    query=SpaceOfStart,
    returns=records.SignalledWithStart,
    status=201,
    also=(200,),
    refuses=("workflow_already_started", "signal_limit"),
    example={"workflow_type": "Cart", "signal": "add", "payload": {"item": "lamp"}},
    names={"workflow_id": ("The run's workflow id.", "cart-3")},
)
def signal_with_start(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Signal the open run of an id, or start one with that signal: 201 where it was started, else 200."""
    key = idempotency(raw)
    sent = SentSignal(name=body.pop("signal"), payload=body.pop("payload"), signal_id=body.pop("signal_id"))
    namespace = body.pop("namespace") or query["namespace"]
    request = StartRun(workflow_id=workflow_id, namespace=namespace, **body)
    with admission().waiting():
        answer = engine().workflows.signal_with_start(request, sent, idempotency=key)
    return answer if answer["started"] else Answer(answer, 200)


class RetryNowBody(Body):
    """What is tried again."""

    activities = Checked(
        checks.boolean, load_default=True, says="Whether activities that wait between attempts are, too."
    )


@bp.post("/workflows/<workflow_id>/retry-now")
@operation(
    access=Access.OPERATE,
    body=RetryNowBody,
    query=OneRun,
    returns=records.RetriedNow,
    refuses=("not_found", "ambiguous_namespace", "workflow_closed"),
    example={"activities": True},
    names={"workflow_id": ("The run's workflow id.", "order-8")},
)
def retry_now(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """End a run's back-off: what failed and waits to be tried again is ready at once, and its next wait is short."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.retry_now(run_ref(workflow_id, query), activities=body["activities"], idempotency=key)


@bp.post("/workflows/<workflow_id>/cancel")
@operation(
    access=Access.OPERATE,
    body=ReasonBody,
    query=OneRun,
    returns=records.Done,
    refuses=("not_found", "ambiguous_namespace", "already_terminal"),
    example={"reason": "out of stock"},
    names={"workflow_id": ("The run's workflow id.", "order-8")},
)
def cancel(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Ask a run to end; its code may clean up. One that no worker has begun ends at once."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.cancel(run_ref(workflow_id, query), reason=body["reason"], idempotency=key)


@bp.post("/workflows/<workflow_id>/terminate")
@operation(
    access=Access.OPERATE,
    body=ReasonBody,
    query=OneRun,
    returns=records.Done,
    refuses=("not_found", "ambiguous_namespace", "already_terminal"),
    example={"reason": "out of stock"},
    names={"workflow_id": ("The run's workflow id.", "order-9")},
)
def terminate(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """End a run now, whatever it is doing; its code is not asked."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.terminate(
            run_ref(workflow_id, query), reason=body["reason"], by=caller().known_as, idempotency=key
        )


class ContinueBody(Body):
    """What the next run begins with."""

    input = Checked(checks.payload, load_default=None, says="What the next run is given.")
    workflow_id = Id(load_default=None, says="Its id; `<base>-continued-<n>` where it is left out.")
    workflow_type = Id(load_default=None, says="Its type; the same where it is left out.")
    task_queue = Id(load_default=None, says="Its queue; the same where it is left out.")


@bp.post("/workflows/<workflow_id>/continue-as-new")
@operation(
    access=Access.OPERATE,
    body=ContinueBody,
    query=OneRun,
    returns=records.RunStarted,
    status=201,
    refuses=("not_found", "ambiguous_namespace", "workflow_already_started"),
    example={"input": {"item": "lamp"}},
    names={"workflow_id": ("The run's workflow id.", "order-8")},
)
def continue_as_new(workflow_id: str, body: dict[str, Any], query: dict[str, Any], raw: bytes) -> Any:
    """Close a run and start the next of its chain; of a closed one, start a fresh run like it."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().workflows.continue_as_new(run_ref(workflow_id, query), ContinueAsNew(**body), idempotency=key)
