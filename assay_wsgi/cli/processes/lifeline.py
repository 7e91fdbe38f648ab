"""What a process and its parent tell each other: that it serves, that it is to end; and how it is gone in time.

The parent holds the writing end of a pipe and writes nothing; its death, however sudden, ends the pipe.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable


def when_any_ends(fds: Iterable[int], then: Callable[[], object]) -> None:
    """Call `then` in a thread of its own once one of the pipes has lost its last writer."""
    watched = select.poll()
    for fd in fds:
        watched.register(fd, 0)  # the end of a pipe is reported without being asked for

    def wait() -> None:
        watched.poll()
        then()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def say_ready(fd: int | None) -> None:
    """Tell the parent that this process serves; without a parent, or one that listens no more, do nothing."""
    if fd is not None:
        with contextlib.suppress(OSError):
            os.write(fd, b".")


def bell(then: Callable[[], object]) -> int:
    """Give a descriptor; `then` is called in a thread of its own at the first byte that is written to it.

    Writing is all that a signal handler may do: whatever takes a lock (starting a thread and setting an event
    do) may wait for ever for the very thread that the signal interrupted.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def wait() -> None:
        os.read(reading, 1)
        then()

    threading.Thread(target=wait, name="bell", daemon=True).start()
    return writing


def exit_within(secs: float) -> None:
    """End this process by force in `secs` seconds, if it is still there.

    Nothing is lost by that but time: what was not committed was not answered.
    """

    def wait() -> None:
        time.sleep(secs)
        os._exit(1)

    threading.Thread(target=wait, name="last-exit", daemon=True).start()
