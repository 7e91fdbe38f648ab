"""The sidecar's jobs and the schedule they run by.

A new periodic duty is one method of engine.upkeep and one line in `Sidecar.__init__`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from threading import Event
from threading import Thread
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from ..domain.errors import Unavailable
from .leader import Leadership

if TYPE_CHECKING:
    from ..engine import Engine

log = logging.getLogger(__name__)

FIRST_PAUSE_SECS = 0.02  # before what was due and could not be done is looked at again; doubled each time
LOOK_SECS = 1.0  # how often we look for due deadlines and for the lead when nothing calls for it sooner
RETIRE_SECS = 5.0
PRUNE_SECS = 60.0
EXPIRE_LIMIT = 200
MOST_PASSES = 50  # of one run of the job
LONGEST_PAUSE_SECS = 5.0  # after failures in a row


class Sidecar:
    """Runs the engine's upkeep for as long as it leads."""

    def __init__(self, engine: Engine, owner: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._stop = Event()
        self._pause_secs = FIRST_PAUSE_SECS
        self.leadership = Leadership(engine.store.leases, owner, monotonic)
        retire, prune = engine.upkeep.retire_dead_workers, engine.upkeep.prune
        self._expiring = Job("expire", LOOK_SECS, self._expire, monotonic)
        self.jobs = [
            Job("lead", LOOK_SECS, self._lead, monotonic),
            self._expiring,
            Job("retire_dead_workers", RETIRE_SECS, self._leading_only(retire), monotonic),
            Job("prune", PRUNE_SECS, self._leading_only(prune), monotonic),
        ]

    def run(self, stop: Event) -> None:
        """Work until `stop` is set, then finish the units under way and let another lead."""
        self._stop = stop
        self.jobs[0].run()  # the lead first: the others have nothing to do without it
        scheduler = self._scheduled()
        scheduler.start()
        deadlines = Thread(target=self._keep_deadlines, name="sidecar-deadlines", daemon=True)
        deadlines.start()
        try:
            stop.wait()
        finally:
            self._engine.upkeep.look()  # ends its wait
            scheduler.shutdown(wait=True)
            deadlines.join()
            self._release()

    def _scheduled(self) -> BackgroundScheduler:
        # Its complaint about a run skipped while the last one still works is no news to anybody.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(len(self.jobs) - 1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job in self.jobs:
            if job is not self._expiring:
                scheduler.add_job(
                    self._once, "interval", args=(job, scheduler), id=job.name, seconds=job.every_secs,
                    next_run_time=_from_now(0.0),
                )  # fmt: skip
        return scheduler

    def _once(self, job: Job, scheduler: BackgroundScheduler) -> None:
        if self._stop.is_set():
            return
        sooner = job.run()
        if sooner is not None and sooner < job.every_secs and not self._stop.is_set():
            scheduler.modify_job(job.name, next_run_time=_from_now(sooner))

    def _keep_deadlines(self) -> None:
        """Expire what is due, sleep until more is, and wake when some process wrote a deadline that is near.

        A thread of its own: the scheduler skips a job that is called while its last run still works, and what was
        written since that run looked would wait for a second.
        """
        while not self._stop.is_set():
            try:
                with self._engine.upkeep.near() as near:
                    while not self._stop.is_set():
                        sooner = self._expiring.run()
                        near.wait(LOOK_SECS if sooner is None else sooner)
            except Exception:
                log.exception("waiting for deadlines failed, it goes on")
                self._stop.wait(LOOK_SECS)

    def _lead(self) -> float | None:
        led = self.leadership.leading
        sooner = self.leadership.renew()
        if self.leadership.leading and not led:
            self._engine.upkeep.look()  # whatever fell due while nobody led
        return sooner

    def _leading_only(self, unit: Callable[[], object]) -> Callable[[], None]:
        def guarded() -> None:
            if self.leadership.leading:
                unit()

        return guarded

    def _expire(self) -> float | None:
        """Handle what is due. Answers in how many seconds to look again, if that is before the next look."""
        store, upkeep = self._engine.store, self._engine.upkeep
        for _ in range(MOST_PASSES):
            if self._stop.is_set() or not self.leadership.leading:
                return None
            looked_at, done = store.now(), upkeep.done
            looked = upkeep.expire(EXPIRE_LIMIT)
            handled = upkeep.done > done
            if handled and looked >= EXPIRE_LIMIT:
                continue
            if handled or not looked:
                self._pause_secs = FIRST_PAUSE_SECS
            deadline = upkeep.next_deadline(looked_at)
            secs = LOOK_SECS if deadline is None else deadline - store.now()
            if secs <= 0.0:  # it fell due while this pass was under way
                continue
            if looked:  # some may stay due: children for the next pass, held rows. Not in a tight loop again
                secs = min(secs, self._pause_secs)
                self._pause_secs = min(2 * self._pause_secs, LOOK_SECS)
            return secs if secs < LOOK_SECS else None
        return 0.0

    def _release(self) -> None:
        try:
            self.leadership.release()
        except Exception:
            log.warning("the lead could not be given up; it runs out by itself", exc_info=True)


class Job:
    """One duty: a bounded piece of work, tried again after a pause that grows when it fails."""

    def __init__(
        self,
        name: str,
        every_secs: float,
        unit: Callable[[], float | None] | Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.every_secs = every_secs
        self._unit = unit
        self._monotonic = monotonic
        self._failures = 0
        self._paused_until = 0.0

    def run(self) -> float | None:
        """Do it once; whatever goes wrong is logged and kept from the other jobs.

        Answers in how many seconds it wants to run again, where that is not its usual time.
        """
        if self._monotonic() < self._paused_until:
            return None
        try:
            sooner = self._unit()
        except Unavailable as error:
            self._failed()
            log.warning("job waits for the database job=%s failures=%s: %s", self.name, self._failures, error)
            return None
        except Exception:
            self._failed()
            log.exception("job failed job=%s failures=%s", self.name, self._failures)
            return None
        self._failures = 0
        return sooner

    def _failed(self) -> None:
        self._failures += 1
        pause = min(self.every_secs * 2 ** (self._failures - 1), max(LONGEST_PAUSE_SECS, self.every_secs))
        self._paused_until = self._monotonic() + 0.9 * pause  # a little less: the next look is not to miss it


def _from_now(secs: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=secs)  # noqa: TID251  the scheduler's own clock
