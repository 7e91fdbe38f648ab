"""What a database itself says of its schema, so that two of them can be compared; and how to open one."""

from __future__ import annotations

from typing import Any

import peewee

from assay_wsgi.store.postgres import Postgres
from assay_wsgi.store.schema import Dialect
from assay_wsgi.store.sqlite import Sqlite

Described = dict[str, Any]


class Place:
    """Where a database is: every `open` is a connection of its own."""

    def __init__(self, dialect: Dialect, where: str) -> None:
        self.dialect = dialect
        self.where = where
        self._opened: list[peewee.Database] = []

    def open(self) -> peewee.Database:
        """Connect as a writer does, time-outs and all."""
        kind = Sqlite(self.where) if self.dialect == "sqlite" else Postgres(self.where)
        self._opened.append(kind.database(None, role="writer"))
        return self._opened[-1]

    def close(self) -> None:
        """Close every connection."""
        for db in self._opened:
            db.close()

    def describe(self) -> Described:
        """Describe tables and indexes: names, columns in order, types, nullability, defaults, options."""
        db = self.open()
        try:
            return _sqlite(db) if self.dialect == "sqlite" else _postgres(db)
        finally:
            db.close()

    def rows(self, sql: str) -> list[Any]:
        """Run a query."""
        db = self.open()
        try:
            return rows(db, sql)
        finally:
            db.close()

    def meta(self) -> dict[str, str]:
        """Read the facts about the database."""
        return dict(self.rows("SELECT name, value FROM meta"))


def rows(db: peewee.Database, sql: str) -> list[Any]:
    """Run a query on an open database."""
    execute: Any = db.execute_sql
    return list(execute(sql).fetchall())


def _sqlite(db: peewee.Database) -> Described:
    found: Described = {}
    clustered = {name: wr for _, name, _, _, wr, _ in rows(db, "PRAGMA table_list")}
    for kind, name, table, sql in rows(db, "SELECT type, name, tbl_name, sql FROM sqlite_master"):
        if name.startswith("sqlite_"):
            continue
        if kind == "table":
            columns = [column[1:] for column in rows(db, f"PRAGMA table_xinfo({name})")]
            found[name] = (columns, clustered[name], "AUTOINCREMENT" in sql)
        else:
            found[name] = (
                table,
                " ".join(sql.replace('"', "").split()),
                rows(db, f"PRAGMA index_xinfo({name})"),
            )
    return found


def _postgres(db: peewee.Database) -> Described:
    ours = "relnamespace = current_schema()::regnamespace"
    columns = rows(
        db,
        "SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text, "
        "pg_get_expr(adbin, adrelid) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
        f"LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE {ours} AND relkind = 'r' "
        "AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum",
    )
    tables = rows(
        db,
        "SELECT relname, ARRAY(SELECT unnest(reloptions) ORDER BY 1), relpersistence::text FROM pg_class "
        f"WHERE {ours} AND relkind = 'r'",
    )
    constraints = rows(
        db,
        "SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint "
        f"JOIN pg_class ON conrelid = pg_class.oid WHERE {ours} ORDER BY 1, 2",
    )
    indexes = rows(db, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()")
    found: Described = {
        name: (
            [column[1:] for column in columns if column[0] == name],
            options,
            persistence,
            [constraint[1:] for constraint in constraints if constraint[0] == name],
        )
        for name, options, persistence in tables
    }
    return found | dict(indexes)
