"""Continue as new: how a successor is named and when it begins."""

from __future__ import annotations

import pytest

from assay_wsgi.domain import continuing
from assay_wsgi.domain.change import Change
from assay_wsgi.domain.change import RunPen
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.continuing import Unread
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.model import Run
from tests.domain.given import NOW
from tests.domain.given import a_closed_run
from tests.domain.given import a_lease
from tests.domain.given import a_run
from tests.domain.given import events

LONG = "x" * 255


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("w", "w-continued-1"),
        ("w-continued-1", "w-continued-2"),
        ("w-continued-9", "w-continued-10"),
        ("w-continued-99", "w-continued-100"),
        ("w-continued-1700000000", "w-continued-1700000001"),  # the reference counts in epoch seconds
        ("w-continued-", "w-continued--continued-1"),
        ("w-continued-1b", "w-continued-1b-continued-1"),
        ("w-continued-2-continued-3", "w-continued-2-continued-4"),
        ("-continued-1", "-continued-2"),
        (LONG, "x" * 243 + "-continued-1"),
        ("x" * 243 + "-continued-9", "x" * 242 + "-continued-10"),
    ],
)
def test_the_next_run_of_a_chain_is_numbered(before: str, after: str) -> None:
    assert continuing.next_id(before) == after
    assert len(after) <= 255


def continued(
    run: Run, command: ContinueAsNew, newest: Run | None = None, *, asked_to_end: bool = False
) -> tuple[Change, Run]:
    change = Change()
    pen = RunPen(change, run, a_lease(), NOW)
    unread = [Unread("go", "1", "s1"), Unread("go", "2", None)]
    fresh = continuing.proceed(
        pen, command, unread, newest, 99, NOW, asked_to_end=asked_to_end, grace_secs=60.0
    )  # fmt: skip
    pen.done()
    return change, fresh


def test_one_change_closes_a_run_and_begins_the_next() -> None:
    run = a_run(
        parent_key=3, parent_chain_key=2, child_command=5, parent_close="terminate", has_children=True, priority=4,
        search_attributes='{"a":1}', run_timeout_secs=50.0, run_deadline_at=1010.0, chain_deadline_at=1030.0,
    )  # fmt: skip

    change, fresh = continued(run, ContinueAsNew(workflow_id="w", input="7"))

    assert [(event.run_key, event.event_type) for event in change.events] == [
        (7, "WorkflowContinuedAsNew"), (99, "WorkflowStarted"), (99, "SignalReceived"), (99, "SignalReceived"),
    ]  # fmt: skip
    (old,) = change.runs
    assert (old.status, old.close_reason, old.continued_to, old.deadline_at) == (
        "COMPLETED", "continued_as_new", fresh.run_id, None,
    )  # fmt: skip
    kept = ("parent_key", "parent_chain_key", "child_command", "parent_close", "has_children", "priority")
    assert [getattr(fresh, name) for name in kept] == [getattr(run, name) for name in kept]
    assert (fresh.search_attributes, fresh.continued_from, fresh.first_run_key) == ('{"a":1}', "run-w-7", 7)
    assert (fresh.run_deadline_at, fresh.chain_deadline_at, fresh.deadline_at) == (1050.0, 1030.0, 1030.0)
    assert (fresh.signal_seq, fresh.wake_seq) == (3, 3)
    assert [(signal.run_key, signal.event_seq, signal.signal_id) for signal in change.signals] == [
        (99, 2, "s1"), (99, 3, None),
    ]  # fmt: skip
    assert (change.closed, change.dropped_tasks, [task.run_key for task in change.tasks]) == ([7], [7], [99])
    assert change.followups == []  # the chain goes on: its children stay


def test_a_cancel_that_was_not_known_goes_along_behind_the_signals() -> None:
    change, fresh = continued(a_run(), ContinueAsNew(workflow_id="w"), asked_to_end=True)

    assert events(change)[-1] == (4, "WorkflowCancelRequested")
    assert (fresh.cancel_requested_at, fresh.deadline_at, fresh.signal_seq) == (NOW, NOW + 60.0, 4)


@pytest.mark.parametrize(
    ("created_at", "updated_at", "other", "began_at"),
    [
        (900.0, 900.0, None, NOW),
        (900.0, 5000.0, None, 5000.0),
        (6000.0, 5000.0, None, 6000.0 + 1e-6),
        (900.0, 900.0, a_closed_run(run_key=8, created_at=7000.0), 7000.0 + 1e-6),
        (900.0, 5000.0, a_closed_run(run_key=8), 5000.0),  # not only after the run whose id it takes
    ],
)
def test_a_successor_is_younger_than_whom_it_continues_and_whose_id_it_takes(
    created_at: float, updated_at: float, other: Run | None, began_at: float
) -> None:
    run = a_run(created_at=created_at, updated_at=updated_at)

    change, fresh = continued(run, ContinueAsNew(workflow_id="other"), other)

    assert fresh.created_at == began_at
    assert change.tasks[0].ready_at == NOW  # and yet it need not be waited for


def test_the_id_of_another_open_run_is_no_id_to_continue_under() -> None:
    with pytest.raises(AlreadyStarted):
        continued(a_run(), ContinueAsNew(workflow_id="other"), a_run(run_key=8))
