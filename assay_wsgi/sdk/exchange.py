"""A worker's session with the service: it numbers the exchanges and writes their bodies. No I/O here.

A number whose answer never came is told in each exchange of the next minute: the service then takes back
what it may have handed out in that answer.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from .jsontext import dumps
from .outbox import Batch
from .transport import segment

log = logging.getLogger(__name__)

WAIT_SECS = 20.0  # a long poll; also the longest silence of a worker whose slots are all busy
LOST_SECS = 60.0  # a lost exchange may still be waiting at the service: its number is repeated this long


class Ask(NamedTuple):
    """What an exchange asks for. None of it: it only hands in."""

    workflow_slots: int = 0
    activity_slots: int = 0
    wait_secs: float = 0.0


class Session:
    """One life of a worker id. Thread-safe."""

    def __init__(self, worker_id: str, namespace: str, queue: str, info: Mapping[str, Any]) -> None:
        self.id = secrets.token_hex(16)
        self.path = f"/workers/{segment(worker_id)}/exchange"
        self.begun = False  # whether the service has taken note of this session
        self.over = False  # whether it gives this session nothing any more
        self._namespace = namespace
        self._queue = queue
        self._info = dict(info)
        self._lock = threading.Lock()
        self._last = 0
        self._lost: dict[int, float] = {}  # number -> when to stop telling

    def compose(
        self,
        ask: Ask,
        batch: Batch,
        heartbeats: Iterable[bytes] = (),
        cached: Mapping[str, int] | None = None,
        ends: bool = False,
    ) -> tuple[int, bytes]:
        """Return the next exchange's number and body. With one that `ends` the session all it still holds is free."""
        now = time.monotonic()
        with self._lock:
            self._last += 1
            n = self._last
            self._lost = {number: until for number, until in self._lost.items() if until > now}
            lost = sorted(self._lost)
        members: dict[str, Any] = {
            "session": self.id,
            "n": n,
            "queue": self._queue,
            "namespace": self._namespace,
            "wait_secs": ask.wait_secs,
            "workflow_slots": ask.workflow_slots,
            "activity_slots": ask.activity_slots,
        }
        if not self.begun:
            members["worker"] = self._info
        if ends:
            members["ends"] = True
        if lost:
            members["lost"] = lost
        if cached:
            members["cached_runs"] = cached
        parts = [dumps(members)[:-1]]
        for name, texts in (
            ("workflow_results", [report.text for report in batch.workflows]),
            ("activity_results", [report.text for report in batch.activities]),
            ("heartbeats", list(heartbeats)),
        ):
            if texts:  # each is JSON already: encoded where it was made, so a bad one harms no other
                parts.append(b',"%s":[%s]' % (name.encode(), b",".join(texts)))
        parts.append(b"}")
        return n, b"".join(parts)

    def heard(self, answer: Mapping[str, Any]) -> None:
        """Note what an answer says of the session itself."""
        # A service with another database does not know the session: the next exchange begins it there.
        self.begun = answer.get("code") != "session_unknown"
        if answer.get("namespace_made"):
            log.warning(
                "namespace '%s' was not there and is made for this worker; if it is a slip, name the right one: "
                "--namespace, ASSAY_NAMESPACE or Assay(namespace=...)",
                self._namespace,
            )

    def lose(self, numbers: Iterable[int]) -> None:
        """Have the service take back what it handed out under these numbers."""
        until = time.monotonic() + LOST_SECS
        with self._lock:
            self._lost.update(dict.fromkeys(numbers, until))
