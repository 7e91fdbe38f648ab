"""`assay fsck` and `assay db migrate`, on real databases."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from assay_wsgi.cli.main import cli
from assay_wsgi.settings import BackendUrl
from assay_wsgi.store.store import Store


@pytest.fixture
def assay():
    def run(*arguments):
        return CliRunner().invoke(cli, arguments)

    return run


@pytest.fixture
def filled(backend):
    """The URL of a database that holds the schema."""
    Store.open(backend).close()
    return backend


def spoil(url):
    """Plant a task of a run that there is not."""
    store = Store.open(url)
    with store.administer() as db:
        db.run(
            "INSERT INTO workflow_tasks (run_key, namespace, task_queue, workflow_type, priority, ready_at, paused, "
            "attempt, closes_refused) VALUES (1, 'main', 'main', 'Ghost', 0, 0, ?, 0, 0)",
            (False,),
        )
    store.close()


def test_a_clean_database_is_called_clean_and_the_rules_are_named(assay, filled):
    result = assay("fsck", "--backend", filled)

    assert result.exit_code == 0
    assert result.output.startswith(f"{BackendUrl.parse(filled).shown}: ")
    assert "history_gapless" in result.output
    assert result.output.endswith("clean\n")


def test_a_broken_rule_is_shown_with_its_offenders(assay, filled):
    spoil(filled)

    result = assay("fsck", "--backend", filled)

    assert result.exit_code == 1
    assert "BROKEN orphans: what hangs below a run or an activity has it (offenders: 1)" in result.output
    assert "(1, 'workflow_tasks')" in result.output


def test_the_findings_as_json(assay, filled):
    spoil(filled)

    result = assay("fsck", "--json", "--backend", filled)

    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["database"] == BackendUrl.parse(filled).shown
    assert "orphans" in found["checked"]
    assert {"name": "orphans", "rows": [[1, "workflow_tasks"]], "count": 1}.items() <= next(
        each for each in found["findings"] if each["name"] == "orphans"
    ).items()


def test_a_file_that_is_not_there_is_not_made(assay, tmp_path):
    result = assay("fsck", "--backend", f"sqlite://{tmp_path}/none.db")

    assert result.exit_code == 2
    assert f"there is no file {tmp_path}/none.db" in result.output
    assert not (tmp_path / "none.db").exists()


def test_what_is_no_database_cannot_be_checked(assay, tmp_path):
    (tmp_path / "letter.db").write_text("Dear database, " * 1000)

    result = assay("fsck", "--backend", f"sqlite://{tmp_path}/letter.db")

    assert result.exit_code == 2
    assert "could not be checked" in result.output


def test_an_empty_database_is_not_filled_by_looking_at_it(assay, postgres):
    url = postgres.empty_database()
    try:
        first, second = assay("fsck", "--backend", url), assay("fsck", "--backend", url)
    finally:
        postgres.drop(url)

    assert (first.exit_code, second.exit_code) == (2, 2)
    assert "holds no schema of assay-wsgi" in second.output


def test_migrate_makes_what_is_not_there_and_then_has_nothing_to_do(assay, postgres, sqlite_url):
    empty = postgres.empty_database()
    try:
        for url in (sqlite_url, empty):
            assert assay("db", "migrate", "--backend", url).output.endswith(": made\n")
            assert assay("db", "migrate", "--backend", url).output.endswith(": nothing to do\n")
    finally:
        postgres.drop(empty)


def test_migrate_refuses_a_database_of_a_newer_build(assay, filled):
    store = Store.open(filled)
    with store.administer() as db:
        db.run("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    store.close()

    commands = (["db", "migrate"], ["serve", "--port", "0"], ["fsck"])
    results = [assay(*command, "--backend", filled) for command in commands]
    # It has signal handlers of its own, which are nothing for the process of the tests.
    sidecar = subprocess.run(
        [sys.executable, "-m", "assay_wsgi", "sidecar", "--backend", filled], capture_output=True, text=True
    )

    assert [result.exit_code for result in results] == [1, 1, 2]
    assert sidecar.returncode == 1
    for said in (*(result.output for result in results), sidecar.stderr):
        assert "this database is newer, use a newer build" in said
        assert "Traceback" not in said


def test_a_server_that_does_not_answer_is_said_in_one_line(assay):
    away = "postgresql://127.0.0.1:1/assay"

    migrated, checked = assay("db", "migrate", "--backend", away), assay("fsck", "--backend", away)

    assert (migrated.exit_code, checked.exit_code) == (1, 2)
    assert "the database does not answer" in migrated.output
    assert "Traceback" not in migrated.output + checked.output


@pytest.mark.parametrize("words", ["-o yaml {}", "{} --output yaml", "-o json {} -o yaml", "--config here.yml {}"])
@pytest.mark.parametrize("command", ["fsck", "db status", "db doctor"])
def test_the_format_of_records_may_stand_before_and_after_the_command(command, words, filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.yml").write_text("output: yaml\n")

    result = CliRunner().invoke(cli, f"{words.format(command)} --backend {filled}".split())

    assert yaml.safe_load(result.output)["database"] == BackendUrl.parse(filled).shown
    assert result.output.startswith("database: ")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--output json db migrate", "--output (--json): 'migrate' has no such option"),
        ("--json serve", "--output (--json): 'serve' has no such option"),
        ("--engine-url http://h:1 --utc db status", "--engine-url and --utc: 'status' has no such option"),
        ("worker --namespace other run a:b", "--namespace: 'run' has no such option, so it cannot stand before it"),
    ],
)
def test_an_option_before_a_command_that_would_not_heed_it_is_refused(words, named):
    result = CliRunner().invoke(cli, words.split())

    assert result.exit_code == 2
    assert named in result.output
