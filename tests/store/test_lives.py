"""A database that was restored begins another life; one that was only opened again does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from assay_wsgi.domain.requests import RunRef
from assay_wsgi.engine import Engine
from assay_wsgi.store.postgres import Postgres
from tests.engine.following import kept
from tests.engine.following import now
from tests.engine.following import read
from tests.engine.following import short
from tests.engine.stories import given_a_run
from tests.engine.stories import put
from tests.engine.stories import rows

if TYPE_CHECKING:
    from tests.databases import PostgresServer


def epoch(url: str) -> str:
    """Open a database and give its epoch."""
    engine = Engine.open(url)
    try:
        return str(engine.feed.read()["cursor"]).partition("-")[0]
    finally:
        engine.close()


def started(url: str, *names: str) -> str:
    """Start runs. Gives the cursor behind them."""
    engine = Engine.open(url)
    for name in names:
        given_a_run(engine, name)
    cursor = now(engine)
    engine.close()
    return cursor


def reset(url: str, cursor: str) -> str | None:
    """Open a database and say what becomes of a cursor."""
    engine = Engine.open(url)
    try:
        told: str | None = engine.feed.read(cursor)["reset"]
        return told
    finally:
        engine.close()


def test_opened_again_it_goes_on(backend: str) -> None:
    cursor = started(backend, "a")

    assert {epoch(backend) for _ in range(3)} == {cursor.partition("-")[0]}
    assert reset(backend, cursor) is None


def test_opened_twice_at_once_it_is_one_life(backend: str) -> None:
    first = Engine.open(backend)
    second = Engine.open(backend)
    given_a_run(first)

    (told,) = read(second, count=1)

    assert told["id"].partition("-")[0] == epoch(backend)
    first.close()
    second.close()


# ---------------------------------------------------------------------------------------------------- SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "assay.db"


def test_a_copy_put_in_the_place_of_the_file_begins_another_life(file: Path, sqlite_url: str) -> None:
    """Taken with the service down, with cp: nobody was there to mark it."""
    started(sqlite_url, "before")
    shutil.copy(file, file.with_name("kept"))
    cursor = started(sqlite_url, "lost")

    shutil.copy(file.with_name("kept"), file)  # into the same inode
    started(sqlite_url, "in its place")  # under the same number

    assert reset(sqlite_url, cursor) == "another_database"


def test_one_copy_restored_twice_is_two_lives(file: Path, sqlite_url: str) -> None:
    started(sqlite_url, "before")
    shutil.copy(file, file.with_name("kept"))
    started(sqlite_url, "later")
    cursors = []
    for _ in range(2):
        shutil.copy(file.with_name("kept"), file)
        cursors.append(started(sqlite_url, "again"))

    assert [reset(sqlite_url, cursor) for cursor in cursors] == ["another_database", None]


def test_a_file_that_came_from_elsewhere_begins_another_life(file: Path, sqlite_url: str, tmp_path: Path) -> None:
    cursor = started(sqlite_url, "a")
    moved = tmp_path / "elsewhere" / "assay.db"
    moved.parent.mkdir()

    file.rename(moved)

    assert reset(f"sqlite://{moved}", cursor) == "another_database"


def test_where_no_note_can_be_left_the_database_is_opened_all_the_same(
    file: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay_wsgi.store.turnstile import Turnstile

    before = epoch(sqlite_url)

    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Turnstile, "leave_note", refuse)

    assert [epoch(sqlite_url), epoch(sqlite_url)] == [before, before]


def test_a_life_that_was_ended_half_way_is_not_taken_for_the_old_one(
    file: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is left before the commit: killed in between, the next opening finds them different."""
    from assay_wsgi.store.turnstile import Turnstile

    before = epoch(sqlite_url)
    leave = Turnstile.leave_note

    def leave_and_die(self: Turnstile, text: str) -> None:
        leave(self, text)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Turnstile, "leave_note", leave_and_die)
        with pytest.raises(KeyboardInterrupt):
            Engine.open(sqlite_url)

    assert epoch(sqlite_url) != before


# ------------------------------------------------------------------------------------------------ PostgreSQL


@pytest.fixture
def copied(postgres: PostgresServer, postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes a copy of the database; gives its URL."""
    made: list[str] = []

    def copy() -> str:
        made.append(postgres.copy(postgres_url))
        return made[-1]

    yield copy
    for url in made:
        postgres.drop(url)


def test_a_copy_beside_the_original_begins_another_life(postgres_url: str, copied: Callable[[], str]) -> None:
    cursor = started(postgres_url, "before")

    beside = copied()
    started(beside, "after")

    assert (reset(beside, cursor), reset(postgres_url, cursor)) == ("another_database", None)


def test_marks_from_a_server_that_was_far_ahead_do_not_stop_the_feed(
    postgres_url: str, copied: Callable[[], str]
) -> None:
    """Restored on a young server, old marks would lie far in its future, and new notices of old runs with them."""
    engine = Engine.open(postgres_url)
    given_a_run(engine, "old")
    given_a_run(engine, "older")
    put(engine, "UPDATE notices SET mark = mark + 1000000000000")
    put(engine, "UPDATE workflows SET feed_mark = feed_mark + 1000000000000")
    put(engine, "DELETE FROM notices WHERE workflow_id = 'older'")  # pruned; its run still has the mark
    engine.close()
    restored = copied()

    engine = Engine.open(restored)
    given_a_run(engine, "new")
    for name in ("older", "old"):
        engine.workflows.terminate(RunRef(workflow_id=name, namespace="main"))
    told = read(engine, count=4)

    assert short(told) == [
        ("old", "workflow_started"), ("new", "workflow_started"), ("older", "workflow_terminated"),
        ("old", "workflow_terminated"),
    ]  # fmt: skip
    ((highest,),) = rows(engine, "SELECT MAX(mark) FROM notices")
    assert highest > 10**12
    engine.close()
    assert started(restored, "later").partition("-")[0] == told[0]["id"].partition("-")[0]


def test_tables_that_were_made_anew_in_their_database_begin_another_life(postgres_url: str) -> None:
    """As `pg_restore --clean` makes them."""
    cursor = started(postgres_url, "a")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE again (LIKE notices INCLUDING ALL)")
        connection.execute("INSERT INTO again SELECT * FROM notices")
        connection.execute("DROP TABLE notices")
        connection.execute("ALTER TABLE again RENAME TO notices")

    assert reset(postgres_url, cursor) == "another_database"


def test_who_may_not_ask_for_the_servers_name_goes_by_the_rest(postgres_url: str) -> None:
    engine = Engine.open(postgres_url)
    dialect = engine.store.dialect
    assert isinstance(dialect, Postgres)
    with psycopg.connect(postgres_url, autocommit=True) as owner, engine.store.read() as db:
        owner.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        known = dialect.life(db)
        db.run("SET ROLE pg_read_all_stats")
        unnamed = dialect.life(db)
        db.run("RESET ROLE")
        owner.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
    engine.close()

    assert (str(known).split()[0].isdigit(), str(unnamed).split()[0]) == (True, "unnamed")
    assert str(known).split()[1:] == str(unnamed).split()[1:]


def test_nothing_is_told_of_a_life_in_memory() -> None:
    engine = Engine.open("sqlite://:memory:")

    assert kept(engine) == []
    engine.close()
