"""`assay worker --reload`: the parent that ends its worker and starts another when a file of its code changes.

The worker says which files it has imported (reloaded.py), over a socket whose end also tells each of the two
that the other is gone. The parent imports nothing of the app, so it outlives whatever is wrong with it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import click

from ...settings import inherited_environ

_LOOK_SECS = 0.3  # between two looks at the files
_KILL_AFTER_SECS = 10.0  # beyond the time that a worker takes for its activities

Stamp = tuple[int, int] | None  # (mtime in ns, size); None: there is no such file


class Files:
    """The files that are watched, as they were when the worker was started or named them."""

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}
        self._since = 0  # ns since the epoch

    def begin(self) -> None:
        """Take everything as it is now: a worker starts."""
        self._since = time.time_ns()
        self._stamps = {path: stamp_of(path) for path in self._stamps}

    def add(self, paths: Iterable[str]) -> None:
        """Watch more files. One that was written since the worker started may not be what it has read."""
        for path in paths:
            if path not in self._stamps:
                stamp = stamp_of(path)
                fresh = stamp is not None and stamp[0] > self._since
                self._stamps[path] = (0, 0) if fresh else stamp

    def changed(self) -> str | None:
        """Name a file that is not what it was."""
        return next((path for path, stamp in self._stamps.items() if stamp_of(path) != stamp), None)

    def settle(self) -> bool:
        """Take everything as it is now; whether it was so already: a file is saved in several steps."""
        before = self._stamps
        self._stamps = {path: stamp_of(path) for path in before}
        return before == self._stamps


def stamp_of(path: str) -> Stamp:
    """Read what changes when a file does."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class Reloader:
    """Keeps a worker of the newest code running until SIGTERM or SIGINT."""

    def __init__(self, arguments: Sequence[str], *, grace_secs: float) -> None:
        self._arguments = arguments  # of `assay worker`
        self._patience_secs = grace_secs + _KILL_AFTER_SECS
        self._files = Files()
        self._ends_asked = 0
        self._wake = -1
        self._unread = b""
        self._late = False

    def run(self) -> int:
        """Work. Returns the exit code: 1 if the last worker had to be killed."""
        self._wake, waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(waker, False)
        previous_fd = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        previous = {one: signal.signal(one, self._asked) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._ends_asked:
                self._one_worker()
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)
            signal.set_wakeup_fd(previous_fd)
            os.close(self._wake)
            os.close(waker)
        return 1 if self._late else 0

    def _one_worker(self) -> None:
        """Run one worker until its code changes or an end is asked for."""
        self._files.begin()
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = self._started(theirs)
            lives = True
            while not self._ends_asked and (path := self._files.changed()) is None:
                if lives and not self._hear(ours, _LOOK_SECS):
                    lives = False
                    code = process.wait()
                    _say(f"the worker ended with exit code {code}; it starts again when a file changes")
                elif not lives:
                    self._sleep(_LOOK_SECS)
            if not self._ends_asked:
                _say(f"{path} changed: the worker {'ends and ' if lives else ''}starts again")
            self._end(process)
        while not self._ends_asked and not self._files.settle():
            self._sleep(_LOOK_SECS)

    def _started(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        self._unread = b""
        fd = theirs.fileno()
        return subprocess.Popen(
            [sys.executable, "-m", "assay_wsgi", "worker", "run", *self._arguments, f"--reload-fd={fd}"],
            pass_fds=(fd,),
            # Compiled files are told apart by seconds: code that is saved twice in one would be run as it was.
            env=inherited_environ({"PYTHONDONTWRITEBYTECODE": "1"}),
            process_group=0,  # Ctrl-C reaches this process alone, which then ends the worker in peace
        )

    def _hear(self, ours: socket.socket, secs: float) -> bool:
        """Wait for the worker to name files. False once it is gone."""
        if ours not in self._ready([ours], secs):
            return True
        try:
            said = ours.recv(65536)
        except ConnectionResetError:
            return False
        *lines, self._unread = (self._unread + said).split(b"\n")
        self._files.add(os.fsdecode(line) for line in lines)
        return bool(said)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let the worker finish what it does; kill it when that takes too long."""
        limit = time.monotonic() + self._patience_secs
        asked = self._ends_asked
        if process.poll() is None:
            process.terminate()
        while process.poll() is None:
            if self._ends_asked > max(asked, 1):  # impatience: a worker takes a second signal as "at once"
                asked = self._ends_asked
                process.terminate()
            if time.monotonic() > limit:
                _say("the worker did not end in time: killed")
                process.kill()
                process.wait()
                self._late = True
                return
            self._sleep(0.05)
        self._late = False

    def _sleep(self, secs: float) -> None:
        self._ready([], secs)

    def _ready(self, sockets: list[Any], secs: float) -> list[Any]:
        """Wait for a socket or a signal."""
        ready, _, _ = select.select([*sockets, self._wake], [], [], secs)
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
        return ready

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self._ends_asked += 1


def _say(text: str) -> None:
    click.echo(f"reload: {text}", err=True)
