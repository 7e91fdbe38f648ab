"""What is done to runs from outside: started, signalled, tried again, cancelled, ended, continued.

Who does it is handed in: the committer, in a transaction of the engine's own, or a guest of a transaction of the
program that embeds the engine. A run is named by its workflow id, or by a RunRef.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from typing import Protocol
from typing import overload

from ..domain.commands import ContinueAsNew
from ..domain.errors import AlreadyStarted
from ..domain.errors import AssayError
from ..domain.errors import Invalid
from ..domain.requests import Idempotency
from ..domain.requests import RunRef
from ..domain.requests import SentSignal
from ..domain.requests import StartRun
from ..jsontext import dumps
from ..settings import EngineSettings
from ..store.connection import Connection
from ..store.unit import Outcome
from ..version import __version__
from . import given
from .operations import CancelRun
from .operations import ContinueRun
from .operations import Keyed
from .operations import Operation
from .operations import RetryNow
from .operations import SignalRun
from .operations import SignalWithStart
from .operations import Start
from .operations import TerminateRun
from .references import named

_TYPE_IN_ID = 200  # characters: the whole id must stay within 255


class Doer(Protocol):
    """Who has operations done."""

    def submit(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Have operations done, each with an outcome of its own."""

    def read(self) -> AbstractContextManager[Connection]:
        """Lend a connection for reading."""


