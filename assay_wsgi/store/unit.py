"""A unit of work: one database transaction over a batch of operations, with the claims that follow.

    find keys -> lock runs -> load rows -> each operation decides -> write -> claim -> notices -> commit

Whoever lacks a row, loses a name to somebody else or meets a deadlock *begins again*: nothing was promised
yet, so the transaction is rolled back and started with the larger, sorted set of rows. After three rounds
the operations run singly. That is the one way out of all of it; there is no second lock order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

from ..domain.change import Change
from ..domain.errors import AssayError
from ..domain.errors import StoreBusy
from ..domain.errors import Unavailable
from .claims import Floors
from .claims import Taker
from .claims import claim
from .connection import Connection
from .dialect import Dialect
from .dialect import Trouble
from .liveness import Liveness
from .load import find_and_lock
from .load import load
from .needs import BeginAgain
from .needs import Held
from .needs import Missing
from .needs import Needs
from .needs import Waited
from .rows import Rows
from .write import flush
from .write import insert_notices
from .writer import Uncommitted

ROUNDS = 3
LARGER_AT_MOST = 10  # times that a decision may ask for more rows


class Operation(Protocol):
    """One thing to be done, whole or not at all."""

    @property
    def weight(self) -> int:
        """About how many rows it writes; at least as many as it needs new keys."""

    def needs(self, needs: Needs) -> None:
        """Name the rows that the decision will look at."""

    def decide(self, rows: Rows, now: float) -> Change:
        """Decide. Raises AssayError for a refusal, Held, Missing."""


class Units(Protocol):
    """Where units are written: a `Writer`, or a `Guest` of somebody else's transaction."""

    dialect: Dialect

    def unit(self, keys: int) -> AbstractContextManager[Connection]:
        """Run one unit with at least `keys` new keys at hand."""

    def moment(self, db: Connection, read: tuple[float, int] | None = None) -> tuple[float, int]:
        """Give the clock and the transaction's mark."""

    def new_key(self) -> int:
        """Take the next key."""


@dataclass(slots=True)
class Outcome:
    """How an operation ended in a unit. Exactly one of answer, error and missed counts."""

    answer: Any = None
    error: BaseException | None = None
    missed: bool = False  # a run that it wants is held by somebody else
    waited: bool = False  # missed, and it has cost a wait: the next try is for the slow lane


@dataclass(slots=True)
class Submission:
    """Operations handed in together, and the claim that follows when all of them have settled."""

    operations: Sequence[Operation]
    taker: Taker | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    claimed: bool = False

    @property
    def weight(self) -> int:
        """About how many rows it writes."""
        return sum(operation.weight for operation in self.operations) + (1 if self.taker else 0)


@dataclass(slots=True)
class Left:
    """What a committed unit leaves to be done by others."""

    ready: dict[tuple[str, str, str], int] = field(default_factory=dict)
    soonest_deadline: float | None = None
    notices: bool = False  # whether the feed has more to tell

    def add(self, other: Left) -> None:
        """Take in what another unit leaves."""
        for key, count in other.ready.items():
            self.ready[key] = self.ready.get(key, 0) + count
        moments = [moment for moment in (self.soonest_deadline, other.soonest_deadline) if moment is not None]
        self.soonest_deadline = min(moments, default=None)
        self.notices = self.notices or other.notices


def perform(
    writer: Units, submissions: Sequence[Submission], floors: Floors, liveness: Liveness, *,
    rounds: int = ROUNDS, wait: bool = False,
) -> Left:  # fmt: skip
    """Run one unit over `submissions` and put the outcomes into them.

    Raises BeginAgain after `rounds` rounds (run them singly then), or at once Waited, Unavailable's kinds, or the
    driver's error; in each of these cases nothing was written (OutcomeUnknown: nobody knows).
    """
    needs = Needs()
    for submission in submissions:
        for operation in submission.operations:
            operation.needs(needs)
    cause: Exception | None = None
    larger = 0
    while rounds:
        try:
            return _attempt(writer, submissions, needs, floors, liveness, wait=wait)
        except Missing as missing:  # no conflict: the next round knows more
            needs.add(missing.needs)
            cause = None  # whatever came before is over: the database has answered
            larger += 1
            if larger > LARGER_AT_MOST:
                break
            continue
        except BeginAgain:
            pass
        except Uncommitted as error:
            cause = error
        except AssayError:
            raise
        except Exception as error:
            trouble = writer.dialect.trouble(error)
            if trouble is Trouble.FULL:
                raise Unavailable("the database has no room or memory left: nothing was written") from error
            if trouble is Trouble.REFUSED:
                raise
            if trouble is Trouble.CONFLICT and writer.dialect.writers_queue:
                # Only a stranger can be in the way, and the driver has waited for him long enough.
                raise StoreBusy("another program holds the database's lock: nothing was written, try again") from error
            if trouble is Trouble.HELD:
                raise Waited from error
            cause = error
        rounds -= 1
    if cause is not None and writer.dialect.trouble(cause) is Trouble.LOST:
        raise Unavailable("the database does not answer") from cause
    raise BeginAgain from cause


