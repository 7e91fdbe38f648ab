"""What every command that asks a service heeds: its config file, time-out, key, times and -v, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest
from werkzeug import Request
from werkzeug import Response

from tests.cli.stage import call
from tests.cli.stage import served
from tests.cli.stage import serving
from tests.processes import until

NOBODY = ["--engine-url", "http://127.0.0.1:1"]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def guarded(environ, start_response):
    """A service that lets one key in, knows another, and nobody else."""
    key = Request(environ).headers.get("Authorization")
    status, code = {None: (401, "unauthenticated"), "Bearer good": (200, "")}.get(key, (403, "forbidden"))
    body = "[]" if status == 200 else f'{{"error": "you are not let in", "code": "{code}"}}'
    return Response(body, status, content_type="application/json")(environ, start_response)


@pytest.mark.parametrize(
    "words",
    [
        "workflow list",
        "workflow wait order-1",
        "workflow result order-1",
        "workflow events order-1 --follow",
        "workflow run --type Greet",
        "events --follow",
        "workflow signal order-1 approve",
        "namespace delete other --force --yes",
        "openapi",
    ],
)
def test_who_is_not_let_in_hears_why_with_exit_code_3(words, monkeypatch):
    with served(guarded) as url:
        nobody = call(monkeypatch, *words.split(), "--engine-url", url)
        other = call(monkeypatch, *words.split(), "--engine-url", url, "--api-key", "bad")

    assert (nobody.code, nobody.out, other.code, other.out) == (3, "", 3, "")
    assert "HTTP 401 unauthenticated: you are not let in; give a key: --api-key, ASSAY_API_KEY" in nobody.err
    assert "HTTP 403 forbidden: you are not let in; is it the right key?" in other.err


def test_with_its_key_the_command_is_let_in(monkeypatch):
    with served(guarded) as url:
        assert call(monkeypatch, "workflow", "list", "--engine-url", url, "--api-key", "good") == (0, "[]\n", "")


def test_a_config_file_says_where_and_how(monkeypatch, tmp_path):
    with serving(tmp_path) as url:
        (tmp_path / "mine.yaml").write_text(f"engine_url: {url}\nnamespace: other\noutput: jsonl\n")
        said = call(monkeypatch, "workflow", "list", "--config", str(tmp_path / "mine.yaml"))

    assert (said.code, json.loads(said.out.splitlines()[-1])["id"]) == (0, "a/b c?#")


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "there is no file"), ("engin_url: http://h", "no key 'engin_url'; did you mean engine_url?")],
)
def test_a_config_file_that_cannot_be_meant_ends_the_command_before_it_asks(text, words, monkeypatch, tmp_path):
    path = tmp_path / "mine.yaml"
    if text:
        path.write_text(text)

    said = call(monkeypatch, "--config", str(path), "workflow", "list", *NOBODY)

    assert (said.code, said.out) == (1, "")
    assert str(path) in said.err
    assert words in said.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--timeout 0.05 workflow list", "no answer in 0.05 s"),
        ("workflow list --timeout 0.05", "no answer in 0.05 s"),
        ("--timeout 0.05 healthcheck", "timed out"),
    ],
)
def test_a_service_that_is_silent_is_waited_for_as_long_as_was_said(words, reason, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = call(monkeypatch, *words.split(), "--engine-url", url)

    assert (said.code, said.out) == (1, "")
    assert said.err.endswith(f"engine unreachable at {url}: {reason}\n")


def test_times_of_tables_are_local_for_people_and_numbers_for_programs_unless_said(monkeypatch, tmp_path):
    words = ["workflow", "events", "done-1", "--limit", "1", "-o", "table"]
    with serving(tmp_path) as url:
        monkeypatch.setenv("ASSAY_ENGINE_URL", url)
        told = {
            style: call(monkeypatch, *words, *flags, terminal=True).out.splitlines()[1]
            for style, flags in {"utc": ["--utc"], "epoch": ["--epoch"], "innermost": ["--utc", "--epoch"]}.items()
        }
        piped = call(monkeypatch, *words).out.splitlines()[1]
        before = call(monkeypatch, "--utc", *words).out.splitlines()[1]

    assert told["utc"].endswith("2023-11-14 22:13:20Z")
    assert told["epoch"].endswith("1700000000.0")
    assert (piped, before) == (told["epoch"], told["utc"])


def test_v_logs_each_request_to_standard_error_only(tmp_path):
    with serving(tmp_path) as url:
        argv = [sys.executable, "-m", "assay_wsgi", "workflow", "describe", "done-1", "--engine-url", url]
        quiet = subprocess.run(argv, capture_output=True, text=True, check=True)
        verbose = subprocess.run([*argv, "-v"], capture_output=True, text=True, check=True)

    assert quiet.stderr == ""
    assert verbose.stdout == quiet.stdout
    assert "DEBUG" in verbose.stderr
    assert "GET /workflows/done-1" in verbose.stderr
    assert "status=200" in verbose.stderr


@pytest.mark.parametrize("words", ["wait order-1", "result order-1", "events order-1 --follow"])
def test_ctrl_c_ends_a_wait_with_exit_code_130_and_no_traceback(words, tmp_path):
    asked = set()
    with serving(tmp_path, asked) as url:
        argv = [sys.executable, "-m", "assay_wsgi", "workflow", *words.split(), "--engine-url", url]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: asked)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err.strip() == ""
    assert "follow" in words or out == ""


def test_an_unknown_format_ends_as_in_assay_and_an_unknown_option_as_every_wrong_call(monkeypatch):
    assert call(monkeypatch, "workflow", "list", "-o", "xml", *NOBODY).code == 1
    assert call(monkeypatch, "workflow", "events", "w", "--order", "foo", *NOBODY).code == 2
