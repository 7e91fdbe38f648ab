"""The parent of `assay serve`, run as a process of its own over small commands that die as they are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import gone
from tests.processes import until

PARENT = """
    import json, logging, os, sys
    from assay_wsgi.cli.supervisor import Command, Supervisor
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    commands = [Command(name=n, argv=argv, environ=dict(os.environ)) for n, argv in json.loads(sys.argv[1])]
    print("all ended in time:", Supervisor(commands, patience_secs=float(sys.argv[2])).run())
"""
# A child writes its pid into a file of its own name, then does what it is for.
STEADY = """
    import signal, sys, pathlib, os
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open(sys.argv[1], "a") as pids:
        pids.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()
"""
DEAF = STEADY.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
CLINGING = """
    import os, signal, sys
    from assay_wsgi.cli import lifeline
    lifeline.when_any_ends([int(os.environ["ASSAY_PARENT_FD"])], lambda: os.kill(os.getpid(), signal.SIGTERM))
    with open(sys.argv[1], "a") as pids:
        pids.write(f"{os.getpid()}\\n")
    while True:
        signal.pause()
"""
SHORT_LIVED = """
    import os, sys
    with open(sys.argv[1], "a") as pids:
        pids.write(f"{os.getpid()}\\n")
    sys.exit(7)
"""


class Family:
    """A supervisor under test, and the pid files of its children."""

    def __init__(self, directory: Path, patience_secs: float, **sources: str) -> None:
        self.directory = directory
        commands = [
            (name, [sys.executable, "-c", textwrap.dedent(source), str(directory / name)])
            for name, source in sources.items()
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PARENT), json.dumps(commands), str(patience_secs)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pids(self, name: str) -> list[int]:
        file = self.directory / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def started(self, name: str, times: int = 1) -> int:
        """Wait until the child was started so many times; the newest pid."""
        until(lambda: len(self.pids(name)) >= times)
        return self.pids(name)[-1]

    def said(self) -> str:
        """Wait for the end; all that was printed."""
        return self.process.communicate(timeout=30)[0]


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    families: list[Family] = []

    def made(patience_secs: float = 20.0, **sources: str) -> Family:
        families.append(Family(tmp_path, patience_secs, **sources))
        return families[-1]

    yield made
    for each in families:
        each.process.kill()
        each.process.wait()
        assert each.process.stdout is not None
        each.process.stdout.close()
        for name in os.listdir(tmp_path):
            for pid in each.pids(name):
                if not gone(pid):
                    os.kill(pid, signal.SIGKILL)


def test_a_child_that_is_killed_is_started_again(family):
    parent = family(web=STEADY, sidecar=STEADY)
    first, sidecar = parent.started("web"), parent.started("sidecar")

    os.kill(first, signal.SIGKILL)
    second = parent.started("web", times=2)

    assert second != first
    assert parent.pids("sidecar") == [sidecar]


def test_at_sigterm_the_children_end_in_peace_and_then_the_parent(family):
    parent = family(web=STEADY, sidecar=STEADY)
    children = [parent.started("web"), parent.started("sidecar")]

    parent.process.terminate()

    assert "all ended in time: True" in parent.said()
    assert parent.process.returncode == 0
    assert all(gone(pid) for pid in children)


def test_ctrl_c_ends_it_in_the_same_peace(family):
    parent = family(web=STEADY)
    parent.started("web")

    parent.process.send_signal(signal.SIGINT)

    assert "all ended in time: True" in parent.said()


def test_a_child_that_does_not_end_is_killed_when_patience_is_out(family):
    parent = family(patience_secs=0.3, web=DEAF, sidecar=STEADY)
    children = [parent.started("web"), parent.started("sidecar")]

    parent.process.terminate()

    said = parent.said()
    assert "web did not end in time: killed" in said
    assert "all ended in time: False" in said
    assert all(gone(pid) for pid in children)


def test_children_end_when_the_parent_is_killed(family):
    parent = family(web=CLINGING, sidecar=CLINGING)
    children = [parent.started("web"), parent.started("sidecar")]

    parent.process.kill()
    parent.process.wait()

    until(lambda: all(gone(pid) for pid in children))


def test_the_pause_before_a_new_start_grows_and_is_told(family):
    parent = family(web=SHORT_LIVED)
    parent.started("web", times=4)

    parent.process.terminate()

    deaths = [line for line in parent.said().splitlines() if line.startswith("web (pid")]
    assert [line.partition(") ")[2] for line in deaths[:3]] == [
        "ended with exit code 7; it is started again in 0.1 s",
        "ended with exit code 7; it is started again in 0.2 s",
        "ended with exit code 7; it is started again in 0.4 s",
    ]
