"""API keys, for those who make, look at, replace and end them. Who is let in by one is for `auth`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from ..domain import keys
from ..domain.errors import NotFound
from ..domain.errors import PrefixTaken
from ..domain.requests import Idempotency
from ..domain.requests import NewKey
from ..domain.requests import Where
from ..domain.requests import is_within
from ..store import reads
from ..store.store import Store
from . import given
from .acting import present
from .committer import Committer
from .operations import CreateKey
from .operations import Keyed
from .operations import Operation
from .operations import RevokeKey
from .operations import RotateKey

ROTATION_GRACE_SECS = 86_400.0
_HERE = "host"  # who makes a key where nobody is named


class ApiKeys:
    """The API keys of an engine. `where` = the namespaces that the caller manages: keys beyond are not there."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer

    def create(
        self, wanted: NewKey, *, where: Where = None, idempotency: Idempotency | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Make a key; gives its record, and whether it is new: only then its `plaintext` is there, this once.

        Raises NotFound for a namespace that is not the caller's, Unauthorized for a first key that is not the first,
        Invalid, IdempotencyKeyReused.
        """
        given.key(wanted)
        for name in wanted.namespaces or ():
            if not is_within(name, where):
                raise NotFound(f"not found: namespace {name}", code="namespace_not_found")
        answer, secret = self._drawn(lambda drawn: CreateKey(where, wanted, drawn, _maker()), idempotency)
        return _shown(answer, secret), answer["created"]

    def rotate(
        self, prefix: str, *, grace_secs: float = ROTATION_GRACE_SECS, where: Where = None,
        idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Make a key's successor, with the same rights; the old one works for `grace_secs` more.

        Gives the record with its `plaintext`. Raises NotFound, KeyReplaced, Invalid, IdempotencyKeyReused.
        """
        given.grace(grace_secs)
        answer, secret = self._drawn(lambda drawn: RotateKey(where, prefix, drawn, _maker(), grace_secs), idempotency)
        return _shown(answer, secret)

    def revoke(
        self, prefix: str, *, where: Where = None, keep_last: bool = True, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """End a key. It opens no door from now on, elsewhere within 5 s.

        `keep_last` = not the last one of an admin of all namespaces. Raises NotFound, LastAdminKey.
        """
        operation = Keyed.of(RevokeKey(where, prefix, keep_last), idempotency, self._store.settings)
        answer: dict[str, Any] = self._committer.do(operation)
        return answer

    def list(self, *, where: Where = None, limit: int = 1000, offset: int = 0) -> Sequence[dict[str, Any]]:
        """Give the records of keys that are not revoked, the oldest first."""
        with self._store.read() as db:
            found = [keys.record(key) for key in reads.api_keys(db) if keys.is_managed(key, where)]
        return found[offset : offset + limit]

    def was_made(self) -> bool:
        """Say whether a key was ever made."""
        with self._store.read() as db:
            return reads.key_was_made(db)

    def _drawn(
        self, operation: Callable[[str], Operation], idempotency: Idempotency | None
    ) -> tuple[dict[str, Any], str]:
        """Have an operation done with a new key; where its prefix is another's already, with another one."""
        while True:
            secret = f"assay_{secrets.token_hex(32)}"
            try:
                return self._committer.do(Keyed.of(operation(secret), idempotency, self._store.settings)), secret
            except PrefixTaken:
                continue


def _maker() -> str:
    actor = present()
    return _HERE if actor is None else actor.name


def _shown(answer: dict[str, Any], secret: str) -> dict[str, Any]:
    """Add the key itself, unless another request made it: what is kept for repeats does not hold it."""
    record: dict[str, Any] = answer["key"]
    return {**record, "plaintext": secret} if record["prefix"] == keys.prefix_of(secret) else record
