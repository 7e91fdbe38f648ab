"""Many threads hand in operations; one of them leads a batch, and commits it for all.

Alone, an operation runs at once. While a batch is being committed the next one gathers, so the price of
a commit is shared by whoever came meanwhile. The leader uses the committer's one connection, settles
every operation that it took, whatever is raised, and hands on.

Nobody waits here for a row that somebody else holds: the operation comes again after 2, 5 and 15 ms, and
then takes the slow lane, so that a held row delays only those who want it. A name that a stranger has
inserted and not committed cannot be passed over: who wants it waits once in its batch and once alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from ..domain.errors import AssayError
from ..domain.errors import OutcomeUnknown
from ..domain.errors import StoreBusy
from ..store.claims import Taker
from ..store.connection import Connection
from ..store.needs import BeginAgain
from ..store.needs import Waited
from ..store.store import Store
from ..store.unit import Left
from ..store.unit import Operation
from ..store.unit import Outcome
from ..store.unit import Submission
from ..store.unit import perform
from .slow_lane import SlowLane

log = logging.getLogger(__name__)

PAUSES_SECS = (0.002, 0.005, 0.015)
ROUNDS_SINGLY = 10


class _Ticket:
    """A submission in the queue, and the gate at which its thread waits."""

    __slots__ = ("done", "error", "gate", "leads", "submission", "weight")

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.weight = submission.weight
        self.gate = threading.Lock()
        self.gate.acquire()
        self.leads = False  # set with the lead, under the committer's lock
        self.done = False
        self.error: BaseException | None = None


class Committer:
    """The one way by which a process changes the state of runs."""

    def __init__(self, store: Store, *, on_commit: Callable[[Left], None], batch_weight: int | None = None) -> None:
        self._store = store
        self._writer = store.writer()
        self._on_commit = on_commit
        self._batch_weight = batch_weight or store.settings.batch_weight
        self._lock = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._led = False
        self._last_was_heavy = False
        self._slow_lane = None if store.dialect.writers_queue else SlowLane(store, self.tell)

    def submit(self, operations: Sequence[Operation], taker: Taker | None = None) -> list[Outcome]:
        """Have operations done, each with an outcome of its own, and let `taker` claim after them.

        Normally all of it is one transaction. Raises OutcomeUnknown, Unavailable where that concerns all.
        """
        submission = Submission(operations, taker)
        self._hand_in(submission)
        outcomes = submission.outcomes
        for pause in PAUSES_SECS:
            again = [place for place, outcome in enumerate(outcomes) if outcome.missed and not outcome.waited]
            if not again:
                break
            time.sleep(pause)
            repeated = Submission([operations[place] for place in again])
            self._hand_in(repeated)
            for place, outcome in zip(again, repeated.outcomes, strict=True):
                outcomes[place] = outcome
        missed = [place for place, outcome in enumerate(outcomes) if outcome.missed]
        waits = self._to_slow_lane([operations[place] for place in missed])
        if taker is not None and not submission.claimed:
            self._hand_in(Submission((), taker))
        for place, wait in zip(missed, waits, strict=True):
            outcomes[place] = wait()
        return outcomes

    def do(self, operation: Operation) -> Any:
        """Have one operation done and give its answer, or raise its refusal."""
        (outcome,) = self.submit((operation,))
        if outcome.error is not None:
            raise outcome.error
        return outcome.answer

    def read(self) -> AbstractContextManager[Connection]:
        """Lend a connection for reading what is committed."""
        return self._store.read()

    def close(self) -> None:
        """Close the connections. Nothing may be handed in any more."""
        if self._slow_lane is not None:
            self._slow_lane.close()
        self._writer.close()

    # -------------------------------------------------------------------------------- leading in turn

    def _hand_in(self, submission: Submission) -> None:
        ticket = _Ticket(submission)
        with self._lock:
            self._queue.append(ticket)
            ticket.leads = not self._led
            self._led = True
        try:
            if ticket.leads:
                self._lead(ticket)
            else:
                ticket.gate.acquire()
                if not ticket.done:
                    self._lead(ticket)
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error

    def _lead(self, own: _Ticket) -> None:
        """Commit one batch, the own ticket first; settle all of it; hand on."""
        with self._lock:
            batch = self._take_batch(own)
        left: Left | None = None
        try:
            left = self._commit(batch)
        except Exception as error:  # noqa: BLE001 - each thread raises it for its own ticket
            for ticket in batch:
                ticket.error = error
        finally:
            for ticket in batch:
                submission = ticket.submission
                if ticket.error is None and len(submission.outcomes) != len(submission.operations):
                    ticket.error = OutcomeUnknown("the committing thread was stopped: it may have been applied")
                ticket.done = True
            with self._lock:
                self._hand_on()
            for ticket in batch:
                if ticket is not own:
                    ticket.gate.release()
        if left is not None:
            self.tell(left)

    def _take_batch(self, own: _Ticket) -> list[_Ticket]:
        """Take tickets up to the weight of a batch; a heavier one goes alone."""
        self._queue.remove(own)
        batch, weight = [own], own.weight
        self._last_was_heavy = weight > self._batch_weight
        while self._queue and weight + self._queue[0].weight <= self._batch_weight:
            ticket = self._queue.popleft()
            batch.append(ticket)
            weight += ticket.weight
        return batch

    def _hand_on(self) -> None:
        """Let the next in the queue lead; after a heavy batch the first light one, so that nobody starves."""
        if not self._queue:
            self._led = False
            return
        following = self._queue[0]
        if self._last_was_heavy and following.weight > self._batch_weight:
            following = next((ticket for ticket in self._queue if ticket.weight <= self._batch_weight), following)
        following.leads = True
        following.gate.release()

    def _leave(self, ticket: _Ticket) -> None:
        """A thread was torn from its wait: take its ticket out, and hand on the lead if it had been given."""
        with self._lock:
            if ticket.done or ticket not in self._queue:
                return
            self._queue.remove(ticket)
            if ticket.leads:
                self._hand_on()

    # -------------------------------------------------------------------------------- one batch

    def _commit(self, batch: Sequence[_Ticket]) -> Left:
        submissions = [ticket.submission for ticket in batch]
        try:
            return perform(self._writer, submissions, self._store.floors, self._store.liveness)
        except BeginAgain:
            pass
        except AssayError:
            raise
        except Exception:
            if len(submissions) == 1 and len(submissions[0].operations) <= 1:
                raise
            log.exception("batch failed, its operations run singly operations=%s", len(submissions))
        left = Left()
        for ticket in batch:
            try:
                self._commit_singly(ticket.submission, left)
            except Exception as error:  # noqa: BLE001 - it is this ticket's, and raised in its thread
                ticket.error = error
        return left

    def _commit_singly(self, submission: Submission, left: Left) -> None:
        """Run each operation in a unit of its own, then the claim."""
        outcomes = []
        for operation in submission.operations:
            alone = Submission((operation,))
            try:
                left.add(perform(self._writer, [alone], self._store.floors, self._store.liveness, rounds=ROUNDS_SINGLY))
                outcomes += alone.outcomes
            except Waited:
                outcomes.append(Outcome(missed=True, waited=True))
            except BeginAgain:
                outcomes.append(Outcome(missed=True))
            except Exception as error:  # noqa: BLE001 - it is this operation's outcome
                outcomes.append(Outcome(error=error))
        submission.outcomes = outcomes
        submission.claimed = False  # claimed afterwards, by `submit`

    def _to_slow_lane(self, operations: Sequence[Operation]) -> list[Callable[[], Outcome]]:
        if self._slow_lane is not None:
            return [self._slow_lane.enter(operation) for operation in operations]
        busy = Outcome(error=StoreBusy("the database is busy: nothing was written, try again"))
        return [lambda: busy] * len(operations)

    def tell(self, left: Left) -> None:
        """Wake whom a commit left work for; a hint only, so it never raises."""
        try:
            self._on_commit(left)
        except Exception:
            log.exception("waking failed after a commit; the watcher finds the work")
