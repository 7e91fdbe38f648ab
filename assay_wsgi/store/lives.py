"""The lives of a database: restored from a copy it begins another one, with an epoch of its own.

A cursor of the feed is good in one life: what came after the copy was taken is forgotten, and numbers are given anew.
Looked at whenever a database is opened.

PostgreSQL tells its lives apart by itself (server, timeline, database, table). In another server transaction ids begin
anew, too, and marks that stand in the database would lie in the future: `mark_base` lifts those to come above them.
A SQLite file is told apart by a number that each opening makes anew, in the file and in a note beside it: where they
differ, the file was replaced; where there is no note, it came from elsewhere.
"""

from __future__ import annotations

import logging
import secrets

from . import schema
from .connection import Connection
from .postgres import Postgres
from .turnstile import Turnstile

log = logging.getLogger(__name__)

_LIFE = "life"
_MARK_BASE = "mark_base"


def begin_if_replaced(db: Connection, turnstile: Turnstile) -> None:
    """On SQLite, in one's turn: give a file that was put here another epoch, and the number of this opening."""
    opening = secrets.token_hex(8)
    db.begin("IMMEDIATE")
    try:
        life = _fact(db, _LIFE)
        if life is None or life != turnstile.note():
            _begin(db)
        _set_fact(db, _LIFE, opening)
        turnstile.leave_note(opening)  # before the commit: what ends in between costs an epoch, never hides a life
        db.commit()
    except OSError as error:
        db.rollback()
        log.warning("whether the database file is ever replaced is not noted reason=%s", error)
    except BaseException:
        db.rollback()
        raise


def forget(db: Connection) -> None:
    """Make a copy begin another life wherever it is opened."""
    db.run(f"DELETE FROM meta WHERE name = '{_LIFE}'")


def begin_if_moved(db: Connection, dialect: Postgres) -> None:
    """On PostgreSQL: give a database in another life another epoch, and tell the dialect what marks begin at."""
    life = dialect.life(db)
    if life is not None and life != _fact(db, _LIFE):
        db.begin()
        try:
            db.run("SET LOCAL statement_timeout = 0")  # it reads all runs
            db.run("SET LOCAL lock_timeout = 0")
            db.rows("SELECT pg_advisory_xact_lock(?)", (schema.LOCK,))
            if life != _fact(db, _LIFE):
                _begin(db)
                _set_fact(db, _LIFE, life)
                highest, xid = dialect.marks(db)
                _set_fact(db, _MARK_BASE, str(max(int(_fact(db, _MARK_BASE) or 0), highest - xid + 1)))
            db.commit()
        except BaseException:
            db.rollback()
            raise
    dialect.mark_base = int(_fact(db, _MARK_BASE) or 0)


def _begin(db: Connection) -> None:
    before = _fact(db, _LIFE)
    _set_fact(db, "epoch", secrets.token_hex(8))
    if before is not None:  # else it was made just now, or is a copy of our making
        log.info("the database begins another life: cursors of the feed from before are void")


def _fact(db: Connection, name: str) -> str | None:
    found = db.one("SELECT value FROM meta WHERE name = ?", (name,))
    return None if found is None else str(found[0])


def _set_fact(db: Connection, name: str, value: str) -> None:
    db.run(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
