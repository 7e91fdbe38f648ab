"""The audit log, for those who read it. It is written by the operations themselves, see `acting`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.requests import DeedFilter
from ..store.deeds import deeds
from ..store.store import Store


class Audit:
    """The audit log of an engine."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, wanted: DeedFilter) -> tuple[Sequence[dict[str, Any]], bool]:
        """Give lines, newest first, and whether more follow."""
        with self._store.read() as db:
            return deeds(db, wanted)
