"""The feeder: starts an approval for each document, slowly, and sends the word on it a little later.

It talks to the service through the SDK's client, as any program would: what gets no answer is sent again, with
the same Idempotency-Key or signal_id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Sequence

from assay_wsgi.sdk import Client
from assay_wsgi.sdk.transport import Connection
from examples.documents.feed import decision
from examples.documents.workflow import ApproveDocument
from examples.documents.workflow import Document

from .blows import Watch

PATIENCE_SECS = 60.0


class Feeder:
    """Two threads: one starts, one signals."""

    def __init__(
        self, url: str, watch: Watch, documents: Sequence[Document], may_feed: Callable[[int], bool], word_after: float
    ) -> None:
        """`may_feed(n)`: whether it is time for the n-th document. `word_after`: seconds from start to signal."""
        self.runs: dict[str, str] = {}  # run_id -> workflow_id, of every start that was answered
        self.error: BaseException | None = None
        self.fed = 0
        self.decided = 0
        self._url = url
        self._watch = watch
        self._documents = documents
        self._may_feed = may_feed
        self._word_after = word_after
        self._due: list[float] = []  # when the n-th word is due
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__, daemon=True)
            for work in (self._start_all, self._decide_all)
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
        """Whether all documents are started and decided on."""
        return self.decided == len(self._documents)

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
        for number, document in enumerate(self._documents, 1):
            while not self._may_feed(number):
                if self._stop.wait(0.02):
                    return
            handle = client.start(ApproveDocument, document, id=f"approve-{document.id}")
            assert handle.run_id is not None
            self.runs[handle.run_id] = handle.workflow_id
            self._due.append(time.monotonic() + self._word_after)
            self.fed = number

    def _decide_all(self) -> None:
        client = self._client()
        for number, document in enumerate(self._documents, 1):
            while self.fed < number or self._due[number - 1] > time.monotonic():
                if self._stop.wait(0.02):
                    return
            client.handle(f"approve-{document.id}").signal(
                "approve", decision(number), signal_id=f"decision-{document.id}"
            )
            self.decided = number
