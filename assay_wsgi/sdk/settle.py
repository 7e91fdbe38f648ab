"""What becomes of a report when the service has answered: done, dropped, sent again, or replaced.

Not thread-safe: the worker calls it under its lock.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from typing import Any

from .cache import RunCache
from .outbox import Batch
from .outbox import Outbox
from .outbox import Report

log = logging.getLogger(__name__)

TOO_LATE = frozenset({"lease_lost", "stale_attempt", "workflow_closed"})
AGAIN = frozenset({"store_busy", "store_unavailable", "outcome_unknown", "internal"})
UNANSWERED_SECS = 1.0


class Settler:
    """Sorts answered reports, and keeps the cache true to what the service has accepted."""

    def __init__(self, outbox: Outbox, cache: RunCache) -> None:
        self._outbox = outbox
        self._cache = cache

    def settle(self, batch: Batch, results: Iterable[dict[str, Any]]) -> None:
        """Settle each report of a batch by the answer's result for its token."""
        said = {result.get("task_token"): result for result in results}
        for report in batch.reports():
            result = said.get(report.token)
            if result is None:
                self._outbox.put_later(report, UNANSWERED_SECS)
            elif result.get("ok"):
                self._accepted(report)
            else:
                self._not_accepted(report, result)
        if len(batch):
            self._outbox.widen()

    def refused(self, batch: Batch, why: str) -> None:
        """Settle a batch that the service could not read as a whole: find the report that is to blame."""
        reports = batch.reports()
        if len(reports) > 1:
            self._outbox.halve(len(reports))
            self._outbox.give_back(reports)
        elif reports:
            self._replace(reports[0], why)

    def _accepted(self, report: Report) -> None:
        run = report.run
        if run is None:
            return
        run.busy = False
        if report.closes:
            self._cache.evict(run)
        else:
            run.history.turn_accepted()
            run.shown = report.state

    def _not_accepted(self, report: Report, result: dict[str, Any]) -> None:
        code = result.get("code") or ""
        if code in AGAIN:
            delay = result.get("retry_after") or random.uniform(0.1, 1.0)
            self._outbox.put_later(report, delay)
        elif code == "unhandled_events":  # the run comes again at once, with what the turn did not know of
            log.info("closing turn came before news report=%s", report.label)
            if report.run is not None:
                report.run.busy = False
        elif code in TOO_LATE:
            log.info("report came too late report=%s code=%s", report.label, code)
            self._forget(report)
        elif report.kind == "workflow":  # the service has failed the task: it will come again
            log.error("turn not accepted report=%s code=%s: %s", report.label, code, result.get("error"))
            self._forget(report)
        else:
            self._replace(report, f"{code}: {result.get('error')}")

    def _replace(self, report: Report, why: str) -> None:
        self._forget(report)
        log.error("report not accepted report=%s: %s", report.label, why)
        if not report.substitute:
            self._outbox.put(report.refused(why))

    def _forget(self, report: Report) -> None:
        if report.run is not None:
            self._cache.evict(report.run)
