"""Listens at the driver: which statements were run, with how many rows, and what was committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from typing import NamedTuple

from assay_wsgi.jsontext import loads


class Statement(NamedTuple):
    """A statement as the driver got it."""

    sql: str
    params: Any
    rows: int  # rows that an INSERT or UPDATE in bulk brings


class Heard:
    """What went through the connections that `wrap` was handed to, oldest first."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.units: list[list[Statement]] = []  # what each commit committed
        self.gate = threading.Event()  # closed: commits wait
        self.gate.set()
        self.at_the_gate = threading.Semaphore(0)

    def wrap(self, raw: Any) -> Any:
        """Give a connection that behaves like `raw` and is listened to."""
        return _Connection(raw, self)

    @contextmanager
    def holding_commits(self) -> Iterator[None]:
        """Let no commit through until the block ends."""
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()

    def clear(self) -> None:
        """Forget what was heard."""
        self.statements.clear()
        self.units.clear()


class _Connection:
    def __init__(self, raw: Any, heard: Heard) -> None:
        self._raw = raw
        self._heard = heard
        self._unit: list[Statement] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def cursor(self, *args: Any, **named: Any) -> _Cursor:
        return _Cursor(self._raw.cursor(*args, **named), self)

    def note(self, sql: str, params: Any, rows: int) -> None:
        said = Statement(sql, params, rows)
        self._heard.statements.append(said)
        if sql.startswith("BEGIN"):
            self._unit = []
        self._unit.append(said)

    def commit(self) -> None:
        if not self._heard.gate.is_set():
            self._heard.at_the_gate.release()
            self._heard.gate.wait()
        self._raw.commit()
        self._heard.units.append(self._unit)
        self._unit = []


class _Cursor:
    def __init__(self, raw: Any, connection: _Connection) -> None:
        self._raw = raw
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._raw)

    def execute(self, sql: str, params: Any = ()) -> Any:
        self._connection.note(sql, params, _rows(sql, params))
        return self._raw.execute(sql, params)

    def executemany(self, sql: str, rows: Sequence[Any]) -> Any:
        self._connection.note(sql, rows, len(rows))
        return self._raw.executemany(sql, rows)


def _rows(sql: str, params: Any) -> int:
    """Count the rows of a bulk statement, which travel as one JSON parameter."""
    if "json_to_recordset" not in sql or not sql.startswith(("INSERT", "UPDATE")):
        return 1
    return len(loads(params[-1]))


def inserted(unit: Sequence[Statement], table: str) -> int:
    """Count the rows that a unit put into a table."""
    return sum(said.rows for said in unit if said.sql.startswith(f"INSERT INTO {table} "))
