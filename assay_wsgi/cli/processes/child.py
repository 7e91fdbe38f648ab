"""One command that is kept running: its present process, the one that is to replace it, and those that leave.

A process says that it serves by a byte in a pipe; a replacement that never does so replaces nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

FIRST_PAUSE_SECS = 0.1
LONGEST_PAUSE_SECS = 5.0
SETTLED_SECS = 10.0  # who lived so long is started again after the first pause
READY_SECS = 60.0  # a replacement that serves by then takes over


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to keep alive."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    voices: int = 1  # how many of its processes say that they serve before it does
    listener: socket.socket | None = None  # inherited by each process, so no reload ever closes the port


class Process:
    """A process that was started, and whether it serves yet."""

    def __init__(self, command: Command, parent_fd: int, now: float) -> None:
        """Start it. Raises OSError."""
        hearing, saying = os.pipe()
        os.set_blocking(hearing, False)
        inherited = [parent_fd, saying]
        if command.listener is not None:
            inherited.append(command.listener.fileno())
        try:
            # A process group of its own: Ctrl-C reaches the parent alone, which then ends its children in peace.
            self._popen = subprocess.Popen(
                command.argv,
                env={**command.environ, "ASSAY_PARENT_FD": str(parent_fd), "ASSAY_READY_FD": str(saying)},
                pass_fds=inherited,
                process_group=0,
            )
        except BaseException:
            os.close(hearing)
            raise
        finally:
            os.close(saying)
        self.started = now
        self.kill_at: float | None = None  # monotonic, once it was asked to end
        self.hearing: int | None = hearing  # a byte of it comes here for each voice, until it serves
        self._silent = command.voices
        log.debug("started process=%s pid=%s", command.name, self.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def ready(self) -> bool:
        """It has said that it serves."""
        return self._silent <= 0

    @property
    def ending(self) -> str | None:
        """How it ended; None while it lives."""
        code = self._popen.poll()
        if code is None:
            return None
        return f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def hear(self) -> None:
        """Take note of what it has said."""
        if self.hearing is None:
            return
        try:
            said = os.read(self.hearing, 4096)
        except BlockingIOError:
            return
        self._silent -= len(said)
        if self.ready or not said:
            self.close()

    def signal(self, number: int) -> None:
        """Send a signal; to one that has ended, nothing."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def wait(self) -> None:
        """Wait for its end."""
        self._popen.wait()
        self.close()

    def close(self) -> None:
        """Listen to it no more."""
        if self.hearing is not None:
            os.close(self.hearing)
            self.hearing = None


class Child:
    """One command and its processes."""

    def __init__(self, command: Command, *, patience_secs: float) -> None:
        self.command = command
        self.present: Process | None = None
        self.replacement: Process | None = None
        self._leaving: list[Process] = []
        self._patience_secs = patience_secs  # from the request to end until the kill
        self._due = 0.0  # monotonic: not started again before
        self._pause = FIRST_PAUSE_SECS

    @property
    def settled(self) -> bool:
        """It serves, and nothing is about to replace it."""
        return self.present is not None and self.present.ready and self.replacement is None

    def processes(self) -> Iterator[Process]:
        """Every process there is of it."""
        yield from (process for process in (self.present, self.replacement) if process is not None)
        yield from self._leaving

    def tend(self, parent_fd: int, now: float) -> None:
        """Do what is due: hear, bury, replace, start."""
        for process in self.processes():
            process.hear()
        self._bury(now)
        self._take_over(now)
        if self.present is None and self._due <= now:
            self.present = self._started(parent_fd, now)

    def replace(self, parent_fd: int, now: float) -> None:
        """Start a process that takes over once it serves; where there is none to replace, one is started at once."""
        if self.present is None:
            self._due = now
        else:
            self.replacement = self._started(parent_fd, now)

    def next_moment(self) -> float | None:
        """When something is due, if nothing happens before (monotonic)."""
        moments = [process.kill_at for process in self._leaving if process.kill_at is not None]
        if self.present is None:
            moments.append(self._due)
        if self.replacement is not None:
            moments.append(self.replacement.started + READY_SECS)
        return min(moments, default=None)

    def _started(self, parent_fd: int, now: float) -> Process | None:
        try:
            return Process(self.command, parent_fd, now)
        except OSError as error:
            log.error("%s cannot be started: %s", self.command.name, error)
            self._rest(now)
            return None

    def _bury(self, now: float) -> None:
        for process in [process for process in self._leaving if process.ending is not None]:
            self._leaving.remove(process)
            process.close()
        if self.replacement is not None and (ending := self.replacement.ending) is not None:
            log.error(
                "the new %s (pid %s) %s before it served; the old one goes on",
                self.command.name, self.replacement.pid, ending,
            )  # fmt: skip
            self.replacement.close()
            self.replacement = None
        if self.present is not None and (ending := self.present.ending) is not None:
            self._bury_present(self.present, ending, now)

    def _bury_present(self, dead: Process, ending: str, now: float) -> None:
        dead.close()
        self.present, self.replacement = self.replacement, None
        if self.present is not None:
            log.warning("%s (pid %s) %s while it was replaced", self.command.name, dead.pid, ending)
            return
        if now - dead.started >= SETTLED_SECS:
            self._pause = FIRST_PAUSE_SECS
        log.warning("%s (pid %s) %s; it is started again in %.1f s", self.command.name, dead.pid, ending, self._pause)
        self._rest(now)

    def _rest(self, now: float) -> None:
        self._due = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECS)

    def _take_over(self, now: float) -> None:
        for process in self._leaving:
            if process.kill_at is not None and process.kill_at <= now:
                log.warning("the old %s (pid %s) did not end in time: killed", self.command.name, process.pid)
                process.signal(signal.SIGKILL)
                process.kill_at = None
        new = self.replacement
        if new is None or self.present is None:
            return
        if new.ready:
            log.info(
                "the new %s (pid %s) serves; the old one (pid %s) ends", self.command.name, new.pid, self.present.pid
            )
            self.present.signal(signal.SIGTERM)
            self.present.kill_at = now + self._patience_secs
            self._leaving.append(self.present)
            self.present, self.replacement = new, None
        elif now - new.started >= READY_SECS:
            new.signal(signal.SIGKILL)
            new.wait()
            self.replacement = None
            log.error(
                "the new %s (pid %s) did not serve within %d s: killed; the old one goes on",
                self.command.name, new.pid, READY_SECS,
            )  # fmt: skip
