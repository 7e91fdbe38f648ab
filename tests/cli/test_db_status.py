"""`assay db status`: what a database is and holds, for people and for programs."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from assay_wsgi.cli.main import cli
from assay_wsgi.domain.requests import StartRun
from assay_wsgi.engine import Engine
from assay_wsgi.settings import BackendUrl
from assay_wsgi.store import status as status_module
from assay_wsgi.store.store import Store


@pytest.fixture
def assay():
    def run(*arguments):
        return CliRunner().invoke(cli, ["db", "status", *arguments])

    return run


@pytest.fixture
def busy(backend):
    """A database with three runs, and a sidecar that has just taken the lead."""
    engine = Engine.open(backend)
    for number in range(3):
        engine.workflows.start(StartRun(workflow_type="Order", workflow_id=f"order-{number}"))
    assert engine.store.leases.acquire("sidecar", "host/1", 3.0) == 1
    engine.close()
    return backend


def rows(found):
    return {each["table"]: (each["rows"], each["precision"]) for each in found["tables"]}


def test_a_program_reads_schema_size_runs_rows_and_the_leader(assay, busy):
    result = assay("--backend", busy, "--json")

    found = json.loads(result.output)
    assert result.exit_code == 0
    assert found["database"] == BackendUrl.parse(busy).shown
    assert found["server"].startswith(("SQLite 3.", "PostgreSQL 1"))
    assert (found["ready"], found["trouble"], found["pending_migrations"]) == (True, None, [])
    assert (found["schema_version"], found["needed_version"]) == (1, 1)
    assert found["bytes"] > 0
    assert found["open_runs"] == {"PENDING": 3, "RUNNING": 0}
    assert (found["leader"]["owner"], found["leader"]["epoch"]) == ("host/1", 1)
    assert rows(found)["workflows"] == (3, "exact")
    assert rows(found)["workflow_events"] == (3, "exact")


def test_every_format_says_the_same(assay, busy):
    def told(text):
        return {name: value for name, value in text.items() if name not in ("leader", "bytes", "journal_bytes")}

    as_json = json.loads(assay("--backend", busy, "-o", "json").output)
    as_lines = assay("--backend", busy, "-o", "jsonl").output
    as_yaml = yaml.safe_load(assay("--backend", busy, "-o", "yaml").output)

    assert as_lines.count("\n") == 1
    assert told(as_json) == told(json.loads(as_lines)) == told(as_yaml)


def test_a_person_reads_a_table(assay, busy):
    lines = assay("--backend", busy, "-o", "table").output.splitlines()

    told = dict(line.split(None, 1) for line in lines if not line.startswith(" "))
    assert told["READY"] == "yes"
    assert told["SCHEMA"] == "version 1"
    assert told["OPEN"] == "RUNS   3 PENDING, 0 RUNNING"
    assert "host/1, renewed " in told["LEADER"]
    assert told["ROWS"] == "namespaces 1"


def test_a_leader_whose_lease_ran_out_leads_no_more(assay, busy):
    store = Store.open(busy)
    with store.administer() as db:
        db.run("UPDATE leases SET expires_at = ?", (store.now() - 60,))
    store.close()

    found = json.loads(assay("--backend", busy).output)
    table = assay("--backend", busy, "-o", "table").output

    assert found["leader"]["leads"] is False
    assert 63 <= found["leader"]["renewed_secs_ago"] < 600
    assert "none: the last was host/1, renewed 6" in table


def test_long_tables_are_not_counted_unless_that_is_wanted(assay, busy, monkeypatch):
    monkeypatch.setattr(status_module, "COUNTED", 2)

    short = json.loads(assay("--backend", busy).output)
    exact = json.loads(assay("--backend", busy, "--exact").output)

    assert rows(short)["workflows"][1] in ("at least", "estimate")
    assert rows(short)["namespaces"] == (1, "exact")
    assert rows(exact)["workflows"] == (3, "exact")


def test_the_estimate_of_postgres_stands_for_a_long_table(assay, postgres_url, monkeypatch):
    store = Store.open(postgres_url)
    with store.administer() as db:
        db.run("INSERT INTO queues SELECT 'main', 'q' || n, 0 FROM generate_series(1, 500) n")
    with store.read() as db:
        db.run("ANALYZE queues")
    store.close()
    monkeypatch.setattr(status_module, "COUNTED", 2)

    assert rows(json.loads(assay("--backend", postgres_url).output))["queues"] == (500, "estimate")


@pytest.mark.parametrize(
    ("value", "said"), [("0", "run `assay db migrate`"), ("99", "this database is newer, use a newer build")]
)
def test_a_database_of_another_version_is_not_ready(assay, busy, value, said):
    store = Store.open(busy)
    with store.administer() as db:
        db.run("UPDATE meta SET value = ? WHERE name = 'schema_version'", (value,))
    store.close()

    result = assay("--backend", busy)
    table = assay("--backend", busy, "-o", "table")

    assert (result.exit_code, table.exit_code) == (1, 1)
    found = json.loads(result.output)
    assert found["ready"] is False
    assert said in found["trouble"]
    assert found["schema_version"] == int(value)
    assert f"no: {found['trouble']}" in table.output


def test_steps_that_are_missing_are_named(assay, busy, monkeypatch, tmp_path):
    from assay_wsgi.store import schema

    (tmp_path / "0002_more_room.sql").write_text("SELECT 1;")
    assert schema.pending(1, tmp_path, 2) == ["0002_more_room.sql"]
    assert schema.pending(2, tmp_path, 2) == []


def test_what_is_no_database_of_ours_is_named_and_left_alone(assay, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear database, " * 1000)
    (tmp_path / "empty.db").touch()
    before = sorted(path.name for path in tmp_path.iterdir())

    cases = {
        "none.db": f"there is no file {tmp_path}/none.db; `assay db migrate` makes a database",
        "letter.txt": "cannot be read: file is not a database",
        "empty.db": "holds no schema of assay-wsgi",
    }
    for name, said in cases.items():
        result = assay("--backend", f"sqlite://{tmp_path}/{name}")
        assert result.exit_code == 1, name
        assert said in result.output
    directory = assay("--backend", f"sqlite://{tmp_path}")
    assert (directory.exit_code, f"{tmp_path} is no plain file" in directory.output) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_server_that_is_away_is_said_in_one_line(assay):
    result = assay("--backend", "postgresql://127.0.0.1:1/assay")

    assert result.exit_code == 1
    assert "the database does not answer" in result.output
