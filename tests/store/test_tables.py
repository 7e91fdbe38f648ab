"""The models say what schema.sql says, and stay unbound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import peewee
import pytest

from assay_wsgi.store import schema
from assay_wsgi.store.tables import TABLES
from assay_wsgi.store.tables import Namespace

FIELDS = {
    "text": "TextField",
    "integer": "IntegerField",
    "$key": "BigIntegerField",
    "$serial": "BigAutoField",
    "double precision": "DoubleField",
    "boolean": "BooleanField",
}


@pytest.fixture
def db() -> Iterator[Any]:
    """A database as schema.sql makes it, with the marks still in the declared types."""
    made: Any = peewee.SqliteDatabase(":memory:")
    text = schema.SCHEMA.read_text().replace("$key", '"$key"')
    text = text.replace("$serial", '"$serial" PRIMARY KEY NOT NULL')
    for statement in schema.statements(text, "sqlite"):
        made.execute_sql(statement)
    yield made
    made.close()


def test_there_is_a_model_for_each_table(db: Any) -> None:
    assert [model._meta.table_name for model in TABLES] == list_of_tables(db)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: str(model._meta.table_name))
def test_a_model_has_the_columns_of_its_table(db: Any, model: type[peewee.Model]) -> None:
    known: Any = model._meta
    columns = [
        (name, FIELDS[declared.lower()], bool(required), place)
        for _, name, declared, required, _, place in db.execute_sql(f"PRAGMA table_info({known.table_name})")
    ]
    key = [name for name, _, _, place in sorted(columns, key=lambda column: column[3]) if place]

    assert [(field.column_name, type(field).__name__, field.null) for field in known.sorted_fields] == [
        (name, kind, not required and name not in key) for name, kind, required, _ in columns
    ]
    assert [field.column_name for field in known.get_primary_keys()] == key


def test_models_belong_to_no_database(tmp_path: Any) -> None:
    with pytest.raises(peewee.InterfaceError):
        list(Namespace.select())

    one, two = (peewee.SqliteDatabase(str(tmp_path / name)) for name in ("one.db", "two.db"))
    for number, db in enumerate((one, two)):
        schema.create(db, "sqlite", now=float(number))

    found = [[row.created_at for row in Namespace.select().execute(db)] for db in (one, two)]

    assert found == [[0.0], [1.0]]
    one.close()
    two.close()


def list_of_tables(db: Any) -> list[str]:
    found = db.execute_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    return [name for (name,) in found if not name.startswith("sqlite_")]
