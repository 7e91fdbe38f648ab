"""From an API key to its bearer. What the database says of a key is remembered for seconds at most."""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from ..domain.errors import Unauthorized
from ..domain.keys import is_live
from ..domain.keys import namespaces_of
from ..domain.keys import roles_of
from ..domain.model import ApiKey
from ..domain.tokens import hashed
from ..store import reads
from ..store.store import Store
from .principal import Principal
from .roles import EVERYWHERE

KNOWN_SECS = 4.0  # so that one which is revoked stops everywhere within 5 s, the time to look it up included
UNKNOWN_SECS = 1.0
_REMEMBERED_AT_MOST = 10_000  # of either kind
_KEY = re.compile(r"assay_[0-9a-f]{64}")


class _Seen(NamedTuple):
    key: ApiKey | None  # None: there is none
    bearer: Principal | None
    until: float


class Keys:
    """The API keys of a database, as one process knows them."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Seen] = {}
        self._unknown: dict[str, _Seen] = {}  # apart, so that a flood of bad ones drives out no good one

    def verify(self, token: str) -> Principal:
        """Give the bearer of a key. Raises Unauthorized, Unavailable."""
        if _KEY.fullmatch(token) is None:
            raise Unauthorized("this is no API key")
        key_hash = hashed(token)
        key, bearer = self._look_up(key_hash)
        # Where there is no such key the comparison is made all the same, with a hash that fits nothing.
        fits = hmac.compare_digest(key_hash, key.key_hash if key is not None else "0" * len(key_hash))
        if key is None or bearer is None or not fits or not is_live(key, self._store.now_here()):
            raise Unauthorized("this API key is not known, or not any more")
        self._store.liveness.key_used(key_hash)
        return bearer

    def is_good(self, key_hash: str) -> bool:
        """Say whether the key with this hash still opens the door. Raises Unavailable."""
        key, _ = self._look_up(key_hash)
        return key is not None and is_live(key, self._store.now_here())

    def was_made(self) -> bool:
        """Say whether a key was ever made: no door without one is open then."""
        with self._store.read() as db:
            return reads.key_was_made(db)

    def _look_up(self, key_hash: str) -> tuple[ApiKey | None, Principal | None]:
        now = self._clock()
        seen = self._known.get(key_hash) or self._unknown.get(key_hash)
        if seen is None or now >= seen.until:
            with self._store.read() as db:
                key = reads.api_key(db, key_hash)
            bearer = None if key is None else _bearer(key)
            # By the time before the look-up: a revocation that came after it is heard of in time.
            seen = _Seen(key, bearer, now + (UNKNOWN_SECS if key is None else KNOWN_SECS))
            self._remember(key_hash, seen)
        return seen.key, seen.bearer

    def _remember(self, key_hash: str, seen: _Seen) -> None:
        with self._lock:
            kept, other = (self._unknown, self._known) if seen.key is None else (self._known, self._unknown)
            other.pop(key_hash, None)
            if len(kept) >= _REMEMBERED_AT_MOST:
                kept.clear()
            kept[key_hash] = seen


def _bearer(key: ApiKey) -> Principal:
    where = namespaces_of(key)
    namespaces = [EVERYWHERE] if where is None else sorted(where)
    name = f"key:{key.prefix.removesuffix('...')}"
    return Principal.of(name, [(namespace, role) for namespace in namespaces for role in roles_of(key)])
