"""Operations on the rows of workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...domain.change import Change
from ...domain.errors import SessionReplaced
from ...domain.model import ENDED
from ...domain.model import Worker
from ...domain.requests import WorkerInfo
from ...jsontext import dumps
from ...store.needs import Needs
from ...store.rows import Rows
from .operation import Operation


@dataclass(frozen=True)
class BeginSession(Operation):
    """Register a worker, or revive it, under a new session; None = it will poll, the old way, without one.

    Answers its id, whether the session is a new one, and whether its namespace was made for it.

    Raises SessionReplaced for one that has ended: a begin that comes late must not take work for a worker that is gone.
    """

    namespace: str
    worker_id: str
    queue: str
    session: str | None
    info: WorkerInfo
    slots: tuple[int, int]
    weight = 1

    @property
    def subject(self) -> tuple[str | None, str | None]:
        return self.namespace, self.worker_id

    def needs(self, needs: Needs) -> None:
        needs.workers.add((self.namespace, self.worker_id))
        needs.namespaces.add(self.namespace)

    def decide(self, rows: Rows, now: float) -> Change:
        before = rows.worker(self.namespace, self.worker_id)
        if before is not None and self.session is not None and before.session == ENDED + self.session:
            raise SessionReplaced("this session has ended: begin another one")
        worker = Worker(
            namespace=self.namespace,
            worker_id=self.worker_id,
            identity=self.info.identity,
            task_queue=self.queue,
            workflows=_listed(self.info.workflows),
            activities=_listed(self.info.activities),
            max_concurrent_workflows=self.slots[0],
            max_concurrent_activities=self.slots[1],
            sdk=self.info.sdk,
            session=self.session,
            last_seen=now,
            registered_at=before.registered_at if before else now,
            retired_at=None,
        )
        new = before is None or before.session != self.session
        made = not rows.has_namespace(self.namespace)
        answer = {"worker_id": self.worker_id, "new": new, "namespace_made": made}
        change = Change(answer=answer, workers=[worker])
        change.new_namespaces.append(self.namespace)
        return change


@dataclass(frozen=True)
class EndSession(Operation):
    """Retire a worker that stops, if this is still its session: none of the session's exchanges claims any more.

    Answers whether it was.
    """

    namespace: str
    worker_id: str
    session: str
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.workers.add((self.namespace, self.worker_id))

    def decide(self, rows: Rows, now: float) -> Change:
        worker = rows.worker(self.namespace, self.worker_id)
        if worker is None or worker.session != self.session:
            return Change(answer=False)
        return Change(
            answer=True, workers=[worker._replace(session=ENDED + self.session, last_seen=now, retired_at=now)]
        )


@dataclass(frozen=True)
class RetireWorker(Operation):
    """Retire a worker that is silent since `silent_since` or longer. Answers whether it was."""

    namespace: str
    worker_id: str
    silent_since: float
    weight = 1

    def needs(self, needs: Needs) -> None:
        needs.workers.add((self.namespace, self.worker_id))

    def decide(self, rows: Rows, now: float) -> Change:
        worker = rows.worker(self.namespace, self.worker_id)
        if worker is None or worker.retired_at is not None or worker.last_seen > self.silent_since:
            return Change(answer=False)
        return Change(answer=True, workers=[worker._replace(retired_at=now)])


def _listed(names: Sequence[str] | None) -> str | None:
    return None if names is None else dumps(list(names))
