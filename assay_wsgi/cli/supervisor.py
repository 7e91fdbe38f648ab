"""A small parent: starts processes, starts again what dies, hands the end on.

It must be hard to kill by a bug of its own, so it holds no database open and answers no request.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType

log = logging.getLogger(__name__)

FIRST_PAUSE_SECS = 0.1
LONGEST_PAUSE_SECS = 5.0
SETTLED_SECS = 10.0  # who lived so long is started again after the first pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to keep alive."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]


class _Child:
    """One command, its present process, and when to start the next one."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0  # monotonic: not started again before
        self._pause = FIRST_PAUSE_SECS
        self._started = 0.0

    def start(self, parent_fd: int, now: float) -> None:
        # A process group of its own: Ctrl-C reaches the parent alone, which then ends its children in peace.
        self.process = subprocess.Popen(
            self.command.argv,
            env={**self.command.environ, "ASSAY_PARENT_FD": str(parent_fd)},
            pass_fds=(parent_fd,),
            process_group=0,
        )
        self._started = now
        log.debug("started process=%s pid=%s", self.command.name, self.process.pid)

    def bury(self, now: float) -> None:
        """Note a death, if there was one, and when to start again."""
        if self.process is None or self.process.poll() is None:
            return
        if now - self._started >= SETTLED_SECS:
            self._pause = FIRST_PAUSE_SECS
        self.due = now + self._pause
        log.warning(
            "%s (pid %s) %s; it is started again in %.1f s",
            self.command.name, self.process.pid, _ending(self.process.returncode), self._pause,
        )  # fmt: skip
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECS)
        self.process = None

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps the commands running until SIGTERM or SIGINT."""

    def __init__(self, commands: Sequence[Command], *, patience_secs: float) -> None:
        self._children = [_Child(command) for command in commands]
        self._patience_secs = patience_secs  # from the request to end until the kill
        self._ends_asked = 0

    def run(self) -> bool:
        """Keep them alive until told to end. True if all of them ended in time, False if one was killed."""
        lifeline, writing_end = os.pipe()  # held open for as long as this process lives
        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        previous = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        handlers = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._asked_to_end),
            signal.SIGINT: signal.signal(signal.SIGINT, self._asked_to_end),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, _woken),
        }
        try:
            self._keep_alive(lifeline, wake)
            return self._end(wake)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous)
            for fd in (lifeline, writing_end, wake, waker):
                os.close(fd)

    def _keep_alive(self, lifeline: int, wake: int) -> None:
        while not self._ends_asked:
            now = time.monotonic()
            for child in self._children:
                child.bury(now)
                if child.process is None and child.due <= now:
                    child.start(lifeline, now)
            waiting = [child.due for child in self._children if child.process is None]
            _sleep(wake, min(waiting) - time.monotonic() if waiting else None)

    def _end(self, wake: int) -> bool:
        """Ask all to end, wait, kill the rest."""
        limit = time.monotonic() + self._patience_secs
        asked = 0
        while any(child.alive for child in self._children):
            if asked < self._ends_asked:
                # The second request is one of impatience: gunicorn takes SIGINT as "at once".
                for child in self._children:
                    child.signal(signal.SIGINT if asked else signal.SIGTERM)
                asked = self._ends_asked
            left = limit - time.monotonic()
            if left <= 0:
                break
            _sleep(wake, left)
        late = [child for child in self._children if child.alive]
        for child in late:
            log.warning("%s did not end in time: killed", child.command.name)
            child.signal(signal.SIGKILL)
        for child in self._children:
            if child.process is not None:
                child.process.wait()
        return not late

    def _asked_to_end(self, _number: int, _frame: FrameType | None) -> None:
        self._ends_asked += 1


def _woken(_number: int, _frame: FrameType | None) -> None:
    """The wake-up pipe has done what there is to do."""


def _sleep(wake: int, secs: float | None) -> None:
    """Sleep until a signal comes, at most `secs`."""
    ready, _, _ = select.select([wake], [], [], None if secs is None else max(secs, 0.0))
    if ready:
        os.read(wake, 4096)


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"was ended by signal {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
