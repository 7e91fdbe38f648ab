"""Workers: the exchange, in which they hand in finished work and take new work; and who they are."""

from __future__ import annotations

import builtins
import contextlib
import secrets
import threading
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..domain.errors import AssayError
from ..domain.errors import SessionReplaced
from ..domain.requests import Exchange
from ..domain.requests import Idempotency
from ..domain.requests import Registration
from ..domain.requests import Where
from ..domain.requests import WorkerInfo
from ..domain.requests import is_within
from ..store import reads
from ..store.claims import ClaimedRun
from ..store.claims import Taker
from ..store.store import Store
from ..store.tables import Worker as WorkerTable
from ..store.unit import Outcome
from .committer import Committer
from .handout import Handout
from .handout import SlotsWish
from .handout import Waiting
from .operations import BeatActivity
from .operations import BeginSession
from .operations import EndSession
from .operations import GiveBackActivity
from .operations import GiveBackTask
from .operations import Keyed
from .operations import Operation
from .operations import ReportActivity
from .operations import TakeTurn
from .records import activity_task
from .records import worker_record
from .records import workflow_task
from .sessions import Session
from .sessions import Sessions
from .tasks import NOT_WANTED
from .wakeups import Wakeups

SLOTS_AT_MOST = 200


class Workers:
    """Workers and what they exchange with the engine."""

    def __init__(
        self, store: Store, committer: Committer, wakeups: Wakeups, handout: Handout, draining: threading.Event
    ) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups
        self._handout = handout
        self._draining = draining
        self._sessions = Sessions(store)

    def exchange(
        self,
        exchange: Exchange,
        client_gone: Callable[[], bool] | None = None,
        waiting: Waiting = contextlib.nullcontext,
    ) -> dict[str, Any]:
        """Hand in results, each an operation of its own, then take work; wait for some where there is none.

        `client_gone` says whether the client is still there before a claim is made for it. `waiting` is
        entered while this thread only waits. The answer is the wire's, with payloads ready to embed.
        """
        self._wakeups.start()
        made = exchange.worker is not None and self._begin_session(exchange, exchange.worker)
        session = self._sessions.of(exchange)
        if session.current and not exchange.ends:
            self._store.liveness.worker_seen(exchange.namespace, exchange.worker_id)
        taker = self._taker(exchange, session)
        if taker is not None:
            self._store.liveness.queue_polled(exchange.namespace, exchange.queue)
        operations, refusals = _operations(exchange, self._store.settings.cancel_grace_secs)
        operations += self._given_back(exchange) if session.current else []
        outcomes: list[Outcome] = []
        tries = taker is not None and (bool(operations) or exchange.worker is not None)
        if operations or tries:
            with waiting():
                outcomes = self._committer.submit(operations, taker if tries else None)
        if exchange.ends:
            self._end_session(exchange)
        if taker is not None:
            self._handout.take(SlotsWish(taker), exchange.wait_secs, client_gone, waiting, taker if tries else None)
        answer = self._answer(exchange, session, taker, outcomes, refusals)
        return {**answer, "namespace_made": True} if made else answer

    def register(self, wanted: Registration, *, idempotency: Idempotency | None = None) -> dict[str, Any]:
        """Register a worker of the old way. Answers the worker_id that it is to use from now on."""
        slots = (wanted.max_concurrent_workflows, wanted.max_concurrent_activities)
        worker_id = f"w-{secrets.token_hex(8)}"
        registering = BeginSession(wanted.namespace, worker_id, wanted.queue, None, wanted.info, slots)
        answer: dict[str, Any] = self._committer.do(Keyed.of(registering, idempotency, self._store.settings))
        return {"worker_id": answer["worker_id"]}

    def heartbeat(self, worker_id: str, namespace: Where = None) -> dict[str, Any]:
        """Note that a worker lives; one that was retired is revived. Answers whether it is registered at all."""
        self._wakeups.start()
        with self._store.read() as db:
            found = [one for one in reads.registrations(db, worker_id) if is_within(one.namespace, namespace)]
        for one in found:
            self._store.liveness.worker_seen(one.namespace, worker_id, revive=one.retired)
        return {"ok": True, "registered": bool(found)}

    def list(self, namespace: str, *, limit: int = 1000, offset: int = 0) -> Sequence[dict[str, Any]]:
        """Give the workers of a namespace that are not retired, by id."""
        table = WorkerTable
        query = (
            table.select()
            .where((table.namespace == namespace) & table.retired_at.is_null())
            .order_by(table.worker_id)
            .limit(limit)
            .offset(offset)
            .dicts()
        )
        with self._store.read() as db:
            active = reads.active_tasks(db, namespace)
            now, quiet_secs = self._store.now(), self._store.settings.worker_quiet_secs
            return [
                worker_record(row, active.get(row["worker_id"], 0), now, quiet_secs)
                for row in query.execute(db.database)
            ]

    # ------------------------------------------------------------------------------------- sessions

    def _begin_session(self, exchange: Exchange, info: WorkerInfo) -> bool:
        """Begin the session that an exchange wants. Returns whether its namespace was made for it."""
        beginning = BeginSession(
            exchange.namespace,
            exchange.worker_id,
            exchange.queue,
            exchange.session,
            info,
            (exchange.workflow_slots, exchange.activity_slots),
        )
        begun = self._committer.do(Keyed.of(beginning, None, self._store.settings))
        if not begun["new"]:
            return False
        with self._store.read() as db:
            held = [
                reads.leases_of_other_sessions(db, kind, exchange.namespace, exchange.worker_id, exchange.session)
                for kind in ("workflow", "activity")
            ]
        self._committer.submit(_give_back(*held))
        return bool(begun["namespace_made"])

    def _end_session(self, exchange: Exchange) -> None:
        """End a session, then free what it holds. A poll of it that still waits claims nothing: each claim looks.

        Safe to repeat: a session that is over holds nothing that anybody could want to keep.
        """
        self._committer.do(EndSession(exchange.namespace, exchange.worker_id, exchange.session))
        self._sessions.forget(exchange)
        with self._store.read() as db:
            held = [
                reads.leases_of_session(db, kind, exchange.namespace, exchange.worker_id, exchange.session)
                for kind in ("workflow", "activity")
            ]
        self._committer.submit(_give_back(*held))

    def _given_back(self, exchange: Exchange) -> Sequence[Operation]:
        """Free what exchanges took whose answers never came. The worker repeats them: a wait may still run."""
        if not exchange.lost:
            return []
        with self._store.read() as db:
            held = [
                reads.leases_of_exchanges(
                    db, kind, exchange.namespace, exchange.worker_id, exchange.session, exchange.lost
                )
                for kind in ("workflow", "activity")
            ]
        return _give_back(*held)

    # --------------------------------------------------------------------------------------- taking

    def _taker(self, exchange: Exchange, session: Session) -> Taker | None:
        slots = (min(exchange.workflow_slots, SLOTS_AT_MOST), min(exchange.activity_slots, SLOTS_AT_MOST))
        if slots == (0, 0) or exchange.ends or self._draining.is_set() or not session.current:
            return None
        return Taker(
            exchange.namespace, exchange.queue, exchange.worker_id, exchange.session, exchange.n, *slots,
            session.workflows, session.activities,
            self._store.settings.workflow_lease_secs,
        )  # fmt: skip

    # -------------------------------------------------------------------------------------- answering

    def _answer(
        self,
        exchange: Exchange,
        session: Session,
        taker: Taker | None,
        outcomes: Sequence[Outcome],
        refusals: dict[int, AssayError],
    ) -> dict[str, Any]:
        tokens = [
            *(report.task_token for report in exchange.workflow_results),
            *(report.task_token for report in exchange.activity_results),
            *(beat.task_token for beat in exchange.heartbeats),
        ]
        done = iter(outcomes)
        said = [
            _said(token, Outcome(error=refusals[place]) if place in refusals else next(done))
            for place, token in enumerate(tokens)
        ]
        for beat in said[len(tokens) - len(exchange.heartbeats) :]:
            beat.setdefault("cancel_requested", beat.get("code") in NOT_WANTED)
        results = len(exchange.workflow_results) + len(exchange.activity_results)
        answer: dict[str, Any] = {
            "results": said[:results],
            "workflow_tasks": [],
            "activity_tasks": [],
            "heartbeats": said[results:],
            "retry_after": None,
            "drain": self._draining.is_set(),
        }
        if not session.current or (taker is not None and taker.replaced):
            self._sessions.forget(exchange)
            answer.update(_not_current(session).told())
        if taker is not None:
            answer["workflow_tasks"] = self._workflow_tasks(exchange, taker.workflows)
            answer["activity_tasks"] = [activity_task(claimed) for claimed in taker.activities]
        return answer

    def _workflow_tasks(self, exchange: Exchange, claimed: Sequence[ClaimedRun]) -> builtins.list[dict[str, Any]]:
        if not claimed:
            return []
        wanted = []
        for lease in claimed:
            held = exchange.cached_runs.get(lease.run_id, 0)
            upto = lease.task.claimed_seq or 0
            wanted.append((lease.task.run_key, held if 0 <= held <= upto else 0, upto))
        with self._store.read() as db:
            histories = reads.histories(db, wanted)
        return [
            workflow_task(lease, after, histories[run_key])
            for lease, (run_key, after, _) in zip(claimed, wanted, strict=True)
        ]


