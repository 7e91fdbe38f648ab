"""A program that embeds the engine: a shop with orders, on a Peewee database of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peewee

from assay_wsgi.settings import BackendUrl

Wrap = Callable[[Any], Any]


class _Wrapped:
    """A Peewee database whose driver connection is wrapped by a test."""

    wrap: Wrap | None = None

    def _connect(self) -> Any:
        raw = super()._connect()  # type: ignore[misc]
        return self.wrap(raw) if self.wrap else raw


class _Sqlite(_Wrapped, peewee.SqliteDatabase):
    pass


class _Postgres(_Wrapped, peewee.PostgresqlDatabase):
    pass


class Shop:
    """Orders, on the database that a URL names."""

    def __init__(self, url: str, wrap: Wrap | None = None, **options: Any) -> None:
        backend = BackendUrl.parse(url)
        self.db: Any
        if backend.dialect == "sqlite":
            self.db = _Sqlite(backend.path, timeout=options.pop("timeout", 5), **options)
        else:
            self.db = _Postgres(backend.dsn, prefer_psycopg3=True, **options)
        self.run("CREATE TABLE IF NOT EXISTS shop_orders (name text)")
        self.db.close()
        self.db.wrap = wrap

    def run(self, sql: str, *params: Any) -> list[Any]:
        """Run a statement on the shop's connection."""
        cursor = self.db.execute_sql(sql.replace("?", self.db.param), params)
        return list(cursor.fetchall()) if cursor.description else []

    def order(self, name: str) -> None:
        """Write an order."""
        self.run("INSERT INTO shop_orders (name) VALUES (?)", name)

    def orders(self) -> list[str]:
        """Give the orders there are."""
        return [name for (name,) in self.run("SELECT name FROM shop_orders ORDER BY name")]

    def close(self) -> None:
        """Close the calling thread's connection and take the shop's tables away."""
        self.db.wrap = None
        self.db.close()
        self.run("DROP TABLE IF EXISTS shop_orders")
        self.db.close()
