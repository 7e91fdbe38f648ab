"""Namespaces, the queues inside them, and what waits there."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.requests import MAIN
from . import records
from .access import caller
from .context import admission
from .context import engine
from .contract import Answer
from .contract import operation
from .fields import Body
from .fields import Checked
from .fields import ListQuery
from .fields import Query
from .fields import query_boolean
from .idempotency import idempotency
from .references import Id
from .references import PartQuery

bp = Blueprint("assay_namespaces", __name__)


class NamespaceBody(Body):
    """A namespace to make."""

    name = Id(required=True, says="Its name.")


class DeletionQuery(Query):
    """Whether all that is in it goes, too."""

    force = Checked(query_boolean, load_default=False, says="End and delete its runs, too.")


@bp.post("/namespaces")
@operation(
    access=Access.GOVERN,
    body=NamespaceBody,
    returns=records.NamespaceRecord,
    status=201,
    refuses=("namespace_exists",),
    example={"name": "shop"},
)
def create(body: dict[str, Any], raw: bytes) -> Any:
    """Make a namespace."""
    key = idempotency(raw)
    with admission().waiting():
        return engine().namespaces.create(body["name"], idempotency=key)


@bp.get("/namespaces")
@operation(access=Access.READ, query=PartQuery, returns=records.NamespaceRecord, many=True, tagged=True)
def list_namespaces(query: dict[str, Any]) -> Any:
    """List the namespaces."""
    return engine().namespaces.list(among=caller().reach, limit=query["limit"], offset=query["offset"])


@bp.get("/namespaces/<name>")
@operation(
    access=Access.READ,
    namespace_in_path="name",
    returns=records.NamespaceStats,
    tagged=True,
    refuses=("namespace_not_found",),
    names={"name": ("The namespace.", "shop")},
)
def stats(name: str) -> Any:
    """Count what a namespace holds."""
    return engine().namespaces.stats(name)


@bp.delete("/namespaces/<name>")
@operation(
    access=Access.GOVERN,
    namespace_in_path="name",
    query=DeletionQuery,
    returns=records.Deleted,
    also=(202,),
    refuses=("namespace_not_found", "namespace_not_empty", "namespace_protected"),
    names={"name": ("The namespace.", "shop")},
)
def delete(name: str, query: dict[str, Any], raw: bytes) -> Any:
    """Remove a namespace; 202 where it holds so much that you must call again."""
    key = idempotency(raw)
    namespaces = engine().namespaces
    with admission().waiting():
        deleted = namespaces.delete_with_all if query["force"] else namespaces.delete
        answer = deleted(name, idempotency=key)
    return answer if answer["done"] else Answer(answer, 202)


class QueuesQuery(ListQuery):
    """In which namespace."""

    namespace = Id(load_default=MAIN, says="Queues of this namespace.")


@bp.get("/queues")
@operation(access=Access.READ, query=QueuesQuery, returns=records.QueueStats, many=True, tagged=True)
def queues(query: dict[str, Any]) -> Any:
    """Count what waits and runs, by queue."""
    return engine().queues.stats(query["namespace"])


@bp.get("/backlog")
@operation(access=Access.READ, query=QueuesQuery, returns=records.Backlog, many=True)
def backlog(query: dict[str, Any]) -> Any:
    """Tell what waits and what fails, by queue and type, and how many workers would take it."""
    return engine().queues.backlog(query["namespace"])
