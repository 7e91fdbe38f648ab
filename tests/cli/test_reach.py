"""An operator can do at the terminal whatever the API can; and a wait, a follow and a Ctrl-C against a live service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from assay_wsgi.api import openapi
from assay_wsgi.app import create_app
from assay_wsgi.engine import Engine
from assay_wsgi.settings import Settings
from tests.cli.cases import CASES
from tests.cli.stage import call
from tests.cli.stage import serving

LEASES = "a worker's own: it leases work, or speaks for a lease that it holds"
BROWSERS = "for browsers: GET /api/v1/events tells the same"
PAGES = "for pages in a browser: a program sends its key"
MONITORS = "says what /livez says, which `assay healthcheck` asks"
NOT_FOR_PEOPLE = {
    ("POST", "/api/v1/workers/register"): LEASES,
    ("POST", "/api/v1/workers/heartbeat"): LEASES,
    ("POST", "/api/v1/workers/{worker_id}/exchange"): LEASES,
    ("POST", "/api/v1/workflow-tasks/poll"): LEASES,
    ("POST", "/api/v1/workflow-tasks/{workflow_id}/commands"): LEASES,
    ("POST", "/api/v1/workflow-tasks/{workflow_id}/fail"): LEASES,
    ("POST", "/api/v1/workflow-tasks/{workflow_id}/heartbeat"): LEASES,
    ("POST", "/api/v1/events/ticket"): PAGES,
    ("GET", "/api/v1/health"): MONITORS,
    ("GET", "/api/v1/events/stream"): BROWSERS,
    ("GET", "/api/v1/ws"): BROWSERS,
}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def test_every_route_is_reached_by_a_command_or_is_not_for_people(monkeypatch, tmp_path):
    asked = set()
    with serving(tmp_path, asked) as url:
        monkeypatch.setenv("ASSAY_ENGINE_URL", url)
        for case in CASES:
            call(monkeypatch, *case.arguments, stdin=case.stdin)
        for probe in ("healthcheck", "healthcheck --ready", "doctor --wait 1"):
            call(monkeypatch, *probe.split())
        described = json.loads(call(monkeypatch, "openapi").out)

    routes = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    reached = {(method, rule.replace("<", "{").replace(">", "}")) for method, rule in asked}
    assert routes - reached == NOT_FOR_PEOPLE.keys()


def test_the_description_is_printed_as_the_service_gives_it(monkeypatch, tmp_path):
    engine = Engine.open("sqlite://:memory:")
    described = openapi.describe(create_app(Settings(), engine))
    engine.close()

    with serving(tmp_path) as url:
        printed = json.loads(call(monkeypatch, "openapi", "--engine-url", url).out)

    assert printed["paths"] == json.loads(json.dumps(described["paths"]))


def test_ctrl_c_ends_the_following_and_says_that_the_run_goes_on(tmp_path):
    with serving(tmp_path) as url:
        argv = [sys.executable, "-m", "assay_wsgi", "workflow", "run", "--type", "Greet", "--id", "new-1"]
        process = subprocess.Popen([*argv, "--engine-url", url], stdout=-1, stderr=-1, text=True)
        assert "new-1 is started" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "")
    assert "new-1 goes on. Look again: assay workflow show new-1" in err


def test_a_reader_that_leaves_is_no_error(tmp_path):
    with serving(tmp_path) as url:
        line = f"{sys.executable} -m assay_wsgi openapi --engine-url {url} | head -c 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("{0\n", "")


def test_nothing_there_is_said_with_the_url(monkeypatch):
    said = call(monkeypatch, "workflow", "list", "--engine-url", "http://127.0.0.1:1")

    assert said == (1, "", "error: list workflows: engine unreachable at http://127.0.0.1:1: Connection refused\n")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_for_want_of_a_key_has_its_own_exit_code(status):
    from assay_wsgi.cli.remote.service import answered
    from assay_wsgi.sdk.transport import Reply

    error = answered("list workflows", Reply(status, {"error": "no", "code": "unauthorized"}, {}), keyed=False)

    assert error.exit_code == 3
    assert error.message == (
        f"list workflows: HTTP {status} unauthorized: no; give a key: --api-key, ASSAY_API_KEY or ASSAY_API_KEY_FILE"
    )


def test_options_stand_before_or_after_and_the_innermost_counts(monkeypatch, tmp_path):
    with serving(tmp_path) as url:
        monkeypatch.setenv("ASSAY_ENGINE_URL", url)
        said = {
            call(monkeypatch, *words.split()).out
            for words in (
                "-o json workflow -o yaml list -o jsonl --limit 1",
                "workflow --output jsonl list --limit 1",
                "--output jsonl workflow list --limit 1",
            )
        }
        alias = call(monkeypatch, "workflow", "list", "--limit", "1", "--json")

    (line,) = said
    assert json.loads(alias.out) == [json.loads(line)]


@pytest.mark.parametrize(
    ("words", "meant"), [("workflow lst", "did you mean list"), ("workflow list --stauts x", "--status")]
)
def test_a_slip_is_answered_with_what_was_meant(monkeypatch, words, meant):
    said = call(monkeypatch, *words.split())

    assert said.code == 2
    assert meant in said.err
    assert said.err.startswith("error: ")


def test_without_arguments_the_help_comes_with_exit_code_1(monkeypatch):
    assert call(monkeypatch).code == 1
