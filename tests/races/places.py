"""Places where a thread of this process is held, and the words for what the core was once seen to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from typing import Any

from assay_wsgi.domain.errors import AssayError
from assay_wsgi.domain.requests import SentSignal
from assay_wsgi.engine import Engine
from assay_wsgi.engine.operations import SignalRun
from assay_wsgi.store import fsck
from tests.engine.stories import a_start
from tests.engine.stories import rows
from tests.processes import PATIENCE_SECS
from tests.processes import until


class Place:
    """A place where the next who comes is held until he is let go, or thrown out."""

    def __init__(self) -> None:
        self._armed = threading.Semaphore(0)
        self._reached = threading.Event()
        self._go_on = threading.Event()
        self._thrown: BaseException | None = None

    def hold_next(self) -> None:
        """Hold the next who comes."""
        self._armed.release()

    def come(self) -> None:
        """Come here."""
        if not self._armed.acquire(blocking=False):
            return
        self._reached.set()
        assert self._go_on.wait(PATIENCE_SECS), "nobody lets him go"
        if self._thrown is not None:
            raise self._thrown

    def until_reached(self) -> None:
        """Wait until somebody is here."""
        assert self._reached.wait(PATIENCE_SECS), "nobody comes"

    def let_go(self, thrown: BaseException | None = None) -> None:
        """Let him go on, or have him raise something."""
        self._thrown = thrown
        self._go_on.set()

    def before(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """Stand before a function."""
        return lambda *what, **more: (self.come(), do(*what, **more))[1]

    def after(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """Stand after a function."""
        return lambda *what, **more: (do(*what, **more), self.come())[0]


@contextmanager
def engines(url: str, count: int = 2, **more: Any) -> Iterator[list[Engine]]:
    """Open engines on one database; at the end it must keep its rules."""
    with ExitStack() as stack:
        opened = [Engine.open(url, **more) for _ in range(count)]
        for engine in opened:
            stack.callback(engine.close)
        yield opened
        assert fsck.check(opened[0].store) == []


def units(engine: Engine) -> int:
    """Count the units that were committed on this database."""
    ((count,),) = rows(engine, "SELECT COALESCE(SUM(number), 0) FROM units")
    return int(count)


def a_signal(workflow_id: str) -> SignalRun:
    """Give the operation that signals a run."""
    return SignalRun("main", workflow_id, None, None, SentSignal(name="go"))


def starts(engine: Engine, *names: str) -> list[str]:
    """Start runs in one go. Gives `ok` or the refusal's code for each."""
    said = engine.workflows.start_batch([a_start(name) for name in names])
    return [each.code if isinstance(each, AssayError) else "ok" for each in said]


def started(engine: Engine) -> list[str]:
    """Give the ids of the runs that there are."""
    return sorted(name for (name,) in rows(engine, "SELECT workflow_id FROM workflows"))


def until_somebody_waits_for_a_lock(engine: Engine) -> None:
    """Wait until a connection to this PostgreSQL database waits for a lock."""
    until(lambda: rows(engine, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                               "AND wait_event_type = 'Lock'"))  # fmt: skip
