"""When the time of a run is over, and when a cancel that nobody answers is carried out."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.domain import workflows
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.model import Task
from tests.domain.given import NOW
from tests.domain.given import a_closed_run
from tests.domain.given import a_lease
from tests.domain.given import a_ready_task
from tests.domain.given import a_run
from tests.domain.given import events
from tests.domain.given import payload
from tests.domain.given import touched

GRACE = 60.0
READY, HELD = a_ready_task(), a_lease()


def asked(**columns: Any) -> Run:
    """Give a run whose cancel was asked for exactly a grace ago."""
    return a_run(**{"cancel_requested_at": NOW - GRACE, "cancel_seq": 1, "deadline_at": NOW, **columns})


def expire(run: Run, task: Task | None = READY, polled: float | None = None) -> Any:
    return workflows.expire(run, task, NOW, lambda: polled, GRACE)


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"run_deadline_at": NOW}, "run"),
        ({"chain_deadline_at": NOW}, "execution"),
        ({"run_deadline_at": NOW - 1.0, "chain_deadline_at": NOW + 1.0}, "run"),
        ({"run_deadline_at": NOW + 1.0, "chain_deadline_at": NOW - 1.0}, "execution"),
        ({"run_deadline_at": NOW - 5.0, "chain_deadline_at": NOW}, "execution"),  # the whole chain's counts more
        ({"run_deadline_at": NOW, "cancel_requested_at": NOW - GRACE}, "run"),
    ],
)
@pytest.mark.parametrize("task", [None, READY, HELD])
def test_a_run_whose_time_is_over_is_timed_out(columns: dict[str, Any], kind: str, task: Task | None) -> None:
    change = expire(a_run(deadline_at=NOW, **columns), task)

    (run,) = change.runs
    assert change.answer is True
    assert (run.status, run.close_reason, run.error, run.deadline_at) == (
        "TIMED_OUT", "timed_out", f"timed out: {kind}", None,
    )  # fmt: skip
    assert events(change) == [(2, "WorkflowTimedOut")]
    assert payload(change.events[0]) == {"timeout_type": kind}
    assert change.closed == [run.run_key]


@pytest.mark.parametrize("polled", [None, NOW - GRACE, NOW - 3600.0])
def test_a_cancel_that_nobody_could_hear_of_is_carried_out(polled: float | None) -> None:
    change = expire(asked(), READY, polled)

    assert (change.answer, change.runs[0].status, change.runs[0].close_reason) == (True, "CANCELLED", "cancelled")
    assert events(change) == [(2, "WorkflowCancelled")]


@pytest.mark.parametrize(
    ("run", "task", "polled", "deadline_at"),
    [
        (asked(), READY, NOW - GRACE + 0.001, NOW + GRACE),  # somebody asks for work of its queue
        (asked(), HELD, None, NOW + GRACE),  # a worker holds it
        (asked(), None, None, NOW + GRACE),  # a worker has heard of it, and it waits for something else
        (asked(cancel_requested_at=NOW - GRACE + 0.001), READY, None, NOW + GRACE),
        (asked(run_deadline_at=NOW + 10.0), HELD, None, NOW + 10.0),
        (a_run(deadline_at=NOW), READY, None, None),
        (a_run(deadline_at=NOW, chain_deadline_at=NOW + 5.0), READY, None, NOW + 5.0),
    ],
)
def test_else_it_is_looked_at_again_when_the_next_of_its_times_is_over(
    run: Run, task: Task | None, polled: float | None, deadline_at: float | None
) -> None:
    change = expire(run, task, polled)

    assert change.answer is False
    assert touched(change) == {"runs"}
    assert change.runs[0].deadline_at == deadline_at


@pytest.mark.parametrize(
    "run", [a_closed_run(), a_run(deadline_at=NOW + 0.001, run_deadline_at=NOW + 0.001), a_run(deadline_at=None)]
)
def test_what_is_not_due_is_left_alone(run: Run) -> None:
    change = expire(run)

    assert (change.answer, touched(change)) == (False, set())


def test_a_cancel_that_its_code_has_heard_is_not_carried_out_by_anybody_else() -> None:
    change = expire(asked(seen_seq=1))

    (run,) = change.runs
    assert (change.answer, run.status, run.deadline_at) == (False, "RUNNING", None)


def test_a_signal_after_the_cancel_does_not_make_it_unheard() -> None:
    change = expire(asked(last_seq=2, signal_seq=2, seen_seq=1))

    assert change.answer is False