class Names:
    """Names for runs whose caller named none, never the same twice in this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0

    def new(self, workflow_type: str) -> str:
        """Give a name."""
        with self._lock:
            self._last_ms = max(int(self._clock() * 1000), self._last_ms + 1)
            return f"wf-{workflow_type.lower()[:_TYPE_IN_ID]}-{self._last_ms}"


class Steering:
    """Starts runs and steers them."""

    def __init__(self, doer: Doer, names: Names, settings: EngineSettings) -> None:
        self._doer = doer
        self._names = names
        self._settings = settings

    @overload
    def start(self, what: StartRun, /, idempotency: Idempotency | None = None) -> dict[str, Any]: ...

    @overload
    def start(
        self, what: str, /, workflow_id: str | None = None, *, input: Any = None,
        idempotency: Idempotency | None = None, **options: Any,
    ) -> dict[str, Any]: ...  # fmt: skip

    def start(self, what: StartRun | str, /, *args: Any, **more: Any) -> dict[str, Any]:
        """Start a run: of a type, by the names of StartRun's fields with `input` any JSON value; or as StartRun says.

        Answers workflow_id, run_id, status, and already_started where one was used. Raises AlreadyStarted,
        IdempotencyKeyReused, Invalid.
        """
        if isinstance(what, StartRun):
            return self._start_one(what, *args, **more)
        idempotency = more.pop("idempotency", None)
        return self._start_one(_request(what, *args, **more), idempotency)

    def _start_one(self, request: StartRun, idempotency: Idempotency | None = None) -> dict[str, Any]:
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
        for outcome in self._doer.submit(operations):
            if outcome.error is not None and not isinstance(outcome.error, AssayError):
                raise outcome.error
            outcomes.append(outcome.answer if outcome.error is None else outcome.error)
        for place, request in enumerate(requests):
            if request.workflow_id is None and isinstance(outcomes[place], AlreadyStarted):
                # Another process took the same name in the same millisecond: nobody asked for that name.
                (outcomes[place],) = self.start_batch((request,), _of_item(idempotency, place))
        return outcomes

    def signal(
        self, ref: RunRef | str, name: str, payload: str | None = None, *, value: Any = None,
        signal_id: str | None = None, idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Send a signal, with a `payload` of JSON text or any JSON `value`.

        A repeat of a `signal_id` is answered with the first one's event_seq. Raises NotFound, WorkflowClosed,
        AmbiguousNamespace, IdempotencyKeyReused, Invalid.
        """
        if payload is not None and value is not None:
            raise Invalid("a signal has a payload of JSON text or a value, not both")
        text = payload if value is None else _text(value)
        sent = given.signal(SentSignal(name=name, payload=text, signal_id=signal_id))
        return self._do(SignalRun(*named(self._doer.read, as_ref(ref)), sent), idempotency)

    def signal_with_start(
        self, request: StartRun, sent: SentSignal, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Signal the open run of an id, or start one that has the signal from the beginning, in one operation.

        Without an id it always starts one. Answers workflow_id, run_id, status, started, event_seq. Raises
        AlreadyStarted where `id_reuse` forbids another run, SignalLimit, IdempotencyKeyReused.
        """
        sent = given.signal(sent)
        unnamed = request.workflow_id is None
        while True:
            start = self._start(request)
            try:
                return self._do(SignalWithStart(start.request, start.workflow_id, sent, anew=unnamed), idempotency)
            except AlreadyStarted:
                if not unnamed:
                    raise
                # Another process took the same name in the same millisecond: its run is not meant.

    def retry_now(
        self, ref: RunRef | str, *, activities: bool = True, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Have what a run waits to try again tried at once: its failing task, and `activities` between attempts.

        Answers run_id, `task` (whether that waited) and `activities` (how many did). The task's next back-off is the
        first one again, also where a worker is at it; the attempts of activities stay counted. Raises NotFound,
        WorkflowClosed, AmbiguousNamespace, IdempotencyKeyReused.
        """
        return self._do(RetryNow(*named(self._doer.read, as_ref(ref)), activities), idempotency)

    def cancel(
        self, ref: RunRef | str, reason: str | None = None, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Ask a run to end. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(
            CancelRun(*named(self._doer.read, as_ref(ref)), given.reason(reason), self._settings.cancel_grace_secs),
            idempotency,
        )

    def terminate(
        self, ref: RunRef | str, reason: str | None = None, *, by: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """End a run now. Raises NotFound, AlreadyTerminal, AmbiguousNamespace."""
        return self._do(TerminateRun(*named(self._doer.read, as_ref(ref)), given.reason(reason), by), idempotency)

    def continue_as_new(
        self, ref: RunRef | str, command: ContinueAsNew, *, idempotency: Idempotency | None = None
    ) -> dict[str, Any]:
        """Close an open run and start the next of its chain; of a closed one start a fresh run like it.

        Answers workflow_id, run_id, status. Raises NotFound, AlreadyStarted, AmbiguousNamespace.
        """
        grace = self._settings.cancel_grace_secs
        return self._do(
            ContinueRun(*named(self._doer.read, as_ref(ref)), given.continuation(command), grace), idempotency
        )

    def _do(self, operation: Operation, idempotency: Idempotency | None) -> dict[str, Any]:
        (outcome,) = self._doer.submit((self._keyed(operation, idempotency),))
        if outcome.error is not None:
            raise outcome.error
        answer: dict[str, Any] = outcome.answer
        return answer

    def _keyed(self, operation: Operation, idempotency: Idempotency | None) -> Operation:
        return Keyed.of(operation, idempotency, self._settings)

    def _start(self, request: StartRun) -> Start:
        given.start(request)
        attributes = {"assay_engine_version": __version__, **(request.search_attributes or {})}
        request = replace(request, search_attributes=attributes)
        if request.workflow_id is not None:
            return Start(request, request.workflow_id)
        alone = replace(request, id_conflict="fail", id_reuse="reject")  # a name made here must not hit another's run
        return Start(alone, self._names.new(request.workflow_type))


def _of_item(idempotency: Idempotency | None, place: int) -> Idempotency | None:
    """Give the key of one item of a batch; that of the first is the caller's own."""
    if idempotency is None or place == 0:
        return idempotency
    return replace(idempotency, item=place)


def as_ref(ref: RunRef | str) -> RunRef:
    """Take a workflow id for the newest run of it, in whatever namespace has it."""
    return RunRef(workflow_id=ref) if isinstance(ref, str) else ref


def _request(workflow_type: str, workflow_id: str | None = None, *, input: Any = None, **options: Any) -> StartRun:
    """Make the request that an embedder spells with keywords. Raises TypeError for one that StartRun has not."""
    text = None if input is None else _text(input)
    return StartRun(workflow_type=workflow_type, workflow_id=workflow_id, input=text, **options)


def _text(value: Any) -> str:
    try:
        return dumps(value)
    except ValueError as error:
        raise Invalid(f"this cannot be written as JSON: {error}") from error
