"""The feed for whoever follows it: pages, long waits, and an endless line of notices.

One tail a process reads what is new, for all its followers, and only while there are any. It keeps the newest notices
in memory; a follower that is not as far, however slow it is, reads from the database until it is. So every follower
has no more than a cursor, and misses nothing. Nothing holds a database connection while it waits.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterator
from operator import attrgetter
from types import TracebackType
from typing import Any

from ..domain.errors import Unavailable
from ..domain.notices import Cursor
from ..domain.notices import CursorLost
from ..domain.notices import Wanted
from ..store import feed
from ..store.feed import Told
from ..store.store import Store
from . import given
from .handout import Waiting
from .records import notice_record
from .waiters import Waiter
from .wakeups import NOTICES
from .wakeups import TELL_EVERY_SECS
from .wakeups import Wakeups

log = logging.getLogger(__name__)

PIECE = 500  # notices read at once
KEPT = 2000  # notices in memory
LOOK_EVERY_SECS = 1.0
PAUSE_SECS = 0.02  # between two looks at least, however many hints come
LINGER_SECS = 5.0  # that the tail stays when its last follower has left
OLDEST = "oldest"  # as a cursor: all that is kept
_position = attrgetter("position")


class Feed:
    """What happens to runs, told in order, without a hole and without a repeat."""

    def __init__(self, store: Store, wakeups: Wakeups, draining: threading.Event) -> None:
        self._store = store
        self._draining = draining
        self._tail = _Tail(store, wakeups, draining)

    def read(
        self,
        after: str | None = None,
        *,
        limit: int = 100,
        wait_secs: float = 0.0,
        wanted: Wanted = Wanted(),  # noqa: B008 - frozen
        waiting: Waiting = contextlib.nullcontext,
        client_gone: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Give up to `limit` notices after a cursor, oldest first, and the cursor to go on from.

        Without `after` the answer is the cursor of now; "oldest" stands before all that is kept. Where there is
        nothing, it waits for up to `wait_secs`. `reset` names why `after` is of no use any more: look at the runs
        anew and go on from the new cursor. `more` tells that asking again brings more at once.
        Raises Invalid, Unavailable.
        """
        given.page(limit, wait_secs)
        with self.follower(after, wanted=wanted, waiting=waiting, client_gone=client_gone) as follower:
            told, reset = [], None
            try:
                if after is not None or wait_secs:
                    told = follower.take(limit, wait_secs)
            except CursorLost as lost:
                reset = lost.reason
                follower.begin_now()
            return {"events": told, "cursor": str(follower.cursor), "reset": reset, "more": follower.behind}

    def follow(self, after: str | None = None, *, wanted: Wanted = Wanted()) -> Iterator[dict[str, Any]]:  # noqa: B008
        """Give notices as they come, for ever; it ends when the engine is about to close.

        Begins now, or after a cursor (the `id` of a notice). Raises CursorLost where it is of no use any more, Invalid,
        Unavailable.
        """
        with self.follower(after, wanted=wanted) as follower:
            while not self._draining.is_set():
                yield from follower.take(PIECE, LOOK_EVERY_SECS)

    def follower(
        self,
        after: str | None = None,
        *,
        wanted: Wanted = Wanted(),  # noqa: B008
        waiting: Waiting = contextlib.nullcontext,
        client_gone: Callable[[], bool] | None = None,
    ) -> Follower:
        """Give a follower, to be used in a `with` block. Raises Invalid, Unavailable."""
        given.wanted(wanted)
        cursor = None if after in (None, OLDEST) else Cursor.read(str(after))
        if cursor is None:
            with self._store.read() as db:
                cursor = feed.oldest(db) if after == OLDEST else feed.newest(db)
        return Follower(self._store, self._tail, cursor, wanted, waiting, client_gone, self._draining)

    @property
    def followers(self) -> int:
        """How many wait for notices in this process."""
        return self._tail.followers

    def drain(self) -> None:
        """Have every follower return at once: the process is about to end."""
        self._tail.tell()

    def close(self) -> None:
        """End the tail."""
        self._tail.close()


class Follower:
    """One who follows: a cursor, and what it wants. In one thread."""

    def __init__(
        self,
        store: Store,
        tail: _Tail,
        cursor: Cursor,
        wanted: Wanted,
        waiting: Waiting,
        client_gone: Callable[[], bool] | None,
        draining: threading.Event,
    ) -> None:
        self.cursor = cursor
        self.behind = False  # there was more than it took
        self._store = store
        self._tail = tail
        self._wanted = wanted
        self._waiting = waiting
        self._client_gone = client_gone
        self._draining = draining
        self._joined = False

    def take(self, limit: int, wait_secs: float) -> list[dict[str, Any]]:
        """Give the next wanted notices, and move on; where there are none, wait for some.

        Gives none when time is up, the client has gone, or the process is about to end. Raises CursorLost, Unavailable.
        """
        until = time.monotonic() + wait_secs
        if wait_secs > 0:
            self._join()
        while True:
            seen = self._tail.version
            found = self._next(limit)
            if found or self._draining.is_set() or self.deserted():
                return found
            left = until - time.monotonic()
            if left <= 0:
                return []
            if not self.behind:
                with self._waiting():
                    # A client that goes is not heard of: look now and then.
                    self._tail.wait(seen, min(left, LOOK_EVERY_SECS))

    def deserted(self) -> bool:
        """Say whether the client has gone."""
        return self._client_gone is not None and self._client_gone()

    def rest(self) -> None:
        """Wait a moment, because the database is away; not longer than until the process is about to end."""
        self._draining.wait(LOOK_EVERY_SECS)

    def begin_now(self) -> None:
        """Forget the cursor and go on from now. Raises Unavailable."""
        with self._store.read() as db:
            self.cursor = feed.newest(db)
        self.behind = False

    def _next(self, limit: int) -> list[dict[str, Any]]:
        """Read one piece and move on behind it, or behind the last notice that there was room for."""
        told = self._tail.after(self.cursor)
        if told is None:
            with self._store.read() as db:
                told = feed.page(db, self.cursor, PIECE).told
        self.behind = len(told) >= PIECE
        found: list[dict[str, Any]] = []
        epoch = self.cursor.epoch
        for notice in told:
            if self._wanted.takes(notice.namespace, notice.workflow_id, notice.event_type):
                if len(found) == limit:
                    self.behind = True
                    break
                found.append(notice_record(epoch, notice))
            self.cursor = Cursor(epoch, notice.position)
        return found

    def _join(self) -> None:
        if not self._joined:
            self._joined = True
            self._tail.join()

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._joined:
            self._joined = False
            self._tail.leave()


