"""Schedules, for those who keep them: what is started again and again, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from typing import overload

from ..domain.errors import Invalid
from ..domain.errors import NotFound
from ..domain.model import Schedule
from ..domain.requests import MAIN
from ..domain.requests import Backfill
from ..domain.requests import Idempotency
from ..domain.requests import NewSchedule
from ..domain.requests import SchedulePatch
from ..jsontext import dumps
from ..store import schedule_reads
from ..store.store import Store
from . import given
from .committer import Committer
from .operations import BackfillSchedule
from .operations import ChangeSchedule
from .operations import CreateSchedule
from .operations import Keyed
from .operations import Operation
from .operations import PauseSchedule
from .operations import RemoveSchedule
from .operations import ResumeSchedule
from .operations import TriggerSchedule
from .operations.schedules import read_cron
from .operations.schedules import ticks_of
from .operations.schedules import upcoming
from .records import schedule_record

NEXT_AT_MOST = 100  # times that are told at once
Record = dict[str, Any]


class Schedules:
    """The schedules of an engine. One is named by its namespace and its name."""

    def __init__(self, store: Store, committer: Committer) -> None:
        self._store = store
        self._committer = committer

    @overload
    def create(self, what: NewSchedule, /, idempotency: Idempotency | None = None) -> Record: ...

    @overload
    def create(
        self, what: str, /, workflow_type: str, cron_expr: str, *, input: Any = None,
        idempotency: Idempotency | None = None, **options: Any,
    ) -> Record: ...  # fmt: skip

    def create(self, what: NewSchedule | str, /, *args: Any, **more: Any) -> Record:
        """Make a schedule: of a name, by the names of NewSchedule's fields with `input` any JSON value; or as it says.

        Its first run is at its next tick. Answers the record, with `next_runs`. Raises ScheduleExists, ScheduleLimit,
        InvalidCron, InvalidTimezone, IdempotencyKeyReused, Invalid.
        """
        if isinstance(what, NewSchedule):
            return self._create(what, *args, **more)
        idempotency = more.pop("idempotency", None)
        return self._create(_wanted(what, *args, **more), idempotency)

    def _create(self, wanted: NewSchedule, idempotency: Idempotency | None = None) -> Record:
        read_cron(given.schedule(wanted).cron_expr, wanted.timezone)
        return self._do(CreateSchedule(wanted), idempotency)

    def list(self, namespace: str = MAIN, *, limit: int = 1000, offset: int = 0) -> Sequence[Record]:
        """Give the records of a namespace's schedules, by name."""
        with self._store.read() as db:
            return [schedule_record(found) for found in schedule_reads.listed(db, namespace, limit, offset)]

    def describe(self, name: str, namespace: str = MAIN) -> Record:
        """Give a schedule's record, with `next_runs`. Raises NotFound."""
        found = self._find(name, namespace)
        return schedule_record(found, upcoming(found, self._store.now()))

    def next(self, name: str, n: int = 5, namespace: str = MAIN) -> Record:
        """Give the next `n` times (at most NEXT_AT_MOST) of a schedule, were it not paused.

        Raises NotFound, ScheduleUnreadable, Invalid.
        """
        if type(n) is not int or not 1 <= n <= NEXT_AT_MOST:
            raise Invalid(f"n must be 1 to {NEXT_AT_MOST}, not {n!r:.60}", code="out_of_range")
        found = self._find(name, namespace)
        times = ticks_of(found).upcoming(self._store.now(), n)
        return {"name": found.name, "timezone": found.timezone, "paused": bool(found.paused), "next_runs": times}

    def change(
        self, name: str, patch: SchedulePatch, namespace: str = MAIN, *, idempotency: Idempotency | None = None
    ) -> Record:
        """Change a schedule; a new expression or zone counts from now on. Answers the record.

        No tick of the old definition comes after the answer. Raises NotFound, InvalidCron, InvalidTimezone, Invalid.
        """
        given.schedule_patch(patch)
        return self._do(ChangeSchedule(namespace, name, patch), idempotency)

    def pause(
        self, name: str, reason: str | None = None, namespace: str = MAIN, *, idempotency: Idempotency | None = None
    ) -> Record:
        """Let no tick start anything; those that wait are skipped. Answers the record. Raises NotFound."""
        return self._do(PauseSchedule(namespace, name, given.reason(reason)), idempotency)

    def resume(self, name: str, namespace: str = MAIN, *, idempotency: Idempotency | None = None) -> Record:
        """Go on at the next tick: nothing is made up for. Answers the record.

        Raises NotFound, ScheduleUnreadable.
        """
        return self._do(ResumeSchedule(namespace, name), idempotency)

    def delete(self, name: str, namespace: str = MAIN, *, idempotency: Idempotency | None = None) -> Record:
        """Remove a schedule, and what waits of it; its open runs go on. Raises NotFound."""
        return self._do(RemoveSchedule(namespace, name), idempotency)

    def trigger(
        self, name: str, overlap_policy: str | None = None, namespace: str = MAIN, *,
        idempotency: Idempotency | None = None,
    ) -> Record:  # fmt: skip
        """Start a run now, paused or not, under the schedule's overlap policy or another.

        Answers schedule, tick, outcome (started, buffered, skipped), reason, workflow_id, run_id. Raises NotFound.
        """
        grace = self._store.settings.cancel_grace_secs
        policy, now = given.overlap_policy(overlap_policy), self._store.now()
        return self._do(TriggerSchedule(namespace, name, policy, now, grace), idempotency)

    def backfill(
        self, name: str, asked: Backfill, namespace: str = MAIN, *, idempotency: Idempotency | None = None
    ) -> Record:
        """Make up for ticks of the past, each of which starts one run at most, however often it is asked for.

        Answers how many: ticks, queued, known (they have started a run, or wait), left (the buffer is full: ask
        again). Raises NotFound, ScheduleUnreadable, Invalid.
        """
        return self._do(BackfillSchedule(namespace, name, given.backfill(asked)), idempotency)

    def _find(self, name: str, namespace: str) -> Schedule:
        with self._store.read() as db:
            found = schedule_reads.schedule(db, namespace, name)
        if found is None:
            raise NotFound(f"not found: schedule {name}")
        return found

    def _do(self, operation: Operation, idempotency: Idempotency | None) -> Record:
        answer: Record = self._committer.do(Keyed.of(operation, idempotency, self._store.settings))
        return answer


def _wanted(name: str, workflow_type: str, cron_expr: str, *, input: Any = None, **options: Any) -> NewSchedule:
    """Make the request that an embedder spells with keywords. Raises TypeError for one that NewSchedule has not."""
    made = NewSchedule(name=name, workflow_type=workflow_type, cron_expr=cron_expr, **options)
    try:
        return made if input is None else replace(made, input=dumps(input))
    except ValueError as error:
        raise Invalid(f"this cannot be written as JSON: {error}") from error
