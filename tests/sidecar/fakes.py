"""An engine that only counts what the sidecar asks of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any

from assay_wsgi.domain.errors import Unavailable


class FakeLeases:
    """One named lease on a settable clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.holder: tuple[str, float] | None = None  # owner, end
        self.asked: list[tuple[str, float]] = []  # owner, seconds since the beginning
        self.away = False
        self._epoch = 0

    def acquire(self, name: str, owner: str, ttl_secs: float) -> int | None:
        now = self._clock()
        self.asked.append((owner, now - self._began))
        if self.away:
            raise Unavailable("the database does not answer")
        if self.holder is not None and self.holder[0] != owner and self.holder[1] > now:
            return None
        if self.holder is None or self.holder[0] != owner:
            self._epoch += 1
        self.holder = (owner, now + ttl_secs)
        return self._epoch

    def left(self, name: str) -> float:
        return 0.0 if self.holder is None else max(self.holder[1] - self._clock(), 0.0)

    def release(self, name: str, owner: str) -> None:
        if self.holder is not None and self.holder[0] == owner:
            self.holder = None


class FakeUpkeep:
    """Counts the calls; `due` are the answers of `expire`, the last one repeated."""

    def __init__(self, clock: Any) -> None:
        self.due: list[int | Exception] = [0]
        self.deadline: float | None = None
        self.done = 0  # grows by `handled` with each pass
        self.handled = 0
        self.expired = 0
        self.retired = 0
        self.pruned = 0
        self.written = Event()  # somebody wrote a deadline that is near
        self.secs_of_a_pass = 0.0
        self.waits: list[float] = []
        self._clock = clock

    def expire(self, limit: int = 200) -> int:
        self.expired += 1
        self.done += self.handled
        if self.secs_of_a_pass:
            self._clock.advance(self.secs_of_a_pass)
        answer = self.due.pop(0) if len(self.due) > 1 else self.due[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def next_deadline(self, after: float) -> float | None:
        return None if self.deadline is None or self.deadline <= after else self.deadline

    @contextmanager
    def near(self) -> Iterator[FakeUpkeep]:
        yield self

    def wait(self, timeout_secs: float) -> bool:
        self.waits.append(timeout_secs)
        woken = self.written.wait(timeout_secs)
        if woken:
            self.written.clear()
        return woken

    def look(self) -> None:
        self.written.set()

    def retire_dead_workers(self) -> int:
        self.retired += 1
        return 0

    def prune(self) -> int:
        self.pruned += 1
        return 0


def fake_engine(clock: Callable[[], float]) -> Any:
    """An engine of the parts that the sidecar knows."""
    return SimpleNamespace(store=SimpleNamespace(leases=FakeLeases(clock), now=clock), upkeep=FakeUpkeep(clock))
