"""What time does: leases and attempts that run out, workers that fall silent, rows that have served.

Each duty is a bounded pass; whoever calls it (the sidecar, an embedder's thread, a test) decides when.
Several may do it at once: each row is decided again in its unit, under its run's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from ..domain.closing import CLOSE_CHILDREN
from ..domain.errors import AlreadyTerminal
from ..domain.errors import AssayError
from ..domain.errors import Unavailable
from ..domain.schedules import AHEAD_SECS
from ..jsontext import loads
from ..store import pruning
from ..store import reads
from ..store import schedule_reads
from ..store.store import Store
from .committer import Committer
from .operations import CancelRun
from .operations import ExpireActivity
from .operations import ExpireRun
from .operations import ExpireTask
from .operations import FinishFollowup
from .operations import FireSchedule
from .operations import FireTimer
from .operations import GiveBackActivity
from .operations import GiveBackTask
from .operations import Operation
from .operations import PostponeSchedule
from .operations import RetireWorker
from .operations import TerminateRun
from .waiters import Waiter
from .wakeups import MANY
from .wakeups import SIDECAR
from .wakeups import Wakeups

log = logging.getLogger(__name__)

PASS = 200  # rows
CHILDREN_AT_ONCE = 100
_PARENT_CLOSED = "its parent has closed"
LOOK_EVERY_SECS = 1.0
_RETIRE_EVERY_SECS = 5.0
_PRUNE_EVERY_SECS = 60.0
_PRUNES_AT_MOST = 50  # passes over one kind of row at a time


class Upkeep:
    """The duties of the sidecar."""

    def __init__(self, store: Store, committer: Committer, wakeups: Wakeups) -> None:
        self._store = store
        self._committer = committer
        self._wakeups = wakeups
        self._set_back = True  # whether schedules may have been written by a clock that was set back since
        self._looked_at = float("-inf")
        self.done = 0  # how many rows were handled so far: who sees it grow knows that a pass got somewhere

    def expire(self, limit: int = PASS) -> int:
        """Do what is due: fire timers and schedules, end what took too long, take back leases.

        Returns how many rows it looked at. At most `limit` of each kind.
        """
        now = self._store.now()
        grace = self._store.settings.cancel_grace_secs
        with self._store.read() as db:
            timers = reads.due_timers(db, now, limit)
            leases = reads.due_tasks(db, now, limit)
            activities = reads.due_activities(db, now, limit)
            runs = reads.due_runs(db, now, limit)
        looked = 0
        for what, operations in (
            ("timers fired", [FireTimer(*timer) for timer in timers]),
            ("leases taken back", [ExpireTask(run_key) for run_key in leases]),
            ("activities timed out", [ExpireActivity(key) for key in activities]),
            ("runs ended", [ExpireRun(run_key, grace) for run_key in runs]),
        ):
            looked += len(operations)
            done = self._done(operations)
            if done:
                log.info("%s count=%s", what, done)
        return looked + self.follow_up(limit) + self.fire_schedules(limit)

    def fire_schedules(self, limit: int = PASS) -> int:
        """Take ticks that are due, start what waited for runs that have ended. Returns how many schedules it looked at.

        One that cannot be worked on is noted, and looked at again later.
        """
        grace = self._store.settings.cancel_grace_secs
        fires = [FireSchedule.of(schedule, grace) for schedule in self._due_schedules(limit)]
        if not fires:
            return 0
        done, failed = 0, []
        for fire, outcome in zip(fires, self._committer.submit(fires), strict=True):
            error = outcome.error
            if error is None:
                done += bool(outcome.answer)
            elif isinstance(error, Unavailable):
                log.warning("%s left for the next pass reason=%s", fire, error)
            elif isinstance(error, AssayError):
                log.error("%s is put off reason=%s", fire, error)
                failed.append(PostponeSchedule(fire.schedule_key, error.message))
            else:
                log.error("%s failed, it is put off", fire, exc_info=error)
                failed.append(PostponeSchedule(fire.schedule_key, repr(error)))
        if done:
            log.info("schedules fired count=%s", done)
        self.done += done
        self._done(failed)
        return len(fires)

    def _due_schedules(self, limit: int) -> Sequence[schedule_reads.DueSchedule]:
        """Give schedules to look at: those that are due, and after a clock was set back those that it has moved on."""
        now = self._store.now()
        self._set_back = self._set_back or now + AHEAD_SECS < self._looked_at
        self._looked_at = now
        with self._store.read() as db:
            due = schedule_reads.due(db, now, limit)
            if self._set_back:
                ahead = schedule_reads.written_after(db, now + AHEAD_SECS, limit)
                self._set_back = bool(ahead)
                due += [schedule for schedule in ahead if schedule not in due]
        return due

    def follow_up(self, limit: int = PASS) -> int:
        """See to the children of closed runs, in bounded units. Returns how many rows it looked at."""
        with self._store.read() as db:
            due = reads.due_followups(db, self._store.now(), limit)
        return sum(self._close_children(followup) for followup in due if followup.kind == CLOSE_CHILDREN)

    def _close_children(self, followup: reads.DueFollowup) -> int:
        """Bring parent_close about for some children; strike the followup out when there are no more."""
        terminated = bool(loads(followup.detail or "{}").get("terminated"))
        with self._store.read() as db:
            children = reads.children_to_close(db, followup.run_key, CHILDREN_AT_ONCE, terminated=terminated)
        if not children:
            self._done([FinishFollowup(followup.id)])
            return 1
        grace = self._store.settings.cancel_grace_secs
        self._done(
            [
                TerminateRun(child.namespace, child.workflow_id, child.run_key, child.run_id, _PARENT_CLOSED, None)
                if terminated or child.parent_close == "terminate"
                else CancelRun(child.namespace, child.workflow_id, child.run_key, child.run_id, _PARENT_CLOSED, grace)
                for child in children
            ]
        )
        return len(children)

    def retire_dead_workers(self, limit: int = PASS) -> int:
        """Retire workers that are silent, free what retired ones hold. Returns how many workers were retired."""
        since = self._store.now() - self._store.settings.worker_silence_secs
        with self._store.read() as db:
            silent = reads.silent_workers(db, since, limit)
        retired = self._done([RetireWorker(namespace, worker_id, since) for namespace, worker_id in silent])
        if retired:
            log.info("silent workers retired count=%s", retired)
        with self._store.read() as db:
            runs = reads.leases_of_retired(db, "workflow", limit)
            attempts = reads.leases_of_retired(db, "activity", limit)
        freed = self._done(
            [
                *(GiveBackTask(lease.key, lease.token_hash, (lease.namespace, lease.owner)) for lease in runs),
                *(GiveBackActivity(lease.key, lease.token_hash, (lease.namespace, lease.owner)) for lease in attempts),
            ]
        )
        if freed:
            log.info("leases of retired workers freed count=%s", freed)
        return retired

    def prune(self) -> int:
        """Remove what has served: stored answers, notices, rows of closed connections. Returns how many rows."""
        now = self._store.now()
        removed = 0
        for remove in pruning.DUTIES:
            for _ in range(_PRUNES_AT_MOST):
                with self._store.administer() as db:
                    count = remove(db, now, self._store.settings)
                removed += count
                if count < pruning.PASS:
                    break
        if removed:
            log.info("rows pruned count=%s", removed)
        return removed

    def next_deadline(self, after: float = float("-inf")) -> float | None:
        """Give the earliest deadline that is later than `after`, on the store's clock."""
        with self._store.read() as db:
            return reads.next_deadline(db, after)

    def near(self) -> Waiter:
        """Give a waiter, to be entered, that is woken when a unit of any process wrote a deadline that is near.

        One that is written while its thread is at work ends the next wait at once.
        """
        self._wakeups.start()
        return self._wakeups.waiters.wait_for([SIDECAR])

    def look(self) -> None:
        """Wake those of this process who wait for near deadlines."""
        self._wakeups.waiters.wake(SIDECAR, MANY)

    def run(self, stop: threading.Event) -> None:
        """Do all duties until `stop` is set: for programs that embed the engine and run no sidecar.

        It ends within a second of that.
        """
        retired = pruned = float("-inf")
        with self.near() as near:
            while not stop.is_set():
                at = time.monotonic()
                pause = LOOK_EVERY_SECS
                try:
                    pause = self._expire_and_plan()
                    if at - retired >= _RETIRE_EVERY_SECS:
                        retired = at
                        self.retire_dead_workers()
                    if at - pruned >= _PRUNE_EVERY_SECS:
                        pruned = at
                        self.prune()
                except Exception:
                    log.exception("upkeep failed, it goes on")
                near.wait(pause)

    def _expire_and_plan(self) -> float:
        """Do what is due; give the seconds until more falls due, at most a second."""
        looked_at = self._store.now()
        if self.expire() >= PASS:
            return 0.0
        deadline = self.next_deadline(looked_at)
        return LOOK_EVERY_SECS if deadline is None else min(deadline - self._store.now(), LOOK_EVERY_SECS)

    def _done(self, operations: Sequence[Operation]) -> int:
        """Have operations done; count those that found their row still due. One bad row stops no other."""
        if not operations:
            return 0
        done = 0
        for operation, outcome in zip(operations, self._committer.submit(operations), strict=True):
            if outcome.error is None:
                done += bool(outcome.answer)
            elif isinstance(outcome.error, AlreadyTerminal):
                pass  # it has ended by itself meanwhile
            elif isinstance(outcome.error, AssayError):
                log.warning("%s left for the next pass reason=%s", operation, outcome.error)
            else:
                log.error("%s failed", operation, exc_info=outcome.error)
        self.done += done
        return done
