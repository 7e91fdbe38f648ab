"""A database that fails when a test says so: a wrapped driver connection that strikes at one chosen call.

Calls are execute, executemany and commit, counted from the first BEGIN after `arm`: so call 1 begins the
unit of work and the last one commits it. A process that is to die at a call is forked by a helper process
(`Mortals`) that never opened a database itself: SQLite must not be carried through a fork.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg

from assay_wsgi.engine import Engine
from assay_wsgi.store.claims import Taker

DIED, SURVIVED, FAILED = 9, 0, 1


class Kind(StrEnum):
    """What happens at the call."""

    REFUSED = "refused"  # the database says no to this statement
    CONFLICT = "conflict"  # somebody else was in the way
    FULL = "full"  # no room left
    LOST = "lost"  # the connection is gone
    DEATH = "death"  # the process is gone
    TORN = "torn"  # the thread is interrupted: no Exception, and nobody may swallow it


class When(StrEnum):
    """Whether the call still reached the database."""

    BEFORE = "before"
    AFTER = "after"


class Lasts(StrEnum):
    """How often it happens."""

    ONCE = "once"
    EACH_UNIT = "each unit"  # at the same call of each transaction
    STAYS = "stays"  # from then on nothing works any more, new connections neither


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes at which call."""

    call: int  # 1 = the BEGIN
    when: When
    kind: Kind
    lasts: Lasts = Lasts.ONCE

    def __str__(self) -> str:
        return f"call {self.call}: {self.kind} {self.when}, {self.lasts}"


class Faults:
    """Wraps the connections of one engine and strikes as armed."""

    def __init__(self) -> None:
        self.struck = 0
        self.calls = 0
        self._fault: Fault | None = None
        self._poison: str | None = None
        self._from_begin = True
        self._counting = False
        self._watched: list[Any] = []
        self._lock = threading.Lock()

    def wrap(self, raw: Any) -> _Connection:
        """Wrap a driver's connection: the `wrap` of Engine.open."""
        if self._fault is not None and self._fault.kind is Kind.LOST and self._stays():
            raw.close()
            raise _error(raw, Kind.LOST, connecting=True)
        self._watched = [seen for seen in self._watched if not _closed(seen)]
        self._watched.append(raw)
        return _Connection(raw, self)

    @contextlib.contextmanager
    def armed(self, fault: Fault | None, *, from_begin: bool = True) -> Iterator[None]:
        """Strike within the block. With None only count, into `calls`; `from_begin` False counts every call."""
        with self._lock:
            self._fault, self._from_begin = fault, from_begin
            self._counting, self.calls, self.struck = not from_begin, 0, 0
        try:
            yield
        finally:
            with self._lock:
                self._fault, self._counting = None, False

    @contextlib.contextmanager
    def poisoned(self, text: str) -> Iterator[None]:
        """Within the block the database refuses every statement whose parameters hold this text."""
        self._poison = text
        try:
            yield
        finally:
            self._poison = None

    def in_transaction(self) -> int:
        """Count the open connections that are inside a transaction."""
        return sum(_in_transaction(raw) for raw in self._watched if not _closed(raw))

    def meets(self, sql: str | None, params: Any) -> Fault | None:
        """Say what strikes at this call. `sql` None = the commit."""
        if self._poison is not None and params and self._poison in str(params):
            return Fault(0, When.BEFORE, Kind.REFUSED)
        with self._lock:
            if self._fault is None and not self._from_begin:
                return None
            if sql is not None and sql.startswith("BEGIN"):
                if self._fault is not None and self._fault.lasts is Lasts.EACH_UNIT:
                    self.calls = 0
                self._counting = True
            if not self._counting:
                return None
            self.calls += 1
            fault = self._fault
            if fault is None:
                return None
            if self.struck and fault.lasts is Lasts.STAYS:
                return Fault(0, When.BEFORE, fault.kind)
            if self.calls != fault.call or (self.struck and fault.lasts is Lasts.ONCE):
                return None
            self.struck += 1
            return fault

    def meets_rollback(self) -> Fault | None:
        """Say what strikes at a roll-back: only what stays."""
        return self._fault if self._stays() else None

    def _stays(self) -> bool:
        return self._fault is not None and self._fault.lasts is Lasts.STAYS and self.struck > 0


