"""On whose behalf this thread works: what the audit log says of it, and what it may bring about by the way.

    with acting(Actor(name="ada", action="import")):
        engine.workflows.start("Ingest", "ingest-7")

Without it an operation is the program's own: nobody is named, nothing is logged, namespaces are made at need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

DONE = "done"  # the outcome in the audit log of what was not refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who asks, and for what."""

    name: str
    action: str  # what the audit log calls it
    namespace: str | None = None  # as the request names it; an operation that knows better says so
    target: str | None = None  # likewise
    request_id: str | None = None
    audited: bool = True
    makes_namespaces: bool = True  # a name that is first used makes its namespace


_present: ContextVar[Actor | None] = ContextVar("assay_actor", default=None)


def present() -> Actor | None:
    """Give the one on whose behalf this thread works."""
    return _present.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Work on somebody's behalf while the block runs."""
    token = _present.set(actor)
    try:
        yield
    finally:
        _present.reset(token)
