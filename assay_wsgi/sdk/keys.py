"""The API keys of a service."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from .caller import Caller
from .caller import new_key
from .durations import Duration
from .durations import seconds
from .transport import segment


class ApiKeys:
    """What `client.api_keys` does: the keys that the client's own key may manage, of whatever namespace."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(
        self,
        label: str | None = None,
        *,
        roles: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
        expires_in: Duration | None = None,
        idempotent: bool = False,
    ) -> dict[str, Any]:
        """Make a key and return its record, with the key itself as `plaintext`: it is shown this once.

        Without `roles` it may do everything, without `namespaces` wherever the maker may make keys; `expires_in` is in
        seconds or a timedelta. With `idempotent` a live key of the same label will do, and comes without `plaintext`;
        so does one whose answer was lost on its way: rotate that. Raises Invalid, Unauthorized.
        """
        body: dict[str, Any] = {"label": label, "idempotent": idempotent}
        if roles is not None:
            body["roles"] = list(roles)
        if namespaces is not None:
            body["namespaces"] = list(namespaces)
        if expires_in is not None:
            body["expires_in_secs"] = seconds(expires_in)
        made: dict[str, Any] = self._caller.post("/api-keys", body)
        return made

    def list(self, namespace: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the records of the keys that are not revoked, the oldest first; of those for one namespace alone."""
        return self._caller.short_pages("/api-keys", namespace=namespace)

    def rotate(self, prefix: str, grace: Duration | None = None) -> dict[str, Any]:
        """Make a key's successor and return its record with `plaintext`; the old one works for a day, or `grace`.

        Raises NotFound, and Conflict for one that has a successor already.
        """
        body = {} if grace is None else {"grace_secs": seconds(grace)}
        made: dict[str, Any] = self._caller.post(f"/api-keys/{segment(prefix)}/rotate", body)
        return made

    def revoke(self, prefix: str) -> None:
        """End a key: after five seconds it opens nothing. Raises NotFound, and Conflict for the last admin's."""
        self._caller.call("DELETE", f"/api-keys/{segment(prefix)}", key=new_key())