class _Connection:
    """Behaves like the driver's connection until it is struck."""

    def __init__(self, raw: Any, faults: Faults) -> None:
        self._raw = raw
        self._faults = faults

    def cursor(self, *args: Any, **kwargs: Any) -> _Cursor:
        return _Cursor(self._raw.cursor(*args, **kwargs), self._raw, self._faults)

    def commit(self) -> None:
        _struck(self._faults.meets(None, None), self._raw, self._raw.commit)

    def rollback(self) -> None:
        _struck(self._faults.meets_rollback(), self._raw, self._raw.rollback)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Cursor:
    """Behaves like the driver's cursor until it is struck."""

    def __init__(self, cursor: Any, raw: Any, faults: Faults) -> None:
        self._cursor = cursor
        self._raw = raw
        self._faults = faults

    def execute(self, sql: str, params: Any = ()) -> Any:
        fault = self._faults.meets(sql, params)
        if fault is None:
            return self._cursor.execute(sql, params)
        return _struck(fault, self._raw, lambda: self._whole(sql, params))

    def executemany(self, sql: str, rows: Any) -> Any:
        fault = self._faults.meets(sql, rows)
        if fault is None:
            return self._cursor.executemany(sql, rows)
        return _struck(fault, self._raw, lambda: self._whole_many(sql, rows))

    def _whole(self, sql: str, params: Any) -> None:
        """Run a statement to its end: in SQLite one that still has rows to give is not over."""
        self._cursor.execute(sql, params)
        if self._cursor.description:
            self._cursor.fetchall()
        self._cursor.close()

    def _whole_many(self, sql: str, rows: Any) -> None:
        self._cursor.executemany(sql, rows)
        self._cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def _struck(fault: Fault | None, raw: Any, call: Callable[[], Any]) -> Any:
    if fault is None:
        return call()
    if fault.when is When.AFTER:
        call()
    if fault.kind is Kind.DEATH:
        os._exit(DIED)
    if fault.kind is Kind.TORN:
        raise KeyboardInterrupt
    if fault.kind is Kind.LOST:
        raw.close()
    raise _error(raw, fault.kind)


def _error(raw: Any, kind: Kind, *, connecting: bool = False) -> Exception:
    """Make the error that this driver raises for such a thing."""
    if isinstance(raw, sqlite3.Connection):
        return {
            Kind.REFUSED: sqlite3.DatabaseError("refused by a test"),
            Kind.CONFLICT: sqlite3.OperationalError("database is locked"),
            Kind.FULL: sqlite3.OperationalError("database or disk is full"),
            Kind.LOST: sqlite3.OperationalError("unable to open database file")
            if connecting
            else sqlite3.ProgrammingError("Cannot operate on a closed database."),
        }[kind]
    return {
        Kind.REFUSED: psycopg.InternalError("refused by a test"),
        Kind.CONFLICT: psycopg.errors.DeadlockDetected("deadlock detected"),
        Kind.FULL: psycopg.errors.DiskFull("could not extend file: No space left on device"),
        Kind.LOST: psycopg.OperationalError("server closed the connection unexpectedly"),
    }[kind]


def _closed(raw: Any) -> bool:
    if isinstance(raw, sqlite3.Connection):
        try:
            return raw.total_changes < 0
        except sqlite3.ProgrammingError:
            return True
    return bool(raw.closed)


def _in_transaction(raw: Any) -> bool:
    if isinstance(raw, sqlite3.Connection):
        return raw.in_transaction
    return bool(raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE)


# ---------------------------------------------------------------------------------- processes that die


@dataclass(frozen=True, slots=True)
class Life:
    """What a process does, and where it ends."""

    url: str
    now: float
    fault: Fault
    operations: Sequence[Any]
    taker: Taker | None
    beats: Sequence[tuple[str, str]]  # see crash_cases.Act


class Mortals:
    """Processes that hand in operations to an engine of their own and die at a call."""

    def __init__(self) -> None:
        self._mother = subprocess.Popen(
            [sys.executable, "-c", "from tests.engine.faults import bear; bear()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def live(self, life: Life) -> int:
        """Let a process live. Returns its exit status: DIED where the fault met it."""
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        pickle.dump(life, self._mother.stdin)
        self._mother.stdin.flush()
        status: int = pickle.load(self._mother.stdout)
        return status

    def close(self) -> None:
        """Let the helper process end."""
        self._mother.communicate(timeout=60)


def bear() -> None:
    """Be the helper process: fork one child after the other, each for one life."""
    while True:
        try:
            life = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            _live(life)
        _, status = os.waitpid(child, 0)
        pickle.dump(os.waitstatus_to_exitcode(status), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _live(life: Life) -> None:
    status = FAILED
    try:
        faults = Faults()
        engine = Engine.open(life.url, clock=lambda: life.now, wrap=faults.wrap)
        for beat in life.beats:
            engine.store.liveness.worker_seen(*beat)
            engine.store.liveness.queue_polled(*beat)
        with faults.armed(life.fault):
            engine.committer.submit(life.operations, life.taker)
        status = SURVIVED
    except BaseException:  # noqa: BLE001 - nothing may escape into the helper process
        traceback.print_exc()
    os._exit(status)
