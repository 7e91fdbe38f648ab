"""Tickets: each stands for a credential once, within half a minute.

A browser sends no header with an EventSource or a WebSocket, and what stands in a URL is written into logs.
So a page asks for a ticket by its credential, and opens the stream by that.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

from ..domain.errors import Unauthorized
from ..domain.tokens import hashed
from ..jsontext import dumps
from ..jsontext import loads
from ..store.store import Store
from .principal import Principal

TICKET_SECS = 30.0
_TICKET = re.compile(r"[\w-]{43}", re.ASCII)


class Redeemed(NamedTuple):
    """What a ticket stood for."""

    principal: Principal
    key_hash: str | None  # of the API key, if it was one


class Tickets:
    """The tickets of a database: made by one process, good at another."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def issue(self, principal: Principal, key_hash: str | None) -> str:
        """Make a ticket. Raises Unavailable."""
        ticket = secrets.token_urlsafe(32)
        grants = [[namespace, role] for namespace, roles in principal.roles.items() for role in sorted(roles)]
        with self._store.administer() as db:
            db.run(
                "INSERT INTO tickets (ticket_hash, principal, grants, key_hash, expires_at) VALUES (?, ?, ?, ?, ?)",
                (hashed(ticket), principal.name, dumps(grants), key_hash, self._store.now_here() + TICKET_SECS),
            )
        return ticket

    def redeem(self, ticket: str) -> Redeemed:
        """Take a ticket: it is gone then, whoever else has it. Raises Unauthorized, Unavailable."""
        found = []
        if _TICKET.fullmatch(ticket) and self._is_there(hashed(ticket)):
            with self._store.administer() as db:
                found = db.rows(
                    "DELETE FROM tickets WHERE ticket_hash = ? RETURNING principal, grants, key_hash, expires_at",
                    (hashed(ticket),),
                )
        if not found or found[0][3] <= self._store.now_here():
            raise Unauthorized("this ticket is not known, or not any more")
        name, grants, key_hash, _ = found[0]
        return Redeemed(Principal.of(name, [(namespace, role) for namespace, role in loads(grants)]), key_hash)

    def _is_there(self, ticket_hash: str) -> bool:
        """Look before anything is written: whoever guesses holds no writer up."""
        with self._store.read() as db:
            return db.one("SELECT 1 FROM tickets WHERE ticket_hash = ?", (ticket_hash,)) is not None
