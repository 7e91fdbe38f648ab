"""`assay worker --reload`: the newest code works, and nothing is lost on the way to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import requests

from assay_wsgi.cli.processes.reload import Files
from assay_wsgi.cli.processes.reloaded import blamed
from tests.processes import children
from tests.processes import gone
from tests.processes import until

APP = """
    import time
    from pathlib import Path
    from assay_wsgi.sdk import Assay
    import parts

    app = Assay(url="{url}")

    @app.activity
    def slow():
        Path("began").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return parts.NAME

    @app.workflow
    def Slow(ctx):
        return ctx.execute_activity(slow)

    print("loaded", parts.NAME, flush=True)
"""


class Reloading:
    """A directory with an app, and the command that runs it."""

    def __init__(self, directory, url="http://127.0.0.1:1"):
        self.directory = directory
        self.log = directory / "log"
        self.write("app.py", textwrap.dedent(APP).format(url=url))
        self.write("parts.py", "NAME = 'one'\n")

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def start(self, *options):
        argv = [sys.executable, "-m", "assay_wsgi", "worker", "app:app", "--reload", *options]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(argv, cwd=self.directory, stdout=output, stderr=subprocess.STDOUT)

    def says(self, text, times=1):
        until(lambda: self.log.read_text().count(text) >= times)

    def worker(self):
        return until(lambda: next(iter(children(self.process.pid)), None))

    def ends(self):
        return self.process.wait(timeout=60)


@pytest.fixture
def reloading(tmp_path):
    made = []

    def make(*arguments):
        made.append(Reloading(tmp_path, *arguments))
        return made[-1]

    yield make
    for each in made:
        family = [each.process.pid, *children(each.process.pid)]
        for pid in family:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        each.process.wait()


def test_a_change_of_an_imported_file_starts_the_worker_again(reloading):
    app = reloading()
    app.start()
    app.says("loaded one")
    first = app.worker()

    app.write("parts.py", "NAME = 'two'\n")

    app.says("loaded two")
    app.says(f"reload: {app.directory}/parts.py changed: the worker ends and starts again")
    assert gone(first)

    app.process.terminate()
    assert app.ends() == 0


def test_code_that_cannot_be_imported_is_shown_and_mended(reloading):
    app = reloading()
    app.start()
    app.says("loaded one")

    app.write("parts.py", "NAME = \n")
    app.says("SyntaxError: invalid syntax")
    app.says("it starts again when a file changes")
    app.write("parts.py", "import pieces\nNAME = pieces.NAME\n")
    app.says("No module named 'pieces'")
    app.says("it starts again when a file changes", times=2)
    app.write("pieces.py", "NAME = 'three'\n")
    app.says("loaded three")

    app.process.send_signal(signal.SIGINT)
    assert app.ends() == 0


def test_an_app_that_is_not_there_yet_is_waited_for(reloading):
    app = reloading()
    text = (app.directory / "app.py").read_text()
    (app.directory / "app.py").unlink()
    app.start()
    app.says("there is no module 'app'")
    app.says("it starts again when a file changes")

    app.write("app.py", text)

    app.says("loaded one")


def test_a_worker_finishes_what_it_does_before_another_starts(reloading, service):
    app = reloading(service)
    app.start()
    app.says("loaded one")
    run = {"workflow_type": "Slow", "workflow_id": "slow", "task_queue": "default"}
    started = requests.post(f"{service}/api/v1/workflows", json=run, timeout=60)
    assert started.status_code == 201
    until((app.directory / "began").exists)
    first = app.worker()

    app.write("parts.py", "NAME = 'two'\n")
    app.says("the worker ends and starts again")
    assert not gone(first)
    assert "loaded two" not in app.log.read_text()
    (app.directory / "go").touch()

    app.says("loaded two")
    events = requests.get(f"{service}/api/v1/workflows/slow/events", timeout=60).json()
    done = [json.loads(event["payload"])["result"] for event in events if event["event_type"] == "ActivityCompleted"]
    assert done == ["one"]


def test_a_worker_ends_when_its_parent_was_killed(reloading):
    app = reloading()
    app.start()
    app.says("loaded one")
    worker = app.worker()

    app.process.kill()

    until(lambda: gone(worker))


def test_a_file_that_was_written_after_the_worker_started_counts_as_changed(tmp_path):
    old, new = tmp_path / "old.py", tmp_path / "new.py"
    old.touch()
    os.utime(old, ns=(0, 1))
    files = Files()
    files.begin()
    files.add([str(old)])
    assert files.changed() is None

    new.touch()
    os.utime(new, ns=(2**62, 2**62))
    files.add([str(new)])
    assert files.changed() == str(new)

    files.begin()
    assert files.changed() is None


def test_a_file_that_is_being_saved_is_waited_for(tmp_path):
    file = tmp_path / "app.py"
    file.write_text("one")
    files = Files()
    files.begin()
    files.add([str(file)])

    file.unlink()
    assert files.settle() is False
    file.write_text("second")
    assert files.settle() is False
    assert files.settle() is True


def test_a_missing_module_is_looked_for_where_it_would_be_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError) as raised:
        import nowhere_at_all  # noqa: F401

    assert {f"{tmp_path}/nowhere_at_all.py", f"{tmp_path}/nowhere_at_all/__init__.py"} <= set(blamed(raised.value))
