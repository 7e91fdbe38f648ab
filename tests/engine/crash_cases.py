"""What the crash matrix is run over: for each class of operation a state to begin with and what is handed in."""

from __future__ import annotations

from collections.abc import Generator

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import NamespaceExists
from assay_wsgi.domain.errors import NamespaceNotEmpty
from assay_wsgi.domain.errors import Nondeterminism
from assay_wsgi.domain.errors import NotFound
from assay_wsgi.domain.errors import UnhandledEvents
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.engine.operations import AddActivity
from assay_wsgi.engine.operations import BeatActivity
from assay_wsgi.engine.operations import BeatTask
from assay_wsgi.engine.operations import CancelRun
from assay_wsgi.engine.operations import CreateNamespace
from assay_wsgi.engine.operations import DeleteNamespace
from assay_wsgi.engine.operations import DropRun
from assay_wsgi.engine.operations import EndSession
from assay_wsgi.engine.operations import ExpireActivity
from assay_wsgi.engine.operations import ExpireTask
from assay_wsgi.engine.operations import GiveBackActivity
from assay_wsgi.engine.operations import GiveBackTask
from assay_wsgi.engine.operations import ReleaseActivity
from assay_wsgi.engine.operations import RetireWorker
from assay_wsgi.engine.operations import SignalRun
from assay_wsgi.engine.operations import TaskLease
from assay_wsgi.engine.operations import TerminateRun
from tests.engine.crash_backoffs import BACKOFFS
from tests.engine.crash_families import FAMILIES
from tests.engine.crash_families import FAMILY_PAIRS
from tests.engine.crash_keys import KEYS
from tests.engine.crash_schedules import SCHEDULE_PAIRS
from tests.engine.crash_schedules import SCHEDULES
from tests.engine.crash_steps import BEGUN_AGAIN
from tests.engine.crash_steps import IN_A_NEW_ONE
from tests.engine.crash_steps import NOW
from tests.engine.crash_steps import REPEATED
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import SESSION
from tests.engine.crash_steps import WORKER
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Changed
from tests.engine.crash_steps import Step
from tests.engine.crash_steps import Steps
from tests.engine.crash_steps import behind_another
from tests.engine.crash_steps import do
from tests.engine.crash_steps import given_a_lease
from tests.engine.crash_steps import given_a_lease_again
from tests.engine.crash_steps import given_activities
from tests.engine.crash_steps import keyed
from tests.engine.crash_steps import old_turn
from tests.engine.crash_steps import report
from tests.engine.crash_steps import schedule
from tests.engine.crash_steps import session
from tests.engine.crash_steps import signal
from tests.engine.crash_steps import signalled_start
from tests.engine.crash_steps import start
from tests.engine.crash_steps import taker
from tests.engine.crash_steps import tokenless
from tests.engine.crash_steps import turn

# ------------------------------------------------------------------------------- one operation at a time


def create_a_namespace(ns: str) -> Steps:
    yield from ()
    return Act([CreateNamespace(ns)])


def start_a_run(ns: str) -> Steps:
    yield from ()
    return Act([start(ns)])


def start_under_a_key(ns: str) -> Steps:
    yield from ()
    return Act([keyed(ns, start(ns))])


def start_in_place_of_an_open_run(ns: str) -> Steps:
    yield from given_activities(ns, count=2)
    return Act([keyed(ns, start(ns, id_conflict="terminate_existing"))])


def start_after_a_closed_run(ns: str) -> Steps:
    yield do(start(ns))
    yield do(TerminateRun(ns, "w", None, None, "enough", "me"))
    return Act([keyed(ns, start(ns))])


def signal_a_parked_run(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, WaitForSignal(name="go")))
    return Act([signal(ns)])


def signal_under_a_key(ns: str) -> Steps:
    yield do(start(ns))
    return Act([keyed(ns, signal(ns, signal_id=None))])


