"""The feeder: starts runs, slowly, and says to each a little later what is to be said to it.

It talks to the service through the SDK's client, as any program would: what gets no answer is sent again, with
the same Idempotency-Key or signal_id.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence

from assay_wsgi.sdk import Client
from assay_wsgi.sdk.transport import Connection

from .blows import Watch
from .runs import Errand

PATIENCE_SECS = 60.0


class Feeder:
    """Two threads: one starts, one follows up."""

    def __init__(self, url: str, watch: Watch, errands: Sequence[Errand], may_feed: Callable[[int], bool]) -> None:
        """`may_feed(n)`: whether it is time for the n-th run."""
        self.runs: dict[str, str] = {}  # run_id -> workflow_id, of every start that was answered
        self.error: BaseException | None = None
        self.fed = 0
        self.followed_up = 0
        self._url = url
        self._watch = watch
        self._errands = errands
        self._may_feed = may_feed
        self._due: list[tuple[float, int, Errand]] = []  # a heap: when to follow up, the number, the errand
        self._lock = threading.Lock()  # of the heap
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True)
            for work in (self._start_all, self._follow_up_all)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Feed no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def done(self) -> bool:
        """Whether all are started and followed up."""
        return self.followed_up == len(self._errands)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  told to the main thread, which ends the demo
            self.error = error

    def _client(self) -> Client:
        return Client(
            self._url, patience=PATIENCE_SECS, connection=Connection(self._url, session=self._watch.session())
        )

    def _start_all(self) -> None:
        client = self._client()
        for number, errand in enumerate(self._errands, 1):
            while not self._may_feed(number):
                if self._stop.wait(0.02):
                    return
            handle = errand.start(client)
            assert handle.run_id is not None
            self.runs[handle.run_id] = handle.workflow_id
            with self._lock:
                heapq.heappush(self._due, (time.monotonic() + errand.follow_up_secs, number, errand))
            self.fed = number

    def _follow_up_all(self) -> None:
        client = self._client()
        while not self.done:
            errand = self._next_due()
            if errand is not None:
                errand.follow_up(client)
                self.followed_up += 1
            elif self._stop.wait(0.02):
                return

    def _next_due(self) -> Errand | None:
        with self._lock:
            if self._due and self._due[0][0] <= time.monotonic():
                return heapq.heappop(self._due)[2]
        return None