class _Tail:
    """The newest notices of the database, for all followers in this process."""

    def __init__(self, store: Store, wakeups: Wakeups, draining: threading.Event) -> None:
        self.version = 0  # grows whenever there is something to look at
        self.followers = 0
        self._store = store
        self._wakeups = wakeups
        self._draining = draining
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._left_at = 0.0  # monotonic: when the last follower went
        self._closing = False
        # `_told` holds every notice behind `_start` up to `_end`. None: nothing is known yet.
        self._start: Cursor | None = None
        self._end: Cursor | None = None
        self._told: list[Told] = []

    def join(self) -> None:
        """Count a follower; begin to read where it is the first."""
        self._wakeups.start()
        with self._changed:
            self.followers += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._read_on, name="assay-feed", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Count a follower less; when the last is gone for a while, the reading ends."""
        with self._changed:
            self.followers -= 1
            self._left_at = time.monotonic()

    def after(self, cursor: Cursor) -> list[Told] | None:
        """Give the notices after a cursor, one piece of them. None: whether there are any, only the database knows."""
        with self._changed:
            start, end = self._start, self._end
            if start is None or end is None or start.epoch != cursor.epoch:
                return None
            if not start.position <= cursor.position <= end.position:
                return None
            place = bisect_right(self._told, cursor.position, key=_position)
            return self._told[place : place + PIECE]

    def wait(self, seen: int, timeout_secs: float) -> None:
        """Wait until there is something to look at that was not there at version `seen`."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != seen or self._draining.is_set(), timeout_secs)

    def tell(self) -> None:
        """Have all followers look."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End the reading."""
        with self._changed:
            self._closing = True
            thread = self._thread
        if thread is not None:
            self._wakeups.waiters.wake(NOTICES)
            thread.join()

    def _read_on(self) -> None:
        pause, hinted = 0.0, False
        with self._wakeups.waiters.wait_for([NOTICES]) as waiter:
            while not self._is_over():
                try:
                    pause = self._look(pause)
                except Unavailable as error:
                    log.warning("the feed is not read reason=%s", error)
                    pause = LOOK_EVERY_SECS
                except Exception:
                    log.exception("the feed is not read")
                    pause = LOOK_EVERY_SECS
                if hinted:  # others may have kept back a hint since
                    pause = min(pause, TELL_EVERY_SECS)
                hinted = self._rest(waiter, pause)

    def _rest(self, waiter: Waiter, pause: float) -> bool:
        """Wait for a hint, or for as long as one waits without; but no shorter than PAUSE_SECS. Whether one came."""
        began = time.monotonic()
        hinted = waiter.wait(pause)
        rest = PAUSE_SECS - (time.monotonic() - began)
        if rest > 0 and self.followers:
            time.sleep(rest)
        return hinted

    def _is_over(self) -> bool:
        """Whether nobody follows any more; then what is known is forgotten."""
        with self._changed:
            lonely = not self.followers and time.monotonic() - self._left_at > LINGER_SECS
            over = self._closing or lonely
            if over:
                self._thread, self._start, self._end, self._told = None, None, None, []
            return over

    def _look(self, pause: float) -> float:
        """Read what is new. Returns for how long to wait without a hint."""
        with self._store.read() as db:
            if self._end is None:
                self._begin(feed.newest(db))
                return TELL_EVERY_SECS
            try:
                page = feed.page(db, self._end, PIECE)
            except CursorLost as lost:
                log.warning("the feed begins anew reason=%s", lost.reason)
                self._begin(feed.newest(db))
                return TELL_EVERY_SECS
        if page.told:
            self._add(page)
            return TELL_EVERY_SECS
        if page.held_back:  # the hint has come, what it is about has not: no second hint will
            return min(max(2 * pause, PAUSE_SECS), LOOK_EVERY_SECS)
        return LOOK_EVERY_SECS

    def _begin(self, cursor: Cursor) -> None:
        with self._changed:
            self._start = self._end = cursor
            self._told = []
        self.tell()

    def _add(self, page: feed.Page) -> None:
        with self._changed:
            told = [*self._told, *page.told]
            if len(told) > KEPT:
                cut = len(told) - KEPT // 2
                self._start = Cursor(page.epoch, told[cut - 1].position)
                told = told[cut:]
            self._told = told
            self._end = Cursor(page.epoch, told[-1].position)
        self.tell()
