"""The audit log: who did what, and who was refused what."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..domain.requests import DeedFilter
from . import checks
from . import records
from .context import engine
from .contract import Answer
from .contract import operation
from .fields import Checked
from .fields import ListQuery
from .fields import query_integer
from .fields import query_time
from .references import MAX_PAGE
from .references import Id
from .references import next_page

bp = Blueprint("assay_audit", __name__)

_MAX_PRINCIPAL_CHARS = 600  # an issuer and a subject


class AuditQuery(ListQuery):
    """Which lines, newest first."""

    namespace = Id(load_default=None, says="About this namespace; without it, about all that the caller manages.")
    principal = Id(_MAX_PRINCIPAL_CHARS, load_default=None, says="By this caller.")
    action = Id(load_default=None, says="Of this operation: `workflows_cancel`.")
    target = Id(load_default=None, says="About this thing.")
    outcome = Id(load_default=None, says="That ended so: `done`, or the code of a refusal.")
    after = Checked(query_time, load_default=None, says="After this moment.")
    before = Checked(query_time, load_default=None, says="Before this moment.")
    before_id = Checked(query_integer, 1, checks.MAX_LONG, load_default=None, says="Before this line.")
    limit = Checked(query_integer, 1, MAX_PAGE, load_default=100, says="How many at most.")


@bp.get("/audit")
@operation(
    access=Access.MANAGE,
    query=AuditQuery,
    returns=records.DeedRecord,
    many=True,
    tagged=True,
    asks={"action": "workflows_cancel", "limit": 10},
)
def list_deeds(query: dict[str, Any]) -> Any:
    """Show the audit log, newest first; the Link header names the next page."""
    found, more = engine().audit.list(DeedFilter(**query))
    return Answer(found, 200, next_page(before_id=found[-1]["id"])) if more else found
