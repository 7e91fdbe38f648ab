"""Tickets for what a browser opens without a header: the feed's stream and its WebSocket."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from ..auth.roles import Access
from ..auth.tickets import TICKET_SECS
from . import records
from .access import ticket
from .context import admission
from .contract import operation

bp = Blueprint("assay_tickets", __name__)


@bp.post("/events/ticket")
@operation(access=Access.READ, returns=records.TicketRecord, status=201)
def issue() -> Any:
    """Make a ticket that opens `/events/stream` or `/ws` once, as `?ticket=`, for what the caller may see."""
    with admission().waiting():
        return {"ticket": ticket(), "expires_in_secs": TICKET_SECS}
