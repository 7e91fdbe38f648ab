"""What is looked at of a PostgreSQL database: durability, vacuum, old transactions, rights, the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from ..connection import Connection
from . import both
from .finding import Check

_OLD_WRITE_SECS = 60.0
_OLD_SNAPSHOT_SECS = 900.0
_SKEW_SECS = 2.0
_DEAD_ROWS = 50_000
_OLD_XIDS = 1_500_000_000  # of two billion
_OURS = "relnamespace = current_schema()::regnamespace"


def checks() -> list[Check]:
    """Give the checks for a database."""
    return [
        Check("schema", "the schema is this build's", partial(both.wrong_schema, name="postgres")),
        Check("durability", "fsync, full_page_writes and synchronous_commit are on", _durability),
        Check("writable", "the server takes writes", _writable),
        Check("rights", "this user may change every table", _rights),
        Check("encoding", "the database holds UTF-8", _encoding),
        Check("connections", "there is room for more connections", _connections),
        Check("autovacuum", "autovacuum is on", _autovacuum),
        Check("old-writes", "no write transaction in sight is old: the event feed does not lag", _old_writes),
        Check("old-snapshots", "no snapshot is so old that it keeps vacuum from its work", _old_snapshots),
        Check("dead-rows", "vacuum keeps up with dead rows", _dead_rows),
        Check("transaction-ids", "transaction ids are far from running out", _transaction_ids),
        Check("indexes", "no index is missing or invalid", _indexes),
        Check("host-clock", "this host's clock agrees with the database's", _host_clock),
        Check("clock", "nothing was written in the future", both.future_notices),
        Check("schedules", "every schedule can be worked on", both.failing_schedules),
    ]


def _setting(db: Connection, name: str) -> str:
    return str(db.one("SELECT current_setting(?)", (name,))[0])


def _durability(db: Connection) -> Iterator[tuple[str, str]]:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if _setting(db, name) == "off":
            yield (
                f"{name} is off: what was acknowledged may be lost; `assay serve` refuses to start",
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf(); and look for it among the settings of "
                "this role and database",
            )


def _writable(db: Connection) -> Iterator[tuple[str, str]]:
    standby = db.one("SELECT pg_is_in_recovery()")[0]
    if standby:
        yield (
            "this server is a standby: it takes no writes",
            "Name the primary, or all of them with target_session_attrs=read-write",
        )
    elif _setting(db, "default_transaction_read_only") == "on":
        yield "transactions are read-only by default", "Set default_transaction_read_only = off for this role"


def _rights(db: Connection) -> Iterator[tuple[str, str]]:
    lacking = db.rows(
        f"SELECT relname, current_user::text FROM pg_class WHERE {_OURS} AND relkind = 'r' AND NOT ("
        "has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') "
        "AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY relname"
    )
    if lacking:
        names = ", ".join(name for name, _ in lacking)
        yield (
            f"{lacking[0][1]} may not change {names}",
            f"As their owner: GRANT SELECT, INSERT, UPDATE, DELETE ON {names} TO {lacking[0][1]};",
        )


def _encoding(db: Connection) -> Iterator[tuple[str, str]]:
    encoding = _setting(db, "server_encoding")
    if encoding != "UTF8":
        yield f"the database's encoding is {encoding}", "Make a database with ENCODING 'UTF8' and move over"


def _connections(db: Connection) -> Iterator[tuple[str, str]]:
    used = db.one("SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")[0]
    most = int(_setting(db, "max_connections")) - int(_setting(db, "superuser_reserved_connections"))
    if used * 10 > most * 9:
        yield (
            f"{used} of {most} connections are in use",
            "Raise max_connections, or lower ASSAY_READ_CONNECTIONS and the number of web processes",
        )


def _autovacuum(db: Connection) -> Iterator[tuple[str, str]]:
    for name in ("autovacuum", "track_counts"):
        if _setting(db, name) == "off":
            yield (
                f"{name} is off: dead rows are never cleared away and everything gets slower",
                f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();",
            )


def _old_writes(db: Connection) -> Iterator[tuple[str, str]]:
    """A reader of the feed sees nothing beyond the oldest transaction that writes, anywhere on the server."""
    found = db.rows(
        "SELECT pid, COALESCE(datname, '-'), COALESCE(usename, '-'), COALESCE(NULLIF(application_name, ''), '-'), "
        "state, "
        "extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age FROM pg_stat_activity "
        "WHERE backend_xid IS NOT NULL AND clock_timestamp() - xact_start > make_interval(secs => ?) "
        "ORDER BY xact_start LIMIT 3",
        (_OLD_WRITE_SECS,),
    )
    for pid, database, user, application, state, age in found:
        yield (
            f"the event feed lags by {age:.0f} s, the age of a write transaction: process {pid}, database {database}, "
            f"user {user}, application {application}, {state}",
            f"End it, or: SELECT pg_terminate_backend({pid});",
        )
    prepared = db.rows(
        "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts "
        "WHERE clock_timestamp() - prepared > make_interval(secs => ?) ORDER BY prepared LIMIT 3",
        (_OLD_WRITE_SECS,),
    )
    for gid, age in prepared:
        yield (
            f"a transaction was prepared {age:.0f} s ago and never ended; the event feed lags as long",
            f"In its database: COMMIT PREPARED '{gid}' or ROLLBACK PREPARED '{gid}'",
        )


def _old_snapshots(db: Connection) -> Iterator[tuple[str, str]]:
    found = db.rows(
        "SELECT pid, COALESCE(usename, '-'), COALESCE(NULLIF(application_name, ''), '-'), state, "
        "extract(epoch FROM clock_timestamp() - xact_start)::float8 FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_xid IS NULL AND backend_xmin IS NOT NULL "
        "AND clock_timestamp() - xact_start > make_interval(secs => ?) ORDER BY xact_start LIMIT 3",
        (_OLD_SNAPSHOT_SECS,),
    )
    for pid, user, application, state, age in found:
        yield (
            f"process {pid} (user {user}, application {application}, {state}) has been reading for {age:.0f} s; "
            "what died since cannot be vacuumed",
            f"Let it end if it is a backup, else: SELECT pg_terminate_backend({pid});",
        )


def _dead_rows(db: Connection) -> Iterator[tuple[str, str]]:
    found = db.rows(
        "SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() "
        "AND n_dead_tup > ? AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC",
        (_DEAD_ROWS,),
    )
    for table, dead, live in found:
        yield (
            f"{table} has {dead} dead rows beside {live} live ones",
            f"VACUUM {table}; and look above for what keeps autovacuum from it",
        )


def _transaction_ids(db: Connection) -> Iterator[tuple[str, str]]:
    age = db.one("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")[0]
    if age > _OLD_XIDS:
        yield (
            f"{age} of 2,000,000,000 transaction ids are used up",
            "VACUUM (FREEZE); and see why autovacuum did not",
        )


def _indexes(db: Connection) -> Iterator[tuple[str, str]]:
    there = dict(
        db.rows(f"SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE {_OURS}")
    )
    for name, statement in both.indexes("postgres").items():
        if name not in there:
            yield f"the index {name} is missing", f"{statement};"
        elif not there[name]:
            yield f"the index {name} is invalid", f"REINDEX INDEX CONCURRENTLY {name};"


def _host_clock(db: Connection) -> Iterator[tuple[str, str]]:
    before = time.time()
    theirs = db.dialect.now(db)
    after = time.time()
    ahead = max(before - theirs, 0.0) - max(theirs - after, 0.0)
    if abs(ahead) > _SKEW_SECS:
        yield (
            f"this host's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's",
            "Keep both with NTP: leases and deadlines go by the database's, logs by the host's",
        )
