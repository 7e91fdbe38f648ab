"""Runs, for those who start, steer and look at them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..domain.commands import ContinueAsNew
from ..domain.errors import AlreadyStarted
from ..domain.errors import AssayError
from ..domain.errors import NotFound
from ..domain.requests import Idempotency
from ..domain.requests import ListFilter
from ..domain.requests import RunRef
from ..domain.requests import SentSignal
from ..domain.requests import StartRun
from ..jsontext import loads
from ..store import lists
from ..store import reads
from ..store.store import Store
from .committer import Committer
from .operations import CancelRun
from .operations import ContinueRun
from .operations import Keyed
from .operations import Operation
from .operations import SignalRun
from .operations import SignalWithStart
from .operations import Start
from .operations import TerminateRun
from .records import event_record
from .records import run_record
from .references import find
from .references import named

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
        return self._do(
            SignalRun(*named(self._store, ref), SentSignal(name=name, payload=payload, signal_id=signal_id)),
            idempotency,
        )

    def signal_with_start(
        self, request: StartRun, sent: SentSignal, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Signal the open run of an id, or start one that has the signal from the beginning, in one operation.

        Answers workflow_id, run_id, status, started, event_seq. Raises AlreadyStarted where `id_reuse` forbids
        another run, SignalLimit, IdempotencyKeyReused.
        """
        start = self._start(request)
        return self._do(SignalWithStart(start.request, start.workflow_id, sent), idempotency)

    def cancel(
        self, ref: RunRef, reason: str | None = None, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Ask a run to end. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(
            CancelRun(*named(self._store, ref), reason, self._store.settings.cancel_grace_secs), idempotency
        )

    def terminate(
        self, ref: RunRef, reason: str | None = None, *, by: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """End a run now. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(TerminateRun(*named(self._store, ref), reason, by), idempotency)

    def continue_as_new(
        self, ref: RunRef, command: ContinueAsNew, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Close an open run and start the next of its chain; of a closed one start a fresh run like it.

        Answers workflow_id, run_id, status. Raises NotFound, AlreadyStarted, AmbiguousNamespace.
        """
        grace = self._store.settings.cancel_grace_secs
        return self._do(ContinueRun(*named(self._store, ref), command, grace), idempotency)

    def _do(self, operation: Operation, idempotency: Idempotency | None) -> dict[str, Any]:
        answer: dict[str, Any] = self._committer.do(self._keyed(operation, idempotency))
        return answer

    def _keyed(self, operation: Operation, idempotency: Idempotency | None) -> Operation:
        return Keyed.of(operation, idempotency, self._store.settings)

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

    # ---------------------------------------------------------------------------------------- look

    def describe(self, ref: RunRef) -> dict[str, Any]:
        """Give a run's record. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            return run_record(find(db, ref))

    def list(self, wanted: ListFilter) -> tuple[Sequence[dict[str, Any]], str | None]:
        """Give records, newest first, and the cursor of the next page, if there is one. Raises Invalid."""
        with self._store.read() as db:
            found, cursor = lists.workflows(db, wanted)
        return [run_record(seen) for seen in found], cursor

    def children(self, ref: RunRef, wanted: ListFilter) -> tuple[Sequence[dict[str, Any]], str | None]:
        """Give the children of a run and of those that it continues, paged as `list` is.

        Raises NotFound, AmbiguousNamespace, Invalid.
        """
        with self._store.read() as db:
            run = find(db, ref).run
            of_run = replace(wanted, namespace=run.namespace, parent_chain_key=run.first_run_key)
            found, cursor = lists.workflows(db, of_run)
        return [run_record(seen) for seen in found], cursor

    def tree(self, ref: RunRef, *, limit: int = 1000) -> dict[str, Any]:
        """Give a run and all below it, each with its `children`, oldest first; at most `limit` runs in all.

        `truncated` says whether there are more. Raises NotFound, AmbiguousNamespace.
        """
        with self._store.read() as db:
            top = find(db, ref)
            below, truncated = lists.descendants(db, top.run.first_run_key, limit - 1)
        nodes: dict[int, dict[str, Any]] = {top.run.first_run_key: {**run_record(top), "children": []}}
        for seen in below:
            node: dict[str, Any] = {**run_record(seen), "children": []}
            above = nodes.get(seen.run.parent_chain_key or 0)
            if above is not None:
                above["children"].append(node)
            nodes.setdefault(seen.run.first_run_key, node)
        return {**nodes[top.run.first_run_key], "truncated": truncated}

    def events(self, ref: RunRef, *, after_seq: int = 0, before_seq: int = reads.MAX_SEQ) -> Sequence[dict[str, Any]]:
        """Give a run's history; payloads are JSON text. Raises NotFound, AmbiguousNamespace."""
        with self._store.read() as db:
            run = find(db, ref).run
            found = reads.events(db, run.run_key, after_seq=after_seq, before_seq=before_seq)
        return [event_record(run, *event) for event in found]

    def page_of_events(
        self, ref: RunRef, *, after_seq: int = 0, before_seq: int = reads.MAX_SEQ, limit: int = 1000,
        descending: bool = False,
    ) -> tuple[Sequence[dict[str, Any]], bool]:  # fmt: skip
        """Give up to `limit` events of a history (fewer, where they are large), and whether more follow.

        Raises NotFound, AmbiguousNamespace.
        """
        with self._store.read() as db:
            run = find(db, ref).run
            found, more = reads.page_of_events(
                db, run.run_key, after_seq=after_seq, before_seq=before_seq, limit=limit, descending=descending
            )
        return [event_record(run, *event) for event in found], more

    def state(self, ref: RunRef) -> dict[str, Any]:
        """Give what a run shows to queries. Raises NotFound, AmbiguousNamespace."""
        state, seen = self._shown(ref)
        return {"state": state, **seen}

    def state_value(self, ref: RunRef, name: str) -> dict[str, Any]:
        """Give one value of what a run shows to queries. Raises NotFound, AmbiguousNamespace."""
        state, seen = self._shown(ref)
        if not isinstance(state, dict) or name not in state:
            raise NotFound(f"not found: workflow {ref.workflow_id} shows no {name}")
        return {"value": state[name], **seen}

    def _shown(self, ref: RunRef) -> tuple[Any, dict[str, Any]]:
        with self._store.read() as db:
            run = find(db, ref).run
            found = reads.snapshot(db, run.run_key)
        if found is None:
            raise NotFound(f"not found: workflow {ref.workflow_id} shows no state")
        state, event_seq, created_at = found
        return loads(state), {"event_seq": event_seq, "created_at": created_at}


def _of_item(idempotency: Idempotency | None, place: int) -> Idempotency | None:
    """Give the key of one item of a batch; that of the first is the caller's own."""
    if idempotency is None or place == 0:
        return idempotency
    return replace(idempotency, key=f"{idempotency.key}#{place}")
