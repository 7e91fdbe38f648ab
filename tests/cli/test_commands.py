"""What the commands refuse, with which exit code and words, and what they hand on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from assay_wsgi import __version__
from assay_wsgi.cli.main import COMMANDS
from assay_wsgi.cli.main import cli
from assay_wsgi.cli.processes import serve as serve_module


@pytest.fixture
def assay():
    def run(*arguments, **environ):
        return CliRunner().invoke(cli, arguments, env=environ)

    return run


@pytest.fixture
def supervised(monkeypatch):
    """The commands that `assay serve` would keep alive, instead of doing so."""
    given = []

    class Recorder:
        def __init__(self, commands, *, patience_secs, tell):
            given.extend(commands)
            self.patience_secs = patience_secs

        def run(self):
            return True

    monkeypatch.setattr(serve_module, "Supervisor", Recorder)
    return given


def test_version(assay):
    assert assay("version").output == f"assay {__version__}\n"


def test_every_command_has_help(assay):
    listed = assay("--help").output

    for name in COMMANDS:
        assert f"  {name} " in listed
        assert assay(name, "--help").exit_code == 0


def test_serve_keeps_gunicorn_and_the_sidecar_alive(assay, supervised, tmp_path):
    result = assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", "--port", "0", "--no-auth")

    assert result.exit_code == 0
    assert [command.name for command in supervised] == ["gunicorn", "sidecar"]
    web = supervised[0]
    assert web.argv[1:6] == ("-m", "gunicorn", "-c", "python:assay_wsgi.cli.processes.gunicorn_conf", "--bind")
    assert web.environ["DATABASE_URL"] == f"sqlite://{tmp_path}/a.db"
    host, _, port = web.environ["ASSAY_BIND"].partition(":")
    assert (host, int(port) > 0) == ("127.0.0.1", True)


def test_serve_without_its_sidecar(assay, supervised, tmp_path):
    assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", "--port", "0", "--no-sidecar")

    assert [command.name for command in supervised] == ["gunicorn"]


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        (["--auth-api-key"], {"ASSAY_AUTH_API_KEY": "1"}),
        (
            ["--auth-issuer", "https://id.example", "--auth-audience", "assay"],
            {"ASSAY_AUTH_ISSUER": "https://id.example", "ASSAY_AUTH_AUDIENCE": "assay"},
        ),
    ],
    ids=str,
)
def test_who_is_let_in_is_handed_on_and_then_other_machines_are_served(assay, supervised, tmp_path, flags, environ):
    result = assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", "--host", "0.0.0.0", "--port", "0", *flags)

    assert result.exit_code == 0, result.output
    assert supervised[0].environ.items() >= environ.items()


def test_a_service_that_asks_for_keys_says_that_there_is_none_yet(assay, supervised, tmp_path, caplog):
    backend = ("--backend", f"sqlite://{tmp_path}/a.db")

    assay("serve", *backend, "--port", "0", "--auth-api-key")
    assert f"there is no API key yet: `assay apikey create {' '.join(backend)}` makes one" in caplog.text

    caplog.clear()
    assay("serve", *backend, "--generate-api-key")
    assay("serve", *backend, "--port", "0", "--auth-api-key")
    assert "no API key yet" not in caplog.text


def test_no_auth_wins_over_the_environment(assay, supervised, tmp_path):
    result = assay(
        "serve", "--backend", f"sqlite://{tmp_path}/a.db", "--port", "0", "--no-auth", ASSAY_AUTH_API_KEY="1",
        ASSAY_AUTH_ISSUER="https://id.example",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert (supervised[0].environ["ASSAY_AUTH_API_KEY"], supervised[0].environ["ASSAY_AUTH_ISSUER"]) == ("0", "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--no-auth", "--auth-api-key"], "either callers are asked who they are or they are not"),
        (["--insecure-no-auth", "--auth-issuer", "https://id.example"], "either callers are asked"),
        (["--auth-issuer", "https://id.example"], "ASSAY_AUTH_AUDIENCE"),
        (["--auth-issuer", "http://id.example", "--auth-audience", "a"], "ASSAY_AUTH_ISSUER"),
        (["--auth-audience", "assay"], "--auth-issuer must say whose"),
    ],
    ids=str,
)
def test_a_door_that_cannot_be_meant_is_refused_before_anything_starts(assay, supervised, tmp_path, flags, said):
    result = assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", *flags)

    assert result.exit_code == 2
    assert said in result.output
    assert supervised == []


def test_a_bootstrap_token_that_is_guessed_soon_is_refused_and_never_shown(assay, supervised, tmp_path):
    result = assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", ASSAY_BOOTSTRAP_TOKEN="hunter2")

    assert result.exit_code == 2
    assert "ASSAY_BOOTSTRAP_TOKEN: what is set will not do: at least 32 visible ASCII characters" in result.output
    assert "hunter2" not in result.output


def test_other_machines_are_let_in_only_when_that_is_said(assay, supervised, tmp_path):
    backend = ("--backend", f"sqlite://{tmp_path}/a.db")

    refused = assay("serve", *backend, "--host", "0.0.0.0", "--port", "0")
    by_environment = assay("serve", *backend, ASSAY_BIND="0.0.0.0:0")
    assert (refused.exit_code, by_environment.exit_code) == (2, 2)
    assert "0.0.0.0 can be reached from other machines" in refused.output
    assert "--auth-api-key" in refused.output
    assert supervised == []

    allowed = assay("serve", *backend, "--host", "0.0.0.0", "--port", "0", "--insecure-no-auth")
    assert allowed.exit_code == 0
    assert supervised[0].environ["ASSAY_INSECURE_NO_AUTH"] == "1"


@pytest.mark.parametrize("command", [["serve"], ["sidecar"], ["db", "migrate"]])
def test_a_database_in_memory_is_refused_where_several_processes_would_want_it(assay, command):
    result = assay(*command, "--backend", "sqlite://:memory:")

    assert result.exit_code == 2
    assert "sqlite://:memory:" in result.output


@pytest.mark.parametrize("command", [["serve"], ["sidecar"], ["fsck"], ["db", "migrate"]])
def test_a_bad_setting_ends_every_command_by_name(assay, command):
    result = assay(*command, ASSAY_BATCH_WEIGHT="many", ASSAY_COLOUR="red")

    assert result.exit_code == 2
    assert "ASSAY_BATCH_WEIGHT: 'many' is not a whole number (of rows)" in result.output
    assert "ASSAY_COLOUR: no such setting" in result.output


@pytest.mark.parametrize("command", [["serve"], ["sidecar"], ["fsck"], ["db", "migrate"]])
def test_a_directory_that_is_not_there_is_named(assay, tmp_path, command):
    result = assay(*command, "--backend", f"sqlite://{tmp_path}/nowhere/a.db")

    assert result.exit_code == 2
    assert f"there is no directory {tmp_path}/nowhere" in result.output


def test_a_port_that_is_taken_is_named(assay, supervised, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = assay("serve", "--backend", f"sqlite://{tmp_path}/a.db", "--port", str(port))

    assert result.exit_code == 1
    assert f"cannot listen at http://127.0.0.1:{port}: Address already in use" in result.output
    assert supervised == []


def test_what_is_neither_an_app_nor_a_command_of_workers_is_refused(assay):
    result = assay("worker", "hel-lo")

    assert result.exit_code == 2
    assert "there is no command 'hel-lo'; there are run, list" in result.output


@pytest.mark.parametrize(
    ("said", "meant"), [("mine", "mine:app"), ("shop.worker", "shop.worker:app"), ("shop/worker.py", "shop.worker:app")]
)
def test_an_app_without_its_colon_is_told_so(assay, said, meant):
    result = assay("worker", said)

    assert result.exit_code == 2
    assert f"error: '{said}' names no app: write MODULE:APP, as in {meant}; there are also run, list" in result.output
    assert f"as in {said}:app" in assay("worker", "run", said).output


def test_a_slip_in_a_command_of_workers_is_no_app(assay):
    assert "did you mean list?" in assay("worker", "lst").output


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "import json\n\ndef read():\n    return json.loads('{')\n\nread()\n",
            ["mend it and start the worker again", 'mine.py", line 6, in <module>', 'mine.py", line 4, in read',
             "json.decoder.JSONDecodeError: "],
        ),
        ("import no_such_thing\n", ["install what brings 'no_such_thing' for ", 'mine.py", line 1, in <module>']),
        ("def (\n", ['mine.py", line 1', "SyntaxError: "]),
        ("raise ValueError('no such shop')\n", ["ValueError: no such shop"]),
        ("import json\njson.nothing\n", ["AttributeError: module 'json' has no attribute 'nothing'"]),
    ],
)  # fmt: skip
def test_a_module_that_fails_is_told_by_the_users_own_frames(tmp_path, code, told):
    (tmp_path / "mine.py").write_text(code)

    for launcher in ("assay_wsgi", "assay_wsgi.sdk"):
        done = subprocess.run(
            [sys.executable, "-m", launcher, "worker", "mine:app"], capture_output=True, text=True, cwd=tmp_path
        )

        assert done.returncode == 1
        assert done.stderr.startswith("error: module 'mine' fails when it is imported: ")
        assert all(words in done.stderr for words in told), done.stderr
        assert "importlib" not in done.stderr
        assert "json/decoder.py" not in done.stderr
        assert "Usage" not in done.stderr


def test_a_worker_reads_the_config_file_where_nobody_says_more(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    (tmp_path / "assay.yaml").write_text("engine_url: http://there:1\nnamespace: shop\napi_key_file: key\n")
    (tmp_path / "mine.py").write_text(
        "from assay_wsgi.sdk import Assay\n"
        "class Told(Assay):\n"
        "    def run(self, **options):\n"
        "        print(self.url, self.token, self.namespace, self.queue, sep=' ', flush=True)\n"
        "        return 0\n"
        "app, own = Told(), Told('http://own:2', namespace='mine')\n"
    )

    def told(*arguments, **environ):
        argv = [sys.executable, "-m", "assay_wsgi", *arguments]
        bare = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        return subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, env={**bare, **environ})

    config = ("--config", "assay.yaml")
    assert told("worker", "mine:app", *config).stdout == "http://there:1 secret shop default\n"
    assert told("worker", "mine:app", ASSAY_CONFIG_FILE="assay.yaml").stdout == "http://there:1 secret shop default\n"
    assert told("worker", "mine:own", *config).stdout == "http://own:2 secret mine default\n"
    more = {"ASSAY_ENGINE_URL": "http://env:3", "ASSAY_API_KEY": "other"}
    assert told("worker", "mine:app", *config, **more).stdout == "http://env:3 other shop default\n"
    refused = told("worker", "mine:app", "--config", "nowhere.yaml")
    assert (refused.returncode, refused.stderr) == (1, "error: --config: there is no file nowhere.yaml\n")


def test_an_app_that_is_not_there_is_named(assay):
    result = assay("worker", "nowhere_at_all:app")

    assert result.exit_code == 2
    assert "nowhere_at_all" in result.output


@pytest.mark.parametrize(
    "before",
    [("worker",), ("worker", "run"), ("worker", "--queue", "fast", "--workflow-slots", "5", "--worker-id", "w1")],
)
def test_a_worker_gets_the_options_that_were_given(assay, monkeypatch, before):
    from assay_wsgi.sdk import launch

    given = {}

    def main(target, **options):
        given.update(options, target=target)
        return 3

    monkeypatch.setattr(launch, "main", main)

    result = assay(*before, "hello:app", "--queue", "fast", "--workflow-slots", "5", "--worker-id", "w1")

    assert result.exit_code == 3
    assert {name: value for name, value in given.items() if value is not None} == {
        "target": "hello:app",
        "queue": "fast",
        "workflow_slots": 5,
        "worker_id": "w1",
    }


def test_without_the_servers_packages_the_command_names_the_extra():
    hidden = "import sys; sys.modules['click'] = None; from assay_wsgi.__main__ import main; main()"

    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "the package 'click' is not installed" in done.stderr
    assert "pip install 'assay-wsgi[server]'" in done.stderr
    assert "python -m assay_wsgi.sdk worker MODULE:APP" in done.stderr


def test_the_sdk_loads_nothing_of_the_server():
    probe = (
        "import sys, assay_wsgi, assay_wsgi.sdk; "
        "print(sorted({'flask', 'peewee', 'psycopg', 'click', 'gunicorn'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
