"""The crash matrix's cases of schedules."""

from __future__ import annotations

from collections.abc import Generator

from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import ScheduleExists
from assay_wsgi.domain.requests import Backfill
from assay_wsgi.domain.requests import NewSchedule
from assay_wsgi.domain.requests import SchedulePatch
from assay_wsgi.engine.operations import BackfillSchedule
from assay_wsgi.engine.operations import ChangeSchedule
from assay_wsgi.engine.operations import CreateSchedule
from assay_wsgi.engine.operations import DropSchedule
from assay_wsgi.engine.operations import FireSchedule
from assay_wsgi.engine.operations import PauseSchedule
from assay_wsgi.engine.operations import PostponeSchedule
from assay_wsgi.engine.operations import RemoveSchedule
from assay_wsgi.engine.operations import ResumeSchedule
from assay_wsgi.engine.operations import TriggerSchedule
from tests.engine.crash_steps import NOW
from tests.engine.crash_steps import QUEUE
from tests.engine.crash_steps import REPEATED
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Changed
from tests.engine.crash_steps import Look
from tests.engine.crash_steps import Step
from tests.engine.crash_steps import Steps
from tests.engine.crash_steps import behind_another
from tests.engine.crash_steps import do
from tests.engine.crash_steps import given_a_lease_again
from tests.engine.crash_steps import keyed
from tests.engine.crash_steps import turn

EVERY_SECS = 10.0


def made(ns: str, policy: str = "skip", name: str = "s") -> CreateSchedule:
    """Make a schedule that fires every ten seconds."""
    wanted = NewSchedule(
        name=name, workflow_type="W", cron_expr="*/10 * * * * *", namespace=ns, task_queue=QUEUE, input='{"a":1}',
        search_attributes={"city": "Bern"}, overlap_policy=policy,
    )  # fmt: skip
    return CreateSchedule(wanted)


def given(ns: str, policy: str = "skip", ticks: int = 0) -> Generator[Step, None, int]:
    """Have a schedule that has taken so many ticks, and a little time pass. Gives its key."""
    yield do(made(ns, policy))
    key = yield from key_of(ns)
    for _ in range(ticks):
        yield EVERY_SECS
        yield do(FireSchedule(key))
    yield EVERY_SECS
    return key


def key_of(ns: str) -> Generator[Step, None, int]:
    """Find the schedule's key."""
    look = Look("SELECT schedule_key FROM workflow_schedules WHERE namespace = ?", (ns,))
    yield look
    return int(look.found[0][0])


# ------------------------------------------------------------------------------------ by those who keep them


def create_a_schedule(ns: str) -> Steps:
    yield from ()
    return Act([made(ns)])


def create_a_schedule_under_a_key(ns: str) -> Steps:
    yield from ()
    return Act([keyed(ns, made(ns))])


def change_a_schedule(ns: str) -> Steps:
    yield from given(ns, "queue", ticks=2)
    return Act([ChangeSchedule(ns, "s", SchedulePatch(cron_expr="0 * * * * *", overlap_policy="allow_all"))])


def pause_a_schedule(ns: str) -> Steps:
    yield from given(ns, "queue", ticks=3)
    return Act([PauseSchedule(ns, "s", "it rains")])


def resume_a_schedule(ns: str) -> Steps:
    yield from given(ns, ticks=1)
    yield do(PauseSchedule(ns, "s", None))
    yield 100.0
    return Act([ResumeSchedule(ns, "s")])


def remove_a_schedule(ns: str) -> Steps:
    yield from given(ns, "queue", ticks=2)
    return Act([RemoveSchedule(ns, "s")])


def drop_a_schedule(ns: str) -> Steps:
    key = yield from given(ns, "queue", ticks=2)
    return Act([DropSchedule(key)])


def trigger_a_schedule(ns: str) -> Steps:
    yield from given(ns)
    return Act([keyed(ns, TriggerSchedule(ns, "s", None, NOW))])


def trigger_a_schedule_whose_runs_it_ends(ns: str) -> Steps:
    yield from given(ns, "allow_all", ticks=2)
    return Act([keyed(ns, TriggerSchedule(ns, "s", "terminate_other", NOW))])


def backfill_a_schedule(ns: str) -> Steps:
    yield from given(ns, ticks=2)  # the second was skipped, and may be made up for
    return Act([BackfillSchedule(ns, "s", Backfill(start=NOW - 30.0))])


# -------------------------------------------------------------------------------------------- by the clock


def fire_a_schedule(ns: str) -> Steps:
    key = yield from given(ns)
    return Act([FireSchedule(key)])


def fire_a_schedule_that_skips(ns: str) -> Steps:
    key = yield from given(ns, ticks=1)
    return Act([FireSchedule(key)])


def fire_a_schedule_that_buffers(ns: str) -> Steps:
    key = yield from given(ns, "queue", ticks=1)
    return Act([FireSchedule(key)])


def fire_a_schedule_that_cancels_a_run_at_work(ns: str) -> Steps:
    yield from given(ns, ticks=1)
    key = yield from key_of(ns)
    yield from given_a_lease_again(ns)
    yield do(ChangeSchedule(ns, "s", SchedulePatch(overlap_policy="cancel_old")))
    return Act([FireSchedule(key)])


def fire_a_schedule_that_cancels_a_run_that_nobody_took(ns: str) -> Steps:
    key = yield from given(ns, "cancel_old", ticks=1)
    return Act([FireSchedule(key)])


