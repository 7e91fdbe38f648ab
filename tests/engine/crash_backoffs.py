"""The crash matrix's cases of a run that waits for its back-off, and of who ends that."""

from __future__ import annotations

from collections.abc import Generator

from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.engine.operations import CancelRun
from assay_wsgi.engine.operations import RetryNow
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Changed
from tests.engine.crash_steps import Step
from tests.engine.crash_steps import Steps
from tests.engine.crash_steps import do
from tests.engine.crash_steps import given_a_lease_again
from tests.engine.crash_steps import given_activities
from tests.engine.crash_steps import keyed
from tests.engine.crash_steps import report
from tests.engine.crash_steps import signal
from tests.engine.crash_steps import turn


def given_a_run_that_backs_off(ns: str) -> Generator[Step, None, None]:
    """Have a run whose task fails, while one of its activities is between attempts and another one is at work."""
    one, _ = yield from given_activities(ns, count=2, leased=2, initial_interval_secs=500.0)
    yield do(report(one, failure=ActivityFailure(error="oops")), signal(ns))
    lease = yield from given_a_lease_again(ns)
    yield do(turn(lease, failure=TaskFailure(cause="bug", message="oops")))


def retry_a_run_now(ns: str) -> Steps:
    yield from given_a_run_that_backs_off(ns)
    return Act([RetryNow(ns, "w", None, None, activities=True)])


def retry_a_run_now_under_a_key(ns: str) -> Steps:
    yield from given_a_run_that_backs_off(ns)
    return Act([keyed(ns, RetryNow(ns, "w", None, None, activities=False))])


def cancel_a_run_that_backs_off(ns: str) -> Steps:
    yield from given_a_run_that_backs_off(ns)
    return Act([CancelRun(ns, "w", None, None, "enough")])


BACKOFFS = (
    Case(retry_a_run_now, again=(Changed("'task': True, 'activities': 1", "'task': False, 'activities': 0"),)),
    Case(retry_a_run_now_under_a_key, again=(SAME,)),
    Case(cancel_a_run_that_backs_off, again=(SAME,)),
)
