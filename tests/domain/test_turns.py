"""A worker's turn, command by command, over tables of before, commands and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from assay_wsgi.domain import turns
from assay_wsgi.domain.change import Change
from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.model import Run
from assay_wsgi.domain.model import Task
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.turns import Recorded
from assay_wsgi.jsontext import loads
from tests.domain.given import NOW
from tests.domain.given import RUN_KEY
from tests.domain.given import TURN_HASH
from tests.domain.given import TURN_TOKEN
from tests.domain.given import a_closed_run
from tests.domain.given import a_lease
from tests.domain.given import a_ready_task
from tests.domain.given import a_run
from tests.domain.given import events
from tests.domain.given import keys
from tests.domain.given import payload
from tests.domain.given import pending_work
from tests.domain.given import touched

CHARGE = ScheduleActivity(seq=1, name="charge", input='{"cents": 5}')
WAIT = WaitForSignal(name="go")
DICE = RecordSideEffect(seq=2, name="dice", value="6")
TAG = UpsertSearchAttributes(patch={"stage": "paid"}, seq=3)
DONE = CompleteWorkflow(result='"ok"')
CLOSES = [DONE, FailWorkflow(error="sorry"), CancelWorkflow(reason="asked to")]


def a_turn(
    *commands: Command, run: Run | None = None, task: Task | None = None, recorded: Recorded | None = None
) -> Change:
    report = TurnReport(task_token=TURN_TOKEN, commands=commands)
    return turns.take(
        run or a_run(), task or a_lease(), report, TURN_HASH, recorded or Recorded(), keys(), NOW
    )  # fmt: skip


# --------------------------------------------------------------------------------- what each command writes


@pytest.mark.parametrize(
    ("commands", "written", "columns"),
    [
        ([], [], {"waiting_for": "[]"}),
        ([CHARGE], [("ActivityScheduled", {"activity_id": 500, "activity_seq": 1, "name": "charge", "task_queue": "q",
                                           "input": {"cents": 5}})],
         {"waiting_for": '[{"kind":"activity","name":"charge","since":1000.0}]'}),
        ([WAIT], [("WorkflowAwaitingSignal", {"signal": "go"})],
         {"waiting_for": '[{"kind":"signal","name":"go","since":1000.0}]', "awaited": '{"go":[2,null]}'}),
        ([DICE], [("SideEffectRecorded", {"side_effect_seq": 2, "name": "dice", "value": 6})], {"waiting_for": None}),
        ([TAG], [("SearchAttributesUpserted", {"patch": {"stage": "paid"}, "upsert_seq": 3})],
         {"search_attributes": '{"stage":"paid"}'}),
        ([UpsertSearchAttributes(patch={"a": 1})], [("SearchAttributesUpserted", {"patch": {"a": 1}})],
         {"search_attributes": '{"a":1}'}),
        ([RecordSnapshot(state='{"step":1}')], [], {}),
        ([DONE], [("WorkflowCompleted", "ok")],
         {"status": "COMPLETED", "close_reason": "completed", "result": '"ok"', "completed_at": NOW}),
        ([CompleteWorkflow()], [("WorkflowCompleted", None)], {"status": "COMPLETED", "result": None}),
        ([FailWorkflow(error="sorry")], [("WorkflowFailed", {"error": "sorry"})],
         {"status": "FAILED", "close_reason": "failed", "error": "sorry"}),
        ([CancelWorkflow(reason="asked to")], [("WorkflowCancelled", {"reason": "asked to"})],
         {"status": "CANCELLED", "close_reason": "cancelled"}),
        ([CancelWorkflow()], [("WorkflowCancelled", None)], {"status": "CANCELLED"}),
    ],
)  # fmt: skip
def test_what_a_command_writes(commands: list[Command], written: list[Any], columns: dict[str, Any]) -> None:
    change = a_turn(*commands)

    assert change.refusal is None
    assert change.answer == {"ok": True}
    assert [(event.event_type, payload(event)) for event in change.events] == written
    assert [event.seq for event in change.events] == list(range(2, 2 + len(written)))
    (run,) = change.runs
    assert {name: getattr(run, name) for name in columns} == columns
    assert (run.seen_seq, run.last_token, run.last_seq) == (1, TURN_HASH, 1 + len(written))


def test_a_batch_is_one_change_in_the_order_of_its_commands() -> None:
    change = a_turn(RecordSnapshot(state="1"), DICE, CHARGE, TAG, WAIT, DONE)

    assert [name for _, name in events(change)] == [
        "SideEffectRecorded", "ActivityScheduled", "SearchAttributesUpserted", "WorkflowAwaitingSignal",
        "WorkflowCompleted",
    ]  # fmt: skip
    assert [snapshot.state for snapshot in change.snapshots] == ["1"]
    assert change.closed == change.dropped_tasks == [RUN_KEY]
    assert change.tasks == []


@pytest.mark.parametrize("queue", [None, "other"])
def test_an_activity_goes_to_the_runs_queue_unless_told_otherwise(queue: str | None) -> None:
    (row,) = a_turn(ScheduleActivity(seq=1, name="charge", task_queue=queue)).new_activities

    assert row.task_queue == (queue or "q")
    assert (row.activity_key, row.run_key, row.status, row.attempt, row.visible_at) == (500, 7, "PENDING", 1, NOW)


# ------------------------------------------------------------------------------------------ idempotency


@pytest.mark.parametrize(
    ("command", "recorded"),
    [
        (CHARGE, Recorded(activities={1: pending_work()})),
        (DICE, Recorded(side_effects={2: "dice"})),
        (RecordSideEffect(seq=2, name="dice", value="1"), Recorded(side_effects={2: "dice"})),
        (TAG, Recorded(upserts=frozenset({3}))),
        (RecordSnapshot(state="1"), Recorded(snapshot="1")),
    ],
)
def test_what_is_recorded_already_is_not_recorded_again(command: Command, recorded: Recorded) -> None:
    change = a_turn(command, recorded=recorded)

    assert touched(change) == {"runs", "dropped_tasks"}
    assert change.runs[0].last_seq == 1


@pytest.mark.parametrize("command", [CHARGE, DICE, TAG, WAIT, RecordSnapshot(state="1")])
def test_the_same_command_twice_in_a_turn_counts_once(command: Command) -> None:
    twice, once = a_turn(command, command), a_turn(command)

    assert twice.events == once.events
    assert twice.new_activities == once.new_activities
    assert twice.snapshots == once.snapshots


@pytest.mark.parametrize(
    ("command", "recorded"),
    [
        (ScheduleActivity(seq=1, name="refund"), Recorded(activities={1: pending_work()})),
        (RecordSideEffect(seq=2, name="coin"), Recorded(side_effects={2: "dice"})),
    ],
)
@pytest.mark.parametrize("before", [[], [WAIT, UpsertSearchAttributes(patch={"a": 1})]])
def test_another_name_at_a_seq_of_the_history_fails_the_task_and_not_the_run(
    before: list[Command], command: Command, recorded: Recorded
) -> None:
    change = a_turn(*before, command, DONE, recorded=recorded)

    assert change.refusal is not None
    assert change.refusal.code == "nondeterminism"
    assert change.refusal.members["index"] == len(before)
    assert touched(change) == {"runs", "tasks"}
    (run,), (task,) = change.runs, change.tasks
    assert (run.status, run.last_seq, run.last_token) == ("RUNNING", 1, None)
    assert loads(run.task_failure or "")["cause"] == "nondeterminism"
    assert (task.token, task.ready_at, task.attempt) == (None, NOW + 1.0, 1)


def test_another_name_at_a_seq_of_the_same_turn_is_nondeterminism_too() -> None:
    change = a_turn(CHARGE, ScheduleActivity(seq=1, name="refund"))

    assert change.refusal is not None
    assert change.refusal.code == "nondeterminism"
    assert change.new_activities == []


# --------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("commands", "index"),
    [
        ([DONE, CHARGE], 0),
        ([CHARGE, DONE, DONE], 1),
        ([DONE, FailWorkflow(error="x")], 0),
        ([UpsertSearchAttributes(patch={f"k{n}": n for n in range(101)})], 0),
        ([CHARGE, UpsertSearchAttributes(patch={"k": "x" * 40 * 1024})], 1),
    ],
)
def test_a_bad_command_refuses_the_whole_batch_and_fails_the_task(commands: list[Command], index: int) -> None:
    change = a_turn(*commands)

    assert isinstance(change.refusal, BadCommand)
    assert change.refusal.members["index"] == index
    assert touched(change) == {"runs", "tasks"}
    assert change.tasks[0].ready_at == NOW + 1.0


def test_commands_that_could_not_be_read_fail_the_task_with_their_own_answer() -> None:
    unreadable = BadCommand("command 3: unknown type 'X'", index=3)
    report = TurnReport(task_token=TURN_TOKEN, commands=(DONE,), refused=unreadable)

    change = turns.take(a_run(), a_lease(), report, TURN_HASH, Recorded(), keys(), NOW)

    assert change.refusal is unreadable
    assert touched(change) == {"runs", "tasks"}


def test_a_reported_failure_is_accepted_and_its_repeat_known() -> None:
    report = TurnReport(task_token=TURN_TOKEN, failure=TaskFailure(cause="bug", message="boom", trace="line 1"))

    change = turns.take(a_run(), a_lease(), report, TURN_HASH, Recorded(), keys(), NOW)

    assert change.refusal is None
    assert change.answer == {"ok": True}
    assert change.runs[0].last_token == TURN_HASH
    assert loads(change.runs[0].task_failure or "") == {
        "cause": "bug", "message": "boom", "trace": "line 1", "count": 1, "first_at": NOW, "last_at": NOW,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("run", "task", "expected"),
    [
        (a_run(last_token=TURN_HASH), None, "repeated"),
        (a_run(last_token=TURN_HASH), a_ready_task(), "repeated"),
        (a_closed_run(last_token=TURN_HASH), None, "repeated"),  # a repeat first, then whether it is closed
        (a_closed_run(), None, WorkflowClosed),
        (a_run(), None, LeaseLost),
        (a_run(), a_ready_task(), LeaseLost),
        (a_run(), a_lease(token="another"), LeaseLost),
        (a_run(), a_lease(deadline_at=NOW - 100.0), "accepted"),  # good until a unit has taken it away
    ],
)
def test_the_order_of_the_checks_on_a_turn(run: Run, task: Task | None, expected: Any) -> None:
    report = TurnReport(task_token=TURN_TOKEN, commands=(DONE,))

    def take() -> Change:
        return turns.take(run, task, report, TURN_HASH, Recorded(), keys(), NOW)

    if isinstance(expected, type):
        with pytest.raises(expected):
            take()
    elif expected == "repeated":
        change = take()
        assert change.answer == {"ok": True, "repeated": True}
        assert touched(change) == set()
    else:
        assert take().runs[0].status == "COMPLETED"


# -------------------------------------------------------------------------------------- release and wake


@pytest.mark.parametrize(
    ("commands", "wake_seq", "ready"),
    [
        ([CHARGE], 1, False),
        ([CHARGE], 3, True),  # something came that this turn did not know
        ([], 1, False),
        ([DICE], 1, True),  # its worker goes on only when the value is kept
        ([TAG], 1, True),
        ([DICE, WAIT], 1, False),  # it will go on by the signal
        ([TAG, CHARGE], 1, False),
        ([DICE, WAIT], 3, True),
        ([RecordSnapshot(state="1")], 1, False),
    ],
)
def test_a_run_is_ready_again_only_where_something_is_left_to_do(
    commands: list[Command], wake_seq: int, ready: bool
) -> None:
    lease = a_lease(attempt=4, closes_refused=2)

    change = a_turn(*commands, run=a_run(last_seq=3, wake_seq=wake_seq), task=lease)

    if not ready:
        assert change.dropped_tasks == [RUN_KEY]
        assert change.runs[0].waiting_for is not None
        return
    (task,) = change.tasks
    assert (task.token, task.owner, task.session, task.exchange, task.claimed_seq, task.deadline_at) == (None,) * 6
    assert (task.ready_at, task.attempt, task.closes_refused) == (NOW, 0, 0)
    assert change.runs[0].waiting_for is None


def test_a_run_does_not_wait_for_an_activity_that_is_over() -> None:
    over = pending_work(status="COMPLETED", completed_at=950.0)

    change = a_turn(CHARGE, DICE, recorded=Recorded(activities={1: over}))

    assert [task.ready_at for task in change.tasks] == [NOW]


def test_a_turn_that_was_accepted_forgets_the_failures_before_it() -> None:
    failed = '{"cause":"bug","message":"","trace":null,"count":4,"first_at":1.0,"last_at":2.0}'

    change = a_turn(WAIT, run=a_run(task_failure=failed))

    assert change.runs[0].task_failure is None


# ---------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("awaited", "claimed_seq", "after"),
    [
        (None, 5, '{"go":[6,null]}'),
        ('{"go":[2,null]}', 5, '{"go":[2,null]}'),  # a replay: it still waits
        ('{"go":[2,4]}', 5, '{"go":[6,null]}'),  # met, and this turn knows: it waits anew
        ('{"go":[2,5]}', 4, '{"go":[2,5]}'),  # met by a signal that this turn does not know
        ('{"stop":[2,null]}', 5, '{"stop":[2,null],"go":[6,null]}'),
    ],
)
def test_a_wait_is_told_once_and_not_at_each_replay(awaited: str | None, claimed_seq: int, after: str) -> None:
    change = a_turn(WAIT, run=a_run(last_seq=5, awaited=awaited), task=a_lease(claimed_seq=claimed_seq))

    assert change.runs[0].awaited == after
    assert len(change.events) == (after != awaited)


def test_a_signal_that_crosses_a_wait_meets_it() -> None:
    change = a_turn(
        WAIT,
        WaitForSignal(name="stop"),
        run=a_run(last_seq=4, wake_seq=4, signal_seq=4),
        recorded=Recorded(unread=lambda: [(2, "other"), (3, "go"), (4, "go")]),
    )

    assert change.runs[0].awaited == '{"go":[5,3],"stop":[6,null]}'


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_close_that_does_not_know_of_a_signal_comes_again_at_once(close: Command, refused: int) -> None:
    change = a_turn(
        CHARGE, close, run=a_run(last_seq=3, wake_seq=3, signal_seq=3), task=a_lease(closes_refused=refused, attempt=1)
    )

    assert change.refusal is not None
    assert change.refusal.code == "unhandled_events"
    assert touched(change) == {"tasks"}
    (task,) = change.tasks
    assert (task.ready_at, task.closes_refused, task.attempt, task.token) == (NOW, refused + 1, 1, None)


@pytest.mark.parametrize(
    ("close", "last"),
    [(CLOSES[0], "WorkflowCompleted"), (CLOSES[1], "WorkflowFailed"), (CLOSES[2], "WorkflowCancelled")],
)
@pytest.mark.parametrize("unread", [[(2, "a"), (3, "b")], []])
def test_the_fourth_close_is_accepted_and_names_what_was_not_read(
    close: Command, last: str, unread: Sequence[tuple[int, str]]
) -> None:
    change = a_turn(
        close,
        run=a_run(last_seq=3, wake_seq=3, signal_seq=3),
        task=a_lease(closes_refused=3),
        recorded=Recorded(unread=lambda: list(unread)),
    )

    assert change.refusal is None
    assert events(change) == [(4, "SignalsUnhandled"), (5, last)]
    assert payload(change.events[0]) == {"signals": [seq for seq, _ in unread]}


@pytest.mark.parametrize("close", CLOSES)
def test_what_came_before_the_claim_hinders_no_close(close: Command) -> None:
    change = a_turn(close, run=a_run(last_seq=3, wake_seq=3, signal_seq=3), task=a_lease(claimed_seq=3))

    assert change.refusal is None
    assert change.runs[0].closed


# ------------------------------------------------------------------------------------ search attributes


@pytest.mark.parametrize(
    ("before", "patch", "seq", "after", "told"),
    [
        (None, {"a": 1}, None, '{"a":1}', True),
        ('{"a":1,"b":2}', {"b": 3, "c": [4]}, None, '{"a":1,"b":3,"c":[4]}', True),
        ('{"a":1}', {"a": None}, None, '{"a":null}', True),
        ('{"a":1}', {"a": 1}, None, '{"a":1}', False),  # without a seq it comes at each replay
        ('{"a":1}', {"a": 1}, 9, '{"a":1}', True),
        ('{"a":1}', {}, None, '{"a":1}', False),
        (None, {f"k{n}": n for n in range(100)}, None, None, True),
    ],
)
def test_search_attributes_are_merged(
    before: str | None, patch: dict[str, Any], seq: int | None, after: str | None, told: bool
) -> None:
    change = a_turn(UpsertSearchAttributes(patch=patch, seq=seq), run=a_run(search_attributes=before))

    assert change.refusal is None
    assert bool(change.events) is told
    if after is not None:
        assert change.runs[0].search_attributes == after


def test_two_patches_of_a_turn_are_merged_one_after_the_other() -> None:
    change = a_turn(UpsertSearchAttributes(patch={"a": 1}), UpsertSearchAttributes(patch={"b": 2}))

    assert change.runs[0].search_attributes == '{"a":1,"b":2}'


@pytest.mark.parametrize(("states", "kept"), [(["1", "1"], ["1"]), (["1", "2"], ["1", "2"]), (["0"], [])])
def test_a_snapshot_is_written_only_when_it_changed(states: list[str], kept: list[str]) -> None:
    change = a_turn(*(RecordSnapshot(state=state) for state in states), recorded=Recorded(snapshot="0"))

    assert [snapshot.state for snapshot in change.snapshots] == kept
    assert {snapshot.event_seq for snapshot in change.snapshots} <= {1}
