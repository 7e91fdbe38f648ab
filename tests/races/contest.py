"""Two processes on one database, and the hand that holds one of them while the other acts.

Inside one process the committer lines everybody up, so a race there proves nothing. A racer is forked from
a server that has the engine imported already; it is told over a pipe what to do (`racer.py`).
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from assay_wsgi.engine import Engine
from assay_wsgi.store import fsck
from assay_wsgi.store.store import Store
from tests.processes import PATIENCE_SECS

from . import guards
from . import racer

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([racer.__name__])

Said = tuple[str, Any]  # ("ok", answer) or (code of a refusal, its members)


class Rival:
    """One of the two, as the contest sees it."""

    def __init__(self, url: str, without: Sequence[str], lane_mates: Any) -> None:
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(target=racer.main, args=(theirs, url, tuple(without), lane_mates))
        self._process.start()
        theirs.close()

    def begins(self, act: str, **arguments: Any) -> None:
        """Tell it to do an act."""
        self._pipe.send((act, arguments))

    def does(self, act: str, **arguments: Any) -> Said:
        """Have it do an act, and give what came of it."""
        self.begins(act, **arguments)
        return self.answers()

    def answers(self) -> Said:
        """Give what came of the act that it does."""
        while (message := self.next())[0] == racer.WAITS:
            pass
        assert message[0] == racer.ANSWER, message
        said: Said = message[1]
        return said

    def is_held(self) -> bool:
        """Wait until it is held (True) or through with its act, whose answer is then the next `answers`."""
        message = self.next()
        if message[0] == racer.HELD:
            return True
        self._answered = message
        return False

    _answered: Any = None

    def next(self) -> Any:
        """Give its next message."""
        if self._answered is not None:
            message, self._answered = self._answered, None
            return message
        assert self._pipe.poll(PATIENCE_SECS), "a racer says nothing"
        return self._pipe.recv()

    def goes_on(self) -> None:
        """Let it go on from where it is held."""
        self._pipe.send(racer.GO_ON)

    def ends(self) -> Counter[str]:
        """End it. Gives what its connections raised, by kind."""
        self._pipe.send(None)
        kind, sightings = self.next()
        assert kind == racer.ANSWER
        self._process.join(PATIENCE_SECS)
        return Counter(sightings)

    def kill(self) -> None:
        """Be sure that it is gone."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


class Contest:
    """A race on one database, with some guards taken away or with all of them."""

    def __init__(self, url: str, without: Sequence[str] = ()) -> None:
        self.url = url
        self.without = tuple(without)
        self.sightings: Counter[str] = Counter()

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Open an engine in this process, before the racers come or after they have gone."""
        engine = Engine.open(self.url)
        try:
            yield engine
        finally:
            engine.close()

    @contextmanager
    def rivals(self) -> Iterator[tuple[Rival, Rival]]:
        """Run the two processes for as long as the block lasts."""
        for name in self.without:
            guards.drop_from(self.url, name)
        lane_mates = _processes.Barrier(2)
        one, two = (Rival(self.url, self.without, lane_mates) for _ in range(2))
        try:
            assert (one.answers(), two.answers()) == (("ok", None), ("ok", None))  # both are open
            yield one, two
            self.sightings += one.ends() + two.ends()
        finally:
            one.kill()
            two.kill()

    def storm(
        self, one: Rival, two: Rival, clients: tuple[Sequence[Any], Sequence[Any]], *, in_step: bool = False
    ) -> list[list[Said]]:
        """Have both act with many clients at once, from a common start. Gives what each client was told."""
        for rival, theirs in zip((one, two), clients, strict=True):
            rival.begins("storm", clients=theirs, in_step=in_step)
        return together(one, two)

    def broken_rules(self) -> list[str]:
        """Give the rules that the database breaks."""
        store = Store.open(self.url)
        try:
            return [f"{finding.name}: {finding.rows}" for finding in fsck.check(store)]
        finally:
            store.close()


def together(one: Rival, two: Rival) -> list[list[Said]]:
    """Let two storms that stand at the gate begin. Gives what each client was told, first those of `one`."""
    assert one.is_held()
    assert two.is_held()
    one.goes_on()
    two.goes_on()
    said: list[list[Said]] = []
    for rival in (one, two):
        outcome, clients = rival.answers()
        assert outcome == "ok", clients
        said += clients
    return said


class Duel:
    """What came of two acts, the first of which was held until the second was through or waited for it."""

    def __init__(
        self, first: Rival, second: Rival, one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]],
        *, held_at: str = racer.LOADED,
    ) -> None:  # fmt: skip
        first.does("hold_at", place=held_at)
        first.begins(one[0], **one[1])
        assert first.is_held(), first.answers()
        second.begins(other[0], **other[1], tells_waits=True)
        message = second.next()
        self.second_waited = message[0] == racer.WAITS
        first.goes_on()
        self.first: Said = first.answers()
        self.second: Said = second.answers() if self.second_waited else message[1]


def act(name: str, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """Name an act with its arguments."""
    return name, arguments
