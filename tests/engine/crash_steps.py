"""The words in which the crash matrix's cases are told: what is handed in, and the small steps that lead there.

A case is a generator: it yields the submissions that bring its namespace into the state, one after the
other (a number lets that many seconds pass, a `Look` reads), and returns an `Act`. All its trials are prepared in step,
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

from assay_wsgi.domain.commands import Command
from assay_wsgi.domain.commands import ScheduleActivity
from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import ActivityReport
from assay_wsgi.domain.requests import Idempotency
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.domain.requests import TurnReport
from assay_wsgi.domain.requests import WorkerInfo
from assay_wsgi.domain.tokens import hashed
from assay_wsgi.engine.operations import BeginSession
from assay_wsgi.engine.operations import Keyed
from assay_wsgi.engine.operations import Operation
from assay_wsgi.engine.operations import ReportActivity
from assay_wsgi.engine.operations import SignalRun
from assay_wsgi.engine.operations import SignalWithStart
from assay_wsgi.engine.operations import Start
from assay_wsgi.engine.operations import TakeTurn
from assay_wsgi.engine.operations import TaskLease
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


@dataclass
class Look:
    """What a step asks the database, once the steps before it are done."""

    sql: str
    params: tuple[Any, ...]
    found: Sequence[Sequence[Any]] = ()


Step = Union[Submission, float, Look]
Steps = Generator[Step, None, Act]
SAME = object()  # the second answer is the first one
Said = Union[object, type[AssayError]]  # an answer, SAME, Changed, or the kind of a refusal


@dataclass(frozen=True)
class Changed:
    """The second answer is the first one, but for this."""

    first: str
    second: str


BEGUN_AGAIN = Changed("True", "False")  # neither session nor namespace is new
IN_A_NEW_ONE = Changed("'new': True, 'namespace_made': False", "'new': False, 'namespace_made': True")


@dataclass(frozen=True)
class Case:
    """A state, what is handed in, and what is said when it is handed in a second time."""

    steps: Callable[[str], Steps]  # of a namespace
    again: tuple[Said, ...]  # an entry an operation
    refuses: tuple[type[AssayError], ...] = ()  # refusals of the first time, which write
    needs_nothing_else: bool = False  # in its namespace
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


def signalled_start(ns: str, signal_id: str | None = "s1") -> SignalWithStart:
    """Signal the open run, or start one with the signal."""
    sent = SentSignal(name="go", payload='{"n":1}', signal_id=signal_id)
    return SignalWithStart(start(ns).request, "w", sent)


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


def session(ns: str, name: str | None = SESSION) -> BeginSession:
    """Register the worker; without a session it polls, the old way."""
    return BeginSession(ns, WORKER, QUEUE, name, WorkerInfo(identity="me", workflows=("W",)), (2, 2))


def tokenless(lease: ClaimedActivity, **more: Any) -> ReportActivity:
    """Report on an activity the old way."""
    return ReportActivity(None, None, ActivityReport(task_token=None, **more), activity_key=lease.activity.activity_key)


def old_turn(lease: ClaimedRun, *commands: Command) -> TakeTurn:
    """Report on a workflow task the old way: by the lease that its worker holds."""
    held = TaskLease(run_key=lease.task.run_key, token_hash=hashed(lease.token))
    return TakeTurn(held, TurnReport(task_token=None, commands=commands))


def do(*operations: Operation) -> Submission:
    """Hand in operations."""
    return Submission(operations)


def schedule(seq: int, **more: Any) -> ScheduleActivity:
    """Ask for an activity."""
    return ScheduleActivity(seq=seq, name=f"act{seq}", input="[1]", **{**NO_JITTER, **more})


def given_a_lease(ns: str, *first: Operation) -> Generator[Step, None, ClaimedRun]:
    """Start a run and lease its task."""
    yield do(*first, start(ns))
    claimed = Submission((), taker(ns, workflows=1))
    yield claimed
    assert claimed.taker is not None
    return claimed.taker.workflows[0]


def given_a_lease_again(ns: str) -> Generator[Step, None, ClaimedRun]:
    """Lease the task of a run that was started before: the only one that is ready, so that all trials get the same."""
    claimed = Submission((), taker(ns, workflows=2))
    yield claimed
    assert claimed.taker is not None
    (lease,) = claimed.taker.workflows
    return lease


def given_activities(
    ns: str, count: int = 1, leased: int = 1, *first: Operation, **more: Any
) -> Generator[Step, None, list[ClaimedActivity]]:
    """Start a run that waits for activities, of which some are leased."""
    lease = yield from given_a_lease(ns, *first)
    claimed = Submission((turn(lease, *(schedule(seq, **more) for seq in range(1, count + 1))),),
                         taker(ns, activities=leased))  # fmt: skip
    yield claimed
    assert claimed.taker is not None
    return claimed.taker.activities


def behind_another(case: Case) -> Case:
    """The same, as the second operation of a batch: the first one is a signal to another run."""

    def steps(ns: str) -> Steps:
        yield do(start(ns, "other", task_queue="elsewhere"))
        act = yield from case.steps(ns)
        return replace(act, operations=[signal(ns, "first", "other"), *act.operations])

    steps.__name__ = f"second_{case.name}"
    return replace(case, steps=steps, again=(REPEATED, *case.again))
