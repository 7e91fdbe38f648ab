"""Activities, for those who look at them or add one to a run from outside."""

from __future__ import annotations

from typing import Any

from ..domain.commands import ScheduleActivity
from ..domain.errors import NotFound
from ..domain.requests import Idempotency
from ..domain.requests import RunRef
from ..domain.requests import Where
from ..domain.requests import is_within
from ..store import reads
from ..store.store import Store
from .committer import Committer
from .operations import AddActivity
from .operations import Keyed
from .records import activity_record
from .references import named


class Activities:
    """The activities of an engine's runs."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer

    def get(self, activity_id: int, namespace: Where = None) -> dict[str, Any]:
        """Give an activity's record. Raises NotFound."""
        with self._store.read() as db:
            found = reads.activity(db, activity_id)
        if found is None or not is_within(found[1].namespace, namespace):
            raise NotFound(f"not found: activity {activity_id}")
        return activity_record(*found)

    def add(
        self, ref: RunRef, command: ScheduleActivity, *, task_token: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> tuple[dict[str, Any], bool]:  # fmt: skip
        """Schedule an activity on a run; gives its record, and whether it is new: once per seq.

        `task_token` = the lease on the run's task by which a worker may do so. Raises NotFound, WorkflowClosed,
        LeaseLost, Nondeterminism, AmbiguousNamespace, IdempotencyKeyReused.
        """
        operation = AddActivity(*named(self._store.read, ref), command, task_token)
        answer = self._committer.do(Keyed.of(operation, idempotency, self._store.settings))
        return answer["activity"], answer["created"]
