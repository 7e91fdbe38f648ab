"""Workers: register, live, and one request that hands in finished work and takes new work."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.requests import MAIN
from ..domain.requests import Registration
from ..domain.requests import WorkerInfo
from . import checks
from . import records
from .access import caller_gone
from .admission import retry_after_secs
from .context import admission
from .context import engine
from .contract import operation
from .exchange import TYPES
from .exchange import ExchangeBody
from .exchange import HandedIn
from .exchange import names
from .exchange import put_back
from .exchange import read_exchange
from .exchange import with_wait
from .fields import Body
from .fields import Checked
from .idempotency import idempotency
from .references import Id
from .references import InNamespace
from .references import PartQuery

bp = Blueprint("assay_workers", __name__)


class RegistrationBody(Body):
    """What a worker that polls says of itself."""

    identity = Id(required=True, says="What it calls itself; for people.")
    queue = Id(required=True, says="The queue that it works for.")
    namespace = Id(load_default=MAIN, says="It gets this namespace's work only.")
    workflows = Checked(names, load_default=None, says=TYPES)
    activities = Checked(names, load_default=None, says="The activities that it takes; the same holds.")
    max_concurrent_workflows = Checked(checks.integer, load_default=10, says="For people; nobody enforces it.")
    max_concurrent_activities = Checked(checks.integer, load_default=10, says="For people; nobody enforces it.")


class LivesBody(Body):
    """Which worker."""

    worker_id = Id(required=True, says="As the registration answered it.")


class WorkersQuery(PartQuery):
    """Which workers, by id."""

    namespace = Id(load_default=MAIN, says="Workers of this namespace.")


@bp.post("/workers/register")
@operation(
    access=Access.WORK,
    body=RegistrationBody,
    returns=records.Registered,
    example={"identity": "packer@host-1", "queue": "main", "workflows": ["Order"], "activities": ["pack"]},
)
def register(body: dict[str, Any], raw: bytes) -> Any:
    """Register a worker that will poll; it is told its id."""
    key = idempotency(raw)
    info = WorkerInfo(identity=body.pop("identity"), workflows=body.pop("workflows"), activities=body.pop("activities"))
    with admission().waiting():
        return engine().workers.register(Registration(info=info, **body), idempotency=key)


@bp.post("/workers/heartbeat")
@operation(access=Access.WORK, body=LivesBody, query=InNamespace, returns=records.Lives, example={"worker_id": "w-1"})
def heartbeat(body: dict[str, Any], query: dict[str, Any]) -> Any:
    """Note that a worker lives."""
    return engine().workers.heartbeat(body["worker_id"], query["namespace"])


@bp.get("/workers")
@operation(access=Access.READ, query=WorkersQuery, returns=records.WorkerRecord, many=True, tagged=True)
def list_workers(query: dict[str, Any]) -> Any:
    """List the workers of a namespace that are not retired."""
    return engine().workers.list(query["namespace"], limit=query["limit"], offset=query["offset"])


@bp.post("/workers/<worker_id>/exchange")
@operation(
    access=Access.WORK,
    body=ExchangeBody,
    returns=records.Exchanged,
    example={
        "worker": {"identity": "packer@host-2"}, "session": "s-1", "n": 1, "queue": "main",
        "workflow_slots": 10, "activity_slots": 10,
    },
)  # fmt: skip
def exchange(worker_id: str, body: dict[str, Any]) -> Any:
    """Hand in finished work, take new work."""
    handed_in = read_exchange(worker_id, body)
    wanted = handed_in.exchange
    wait_secs = min(wanted.wait_secs, admission().long_poll_max_secs)
    if not wait_secs or not (wanted.workflow_slots or wanted.activity_slots):
        return _carry_out(handed_in, 0.0)
    with admission().long_poll() as may_wait:
        answer = _carry_out(handed_in, wait_secs if may_wait else 0.0)
    if not may_wait and not answer["workflow_tasks"] and not answer["activity_tasks"]:
        answer["retry_after"] = retry_after_secs(worker_id, wanted.n)
    return answer


def _carry_out(handed_in: HandedIn, wait_secs: float) -> dict[str, Any]:
    answer: dict[str, Any] = engine().workers.exchange(
        with_wait(handed_in.exchange, wait_secs),
        client_gone=caller_gone(),
        waiting=admission().waiting,
    )
    if handed_in.refused_results:
        answer["results"] = put_back(answer["results"], handed_in.refused_results)
    if handed_in.refused_heartbeats:
        answer["heartbeats"] = put_back(answer["heartbeats"], handed_in.refused_heartbeats)
    return answer
