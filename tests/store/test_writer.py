"""A writing connection: its keys, its row of `units`, and a database that lives in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import pytest

from assay_wsgi.store.needs import BeginAgain
from assay_wsgi.store.store import Store
from assay_wsgi.store.writer import KEY_BLOCK
from assay_wsgi.store.writer import Uncommitted
from tests.engine.stories import Beside
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.engine.stories import rows

if TYPE_CHECKING:
    from assay_wsgi.engine import Engine
    from assay_wsgi.store.writer import Writer
    from tests.conftest import Clock


def units(store: Store) -> list[int]:
    with store.read() as db:
        return sorted(number for (number,) in db.rows("SELECT number FROM units"))


def next_key(store: Store) -> int:
    with store.read() as db:
        return int(db.one("SELECT next_key FROM key_blocks WHERE name = 'keys'")[0])


def takes_keys(writer: Writer, count: int) -> list[int]:
    with writer.unit(keys=count):
        return [writer.new_key() for _ in range(count)]


def makes_a_namespace(writer: Writer, name: str) -> None:
    with writer.unit(keys=0) as db:
        db.run("INSERT INTO namespaces (name, created_at) VALUES (?, 0)", (name,))


def makes_a_namespace_and_stumbles(writer: Writer, name: str) -> None:
    with writer.unit(keys=0) as db:
        db.run("INSERT INTO namespaces (name, created_at) VALUES (?, 0)", (name,))
        raise ZeroDivisionError


def namespaces(store: Store) -> list[str]:
    with store.read() as db:
        return [name for (name,) in db.rows("SELECT name FROM namespaces ORDER BY name")]


# -------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("count", [1, 2])
def test_even_the_first_key_of_a_writer_is_one_that_was_reserved(store: Store, count: int) -> None:
    first = next_key(store)
    writer = store.writer()

    assert takes_keys(writer, count) == list(range(first, first + count))
    assert next_key(store) == first + KEY_BLOCK
    writer.drop()


def test_keys_ascend_and_one_write_serves_a_block_of_them(store: Store) -> None:
    first = next_key(store)
    writer = store.writer()

    taken = [key for _ in range(5) for key in takes_keys(writer, KEY_BLOCK // 5)]

    assert taken == list(range(first, first + KEY_BLOCK))
    assert next_key(store) == first + KEY_BLOCK
    writer.drop()


def test_a_unit_that_needs_more_than_a_block_gets_as_many_as_it_needs(store: Store) -> None:
    first = next_key(store)
    writer = store.writer()

    taken = takes_keys(writer, 3 * KEY_BLOCK)

    assert (len(set(taken)), taken[0], next_key(store)) == (3 * KEY_BLOCK, first, first + 3 * KEY_BLOCK)
    writer.drop()


def test_two_writers_never_get_the_same_key(store: Store) -> None:
    one, two = store.writer(), store.writer()

    taken = [key for _ in range(12) for writer in (one, two) for key in takes_keys(writer, 100)]

    assert len(set(taken)) == len(taken)
    one.drop()
    two.drop()


def test_keys_of_a_unit_that_was_rolled_back_are_not_given_again(store: Store) -> None:
    writer = store.writer()
    given: list[int] = []

    def takes_some_and_stumbles() -> None:
        with writer.unit(keys=10):
            given.extend(writer.new_key() for _ in range(10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        takes_some_and_stumbles()

    assert not set(takes_keys(writer, 10)) & set(given)
    writer.drop()


def test_a_decision_that_wants_more_keys_than_were_reserved_begins_again(store: Store) -> None:
    writer = store.writer()

    def takes_too_many() -> None:
        with writer.unit(keys=1):
            for _ in range(KEY_BLOCK + 1):
                writer.new_key()

    with pytest.raises(BeginAgain):
        takes_too_many()
    writer.drop()


# ------------------------------------------------------------------------------------------------- units


def test_every_unit_is_numbered_in_its_writers_row(store: Store) -> None:
    before = units(store)
    one, two = store.writer(), store.writer()

    for name in ("a", "b", "c"):
        makes_a_namespace(one, name)
    makes_a_namespace(two, "d")

    assert units(store) == sorted([*before, 3, 1])
    one.drop()
    two.drop()


def test_a_unit_that_fails_leaves_nothing_and_no_number(store: Store) -> None:
    writer = store.writer()
    makes_a_namespace(writer, "a")
    before = units(store)

    with pytest.raises(ZeroDivisionError):
        makes_a_namespace_and_stumbles(writer, "b")

    assert units(store) == before
    assert namespaces(store) == ["a", "main"]
    makes_a_namespace(writer, "b")
    assert namespaces(store) == ["a", "b", "main"]
    writer.drop()


def test_a_writer_whose_row_was_pruned_makes_itself_another_and_begins_again(store: Store) -> None:
    writer = store.writer()
    makes_a_namespace(writer, "a")
    with store.administer() as db:
        db.run("DELETE FROM units")

    with pytest.raises(BeginAgain):
        makes_a_namespace(writer, "b")
    assert namespaces(store) == ["a", "main"]

    makes_a_namespace(writer, "b")
    assert namespaces(store) == ["a", "b", "main"]
    assert len(units(store)) == 1
    writer.drop()


def test_nobody_notices_that_an_idle_engines_row_was_pruned(engine: Engine) -> None:
    given_a_run(engine, "a")
    put(engine, "DELETE FROM units")

    run = given_a_run(engine, "b")

    assert rows(engine, "SELECT COUNT(*) FROM units") == [(1,)]
    assert engine.workflows.signal(run, "go")["event_seq"] == 2


def test_pruning_takes_the_rows_of_connections_idle_for_a_day(engine: Engine, clock: Clock) -> None:
    given_a_run(engine, "a")
    put(engine, "UPDATE units SET used_at = ?", clock.now - 86_400.0)
    put(engine, "INSERT INTO units (unit_key, number, used_at) VALUES ('busy', 1, ?)", clock.now - 86_399.0)

    assert engine.upkeep.prune() == 1

    assert rows(engine, "SELECT unit_key FROM units") == [("busy",)]


def test_a_dropped_connection_is_opened_again_under_the_same_number(store: Store) -> None:
    before = units(store)
    writer = store.writer()
    makes_a_namespace(writer, "a")
    writer.drop()

    makes_a_namespace(writer, "b")

    assert units(store) == sorted([*before, 2])
    writer.drop()


# --------------------------------------------------------------------------------------------- in memory


@pytest.fixture
def memory(clock: Clock) -> Store:
    return Store.open("sqlite://:memory:", clock=clock)


def test_a_store_in_memory_reads_what_its_writer_wrote(memory: Store) -> None:
    writer = memory.writer()

    makes_a_namespace(writer, "a")
    with pytest.raises(ZeroDivisionError):
        makes_a_namespace_and_stumbles(writer, "b")

    assert namespaces(memory) == ["a", "main"]
    memory.close()


def test_nobody_reads_a_store_in_memory_in_the_middle_of_a_unit(memory: Store) -> None:
    writer = memory.writer()
    inside, go_on = threading.Event(), threading.Event()

    def writes() -> None:
        with writer.unit(keys=0) as db:
            db.run("INSERT INTO namespaces (name, created_at) VALUES ('a', 0)")
            inside.set()
            go_on.wait()

    writing = Beside(writes)
    inside.wait()
    reading = Beside(lambda: namespaces(memory))
    assert not reading.over
    go_on.set()

    writing.answer()
    assert reading.answer() == ["a", "main"]
    memory.close()


def test_two_stores_in_memory_are_two_databases(memory: Store, clock: Clock) -> None:
    other = Store.open("sqlite://:memory:", clock=clock)

    makes_a_namespace(memory.writer(), "a")

    assert (namespaces(memory), namespaces(other)) == (["a", "main"], ["main"])
    assert memory.store_id != other.store_id
    memory.close()
    other.close()


# ------------------------------------------------------------------------------------- commits that fail


class RefusesCommits:
    """Wraps a driver's connection; `refuse` makes its next commit fail with nothing applied."""

    def __init__(self) -> None:
        self.refuse = False
        self.before: Callable[[], None] = lambda: None

    def wrap(self, raw: Any) -> Any:
        return _Refusing(raw, self)


