"""The signals of a run, as its code takes them: by name in order of arrival, or one out of the middle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .history import History


class Inbox:
    """Which signals the code has taken. What it may see of them is for the caller to decide."""

    __slots__ = ("_history", "_picked", "_taken")

    def __init__(self, history: History) -> None:
        self._history = history
        self._taken: dict[str, int] = {}  # by name: so many from the first on
        self._picked: set[int] = set()  # seqs of those taken from behind others

    def unread(self, name: str) -> Iterator[tuple[int, Any]]:
        """Yield seq and payload of each signal `name` that was not taken, oldest first."""
        arrived = self._history.signals.get(name, ())
        for place in range(self._taken.get(name, 0), len(arrived)):
            if arrived[place][0] not in self._picked:
                yield arrived[place]

    def take(self, name: str, seq: int) -> None:
        """Take the signal of event `seq`."""
        picked, taken = self._picked, self._taken.get(name, 0)
        picked.add(seq)
        arrived = self._history.signals[name]
        while taken < len(arrived) and arrived[taken][0] in picked:
            picked.discard(arrived[taken][0])
            taken += 1
        self._taken[name] = taken

    def unread_seqs(self) -> list[int]:
        """Return the seqs of all signals that were not taken."""
        return sorted(seq for name in self._history.signals for seq, _ in self.unread(name))
