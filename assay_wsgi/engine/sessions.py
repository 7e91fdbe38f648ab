"""What this process remembers of the workers' sessions, so that an exchange need not ask the database.

A memory that is out of date does no harm: the unit that claims checks the session again.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from ..domain.requests import Exchange
from ..jsontext import loads
from ..store import reads
from ..store.store import Store

_REMEMBERED_AT_MOST = 10_000
Names = tuple[str, ...] | None


class Session(NamedTuple):
    """A session as an exchange claims to belong to it."""

    known: bool  # whether the worker is known at all
    current: bool  # whether this is its present session
    workflows: Names = None  # None = any type
    activities: Names = None


class Sessions:
    """The sessions that this process has seen to be current."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[str, Session]] = {}  # a worker's newest, as far as seen here

    def of(self, exchange: Exchange) -> Session:
        """Give the session of an exchange."""
        key = _key(exchange)
        seen = self._seen.get(key)
        if seen is not None and seen[0] == exchange.session and exchange.worker is None:
            return seen[1]
        with self._store.read() as db:
            found = reads.worker_session(db, exchange.namespace, exchange.worker_id)
        if found is None or found[0] != exchange.session:
            return Session(known=found is not None, current=False)
        workflows, activities = taken_names(found[1], found[2])
        session = Session(known=True, current=True, workflows=workflows, activities=activities)
        with self._lock:
            if len(self._seen) >= _REMEMBERED_AT_MOST:
                self._seen.clear()
            self._seen[key] = (exchange.session, session)
        return session

    def forget(self, exchange: Exchange) -> None:
        """Forget a session that is over."""
        key = _key(exchange)
        with self._lock:
            seen = self._seen.get(key)
            if seen is not None and seen[0] == exchange.session:
                del self._seen[key]


def _key(exchange: Exchange) -> tuple[str, str]:
    return exchange.namespace, exchange.worker_id


def taken_names(workflows: str | None, activities: str | None) -> tuple[Names, Names]:
    """Give what a worker takes by the lists it registered (JSON arrays): None is any, () nothing.

    A list that was not sent means any; an empty one means nothing, unless both are empty.
    """
    types, names = _names(workflows), _names(activities)
    return (None, None) if types == () and names == () else (types, names)


def _names(text: str | None) -> Names:
    return None if text is None else tuple(loads(text))