class _Refusing:
    def __init__(self, raw: Any, plan: RefusesCommits) -> None:
        self._raw = raw
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def commit(self) -> None:
        if self._plan.refuse:
            self._plan.refuse = False
            self._plan.before()
            raise ConnectionResetError("the commit was not applied")
        self._raw.commit()


def test_a_database_in_memory_outlives_a_commit_that_fails() -> None:
    plan = RefusesCommits()
    store = Store.open("sqlite://:memory:", wrap=plan.wrap)
    writer = store.writer()
    makes_a_namespace(writer, "kept")
    plan.refuse = True

    with pytest.raises(Uncommitted):
        makes_a_namespace(writer, "refused")
    makes_a_namespace(writer, "later")

    assert namespaces(store) == ["kept", "later", "main"]
    store.close()


def test_a_commit_that_failed_after_its_units_row_was_pruned_is_known_not_to_be_applied(backend: str) -> None:
    plan = RefusesCommits()
    store = Store.open(backend, wrap=plan.wrap)
    stranger = Store.open(backend)
    writer = store.writer()
    makes_a_namespace(writer, "kept")

    def pruned() -> None:
        writer.db.rollback()
        with stranger.read() as db:
            if stranger.dialect.name == "sqlite":
                db.run("PRAGMA query_only = 0")
            db.run("DELETE FROM units")

    plan.refuse, plan.before = True, pruned

    with pytest.raises(Uncommitted):
        makes_a_namespace(writer, "refused")
    with pytest.raises(BeginAgain):  # it learns that its row is gone, and makes another
        makes_a_namespace(writer, "later")
    makes_a_namespace(writer, "later")

    assert namespaces(store) == ["kept", "later", "main"]
    writer.drop()
    stranger.close()
    store.close()
