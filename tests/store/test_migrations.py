"""Migrations are proven: the old schema and the step make what the new schema file makes, killed or not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee
import pytest

from assay_wsgi.store import schema
from assay_wsgi.store.schema import SchemaMismatch
from tests.databases import PostgresServer
from tests.store.introspection import Place

NOW = 1_700_000_000.0

# A made-up version 2 of schema.sql: a column, a table, an index more; an index less; options changed.
LAST_COLUMN = "    completed_at         double precision\n);\n-- At most one open run per id."
EDITS = [
    (LAST_COLUMN, LAST_COLUMN.replace("\n)", ",\n    colour text NOT NULL DEFAULT 'blue'\n)", 1)),
    ("CREATE INDEX audit_log_at ON audit_log (at);\n", ""),
    ("autovacuum_vacuum_threshold = 5000,\n    autovacuum_vacuum_cost_delay = 0, fillfactor = 50",
     "autovacuum_vacuum_threshold = 700,\n    autovacuum_vacuum_cost_delay = 0, fillfactor = 50"),
]  # fmt: skip
ADDED = """
CREATE TABLE colours (id $serial, run_key $key NOT NULL, name text NOT NULL);
CREATE TABLE shades (name text PRIMARY KEY, colour $key) $clustered;
CREATE INDEX workflows_colour ON workflows (colour, created_at) WHERE colour <> 'blue';
"""
STEP = f"""
ALTER TABLE workflows ADD COLUMN colour text NOT NULL DEFAULT 'blue';
{ADDED}
DROP INDEX audit_log_at;
-- only: postgres
ALTER TABLE workflow_tasks SET (autovacuum_vacuum_threshold = 700);
INSERT INTO shades (name, colour) SELECT name, 7 FROM namespaces;
"""


@dataclass(frozen=True)
class Release:
    """A made-up release that brings version 2."""

    schema: Path
    directory: Path
    version: int = 2

    def create(self, place: Place) -> None:
        """Make a new database."""
        db = place.open()
        schema.create(db, place.dialect, now=NOW, schema=self.schema, version=self.version)
        db.close()

    def migrate(self, place: Place, db: peewee.Database | None = None) -> list[int]:
        """Bring an old database up to date."""
        db = db or place.open()
        reached = schema.migrate(db, place.dialect, self.directory, schema=self.schema, version=self.version)
        db.close()
        return reached

    def verify(self, place: Place) -> None:
        """Check a database."""
        schema.verify(place.open(), place.dialect, schema=self.schema, version=self.version)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """The made-up release."""
    text = schema.SCHEMA.read_text()
    for old, new in EDITS:
        assert text.count(old) == 1, f"schema.sql has changed: mend the made-up step ({old!r})"
        text = text.replace(old, new)
    made = Release(tmp_path / "schema.sql", tmp_path / "migrations")
    made.schema.write_text(text + ADDED)
    made.directory.mkdir()
    (made.directory / "0002_colours.sql").write_text(STEP)
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Place]]:
    """Gives places of empty databases, as many as are asked for."""
    made: list[Place] = []
    server: PostgresServer | None = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")

    def another() -> Place:
        if server is None:
            made.append(Place("sqlite", str(tmp_path / f"{len(made)}.db")))
        else:
            made.append(Place("postgres", server.empty_database()))
        return made[-1]

    yield another
    for place in made:
        place.close()
        if server is not None:
            server.drop(place.where)


@pytest.fixture
def place(places: Callable[[], Place]) -> Place:
    """Where a database of the present version is."""
    return of_today(places())


def test_the_old_schema_and_the_step_make_the_new_schema(
    place: Place, places: Callable[[], Place], release: Release
) -> None:
    new = places()
    release.create(new)
    assert place.describe() != new.describe()

    assert release.migrate(place) == [2]

    assert place.describe() == new.describe()
    release.verify(place)


def test_a_migrated_database_keeps_what_it_held(place: Place, release: Release) -> None:
    before = place.meta()

    release.migrate(place)

    after = place.meta()
    assert (after["store_id"], after["epoch"]) == (before["store_id"], before["epoch"])
    assert place.rows("SELECT name, created_at FROM namespaces") == [("main", NOW)]
    assert place.rows("SELECT name, colour FROM shades") == [("main", 7)]


@pytest.mark.parametrize("killed", ["before", "after"])
def test_a_killed_migration_did_not_happen_and_is_done_by_the_next(
    places: Callable[[], Place], release: Release, killed: str
) -> None:
    new, old = places(), of_today(places())
    release.create(new)
    described = old.describe(), old.meta()
    at = 1
    while killed_at(old, release, at, killed):
        assert (old.describe(), old.meta()) == described, f"statement {at} left something behind"
        at += 1

    assert at > 8
    assert old.describe() == new.describe()
    assert release.migrate(old) == []
    release.verify(old)


def test_a_step_that_fails_changes_nothing(place: Place, release: Release) -> None:
    before = place.describe(), place.meta()
    (release.directory / "0002_colours.sql").write_text(STEP + "INSERT INTO nowhere VALUES (1);")

    with pytest.raises(Exception, match="nowhere"):
        release.migrate(place)

    assert (place.describe(), place.meta()) == before


def test_of_many_migrators_one_does_each_step(place: Place, release: Release) -> None:
    start, reached, lock = threading.Barrier(4), [], threading.Lock()

    def run() -> None:
        db = place.open()
        start.wait()
        mine = release.migrate(place, db)
        with lock:
            reached.extend(mine)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert reached == [2]
    release.verify(place)


def test_steps_follow_each_other(place: Place, release: Release) -> None:
    (release.directory / "0003_more.sql").write_text("CREATE TABLE more (x text);")
    release.schema.write_text(release.schema.read_text() + "CREATE TABLE more (x text);")
    third = Release(release.schema, release.directory, version=3)

    assert third.migrate(place) == [2, 3]

    third.verify(place)
    assert place.meta()["schema_version"] == "3"


def test_a_version_on_the_way_is_good_for_the_build_that_has_it(place: Place, release: Release) -> None:
    (release.directory / "0003_more.sql").write_text("INSERT INTO nowhere VALUES (1);")
    third = Release(release.schema, release.directory, version=3)
    with pytest.raises(Exception, match="nowhere"):
        third.migrate(place)

    release.verify(place)
    assert (place.meta()["schema_version"], place.meta()["schema_hash"]) == ("2", "")


def test_a_newer_database_is_not_taken_back(place: Place, release: Release) -> None:
    release.migrate(place)

    with pytest.raises(SchemaMismatch, match="this database is newer, use a newer build"):
        schema.migrate(place.open(), place.dialect)


def test_a_database_without_our_schema_is_not_migrated(places: Callable[[], Place], release: Release) -> None:
    empty = places()

    with pytest.raises(SchemaMismatch, match="holds no schema"):
        release.migrate(empty)

    assert empty.describe() == {}


def test_this_build_has_a_step_for_each_of_its_versions(place: Place) -> None:
    assert schema.migrate(place.open(), place.dialect) == []


@pytest.mark.parametrize("name", ["2_short.sql", "0002.sql", "0002_again.sql", "0004_gap.sql"])
def test_steps_with_wrong_numbers_are_refused(place: Place, release: Release, name: str) -> None:
    (release.directory / name).write_text("SELECT 1;")

    with pytest.raises(ValueError, match="step"):
        release.migrate(place)


def of_today(place: Place) -> Place:
    """Make the present version there."""
    db = place.open()
    schema.create(db, place.dialect, now=NOW)
    db.close()
    return place


def killed_at(place: Place, release: Release, at: int, when: str) -> bool:
    """Migrate in a process that is killed at its `at`-th statement. Returns False where it got to the end."""
    child = os.fork()
    if child == 0:
        db: Any = place.open()
        execute, count = db.execute_sql, 0

        def counted(sql: str, params: Any = None) -> Any:
            nonlocal count
            count += 1
            if count == at and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            cursor = execute(sql, params)
            if count == at and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return cursor

        db.execute_sql = counted
        try:
            release.migrate(place, db)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "the migration failed by itself"
    return status != 0
