"""Processes that are killed: packs of them, the blows that fall on them, and what a part of the storm has found."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import closing
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field

from bench.databases import Reader
from bench.processes import TREE
from bench.processes import Child
from bench.processes import Failed
from bench.processes import Ground
from tests.processes import gone
from tests.processes import until

SIDECAR = "sidecar"


@dataclass(kw_only=True)
class Found:
    """What a part of the storm has found. Without faults all promises were kept."""

    title: str
    figures: dict[str, str] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)  # by kind
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        killed = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items())) or "nobody"
        figures = "  ".join(f"{name} {value}" for name, value in self.figures.items())
        faults = "".join(f"\n    FAULT {fault}" for fault in self.faults[:20])
        return f"  {self.title:50} {figures}  killed: {killed}{faults}"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a part is played: a directory to run in, a fresh database, chance."""

    ground: Ground
    url: str
    chance: random.Random
    pause_secs: tuple[float, float] = (0.5, 1.0)  # between two blows: at least, at most

    def start(self, name: str, *argv: str) -> Child:
        """Start a Python process that finds the tests, too."""
        return self.ground.start(name, argv, {"PYTHONPATH": str(TREE)})


class Pack:
    """Processes of one kind. Who is killed is started again at once."""

    def __init__(
        self, kind: str, count: int, start: Callable[[str], Child], favourite: Callable[[], int | None] = lambda: None
    ) -> None:
        """`favourite` gives the pid of the one whose death matters most, if there is one."""
        self.kind = kind
        self._start = start
        self._favourite = favourite
        self._members = [start(f"{kind}-{number}") for number in range(1, count + 1)]

    def kill(self, place: int) -> None:
        """Kill -9 one of them, and start it again."""
        member = self._members[place % len(self._members)]
        member.kill()
        self._members[place % len(self._members)] = self._start(member.name)

    def kill_favourite(self) -> bool:
        """Kill -9 the one that matters most, and start it again. False: there is none just now."""
        wanted = self._favourite()
        for place, member in enumerate(self._members):
            if member.pid == wanted:
                self.kill(place)
                return True
        return False

    def check(self) -> None:
        """Raise Failed when one has ended that nobody killed."""
        for member in self._members:
            if not member.alive:
                raise Failed(f"{member.name} ended with {member.process.returncode}:\n{member.tail()}")

    def stop(self) -> None:
        """Kill all of them, for the last time: nothing that counts is left to them."""
        for member in self._members:
            member.kill()


@contextmanager
def sidecars(site: Site, reader: Reader, count: int) -> Iterator[Pack]:
    """Run sidecars for as long as the block lasts; it begins when one of them leads."""
    start = _sidecar_of(site)
    pack = Pack(SIDECAR, count, start, lambda: leader(reader))
    try:
        until(lambda: leader(reader))
        yield pack
    finally:
        pack.stop()


def _sidecar_of(site: Site) -> Callable[[str], Child]:
    return lambda name: site.start(name, "-m", "assay_wsgi", "sidecar", "--backend", site.url)


def leader(reader: Reader) -> int | None:
    """The pid of the sidecar that leads, by the database's word; None also while that one is dead."""
    held = reader.rows("SELECT owner, expires_at FROM leases WHERE name = 'sidecar' AND owner IS NOT NULL")
    if not held or held[0][1] <= time.time():
        return None
    pid = int(held[0][0].split("/")[1])
    return None if gone(pid) else pid


class Blows:
    """A thread that kills at random, every second blow a favourite, until the block ends."""

    def __init__(self, packs: Sequence[Pack], site: Site) -> None:
        self.kills: Counter[str] = Counter()
        self._packs = packs
        self._chance = site.chance
        self._pause_secs = site.pause_secs
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._guarded, name="blows", daemon=True)

    def __enter__(self) -> Blows:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def strike_leader(self, pack: Pack) -> None:
        """Kill the favourite of a pack now, waiting until there is one."""

        def struck() -> bool:
            with self._lock:
                return pack.kill_favourite()

        until(struck)
        self.kills[pack.kind] += 1

    def _guarded(self) -> None:
        try:
            while not self._ended.wait(self._chance.uniform(*self._pause_secs)):
                self._strike()
        except Exception as error:  # noqa: BLE001  raised where the block ends
            self._error = error

    def _strike(self) -> None:
        pack = self._chance.choice(self._packs)
        favoured = self._chance.random() < 0.5
        place = self._chance.randrange(64)
        with self._lock:
            for each in self._packs:
                each.check()
            if not (favoured and pack.kill_favourite()):
                pack.kill(place)
        self.kills[pack.kind] += 1


@contextmanager
def looking(site: Site) -> Iterator[Reader]:
    """Look at the site's database from outside."""
    with closing(Reader(site.url)) as reader:
        yield reader
