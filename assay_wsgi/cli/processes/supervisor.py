"""A small parent: starts processes, starts again what dies, replaces them when asked to, hands the end on.

It must be hard to kill by a bug of its own, so it holds no database open and answers no request.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from types import FrameType

from . import notify
from .child import Child
from .child import Command
from .child import Process

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps the commands running until SIGTERM or SIGINT, and replaces their processes at SIGHUP."""

    def __init__(
        self, commands: Sequence[Command], *, patience_secs: float, tell: Callable[[str], None] = log.debug
    ) -> None:
        self._children = [Child(command, patience_secs=patience_secs) for command in commands]
        self._patience_secs = patience_secs  # from the request to end until the kill
        self._tell = tell  # what the service manager is told
        self._ends_asked = 0
        self._reload_asked = False
        self._settled = False  # all serve, and that was told

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
            # From a terminal that is closed it means the end, from anywhere else a reload.
            signal.SIGHUP: signal.signal(signal.SIGHUP, self._asked_to_end if os.isatty(0) else self._asked_to_reload),
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
                child.tend(lifeline, now)
            self._say_whether_settled()
            if self._reload_asked and not any(child.replacement for child in self._children):
                self._reload(lifeline, now)
            moments = [moment for child in self._children if (moment := child.next_moment()) is not None]
            hearing = [process.hearing for process in self._processes() if process.hearing is not None]
            _sleep([wake, *hearing], wake, min(moments) - time.monotonic() if moments else None)

    def _reload(self, lifeline: int, now: float) -> None:
        self._reload_asked = False
        log.info("reloading: each process is replaced by a new one, once that serves")
        self._tell(notify.reloading())
        self._settled = False
        for child in self._children:
            child.replace(lifeline, now)

    def _say_whether_settled(self) -> None:
        if not self._settled and all(child.settled for child in self._children):
            self._settled = True
            self._tell(notify.READY)

    def _end(self, wake: int) -> bool:
        """Ask all to end, wait, kill the rest."""
        self._tell(notify.STOPPING)
        for child in self._children:
            if child.command.listener is not None:
                child.command.listener.close()  # or new connections would wait in a queue that nobody empties
        limit = time.monotonic() + self._patience_secs
        asked = 0
        while any(process.ending is None for process in self._processes()):
            if asked < self._ends_asked:
                # The second request is one of impatience: gunicorn takes SIGINT as "at once".
                for process in self._processes():
                    process.signal(signal.SIGINT if asked else signal.SIGTERM)
                asked = self._ends_asked
            left = limit - time.monotonic()
            if left <= 0:
                break
            _sleep([wake], wake, left)
        late = [child for child in self._children if any(process.ending is None for process in child.processes())]
        for child in late:
            log.warning("%s did not end in time: killed", child.command.name)
        for process in self._processes():
            process.signal(signal.SIGKILL)
            process.wait()
        return not late

    def _processes(self) -> Iterator[Process]:
        for child in self._children:
            yield from child.processes()

    def _asked_to_end(self, _number: int, _frame: FrameType | None) -> None:
        self._ends_asked += 1

    def _asked_to_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_asked = True


def _woken(_number: int, _frame: FrameType | None) -> None:
    """The wake-up pipe has done what there is to do."""


def _sleep(fds: list[int], wake: int, secs: float | None) -> None:
    """Sleep until a signal or a word of a child comes, at most `secs`."""
    ready, _, _ = select.select(fds, [], [], None if secs is None else max(secs, 0.0))
    if wake in ready:
        os.read(wake, 4096)
