"""`assay db doctor`: each thing that can be wrong with a database is found, and told with what to do."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from assay_wsgi.cli.main import cli
from assay_wsgi.engine import Engine
from assay_wsgi.store.doctor.sqlite import file_system_of
from assay_wsgi.store.store import Store


@pytest.fixture
def assay():
    def run(*arguments):
        return CliRunner().invoke(cli, ["db", "doctor", *arguments])

    return run


@pytest.fixture
def filled(backend):
    Store.open(backend).close()
    return backend


def change(url, *statements):
    store = Store.open(url)
    with store.administer() as db:
        for statement in statements:
            db.run(*statement) if isinstance(statement, tuple) else db.run(statement)
    store.close()


def findings(result):
    return {each["check"]: each for each in json.loads(result.output)["findings"]}


def test_a_database_without_fault_gets_a_line_for_each_check(assay, filled):
    result = assay("--backend", filled, "-o", "table")

    assert result.exit_code == 0, result.output
    checked = json.loads(assay("--backend", filled, "--json").output)["checked"]
    for name in checked:
        assert f"  ok     {name}: " in result.output
    assert result.output.endswith("all well\n")


def test_an_index_that_is_missing_is_named_with_the_statement_that_makes_it(assay, filled):
    change(filled, "DROP INDEX workflow_timers_due")

    result = assay("--backend", filled)
    table = assay("--backend", filled, "-o", "table").output

    assert result.exit_code == 1
    found = findings(result)["indexes"]
    assert found["text"] == "the index workflow_timers_due is missing"
    assert found["advice"].startswith("CREATE INDEX workflow_timers_due ON workflow_timers (fire_at)")
    assert f"  WRONG  indexes: {found['text']}\n         {found['advice']}\n" in table
    assert table.endswith("1 to see to\n")

    change(filled, found["advice"])
    assert assay("--backend", filled).exit_code == 0


def test_a_schedule_that_cannot_be_worked_on_is_named_with_the_reason(assay, filled):
    engine = Engine.open(filled, clock=lambda: 1_700_000_000.0)
    engine.schedules.create("nightly", "Report", "@daily", namespace="shop")
    change(filled, "UPDATE workflow_schedules SET timezone = 'Mars/Olympus', next_run_at = 1, due_at = 1")
    engine.upkeep.fire_schedules()
    engine.close()

    found = findings(assay("--backend", filled))["schedules"]

    assert found["text"].startswith("schedule nightly of namespace shop failed 1 times in a row: ")
    assert "Mars/Olympus" in found["text"]


def test_a_clock_that_was_set_back_is_seen_by_what_was_written(assay, filled):
    change(
        filled,
        (
            "INSERT INTO notices (mark, namespace, workflow_id, event_type, payload, created_at) "
            "VALUES (1, 'main', 'w', 'WorkflowStarted', '{}', ?)",
            (time.time() + 3600,),
        ),
    )

    assert "in the future: a clock was set back" in findings(assay("--backend", filled))["clock"]["text"]


def test_a_schema_of_another_version_is_told_with_the_way_out(assay, filled):
    change(filled, "UPDATE meta SET value = '0' WHERE name = 'schema_version'")

    assert findings(assay("--backend", filled))["schema"]["advice"] == "run `assay db migrate`"


def test_a_sqlite_file_that_left_wal_mode_is_told(assay, sqlite_url):
    store = Store.open(sqlite_url)
    store.close()
    db = store.dialect.database(None, role="writer")
    with db.connection_context():
        db.execute_sql("PRAGMA journal_mode = delete")

    assert "journal_mode is delete" in findings(assay("--backend", sqlite_url))["journal-mode"]["text"]


def test_a_journal_that_an_old_reader_holds_is_told(assay, sqlite_url, tmp_path):
    Store.open(sqlite_url).close()
    with (tmp_path / "assay.db-wal").open("wb") as journal:
        journal.truncate(300 * 2**20)

    found = findings(assay("--backend", sqlite_url))["journal-size"]

    assert "the journal has 300 MiB" in found["text"]
    assert f"lsof {tmp_path}/assay.db" in found["advice"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/data/assay.db", "nfs4"),
        ("/srv/assay.db", "ext4"),
        ("/with space/a.db", "cifs"),
        ("/srv/data2/a.db", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_longest_mount_point(path, kind):
    mounts = (
        "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "90 22 0:44 / /srv/data rw,relatime shared:50 - nfs4 server:/export rw,vers=4.2\n"
        "91 22 0:45 / /with\\040space rw - cifs //server/share rw\n"
    )

    assert file_system_of(Path(path), mounts) == kind


@contextmanager
def set_to(url, setting):
    """Have a setting of a database for as long as the block lasts."""
    name = url.split("?")[0].rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET {setting}")
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} RESET ALL")


def test_a_setting_of_postgres_that_may_lose_data_is_told(assay, postgres_url):
    Store.open(postgres_url).close()
    with set_to(postgres_url, "synchronous_commit = off"):
        result = assay("--backend", postgres_url)

    assert result.exit_code == 1
    assert findings(result)["durability"]["text"].startswith("synchronous_commit is off")


def test_an_old_write_transaction_is_told_with_whose_it_is(assay, postgres_url, monkeypatch):
    from assay_wsgi.store.doctor import postgres as checks

    Store.open(postgres_url).close()
    monkeypatch.setattr(checks, "_OLD_WRITE_SECS", 0.0)
    with psycopg.connect(postgres_url, application_name="nightly-report") as stranger:
        stranger.execute("UPDATE namespaces SET created_at = 0")
        pid = stranger.info.backend_pid

        found = findings(assay("--backend", postgres_url))["old-writes"]

    assert f"process {pid}," in found["text"]
    assert "application nightly-report, idle in transaction" in found["text"]
    assert found["advice"] == f"End it, or: SELECT pg_terminate_backend({pid});"


def test_a_role_that_may_not_write_is_told(assay, postgres, postgres_url):
    Store.open(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE assay_reader LOGIN")
        try:
            admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO assay_reader")
            reader = postgres_url.replace("postgres:@", "assay_reader:@")
            assert reader != postgres_url
            found = findings(assay("--backend", reader))["rights"]
        finally:
            admin.execute("DROP OWNED BY assay_reader")
            admin.execute("DROP ROLE assay_reader")

    assert found["text"].startswith("assay_reader may not change activity_attempts, ")
    assert found["advice"].endswith("TO assay_reader;")


def test_transactions_that_are_read_only_by_default_are_told(assay, postgres_url):
    Store.open(postgres_url).close()
    with set_to(postgres_url, "default_transaction_read_only = on"):
        found = findings(assay("--backend", postgres_url))["writable"]

    assert found["text"] == "transactions are read-only by default"
    assert "default_transaction_read_only = off" in found["advice"]


def test_a_standby_is_told(assay, postgres_url):
    """A server that says of itself what a standby says: the function stands before PostgreSQL's own."""
    Store.open(postgres_url).close()
    with (
        psycopg.connect(postgres_url, autocommit=True) as admin,
        set_to(postgres_url, "search_path = public, pg_catalog"),
    ):
        admin.execute("CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'")
        try:
            found = findings(assay("--backend", postgres_url))["writable"]
        finally:
            admin.execute("DROP FUNCTION public.pg_is_in_recovery()")

    assert found["text"] == "this server is a standby: it takes no writes"
    assert "target_session_attrs=read-write" in found["advice"]