def signal_one_run_by_its_id(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([SignalRun(ns, "w", lease.task.run_key, lease.run_id, SentSignal(name="go", signal_id="s1"))])


def cancel_a_run_that_works(ns: str) -> Steps:
    yield from given_activities(ns)
    return Act([CancelRun(ns, "w", None, None, "enough")])


def cancel_a_run_that_nobody_took(ns: str) -> Steps:
    yield do(start(ns))
    return Act([CancelRun(ns, "w", None, None, "enough")])


def terminate_a_run(ns: str) -> Steps:
    yield from given_activities(ns, count=3)
    return Act([TerminateRun(ns, "w", None, None, "enough", "me")])


def take_a_turn_of_many_commands(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    commands = (
        RecordSideEffect(seq=1, name="dice", value="4"), schedule(2), schedule(3, max_attempts=1),
        UpsertSearchAttributes(patch={"city": "Basel"}, seq=4), RecordSnapshot(state='{"step":1}'),
        WaitForSignal(name="go"),
    )  # fmt: skip
    return Act([turn(lease, *commands)])


def take_a_turn_that_completes(ns: str) -> Steps:
    yield from given_activities(ns, count=2)
    yield do(signal(ns))
    lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, RecordSnapshot(state="1"), CompleteWorkflow(result='"done"'))])


def take_a_turn_that_fails_the_run(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, FailWorkflow(error="broken"))])


def take_a_turn_that_cancels(ns: str) -> Steps:
    yield from given_activities(ns)
    yield do(CancelRun(ns, "w", None, None, "enough"))
    lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, CancelWorkflow(reason="enough"))])


def take_a_turn_that_went_wrong(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, failure=TaskFailure(cause="code_error", message="oops"))])


def take_a_turn_that_cannot_be_read(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, refused=BadCommand("no such command", index=0))])


def take_a_turn_that_contradicts_the_history(ns: str) -> Steps:
    yield from given_activities(ns)
    yield do(signal(ns))
    lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, schedule(2), ScheduleActivity(seq=1, name="another"))])


def take_a_close_that_missed_a_signal(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(signal(ns))
    return Act([turn(lease, CompleteWorkflow())])


def take_the_fourth_close_over_a_signal(ns: str) -> Steps:
    """Its decision asks for rows that nobody named beforehand: the unit begins a second time."""
    lease = yield from given_a_lease(ns)
    for number in range(4):
        yield do(signal(ns, f"s{number}"))
        if number < 3:
            yield do(turn(lease, CompleteWorkflow()))
            lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, CompleteWorkflow())])


