"""Workers: the exchange, in which they hand in finished work and take new work; and who they are."""

from __future__ import annotations

import builtins
import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..domain.errors import AssayError
from ..domain.errors import SessionReplaced
from ..domain.requests import Exchange
from ..jsontext import embed
from ..store import reads
from ..store.claims import ClaimedActivity
from ..store.claims import ClaimedRun
from ..store.claims import Taker
from ..store.store import Store
from ..store.tables import Worker as WorkerTable
from ..store.unit import Outcome
from .committer import Committer
from .operations import BeatActivity
from .operations import BeginSession
from .operations import GiveBackActivity
from .operations import GiveBackTask
from .operations import Operation
from .operations import ReportActivity
from .operations import TakeTurn
from .sessions import Session
from .sessions import Sessions
from .waiters import Key
from .wakeups import Wakeups

SLOTS_AT_MOST = 200
_NOT_WANTED = frozenset({"workflow_closed", "lease_lost", "stale_attempt"})  # whoever beats may stop working
Waiting = Callable[[], contextlib.AbstractContextManager[Any]]


class Workers:
    """Workers and what they exchange with the engine."""

    def __init__(self, store: Store, committer: Committer, wakeups: Wakeups, draining: threading.Event) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups
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
        if exchange.worker is not None:
            self._begin_session(exchange)
        session = self._sessions.of(exchange)
        if session.current:
            self._store.liveness.worker_seen(exchange.namespace, exchange.worker_id)
        taker = self._taker(exchange, session)
        if taker is not None:
            self._store.liveness.queue_polled(exchange.namespace, exchange.queue)
        operations, refusals = _operations(exchange)
        operations += self._given_back(exchange) if session.current else []
        outcomes: list[Outcome] = []
        tries = taker is not None and (bool(operations) or exchange.worker is not None)
        if operations or tries:
            with waiting():
                outcomes = self._committer.submit(operations, taker if tries else None)
        if taker is not None:
            self._take(exchange, taker, client_gone, waiting, tried=tries)
        return self._answer(exchange, session, taker, outcomes, refusals)

    def list(self, namespace: str) -> Sequence[dict[str, Any]]:
        """Give the workers of a namespace that are not retired, by id."""
        table = WorkerTable
        query = (
            table.select()
            .where((table.namespace == namespace) & table.retired_at.is_null())
            .order_by(table.worker_id)
            .dicts()
        )
        with self._store.read() as db:
            return [_worker_record(row) for row in query.execute(db.database)]

    # ------------------------------------------------------------------------------------- sessions

    def _begin_session(self, exchange: Exchange) -> None:
        if exchange.worker is None:
            return
        begun = self._committer.do(
            BeginSession(
                exchange.namespace,
                exchange.worker_id,
                exchange.queue,
                exchange.session,
                exchange.worker,
                (exchange.workflow_slots, exchange.activity_slots),
            )
        )
        if not begun:
            return
        with self._store.read() as db:
            held = [
                reads.leases_of_other_sessions(db, kind, exchange.namespace, exchange.worker_id, exchange.session)
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
        if slots == (0, 0) or self._draining.is_set() or not session.current:
            return None
        return Taker(
            exchange.namespace, exchange.queue, exchange.worker_id, exchange.session, exchange.n, *slots,
            session.workflows, session.activities,
            self._store.settings.workflow_lease_secs,
        )  # fmt: skip

    def _take(
        self, exchange: Exchange, taker: Taker, client_gone: Callable[[], bool] | None, waiting: Waiting, *,
        tried: bool,
    ) -> None:  # fmt: skip
        """Claim; where there is nothing, wait and claim again until there is, or time is up."""
        until = time.monotonic() + exchange.wait_secs
        if not tried and self._is_ready(taker) and not (client_gone is not None and client_gone()):
            with waiting():
                self._committer.submit((), taker)
        if _served(taker) or exchange.wait_secs <= 0:
            return
        keys = [
            Key(kind, taker.namespace, taker.queue)
            for kind, slots in (("workflow", taker.workflow_slots), ("activity", taker.activity_slots))
            if slots
        ]
        with self._wakeups.waiters.wait_for(keys) as waiter:
            while not self._draining.is_set():
                if taker.held or self._is_ready(taker):
                    if client_gone is not None and client_gone():
                        waiter.pass_on()
                        return
                    with waiting():
                        self._committer.submit((), taker)
                    if taker.replaced:
                        waiter.pass_on()
                    if _served(taker):
                        return
                else:
                    waiter.pass_on()
                left = until - time.monotonic()
                if left <= 0:
                    return
                with waiting():
                    woken = waiter.wait(min(left, 0.05) if taker.held else left)
                if not woken and time.monotonic() >= until:
                    return

    def _is_ready(self, taker: Taker) -> bool:
        asked = (
            ("workflow", taker.workflow_slots, taker.workflow_types),
            ("activity", taker.activity_slots, taker.activity_names),
        )
        now = self._store.now()
        with self._store.read() as db:
            return any(
                slots and names != () and reads.is_ready(db, kind, taker.namespace, taker.queue, names, now)
                for kind, slots, names in asked
            )

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
            beat.setdefault("cancel_requested", beat.get("code") in _NOT_WANTED)
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
            answer["activity_tasks"] = [_activity_task(claimed) for claimed in taker.activities]
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
            _workflow_task(lease, after, histories[run_key])
            for lease, (run_key, after, _) in zip(claimed, wanted, strict=True)
        ]