def test_a_database_that_does_not_hold_utf_8_is_told(assay, postgres):
    url = postgres.empty_database("LATIN1")
    try:
        Store.open(url).close()
        found = findings(assay("--backend", url))["encoding"]
    finally:
        postgres.drop(url)

    assert found["text"] == "the database's encoding is LATIN1"
    assert "ENCODING 'UTF8'" in found["advice"]


def test_a_file_that_this_user_may_not_write_is_told(assay, sqlite_url, tmp_path, monkeypatch):
    """The tests may run as root, who may everything: so the answer of the system is another one."""
    Store.open(sqlite_url).close()
    may = {tmp_path / "assay.db": os.R_OK, tmp_path: os.R_OK | os.X_OK, tmp_path / "assay.db.now": 0}
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & ~may[path] if path in may else asked(path, mode))

    found = [
        each for each in json.loads(assay("--backend", sqlite_url).output)["findings"] if each["check"] == "rights"
    ]

    user = os.geteuid()
    assert [each["text"] for each in found] == [
        f"user {user} may not write {tmp_path}/assay.db",
        f"user {user} may not open the lock {tmp_path}/assay.db.now",
        f"user {user} may not make files in {tmp_path}, where the journal has to lie",
    ]
    assert [each["advice"].partition(f"{user} ")[0] for each in found] == [
        "Run as its owner, or: chown ", f"chmod a+r {tmp_path}/assay.db.now", "chown ",
    ]  # fmt: skip


@pytest.mark.parametrize(("free", "told"), [(255 * 2**20, True), (256 * 2**20, False)])
def test_a_disk_that_is_nearly_full_is_told(assay, sqlite_url, tmp_path, monkeypatch, free, told):
    Store.open(sqlite_url).close()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2**40, 2**40 - free, free))

    result = assay("--backend", sqlite_url)

    if not told:
        assert result.exit_code == 0
        return
    found = findings(result)["disk-room"]
    assert found["text"] == f"255 MiB are free on the disk of {tmp_path}"
    assert found["advice"].startswith("Make room: at least 256 MiB.")


def test_what_cannot_be_looked_at_is_named(assay, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear database, " * 1000)

    missing = assay("--backend", f"sqlite://{tmp_path}/none.db")
    letter = assay("--backend", f"sqlite://{tmp_path}/letter.txt")
    away = assay("--backend", "postgresql://127.0.0.1:1/assay")

    assert (missing.exit_code, letter.exit_code, away.exit_code) == (1, 1, 1)
    assert "there is no file" in missing.output
    assert "file is not a database" in letter.output
    assert "the database does not answer" in away.output
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
