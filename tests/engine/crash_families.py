"""The crash matrix's cases of timers, children, continue-as-new and what time ends."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from assay_wsgi.domain.commands import CancelActivity
from assay_wsgi.domain.commands import CancelTimer
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import ContinueAsNew
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RequestCancelChild
from assay_wsgi.domain.commands import ScheduleTimer
from assay_wsgi.domain.commands import StartChildWorkflow
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import IdTaken
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import UnhandledEvents
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.engine.operations import CancelRun
from assay_wsgi.engine.operations import ContinueRun
from assay_wsgi.engine.operations import ExpireActivity
from assay_wsgi.engine.operations import ExpireRun
from assay_wsgi.engine.operations import FinishFollowup
from assay_wsgi.engine.operations import FireTimer
from assay_wsgi.engine.operations import TerminateRun
from assay_wsgi.store.claims import ClaimedRun
from tests.engine.crash_steps import QUEUE
from tests.engine.crash_steps import REPEATED
from tests.engine.crash_steps import SAME
from tests.engine.crash_steps import Act
from tests.engine.crash_steps import Case
from tests.engine.crash_steps import Look
from tests.engine.crash_steps import Step
from tests.engine.crash_steps import Steps
from tests.engine.crash_steps import do
from tests.engine.crash_steps import given_a_lease
from tests.engine.crash_steps import given_a_lease_again
from tests.engine.crash_steps import given_activities
from tests.engine.crash_steps import keyed
from tests.engine.crash_steps import schedule
from tests.engine.crash_steps import signal
from tests.engine.crash_steps import start
from tests.engine.crash_steps import taker
from tests.engine.crash_steps import turn

WAIT = WaitForSignal(name="go")


def timer(seq: int = 1, secs: float = 60.0) -> ScheduleTimer:
    """Ask for a timer."""
    return ScheduleTimer(seq=seq, duration_secs=secs)


def child(workflow_id: str = "c", seq: int = 1, **more: Any) -> StartChildWorkflow:
    """Ask for a child."""
    told = {"workflow_type": "W", "input": '{"b":2}', "task_queue": QUEUE, **more}
    return StartChildWorkflow(workflow_id=workflow_id, seq=seq, **told)


def given_a_family(ns: str, *children: StartChildWorkflow) -> Generator[Step, None, tuple[ClaimedRun, ClaimedRun]]:
    """Have a parent `w` that was woken by a signal, and its first child at work. Gives the leases of both.

    Other children are on another queue: the order of tasks that became ready at the same time is nobody's promise.
    """
    lease = yield from given_a_lease(ns)
    first, *others = children or (child(),)
    yield do(turn(lease, first, *(replace(other, task_queue="elsewhere") for other in others), WAIT))
    below = yield from given_a_lease_again(ns)
    yield do(signal(ns, "noise", name="noise"))
    above = yield from given_a_lease_again(ns)
    return above, below


# ----------------------------------------------------------------------------------- timers and activities


def take_a_turn_with_timers(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, timer(1), timer(2), WAIT))
    yield do(signal(ns))
    lease = yield from given_a_lease_again(ns)
    return Act([turn(lease, CancelTimer(timer_seq=1), timer(2), timer(3), WaitForSignal(name="yes", timer_seq=3))])


def take_a_turn_whose_wait_is_met_already(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(signal(ns))
    return Act([turn(lease, timer(), WaitForSignal(name="go", timer_seq=1))])


def take_a_turn_that_cancels_activities(ns: str) -> Steps:
    """One is at work, one waits for a worker, one has not even been written."""
    yield from given_activities(ns, count=2, leased=1)
    yield do(signal(ns))
    lease = yield from given_a_lease_again(ns)
    ends = [CancelActivity(activity_seq=seq) for seq in (1, 2, 3)]
    return Act([turn(lease, schedule(3), *ends, WAIT)])


def fire_a_timer(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, timer(), WaitForSignal(name="go", timer_seq=1)))
    yield 60.0
    return Act([FireTimer(lease.task.run_key, 1)])


def signal_a_wait_that_a_timer_bounds(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, timer(), WaitForSignal(name="go", timer_seq=1)))
    return Act([signal(ns)])


def expire_an_activity_that_nobody_took(ns: str) -> Steps:
    work = yield from _waiting_activity(ns, schedule_to_start_secs=5.0)
    return Act([ExpireActivity(work)])


def expire_an_activity_whose_time_in_all_is_over(ns: str) -> Steps:
    (lease,) = yield from given_activities(ns, schedule_to_close_secs=5.0, heartbeat_timeout_secs=5.0)
    yield 6.0
    return Act([ExpireActivity(lease.activity.activity_key)])


def _waiting_activity(ns: str, **more: Any) -> Generator[Step, None, int]:
    yield from given_activities(ns, count=1, leased=0, **more)
    look = Look("SELECT activity_key FROM workflow_activities WHERE namespace = ?", (ns,))
    yield look
    yield 6.0
    return int(look.found[0][0])


# -------------------------------------------------------------------------------------------------- children


def take_a_turn_that_starts_children(ns: str) -> Steps:
    """Of three ids one is another's, and one was another's."""
    yield do(start(ns, "taken", task_queue="elsewhere"), start(ns, "free", task_queue="elsewhere"))
    yield do(TerminateRun(ns, "free", None, None, "enough", "me"))
    lease = yield from given_a_lease(ns)
    attributes = {"city": "Basel"}
    children = child("c", 1, run_timeout_secs=9.0), child("taken", 2), child("free", 3, search_attributes=attributes)
    return Act([turn(lease, *children, WAIT)])


def take_a_turn_that_starts_a_child_and_claim_it(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, child(), WAIT)], taker(ns, workflows=1))


def take_a_turn_that_cancels_children(ns: str) -> Steps:
    """One works, nobody has taken the other."""
    above, _ = yield from given_a_family(ns, child("c"), child("d", 2))
    return Act([turn(above, RequestCancelChild(workflow_id="c"), RequestCancelChild(workflow_id="d"), WAIT)])


def take_a_turn_that_completes_a_child(ns: str) -> Steps:
    _, below = yield from given_a_family(ns)
    return Act([turn(below, CompleteWorkflow(result='"done"'))])


def take_a_turn_that_fails_a_child(ns: str) -> Steps:
    _, below = yield from given_a_family(ns)
    return Act([turn(below, FailWorkflow(error="broken"))])


def terminate_a_child(ns: str) -> Steps:
    yield from given_a_family(ns)
    return Act([TerminateRun(ns, "c", None, None, "enough", "me")])


def cancel_a_child_that_nobody_took(ns: str) -> Steps:
    yield from given_a_family(ns, child("c"), child("d", 2))
    return Act([CancelRun(ns, "d", None, None, "enough")])


def start_in_place_of_an_open_child(ns: str) -> Steps:
    yield from given_a_family(ns)
    return Act([keyed(ns, start(ns, "c", id_conflict="terminate_existing"))])


def take_a_turn_that_completes_a_parent(ns: str) -> Steps:
    above, _ = yield from given_a_family(ns, child("c"), child("d", 2, parent_close="abandon"))
    return Act([turn(above, CompleteWorkflow(result="1"))])


def terminate_a_parent(ns: str) -> Steps:
    yield from given_a_family(ns)
    return Act([TerminateRun(ns, "w", None, None, "enough", "me")])


def finish_a_followup(ns: str) -> Steps:
    yield from given_a_family(ns, child("c", parent_close="abandon"))
    yield do(TerminateRun(ns, "w", None, None, "enough", "me"))
    look = Look("SELECT f.id FROM followups f JOIN workflows w ON w.run_key = f.run_key WHERE w.namespace = ?", (ns,))
    yield look
    return Act([FinishFollowup(look.found[0][0])])


# --------------------------------------------------------------------------------------------- continue as new


def take_a_turn_that_continues_as_new(ns: str) -> Steps:
    """It leaves behind an activity, a timer, a child, a signal that is not wanted; two signals go along."""
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, schedule(1), timer(2), child("c", 3, task_queue="elsewhere"), WAIT))
    yield do(signal(ns, "s1", name="unread"), signal(ns, "s2", name="read"))
    lease = yield from given_a_lease_again(ns)
    yield do(signal(ns, "s3", name="late"))
    first = lease.task.claimed_seq or 0
    return Act([turn(lease, ContinueAsNew(input='{"n":2}', workflow_id="w", unread_signals=(first - 1,)))])


def take_a_turn_that_continues_under_a_numbered_id(ns: str) -> Steps:
    yield do(start(ns, "w-continued-1", task_queue="elsewhere"))
    yield do(TerminateRun(ns, "w-continued-1", None, None, "enough", "me"))
    lease = yield from given_a_lease(ns)
    yield do(CancelRun(ns, "w", None, None, "enough"))
    return Act([turn(lease, ContinueAsNew(workflow_type="V"))])


def take_a_turn_that_continues_under_a_taken_id(ns: str) -> Steps:
    yield do(start(ns, "taken", task_queue="elsewhere"))
    lease = yield from given_a_lease(ns)
    return Act([turn(lease, ContinueAsNew(workflow_id="taken"))])


def continue_an_open_run(ns: str) -> Steps:
    yield from given_activities(ns)
    yield do(signal(ns))
    return Act([ContinueRun(ns, "w", None, None, ContinueAsNew(input="2"))])


def continue_an_open_run_under_a_key(ns: str) -> Steps:
    yield do(start(ns))
    return Act([keyed(ns, ContinueRun(ns, "w", None, None, ContinueAsNew(workflow_id="w")))])


def continue_a_closed_run(ns: str) -> Steps:
    yield do(start(ns))
    yield do(TerminateRun(ns, "w", None, None, "enough", "me"))
    return Act([ContinueRun(ns, "w", None, None, ContinueAsNew(input="2"))])


# ----------------------------------------------------------------------------------------- what time ends


def expire_a_run(ns: str) -> Steps:
    yield do(start(ns, run_timeout_secs=5.0))
    lease = yield from given_a_lease_again(ns)
    yield do(turn(lease, schedule(1), timer(2), WAIT))
    yield 5.0
    return Act([ExpireRun(lease.task.run_key)])


def expire_a_chain(ns: str) -> Steps:
    yield do(start(ns, execution_timeout_secs=5.0, run_timeout_secs=4.0))
    lease = yield from given_a_lease_again(ns)
    yield 3.0
    yield do(turn(lease, ContinueAsNew(workflow_id="w")))
    lease = yield from given_a_lease_again(ns)
    yield 2.0
    return Act([ExpireRun(lease.task.run_key)])


def expire_a_run_that_was_asked_to_end(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, WAIT))
    yield do(CancelRun(ns, "w", None, None, "enough"))
    yield 60.0
    return Act([ExpireRun(lease.task.run_key)])


def look_again_at_a_run_that_was_asked_to_end(ns: str) -> Steps:
    """Its worker holds it: it is let be until the grace has passed once more."""
    lease = yield from given_a_lease(ns)
    yield do(CancelRun(ns, "w", None, None, "enough"))
    yield 60.0
    return Act([ExpireRun(lease.task.run_key)])


def expire_a_child(ns: str) -> Steps:
    _, below = yield from given_a_family(ns, child(run_timeout_secs=5.0))
    yield 5.0
    return Act([ExpireRun(below.task.run_key)])


FAMILIES = (
    Case(take_a_turn_with_timers, again=(REPEATED,)),
    Case(take_a_turn_whose_wait_is_met_already, again=(REPEATED,)),
    Case(take_a_turn_that_cancels_activities, again=(REPEATED,)),
    Case(fire_a_timer, again=(False,)),
    Case(signal_a_wait_that_a_timer_bounds, again=(REPEATED,)),
    Case(expire_an_activity_that_nobody_took, again=(False,)),
    Case(expire_an_activity_whose_time_in_all_is_over, again=(False,)),
    Case(take_a_turn_that_starts_children, again=(REPEATED,)),
    Case(take_a_turn_that_starts_a_child_and_claim_it, again=(REPEATED,), claims=(1, 0)),
    Case(take_a_turn_that_cancels_children, again=(REPEATED,)),
    Case(take_a_turn_that_completes_a_child, again=(REPEATED,)),
    Case(take_a_turn_that_fails_a_child, again=(REPEATED,)),
    Case(terminate_a_child, again=(AlreadyTerminal,)),
    Case(cancel_a_child_that_nobody_took, again=(AlreadyTerminal,)),
    Case(start_in_place_of_an_open_child, again=(SAME,)),
    Case(take_a_turn_that_completes_a_parent, again=(REPEATED,)),
    Case(terminate_a_parent, again=(AlreadyTerminal,)),
    Case(finish_a_followup, again=(SAME,)),
    Case(take_a_turn_that_continues_as_new, again=(REPEATED,)),
    Case(take_a_turn_that_continues_under_a_numbered_id, again=(REPEATED,)),
    Case(take_a_turn_that_continues_under_a_taken_id, again=(LeaseLost,), refuses=(IdTaken,)),
    Case(continue_an_open_run, again=(AlreadyStarted,)),
    Case(continue_an_open_run_under_a_key, again=(SAME,)),
    Case(continue_a_closed_run, again=(AlreadyStarted,)),
    Case(expire_a_run, again=(False,)),
    Case(expire_a_chain, again=(False,)),
    Case(expire_a_run_that_was_asked_to_end, again=(False,)),
    Case(look_again_at_a_run_that_was_asked_to_end, again=(False,)),
    Case(expire_a_child, again=(False,)),
)


# -------------------------------------------------------------------------------------- two of a family at once


def a_parent_that_continues_and_its_childs_end(ns: str) -> Steps:
    above, below = yield from given_a_family(ns)
    return Act([turn(above, ContinueAsNew(workflow_id="w")), turn(below, CompleteWorkflow(result="1"))])


def a_childs_end_and_its_parent_that_continues(ns: str) -> Steps:
    above, below = yield from given_a_family(ns)
    return Act([turn(below, CompleteWorkflow(result="1")), turn(above, ContinueAsNew(workflow_id="w"))])


def a_parents_end_and_its_childs(ns: str) -> Steps:
    above, below = yield from given_a_family(ns)
    return Act([turn(above, CompleteWorkflow()), turn(below, CompleteWorkflow(result="1"))])


def a_childs_end_and_its_parents(ns: str) -> Steps:
    above, below = yield from given_a_family(ns)
    return Act([turn(below, CompleteWorkflow(result="1")), turn(above, CompleteWorkflow())])


def the_ends_of_two_children(ns: str) -> Steps:
    yield from given_a_family(ns, child("c"), child("d", 2))
    ends = [TerminateRun(ns, name, None, None, "enough", "me") for name in "cd"]
    return Act(ends)


def a_timer_and_the_signal_that_would_have_ended_it(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, timer(), WaitForSignal(name="go", timer_seq=1)))
    yield 60.0
    return Act([FireTimer(lease.task.run_key, 1), signal(ns)])


def a_signal_and_the_timer_that_it_ends(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    yield do(turn(lease, timer(), WaitForSignal(name="go", timer_seq=1)))
    yield 60.0
    return Act([signal(ns), FireTimer(lease.task.run_key, 1)])


def two_calls_to_continue(ns: str) -> Steps:
    lease = yield from given_a_lease(ns)
    asked = [ContinueRun(ns, "w", lease.task.run_key, lease.run_id, ContinueAsNew(workflow_id="w")) for _ in range(2)]
    return Act(asked)


def the_end_of_a_runs_time_and_its_completion(ns: str) -> Steps:
    yield do(start(ns, run_timeout_secs=5.0))
    lease = yield from given_a_lease_again(ns)
    yield 5.0
    return Act([ExpireRun(lease.task.run_key), turn(lease, CompleteWorkflow())])


FAMILY_PAIRS = (
    Case(a_parent_that_continues_and_its_childs_end, again=(REPEATED, REPEATED)),
    Case(a_childs_end_and_its_parent_that_continues, again=(REPEATED, LeaseLost), refuses=(UnhandledEvents,)),
    Case(a_parents_end_and_its_childs, again=(REPEATED, REPEATED)),
    Case(a_childs_end_and_its_parents, again=(REPEATED, REPEATED)),
    Case(the_ends_of_two_children, again=(AlreadyTerminal, AlreadyTerminal)),
    Case(a_timer_and_the_signal_that_would_have_ended_it, again=(False, REPEATED)),
    Case(a_signal_and_the_timer_that_it_ends, again=(REPEATED, False)),
    Case(two_calls_to_continue, again=(AlreadyStarted, AlreadyStarted), refuses=(AlreadyStarted,)),
    Case(the_end_of_a_runs_time_and_its_completion, again=(False, WorkflowClosed), refuses=(WorkflowClosed,)),
)
