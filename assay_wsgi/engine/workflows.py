"""Runs, for those who start, steer and look at them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..domain.errors import AlreadyStarted
from ..domain.errors import AmbiguousNamespace
from ..domain.errors import AssayError
from ..domain.errors import NotFound
from ..domain.model import Run
from ..domain.requests import Idempotency
from ..domain.requests import ListFilter
from ..domain.requests import RunRef
from ..domain.requests import StartRun
from ..jsontext import loads
from ..store import lists
from ..store import reads
from ..store.connection import Connection
from ..store.store import Store
from .committer import Committer
from .operations import CancelRun
from .operations import Keyed
from .operations import Operation
from .operations import SignalRun
from .operations import Start
from .operations import TerminateRun

_TYPE_IN_ID = 200  # characters: the whole id must stay within 255


class Workflows:
    """The runs of an engine."""

    def __init__(self, store: Store, committer: Committer, version: str) -> None:
        self._store = store
        self._committer = committer
        self._version = version
        self._naming = threading.Lock()
        self._last_named_ms = 0

    # ---------------------------------------------------------------------------------------- change

    def start(self, request: StartRun, idempotency: Idempotency | None = None) -> dict[str, Any]:
        """Start a run. Answers workflow_id, run_id, status, and already_started where one was used.

        Raises AlreadyStarted, IdempotencyKeyReused.
        """
        (outcome,) = self.start_batch((request,), idempotency)
        if isinstance(outcome, AssayError):
            raise outcome
        return outcome

    def start_batch(
        self, requests: Sequence[StartRun], idempotency: Idempotency | None = None
    ) -> list[dict[str, Any] | AssayError]:
        """Start many runs, in one transaction where nobody is in the way; an outcome for each, in order."""
        outcomes: list[dict[str, Any] | AssayError] = []
        operations = [
            self._keyed(self._start(request), _of_item(idempotency, place)) for place, request in enumerate(requests)
        ]
        for outcome in self._committer.submit(operations):
            if outcome.error is not None and not isinstance(outcome.error, AssayError):
                raise outcome.error
            outcomes.append(outcome.answer if outcome.error is None else outcome.error)
        for place, request in enumerate(requests):
            if request.workflow_id is None and isinstance(outcomes[place], AlreadyStarted):
                # Another process took the same name in the same millisecond: nobody asked for that name.
                (outcomes[place],) = self.start_batch((request,), _of_item(idempotency, place))
        return outcomes

    def signal(
        self, ref: RunRef, name: str, payload: str | None = None, *, signal_id: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Send a signal; a repeat of a `signal_id` is answered with the first one's event_seq.

        Raises NotFound, WorkflowClosed, AmbiguousNamespace, IdempotencyKeyReused.
        """
        return self._do(SignalRun(*self._named(ref), name, payload, signal_id), idempotency)

    def cancel(
        self, ref: RunRef, reason: str | None = None, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Ask a run to end. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(CancelRun(*self._named(ref), reason), idempotency)

    def terminate(
        self, ref: RunRef, reason: str | None = None, *, by: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """End a run now. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(TerminateRun(*self._named(ref), reason, by), idempotency)

    def _do(self, operation: Operation, idempotency: Idempotency | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._committer.do(self._keyed(operation, idempotency))
        return answer

    def _keyed(self, operation: Operation, idempotency: Idempotency | None) -> Operation:
        if idempotency is None:
            return operation
        return Keyed(operation, idempotency, self._store.settings.idempotency_keep_secs)

    def _start(self, request: StartRun) -> Start:
        attributes = {"assay_engine_version": self._version, **(request.search_attributes or {})}
        request = replace(request, search_attributes=attributes)
        if request.workflow_id is not None:
            return Start(request, request.workflow_id)
        alone = replace(request, id_conflict="fail", id_reuse="reject")  # a name made here must not hit another's run
        return Start(alone, self._new_id(request.workflow_type))

    def _new_id(self, workflow_type: str) -> str:
        """Name a run that its caller did not name, never the same twice in this process."""
        with self._naming:
            self._last_named_ms = max(int(self._store.now_here() * 1000), self._last_named_ms + 1)
            return f"wf-{workflow_type.lower()[:_TYPE_IN_ID]}-{self._last_named_ms}"

    def _named(self, ref: RunRef) -> tuple[str, str, int | None, str | None]:
        """Resolve a reference to (namespace, workflow_id, run_key, run_id). Raises NotFound."""
        namespace = ref.namespace
        if namespace is None:
            with self._store.read() as db:
                namespace = _only_namespace(db, ref.workflow_id)
        run_key = None if ref.run_id is None else _key_in(ref)
        return namespace, ref.workflow_id, run_key, ref.run_id

    # ---------------------------------------------------------------------------------------- look

    def describe(self, ref: RunRef) -> dict[str, Any]:
        """Give a run's record. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            return _record(self._find(db, ref))

    def list(self, wanted: ListFilter) -> tuple[Sequence[dict[str, Any]], str | None]:
        """Give records, newest first, and the cursor of the next page, if there is one. Raises Invalid."""
        with self._store.read() as db:
            found, cursor = lists.workflows(db, wanted)
        return [_record(seen) for seen in found], cursor

    def events(
        self, ref: RunRef, *, after_seq: int = 0, limit: int | None = None, order: str = "asc"
    ) -> Sequence[dict[str, Any]]:
        """Give a run's history; payloads are JSON text. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            run = self._find(db, ref).run
            found = reads.events(db, run.run_key, after_seq=after_seq, limit=limit, descending=order == "desc")
        return [
            {
                "id": (run.run_key << 16) + seq, "workflow_id": run.workflow_id, "run_id": run.run_id, "seq": seq,
                "event_type": event_type, "payload": payload, "timestamp": timestamp,
            }
            for seq, event_type, payload, timestamp in found
        ]  # fmt: skip

    def state(self, ref: RunRef) -> dict[str, Any]:
        """Give what a run shows to queries. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            run = self._find(db, ref).run
            found = reads.snapshot(db, run.run_key)
        if found is None:
            raise NotFound(f"not found: workflow {ref.workflow_id} shows no state")
        state, event_seq, created_at = found
        return {"state": loads(state), "event_seq": event_seq, "created_at": created_at}

    def _find(self, db: Connection, ref: RunRef) -> reads.SeenRun:
        namespace = ref.namespace if ref.namespace is not None else _only_namespace(db, ref.workflow_id)
        if ref.run_id is None:
            seen = reads.newest_run(db, namespace, ref.workflow_id)
        else:
            seen = reads.run_by_key(db, _key_in(ref))
            if seen is not None and (seen.run.run_id != ref.run_id or seen.run.namespace != namespace):
                seen = None
        if seen is None:
            raise NotFound(f"not found: workflow {ref.workflow_id}")
        return seen


def _of_item(idempotency: Idempotency | None, place: int) -> Idempotency | None:
    """Give the key of one item of a batch; that of the first is the caller's own."""
    if idempotency is None or place == 0:
        return idempotency
    return replace(idempotency, key=f"{idempotency.key}#{place}")


def _only_namespace(db: Connection, workflow_id: str) -> str:
    namespaces = reads.namespaces_of(db, workflow_id)
    if not namespaces:
        raise NotFound(f"not found: workflow {workflow_id}")
    if len(namespaces) > 1:
        raise AmbiguousNamespace(f"workflow {workflow_id} is in several namespaces: name one", namespaces=namespaces)
    return namespaces[0]


def _key_in(ref: RunRef) -> int:
    """Read the key at the end of a run id. Raises NotFound for one that is not this workflow's."""
    head, _, key = (ref.run_id or "").rpartition("-")
    if head != f"run-{ref.workflow_id}" or not (key.isascii() and key.isdigit() and len(key) <= 16):
        raise NotFound(f"not found: run {ref.run_id} of workflow {ref.workflow_id}")
    return int(key)


def _record(seen: reads.SeenRun) -> dict[str, Any]:
    run: Run = seen.run
    return {
        "id": run.workflow_id,
        "namespace": run.namespace,
        "run_id": run.run_id,
        "workflow_type": run.workflow_type,
        "task_queue": run.task_queue,
        "status": run.status,
        "close_reason": run.close_reason,
        "input": run.input,
        "result": run.result,
        "error": run.error,
        "parent_id": seen.parent_id,
        "claimed_by": seen.claimed_by,
        "search_attributes": run.search_attributes,
        "paused": _decoded(run.paused),
        "waiting_for": _decoded(run.waiting_for),
        "task_failure": _decoded(run.task_failure),
        "cancel_requested_at": run.cancel_requested_at,
        "continued_from": run.continued_from,
        "continued_to": run.continued_to,
        "first_run_id": run.first_run_id,
        "last_seq": run.last_seq,
        "archived_at": run.archived_at,
        "archive_uri": run.archive_uri,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "completed_at": run.completed_at,
    }


def _decoded(text: str | None) -> Any:
    return None if text is None else loads(text)
