"""How many requests compute, and how many wait for work, at the same time in this process.

A thread that waits costs nothing; threads that compute fight for the interpreter. So a request holds a
compute slot, gives it back while it waits (for a commit, for work), and takes one again to go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from queue import Empty
from queue import SimpleQueue
from zlib import crc32

from ..domain.errors import TooManyStreams
from ..settings import Settings

_RETRY_FROM_SECS = 1.0
_RETRY_SPREAD_MS = 4000


class Slots:
    """A counting semaphore: as many threads as there are slots are inside its `with` block.

    A SimpleQueue of tokens, because that is C throughout: threading.Semaphore costs a request several
    switches between threads.
    """

    def __init__(self, count: int) -> None:
        self._tokens: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._tokens.put(None)

    def acquire(self, blocking: bool = True) -> bool:
        """Take a slot; without `blocking`, say whether there was one."""
        try:
            self._tokens.get(blocking)
        except Empty:
            return False
        return True

    def release(self, count: int = 1) -> None:
        """Give slots back."""
        for _ in range(count):
            self._tokens.put(None)

    def __enter__(self) -> None:
        self._tokens.get()

    def __exit__(self, *_: object) -> None:
        self._tokens.put(None)


class _GivenBack:
    """Gives one slot back while its block runs. Holds no state: one serves all threads."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def __enter__(self) -> None:
        self._slots.release()

    def __exit__(self, *_: object) -> None:
        self._slots.acquire()


class Place:
    """The place of one stream; left once, however often that is said."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._taken = False

    def take(self) -> None:
        """Take the place. Raises TooManyStreams."""
        if not self._slots.acquire(blocking=False):
            raise TooManyStreams(
                "this process tells its feed to as many as it can: come again later, or ask GET /api/v1/events"
            )
        self._taken = True

    def leave(self) -> None:
        """Leave the place to others."""
        if self._taken:
            self._taken = False
            self._slots.release()

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.leave()


class Admission:
    """The budget of one process."""

    def __init__(self, *, compute_slots: int, long_polls: int, long_poll_max_secs: float, streams: int = 0) -> None:
        self.computing = Slots(compute_slots)  # `with admission.computing:`
        self.long_poll_max_secs = long_poll_max_secs
        self._given_back = _GivenBack(self.computing)
        self._long_polls = Slots(long_polls)
        self._streams = Slots(streams)

    @classmethod
    def of(cls, settings: Settings) -> Admission:
        """The budget that the settings give."""
        http = settings.http
        return cls(
            compute_slots=http.compute_slots,
            long_polls=max(0, settings.http_threads - http.reserved_threads),
            long_poll_max_secs=http.long_poll_max_secs,
            streams=http.streams,
        )

    def waiting(self) -> AbstractContextManager[None]:
        """Give the compute slot back while the block waits. Only for a thread that holds one."""
        return self._given_back

    @contextmanager
    def long_poll(self) -> Iterator[bool]:
        """Say whether this request may wait for work, and count it while the block runs."""
        admitted = self._long_polls.acquire(blocking=False)
        try:
            yield admitted
        finally:
            if admitted:
                self._long_polls.release()

    def stream(self) -> Place:
        """Give a place for a stream, to be taken."""
        return Place(self._streams)


def retry_after_secs(worker_id: str, n: int) -> float:
    """When a worker that may not wait should ask again: 1 to 5 s, spread over workers and their requests."""
    return _RETRY_FROM_SECS + crc32(f"{worker_id}/{n}".encode()) % (_RETRY_SPREAD_MS + 1) / 1000
