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
    from functools import partial
    from assay_wsgi.cli.processes import child
    from assay_wsgi.cli.processes.supervisor import Supervisor
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    child.READY_SECS = 3.0 if "mute" in sys.argv[1] else 60.0
    commands = [child.Command(name=n, argv=argv, environ=dict(os.environ)) for n, argv in json.loads(sys.argv[1])]
    told = partial(print, "told", flush=True)
    print("all ended in time:", Supervisor(commands, patience_secs=float(sys.argv[2]), tell=told).run())
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
SERVING = STEADY.replace(
    "    while True:",
    """\
    os.write(int(os.environ["ASSAY_READY_FD"]), b".")
    while True:""",
)
# The first of them serves; those that are to replace it do not.
ONLY_THE_FIRST = """
    if len(open(sys.argv[1]).readlines()) > 1:
        {otherwise}
    os.write(int(os.environ["ASSAY_READY_FD"]), b".")
    while True:"""
FALLING = STEADY.replace("\n    while True:", ONLY_THE_FIRST.format(otherwise="sys.exit(7)"))
MUTE = STEADY.replace("\n    while True:", ONLY_THE_FIRST.format(otherwise="signal.pause()"))
# It serves only when its parent knows of the death.
KILLING = STEADY.replace(
    "\n    while True:",
    """
    old = int(open(sys.argv[1]).readline())
    if old != os.getpid():
        os.kill(old, signal.SIGKILL)
        while os.path.exists(f"/proc/{old}"):
            os.sched_yield()
    os.write(int(os.environ["ASSAY_READY_FD"]), b".")
    while True:""",
)
DEAF_SERVING = SERVING.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
DEAF = STEADY.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
CLINGING = """
    import os, signal, sys
    from assay_wsgi.cli.processes import lifeline
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
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed = ""

    def pids(self, name: str) -> list[int]:
        file = self.directory / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def started(self, name: str, times: int = 1) -> int:
        """Wait until the child was started so many times; the newest pid."""
        until(lambda: len(self.pids(name)) >= times)
        return self.pids(name)[-1]

    def says(self, words: str) -> None:
        """Wait until it has printed a line with these words."""
        assert self.process.stdout is not None
        while words not in self._printed:
            line = self.process.stdout.readline()
            assert line, f"it ended without saying {words!r}: {self._printed}"
            self._printed += line

    def said(self) -> str:
        """Wait for the end; all that was printed."""
        return self._printed + self.process.communicate(timeout=30)[0]


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


def test_at_sighup_each_process_ends_only_when_its_successor_serves(family):
    parent = family(web=SERVING, sidecar=SERVING)
    parent.says("told READY=1")
    old = [parent.started("web"), parent.started("sidecar")]

    parent.process.send_signal(signal.SIGHUP)
    parent.says("told RELOADING=1")
    until(lambda: all(gone(pid) for pid in old))
    parent.process.terminate()

    said = parent.said()
    assert [len(parent.pids(name)) for name in ("web", "sidecar")] == [2, 2]
    for name, pid in zip(("web", "sidecar"), old, strict=True):
        assert f"the new {name} (pid {parent.pids(name)[1]}) serves; the old one (pid {pid}) ends" in said
    assert [line.split()[1] for line in said.splitlines() if line.startswith("told ")] == [
        "READY=1", "RELOADING=1", "READY=1", "STOPPING=1",
    ]  # fmt: skip
    assert "all ended in time: True" in said


def test_a_second_sighup_during_a_reload_is_one_more_reload_after_it(family):
    parent = family(web=SERVING)
    parent.says("told READY=1")

    parent.process.send_signal(signal.SIGHUP)
    parent.says("told RELOADING=1")
    parent.process.send_signal(signal.SIGHUP)
    parent.started("web", times=3)
    until(lambda: gone(parent.pids("web")[1]))
    parent.process.terminate()

    assert parent.said().count("serves; the old one") == 2


@pytest.mark.parametrize(
    ("source", "complaint"),
    [(FALLING, "ended with exit code 7 before it served"), (MUTE, "did not serve within 3 s: killed")],
    ids=["falling", "mute"],
)
def test_a_replacement_that_never_serves_replaces_nothing(family, source, complaint):
    name = "mute" if source is MUTE else "web"
    parent = family(**{name: source})
    parent.says("told READY=1")

    parent.process.send_signal(signal.SIGHUP)
    parent.says(f"the new {name} (pid {parent.started(name, times=2)}) {complaint}")
    old, new = parent.pids(name)

    assert gone(new)
    assert not gone(old)
    parent.process.terminate()
    assert "the old one goes on" in parent.said()


def test_a_child_that_dies_while_it_is_replaced_is_replaced_all_the_same(family):
    parent = family(web=KILLING)
    parent.says("told READY=1")

    parent.process.send_signal(signal.SIGHUP)
    parent.says("told RELOADING=1")
    new = parent.started("web", times=2)
    until(lambda: gone(parent.pids("web")[0]))
    parent.says("was ended by signal SIGKILL while it was replaced")
    parent.process.terminate()

    assert "all ended in time: True" in parent.said()
    assert parent.pids("web")[1:] == [new]


def test_an_old_process_that_does_not_end_is_killed_when_patience_is_out(family):
    parent = family(patience_secs=0.3, web=DEAF_SERVING)
    parent.says("told READY=1")

    parent.process.send_signal(signal.SIGHUP)
    until(lambda: len(parent.pids("web")) == 2 and gone(parent.pids("web")[0]))
    parent.process.terminate()

    assert f"the old web (pid {parent.pids('web')[0]}) did not end in time: killed" in parent.said()
