"""The namespaces of a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Callable

from .caller import Caller
from .caller import new_key
from .transport import segment


class Namespaces:
    """What `client.namespaces` does: all namespaces of the service, not only the client's own."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, name: str) -> dict[str, Any]:
        """Make a namespace and return its record. Raises Conflict when there is one of this name."""
        made: dict[str, Any] = self._caller.post("/namespaces", {"name": name})
        return made

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield the records of all namespaces, by name."""
        return self._caller.short_pages("/namespaces")

    def stats(self, name: str) -> dict[str, Any]:
        """Count a namespace's runs by status, its schedules and workers. Raises NotFound."""
        counts: dict[str, Any] = self._caller.get(f"/namespaces/{segment(name)}")
        return counts

    def delete(self, name: str, force: bool = False, progress: Callable[[int], object] | None = None) -> int:
        """Remove a namespace and return how many runs went with it.

        One that holds anything goes only with `force`: its open runs are terminated and all are dropped. That
        may take the service many answers; after each of them `progress` hears how many are gone. Raises NotFound,
        and Conflict for one that is not empty.
        """
        gone: int = 0
        while True:
            answer = self._caller.call(
                "DELETE", f"/namespaces/{segment(name)}", params={"force": "true" if force else None}, key=new_key()
            )
            gone += answer.member("deleted_workflows", 0)
            if progress is not None:
                progress(gone)
            if answer.member("done", True):
                return gone
