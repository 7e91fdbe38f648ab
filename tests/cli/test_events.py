"""`assay events --follow` against a live service: what happens while it runs, from now on or from a cursor."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import count

import pytest

from tests.cli.stage import call
from tests.cli.stage import serving
from tests.processes import until


@pytest.fixture
def assay(monkeypatch, tmp_path):
    """Calls the command on a service of its own; what it prints is read as JSON lines."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def printed(*words):
        said = call(monkeypatch, *words, "--output", "jsonl")
        assert (said.code, said.err) == (0, "")
        return [json.loads(line) for line in said.out.splitlines()]

    with serving(tmp_path) as url:
        monkeypatch.setenv("ASSAY_ENGINE_URL", url)
        yield printed


@contextmanager
def following(*words):
    """Run `assay events --follow` with its output on pipes."""
    argv = [sys.executable, "-m", "assay_wsgi", "events", "--follow", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_prints_what_happens_until_ctrl_c_and_goes_on_from_there(assay):
    before = assay("events")[-1]["id"]
    with following("--after", before) as process:
        assay("workflow", "start", "--type", "Greet", "--id", "new-1")
        notice = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assay("workflow", "signal", "new-1", "approve")

    assert (notice["event_type"], notice["workflow_id"]) == ("workflow_started", "new-1")
    assert notice["payload"]["workflow_type"] == "Greet"
    assert (process.returncode, rest, err.strip()) == (130, "", "")
    (missed,) = assay("events", "--follow", "--after", notice["id"], "--limit", "1")
    assert (missed["event_type"], missed["payload"]["signal"]) == ("signal_received", "approve")


def test_without_a_cursor_it_begins_now(assay):
    assay("workflow", "start", "--type", "Greet", "--id", "before")
    with following("--type", "workflow_started", "--limit", "1") as process:
        numbers = count(1)

        def has_ended():
            assay("workflow", "start", "--type", "Greet", "--id", f"since-{next(numbers)}")
            return process.poll() is not None

        until(has_ended)
        out, err = process.communicate(timeout=60)

    assert json.loads(out)["workflow_id"].startswith("since-")
    assert (process.returncode, err) == (0, "")


def test_what_is_long_keeps_to_its_line_in_a_table(assay, monkeypatch):
    assay("workflow", "signal", "order-1", "n" * 120)

    lines = call(monkeypatch, "events", "--type", "signal_received", "--output", "table").out.splitlines()

    assert lines[1].endswith(f"  order-1      signal={'n' * 90}...")
