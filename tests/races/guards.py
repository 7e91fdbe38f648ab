"""The guards of the engine, each with a switch that takes it away. The switches are here and nowhere else.

A guard is either code that a racing process leaves out (`IN_THE_PROCESS`: called in that process before it
opens its engine), or an index that the database has not got (`IN_THE_DATABASE`: called once, by the test).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import psycopg

from assay_wsgi.domain import activities
from assay_wsgi.domain import turns
from assay_wsgi.settings import BackendUrl
from assay_wsgi.store import schedule_reads
from assay_wsgi.store.connection import Connection
from assay_wsgi.store.guest import Guest
from assay_wsgi.store.postgres import Postgres
from assay_wsgi.store.sqlite import Sqlite
from assay_wsgi.store.turnstile import Turnstile
from assay_wsgi.store.writer import take_keys


def no_run_lock() -> None:
    """PostgreSQL: the runs of a unit are looked up, not locked."""
    text = "SELECT run_key FROM workflows WHERE run_key = ANY(?) ORDER BY run_key"
    Postgres.lock_runs = lambda self, *, wait: text  # type: ignore[method-assign]


def no_schedule_lock() -> None:
    """PostgreSQL: the schedules of a unit are looked up, not locked."""
    text = "SELECT schedule_key FROM workflow_schedules WHERE schedule_key = ANY(?) ORDER BY schedule_key"
    Postgres.lock_schedules = lambda self, *, wait: text  # type: ignore[method-assign]


def no_look_for_the_freed() -> None:
    """The sidecar looks at schedules whose tick is due, not at those whose runs have ended."""
    schedule_reads._FREED = "SELECT 0, '', '', 0.0 WHERE 1 > ?"


def no_claim_lock() -> None:
    """PostgreSQL: what a claim hands out is read, not locked."""
    Postgres.claim_lock = lambda self, tables: ""  # type: ignore[method-assign]


def no_skip_locked() -> None:
    """PostgreSQL: a claim locks what it hands out, and waits for what is held."""
    Postgres.claim_lock = lambda self, tables: f"FOR NO KEY UPDATE OF {tables}"  # type: ignore[method-assign]


def no_share_lock() -> None:
    """PostgreSQL: a claim reads its worker's session and does not keep it."""
    Postgres.share_lock = lambda self: ""  # type: ignore[method-assign]


def no_namespace_locks() -> None:
    """PostgreSQL: who starts in a namespace does not keep it, who deletes it does not lock it."""
    Postgres.keep_lock = lambda self: ""  # type: ignore[method-assign]
    Postgres.delete_lock = lambda self, *, wait: ""  # type: ignore[method-assign]


def no_keyring_lock() -> None:
    """PostgreSQL: who makes or ends an API key looks at all of them, and does not lock what guards them."""
    Postgres.delete_lock = lambda self, *, wait: ""  # type: ignore[method-assign]


def no_horizon() -> None:
    """PostgreSQL: the feed is read by the ids that notices were given, as far as they can be seen."""
    Postgres.mark = property(lambda self: "id")  # type: ignore[assignment, method-assign]
    Postgres.horizon = property(lambda self: "9223372036854775807")  # type: ignore[assignment, method-assign]


def no_begin_immediate() -> None:
    """SQLite: no writer has the file for itself; there is no BEGIN, and nobody queues at the turnstile."""
    no_turnstile()
    begin = Connection.begin

    def leave_out(self: Connection, mode: str = "") -> None:
        if mode != "IMMEDIATE":
            begin(self, mode)

    Connection.begin = leave_out  # type: ignore[method-assign]


def begin_deferred() -> None:
    """SQLite: a writer begins as a reader, and nobody queues at the turnstile."""
    no_turnstile()
    begin = Connection.begin
    Connection.begin = lambda self, mode="": begin(self)  # type: ignore[method-assign]


def no_turnstile() -> None:
    """SQLite: who wants to write does not queue; SQLite's own busy handler decides who comes next."""
    Turnstile.acquire = lambda self: None  # type: ignore[method-assign]
    Turnstile.release = lambda self: None  # type: ignore[method-assign]


def no_lock_of_the_host() -> None:
    """SQLite: a program that embeds the engine begins as a reader, and is no writer until it needs a key."""

    def late(self: Guest, db: Connection, count: int) -> Iterator[int]:
        yield from take_keys(db, count)

    Sqlite.begin_to_write = ()  # type: ignore[assignment, method-assign]
    Guest._new_keys = late  # type: ignore[assignment, method-assign]


def no_token_check() -> None:
    """Any token of a run or an activity is as good as the one that holds the lease."""
    take = turns.take

    def take_any(run: Any, task: Any, report: Any, token_hash: str, *more: Any) -> Any:
        held = token_hash if task is None or task.token is None else task.token
        return take(run, task, report, held, *more)

    turns.take = take_any
    activities._check_lease = lambda run, activity, token, token_hash: None


IN_THE_PROCESS: dict[str, Callable[[], None]] = {
    "run lock": no_run_lock,
    "schedule lock": no_schedule_lock,
    "look for the freed": no_look_for_the_freed,
    "claim lock": no_claim_lock,
    "SKIP LOCKED": no_skip_locked,
    "session share lock": no_share_lock,
    "namespace locks": no_namespace_locks,
    "keyring lock": no_keyring_lock,
    "horizon": no_horizon,
    "BEGIN IMMEDIATE": no_begin_immediate,
    "IMMEDIATE": begin_deferred,
    "turnstile": no_turnstile,
    "host's lock": no_lock_of_the_host,
    "token check": no_token_check,
}


def take_away(name: str) -> None:
    """Take a guard out of this process, for good."""
    if name in IN_THE_PROCESS:
        IN_THE_PROCESS[name]()


# ---------------------------------------------------------------------------------------- in the database


def drop_from(url: str, name: str) -> None:
    """Take a guard out of a database."""
    backend = BackendUrl.parse(url)
    for statement in IN_THE_DATABASE.get(name, {}).get(backend.dialect, ()):
        if backend.dialect == "sqlite":
            with sqlite3.connect(backend.path) as file:
                file.execute(statement)
            file.close()
        else:
            with psycopg.connect(backend.dsn) as connection:
                connection.execute(statement)


def _without_key(table: str) -> dict[str, tuple[str, ...]]:
    """Tell how a table loses its primary key: SQLite must make it anew."""
    return {
        "sqlite": (
            f"CREATE TABLE unkeyed AS SELECT * FROM {table}",
            f"DROP TABLE {table}",
            f"ALTER TABLE unkeyed RENAME TO {table}",
        ),
        "postgres": (f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey",),
    }


_NO_OPEN_ID = ("DROP INDEX workflows_open_id",)
IN_THE_DATABASE = {
    "unique index (open id)": {"sqlite": _NO_OPEN_ID, "postgres": _NO_OPEN_ID},
    "unique index (answers)": _without_key("idempotency_keys"),
    "unique index (event numbers)": _without_key("workflow_events"),
    "unique index (ticks)": _without_key("schedule_runs"),
}
