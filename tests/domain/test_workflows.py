"""Start, signal, cancel, terminate: the rules by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from assay_wsgi.domain import workflows
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import StartRun
from tests.domain.given import NOW
from tests.domain.given import RUN_KEY
from tests.domain.given import a_closed_run
from tests.domain.given import a_lease
from tests.domain.given import a_ready_task
from tests.domain.given import a_run
from tests.domain.given import events
from tests.domain.given import payload
from tests.domain.given import touched

PENDING = a_run(status="PENDING")
RUNNING = a_run()
COMPLETED = a_closed_run()
FAILED = a_closed_run(status="FAILED", close_reason="failed")
TERMINATED = a_closed_run(status="FAILED", close_reason="terminated")
CANCELLED = a_closed_run(status="CANCELLED", close_reason="cancelled")
TIMED_OUT = a_closed_run(status="TIMED_OUT", close_reason="timed_out")
CLOSED = [COMPLETED, FAILED, TERMINATED, CANCELLED, TIMED_OUT]


def starts(newest: Run | None, now: float = NOW, **how: Any) -> Any:
    task = a_ready_task() if newest is not None and not newest.closed else None
    return workflows.start(StartRun(workflow_type="Order", task_queue="q", **how), "w", 8, newest, task, now)


def a_signal(name: str = "go", payload: str | None = None, signal_id: str | None = None) -> SentSignal:
    return SentSignal(name=name, payload=payload, signal_id=signal_id)


NEW, OLD, REFUSED = "a new run", "the open run", "refused"


@pytest.mark.parametrize(
    ("newest", "id_conflict", "id_reuse", "expected"),
    [
        (None, "fail", "reject", NEW),
        (PENDING, "fail", "allow", REFUSED),
        (RUNNING, "fail", "allow", REFUSED),
        (RUNNING, "use_existing", "reject", OLD),
        (PENDING, "use_existing", "allow", OLD),
        (RUNNING, "terminate_existing", "reject", NEW),
        *[(run, "fail", "allow", NEW) for run in CLOSED],
        *[(run, "use_existing", "allow", NEW) for run in CLOSED],
        *[(run, "terminate_existing", "reject", REFUSED) for run in CLOSED],
        (COMPLETED, "fail", "allow_failed_only", REFUSED),
        *[(run, "fail", "allow_failed_only", NEW) for run in CLOSED[1:]],
    ],
)
def test_what_a_start_does_where_the_id_was_used_before(
    newest: Run | None, id_conflict: str, id_reuse: str, expected: str
) -> None:
    if expected is REFUSED:
        with pytest.raises(AlreadyStarted) as refusal:
            starts(newest, id_conflict=id_conflict, id_reuse=id_reuse)
        assert newest is not None
        assert refusal.value.members == {"run_id": "run-w-7", "run_status": newest.status}
        return

    change = starts(newest, id_conflict=id_conflict, id_reuse=id_reuse)

    if expected is OLD:
        assert newest is not None
        assert change.answer == {
            "workflow_id": "w", "run_id": "run-w-7", "status": newest.status, "already_started": True,
        }  # fmt: skip
        assert touched(change) == set()
    else:
        assert change.answer == {"workflow_id": "w", "run_id": "run-w-8", "status": "PENDING"}
        (run,) = change.new_runs
        assert (run.run_key, run.last_seq, run.wake_seq, run.seen_seq) == (8, 1, 1, 0)
        (task,) = change.tasks
        assert (task.run_key, task.token, task.ready_at, task.attempt) == (8, None, run.created_at, 0)


def test_terminating_the_existing_run_and_starting_the_new_one_is_one_change() -> None:
    change = starts(RUNNING, id_conflict="terminate_existing")

    (closed,) = change.runs
    assert (closed.status, closed.close_reason, closed.completed_at) == ("FAILED", "terminated", NOW)
    assert [(event.run_key, event.event_type) for event in change.events] == [
        (RUN_KEY, "WorkflowTerminated"), (8, "WorkflowStarted"),
    ]  # fmt: skip
    assert change.dropped_tasks == [RUN_KEY]
    assert change.closed == [RUN_KEY]


@pytest.mark.parametrize(
    ("created_at", "updated_at", "now", "earliest"),
    [
        (900.0, 950.0, 1000.0, 1000.0),  # the clock is right
        (1000.0, 1000.0, 1000.0, 1000.000001),  # the same moment
        (1010.0, 1010.0, 1000.0, 1010.000001),  # the clock went back
        (900.0, 1020.0, 1000.0, 1020.0),  # the old run was touched later than now
    ],
)
def test_the_newest_run_is_the_newest_by_its_time(
    created_at: float, updated_at: float, now: float, earliest: float
) -> None:
    (run,) = starts(a_closed_run(created_at=created_at, updated_at=updated_at), now).new_runs

    assert run.created_at == earliest
    assert run.created_at > created_at


def test_a_new_run_inherits_the_mark_of_the_feed() -> None:
    (run,) = starts(a_closed_run(feed_mark=55)).new_runs

    assert run.feed_mark == 55


# ---------------------------------------------------------------------------------------------- signals


def test_a_signal_wakes_a_parked_run() -> None:
    run = a_run(last_seq=4, wake_seq=2, seen_seq=4, waiting_for="[]")

    change = workflows.signal(run, None, a_signal("go", '{"a": 1}', "id-1"), None, NOW)

    assert change.answer == {"ok": True, "run_id": "run-w-7", "event_seq": 5}
    assert payload(change.events[0]) == {"signal": "go", "payload": {"a": 1}, "signal_id": "id-1"}
    (after,) = change.runs
    assert (after.last_seq, after.wake_seq, after.signal_seq, after.waiting_for) == (5, 5, 5, None)
    (task,) = change.tasks
    assert (task.ready_at, task.token) == (NOW, None)


@pytest.mark.parametrize("task", [a_ready_task(ready_at=2000.0, attempt=3), a_lease()])
def test_a_signal_leaves_the_task_that_is_there_alone(task: Any) -> None:
    change = workflows.signal(a_run(), task, a_signal(), None, NOW)

    assert change.tasks == []
    assert change.dropped_tasks == []


@pytest.mark.parametrize("run", [RUNNING, *CLOSED])
def test_a_repeated_signal_id_gets_the_first_answer_also_of_a_closed_run(run: Run) -> None:
    change = workflows.signal(run, None, a_signal(signal_id="id-1"), 3, NOW)

    assert change.answer == {"ok": True, "run_id": "run-w-7", "event_seq": 3, "repeated": True}
    assert touched(change) == set()


@pytest.mark.parametrize("run", CLOSED)
def test_a_closed_run_takes_no_signal(run: Run) -> None:
    with pytest.raises(WorkflowClosed):
        workflows.signal(run, None, a_signal(), None, NOW)


@pytest.mark.parametrize(
    ("awaited", "after"),
    [
        (None, None),
        ('{"go":[3,null]}', '{"go":[3,5]}'),
        ('{"go":[3,4]}', '{"go":[3,4]}'),  # the first one met it
        ('{"stop":[3,null]}', '{"stop":[3,null]}'),
    ],
)
def test_the_first_signal_of_its_name_meets_a_wait(awaited: str | None, after: str | None) -> None:
    (run,) = workflows.signal(a_run(last_seq=4, awaited=awaited), None, a_signal(), None, NOW).runs

    assert run.awaited == after


# --------------------------------------------------------------------------------- cancel and terminate


@pytest.mark.parametrize(
    ("run", "expected", "status"),
    [
        (PENDING, [(2, "WorkflowCancelRequested"), (3, "WorkflowCancelled")], "CANCELLED"),
        (RUNNING, [(2, "WorkflowCancelRequested")], "RUNNING"),
        (a_run(cancel_requested_at=950.0), [], None),
    ],
)
def test_what_a_cancel_does(run: Run, expected: list[tuple[int, str]], status: str | None) -> None:
    change = workflows.cancel(run, a_ready_task(), "no more", NOW)

    assert change.answer == {"ok": True, "run_id": "run-w-7"}
    assert events(change) == expected
    assert [after.status for after in change.runs] == ([status] if status else [])
    if expected:
        assert payload(change.events[0]) == {"reason": "no more"}
        assert change.runs[0].signal_seq == change.runs[0].wake_seq == 2


@pytest.mark.parametrize("run", [PENDING, RUNNING, a_run(cancel_requested_at=950.0)])
def test_terminate_ends_an_open_run_whatever_it_does(run: Run) -> None:
    change = workflows.terminate(run, a_lease(), "enough", "ops", NOW)

    (after,) = change.runs
    assert (after.status, after.close_reason, after.error) == ("FAILED", "terminated", "terminated: enough")
    assert events(change) == [(2, "WorkflowTerminated")]
    assert payload(change.events[0]) == {"reason": "enough", "by": "ops"}
    assert change.dropped_tasks == change.closed == [RUN_KEY]
    assert [notice.event_type for notice in change.notices] == ["workflow_terminated"]


@pytest.mark.parametrize("run", CLOSED)
def test_a_closed_run_is_neither_cancelled_nor_terminated(run: Run) -> None:
    with pytest.raises(AlreadyTerminal, match=r"^not found: "):
        workflows.cancel(run, None, None, NOW)
    with pytest.raises(AlreadyTerminal, match=r"^not found: "):
        workflows.terminate(run, None, None, None, NOW)


@pytest.mark.parametrize("act", ["signal", "cancel", "terminate"])
def test_a_history_never_goes_back_in_time(act: str) -> None:
    run, before = a_run(updated_at=1500.0), NOW
    changes = {
        "signal": lambda: workflows.signal(run, None, a_signal(), None, before),
        "cancel": lambda: workflows.cancel(run, None, None, before),
        "terminate": lambda: workflows.terminate(run, None, None, None, before),
    }

    change = changes[act]()

    assert {event.timestamp for event in change.events} == {1500.0}
    assert change.runs[0].updated_at == 1500.0
