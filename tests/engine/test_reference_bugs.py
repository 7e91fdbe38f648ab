"""What the reference (assay 0.1.8) is known to do wrong, and the test that shows that this service does not.

1   tests/races/test_races.py::test_a_race_ends_well
2   tests/engine/test_turns.py::test_a_bad_command_refuses_the_batch_whole_and_the_task_backs_off
2   tests/engine/test_crash_matrix.py::test_a_fault_leaves_all_or_nothing
3   tests/engine/test_old_reports.py::test_a_lease_that_was_taken_back_cannot_be_reported_on
3   tests/engine/test_old_reports.py::test_a_beat_makes_the_lease_of_a_task_last_and_commands_after_it_are_taken
3   tests/engine/test_turns.py::test_a_task_that_keeps_failing_comes_again_within_ten_minutes_without_end
4   tests/engine/test_old_reports.py::test_an_activity_has_one_outcome_whoever_reports_without_a_token
4   tests/engine/test_old_reports.py::test_an_activity_of_a_closed_run_takes_no_report
4   tests/engine/test_old_reports.py::test_a_report_by_the_token_of_an_earlier_attempt_is_refused
4   tests/engine/test_reference_bugs.py::test_a_failed_run_does_not_become_a_completed_one
5   tests/engine/test_crash_matrix.py::test_a_fault_leaves_all_or_nothing
6   comes with timers
7   tests/engine/test_polling.py::test_a_registered_worker_gets_only_what_is_in_its_namespace_and_of_its_types
8   tests/engine/test_reference_bugs.py::test_a_poll_hands_out_no_retry_before_its_back_off_is_over
8   tests/engine/test_reference_bugs.py::test_a_poll_hands_out_no_activity_of_a_run_that_is_over
8   tests/engine/test_reference_bugs.py::test_a_run_that_gets_signals_keeps_its_place_in_the_queue
9   tests/engine/test_activities.py::test_an_attempt_past_start_to_close_is_tried_again_then_fails_and_the_run_goes_on
9   tests/engine/test_activities.py::test_an_attempt_that_never_beat_times_out_too
9   tests/engine/test_activities.py::test_the_next_attempt_is_told_the_details_of_the_last_heartbeat
9   tests/engine/test_workers.py::test_a_worker_that_is_silent_for_ninety_seconds_is_retired_and_what_it_held_is_freed
10  tests/engine/test_added_activities.py::test_a_closed_run_takes_none
10  comes with auth
11  tests/engine/test_cancelling.py::test_a_running_run_is_asked_once_and_its_worker_answers
11  tests/engine/test_reference_bugs.py::test_a_cancel_ends_at_once_what_nobody_works_on_and_its_activities_hear_of_it
11  comes with children
12  tests/engine/test_cancelling.py::test_terminate_ends_a_run_with_everything_below_it
12  comes with timers
12  comes with children
13  tests/engine/test_signals.py::test_a_closed_run_takes_no_signals_and_the_newest_of_an_id_does
13  tests/engine/test_signals.py::test_what_is_not_there_is_not_found
13  tests/engine/test_signals.py::test_a_wait_is_told_once_per_wait_and_not_once_per_replay
14  comes with children
15  tests/engine/test_reference_bugs.py::test_runs_of_one_moment_have_ids_of_their_own
15  comes with children
16  tests/api/test_starting_runs.py::test_an_open_id_is_409_and_names_the_run_that_has_it
16  tests/api/test_error_answers.py::test_an_unexpected_failure_is_a_500_that_tells_nothing
17  comes with schedules
18  comes with schedules
19  tests/sidecar/test_leader.py::test_a_leader_that_was_replaced_learns_it_at_its_next_renewal
19  tests/sidecar/test_leader.py::test_a_standby_takes_over_within_a_second_of_the_end_of_a_dead_leaders_lease
20  tests/engine/test_feed.py::test_a_follower_of_the_running_feed_misses_nothing_however_slow_it_is
20  tests/engine/test_feed.py::test_only_what_is_wanted_and_may_be_seen_is_told
21  comes with auth
22  comes with auth
23  tests/api/test_reading_runs.py::test_a_bad_filter_is_422_and_never_ignored
23  tests/engine/test_reference_bugs.py::test_a_key_of_an_attribute_means_itself_whatever_is_in_it
23  tests/engine/test_turns.py::test_search_attributes_are_merged_and_found
24  tests/engine/test_namespaces.py::test_by_force_all_of_it_goes_and_nothing_of_others
24  tests/engine/test_namespaces.py::test_one_that_has_a_run_open_or_closed_is_not_deleted
24  tests/sdk/test_client.py::test_a_start_by_name_goes_to_the_clients_queue
25  tests/engine/test_reference_bugs.py::test_a_run_has_one_snapshot_however_often_it_shows_one
25  comes with archive
26  tests/sdk/test_worker.py::test_an_unknown_workflow_type_fails_the_task_not_the_run
26  tests/sdk/test_replay.py::test_any_other_error_fails_the_task_and_leaves_the_run_open
27  tests/engine/test_reference_bugs.py::test_a_turn_that_only_upserts_attributes_tells_it_and_comes_again_at_once
27  tests/engine/test_reference_bugs.py::test_a_worker_that_asks_for_the_same_for_ever_brings_its_run_to_rest
27  tests/sdk/test_replay.py::test_a_side_effect_may_be_none_and_does_not_end_the_turn
28  tests/sdk/test_replay.py::test_nondeterminism_fails_the_task_and_names_both_sides
28  tests/engine/test_turns.py::test_another_name_at_a_recorded_seq_fails_the_task_and_never_the_run
29  tests/sdk/test_worker.py::test_workflow_code_that_hangs_does_not_hold_up_the_others
29  tests/sdk/test_worker.py::test_only_new_events_travel_for_a_run_that_is_cached
29  tests/engine/test_polling.py::test_a_silent_worker_keeps_its_activity_until_the_activitys_own_time_out
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import ListFilter
from tests.engine.old_way import OldWorker
from tests.engine.stories import Played
from tests.engine.stories import a_snapshot
from tests.engine.stories import an_activity
from tests.engine.stories import given_a_parked
from tests.engine.stories import given_a_run
from tests.engine.stories import history
from tests.engine.stories import record
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from tests.conftest import Clock

ROOT = Path(__file__).parent.parent.parent
WAITS_FOR = {"timers", "children", "schedules", "auth", "archive"}


def _table() -> list[tuple[int, str]]:
    lines = [line for line in (__doc__ or "").splitlines() if line[:1].isdigit()]
    return [(int(number), rest.strip()) for number, rest in (line.split(None, 1) for line in lines)]


def test_each_bug_has_a_test_that_is_there_or_waits_for_its_feature() -> None:
    table = _table()
    assert sorted({number for number, _ in table}) == list(range(1, 30))

    missing = []
    for number, what in table:
        if what.startswith("comes with "):
            assert what.removeprefix("comes with ") in WAITS_FOR
            continue
        path, _, name = what.partition("::")
        functions = {
            node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
        }
        if name not in functions:
            missing.append((number, what))

    assert missing == []


def test_a_failed_run_does_not_become_a_completed_one(engine: Engine) -> None:
    """4: update_workflow_status had no terminal guard."""
    run = given_a_run(engine)
    worker = OldWorker(engine)
    task = worker.takes()
    worker.submits(task, FailWorkflow(error="broken"))

    with pytest.raises(LeaseLost):
        worker.submits(task, CompleteWorkflow())
    assert worker.submits_by_token(task, CompleteWorkflow()) == {"ok": True, "repeated": True}

    assert (record(engine, run)["status"], history(engine, run)[-1]) == ("FAILED", "WorkflowFailed")


def test_a_poll_hands_out_no_retry_before_its_back_off_is_over(engine: Engine, clock: Clock) -> None:
    """8: claim_activity ignored `scheduled_at`."""
    given_a_parked(engine, "w", an_activity(initial_interval_secs=5.0))
    worker = OldWorker(engine)
    worker.fails(worker.takes_work())

    clock.advance(4.999)
    assert worker.polls_work() is None
    clock.advance(0.001)
    assert worker.takes_work()["attempt"] == 2


def test_a_poll_hands_out_no_activity_of_a_run_that_is_over(engine: Engine) -> None:
    """8: activities of dead runs were executed."""
    run, _ = given_a_parked(engine, "w", an_activity())
    engine.workflows.terminate(run)

    assert OldWorker(engine).polls_work() is None


def test_a_run_that_gets_signals_keeps_its_place_in_the_queue(engine: Engine, clock: Clock) -> None:
    """8: `ORDER BY updated_at` starved such runs."""
    first = given_a_run(engine, "first")
    clock.advance(1.0)
    given_a_run(engine, "second")
    clock.advance(1.0)
    engine.workflows.signal(first, "go")

    assert OldWorker(engine).takes()["workflow_id"] == "first"


def test_a_cancel_ends_at_once_what_nobody_works_on_and_its_activities_hear_of_it(engine: Engine) -> None:
    """11: a run without a worker never ended, and running activities were not told."""
    pending = given_a_run(engine, "pending")
    engine.workflows.cancel(pending)
    assert record(engine, pending)["status"] == "CANCELLED"
    run, worker = given_a_parked(engine, "w", an_activity())
    old = OldWorker(engine)
    work = old.takes_work()
    engine.workflows.cancel(run)
    worker.reports(worker.takes(), CompleteWorkflow())

    with pytest.raises(WorkflowClosed):
        old.beats(work)

    assert rows(engine, "SELECT status, cancel_requested = (1 = 1) FROM workflow_activities") == [("CANCELLED", True)]


def test_runs_of_one_moment_have_ids_of_their_own(engine: Engine) -> None:
    """15: a run_id was made of the second in which the run began."""
    ids = [given_a_run(engine, "w", id_conflict="terminate_existing").run_id for _ in range(5)]

    assert len(set(ids)) == 5


@pytest.mark.parametrize("key", ["a.b", 'say "x"', "it's", "$", "a[0]", "ä", "%", "?", "a b", "\\"])
def test_a_key_of_an_attribute_means_itself_whatever_is_in_it(engine: Engine, key: str) -> None:
    """23: it was spliced into a JSON path."""
    given_a_run(engine, "has it", search_attributes={key: "x"})
    given_a_run(engine, "has others", search_attributes={"a": {"b": "x"}, "b": "x"})

    found, _ = engine.workflows.list(ListFilter(search_attrs={key: "x"}))

    assert [run["id"] for run in found] == ["has it"]


def test_a_run_has_one_snapshot_however_often_it_shows_one(engine: Engine) -> None:
    """25: there was a row for each task, for ever."""
    run, worker = given_a_parked(engine, "w", a_snapshot("0"), WaitForSignal(name="go"))
    for number in (1, 2):
        engine.workflows.signal(run, "go")
        worker.reports(worker.takes(), a_snapshot(str(number)), WaitForSignal(name="go"))

    assert rows(engine, "SELECT state FROM workflow_snapshots") == [("2",)]


def test_a_turn_that_only_upserts_attributes_tells_it_and_comes_again_at_once(engine: Engine) -> None:
    """27: there was no event and no dispatch, so the run was stuck for ever."""
    run = given_a_run(engine)
    worker = Played(engine)

    worker.reports(worker.takes(), UpsertSearchAttributes(patch={"city": "Bern"}))

    assert history(engine, run) == ["WorkflowStarted", "SearchAttributesUpserted"]
    assert worker.takes()["history_seq"] == 2


@pytest.mark.parametrize(
    "command",
    [RecordSideEffect(seq=1, name="nil"), UpsertSearchAttributes(patch={"city": "Bern"})],
    ids=lambda command: type(command).__name__,
)
def test_a_worker_that_asks_for_the_same_for_ever_brings_its_run_to_rest(engine: Engine, command: Command) -> None:
    """27: assay's own worker never gets past a nil, nor past attributes; its run was handed out without end."""
    run = given_a_run(engine)
    worker = OldWorker(engine)

    for _ in range(2):
        worker.submits(worker.takes(), command)

    assert worker.polls() is None
    engine.workflows.cancel(run)
    worker.submits(worker.takes(), CancelWorkflow())
    assert record(engine, run)["status"] == "CANCELLED"
