"""PostgreSQL: many writers, row locks, and a clock and transaction ids of its own.

Bulk rows travel as one JSON text parameter and are unpacked by json_to_recordset: measured at half the
time of unnest over text arrays. Every join here goes by key, and every statement of a unit: so the
planner is kept from what looks cheap while a table is small and stays cached until it is large (a hash
join over all events for the history of fifty runs).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
import peewee
import psycopg
from psycopg import errors
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from ..domain.errors import Unavailable
from ..domain.errors import WrongTransaction
from ..jsontext import dumps
from ..jsontext import loads
from .dialect import Server
from .dialect import Trouble
from .dialect import Wrap
from .mapping import Table

_TIMEOUTS = {"writer": ("100ms", "10s"), "slow": ("50ms", "10s"), "reader": ("1s", "10s")}
_PREPARED_AFTER = 5  # executions: psycopg's own
_JOIN_BY_KEY = "-c enable_hashjoin=off -c enable_mergejoin=off"
_NO_SCANS = "-c enable_seqscan=off"
_IN_HOST = {"lock_timeout": "", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_HOST_SETTINGS_ARE = ", ".join(f"current_setting('{name}')" for name in _IN_HOST)
_SET_IN_HOST = "SELECT " + ", ".join(f"set_config('{name}', ?, true)" for name in _IN_HOST)
_CONFLICTS = (
    errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation, errors.QueryCanceled,
)  # fmt: skip


class _Database(peewee.PostgresqlDatabase):
    """A Peewee database whose driver connection can be wrapped."""

    def __init__(self, dsn: str, wrap: Wrap | None, options: str) -> None:
        self._wrap = wrap
        super().__init__(
            dsn, prefer_psycopg3=True, thread_safe=False, options=options, connect_timeout=5,
            keepalives_idle=30, application_name="assay",
        )  # fmt: skip

    def _connect(self) -> Any:
        raw = super()._connect()  # type: ignore[misc]  # Peewee's stubs leave it out
        return self._wrap(raw) if self._wrap else raw


class Postgres:
    """The PostgreSQL dialect for one connection string."""

    name = "postgres"
    writers_queue = False

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.mark_base = 0  # what marks are ahead of transaction ids: see store/lives.py

    @property
    def in_memory(self) -> bool:
        """Never: PostgreSQL is a server."""
        return False

    def database(self, wrap: Wrap | None, *, role: str) -> peewee.Database:
        lock_timeout, statement_timeout = _TIMEOUTS[role]
        options = (
            f"-c lock_timeout={lock_timeout} -c statement_timeout={statement_timeout} -c jit=off "
            "-c idle_in_transaction_session_timeout=15s -c timezone=UTC "
            f"-c default_transaction_isolation=read\\ committed {_JOIN_BY_KEY}"
        )
        if role != "reader":
            options += f" {_NO_SCANS}"
        return _Database(self.dsn, wrap, options)

    def sql(self, text: str) -> str:
        return _marks(text)

    def in_list(self, column: str) -> str:
        return f"{column} = ANY(?)"

    def list_of(self, values: Iterable[Any]) -> Any:
        return list(values)

    def records(self, columns: Sequence[tuple[str, str]]) -> str:
        typed = ", ".join(f"{name} {sql_type}" for name, sql_type in columns)
        return f"json_to_recordset(?::json) AS x({typed})"

    def records_of(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
        return orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]).decode()

    def lock_runs(self, *, wait: bool) -> str | None:
        return _lock("workflows", "run_key", wait=wait)

    def lock_schedules(self, *, wait: bool) -> str | None:
        return _lock("workflow_schedules", "schedule_key", wait=wait)

    def clock(self) -> str | None:
        return f"extract(epoch FROM clock_timestamp())::float8, pg_current_xact_id()::text::bigint + {self.mark_base}"

    @property
    def mark(self) -> str:
        return "mark"

    @property
    def horizon(self) -> str:
        return f"(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {self.mark_base})"

    def life(self, db: Any) -> str | None:
        """Name the life of the database, or None where nobody can tell it from another one.

        The timeline is another one after a fail-over, too: whether that has lost something, nobody knows.
        """
        if db.one("SELECT pg_is_in_recovery()")[0]:
            return None
        try:
            server = db.one("SELECT system_identifier FROM pg_control_system()")[0]
        except errors.InsufficientPrivilege:
            server = "unnamed"
        place = (
            "left(pg_walfile_name(pg_current_wal_lsn()), 8), "
            "(SELECT oid FROM pg_database WHERE datname = current_database()), 'notices'::regclass::oid"
        )
        (found,) = db.one(f"SELECT concat_ws(' ', {place})")
        return f"{server} {found}"

    def marks(self, db: Any) -> tuple[int, int]:
        """Give the highest mark that stands in the database, and the id of this transaction."""
        highest, xid = db.one(
            "SELECT GREATEST((SELECT MAX(mark) FROM notices), (SELECT MAX(feed_mark) FROM workflows), 0), "
            "pg_current_xact_id()::text::bigint"
        )
        return int(highest), int(xid)

    def claim_lock(self, tables: str) -> str:
        return f"FOR NO KEY UPDATE OF {tables} SKIP LOCKED"

    def share_lock(self) -> str:
        return "FOR SHARE SKIP LOCKED"

    def delete_lock(self, *, wait: bool) -> str:
        return "FOR UPDATE" if wait else "FOR UPDATE SKIP LOCKED"

    def keep_lock(self) -> str:
        return "FOR KEY SHARE"

    def insert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        count: int = db.run(_insert(table) + " ON CONFLICT DO NOTHING", (self.records_of(table.names, rows),))
        return count

    def update(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> int:
        names = [column.name for column in table.update_columns]
        count: int = db.run(_update(table), (self.records_of(names, map(table.update_values, rows)),))
        return count

    def upsert(self, db: Any, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        db.run(_upsert(table), (self.records_of(table.names, rows),))

    def exact(self, text: str) -> str:
        return f'{text} COLLATE "C"'

    def whole(self, number: str) -> str:
        return f"floor({number})::bigint"

    def bound(self, db: Any, secs: float | None) -> None:
        # Readers have their time-out from the beginning. A search is planned for what it asks, each time: a plan for
        # any parameters took 500 ms where this one takes 5.
        db.database.connection().prepare_threshold = _PREPARED_AFTER if secs is None else None

    def stopped(self, error: BaseException) -> bool:
        return isinstance(error, errors.QueryCanceled)

    def check_durability(self, db: Any) -> None:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            value = db.one(f"SHOW {name}")[0]
            if value == "off":
                raise Unavailable(
                    f"PostgreSQL runs with {name} = off: it may lose what it has acknowledged. Set it to on"
                )

    def now(self, db: Any) -> float:
        return float(db.one("SELECT extract(epoch FROM clock_timestamp())::float8")[0])

    def server(self, db: Any) -> Server:
        version, size = db.one("SELECT current_setting('server_version'), pg_database_size(current_database())")
        return Server(version=f"PostgreSQL {version}", bytes=size)

    def estimated_rows(self, db: Any, table: str) -> int | None:
        found = db.one("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(?)", (table,))
        return None if found is None or found[0] < 0 else int(found[0])

    def client(self) -> tuple[str, dict[str, str]]:
        """Give what a program of PostgreSQL needs to connect: a connection string without secrets, and environment.

        Secrets go by the environment: everybody on the host may read another's arguments.
        """
        known = {option.keyword.decode(): option for option in pq.Conninfo.get_defaults()}
        shown, hidden = {}, {}
        for name, value in conninfo_to_dict(self.dsn).items():
            option = known.get(name)
            secret = option is not None and option.dispchar == b"*"
            if secret and option is not None and option.envvar:
                hidden[option.envvar.decode()] = str(value)
            elif not secret:
                shown[name] = value
        return make_conninfo("", **shown), hidden

    def host_refusal(self, database: Any) -> str | None:
        if not isinstance(database, peewee.PostgresqlDatabase):
            kind = f"{type(database).__module__}.{type(database).__name__}"
            return f"the engine is on PostgreSQL, so it needs a peewee.PostgresqlDatabase, not {kind}"
        return None

    @property
    def begin_to_write(self) -> tuple[str, ...]:
        return ()

    def transaction_state(self, raw: Any) -> str:
        if not hasattr(raw, "pgconn"):
            raise WrongTransaction(
                "this database is driven by psycopg2, the engine knows psycopg 3: give "
                "PostgresqlDatabase(..., prefer_psycopg3=True)"
            )
        status = raw.info.transaction_status
        if status == pq.TransactionStatus.INERROR:
            return "failed"
        return "open" if status == pq.TransactionStatus.INTRANS else "none"

    def plain_cursor(self, raw: Any) -> Any:
        return raw.cursor(row_factory=tuple_row)

    def place(self, db: Any) -> tuple[str, ...]:
        database, started, there = db.one(
            "SELECT current_database(), pg_postmaster_start_time()::text, to_regclass('meta')::oid::text"
        )
        tables = "" if there else ", without the engine's tables in its search path"
        return (f"database {database} of a server up since {started}{tables}", str(there))

    def enter_host(self, db: Any, wait_secs: float) -> str:
        level, *before = db.one(f"SELECT current_setting('transaction_isolation'), {_HOST_SETTINGS_ARE}")
        if level != "read committed":
            raise WrongTransaction(
                f"this transaction is {level.upper()}, in which the engine would decide by rows that have changed "
                "since: begin it as READ COMMITTED"
            )
        values = dict(_IN_HOST, lock_timeout=f"{int(wait_secs * 1000)}ms")
        db.rows(_SET_IN_HOST, list(values.values()))
        return dumps(before)

    def leave_host(self, db: Any, before: str) -> None:
        db.rows(_SET_IN_HOST, loads(before))

    def trouble(self, error: BaseException) -> Trouble:
        if isinstance(error, errors.LockNotAvailable):
            return Trouble.HELD
        if isinstance(error, _CONFLICTS):
            return Trouble.CONFLICT
        if isinstance(error, (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded)):
            return Trouble.FULL
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, ConnectionError)):
            return Trouble.LOST
        if isinstance(error, (peewee.OperationalError, peewee.InterfaceError)):
            return Trouble.LOST
        return Trouble.REFUSED


def _lock(table: str, key: str, *, wait: bool) -> str:
    skip = "" if wait else "SKIP LOCKED"
    return f"SELECT {key} FROM {table} WHERE {key} = ANY(?) ORDER BY {key} FOR NO KEY UPDATE {skip}"


@lru_cache(maxsize=512)
def _marks(text: str) -> str:
    return text.replace("?", "%s")


@lru_cache(maxsize=64)
def _insert(table: Table) -> str:
    typed = ", ".join(f"{name} {sql_type}" for name, sql_type in table.columns)
    return (
        f"INSERT INTO {table.name} ({table.listed}) SELECT {table.listed} FROM json_to_recordset(?::json) AS x({typed})"
    )


@lru_cache(maxsize=64)
def _update(table: Table) -> str:
    typed = ", ".join(f"{name} {sql_type}" for name, sql_type in table.update_columns)
    settings = ", ".join(f"{column.name} = x.{column.name}" for column in table.changing)
    where = " AND ".join(f"t.{name} = x.{name}" for name in table.key)
    return f"UPDATE {table.name} t SET {settings} FROM json_to_recordset(?::json) AS x({typed}) WHERE {where}"


@lru_cache(maxsize=64)
def _upsert(table: Table) -> str:
    settings = ", ".join(f"{column.name} = excluded.{column.name}" for column in table.changing)
    return f"{_insert(table)} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {settings}"
