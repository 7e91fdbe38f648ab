"""deploy/systemd: systemd understands every unit, and what the units say of our processes is so."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from assay_wsgi.cli.processes.serve import KILL_AFTER_SECS
from assay_wsgi.cli.processes.sidecar import END_SECS
from assay_wsgi.settings import Settings
from tests.processes import gone
from tests.processes import until
from tests.serving import REPOSITORY
from tests.serving import Process
from tests.serving import processes_in

UNITS = REPOSITORY / "deploy" / "systemd"
INSTALLED = "/opt/assay/bin/assay"
APP = "examples.hello:app"


def directives(path: Path) -> dict[str, list[str]]:
    """What a unit says, each name with its values in their order."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


NAMES = sorted(path.name for path in UNITS.glob("*.service"))
SAID = {name: directives(UNITS / name) for name in NAMES}
ENGINE = ("assay.service", "assay-web.service", "assay-sidecar.service")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    with processes_in(tmp_path) as start:
        yield start


def environ_file() -> dict[str, str]:
    """What assay.env says."""
    lines = (UNITS / "assay.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def command_line(unit: str, environ: dict[str, str], **specifiers: str) -> list[str]:
    """The arguments of a unit's ExecStart with an environment that holds nothing else."""
    text = SAID[unit]["ExecStart"][0]
    for letter, meaning in specifiers.items():
        text = text.replace(f"%{letter}", meaning)
    program, *rest = shlex.split(text)
    assert program == INSTALLED
    pairs = [f"{name}={value}" for name, value in environ.items()]
    return ["env", "--ignore-environment", *pairs, sys.executable, "-m", "assay_wsgi", *rest]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_it(name, tmp_path):
    program = tmp_path / "assay"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    # All of them, for they name each other.
    for path in UNITS.glob("*.service"):
        text = path.read_text(encoding="utf-8").replace(INSTALLED, str(program))
        (tmp_path / path.name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", tmp_path / name], capture_output=True, text=True
    )

    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "assay" in line]
    assert (done.returncode, ours) == (0, [])


def test_each_is_given_the_time_to_end():
    def patience(name: str) -> float:
        return float(SAID[name]["TimeoutStopSec"][0])

    graceful = Settings().http.graceful_secs + KILL_AFTER_SECS
    worker = shlex.split(SAID["assay-worker@.service"]["ExecStart"][0])
    assert patience("assay.service") > graceful
    assert patience("assay-web.service") > graceful
    assert patience("assay-sidecar.service") > END_SECS
    assert patience("assay-worker@.service") > float(worker[worker.index("--grace") + 1])


def test_the_engine_s_units_are_locked_up_alike():
    def locks(name: str) -> dict[str, list[str]]:
        said = SAID[name]
        first = list(said).index("User")
        return {each: said[each] for each in list(said)[first:] if each != "WantedBy"}

    assert locks("assay-web.service") == locks("assay-sidecar.service") == locks("assay.service")
    assert len(locks("assay.service")) > 30


def test_the_environment_file_is_one_that_the_service_takes():
    settings = Settings.from_env(environ_file())

    assert settings.database_url == f"sqlite://{SAID['assay.service']['WorkingDirectory'][0]}/assay.db"


def test_the_units_command_lines_make_a_service_that_reloads_and_a_worker_that_works(run, tmp_path):
    environ = {**environ_file(), "DATABASE_URL": f"sqlite://{tmp_path}/assay.db", "ASSAY_BIND": "127.0.0.1:0"}
    web = run(*command_line("assay-web.service", environ))
    sidecar = run(*command_line("assay-sidecar.service", environ))
    web.ready()
    worker_environ = {"ASSAY_ENGINE_URL": f"http://{web.url()}", "PYTHONPATH": str(REPOSITORY)}
    worker = run(*command_line("assay-worker@.service", worker_environ, i=APP, H="host"))
    old = web.family()[1:]

    subprocess.run(
        shlex.split(SAID["assay-web.service"]["ExecReload"][0].replace("$MAINPID", str(web.popen.pid))), check=True
    )
    asked = {"workflow_type": "GreetWorkflow", "workflow_id": "h1", "task_queue": "default", "input": {"who": "Ada"}}
    started = web.post("/workflows", asked)

    assert started.status_code == 201
    until(lambda: requests.get(f"http://{web.url()}/api/v1/workflows/h1", timeout=60).json()["status"] == "COMPLETED")
    until(lambda: all(gone(pid) for pid in old))
    for process in (worker, web, sidecar):
        process.popen.terminate()
        assert process.ends() == 0
