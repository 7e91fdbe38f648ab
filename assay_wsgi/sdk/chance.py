"""Chance that is the same in each replay of a run. For dice, not for secrets: who knows the run id knows it all."""

from __future__ import annotations

import random
import uuid


class Chance:
    """Two sources that are seeded by the run id, so that drawing from one does not shift the other."""

    __slots__ = ("_ids", "_run_id", "_seed")

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._seed: random.Random | None = None
        self._ids: random.Random | None = None

    def random(self) -> random.Random:
        """Return the run's one generator; each draw goes on from the last."""
        if self._seed is None:
            self._seed = random.Random(f"random of {self._run_id}")
        return self._seed

    def uuid4(self) -> uuid.UUID:
        """Return the next id."""
        if self._ids is None:
            self._ids = random.Random(f"ids of {self._run_id}")
        return uuid.UUID(int=self._ids.getrandbits(128), version=4)
