"""The queue of SQLite's writers: two kernel locks beside the database file.

SQLite's own busy handler is no queue: beside a busy writer a second process got no transaction in ten
seconds. Here who wants to write takes `<file>.next`, then `<file>.now`, and gives `next` free: so the one
who has just written cannot overtake the one who already waits for `now`.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from pathlib import Path
from types import TracebackType

_everybody: weakref.WeakSet[Turnstile] = weakref.WeakSet()


class Turnstile:
    """The right to write, for one holder at a time among all processes: `with turnstile: BEGIN ... COMMIT`.

    The lock files are never removed: who still waited at a removed one would hold a lock of his own.
    A process opens its own descriptors; one that is forked begins with none, and without its parent's turn.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = Path(path).resolve()  # all names of one file share one turnstile
        self._file = file
        self._paths = (file.with_name(file.name + ".next"), file.with_name(file.name + ".now"))
        self._descriptors: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._here = threading.Lock()  # flock does not tell the threads that share a descriptor apart
        _everybody.add(self)

    def acquire(self) -> None:
        """Wait for the turn.

        There is no time-out: flock has none, polling for the lock would lose the place in the queue, and
        whoever holds the turn is a live process inside one bounded transaction (the kernel frees the locks
        of a dead one). A holder that is stopped holds SQLite's own lock just as well.
        """
        self._notice_fork()
        self._here.acquire()
        try:
            following, now = self._open()
            fcntl.flock(following, fcntl.LOCK_EX)
            try:
                fcntl.flock(now, fcntl.LOCK_EX)
            finally:
                fcntl.flock(following, fcntl.LOCK_UN)
        except BaseException:
            self._here.release()
            raise

    def release(self) -> None:
        """Give the turn to the next. Raises RuntimeError where this process does not have it."""
        self._notice_fork()
        if self._descriptors is None or not self._here.locked():
            raise RuntimeError("the turnstile was not acquired")
        fcntl.flock(self._descriptors[1], fcntl.LOCK_UN)
        self._here.release()

    def note(self) -> str | None:
        """Read the note that was left here last, whatever has become of the database file. None: there is none."""
        try:
            return self._paths[1].read_text(encoding="ascii") or None
        except (OSError, ValueError):
            return None

    def leave_note(self, text: str) -> None:
        """Leave a short note, in one's turn. Raises OSError."""
        descriptor = os.open(self._paths[1], os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, text.encode("ascii"), 0)
            os.ftruncate(descriptor, len(text))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the descriptors; the next `acquire` opens them again. Not while holding the turn."""
        with self._here:
            self._drop()

    def __enter__(self) -> Turnstile:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> tuple[int, int]:
        if self._descriptors is None:
            mode = self._file.stat().st_mode & 0o666 if self._file.exists() else 0o600
            following, now = (_open(path, mode) for path in self._paths)
            self._descriptors = following, now
        return self._descriptors

    def _drop(self) -> None:
        descriptors, self._descriptors = self._descriptors, None
        for descriptor in descriptors or ():
            os.close(descriptor)

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what a fork brought along: an inherited descriptor would hold the lock of a dead parent."""
        self._drop()
        self._pid = os.getpid()
        self._here = threading.Lock()


def _open(path: Path, mode: int) -> int:
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def _forked() -> None:
    for turnstile in list(_everybody):
        turnstile._begin_anew()


os.register_at_fork(after_in_child=_forked)