def _not_current(session: Session) -> AssayError:
    if session.known:
        return SessionReplaced("this worker has begun another session: this one gets no work")
    return SessionReplaced("this worker is not known here: begin a session", code="session_unknown")


def _operations(exchange: Exchange) -> tuple[list[Operation], dict[int, AssayError]]:
    """Make the operations of what is handed in; a token that cannot be read is refused in its place."""
    operations: list[Operation] = []
    refusals: dict[int, AssayError] = {}
    namespace = exchange.namespace
    makers: list[Callable[[], Operation]] = [
        *(partial(TakeTurn.of, turn, namespace) for turn in exchange.workflow_results),
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


def _served(taker: Taker) -> bool:
    return bool(taker.workflows or taker.activities or taker.replaced)


def _said(token: str, outcome: Outcome) -> dict[str, Any]:
    if outcome.error is None:
        return {"task_token": token, **outcome.answer}
    if isinstance(outcome.error, AssayError):
        return {"task_token": token, **outcome.error.told()}
    return {"task_token": token, "error": "internal error", "code": "internal"}


def _workflow_task(
    lease: ClaimedRun, after: int, history: Sequence[tuple[int, str, str | None, float]]
) -> dict[str, Any]:
    task = lease.task
    return {
        "task_token": lease.token,
        "workflow_id": lease.workflow_id,
        "run_id": lease.run_id,
        "namespace": task.namespace,
        "workflow_type": task.workflow_type,
        "task_queue": task.task_queue,
        "input": embed(lease.input),
        "history": [
            {"seq": seq, "event_type": event_type, "payload": embed(payload), "timestamp": timestamp}
            for seq, event_type, payload, timestamp in history
        ],
        "history_from": after,
        "history_seq": task.claimed_seq,
        "attempt": task.attempt + 1,
        "lease_expires_at": task.deadline_at,
        "cancel_requested": lease.cancel_requested,
    }


def _activity_task(claimed: ClaimedActivity) -> dict[str, Any]:
    activity = claimed.activity
    return {
        "task_token": claimed.token,
        "id": activity.activity_key,
        "workflow_id": claimed.workflow_id,
        "run_id": claimed.run_id,
        "seq": activity.seq,
        "namespace": activity.namespace,
        "name": activity.name,
        "task_queue": activity.task_queue,
        "input": embed(activity.input),
        "attempt": activity.attempt,
        "max_attempts": activity.max_attempts,
        "lease_expires_at": activity.deadline_at,
        "start_to_close_secs": activity.start_to_close_secs,
        "heartbeat_timeout_secs": activity.heartbeat_timeout_secs,
        "heartbeat_details": embed(activity.heartbeat_details),
        "scheduled_at": activity.scheduled_at,
    }


def _worker_record(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["worker_id"],
        "namespace": row["namespace"],
        "identity": row["identity"],
        "task_queue": row["task_queue"],
        "workflows": row["workflows"],
        "activities": row["activities"],
        "max_concurrent_workflows": row["max_concurrent_workflows"],
        "max_concurrent_activities": row["max_concurrent_activities"],
        "last_heartbeat": row["last_seen"],
        "registered_at": row["registered_at"],
    }
