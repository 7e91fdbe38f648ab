"""A worker thread's connection to the exchange route: what an answer means, and how long to stay away.

One line per thread. A failure of the network or the service is never final: the back-off grows to 5 s and
stays there. Final is only that this worker cannot be served at all.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from .transport import Connection
from .transport import Reply
from .transport import Unreachable

log = logging.getLogger(__name__)

READ_SECS = 15.0  # for an answer, beyond the wait that was asked for
SHORTEST_SECS = 0.1  # back-off
LONGEST_SECS = 5.0
LONGEST_RETRY_AFTER = 60.0
AT_ONCE_SECS = 0.05  # an empty answer that came sooner did not wait at all


class Away(Exception):
    """No useful answer: the service is away, starting, overloaded."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """The service cannot read or take this request: sending it again as it is would not help."""


class Fatal(Exception):
    """This worker will not be served."""


class Line:
    """One connection, with its back-off."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._failures = 0
        self._retry_after: float | None = None
        self._sent_at = 0.0
        self._served = False
        self.last = 0  # number of the last exchange
        self.refused: str | None = None  # why the last exchange was refused
        self.crowded = False  # the last answer brought a lot

    def post(self, path: str, n: int, body: bytes, wait_secs: float) -> dict[str, Any]:
        """Send exchange `n` and return the answer. Raises Away, Refused, Fatal."""
        self.last, self.refused, self._retry_after = n, None, None
        self._sent_at = time.monotonic()
        self._failures += 1  # until it has succeeded
        try:
            reply = self._connection.call("POST", path, body, timeout=wait_secs + READ_SECS)
        except Unreachable as error:
            raise Away(str(error)) from error
        code = reply.member("code")
        if code == "session_replaced":
            raise Fatal("another process uses this worker id (session_replaced)")
        if reply.status == 200 and isinstance(reply.body, dict):
            if self._failures > 1:
                log.info("the service answers again after %s failed exchanges", self._failures - 1)
            self._failures = 0
            self._served = True
            self._retry_after = reply.body.get("retry_after")
            return reply.body
        self._unserved(reply, code)
        raise Away(_words(reply), reply.retry_after)

    def _unserved(self, reply: Reply, code: Any) -> None:
        if reply.status in (401, 403) and not self._served:
            raise Fatal(f"the token is not accepted: {_words(reply)}")
        if reply.status in (400, 413, 422):
            self.refused = f"{reply.status} {code}: {reply.member('error', '')}"
            raise Refused(self.refused)

    def lost(self, away: Away, label: str) -> None:
        """Note a failed exchange: said once, when it begins."""
        self._retry_after = away.retry_after
        if self._failures == 1:
            log.warning("the service does not answer, trying on %s: %s", label, away)

    def forgive(self) -> None:
        """Note that the last failure was not the service's: there is no reason to stay away longer."""
        self._failures = 0

    def delay(self) -> float:
        """Return how long to stay away after a failure: jittered, growing, at least what was asked for."""
        longest = min(LONGEST_SECS, SHORTEST_SECS * 2 ** min(self._failures, 10))
        backoff = random.uniform(SHORTEST_SECS, longest)
        return max(backoff, min(self._retry_after or 0.0, LONGEST_RETRY_AFTER))

    def pause(self, answer: dict[str, Any] | None, waited: bool) -> float:
        """Return how long to wait before asking for work again."""
        if answer is None:
            return self.delay()
        if answer.get("drain"):  # it is being restarted
            return random.uniform(0.1, 0.5)
        if self._retry_after:
            return min(self._retry_after, LONGEST_RETRY_AFTER)
        nothing = not answer.get("workflow_tasks") and not answer.get("activity_tasks")
        if nothing and waited and time.monotonic() - self._sent_at < AT_ONCE_SECS:
            return random.uniform(0.2, 0.5)
        return 0.0

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _words(reply: Reply) -> str:
    return f"{reply.status} {reply.member('code', '')} {reply.member('error', '')}".rstrip()
