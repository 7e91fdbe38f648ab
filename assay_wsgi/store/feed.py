"""The feed's outbox, read in the one order that has no hole: by (mark, id), strictly below the horizon.

A mark is not less than the transaction that wrote it, and the horizon is the oldest transaction that still may write.
So what is below the horizon is all there ever will be there. Ids alone do not do on PostgreSQL: they are given before
the commit (two writers in two processes, tests/races: a reader that went by them never saw what committed late).
On SQLite, whose writers queue, the id is the mark.
"""

from __future__ import annotations

from typing import NamedTuple

from ..domain.notices import BEGINNING
from ..domain.notices import Cursor
from ..domain.notices import CursorLost
from ..domain.notices import Position
from .connection import Connection

_FLOOR = "feed_floor"  # in meta: the greatest position that was ever pruned


class Told(NamedTuple):
    """A notice as it stands in the outbox."""

    position: Position
    namespace: str
    workflow_id: str
    event_type: str
    payload: str  # a JSON object
    created_at: float


class Page(NamedTuple):
    """Notices in order, and the state of the feed as it was at the same moment."""

    epoch: str
    told: list[Told]
    held_back: bool  # there are more, which a transaction under way holds back


def newest(db: Connection) -> Cursor:
    """Give the cursor of whoever begins now."""
    mark, horizon = db.dialect.mark, db.dialect.horizon
    (epoch, floor), *_ = db.rows(f"SELECT {_META}")
    found = db.one(f"SELECT {mark}, id FROM notices WHERE {mark} < {horizon} ORDER BY {mark} DESC, id DESC LIMIT 1")
    return Cursor(epoch, max(_position(floor), BEGINNING if found is None else Position(*found)))


def oldest(db: Connection) -> Cursor:
    """Give the cursor of whoever wants all that is kept."""
    (epoch, floor), *_ = db.rows(f"SELECT {_META}")
    return Cursor(epoch, _position(floor))


def page(db: Connection, after: Cursor, limit: int) -> Page:
    """Give up to `limit` notices after a cursor. Raises CursorLost where there may be a hole behind it."""
    mark, horizon = db.dialect.mark, db.dialect.horizon
    rows = db.rows(
        f"SELECT h.epoch, h.floor, h.horizon, h.newest, n.mark, n.id, n.namespace, n.workflow_id, n.event_type, "
        f"n.payload, n.created_at FROM (SELECT {_META}, {horizon} AS horizon, "
        f"(SELECT MAX({mark}) FROM notices) AS newest) h LEFT JOIN ("
        f"SELECT {mark} AS mark, id, namespace, workflow_id, event_type, payload, created_at FROM notices "
        f"WHERE ({mark}, id) > (?, ?) AND {mark} < {horizon} ORDER BY {mark}, id LIMIT ?) n ON 1 = 1 "
        "ORDER BY n.mark, n.id",
        (*after.position, limit),
    )
    epoch, floor, below, highest = rows[0][:4]
    if after.epoch != epoch:
        raise CursorLost("another_database")
    if after.position < _position(floor):
        raise CursorLost("pruned")
    if after.position > _position(floor) and after.position.mark >= below:
        raise CursorLost("set_back")
    told = [Told(Position(*row[4:6]), *row[6:]) for row in rows if row[5] is not None]
    return Page(epoch, told, held_back=highest is not None and highest >= below)


def prune(db: Connection, before: float, limit: int) -> int:
    """Remove the oldest notices that were made before that; note how far. Returns how many."""
    gone = db.rows(
        f"DELETE FROM notices WHERE created_at <= ? AND id IN (SELECT id FROM notices ORDER BY id LIMIT ?) "
        f"RETURNING {db.dialect.mark}, id",
        (before, limit),
    )
    if gone:
        (floor,) = db.one(f"SELECT (SELECT value FROM meta WHERE name = '{_FLOOR}')")
        reached = max(_position(floor), *(Position(*row) for row in gone))
        db.run(
            "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (_FLOOR, f"{reached.mark}-{reached.id}"),
        )
    return len(gone)


_META = (
    f"(SELECT value FROM meta WHERE name = 'epoch') AS epoch, (SELECT value FROM meta WHERE name = '{_FLOOR}') AS floor"
)


def _position(floor: str | None) -> Position:
    return BEGINNING if floor is None else Position(*map(int, floor.split("-")))
