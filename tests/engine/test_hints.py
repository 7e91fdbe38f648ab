"""Hints: they reach every other process of the same store, and nothing breaks where they cannot."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay_wsgi.engine.hints import Hint
from assay_wsgi.engine.hints import Hints

PATIENCE_SECS = 30.0
WORK = ("workflow", "main", "q", 2)

Opened = Callable[..., "Ear"]


class Ear:
    """A Hints object and what it heard."""

    def __init__(self, directory: Path, store_id: str) -> None:
        self.heard: queue.Queue[list[Hint]] = queue.Queue()
        self.hints = Hints(store_id, self.heard.put, directory=directory)
        self.hints.start()

    def hears(self) -> list[Hint]:
        return self.heard.get(timeout=PATIENCE_SECS)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder near the root: the path of a socket may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="hints-") as made:
        yield Path(made)


@pytest.fixture
def opened(folder: Path) -> Iterator[Opened]:
    ears: list[Ear] = []

    def make(store_id: str = "store", directory: Path = folder) -> Ear:
        ears.append(Ear(directory, store_id))
        return ears[-1]

    yield make
    for ear in ears:
        ear.hints.close()


def test_a_hint_reaches_the_others_and_not_the_sender(opened: Opened) -> None:
    sender, one, two = opened(), opened(), opened()

    sender.hints.send([WORK, ("activity", "main", "q", 1)])

    told = [Hint(*WORK), Hint("activity", "main", "q", 1)]
    assert one.hears() == told
    assert two.hears() == told
    one.hints.send([WORK])
    assert sender.hears() == [Hint(*WORK)]


def test_another_store_hears_nothing(opened: Opened) -> None:
    sender, same, stranger = opened(), opened(), opened("another store")

    sender.hints.send([WORK])
    same.hears()

    assert stranger.heard.empty()
    assert sockets(stranger).isdisjoint(sockets(sender))


def test_a_hint_reaches_another_process(opened: Opened, folder: Path) -> None:
    ear = opened()
    program = (
        "import sys; from pathlib import Path; from assay_wsgi.engine.hints import Hints\n"
        "hints = Hints('store', print, directory=Path(sys.argv[1]))\n"
        "hints.send([('sidecar', 'main', '', 1)])\n"
        "hints.close()\n"
    )

    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, timeout=PATIENCE_SECS)

    assert ear.hears() == [Hint("sidecar", "main", "", 1)]


def test_the_socket_of_a_killed_process_is_taken_away(opened: Opened, folder: Path) -> None:
    sender, ear = opened(), opened()
    program = (
        "import os, sys; from pathlib import Path; from assay_wsgi.engine.hints import Hints\n"
        "hints = Hints('store', print, directory=Path(sys.argv[1]))\n"
        f"os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], check=False, timeout=PATIENCE_SECS)
    assert len(sockets(sender)) == 3

    sender.hints.send([WORK])

    assert ear.hears() == [Hint(*WORK)]
    assert len(sockets(sender)) == 2


def test_closing_takes_the_socket_away_and_may_be_repeated(opened: Opened) -> None:
    one, other = opened(), opened()

    one.hints.close()
    one.hints.close()
    one.hints.send([WORK])

    assert sockets(other) == {other.hints._path.name}
    assert not one.hints.available


def test_a_child_of_a_fork_is_silent_and_leaves_the_socket_alone(opened: Opened) -> None:
    parent, ear = opened(), opened()

    child = os.fork()
    if child == 0:
        parent.hints.send([WORK])
        parent.hints.close()
        os._exit(0 if not parent.hints.available else 1)
    assert os.waitpid(child, 0)[1] == 0

    assert len(sockets(parent)) == 2
    ear.hints.send([WORK])
    assert parent.hears() == [Hint(*WORK)]
    assert ear.heard.empty()


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"{", b"\xff", b"null", b"7", b'["workflow"]', b'[["workflow","main","q"]]', b"[" * 5000,
        b'[["workflow","main","q",0]]', b'[["workflow","main","q",true]]', b'[["workflow",1,"q",1]]',
        b'[["workflow","main","q",1,2]]',
    ],
)  # fmt: skip
def test_what_is_no_hint_is_ignored(opened: Opened, datagram: bytes) -> None:
    ear, sender = opened(), opened()
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stranger.sendto(datagram, str(ear.hints._path))
    stranger.close()

    sender.hints.send([WORK])

    assert ear.hears() == [Hint(*WORK)]


def test_a_listener_that_raises_hears_the_next_one(opened: Opened, folder: Path) -> None:
    heard: queue.Queue[list[Hint]] = queue.Queue()

    def listen(hints: list[Hint]) -> None:
        heard.put(hints)
        raise LookupError("not now")

    touchy = Hints("store", listen, directory=folder)
    touchy.start()
    sender = opened()

    for _ in range(2):
        sender.hints.send([WORK])
        assert heard.get(timeout=PATIENCE_SECS) == [Hint(*WORK)]
    touchy.close()


def test_many_hints_travel_in_several_datagrams_and_too_long_ones_not_at_all(opened: Opened) -> None:
    sender, ear = opened(), opened()
    many = [("workflow", "main", f"{number:05}" * 40, 1) for number in range(300)]

    sender.hints.send([*many[:150], ("workflow", "main", "x" * 70_000, 1), *many[150:]])

    heard: list[Hint] = []
    while len(heard) < len(many):
        heard += ear.hears()
    assert heard == [Hint(*hint) for hint in many]


def test_a_full_queue_does_not_hold_the_sender(opened: Opened, folder: Path) -> None:
    sender = opened()
    deaf = Hints("store", lambda hints: None, directory=folder)  # binds, and never listens

    for _ in range(2000):
        sender.hints.send([WORK])

    deaf.close()


def test_where_no_socket_can_be_made_hints_go_nowhere(opened: Opened, folder: Path) -> None:
    too_long = folder / ("x" * 100)
    too_long.mkdir()
    a_file = folder / "file"
    a_file.touch()

    for directory in (too_long, a_file):
        ear = opened(directory=directory)
        assert not ear.hints.available
        ear.hints.send([WORK])
        ear.hints.close()


def test_a_folder_that_others_can_write_to_is_not_used(opened: Opened, folder: Path) -> None:
    (folder / f"assay-{os.getuid()}").mkdir(mode=0o700)
    (folder / f"assay-{os.getuid()}").chmod(0o777)

    assert not opened().hints.available


def test_a_folder_behind_a_link_is_not_used(opened: Opened, folder: Path) -> None:
    (folder / "elsewhere").mkdir(mode=0o700)
    (folder / f"assay-{os.getuid()}").symlink_to(folder / "elsewhere")

    assert not opened().hints.available


def sockets(ear: Ear) -> set[str]:
    return set(os.listdir(ear.hints._path.parent))
