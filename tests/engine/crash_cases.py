"""What the crash matrix is run over: for each class of operation a state to begin with and what is handed in.

A case is a generator: it yields the submissions that bring its namespace into the state, one after the
other (a number lets that many seconds pass), and returns an `Act`. All its trials are prepared in step,
so a hundred of them cost as many transactions as one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Union

from assay_wsgi.domain.commands import CancelWorkflow
from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import CompleteWorkflow
from assay_wsgi.domain.commands import FailWorkflow
from assay_wsgi.domain.commands import RecordSideEffect
from assay_wsgi.domain.commands import RecordSnapshot
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.commands import UpsertSearchAttributes
from assay_wsgi.domain.commands import WaitForSignal
from assay_wsgi.domain.errors import AlreadyStarted
from assay_wsgi.domain.errors import AlreadyTerminal
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.errors import BadCommand
from assay_wsgi.domain.errors import LeaseLost
from assay_wsgi.domain.errors import Nondeterminism
from assay_wsgi.domain.errors import UnhandledEvents
from assay_wsgi.domain.errors import WorkflowClosed
from assay_wsgi.domain.requests import ActivityFailure
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Heartbeat
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TaskFailure
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.engine.operations import BeatActivity
from assay_wsgi.engine.operations import BeginSession
from assay_wsgi.engine.operations import CancelRun
from assay_wsgi.engine.operations import CreateNamespace
from assay_wsgi.engine.operations import ExpireActivity
from assay_wsgi.engine.operations import ExpireTask
from assay_wsgi.engine.operations import GiveBackActivity
from assay_wsgi.engine.operations import GiveBackTask
from assay_wsgi.engine.operations import Keyed
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations import ReportActivity
from assay_wsgi.engine.operations import RetireWorker
from assay_wsgi.engine.operations import SignalRun
from assay_wsgi.engine.operations import Start
from assay_wsgi.engine.operations import TakeTurn
from assay_wsgi.engine.operations import TerminateRun
from assay_wsgi.store.claims import ClaimedActivity
from assay_wsgi.store.claims import ClaimedRun
from assay_wsgi.store.claims import Taker
from assay_wsgi.store.unit import Submission

NOW = 1_700_000_000.0  # when the first step is done
QUEUE, WORKER, SESSION = "q", "worker-1", "session-1"
OK = {"ok": True}
REPEATED = {"ok": True, "repeated": True}
NO_JITTER = {"jitter": 0.0}  # it is a hash of the key, so no two trials would agree


@dataclass(frozen=True)
class Act:
    """What is handed in together, once the state stands."""

    operations: Sequence[Operation] = ()
    taker: Taker | None = None
    beats: Sequence[tuple[str, str]] = ()  # (namespace, name) of a worker and of a queue that were seen

    def again(self) -> Act:
        """The same once more, by a caller who knows nothing of the first time."""
        return replace(self, taker=None if self.taker is None else _fresh(self.taker))


Steps = Generator[Union[Submission, float], None, Act]
SAME = object()  # the second answer is the first one
Said = Union[object, type[AssayError]]  # an answer, SAME, or the kind of a refusal


@dataclass(frozen=True)
class Case:
    """A state, what is handed in, and what is said when it is handed in a second time."""

    steps: Callable[[str], Steps]  # of a namespace
    again: tuple[Said, ...]  # an entry an operation
    refuses: tuple[type[AssayError], ...] = ()  # refusals of the first time, which write
    claims: tuple[int, int] = (0, 0)  # how many workflow tasks and activities are handed out

    @property
    def name(self) -> str:
        """The name, for people."""
        return self.steps.__name__


def _fresh(taker: Taker) -> Taker:
    return replace(taker, workflows=[], activities=[], replaced=False, held=False)


# ------------------------------------------------------------------------------------------ small steps


def start(ns: str, workflow_id: str = "w", **more: Any) -> Start:
    """Start a run with some input."""
    told = {"task_queue": QUEUE, "input": '{"a":1}', "search_attributes": {"city": "Bern"}, **more}
    return Start(StartRun(workflow_type="W", namespace=ns, **told), workflow_id)


def signal(ns: str, signal_id: str | None = "s1", workflow_id: str = "w", name: str = "go") -> SignalRun:
    """Send a signal to the newest run."""
    return SignalRun(ns, workflow_id, None, None, SentSignal(name=name, payload='{"n":1}', signal_id=signal_id))


def keyed(ns: str, operation: Operation) -> Keyed:
    """Put an operation under an Idempotency-Key. The scope is the namespace, so that the row belongs to it."""
    return Keyed(operation, Idempotency(scope=ns, key="k1", hash="h1"), 3600.0)


def taker(ns: str, workflows: int = 0, activities: int = 0, session: str | None = None) -> Taker:
    """Ask for work."""
    return Taker(ns, QUEUE, WORKER, session, 1 if session else None, workflows, activities, None, None, 30.0)


def turn(lease: ClaimedRun, *commands: Command, **more: Any) -> TakeTurn:
    """Report on a workflow task."""
    return TakeTurn.of(TurnReport(task_token=lease.token, commands=commands, **more), None)


def report(lease: ClaimedActivity, **more: Any) -> ReportActivity:
    """Report on an activity."""
    return ReportActivity(lease.token, None, ActivityReport(task_token=lease.token, **more))


def session(ns: str, name: str = SESSION) -> BeginSession:
    """Register the worker."""
    return BeginSession(ns, WORKER, QUEUE, name, WorkerInfo(identity="me", workflows=("W",)), (2, 2))


def do(*operations: Operation) -> Submission:
    """Hand in operations."""
    return Submission(operations)


def schedule(seq: int, **more: Any) -> ScheduleActivity:
    """Ask for an activity."""
    return ScheduleActivity(seq=seq, name=f"act{seq}", input="[1]", **{**NO_JITTER, **more})


def given_a_lease(ns: str, *first: Operation) -> Generator[Union[Submission, float], None, ClaimedRun]:
    """Start a run and lease its task."""
    yield do(*first, start(ns))
    claimed = Submission((), taker(ns, workflows=1))
    yield claimed
    assert claimed.taker is not None
    return claimed.taker.workflows[0]


def given_a_lease_again(ns: str) -> Generator[Union[Submission, float], None, ClaimedRun]:
    """Lease the task of a run that was started before."""
    claimed = Submission((), taker(ns, workflows=1))
    yield claimed
    assert claimed.taker is not None
    return claimed.taker.workflows[0]


def given_activities(
    ns: str, count: int = 1, leased: int = 1, *first: Operation, **more: Any
) -> Generator[Union[Submission, float], None, list[ClaimedActivity]]:
    """Start a run that waits for activities, of which some are leased."""
    lease = yield from given_a_lease(ns, *first)
    claimed = Submission((turn(lease, *(schedule(seq, **more) for seq in range(1, count + 1))),),
                         taker(ns, activities=leased))  # fmt: skip
    yield claimed
    assert claimed.taker is not None
    return claimed.taker.activities


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


CASES = (
    Case(create_a_namespace, again=(SAME,)),
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
    Case(begin_a_first_session, again=(False,)),
    Case(begin_another_session, again=(False,)),
    Case(retire_a_worker, again=(False,)),
    Case(expire_a_task, again=(False,)),
    Case(expire_an_attempt, again=(False,)),
    Case(expire_the_last_attempt, again=(False,)),
    Case(give_back_a_task, again=(False,)),
    Case(give_back_an_activity, again=(False,)),
    Case(claim_workflow_tasks, again=(), claims=(2, 0)),
    Case(claim_activities, again=(), claims=(0, 2)),
    Case(hand_in_a_turn_and_claim_what_it_made_ready, again=(REPEATED,), claims=(1, 1)),
    Case(write_who_was_seen, again=()),
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
)


def _behind_another(case: Case) -> Case:
    """The same, as the second operation of a batch: the first one is a signal to another run."""

    def steps(ns: str) -> Steps:
        yield do(start(ns, "other", task_queue="elsewhere"))
        act = yield from case.steps(ns)
        return replace(act, operations=[signal(ns, "first", "other"), *act.operations])

    steps.__name__ = f"second_{case.name}"
    return replace(case, steps=steps, again=(REPEATED, *case.again))


SECONDS = tuple(_behind_another(case) for case in CASES)
