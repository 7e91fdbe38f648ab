"""Named leases: who leads among the sidecars. A convenience: safety never rests on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from .connection import Connection

Lend = Callable[[], AbstractContextManager[Connection]]


class Leases:
    """The rows of `leases`."""

    def __init__(self, *, now: Callable[[], float], read: Lend, administer: Lend) -> None:
        self._now = now
        self._read = read
        self._administer = administer

    def acquire(self, name: str, owner: str, ttl_secs: float) -> int | None:
        """Take a lease that is free or has run out, or renew one's own. Returns its epoch, or None.

        The epoch grows by one whenever the holder changes.
        """
        now = self._now()
        with self._administer() as db:
            db.run(
                "INSERT INTO leases (name, owner, epoch, expires_at) VALUES (?, NULL, 0, 0) ON CONFLICT DO NOTHING",
                (name,),
            )
            taken = db.rows(
                "UPDATE leases SET epoch = epoch + CASE WHEN owner = ? THEN 0 ELSE 1 END, owner = ?, expires_at = ? "
                "WHERE name = ? AND (owner IS NULL OR owner = ? OR expires_at <= ?) RETURNING epoch",
                (owner, owner, now + ttl_secs, name, owner, now),
            )
        return int(taken[0][0]) if taken else None

    def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is one's own."""
        with self._administer() as db:
            db.run("UPDATE leases SET owner = NULL, expires_at = 0 WHERE name = ? AND owner = ?", (name, owner))

    def left(self, name: str) -> float:
        """Say in how many seconds a lease runs out; 0 for one that nobody holds."""
        held = self.holder(name)
        return 0.0 if held is None else max(held[2] - self._now(), 0.0)

    def holder(self, name: str) -> tuple[str, int, float] | None:
        """Give (owner, epoch, expires_at) of a lease that is held now, or None."""
        with self._read() as db:
            found = db.one("SELECT owner, epoch, expires_at FROM leases WHERE name = ?", (name,))
        if found is None or found[0] is None or found[2] <= self._now():
            return None
        return str(found[0]), int(found[1]), float(found[2])
