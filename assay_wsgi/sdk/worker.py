"""The worker: threads that exchange finished work for new work, and what they share.

The *leader* hands in what is finished, asks for as much as there is room for, and takes the turns that come
back; it may wait at the service for up to 20 s. Meanwhile the *courier* hands in what gets finished, with
an exchange that never waits. The *beater* sends heartbeats of activities and watches the leader: one that
is held up by workflow code is succeeded by another. Activities have threads of their own.
Everything shared is under one lock. A slot is free, promised to the leader's exchange, or held by a task.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from typing import Callable
from typing import TypedDict

from ..version import __version__
from .activities import Attempt
from .activities import Pool
from .cache import RunCache
from .definitions import ActivityDefinition
from .definitions import WorkflowDefinition
from .durations import Duration
from .durations import seconds
from .exchange import WAIT_SECS
from .exchange import Ask
from .exchange import Session
from .jsontext import dumps
from .lifespan import Lifespan
from .lifespan import entered
from .line import Away
from .line import Fatal
from .line import Line
from .line import Refused
from .outbox import Batch
from .outbox import Outbox
from .outbox import Report
from .settle import AGAIN
from .settle import Settler
from .transport import DEFAULT_URL
from .transport import Connection
from .transport import Token
from .turns import Turns

log = logging.getLogger(__name__)

GRACE_SECS = 20.0  # at the end, for activities to finish
LINGER_SECS = 0.003  # the leader waits this long for activities that have just come: most are short
CROWD = 20  # tasks in an answer that make it a busy one
PATIENCE_SECS = 0.02  # when busy, results wait this long for the leader to come back and take them along
HELD_UP_SECS = 0.05  # a leader that computes longer does not keep results from being handed in
STALLED_SECS = 1.0  # a leader in one turn for longer gets a successor
MAX_STALLED = 8
FAREWELL_SECS = 5.0


class WorkerOptions(TypedDict, total=False):
    """How a worker works. What is left out, or None, is as the app or Worker has it."""

    url: str | None
    token: Token
    namespace: str | None
    queue: str | None
    worker_id: str | None  # a name that stays, so that a crash costs no time
    workflow_slots: int | None  # turns at once
    activity_slots: int | None  # activities at once
    grace: Duration | None  # at the end, for activities to finish
    connect: Callable[[], Connection] | None


class Worker:
    """Runs workflows and activities of one queue. Use it once: as a context manager, by `start()` and `stop()`,
    or by `run()`, which alone heeds signals.

    `connect` makes the connections; without it they are HTTP connections to `url`.
    """

    def __init__(
        self,
        workflows: Mapping[str, WorkflowDefinition[..., Any]],
        activities: Mapping[str, ActivityDefinition[..., Any]],
        url: str = DEFAULT_URL,
        token: Token = None,
        namespace: str = "main",
        queue: str = "default",
        worker_id: str | None = None,
        workflow_slots: int = 100,
        activity_slots: int = 100,
        grace: Duration = GRACE_SECS,
        connect: Callable[[], Connection] | None = None,
        lifespans: Iterable[Lifespan] = (),
    ) -> None:
        if not workflows and not activities:
            raise ValueError("the app has no workflows and no activities: nothing to work on")
        if workflow_slots < 0 or activity_slots < 0:
            raise ValueError(f"a worker has 0 slots or more, not {min(workflow_slots, activity_slots)}")
        self.worker_id = worker_id or f"w-{secrets.token_hex(8)}"
        self.error: str | None = None  # why it stopped by itself
        self.ended = threading.Event()  # it takes no more work, whoever decided that
        self._grace = seconds(grace)
        self._activities = activities
        self._lifespans = tuple(lifespans)
        self._lasting = ExitStack()  # leaves the lifespans
        self._connect = connect or (lambda: Connection(url, token))
        self._label = f"worker={self.worker_id} queue={queue} namespace={namespace}"
        self._session = Session(
            self.worker_id,
            namespace,
            queue,
            {
                "identity": f"{socket.gethostname()}-{os.getpid()}",
                "workflows": sorted(workflows),
                "activities": sorted(activities),
                "sdk": f"assay-python/{__version__}",
            },
        )
        self._lock = threading.Lock()
        self._leading = threading.Condition(self._lock)  # wakes the leader
        self._carrying = threading.Condition(self._lock)  # wakes the courier
        self._beating = threading.Condition(self._lock)  # wakes the beater
        self._idle = threading.Condition(self._lock)  # wakes stop()
        self._cache = RunCache()
        self._turns = Turns(workflows, activities, self._cache, self._lock)
        self._outbox = Outbox()
        self._settler = Settler(self._outbox, self._cache)
        self._pool = Pool(activity_slots, activities, self._attempted)
        self._free_turns = workflow_slots if workflows else 0
        self._free_attempts = activity_slots if activities else 0
        self._tasks: deque[tuple[int, dict[str, Any]]] = deque()  # turns to take, with their exchange
        self._held: dict[int, int] = {}  # exchange -> its tasks that are not finished
        self._attempts: dict[str, Attempt] = {}  # activities under way, by token
        self._polling: dict[int, Batch] = {}  # exchanges of leaders under way
        self._generation = 0  # of the leader; an older one ends
        self._stalled = 0  # older ones that are still held up
        self._computing_since: float | None = None
        self._computing = ""  # which run
        self._carry_at = 0.0  # until then results are left to the leader
        self._stopping = False  # takes no more work
        self._closed = False  # results of what still runs are of no use any more
        self._threads: list[threading.Thread] = []
        self._used = False
        self._switch = threading.Lock()  # held by the one who starts or stops the worker
        self._finished_all: bool | None = None  # how it ended; None = it has not

    # ------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Enter the app's lifespans and begin to work, on threads of its own.

        Raises RuntimeError when a lifespan cannot be entered.
        """
        with self._switch:
            if self._used:
                raise RuntimeError("a worker is used once: make another one")
            self._used = True
            try:
                self._lasting = entered(self._lifespans)
            except BaseException as error:  # whatever ends it, whoever waits for the worker must hear of it
                self.error = f"the app's lifespan cannot be entered: {type(error).__name__}: {error}"
                self.ended.set()
                if not isinstance(error, Exception):
                    raise
                raise RuntimeError(self.error) from error
            log.info("worker starts %s", self._label)
            for target, name in (
                (lambda: self._lead(0), "leader"),
                (self._carry, "courier"),
                (self._beat, "beater"),
            ):
                self._spawn(target, name)

    def stop(self, grace: Duration | None = None) -> bool:
        """Take no more work, finish and hand in what runs, give back what is not finished in `grace`,
        which is seconds or a timedelta; at last leave the app's lifespans.

        Returns whether everything was finished. Whoever calls it again is told the same.
        """
        with self._switch:
            self._used = True
            if self._finished_all is None:
                self._finished_all = self._stop(grace)
                self._leave_lifespans()
            return self._finished_all

    def _stop(self, grace: Duration | None) -> bool:
        deadline = time.monotonic() + (self._grace if grace is None else seconds(grace))
        with self._lock:
            self._halt()
            while self._held and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(left)
            finished = not self._held
            self._closed = True
            for attempt in self._attempts.values():
                attempt.cancelled = True
            unfinished = bool(self._held or self._polling)
            self._carrying.notify_all()
            self._beating.notify_all()
        for thread in self._threads[1:3]:  # the leader may be waiting at the service: it is a daemon
            thread.join(FAREWELL_SECS)
        if (self._session.begun or unfinished) and self.error is None:
            self._farewell(unfinished)
        self._pool.close()
        log.info("worker ended %s finished=%s", self._label, finished)
        return finished

    def _leave_lifespans(self) -> None:
        try:
            self._lasting.close()
        except Exception as error:
            log.exception("the app's lifespan failed when it was left %s", self._label)
            self.error = self.error or f"the app's lifespan failed when it was left: {type(error).__name__}: {error}"

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop(None if self.error is None else 0.0)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT, then drain; return the exit code. A second signal ends it at once."""

        heard, told = os.pipe()
        os.set_blocking(told, False)
        asked: list[int] = []

        def on_signal(signum: int, _frame: Any) -> None:
            # Only a byte: setting the event here may wait for ever for the very thread that was interrupted.
            if asked:
                os._exit(128 + signum)
            asked.append(signum)
            os.write(told, b"!")

        def end_when_told() -> None:
            os.read(heard, 1)
            os.close(heard)
            self.ended.set()

        previous = {}
        threading.Thread(target=end_when_told, name="assay-signals", daemon=True).start()
        if threading.current_thread() is threading.main_thread():
            previous = {one: signal.signal(one, on_signal) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            self.ended.wait()
            self.stop(None if self.error is None else 0.0)
        except RuntimeError:
            if self.error is None:
                raise
            log.exception("worker does not start %s", self._label)
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)
            os.close(told)  # ends the thread that listens
        return 0 if self.error is None else 1

    def _spawn(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=self._guarded, args=(target,), name=f"assay-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, target: Callable[[], None]) -> None:
        while True:
            try:
                return target()
            except Exception:
                log.exception("a thread of the worker failed and goes on %s", self._label)
                time.sleep(1.0)

    def _halt(self) -> None:
        self._stopping = True
        self.ended.set()
        self._leading.notify_all()
        self._carrying.notify_all()

    def _fail(self, why: str) -> None:
        log.error("worker stops %s: %s", self._label, why)
        with self._lock:
            self.error = why
            self._halt()

    def _farewell(self, unfinished: bool) -> None:
        """Hand in what is left; then end the session: what it still holds, or a poll may still bring, is free again."""
        line = Line(self._connect())
        deadline = time.monotonic() + FAREWELL_SECS
        with self._lock:
            for batch in self._polling.values():  # handed in, not acknowledged: a repeat does no harm
                self._outbox.give_back(batch.reports())
        while not self._session.over and time.monotonic() < deadline:
            with self._lock:
                wait, batch = self._outbox.due_in(), self._outbox.take()
            if wait is None:
                break
            if wait or self._exchange(line, Ask(), batch) is None:
                time.sleep(min(wait or line.delay(), 1.0))
        # Not together with the results: an end takes all leases with it.
        while not self._session.over and self._exchange(line, Ask(), Batch(), ends=True) is None:
            if not unfinished or time.monotonic() > deadline:
                break
            time.sleep(min(line.delay(), 1.0))
        line.close()

    # ------------------------------------------------------------------------------- leader

    def _lead(self, generation: int) -> None:
        line = Line(self._connect())
        brought = 0
        while True:
            self._take_turns(generation)
            with self._lock:
                if not self._wait_for_room(generation, brought):
                    break
                batch = self._outbox.take()
                ask = self._promise(patient=self._session.begun and not len(batch))
                self._carry_at = time.monotonic() + (PATIENCE_SECS if line.crowded else 0.0)
                self._carrying.notify()
            answer = self._exchange(line, ask, batch, offer=True)
            with self._lock:
                self._carry_at = time.monotonic() + HELD_UP_SECS
            brought = self._dispatch(line, answer, ask)
            self._pause(line.pause(answer, waited=ask.wait_secs > 0))
        if generation != self._generation:
            self._stalled -= 1
        line.close()

    def _take_turns(self, generation: int) -> None:
        """Take the turns that wait, unless a successor has been appointed meanwhile."""
        while generation == self._generation:
            try:
                exchange, task = self._tasks.popleft()
            except IndexError:
                break
            self._computing = f"workflow={task.get('workflow_id')} type={task.get('workflow_type')}"
            self._computing_since = time.monotonic()
            report = self._turns.take(task)
            with self._lock:
                self._free_turns += 1
                self._finished(exchange, report)
        if generation == self._generation:
            self._computing_since = None

    def _wait_for_room(self, generation: int, brought: int) -> bool:
        """Wait until an exchange makes sense; False when this leader has to go."""
        if brought in self._held:
            self._leading.wait_for(lambda: self._stopping or brought not in self._held, LINGER_SECS)
        until = time.monotonic() + WAIT_SECS
        while not self._stopping and generation == self._generation:
            left = until - time.monotonic()
            if self._free_turns > 0 or self._free_attempts > 0 or left <= 0:
                return True
            self._leading.wait(left)
        return False

    def _promise(self, patient: bool) -> Ask:
        """Ask for all there is room for. A session's first exchange, and any with results, waits for nothing."""
        ask = Ask(max(0, self._free_turns), max(0, self._free_attempts))
        self._free_turns -= ask.workflow_slots
        self._free_attempts -= ask.activity_slots
        room = ask.workflow_slots or ask.activity_slots
        return ask._replace(wait_secs=WAIT_SECS) if room and patient else ask

    def _dispatch(self, line: Line, answer: dict[str, Any] | None, ask: Ask) -> int:
        """Take over the tasks of an answer; return the number of the exchange that brought them."""
        n = line.last
        turns = answer.get("workflow_tasks") or [] if answer else []
        attempts = answer.get("activity_tasks") or [] if answer else []
        with self._lock:
            self._free_turns += ask.workflow_slots
            self._free_attempts += ask.activity_slots
            wanted = not self._stopping
            if wanted and (turns or attempts):
                self._free_turns -= len(turns)
                self._free_attempts -= len(attempts)
                self._held[n] = len(turns) + len(attempts)
                self._tasks.extend((n, task) for task in turns)
                for task in attempts:
                    definition = self._activities.get(task["name"])
                    beaten_for = definition is not None and definition.auto_heartbeat
                    attempt = Attempt(task, n, self._told, time.monotonic() if beaten_for else None)
                    self._attempts[attempt.token] = attempt
                    self._pool.submit(attempt, len(self._attempts))
        line.crowded = len(turns) + len(attempts) >= CROWD
        if not wanted and (turns or attempts):  # they came too late: the service may have them back at once
            self._session.lose([n])
            self._exchange(line, Ask(), Batch())
        return n

    def _pause(self, delay: float) -> None:
        if delay > 0:
            with self._lock:
                self._carry_at = 0.0
                self._carrying.notify()
                self._leading.wait_for(lambda: self._stopping, delay)

    # ------------------------------------------------------------------------------- finished work

    def _attempted(self, attempt: Attempt, report: Report) -> None:
        with self._lock:
            del self._attempts[attempt.token]
            self._free_attempts += 1
            self._finished(attempt.exchange, report)

    def _finished(self, exchange: int, report: Report) -> None:
        if self._closed:
            return  # it was given back
        self._outbox.put(report)
        left = self._held[exchange] - 1
        if left:
            self._held[exchange] = left
        else:
            del self._held[exchange]
            self._leading.notify()
            self._idle.notify()
        if self._free_turns + self._free_attempts == 1:
            self._leading.notify()  # it waits for a slot
        self._carrying.notify()

    # ------------------------------------------------------------------------------- courier

    def _carry(self) -> None:
        line = Line(self._connect())
        while True:
            with self._lock:
                while (wait := self._carry_in()) != 0:
                    if self._closed:
                        line.close()
                        return
                    self._carrying.wait(wait)
                batch = self._outbox.take()
            if self._exchange(line, Ask(), batch) is None:
                with self._lock:
                    self._carrying.wait_for(lambda: self._closed, line.delay())
                    if self._closed:
                        line.close()
                        return

    def _carry_in(self) -> float | None:
        """Return the seconds until the courier should go: 0 = now, None = nothing is there."""
        due = self._outbox.due_in()
        if due is None or self._stopping:
            return due
        return max(due, self._carry_at - time.monotonic(), 0.0)

    # ------------------------------------------------------------------------------- beater

    def _told(self) -> None:
        with self._lock:
            self._beating.notify()

    def _beat(self) -> None:
        line = Line(self._connect())
        while True:
            with self._lock:
                due = self._beats_due()
                while not due and not self._closed:
                    self._watch_leader()
                    self._beating.wait(self._beat_in())
                    due = self._beats_due()
                if self._closed:
                    break
                told = [(attempt, attempt.details) for attempt in due]
            self._tell(line, told)
        line.close()

    def _beats_due(self) -> list[Attempt]:
        now = time.monotonic()
        return [one for one in self._attempts.values() if one.beat_in(now) == 0]

    def _beat_in(self) -> float:
        now = time.monotonic()
        waits = [wait for one in self._attempts.values() if (wait := one.beat_in(now)) is not None]
        return min([STALLED_SECS, *waits])

    def _tell(self, line: Line, told: list[tuple[Attempt, Any]]) -> None:
        beats = [dumps({"task_token": one.token, "details": details}) for one, details in told]
        answer = self._exchange(line, Ask(), Batch(), heartbeats=beats)
        heard = {one.get("task_token"): one for one in (answer or {}).get("heartbeats") or ()}
        now = time.monotonic()
        with self._lock:
            for attempt, details in told:
                word = heard.get(attempt.token, {})
                if word.get("code") in AGAIN:
                    continue
                if answer is not None or line.refused:
                    attempt.beaten(details, now)
                attempt.expires_at = word.get("lease_expires_at", attempt.expires_at)
                if word.get("cancel_requested") or word.get("code"):
                    attempt.cancelled = True
            # Else again after a while; and never more often than ten times a second.
            self._beating.wait_for(lambda: self._closed, line.delay() if answer is None else 0.1)

    def _watch_leader(self) -> None:
        since = self._computing_since
        if since is None or self._stopping or time.monotonic() - since < STALLED_SECS:
            return
        if self._stalled >= MAX_STALLED:
            return
        log.error(
            "workflow code has not come back for %.1f s %s %s: a workflow must not sleep, wait or do I/O itself; "
            "ctx.sleep() and activities do",
            time.monotonic() - since,
            self._computing,
            self._label,
        )
        self._stalled += 1
        self._generation += 1
        self._computing_since = None
        generation = self._generation
        self._spawn(lambda: self._lead(generation), f"leader-{generation}")

    # ------------------------------------------------------------------------------- exchange

    def _exchange(
        self,
        line: Line,
        ask: Ask,
        batch: Batch,
        heartbeats: list[bytes] | None = None,
        offer: bool = False,
        ends: bool = False,
    ) -> dict[str, Any] | None:
        """Send one exchange and settle its reports. None = it failed, and everything is as it was before."""
        cached = None
        if offer:
            with self._lock:
                cached = self._cache.offer()
        n, body = self._session.compose(ask, batch, heartbeats or (), cached, ends)
        if offer:
            with self._lock:
                self._polling[n] = batch
        answer: dict[str, Any] | None = None
        try:
            answer = line.post(self._session.path, n, body, ask.wait_secs)
            self._session.heard(answer)
        except Away as away:
            self._session.lose([n])
            line.lost(away, self._label)
        except Refused as refused:
            log.error("the service refused an exchange %s: %s", self._label, refused)
            if len(batch):
                line.forgive()  # the next try is another one: fewer reports, or another in its place
            elif not self._session.begun:
                self._fail(f"the service refuses this worker: {refused}")
        except Fatal as fatal:
            if self._closed:
                self._session.over = True  # nobody expects more of it: it has ended, or another has its worker id
            else:
                self._fail(str(fatal))
        except Exception as error:  # answers must not kill the thread that waits for them
            log.exception("exchange failed %s", self._label)
            self._session.lose([n])
            line.lost(Away(str(error)), self._label)
        with self._lock:
            self._polling.pop(n, None)
            if answer is not None:
                self._settler.settle(batch, answer.get("results") or ())
            elif line.refused:
                self._settler.refused(batch, line.refused)
            else:
                self._outbox.give_back(batch.reports())
        return answer