def complete_an_activity(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([report(lease, result='{"sum":3}')])


def fail_an_attempt(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([report(lease, failure=ActivityFailure(error="oops", error_type="IOError"))])


def fail_the_last_attempt(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, max_attempts=1)
    return Act([report(lease, failure=ActivityFailure(error="oops", details='{"at":7}'))])


def beat_an_activity(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, heartbeat_timeout_secs=20.0)
    yield 10.0
    return Act([BeatActivity(lease.token, None, Heartbeat(task_token=lease.token, details='{"half":true}'))])


def begin_a_first_session(ns: str) -> Steps:
    yield from ()
    return Act([session(ns)])


def begin_another_session(ns: str) -> Steps:
    yield do(session(ns))
    yield 100.0
    yield do(RetireWorker(ns, WORKER, NOW + 10.0))
    return Act([session(ns, "session-2")])


def end_a_session(ns: str) -> Steps:
    yield do(session(ns))
    yield 10.0
    return Act([EndSession(ns, WORKER, SESSION)])


def retire_a_worker(ns: str) -> Steps:
    yield do(session(ns))
    yield 100.0
    return Act([RetireWorker(ns, WORKER, NOW + 10.0)])


def expire_a_task(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield 31.0
    return Act([ExpireTask(lease.task.run_key)])


def expire_an_attempt(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, start_to_close_secs=5.0)
    yield 6.0
    return Act([ExpireActivity(lease.activity.activity_key)])


def expire_the_last_attempt(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, heartbeat_timeout_secs=5.0, max_attempts=1)
    yield 6.0
    return Act([ExpireActivity(lease.activity.activity_key)])


def give_back_a_task(ns: str) -> Steps:
    lease = yield from given_a_lease(ns, session(ns))
    yield 100.0
    yield do(RetireWorker(ns, WORKER, NOW + 10.0))
    return Act([GiveBackTask(lease.task.run_key, hashed(lease.token), (ns, WORKER))])


def give_back_an_activity(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([GiveBackActivity(lease.activity.activity_key, hashed(lease.token))])


def begin_an_old_ways_registration(ns: str) -> Steps:
    yield from ()
    return Act([session(ns, None)])


def register_under_a_key(ns: str) -> Steps:
    yield from ()
    return Act([keyed(ns, session(ns, None))])


def start_by_a_signal(ns: str) -> Steps:
    yield from ()
    return Act([signalled_start(ns)])


def start_by_a_signal_after_a_closed_run(ns: str) -> Steps:
    yield do(start(ns))
    yield do(TerminateRun(ns, "w", None, None, "enough", "me"))
    return Act([keyed(ns, signalled_start(ns, None))])


def signal_instead_of_a_start(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, WaitForSignal(name="go")))
    return Act([signalled_start(ns)])


def signal_instead_of_a_start_under_a_key(ns: str) -> Steps:
    yield do(start(ns))
    return Act([keyed(ns, signalled_start(ns, None))])


def take_an_old_ways_turn(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([old_turn(lease, schedule(1), WaitForSignal(name="go"))])


def take_an_old_ways_close_over_a_signal(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(signal(ns))
    return Act([old_turn(lease, CompleteWorkflow(result="1"))])


def beat_a_workflow_task(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield 10.0
    return Act([BeatTask(TaskLease.of_token(lease.token, ns, "w"), 30.0)])


def add_an_activity(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, WaitForSignal(name="go")))
    return Act([AddActivity(ns, "w", None, None, schedule(7))])


def add_an_activity_under_a_key(ns: str) -> Steps:
    yield do(start(ns))
    return Act([keyed(ns, AddActivity(ns, "w", None, None, schedule(7)))])


def add_an_activity_by_a_lease(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([AddActivity(ns, "w", lease.task.run_key, lease.run_id, schedule(7), lease.token)])


def complete_an_activity_the_old_way(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([tokenless(lease, result='{"sum":3}')])


def fail_an_attempt_the_old_way(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([tokenless(lease, failure=ActivityFailure(error="oops"))])


def beat_an_activity_the_old_way(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, heartbeat_timeout_secs=20.0)
    yield 10.0
    return Act([BeatActivity(None, ns, Heartbeat(task_token=None), activity_key=lease.activity.activity_key)])


def release_an_activity(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([ReleaseActivity(lease.token, ns, activity_key=lease.activity.activity_key)])


def release_an_activity_the_old_way(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([ReleaseActivity(None, None, activity_key=lease.activity.activity_key)])


def given_a_closed_run(ns: str) -> Generator[Step, None, int]:
    """Have a run closed that has left something in each table. Gives its key."""
    one, _ = yield from given_activities(ns, count=2, leased=2)
    yield do(report(one, failure=ActivityFailure(error="oops")), signal(ns))
    lease = yield from given_a_lease_again(ns)
    yield do(turn(lease, RecordSnapshot(state="1"), CompleteWorkflow(result="1")))
    return lease.task.run_key


def drop_a_run(ns: str) -> Steps:
    run_key = yield from given_a_closed_run(ns)
    return Act([DropRun(run_key)])


def delete_a_namespace(ns: str) -> Steps:
    yield do(session(ns))
    return Act([DeleteNamespace(ns)])


def delete_a_namespace_that_was_emptied(ns: str) -> Steps:
    run_key = yield from given_a_closed_run(ns)
    yield do(DropRun(run_key))
    return Act([keyed(ns, DeleteNamespace(ns))])


def claim_workflow_tasks(ns: str) -> Steps:
    yield do(session(ns), start(ns, "w"), start(ns, "v"))
    return Act(taker=taker(ns, workflows=5, session=SESSION))


def claim_activities(ns: str) -> Steps:
    yield from given_activities(ns, 2, 0, session(ns))
    return Act(taker=taker(ns, activities=2, session=SESSION))


def hand_in_a_turn_and_claim_what_it_made_ready(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(start(ns, "v"))
    return Act([turn(lease, schedule(1))], taker(ns, workflows=1, activities=1))


def write_who_was_seen(ns: str) -> Steps:
    yield do(session(ns))
    yield 100.0
    return Act(beats=[(ns, WORKER)])


NOT_STARTED = Changed("'started': True, 'event_seq': 2}", "'started': False, 'event_seq': 2, 'repeated': True}")
CASES = (
    Case(create_a_namespace, again=(NamespaceExists,), needs_nothing_else=True),
    Case(start_a_run, again=(AlreadyStarted,)),
    Case(start_under_a_key, again=(SAME,)),
    Case(start_in_place_of_an_open_run, again=(SAME,)),
    Case(start_after_a_closed_run, again=(SAME,)),
    Case(signal_a_parked_run, again=(REPEATED,)),
    Case(signal_under_a_key, again=(SAME,)),
    Case(signal_one_run_by_its_id, again=(REPEATED,)),
    Case(cancel_a_run_that_works, again=(SAME,)),
    Case(cancel_a_run_that_nobody_took, again=(AlreadyTerminal,)),
    Case(terminate_a_run, again=(AlreadyTerminal,)),
    Case(take_a_turn_of_many_commands, again=(REPEATED,)),
    Case(take_a_turn_that_completes, again=(REPEATED,)),
    Case(take_a_turn_that_fails_the_run, again=(REPEATED,)),
    Case(take_a_turn_that_cancels, again=(REPEATED,)),
    Case(take_a_turn_that_went_wrong, again=(REPEATED,)),
    Case(take_a_turn_that_cannot_be_read, again=(LeaseLost,), refuses=(BadCommand,)),
    Case(take_a_turn_that_contradicts_the_history, again=(LeaseLost,), refuses=(Nondeterminism,)),
    Case(take_a_close_that_missed_a_signal, again=(LeaseLost,), refuses=(UnhandledEvents,)),
    Case(take_the_fourth_close_over_a_signal, again=(REPEATED,)),
    Case(complete_an_activity, again=(REPEATED,)),
    Case(fail_an_attempt, again=(REPEATED,)),
    Case(fail_the_last_attempt, again=(REPEATED,)),
    Case(beat_an_activity, again=(SAME,)),
    Case(begin_a_first_session, again=(BEGUN_AGAIN,)),
    Case(end_a_session, again=(Changed("True", "False"),)),
    Case(begin_another_session, again=(BEGUN_AGAIN,)),
    Case(retire_a_worker, again=(False,)),
    Case(expire_a_task, again=(False,)),
    Case(expire_an_attempt, again=(False,)),
    Case(expire_the_last_attempt, again=(False,)),
    Case(give_back_a_task, again=(False,)),
    Case(give_back_an_activity, again=(False,)),
    Case(begin_an_old_ways_registration, again=(BEGUN_AGAIN,)),
    Case(register_under_a_key, again=(SAME,)),
    Case(start_by_a_signal, again=(NOT_STARTED,)),
    Case(start_by_a_signal_after_a_closed_run, again=(SAME,)),
    Case(signal_instead_of_a_start, again=(Changed("}", ", 'repeated': True}"),)),
    Case(signal_instead_of_a_start_under_a_key, again=(SAME,)),
    Case(take_an_old_ways_turn, again=(REPEATED,)),
    Case(take_an_old_ways_close_over_a_signal, again=(REPEATED,)),
    Case(beat_a_workflow_task, again=(SAME,)),
    Case(add_an_activity, again=(Changed("'created': True", "'created': False"),)),
    Case(add_an_activity_under_a_key, again=(SAME,)),
    Case(add_an_activity_by_a_lease, again=(Changed("'created': True", "'created': False"),)),
    Case(complete_an_activity_the_old_way, again=(LeaseLost,)),
    Case(fail_an_attempt_the_old_way, again=(LeaseLost,)),
    Case(beat_an_activity_the_old_way, again=(SAME,)),
    Case(release_an_activity, again=(LeaseLost,)),
    Case(release_an_activity_the_old_way, again=(LeaseLost,)),
    Case(drop_a_run, again=(False,)),
    Case(delete_a_namespace, again=(NotFound,), needs_nothing_else=True),
    Case(delete_a_namespace_that_was_emptied, again=(SAME,), needs_nothing_else=True),
    Case(claim_workflow_tasks, again=(), claims=(2, 0)),
    Case(claim_activities, again=(), claims=(0, 2)),
    Case(hand_in_a_turn_and_claim_what_it_made_ready, again=(REPEATED,), claims=(1, 1)),
    Case(write_who_was_seen, again=()),
    *BACKOFFS,
    *FAMILIES,
    *SCHEDULES,
    *KEYS,
)


# ------------------------------------------------------------------- two operations on one run, in a batch


def two_signals(ns: str) -> Steps:
    yield do(start(ns))
    return Act([signal(ns, "s1"), signal(ns, "s2")])


def a_signal_and_a_turn(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([signal(ns), turn(lease, schedule(1), WaitForSignal(name="go"))])


def a_turn_and_a_signal(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, WaitForSignal(name="go")), signal(ns)])


def a_signal_and_a_close(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([signal(ns), turn(lease, CompleteWorkflow(result="1"))])


def a_close_and_a_signal(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, CompleteWorkflow(result="1")), signal(ns)])


def a_report_and_a_cancel(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([report(lease, result="1"), CancelRun(ns, "w", None, None, None)])


def a_report_and_a_terminate(ns: str) -> Steps:
    one, _ = yield from given_activities(ns, count=2, leased=2)
    return Act([report(one, result="1"), TerminateRun(ns, "w", None, None, None, None)])


def a_terminate_and_a_report(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns)
    return Act([TerminateRun(ns, "w", None, None, None, None), report(lease, result="1")])


def two_reports(ns: str) -> Steps:
    one, two = yield from given_activities(ns, count=2, leased=2, max_attempts=1)
    return Act([report(one, result="1"), report(two, failure=ActivityFailure(error="oops"))])


def a_start_and_a_signal_for_it(ns: str) -> Steps:
    yield from ()
    return Act([keyed(ns, start(ns)), signal(ns)])


def a_start_and_a_deletion(ns: str) -> Steps:
    yield do(CreateNamespace(ns))
    return Act([start(ns), DeleteNamespace(ns)])


def a_deletion_and_a_start(ns: str) -> Steps:
    yield do(CreateNamespace(ns))
    return Act([DeleteNamespace(ns), start(ns)])


def a_registration_and_a_deletion(ns: str) -> Steps:
    yield do(CreateNamespace(ns))
    return Act([session(ns, None), DeleteNamespace(ns)])


def two_additions_of_one_number(ns: str) -> Steps:
    yield do(start(ns))
    return Act([AddActivity(ns, "w", None, None, schedule(7)), AddActivity(ns, "w", None, None, schedule(7))])


def an_addition_and_a_turn_of_one_number(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([AddActivity(ns, "w", None, None, schedule(7)), turn(lease, schedule(7))])


def two_starts_by_signals(ns: str) -> Steps:
    yield from ()
    return Act([signalled_start(ns, "s1"), signalled_start(ns, "s2")])


PAIRS = (
    Case(two_signals, again=(REPEATED, REPEATED)),
    Case(a_signal_and_a_turn, again=(REPEATED, REPEATED)),
    Case(a_turn_and_a_signal, again=(REPEATED, REPEATED)),
    Case(a_signal_and_a_close, again=(REPEATED, LeaseLost), refuses=(UnhandledEvents,)),
    Case(a_close_and_a_signal, again=(REPEATED, WorkflowClosed), refuses=(WorkflowClosed,)),
    Case(a_report_and_a_cancel, again=(REPEATED, SAME)),
    Case(a_report_and_a_terminate, again=(REPEATED, AlreadyTerminal)),
    Case(a_terminate_and_a_report, again=(AlreadyTerminal, WorkflowClosed), refuses=(WorkflowClosed,)),
    Case(two_reports, again=(REPEATED, REPEATED)),
    Case(a_start_and_a_signal_for_it, again=(SAME, REPEATED)),
    Case(a_start_and_a_deletion, again=(AlreadyStarted, NamespaceNotEmpty), refuses=(NamespaceNotEmpty,)),
    Case(a_deletion_and_a_start, again=(NamespaceNotEmpty, AlreadyStarted)),
    Case(a_registration_and_a_deletion, again=(IN_A_NEW_ONE, SAME)),
    Case(two_additions_of_one_number, again=(Changed("'created': True", "'created': False"), SAME)),
    Case(an_addition_and_a_turn_of_one_number, again=(Changed("'created': True", "'created': False"), REPEATED)),
    Case(two_starts_by_signals, again=(NOT_STARTED, Changed("}", ", 'repeated': True}"))),
    *FAMILY_PAIRS,
    *SCHEDULE_PAIRS,
)


SECONDS = tuple(behind_another(case) for case in CASES if not case.needs_nothing_else and case not in SCHEDULES)