def _attempt(
    writer: Units, submissions: Sequence[Submission], needs: Needs, floors: Floors, liveness: Liveness, *, wait: bool
) -> Left:
    for submission in submissions:
        submission.outcomes = []
        submission.claimed = False
        if submission.taker is not None:
            submission.taker.reset()
    rows = Rows(writer.new_key)
    beats = liveness.take()
    try:
        with writer.unit(keys=sum(submission.weight for submission in submissions)) as db:
            find_and_lock(db, needs, rows, wait=wait)
            now, mark = writer.moment(db, rows.moment)
            load(db, needs, rows)
            lacking = Needs()
            outcomes = [
                [_decide(operation, rows, now, lacking) for operation in submission.operations]
                for submission in submissions
            ]
            if lacking.any():
                raise Missing(lacking)
            claiming = [
                submission
                for submission, decided in zip(submissions, outcomes, strict=True)
                if submission.taker is not None and not any(outcome.missed for outcome in decided)
            ]
            flush(db, rows, mark, now)
            beats.write(db, now)
            takers = [submission.taker for submission in claiming if submission.taker is not None]
            if takers:
                rows.notices += claim(db, takers, floors, mark, now)
            insert_notices(db, rows, mark)
    except BaseException:
        liveness.give_back(beats)
        for submission in submissions:
            if submission.taker is not None:
                submission.taker.reset()  # what it was given was rolled back
        raise
    for submission, decided in zip(submissions, outcomes, strict=True):  # known to be committed: now it counts
        submission.outcomes = decided
    for submission in claiming:
        submission.claimed = True
    return _left(rows, submissions, now)


def _decide(operation: Operation, rows: Rows, now: float, lacking: Needs) -> Outcome:
    """Decide, and take the Change. What it lacks goes into `lacking`: one more round brings it for the whole batch."""
    try:
        change = operation.decide(rows, now)
    except Held:
        return Outcome(missed=True)
    except Missing as missing:
        lacking.add(missing.needs)
        return Outcome(missed=True)
    except BeginAgain:
        raise
    except Exception as error:  # noqa: BLE001 - the map is untouched: it concerns this operation alone
        return Outcome(error=error)
    rows.take(change, now)
    return Outcome(answer=change.answer, error=change.refusal)


def _left(rows: Rows, submissions: Sequence[Submission], now: float) -> Left:
    """Count the work that this unit made ready, less what it handed out; a full claim may have left more."""
    ready = rows.ready(now)
    for submission in submissions:
        taker = submission.taker
        if taker is None or not submission.claimed:
            continue
        for kind, got, slots in (
            ("workflow", len(taker.workflows), taker.workflow_slots),
            ("activity", len(taker.activities), taker.activity_slots),
        ):
            key = (kind, taker.namespace, taker.queue)
            left = ready.get(key, 0) - got
            if slots and got == slots:
                left = max(left, 1)
            ready[key] = left
    return Left(
        ready={key: count for key, count in ready.items() if count > 0},
        soonest_deadline=_soonest(rows, submissions),
        notices=bool(rows.notices),
    )


def _soonest(rows: Rows, submissions: Sequence[Submission]) -> float | None:
    deadlines = [rows.soonest_deadline()]
    for submission in submissions:
        if submission.taker is not None:
            deadlines += [claimed.task.deadline_at for claimed in submission.taker.workflows]
            deadlines += [claimed.activity.deadline_at for claimed in submission.taker.activities]
    return min((moment for moment in deadlines if moment is not None), default=None)
