"""The turnstile: one writer at a time, in turn, and a dead one holds nobody up."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay_wsgi.store.turnstile import Turnstile

TURNS = 400
Launch = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "assay.db"


@pytest.fixture
def launch(file: Path) -> Iterator[Launch]:
    processes: list[subprocess.Popen[str]] = []

    def start(program: str) -> subprocess.Popen[str]:
        head = "import os, sys\nfrom assay_wsgi.store.turnstile import Turnstile\nturnstile = Turnstile(sys.argv[1])\n"
        process = subprocess.Popen(
            [sys.executable, "-c", head + program, str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_hammering_processes_take_turns(file: Path, launch: Launch, tmp_path: Path) -> None:
    log = tmp_path / "turns"
    log.touch()
    program = (  # each turn lasts until the other one waits: a commit is slower than that, this loop is not
        f"log = os.open({str(log)!r}, os.O_RDWR | os.O_APPEND)\n"
        "os.write(1, b'ready\\n')\n"
        "while True:\n"
        "    with turnstile:\n"
        f"        if os.fstat(log).st_size == {TURNS}: break\n"
        "        lock = ':%d ' % os.stat(sys.argv[1] + '.now').st_ino\n"
        "        while not any('->' in line and lock in line for line in open('/proc/locks')): pass\n"
        "        os.write(log, b'LETTER')\n"
    )
    with Turnstile(file):
        hammers = [launch(program.replace("LETTER", letter)) for letter in "ab"]
        for hammer in hammers:
            assert said(hammer) == "ready"
    for hammer in hammers:
        assert hammer.wait() == 0

    turns = log.read_text()

    assert sorted(turns) == ["a"] * (TURNS // 2) + ["b"] * (TURNS // 2)
    assert "aa" not in turns
    assert "bb" not in turns


def test_a_writer_keeps_out_the_others(file: Path) -> None:
    mine, another = Turnstile(file), Turnstile(file.parent / "." / file.name)
    entered = threading.Event()

    with mine:
        thread = started(lambda: taken(another, entered))
        assert held(file)
        assert not entered.is_set()
    thread.join()

    assert entered.is_set()
    assert not held(file)


def test_threads_that_share_a_turnstile_keep_each_other_out(file: Path) -> None:
    turnstile, inside, most = Turnstile(file), 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turnstile:
                inside += 1
                most = max(most, inside)
                inside -= 1

    for thread in [started(enter) for _ in range(4)]:
        thread.join()

    assert most == 1


def test_a_killed_holder_gives_its_turn_free(file: Path, launch: Launch) -> None:
    holder = launch("turnstile.acquire()\nos.write(1, b'held\\n')\nsys.stdin.read()\n")
    assert said(holder) == "held"
    assert held(file)

    entered = threading.Event()
    waiting = started(lambda: taken(Turnstile(file), entered))
    assert not entered.is_set()
    holder.send_signal(signal.SIGKILL)
    waiting.join()

    assert entered.is_set()


def test_a_killed_waiter_holds_nobody_up(file: Path, launch: Launch) -> None:
    with Turnstile(file):
        waiter = launch("os.write(1, b'ready\\n')\nturnstile.acquire()\n")
        assert said(waiter) == "ready"
        waiter.send_signal(signal.SIGKILL)
        waiter.wait()

    with Turnstile(file):
        assert held(file)


def test_a_child_of_a_fork_does_not_keep_its_dead_parents_turn(file: Path, launch: Launch) -> None:
    parent = launch(
        "turnstile.acquire()\n"
        "child = os.fork()\n"
        "os.write(1, b'parent\\n' if child else b'child\\n')\n"
        "sys.stdin.read()\n"
    )
    assert {said(parent), said(parent)} == {"child", "parent"}

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    with Turnstile(file):
        assert held(file)


def test_a_child_of_a_fork_does_not_have_its_parents_turn(file: Path) -> None:
    turnstile = Turnstile(file)
    turnstile.acquire()

    child = os.fork()
    if child == 0:
        try:
            turnstile.release()
        except RuntimeError:
            os._exit(0)
        os._exit(1)

    assert os.waitpid(child, 0)[1] == 0
    assert held(file)
    turnstile.release()


def test_a_turn_that_nobody_took_cannot_be_given_back(file: Path) -> None:
    turnstile = Turnstile(file)

    with pytest.raises(RuntimeError):
        turnstile.release()
    with turnstile:
        pass
    with pytest.raises(RuntimeError):
        turnstile.release()


def test_it_may_be_closed_and_used_again(file: Path) -> None:
    turnstile = Turnstile(file)
    with turnstile:
        pass
    before = len(os.listdir("/proc/self/fd"))

    turnstile.close()
    turnstile.close()

    assert len(os.listdir("/proc/self/fd")) == before - 2
    with turnstile:
        assert held(file)
    turnstile.close()


def test_the_locks_are_readable_for_whom_the_database_is(file: Path) -> None:
    file.touch()
    file.chmod(0o640)

    with Turnstile(file):
        pass

    assert {path.stat().st_mode & 0o777 for path in file.parent.glob("assay.db.n*")} == {0o640}


def test_a_link_in_place_of_a_lock_is_refused(file: Path) -> None:
    file.with_name("assay.db.now").symlink_to("elsewhere")
    turnstile = Turnstile(file)

    with pytest.raises(OSError, match="symbolic links"):
        turnstile.acquire()
    with pytest.raises(OSError, match="symbolic links"):
        turnstile.acquire()


def held(file: Path) -> bool:
    descriptor = os.open(file.with_name(file.name + ".now"), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def taken(turnstile: Turnstile, entered: threading.Event) -> None:
    with turnstile:
        entered.set()
    turnstile.close()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread
