"""The issuer's keys as this process knows them: asked for seldom, by one thread at a time, and kept in an outage.

Nobody can make this process ask more often than every 30 s, whatever tokens it is sent; and however the issuer
fails, keys that were known go on to serve for a day. A request waits only for keys that are too old or for one that
nobody knows yet, for 5 s at most, and few do at once: the others take what there is or are told to come again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping

from jwt import PyJWK

from ..domain.errors import InvalidToken
from ..domain.errors import IssuerUnavailable
from .issuer import IssuerError
from .jwk import KeySet

log = logging.getLogger(__name__)

RENEWED_SECS = 300.0  # from this age on the keys are fetched anew beside the requests that use them
FRESH_SECS = 600.0  # until this age no request waits for that
KEPT_SECS = 24 * 3600.0
BETWEEN_FETCHES_SECS = 30.0
WAIT_SECS = 5.0
MAX_WAITING = 8  # anybody can make up a key's name: such requests must not hold all threads

_NEVER = -math.inf


class Keys:
    """The keys of one issuer. Safe for threads."""

    def __init__(self, fetch: Callable[[], KeySet], clock: Callable[[], float] = time.monotonic) -> None:
        """Keep what `fetch` gives; it raises IssuerError where it has nothing to give."""
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet = {}
        self._fetched_at = _NEVER
        self._asked_at = _NEVER
        self._failed = False  # the latest fetch that has ended
        self._under_way: threading.Event | None = None
        self._waiting = 0

    def find(self, kid: str) -> Mapping[str, PyJWK]:
        """Give the key of this name, by algorithm.

        Raises InvalidToken where the issuer has none, IssuerUnavailable where that cannot be known now.
        """
        now = self._clock()
        with self._lock:
            found, age = self._known(kid, now), now - self._fetched_at
            if found is None or age > RENEWED_SECS:
                self._ask(now)
            if found is not None and (age <= FRESH_SECS or self._failed):
                return found
            under_way = self._join(now)
        if under_way is not None:
            under_way.wait(self._asked_at + WAIT_SECS - now)
        with self._lock:
            self._waiting -= under_way is not None
            now = self._clock()
            found = self._known(kid, now)
            if found is not None:
                return found
            if self._under_way is None and not self._failed:
                raise InvalidToken("a kid that the issuer does not have")
            again = 1.0 if self._under_way else self._asked_at + BETWEEN_FETCHES_SECS - now
        raise IssuerUnavailable(
            "the issuer's keys are not known now, so this token cannot be checked: try again",
            retry_after_secs=max(1, math.ceil(again)),
        )

    def _known(self, kid: str, now: float) -> Mapping[str, PyJWK] | None:
        return self._keys.get(kid) if now - self._fetched_at <= KEPT_SECS else None

    def _ask(self, now: float) -> None:
        if self._under_way is None and now - self._asked_at >= BETWEEN_FETCHES_SECS:
            under_way = threading.Event()
            threading.Thread(target=self._renew, args=(under_way,), name="issuer-keys", daemon=True).start()
            self._asked_at, self._under_way = now, under_way  # it ends only once it has the lock that is held here

    def _join(self, now: float) -> threading.Event | None:
        """Give what to wait for, to as many as may; an answer that is overdue is no longer waited for."""
        if self._under_way is None or self._waiting >= MAX_WAITING or now - self._asked_at >= WAIT_SECS:
            return None
        self._waiting += 1
        return self._under_way

    def _renew(self, under_way: threading.Event) -> None:
        keys: KeySet | None = None
        try:
            keys = self._fetch()
            log.info("the issuer's keys were fetched keys=%s", len(keys))
        except IssuerError as error:
            log.warning("the issuer's keys cannot be had, those known are used for a day: %s", error)
        finally:
            with self._lock:
                self._failed = keys is None
                if keys is not None:
                    self._keys, self._fetched_at = keys, self._clock()
                self._under_way = None
            under_way.set()