def fire_a_schedule_that_terminates_a_run(ns: str) -> Steps:
    key = yield from given(ns, "terminate_other", ticks=1)
    return Act([FireSchedule(key)])


def fire_a_schedule_after_a_standstill(ns: str) -> Steps:
    key = yield from given(ns)
    yield 100.0
    return Act([FireSchedule(key)])


def start_what_waited(ns: str) -> Steps:
    yield do(made(ns, "queue"))
    key = yield from key_of(ns)
    yield EVERY_SECS
    yield do(FireSchedule(key))
    lease = yield from given_a_lease_again(ns)
    yield EVERY_SECS
    yield do(FireSchedule(key))
    yield do(turn(lease, CompleteWorkflow(result="1")))
    return Act([FireSchedule(key)])


def close_a_run_for_which_a_tick_waits(ns: str) -> Steps:
    yield do(made(ns, "queue"))
    key = yield from key_of(ns)
    yield EVERY_SECS
    yield do(FireSchedule(key))
    lease = yield from given_a_lease_again(ns)
    yield EVERY_SECS
    yield do(FireSchedule(key))
    return Act([turn(lease, CompleteWorkflow(result="1"))])


def continue_a_run_of_a_schedule(ns: str) -> Steps:
    yield from given(ns, ticks=1)
    lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, ContinueAsNew(workflow_id="next"))])


def postpone_a_schedule(ns: str) -> Steps:
    key = yield from given(ns)
    return Act([keyed(ns, PostponeSchedule(key, "it cannot be read"))])


SCHEDULES = (
    Case(create_a_schedule_under_a_key, again=(SAME,)),
    Case(change_a_schedule, again=(SAME,)),
    Case(pause_a_schedule, again=(SAME,)),
    Case(resume_a_schedule, again=(SAME,)),
    Case(remove_a_schedule, again=(NotFound,)),
    Case(drop_a_schedule, again=(False,)),
    Case(trigger_a_schedule, again=(SAME,)),
    Case(backfill_a_schedule, again=(Changed("'queued': 6, 'known': 1", "'queued': 0, 'known': 7"),)),
    Case(fire_a_schedule, again=(False,)),
    Case(start_what_waited, again=(False,)),
    Case(postpone_a_schedule, again=(SAME,)),
)
# For the long tier: they take the ways of the others.
MORE_OF_SCHEDULES = (
    Case(create_a_schedule, again=(ScheduleExists,)),
    Case(trigger_a_schedule_whose_runs_it_ends, again=(SAME,)),
    Case(fire_a_schedule_that_terminates_a_run, again=(False,)),
    Case(fire_a_schedule_that_skips, again=(False,)),
    Case(fire_a_schedule_that_buffers, again=(SAME,)),
    Case(fire_a_schedule_that_cancels_a_run_at_work, again=(SAME,)),
    Case(fire_a_schedule_that_cancels_a_run_that_nobody_took, again=(False,)),
    Case(fire_a_schedule_after_a_standstill, again=(False,)),
    Case(close_a_run_for_which_a_tick_waits, again=(REPEATED,)),
    Case(continue_a_run_of_a_schedule, again=(REPEATED,)),
)


# --------------------------------------------------------------------- two operations on one schedule, in a batch


def a_creation_and_a_trigger(ns: str) -> Steps:
    yield from ()
    return Act([made(ns), keyed(ns, TriggerSchedule(ns, "s", None, NOW))])


def a_pause_and_a_tick(ns: str) -> Steps:
    key = yield from given(ns)
    return Act([PauseSchedule(ns, "s", None), FireSchedule(key)])


def a_tick_and_a_removal(ns: str) -> Steps:
    key = yield from given(ns)
    return Act([FireSchedule(key), RemoveSchedule(ns, "s")])


def a_tick_that_waited_and_a_removal(ns: str) -> Steps:
    act = yield from start_what_waited(ns)
    return Act([*act.operations, RemoveSchedule(ns, "s")])


def a_removal_and_a_creation(ns: str) -> Steps:
    yield from given(ns)
    return Act([keyed(ns, RemoveSchedule(ns, "s")), made(ns)])


def the_end_of_a_run_and_what_waited(ns: str) -> Steps:
    act: Act = yield from close_a_run_for_which_a_tick_waits(ns)
    key = yield from key_of(ns)
    return Act([*act.operations, FireSchedule(key)])


def a_tick_and_the_end_of_the_run_in_its_way(ns: str) -> Steps:
    yield from given(ns, ticks=1)
    key = yield from key_of(ns)
    lease = yield from given_a_lease_again(ns)
    return Act(
        [
            FireSchedule(key),
            turn(lease, WaitForSignal(name="go")),
            keyed(ns, TriggerSchedule(ns, "s", "buffer_one", NOW)),
        ]
    )


SCHEDULE_PAIRS = (Case(a_pause_and_a_tick, again=(SAME, SAME)),)
MORE_SCHEDULE_PAIRS = (
    Case(the_end_of_a_run_and_what_waited, again=(REPEATED, False)),
    Case(a_creation_and_a_trigger, again=(ScheduleExists, SAME)),
    Case(a_tick_and_a_removal, again=(False, NotFound)),
    Case(a_tick_that_waited_and_a_removal, again=(False, NotFound)),
    Case(a_removal_and_a_creation, again=(SAME, ScheduleExists)),
    Case(a_tick_and_the_end_of_the_run_in_its_way, again=(SAME, REPEATED, SAME)),
)
SCHEDULE_SECONDS = tuple(map(behind_another, SCHEDULES))