def _not_current(session: Session) -> AssayError:
    if session.known:
        return SessionReplaced("this worker has begun another session: this one gets no work")
    return SessionReplaced("this worker is not known here: begin a session", code="session_unknown")


def _operations(exchange: Exchange, cancel_grace_secs: float) -> tuple[list[Operation], dict[int, AssayError]]:
    """Make the operations of what is handed in; a token that cannot be read is refused in its place."""
    operations: list[Operation] = []
    refusals: dict[int, AssayError] = {}
    namespace = exchange.namespace
    makers: list[Callable[[], Operation]] = [
        *(partial(TakeTurn.of, turn, namespace, cancel_grace_secs) for turn in exchange.workflow_results),
        *(partial(ReportActivity, report.task_token, namespace, report) for report in exchange.activity_results),
        *(partial(BeatActivity, beat.task_token, namespace, beat) for beat in exchange.heartbeats),
    ]
    for place, make in enumerate(makers):
        try:
            operations.append(make())
        except AssayError as refusal:
            refusals[place] = refusal
    return operations, refusals


def _give_back(runs: Sequence[reads.LeaseRow], attempts: Sequence[reads.LeaseRow]) -> list[Operation]:
    return [
        *(GiveBackTask(lease.key, lease.token_hash) for lease in runs),
        *(GiveBackActivity(lease.key, lease.token_hash) for lease in attempts),
    ]


def _said(token: str | None, outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        return {"task_token": token, **outcome.answer}
    if isinstance(outcome.error, AssayError):
        return {"task_token": token, **outcome.error.told()}
    return {"task_token": token, "error": "internal error", "code": "internal"}
