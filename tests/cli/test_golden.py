"""Every command in every format, on a pipe and on a terminal, word for word.

ASSAY_TEST_GOLDEN=write writes the files anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from assay_wsgi.cli.main import COMMANDS
from assay_wsgi.cli.main import cli
from assay_wsgi.cli.options import SharedOption
from assay_wsgi.cli.remote.commands import EngineCommand
from assay_wsgi.cli.remote.commands import EngineGroup
from tests.cli.cases import CASES
from tests.cli.stage import call
from tests.cli.stage import serving
from tests.cli.stage import settled

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("ASSAY_TEST_GOLDEN") == "write"
WAYS = {
    "a terminal": ((), True),
    "a pipe": ((), False),
    "table": (("-o", "table"), False),
    "jsonl": (("-o", "JSONL"), False),
    "yaml": (("-o", "yml"), False),
}
ELSEWHERE = {"doctor", "healthcheck", "openapi"}  # with tests of their own


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """The service for all calls that only read."""
    with serving(tmp_path_factory.mktemp("standing")) as url:
        yield url


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No config file of a developer's, and one zone for all."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.command}/{case.name}" for case in CASES])
def test_each_call_says_what_it_always_said(case, standing, monkeypatch, tmp_path):
    told = []
    for way, (options, terminal) in WAYS.items():
        directory = tmp_path / way.replace(" ", "_")
        directory.mkdir()
        with serving(directory) if case.acts else nullcontext(standing) as url:
            monkeypatch.setenv("ASSAY_ENGINE_URL", url)
            said = call(monkeypatch, *case.arguments, *options, terminal=terminal, stdin=case.stdin)
        told.append(f"=== {way}: exit code {said.code}\n{said.out}" + (f"--- stderr\n{said.err}" if said.err else ""))
    text = settled("".join(told), url).replace(str(tmp_path), "HOME")

    path = GOLDEN / case.command / f"{case.name}.txt"
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def remote_commands(group=cli, path=()):
    """Every command that talks to a service, with its path."""
    with group.make_context("assay", [*path, "--help"], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, EngineGroup):
                yield from remote_commands(command, (*path, name))
            elif isinstance(command, EngineCommand) and name not in ELSEWHERE:
                yield "/".join((*path, name)), command


def test_every_command_and_every_option_of_it_has_a_case():
    missing = []
    for path, command in remote_commands():
        words = {word for case in CASES if case.command == path for word in case.arguments}
        if not any(case.command == path for case in CASES):
            missing.append(path)
        for param in command.params:
            if not isinstance(param, SharedOption) and param.param_type_name == "option":
                wanted = {*param.opts} - ({"-f", "-q", "-y"} & {*param.opts})
                missing += [f"{path} {one}" for one in (*wanted, *param.secondary_opts) if one not in words]

    assert missing == []
    assert set(COMMANDS) >= {"workflow", "activity", "namespace", "worker", "queue", "config"}


def test_no_file_is_left_of_a_case_that_is_gone():
    kept = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.txt")}

    assert kept == {f"{case.command}/{case.name}.txt" for case in CASES}
